delete from lease where key = ?1 and owner = ?2 and epoch = ?3
