select 1 from tombstone where merchant = ?1 and purpose = ?2
