insert into tombstone (merchant, purpose, key_id, erased_at)
values (?1, ?2, (select key_id from data_key where merchant = ?1 and purpose = ?2), ?3)
on conflict (merchant, purpose) do nothing
