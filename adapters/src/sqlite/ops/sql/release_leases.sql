update lease set until_ms = ?3 where owner = ?1 and until_ms > ?2
