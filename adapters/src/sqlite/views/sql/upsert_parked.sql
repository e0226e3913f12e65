insert into parked (view, number, stream, position, version, error, since_ms) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
on conflict (view, number, stream) do update
set position = excluded.position, version = excluded.version, error = excluded.error, since_ms = excluded.since_ms
