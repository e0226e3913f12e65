select purpose, key_id, wrapped, valid_from, valid_until from secret where merchant = ?1
order by purpose, valid_from desc, key_id
