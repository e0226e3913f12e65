select wrapped from root where name = ?1
