insert into stream (name) values (?1)
