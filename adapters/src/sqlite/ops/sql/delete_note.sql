delete from note where key = ?1
