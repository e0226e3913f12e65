insert or replace into note (key, value) values (?1, ?2)
