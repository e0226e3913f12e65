insert into store (one, uuid, epoch) values (1, ?1, 0)
