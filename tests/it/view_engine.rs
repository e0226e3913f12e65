//! The engine over the real stores: a view that is kept through restarts is the view of the log.

use std::sync::Arc;
use std::time::Duration;

use adapters::memory::{MemoryEventStore, MemoryViewStore};
use adapters::sqlite::events::{SqliteEventStore, SqliteOptions};
use adapters::sqlite::views::SqliteViewStore;
use domain::actor::{Actor, Cause, Source};
use domain::ids::{EventId, MerchantId};
use domain::ports::{AppendRequest, Clock, EventStore, Expect};
use domain::record::{Envelope, Record};
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;
use harness::world::{Dice, TestClock};
use projections::engine::{Handle, Runner, RunnerSettings, RunnerState, Step};
use projections::ports::{At, ViewDigest, ViewStore};
use projections::rebuild::{Rebuild, Rebuilt, Verified};
use projections::view::View;
use projections::views::audit_trail::AuditTrailView;
use tokio::sync::watch;

fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::at(Timestamp::from_seconds(1_700_000_000)))
}

fn view() -> Arc<dyn View> {
    Arc::new(AuditTrailView)
}

/// Appends event `number` to one of seven streams; the same number gives the same bytes.
async fn append(log: &dyn EventStore, number: u64) {
    let stream = StreamId::parse(format!("client-c{}", number % 7)).unwrap();
    let version = Version(number / 7);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number.to_be_bytes());
    let event_id = EventId::from_parts(1_700_000_000_000 + number, random);
    let at = Timestamp::from_millis(1_700_000_000_000 + i64::try_from(number).unwrap());
    let envelope = Envelope {
        v: 1,
        origin: "ledger.example/test/1".into(),
        merchant: Some(MerchantId::parse("shop").unwrap()),
        stream: stream.clone(),
        stream_version: version,
        event_id,
        event_type: "Tested".into(),
        type_v: 1,
        recorded_at: at,
        occurred_at: at,
        actor: Actor::job("test"),
        on_behalf_of: None,
        source: Source {
            entry: "test".into(),
            node: "a".into(),
            ip_prefix: None,
        },
        cause: Cause {
            command: "test".into(),
            command_id: event_id,
            key_hmac: None,
            fingerprint: None,
            causation_id: None,
            correlation_id: None,
        },
        claims: vec![],
        reason: None,
        evidence: vec![],
        data: serde_json::json!({ "number": number.to_string() }),
        pii: std::collections::BTreeMap::new(),
    };
    let expect = match version.0 {
        0 => Expect::NoStream,
        later => Expect::Exact(Version(later - 1)),
    };
    let events = vec![Record::write(&envelope).unwrap()];
    log.append(AppendRequest {
        stream,
        expect,
        events,
        claims: vec![],
    })
    .await
    .unwrap();
}

/// Both files of one process. Dropping it is the end of that process.
struct Process {
    log: Arc<SqliteEventStore>,
    views: Arc<SqliteViewStore>,
    clock: Arc<TestClock>,
}

impl Process {
    fn start(folder: &std::path::Path) -> Self {
        let clock = clock();
        let options = SqliteOptions::new(clock.clone(), Arc::new(Dice::new(1)));
        Self {
            log: Arc::new(SqliteEventStore::open(&folder.join("events.db"), options).unwrap()),
            views: Arc::new(SqliteViewStore::open(&folder.join("views.db")).unwrap()),
            clock,
        }
    }

    fn rebuild(&self) -> Rebuild {
        Rebuild::new(
            view(),
            self.log.clone(),
            self.views.clone(),
            self.clock.clone(),
        )
    }

    async fn runner(&self, page: usize) -> (Runner, Handle) {
        let (_go_on, stop) = watch::channel(false);
        self.rebuild().ensure_live(&|_| {}, &stop).await.unwrap();
        let settings = RunnerSettings {
            page,
            ..RunnerSettings::default()
        };
        Runner::new(
            view(),
            self.log.clone(),
            self.views.clone(),
            self.clock.clone(),
            settings,
        )
    }

