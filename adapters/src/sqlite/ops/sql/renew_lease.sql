update lease set until_ms = ?4 where key = ?1 and owner = ?2 and epoch = ?3
