delete from parked where view = ?1 and number = ?2 and stream = ?3
