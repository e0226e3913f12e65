insert into generation (view, number, version, state) values (?1, ?2, ?3, ?4)
