use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::{join_all, poll_immediate};

use domain::ids::EventId;
use domain::ports::{Claim, ClaimExpect, Expect};
use domain::record::Record;
use domain::time::Timestamp;

use super::*;

/// A clock that a test moves; its own number is all it draws.
#[derive(Default)]
struct Still(Mutex<Duration>);

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(0)
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, _: Duration) {}
}

struct Fixed(u8);

impl Entropy for Fixed {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0);
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("data").join("events.db")
    }

    fn wal_length(&self) -> u64 {
        self.path()
            .with_extension("db-wal")
            .metadata()
            .unwrap()
            .len()
    }

    fn open(&self) -> SqliteEventStore {
        SqliteEventStore::open(&self.path(), options()).unwrap()
    }

    /// Somebody with a SQLite shell.
    fn meddle(&self, sql: &str) {
        Connection::open(self.path())
            .unwrap()
            .execute_batch(sql)
            .unwrap();
    }
}

fn options() -> SqliteOptions {
    SqliteOptions::new(Arc::new(Still::default()), Arc::new(Fixed(7)))
}

fn stream(number: u64) -> StreamId {
    StreamId::parse(format!("case-{number}")).unwrap()
}

fn create(number: u64, bytes: &[u8]) -> AppendRequest {
    let event_id = EventId::from_parts(number, [0; 10]);
    let version = Version::FIRST;
    AppendRequest {
        stream: stream(number),
        expect: Expect::NoStream,
        events: vec![Record {
            event_id,
            event_type: "Tested".into(),
            version,
            bytes: bytes.into(),
        }],
        claims: vec![],
    }
}

fn claiming(number: u64) -> AppendRequest {
    let mut request = create(number, b"{}");
    request.claims.push(Claim {
        ns: ClaimSpace::Order,
        key: Digest32([1; 32]),
        owner: request.stream.clone(),
        detail: 0,
        expect: ClaimExpect::Free,
    });
    request
}

fn not_applied(answer: &Result<Appended, AppendError>) -> bool {
    matches!(
        answer,
        Err(AppendError::Unavailable {
            outcome: Outcome::NotApplied,
            ..
        })
    )
}

#[tokio::test]
async fn one_process_writes_and_others_read() {
    let folder = Folder::new();
    assert!(matches!(
        SqliteEventStore::open_read_only(&folder.path()),
        Err(OpenError::Sqlite { .. })
    ));
    let store = folder.open();
    let second = SqliteEventStore::open(&folder.path(), options());
    assert!(matches!(second, Err(OpenError::Locked { .. })));
    store.append(create(1, b"{}")).await.unwrap();
    let reader = SqliteEventStore::open_read_only(&folder.path()).unwrap();
    assert_eq!(reader.identity(), store.identity());
    assert_eq!(reader.head().await.unwrap(), store.head().await.unwrap());
    assert!(not_applied(&reader.append(create(2, b"{}")).await));
    store.append(create(2, b"{}")).await.unwrap();
    assert_eq!(
        reader
            .read_all(None, &Filter::all(), 10)
            .await
            .unwrap()
            .events
            .len(),
        2
    );
    drop(store);
    assert_eq!(
        reader.density().await.unwrap(),
        Density { events: 2, head: 2 }
    );
    folder.open();
}

#[tokio::test]
async fn the_identity_is_drawn_once() {
    let folder = Folder::new();
    let first = folder.open().identity().clone();
    let other = SqliteOptions {
        entropy: Arc::new(Fixed(9)),
        ..options()
    };
    let again = SqliteEventStore::open(&folder.path(), other).unwrap();
    assert_eq!(again.identity(), &first);
    assert_eq!(
        (first.epoch, first.backend, first.atomic_claims),
        (0, "sqlite", true)
    );
    assert_eq!(first.store.get_version_num(), 4);
}

