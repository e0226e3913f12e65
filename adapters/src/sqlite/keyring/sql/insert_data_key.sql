insert into data_key (key_id, merchant, purpose, wrapped, kek_epoch) values (?1, ?2, ?3, ?4, 0)
on conflict (merchant, purpose) do nothing
