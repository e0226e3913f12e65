insert into lease (key, owner, epoch, until_ms) values (?1, ?2, 1, ?3)
on conflict (key) do update set owner = excluded.owner, epoch = epoch + 1, until_ms = excluded.until_ms
where until_ms <= ?4
returning epoch
