use rusqlite::StatementStatus;

use super::*;

const ONE: Schema = Schema {
    name: "test",
    application_id: 0x7465_7374,
    migrations: &[Migration {
        number: 1,
        sql: "create table a (x integer) strict;",
    }],
};
const TWO: Schema = Schema {
    migrations: &[
        Migration {
            number: 1,
            sql: "create table a (x integer) strict;",
        },
        Migration {
            number: 2,
            sql: "create table b (x integer) strict;",
        },
    ],
    ..ONE
};
const BROKEN: Schema = Schema {
    migrations: &[
        Migration {
            number: 1,
            sql: "create table a (x integer) strict;",
        },
        Migration {
            number: 2,
            sql: "create table c (x integer) strict; create table a (x integer);",
        },
    ],
    ..ONE
};

fn tables(connection: &Connection) -> i64 {
    connection
        .query_row("select count(*) from sqlite_schema", (), |row| row.get(0))
        .unwrap()
}

#[test]
fn a_new_file_gets_its_schema_and_a_later_release_adds_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let first = open_writer(&path, &ONE, Durability::Full).unwrap();
    assert_eq!(tables(&first), 1);
    assert!(matches!(
        open_reader(&path, &TWO),
        Err(OpenError::NotMigrated {
            found: 1,
            known: 2,
            ..
        })
    ));
    drop(first);
    assert_eq!(
        tables(&open_writer(&path, &TWO, Durability::Full).unwrap()),
        2
    );
    assert_eq!(
        tables(&open_writer(&path, &TWO, Durability::Full).unwrap()),
        2
    );
    assert_eq!(tables(&open_reader(&path, &TWO).unwrap()), 2);
    assert!(matches!(
        open_writer(&path, &ONE, Durability::Full),
        Err(OpenError::TooNew {
            found: 2,
            known: 1,
            ..
        })
    ));
    assert!(matches!(
        open_reader(&path, &ONE),
        Err(OpenError::TooNew {
            found: 2,
            known: 1,
            ..
        })
    ));
}

#[test]
fn a_migration_that_fails_leaves_nothing_of_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    assert!(matches!(
        open_writer(&path, &BROKEN, Durability::Full),
        Err(OpenError::Sqlite { .. })
    ));
    assert_eq!(
        tables(&open_writer(&path, &ONE, Durability::Full).unwrap()),
        1
    );
}

#[test]
fn a_file_of_something_else_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(
        &text,
        "this is no database, however long the text may be ".repeat(100),
    )
    .unwrap();
    let before = std::fs::read(&text).unwrap();
    assert!(matches!(
        open_writer(&text, &ONE, Durability::Full),
        Err(OpenError::NotOurs { .. })
    ));
    assert!(matches!(
        open_reader(&text, &ONE),
        Err(OpenError::NotOurs { .. })
    ));
    assert_eq!(std::fs::read(&text).unwrap(), before);

    let other = folder.path().join("other.db");
    Connection::open(&other)
        .unwrap()
        .execute_batch("create table someone_elses (x)")
        .unwrap();
    let before = std::fs::read(&other).unwrap();
    assert!(matches!(
        open_writer(&other, &ONE, Durability::Full),
        Err(OpenError::NotOurs { .. })
    ));
    assert_eq!(std::fs::read(&other).unwrap(), before);
    assert!(matches!(
        open_reader(&folder.path().join("none.db"), &ONE),
        Err(OpenError::Sqlite { .. })
    ));
    assert!(!folder.path().join("none.db").exists());
}

#[test]
fn only_the_owner_may_read_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("data").join("deeper");
    make_private_folder(&inner).unwrap();
    make_private_folder(&inner).unwrap();
    let path = inner.join("a.db");
    let _lock = WriterLock::take(&path).unwrap();
    let connection = open_writer(&path, &ONE, Durability::Full).unwrap();
    connection.execute("insert into a values (1)", ()).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    let mut names = vec![];
    for entry in std::fs::read_dir(&inner).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["a.db", "a.db-shm", "a.db-wal", "a.db.lock"]);
}

#[test]
fn a_second_writer_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let lock = WriterLock::take(&path).unwrap();
    assert!(matches!(
        WriterLock::take(&path),
        Err(OpenError::Locked { .. })
    ));
    drop(lock);
    assert!(WriterLock::take(&path).is_ok());
}

#[test]
fn settings_that_safety_depends_on_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let writer = open_writer(&path, &ONE, Durability::Full).unwrap();
    let text = |c: &Connection, name| -> String {
        c.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
            .map(|value| format!("{value:?}"))
            .unwrap()
    };
    for (name, value) in [
        ("journal_mode", "Text(\"wal\")"),
        ("synchronous", "Integer(2)"),
        ("foreign_keys", "Integer(1)"),
        ("trusted_schema", "Integer(0)"),
        ("cell_size_check", "Integer(1)"),
        ("mmap_size", "Integer(0)"),
        ("cache_size", "Integer(-65536)"),
    ] {
        assert_eq!(text(&writer, name), value, "{name}");
    }
    let reader = open_reader(&path, &ONE).unwrap();
    assert!(reader.execute("insert into a values (1)", ()).is_err());
    let memory = Connection::open_in_memory().unwrap();
    let settings = Settings {
        connection: &memory,
        path: Path::new(":memory:"),
        schema: &ONE,
    };
    let refused = settings.set("journal_mode", "wal");
    assert!(matches!(
        refused,
        Err(OpenError::Setting {
            name: "journal_mode",
            ..
        })
    ));
}

#[test]
fn a_statement_with_a_bound_limit_is_prepared_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let writer = open_writer(&path, &ONE, Durability::Full).unwrap();
    let reader = open_reader(&path, &ONE).unwrap();
    for connection in [&writer, &reader] {
        let mut statement = connection
            .prepare("select 1 from sqlite_schema order by name limit ?1")
            .unwrap();
        for limit in 1..=3_i64 {
            statement.query_row((limit,), |_| Ok(())).unwrap();
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
