use domain::ids::EventId;
use domain::ports::{Claim, ClaimExpect, ClaimSpace, Expect, StoreIdentity};

use super::*;
use crate::sqlite::events::schema::SCHEMA;
use crate::sqlite::open::{Durability, open_writer};

struct File {
    connection: Connection,
    places: Places,
    _folder: tempfile::TempDir,
}

fn file() -> File {
    let folder = tempfile::tempdir().unwrap();
    let connection = open_writer(&folder.path().join("e.db"), &SCHEMA, Durability::Full).unwrap();
    let identity = StoreIdentity {
        store: uuid::Uuid::from_u128(7),
        epoch: 0,
        backend: "sqlite",
        atomic_claims: true,
    };
    File {
        connection,
        places: Places::of(&identity),
        _folder: folder,
    }
}

impl File {
    fn apply(&mut self, requests: &[AppendRequest]) -> Done {
        let head = rows::head(&self.connection).unwrap();
        apply(&mut self.connection, self.places, head, requests)
    }

    fn events(&self) -> u64 {
        rows::head(&self.connection).unwrap()
    }
}

fn request(stream: &str, expect: Expect, id: u64, bytes: &[u8]) -> AppendRequest {
    let version = expect.first_version();
    let event_id = EventId::from_parts(id, [0; 10]);
    AppendRequest {
        stream: StreamId::parse(format!("case-{stream}")).unwrap(),
        expect,
        events: vec![Record {
            event_id,
            event_type: "Tested".into(),
            version,
            bytes: bytes.into(),
        }],
        claims: vec![],
    }
}

fn new(stream: &str, id: u64) -> AppendRequest {
    request(stream, Expect::NoStream, id, b"{}")
}

#[test]
fn one_refusal_leaves_its_neighbours_alone() {
    let mut file = file();
    let done = file.apply(&[
        new("a", 1),
        new("a", 2),
        request("a", Expect::Exact(Version(0)), 3, b"{}"),
        new("a", 1),
        new("b", 4),
    ]);
    assert_eq!(done.verdict, Verdict::Fine);
    assert_eq!((done.head, file.events()), (3, 3));
    let [first, second, third, again, other] = &done.answers[..] else {
        panic!("{done:?}")
    };
    assert!(matches!(
        first,
        Ok(Appended {
            version: Version(0),
            repeated: false,
            ..
        })
    ));
    assert!(matches!(
        second,
        Err(AppendError::Conflict {
            actual: Some(Version(0))
        })
    ));
    assert!(matches!(
        third,
        Ok(Appended {
            version: Version(1),
            repeated: false,
            ..
        })
    ));
    assert!(matches!(
        again,
        Ok(Appended {
            version: Version(0),
            repeated: true,
            ..
        })
    ));
    assert_eq!(other.as_ref().unwrap().position, file.places.at(3));
}

#[test]
fn a_full_disk_applies_nothing_of_the_batch_and_the_next_one_works() {
    let mut file = file();
    assert_eq!(file.apply(&[new("a", 1)]).verdict, Verdict::Fine);
    let pages: u32 = file
        .connection
        .pragma_query_one(None, "page_count")
        .unwrap();
    let limit = |file: &File, pages: u32| {
        file.connection
            .pragma_update(None, "max_page_count", pages)
            .unwrap();
    };
    limit(&file, pages + 4);
    let batch = [
        new("b", 2),
        request("c", Expect::NoStream, 3, &[b'x'; 60_000]),
        new("a", 4),
    ];
    let done = file.apply(&batch);
    assert_eq!(
        (done.verdict, done.head, file.events()),
        (Verdict::Full, 1, 1)
    );
    assert_eq!(done.answers.len(), 3);
    assert!(
        done.answers
            .iter()
            .all(|answer| matches!(answer, Err(AppendError::Full)))
    );

    limit(&file, 1_000_000);
    let done = file.apply(&batch[..2]);
    assert!(
        done.answers
            .iter()
            .all(|answer| answer.as_ref().is_ok_and(|a| !a.repeated))
    );
    assert_eq!(file.events(), 3);
}

