insert into data_key (key_id, merchant, purpose, wrapped, kek_epoch)
select ?1, ?2, ?3, ?4, 0 where not exists (select 1 from tombstone where merchant = ?2 and purpose = ?3)
on conflict (merchant, purpose) do nothing
