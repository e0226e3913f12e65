insert into secret (merchant, purpose, key_id, wrapped, valid_from, valid_until) values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict (merchant, purpose, key_id) do update set valid_from = excluded.valid_from, valid_until = excluded.valid_until
