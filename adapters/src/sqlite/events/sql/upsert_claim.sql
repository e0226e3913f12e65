insert into claim (space, key, owner, detail, generation) values (?1, ?2, ?3, ?4, ?5)
on conflict (space, key) do update
set owner = excluded.owner, detail = excluded.detail, generation = excluded.generation
