select name from sqlite_schema where type = 'table' and substr(name, 1, length(?1)) = ?1 order by name