#[test]
fn a_breakdown_before_the_commit_applies_nothing_and_is_fatal() {
    let mut file = file();
    file.connection
        .execute_batch("drop trigger claim_never_goes; drop table claim")
        .unwrap();
    let mut claiming = new("b", 2);
    claiming.claims.push(Claim {
        ns: ClaimSpace::Order,
        key: domain::digest::Digest32([1; 32]),
        owner: claiming.stream.clone(),
        detail: 0,
        expect: ClaimExpect::Free,
    });
    let done = file.apply(&[new("a", 1), claiming]);
    assert!(matches!(done.verdict, Verdict::Fatal(_)));
    assert_eq!((done.head, file.events()), (0, 0));
    for answer in done.answers {
        assert!(matches!(
            answer,
            Err(AppendError::Unavailable {
                outcome: Outcome::NotApplied,
                ..
            })
        ));
    }
}

#[test]
fn a_failed_commit_leaves_appends_unknown_and_refusals_not_applied() {
    let mut file = file();
    // A foreign key that is looked at by the commit only.
    file.connection
        .execute_batch(
            "create table trap (x integer references stream (id) deferrable initially deferred) strict;
             create trigger trap after insert on event begin insert into trap values (-1); end;",
        )
        .unwrap();
    let done = file.apply(&[new("a", 1), new("a", 2), new("a", 1)]);
    assert!(matches!(done.verdict, Verdict::Fatal(_)));
    let outcomes: Vec<_> = done
        .answers
        .iter()
        .map(|answer| match answer {
            Err(AppendError::Unavailable { outcome, .. }) => *outcome,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        outcomes,
        [Outcome::Unknown, Outcome::NotApplied, Outcome::Unknown]
    );
}

#[test]
fn only_a_full_disk_and_a_lock_are_survived() {
    let of = |code| verdict(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
    assert_eq!(of(ffi::SQLITE_FULL), Verdict::Full);
    for lock in [
        ffi::SQLITE_BUSY,
        ffi::SQLITE_BUSY_SNAPSHOT,
        ffi::SQLITE_LOCKED,
    ] {
        assert_eq!(of(lock), Verdict::Fine);
    }
    for fatal in [
        ffi::SQLITE_IOERR,
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_DIR_FSYNC,
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_IOERR_READ,
        ffi::SQLITE_IOERR_TRUNCATE,
        ffi::SQLITE_CORRUPT,
        ffi::SQLITE_NOTADB,
        ffi::SQLITE_READONLY,
        ffi::SQLITE_NOMEM,
    ] {
        assert!(matches!(of(fatal), Verdict::Fatal(_)), "{fatal}");
    }
}

#[test]
fn rows_of_the_log_are_neither_changed_nor_removed() {
    let mut file = file();
    assert_eq!(file.apply(&[new("a", 1)]).verdict, Verdict::Fine);
    file.connection
        .execute_batch(
            "insert into store values (1, zeroblob(16), 0);
             insert into claim values ('order', zeroblob(32), 'case-a', 0, 1);",
        )
        .unwrap();
    for refused in [
        "update event set record = x'7b7d'",
        "update event set position = 2",
        "delete from event",
        "update stream set name = 'case-b'",
        "delete from stream",
        "delete from claim",
        "delete from store",
        "insert into event select 3, stream, 1, category, type, zeroblob(16), leaf, record from event",
        "insert into event select 2, stream, 5, category, type, zeroblob(16), leaf, record from event",
        "insert or replace into event select 1, stream, 0, category, type, event_id, leaf, record
             from event",
    ] {
        assert!(file.connection.execute_batch(refused).is_err(), "{refused}");
    }
    assert_eq!(file.events(), 1);
}
