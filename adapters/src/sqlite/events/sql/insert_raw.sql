insert into raw (record) values (?1)
