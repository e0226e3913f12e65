update generation set checkpoint = ?3 where view = ?1 and number = ?2
