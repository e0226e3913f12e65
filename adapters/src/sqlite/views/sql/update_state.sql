update generation set state = ?3 where view = ?1 and number = ?2
