insert into event (position, stream, version, category, type, event_id, leaf, record)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