    async fn digest(&self) -> ViewDigest {
        self.views.digest(&view().spec(), At::Live).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_kept_through_restarts_is_the_view_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut written = 0;
    for page in [1, 3, 50, 7] {
        let process = Process::start(folder.path());
        for number in written..written + 40 {
            append(&*process.log, number).await;
        }
        written += 40;
        // The process ends before its view has caught up.
        let (mut runner, _) = process.runner(page).await;
        for _ in 0..3 {
            runner.step().await.unwrap();
        }
    }
    let process = Process::start(folder.path());
    let (mut runner, _) = process.runner(11).await;
    while runner.step().await.unwrap() == Step::Moved {}
    let digest = process.digest().await;
    assert_eq!(digest.rows, written);
    let (_go_on, stop) = watch::channel(false);
    assert_eq!(
        process.rebuild().verify(&|_| {}, &stop).await.unwrap(),
        Verified::Equal(digest)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_views_of_both_stores_are_equal_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let uuid = process.log.identity().store;
    let memory = Arc::new(MemoryEventStore::new(uuid, 0));
    for number in 0..60 {
        append(&*process.log, number).await;
        append(&*memory, number).await;
    }
    let (mut runner, _) = process.runner(7).await;
    while runner.step().await.unwrap() == Step::Moved {}

    let views = Arc::new(MemoryViewStore::new());
    let (_go_on, stop) = watch::channel(false);
    let rebuild = Rebuild::new(view(), memory.clone(), views.clone(), clock());
    rebuild.ensure_live(&|_| {}, &stop).await.unwrap();
    rebuild.rebuild(&|_| {}, &stop).await.unwrap();
    assert_eq!(
        views.digest(&view().spec(), At::Live).await.unwrap(),
        process.digest().await
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_switches_while_events_are_written_and_nobody_misses_one() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    for number in 0..30 {
        append(&*process.log, number).await;
    }
    let (runner, mut handle) = process.runner(5).await;
    let (go_on, stop) = watch::channel(false);
    let running = tokio::spawn(runner.run(stop.clone()));
    let log = process.log.clone();
    let writing = tokio::spawn(async move {
        for number in 30..200 {
            append(&*log, number).await;
        }
    });
    let rebuilt = process
        .rebuild()
        .with_page(9)
        .rebuild(&|_| {}, &stop)
        .await
        .unwrap();
    assert!(
        matches!(
            rebuilt,
            Rebuilt::Switched {
                generation: 2,
                previous: Some(1),
                ..
            }
        ),
        "{rebuilt:?}"
    );
    writing.await.unwrap();
    let last = process.log.head().await.unwrap();
    // The runner wakes by the log alone: nobody moves the clock.
    handle
        .status
        .wait_for(|status| status.position == last && status.generation == 2)
        .await
        .unwrap();
    assert_eq!(handle.status.borrow().state, RunnerState::UpToDate);
    assert_eq!(process.digest().await.rows, 200);
    go_on.send(true).unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_runner_polls_where_a_wake_up_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Process::start(folder.path());
    append(&*writer.log, 0).await;
    // A reader of the same file gets no wake-ups.
    let reader =
        Arc::new(SqliteEventStore::open_read_only(&folder.path().join("events.db")).unwrap());
    let views = Arc::new(MemoryViewStore::new());
    let clock = clock();
    let (go_on, stop) = watch::channel(false);
    let rebuild = Rebuild::new(view(), reader.clone(), views.clone(), clock.clone());
    rebuild.ensure_live(&|_| {}, &stop).await.unwrap();
    let (runner, mut handle) = Runner::new(
        view(),
        reader,
        views,
        clock.clone(),
        RunnerSettings::default(),
    );
    let running = tokio::spawn(runner.run(stop));
    handle
        .status
        .wait_for(|status| status.events == 1)
        .await
        .unwrap();
    append(&*writer.log, 1).await;
    let now = clock.monotonic();
    while handle.status.borrow().events < 2 {
        clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert!(clock.monotonic() > now);
    go_on.send(true).unwrap();
    running.await.unwrap().unwrap();
}
