select 1 from tombstone where key_id = ?1
