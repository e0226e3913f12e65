select id from stream where name = ?1
