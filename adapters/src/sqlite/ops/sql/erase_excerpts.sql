delete from excerpt where at_ms < ?1
