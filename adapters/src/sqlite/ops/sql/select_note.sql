select value from note where key = ?1