#[tokio::test]
async fn an_altered_record_is_never_handed_out() {
    let folder = Folder::new();
    let store = folder.open();
    for number in 1..=3 {
        store.append(create(number, b"{}")).await.unwrap();
    }
    folder.meddle(
        "drop trigger event_never_changes; update event set record = x'7b20' where position = 2",
    );
    let damaged = |read: ReadError| match read {
        ReadError::Corrupt { position } => position.parts().0,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        damaged(store.read_all(None, &Filter::all(), 10).await.unwrap_err()),
        2
    );
    assert_eq!(damaged(store.read_last(&stream(2)).await.unwrap_err()), 2);
    assert_eq!(
        damaged(
            store
                .read_stream(&stream(2), Version(0), 9)
                .await
                .unwrap_err()
        ),
        2
    );
    let retry = store.append(create(2, b"{}")).await;
    assert!(matches!(retry, Err(AppendError::Corrupt { position }) if position.parts().0 == 2));
    assert!(store.read_last(&stream(3)).await.unwrap().is_some());
    drop(store);

    folder.meddle("update event set record = x'7b20' where position = 3");
    let refused = SqliteEventStore::open(&folder.path(), options());
    assert!(matches!(refused, Err(OpenError::Damaged { .. })));
}

#[tokio::test]
async fn a_lost_row_is_noticed() {
    let folder = Folder::new();
    let store = folder.open();
    for number in 1..=4 {
        store.append(create(number, b"{}")).await.unwrap();
    }
    assert_eq!(
        store.density().await.unwrap(),
        Density { events: 4, head: 4 }
    );
    folder.meddle("drop trigger event_never_goes; delete from event where position = 3");
    assert_eq!(
        store.density().await.unwrap(),
        Density { events: 3, head: 4 }
    );
    let page = store.read_all(None, &Filter::all(), 10).await;
    assert!(
        matches!(page, Err(ReadError::Corrupt { position }) if position.parts().0 == 3),
        "{page:?}"
    );
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_keeps_what_it_took() {
    let folder = Folder::new();
    let store = SqliteEventStore::open(
        &folder.path(),
        SqliteOptions {
            queue: 4,
            ..options()
        },
    )
    .unwrap();
    // Another process's lock keeps the writer waiting, so that nothing leaves the queue.
    let other = Connection::open(folder.path()).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let (mut waiting, mut refused) = (vec![], None);
    for number in 1..1000 {
        let mut append = Box::pin(store.append(create(number, b"{}")));
        match poll_immediate(&mut append).await {
            None => waiting.push(append),
            Some(answer) => {
                refused = Some(answer);
                break;
            }
        }
    }
    assert!(refused.is_some_and(|answer| not_applied(&answer)));
    assert!(waiting.len() >= 4);
    let count = waiting.len() as u64;
    other.execute_batch("rollback").unwrap();
    for answer in join_all(waiting).await {
        assert!(!answer.unwrap().repeated);
    }
    assert_eq!(
        store.density().await.unwrap(),
        Density {
            events: count,
            head: count
        }
    );
}

#[tokio::test]
async fn a_caller_that_leaves_takes_nothing_back() {
    let folder = Folder::new();
    let store = folder.open();
    assert!(
        poll_immediate(Box::pin(store.append(create(1, b"{}"))))
            .await
            .is_none_or(|a| a.is_ok())
    );
    drop(store);
    let again = folder.open().append(create(1, b"{}")).await.unwrap();
    assert!(again.repeated);
}

#[tokio::test]
async fn an_error_that_nobody_foresaw_stops_the_store() {
    let folder = Folder::new();
    let store = folder.open();
    store.append(create(1, b"{}")).await.unwrap();
    assert_eq!(*store.health().borrow(), Health::Writing);
    assert!(poll_immediate(Box::pin(store.failed())).await.is_none());
    folder.meddle("drop trigger claim_never_goes; drop table claim");
    assert!(not_applied(&store.append(claiming(2)).await));
    let why = store.failed().await;
    assert!(why.contains("no such table"), "{why}");
    for number in 3..6 {
        assert!(
            store.append(create(number, b"{}")).await.is_err(),
            "nothing is acknowledged"
        );
    }
    assert_eq!(
        store
            .read_all(None, &Filter::all(), 10)
            .await
            .unwrap()
            .events
            .len(),
        1
    );
}

#[tokio::test]
async fn a_full_disk_refuses_writes_reads_go_on_and_space_is_found_again() {
    let folder = Folder::new();
    drop(folder.open());
    folder.meddle(
        "create table ballast (x blob) strict; insert into ballast values (zeroblob(4194304))",
    );
    let connection = open_writer(&folder.path(), &SCHEMA, Durability::Full).unwrap();
    let identity = schema::read_identity(&connection, &folder.path())
        .unwrap()
        .unwrap();
    let pages: u32 = connection.pragma_query_one(None, "page_count").unwrap();
    connection
        .pragma_update(None, "max_page_count", pages + 8)
        .unwrap();
    let clock = Arc::new(Still::default());
    let (heads, health) = (watch::Sender::new(0), watch::Sender::new(Health::Writing));
    let writer = Writer::start(Setup {
        connection,
        places: Places::of(&identity),
        head: 0,
        clock: clock.clone(),
        queue: 8,
        wal: folder.path().with_extension("db-wal"),
        wal_bytes_max: 1 << 20,
        heads: heads.clone(),
        health: health.clone(),
    })
    .unwrap();
    let readers = Readers::new(folder.path(), identity, 1);

    writer.append(create(1, b"{}")).await.unwrap();
    let large = create(2, &[b'x'; 60_000]);
    assert!(matches!(
        writer.append(large.clone()).await,
        Err(AppendError::Full)
    ));
    assert_eq!(*health.borrow(), Health::Full);
    assert!(matches!(
        writer.append(create(3, b"{}")).await,
        Err(AppendError::Full)
    ));
    assert_eq!(
        readers
            .page(None, &Filter::all(), 10)
            .await
            .unwrap()
            .events
            .len(),
        1
    );

    folder.meddle("drop table ballast");
    assert!(matches!(
        writer.append(create(3, b"{}")).await,
        Err(AppendError::Full)
    ));
    *clock.0.lock().unwrap() += Duration::from_secs(5);
    health
        .subscribe()
        .wait_for(|health| *health == Health::Writing)
        .await
        .unwrap();
    assert!(!writer.append(large).await.unwrap().repeated);
    assert_eq!(*heads.borrow(), 2);
    assert_eq!(
        readers.density().await.unwrap(),
        Density { events: 2, head: 2 }
    );
}

#[tokio::test]
async fn the_write_ahead_log_stays_short_under_load_and_after_a_long_reader() {
    const MAX: u64 = 256 * 1024;
    // What one batch may add before the writer looks at the length again, frames included.
    const SLACK: u64 = 512 * 1024;
    let folder = Folder::new();
    let store = SqliteEventStore::open(
        &folder.path(),
        SqliteOptions {
            wal_bytes_max: MAX,
            ..options()
        },
    );
    let store = store.unwrap();
    let mut next = 0;
    let mut write = async |count: u64| {
        let mut longest = 0;
        for _ in 0..count {
            next += 1;
            store.append(create(next, &[b'x'; 20_000])).await.unwrap();
            store
                .read_all(store.head().await.unwrap(), &Filter::all(), 10)
                .await
                .unwrap();
            longest = longest.max(folder.wal_length());
        }
        longest
    };
    let longest = write(80).await;
    assert!(longest <= MAX + SLACK, "{longest}");

    let other = Connection::open(folder.path()).unwrap();
    other
        .execute_batch("begin; select count(*) from event")
        .unwrap();
    let held = write(50).await;
    assert!(held > MAX + SLACK, "the reader needs it: {held}");
    drop(other);
    write(40).await;
    let after = folder.wal_length();
    assert!(after <= MAX + SLACK, "{after}");
}
