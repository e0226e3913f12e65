//! The engine over fakes: a toy view that counts, groups, and fails when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::record::{Envelope, Recorded};
use domain::stream::Category;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;

use super::*;
use crate::ports::*;
use crate::rebuild::{Rebuild, Rebuilt, Verified};
use crate::testing::{FakeLog, FakeStore, Fault, StillClock, stream};
use crate::view::{ApplyError, TypedRow, View, find, load, save};
use crate::wait::Waited;

const TABLES: &[TableSpec] = &[
    TableSpec {
        name: "member",
        columns: &[ColumnSpec::text("team")],
        indexes: &[&["team"]],
    },
    TableSpec {
        name: "team",
        columns: &[],
        indexes: &[],
    },
];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Member {
    stream: String,
    team: String,
    sum: i64,
    seen: Vec<i64>,
}

impl TypedRow for Member {
    const TABLE: &'static TableSpec = &TABLES[0];
    fn key(&self) -> String {
        self.stream.clone()
    }
    fn cells(&self) -> Vec<Cell> {
        vec![self.team.as_str().into()]
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Team {
    name: String,
    size: usize,
}

impl TypedRow for Team {
    const TABLE: &'static TableSpec = &TABLES[1];
    fn key(&self) -> String {
        self.name.clone()
    }
    fn cells(&self) -> Vec<Cell> {
        vec![]
    }
}

/// Sums `add` per quote and, when it mixes streams, counts the members of each team.
struct Toy {
    version: u32,
    mixes: bool,
    /// Poison with an amount below this is taken in.
    tolerates: Arc<AtomicI64>,
}

impl View for Toy {
    fn spec(&self) -> ViewSpec {
        ViewSpec {
            name: "toy",
            version: self.version,
            tables: TABLES,
        }
    }

    fn reads(&self) -> &'static [Category] {
        &[Category::Quote]
    }

    fn stream_local(&self) -> bool {
        !self.mixes
    }

    fn apply(
        &self,
        event: &Recorded,
        envelope: &Envelope,
        rows: &mut dyn Rows,
    ) -> Result<(), ApplyError> {
        let key = event.stream.as_str();
        let empty = Member {
            stream: key.into(),
            team: String::new(),
            sum: 0,
            seen: vec![],
        };
        let mut member: Member = load(rows, key)?.unwrap_or(empty);
        let add = envelope.data["add"].as_i64().unwrap_or(0);
        member.sum += add;
        member.seen.push(add);
        member.team = envelope.data["team"].as_str().unwrap_or("none").to_owned();
        save(rows, &member)?;
        if envelope.event_type == "Poison" && add >= self.tolerates.load(Ordering::Relaxed) {
            return Err(ApplyError::Impossible("poison".into()));
        }
        if self.mixes {
            let members: Vec<Member> = find(rows, "team", member.team.as_str())?;
            save(
                rows,
                &Team {
                    name: member.team,
                    size: members.len(),
                },
            )?;
        }
        Ok(())
    }
}

struct World {
    log: Arc<FakeLog>,
    store: Arc<FakeStore>,
    tolerates: Arc<AtomicI64>,
    mixes: bool,
    version: u32,
    // Kept alive, because a dropped sender means stop.
    go_on: watch::Sender<bool>,
}

impl World {
    fn new(mixes: bool) -> Self {
        Self {
            log: Arc::new(FakeLog::new(7, 0)),
            store: Arc::new(FakeStore::default()),
            tolerates: Arc::default(),
            mixes,
            version: 1,
            go_on: watch::channel(false).0,
        }
    }

    fn view(&self) -> Arc<dyn View> {
        Arc::new(Toy {
            version: self.version,
            mixes: self.mixes,
            tolerates: Arc::clone(&self.tolerates),
        })
    }

    fn rebuild(&self) -> Rebuild {
        Rebuild::new(
            self.view(),
            self.log.clone(),
            self.store.clone(),
            Arc::new(StillClock),
        )
    }

    async fn runner(&self, page: usize) -> (Runner, Handle) {
        self.rebuild()
            .ensure_live(&|_| {}, &self.stop())
            .await
            .unwrap();
        let settings = RunnerSettings {
            page,
            ..RunnerSettings::default()
        };
        Runner::new(
            self.view(),
            self.log.clone(),
            self.store.clone(),
            Arc::new(StillClock),
            settings,
        )
    }

    fn stop(&self) -> Stop {
        self.go_on.subscribe()
    }

    async fn catch_up(&self, page: usize) {
        let (mut runner, _) = self.runner(page).await;
        while runner.step().await.unwrap() == Step::Moved {}
    }

    async fn digest(&self) -> ViewDigest {
        self.store
            .digest(&self.view().spec(), At::Live)
            .await
            .unwrap()
    }

    async fn member(&self, name: &str) -> Option<Member> {
        let row = self
            .store
            .get(&self.view().spec(), At::Live, "member", name)
            .await
            .unwrap();
        row.map(|row| serde_json::from_slice(&row.body).unwrap())
    }

    async fn parked(&self) -> Vec<Parked> {
        self.store
            .parked(&self.view().spec(), At::Live)
            .await
            .unwrap()
    }

    async fn release(&self, name: &str) -> Released {
        let (log, store) = (self.log.clone(), self.store.clone());
        release(self.view(), log, store, Arc::new(StillClock), &stream(name))
            .await
            .unwrap()
    }
}

/// Stream, team, amount, poison.
type Told = (u8, u8, i64, bool);

fn tell(log: &FakeLog, told: &[Told]) {
    for (number, team, add, poison) in told {
        let event_type = if *poison { "Poison" } else { "Added" };
        log.append_to(
            &format!("quote-{number}"),
            event_type,
            json!({ "add": add, "team": format!("t{team}") }),
        );
    }
}

fn history() -> impl Strategy<Value = Vec<Told>> {
    let poison = prop::bool::weighted(0.05);
    prop::collection::vec((0..6u8, 0..3u8, 0..100i64, poison), 0..120)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_page_size_gives_the_same_rows(told in history(), page in 1..40usize, mixes: bool) {
        block_on(async {
            let digest = async |page| {
                let world = World::new(mixes);
                world.tolerates.store(if mixes { i64::MAX } else { 0 }, Ordering::Relaxed);
                tell(&world.log, &told);
                world.catch_up(page).await;
                world.digest().await
            };
            assert_eq!(digest(page).await, digest(10_000).await);
        });
    }

    #[test]
    fn a_crash_at_any_page_is_resumed(told in history(), page in 1..20usize, faults in prop::collection::vec(any::<(bool, bool)>(), 0..30)) {
        block_on(async {
            let calm = World::new(false);
            tell(&calm.log, &told);
            calm.catch_up(page).await;

            let world = World::new(false);
            tell(&world.log, &told);
            for (fails, after) in faults {
                let (mut runner, _) = world.runner(page).await;
                if fails {
                    world.store.fail_next(if after { Fault::AfterCommit } else { Fault::BeforeCommit });
                    // With nothing left to read there is no transaction that could fail.
                    let _ = runner.step().await;
                } else {
                    runner.step().await.unwrap();
                }
            }
            let left = World { store: Arc::clone(&world.store), ..world };
            while left.runner(page).await.0.step().await.is_err() {}
            left.catch_up(page).await;
            assert_eq!(left.digest().await, calm.digest().await);
        });
    }

    #[test]
    fn a_rebuild_gives_the_live_rows_byte_for_byte(told in history(), page in 1..30usize) {
        block_on(async {
            let world = World::new(false);
            tell(&world.log, &told);
            world.catch_up(3).await;
            let before = world.digest().await;
            let rebuild = world.rebuild().with_page(page);
            assert_eq!(rebuild.verify(&|_| {}, &world.stop()).await.unwrap(), Verified::Equal(before.clone()));
            let rebuilt = rebuild.rebuild(&|_| {}, &world.stop()).await.unwrap();
            assert!(matches!(rebuilt, Rebuilt::Switched { previous: Some(1), .. }), "{rebuilt:?}");
            assert_eq!(world.digest().await, before);
        });
    }
}

#[tokio::test]
async fn a_poison_event_holds_only_its_own_stream() {
    let world = World::new(false);
    tell(
        &world.log,
        &[
            (1, 0, 1, false),
            (2, 0, 1, false),
            (1, 0, 10, true),
            (2, 0, 2, false),
            (1, 0, 3, false),
        ],
    );
    world.catch_up(2).await;
    assert_eq!(world.member("quote-1").await.unwrap().seen, [1]);
    assert_eq!(world.member("quote-2").await.unwrap().seen, [1, 2]);
    let parked = world.parked().await;
    assert_eq!(parked.len(), 1);
    assert_eq!(
        (parked[0].stream.as_str(), parked[0].version.0),
        ("quote-1", 1)
    );
    assert_eq!(parked[0].error, "poison");
    let position = world.log.last_position();
    assert_eq!(
        world
            .digest()
            .await
            .checkpoint
            .map(|checkpoint| checkpoint.position),
        position
    );
}

#[tokio::test]
async fn a_released_stream_takes_in_what_waited_in_order() {
    let world = World::new(false);
    tell(
        &world.log,
        &[
            (1, 0, 1, false),
            (1, 0, 10, true),
            (2, 0, 2, false),
            (1, 0, 3, false),
        ],
    );
    world.catch_up(1).await;
    assert_eq!(world.release("quote-2").await, Released::NotParked);
    assert!(
        matches!(world.release("quote-1").await, Released::ParkedAgain(parked) if parked.version.0 == 1)
    );
    world.tolerates.store(i64::MAX, Ordering::Relaxed);
    assert_eq!(
        world.release("quote-1").await,
        Released::Flowing { events: 2 }
    );
    assert_eq!(world.member("quote-1").await.unwrap().seen, [1, 10, 3]);
    assert_eq!(world.release("quote-1").await, Released::NotParked);
    tell(&world.log, &[(1, 0, 4, false)]);
    world.catch_up(10).await;
    assert_eq!(world.member("quote-1").await.unwrap().seen, [1, 10, 3, 4]);
    let verified = world
        .rebuild()
        .verify(&|_| {}, &world.stop())
        .await
        .unwrap();
    assert!(matches!(verified, Verified::Equal(_)), "{verified:?}");
}

#[tokio::test]
async fn a_released_stream_parks_again_where_it_fails_next() {
    let world = World::new(false);
    tell(
        &world.log,
        &[
            (1, 0, 10, true),
            (1, 0, 1, false),
            (1, 0, 20, true),
            (1, 0, 2, false),
        ],
    );
    world.catch_up(1).await;
    assert_eq!(world.parked().await[0].version.0, 0);
    world.tolerates.store(15, Ordering::Relaxed);
    assert!(
        matches!(world.release("quote-1").await, Released::ParkedAgain(parked) if parked.version.0 == 2)
    );
    assert_eq!(world.member("quote-1").await.unwrap().seen, [10, 1]);
    world.tolerates.store(i64::MAX, Ordering::Relaxed);
    assert_eq!(
        world.release("quote-1").await,
        Released::Flowing { events: 2 }
    );
    assert_eq!(world.member("quote-1").await.unwrap().seen, [10, 1, 20, 2]);
}

#[tokio::test]
async fn a_view_that_mixes_streams_stops_at_poison_and_keeps_nothing_of_the_page() {
    let world = World::new(true);
    tell(
        &world.log,
        &[(1, 0, 1, false), (2, 0, 2, false), (1, 0, 10, true)],
    );
    let (mut runner, handle) = world.runner(1_000).await;
    let error = runner.step().await.unwrap_err();
    assert!(!error.is_outage());
    assert_eq!(
        error.to_string().split(" at ").next(),
        Some("event 1 of quote-1")
    );
    let status = handle.status.borrow().clone();
    assert_eq!((status.state, status.position), (RunnerState::Failed, None));
    assert!(status.last_error.unwrap().contains("poison"));
    assert_eq!(world.digest().await.rows, 0);
    // Everything before the event can be taken in.
    world.tolerates.store(i64::MAX, Ordering::Relaxed);
    world.catch_up(1_000).await;
    assert_eq!(world.member("quote-1").await.unwrap().seen, [1, 10]);
}

#[tokio::test]
async fn the_fence_stops_one_of_two_runners() {
    let world = World::new(false);
    tell(
        &world.log,
        &[(1, 0, 1, false), (1, 0, 2, false), (1, 0, 3, false)],
    );
    let (mut first, _) = world.runner(1).await;
    let (mut second, _) = world.runner(1).await;
    assert_eq!(first.step().await.unwrap(), Step::Moved);
    assert_eq!(second.step().await.unwrap(), Step::Moved);
    let error = first.step().await.unwrap_err();
    assert!(
        matches!(error, FeedError::Store(ViewStoreError::Fenced { .. })),
        "{error:?}"
    );
    assert_eq!(second.step().await.unwrap(), Step::Moved);
    assert_eq!(world.member("quote-1").await.unwrap().seen, [1, 2, 3]);
}

#[tokio::test]
async fn a_log_that_was_forked_or_restored_is_refused() {
    let world = World::new(false);
    tell(&world.log, &[(1, 0, 1, false), (2, 0, 2, false)]);
    world.catch_up(10).await;
    let forked = world.log.forked(1);
    tell(&forked, &[(2, 0, 3, false), (1, 0, 4, false)]);
    for log in [
        FakeLog::new(8, 0),
        FakeLog::new(7, 1),
        world.log.forked(1),
        forked,
    ] {
        let other = World {
            log: Arc::new(log),
            store: Arc::clone(&world.store),
            ..World::new(false)
        };
        let (mut runner, _) = other.runner(10).await;
        let error = runner.step().await.unwrap_err();
        assert!(
            error.to_string().contains("log forked or restored"),
            "{error}"
        );
    }
    assert_eq!(world.member("quote-2").await.unwrap().seen, [2]);
}

#[tokio::test]
async fn the_checkpoint_moves_past_events_of_no_interest() {
    let world = World::new(false);
    world
        .log
        .append_to("delivery-x", "DeliverySucceeded", json!({}));
    world.log.append_to("delivery-x", "Nonsense", json!({}));
    let (mut runner, handle) = world.runner(1).await;
    runner.step().await.unwrap();
    let status = handle.status.borrow().clone();
    assert_eq!(
        (status.state, status.behind),
        (RunnerState::CatchingUp, Some(1))
    );
    assert!(status.lag > Duration::ZERO);
    runner.step().await.unwrap();
    let status = handle.status.borrow().clone();
    assert_eq!(
        (status.state, status.behind, status.lag),
        (RunnerState::UpToDate, Some(0), Duration::ZERO)
    );
    assert_eq!(runner.step().await.unwrap(), Step::Idle);
    assert_eq!(world.digest().await.rows, 0);
}

#[tokio::test]
async fn a_stopped_rebuild_goes_on_where_it_was_and_readers_see_only_the_whole() {
    let world = World::new(false);
    let told: Vec<Told> = (0..20).map(|n| (n % 3, 0, i64::from(n), false)).collect();
    tell(&world.log, &told);
    world.catch_up(50).await;
    let before = world.digest().await;

    let (say_stop, stop) = watch::channel(false);
    let rebuild = world.rebuild().with_page(5);
    let stopped = rebuild
        .rebuild(&|_| say_stop.send(true).unwrap(), &stop)
        .await
        .unwrap();
    assert_eq!(stopped, Rebuilt::Stopped { generation: 2 });
    assert_eq!(world.digest().await, before);
    assert_eq!(
        world
            .store
            .standing(&world.view().spec(), At::Live)
            .await
            .unwrap()
            .generation,
        1
    );

    let seen = std::sync::Mutex::new(vec![]);
    let note = |progress: &crate::rebuild::RebuildProgress| {
        seen.lock().unwrap().push((progress.events, progress.left))
    };
    let switched = rebuild.rebuild(&note, &world.stop()).await.unwrap();
    assert_eq!(
        switched,
        Rebuilt::Switched {
            generation: 2,
            previous: Some(1),
            events: 15
        }
    );
    assert_eq!(
        seen.into_inner().unwrap(),
        [(5, Some(10)), (10, Some(5)), (15, Some(0))]
    );
    assert_eq!(world.digest().await, before);
}

#[tokio::test]
async fn a_runner_follows_the_live_generation() {
    let world = World::new(false);
    tell(&world.log, &[(1, 0, 1, false)]);
    let (mut runner, handle) = world.runner(10).await;
    runner.step().await.unwrap();
    tell(&world.log, &[(1, 0, 2, false)]);
    world
        .rebuild()
        .rebuild(&|_| {}, &world.stop())
        .await
        .unwrap();
    tell(&world.log, &[(1, 0, 3, false)]);
    runner.step().await.unwrap();
    assert_eq!(handle.status.borrow().generation, 2);
    assert_eq!(world.member("quote-1").await.unwrap().seen, [1, 2, 3]);
}

#[tokio::test]
async fn another_version_of_the_code_rebuilds_before_it_runs() {
    let mut world = World::new(false);
    tell(&world.log, &[(1, 0, 1, false)]);
    world.catch_up(10).await;
    world.version = 2;
    let settings = RunnerSettings::default();
    let (mut runner, _) = Runner::new(
        world.view(),
        world.log.clone(),
        world.store.clone(),
        Arc::new(StillClock),
        settings,
    );
    let error = runner.step().await.unwrap_err();
    assert!(
        matches!(
            error,
            FeedError::Store(ViewStoreError::OtherVersion {
                stored: 1,
                code: 2,
                ..
            })
        ),
        "{error:?}"
    );
    let rebuilt = world
        .rebuild()
        .ensure_live(&|_| {}, &world.stop())
        .await
        .unwrap();
    assert_eq!(
        rebuilt,
        Some(Rebuilt::Switched {
            generation: 2,
            previous: Some(1),
            events: 1
        })
    );
    assert_eq!(
        world
            .rebuild()
            .ensure_live(&|_| {}, &world.stop())
            .await
            .unwrap(),
        None
    );
    world.catch_up(10).await;
}

#[tokio::test]
async fn a_row_that_the_log_does_not_explain_is_found() {
    let world = World::new(false);
    tell(&world.log, &[(1, 0, 1, false), (2, 0, 1, false)]);
    world.catch_up(10).await;
    let honest = world
        .store
        .get(&world.view().spec(), At::Live, "member", "quote-1")
        .await
        .unwrap()
        .unwrap();
    world.store.tamper(
        "quote-1",
        br#"{"seen":[9],"stream":"quote-1","sum":9,"team":"t0"}"#,
    );
    let verified = world
        .rebuild()
        .verify(&|_| {}, &world.stop())
        .await
        .unwrap();
    assert!(
        matches!(verified, Verified::Different { .. }),
        "{verified:?}"
    );
    world.store.tamper("quote-1", &honest.body);
    let verified = world
        .rebuild()
        .verify(&|_| {}, &world.stop())
        .await
        .unwrap();
    assert!(matches!(verified, Verified::Equal(_)), "{verified:?}");
    assert_eq!(world.store.generations().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_waiter_learns_when_its_event_is_in_the_rows() {
    let world = World::new(false);
    tell(&world.log, &[(1, 0, 1, false), (1, 0, 2, false)]);
    let wanted = world.log.last_position().unwrap();
    let (mut runner, handle) = world.runner(1).await;
    let wait = async |at| {
        handle
            .progress
            .wait_for(at, Duration::from_secs(1), &StillClock)
            .await
    };
    assert_eq!(wait(wanted).await, Waited::TimedOut);
    runner.step().await.unwrap();
    assert_eq!(wait(wanted).await, Waited::TimedOut);
    runner.step().await.unwrap();
    assert_eq!(wait(wanted).await, Waited::Reached);
    assert_eq!(world.member("quote-1").await.unwrap().sum, 3);
    assert_eq!(
        wait(
            FakeLog::new(8, 0)
                .append_to("quote-1", "Added", json!({}))
                .position
        )
        .await,
        Waited::OtherLog
    );
    let mut changes = handle.progress.clone();
    assert_eq!(changes.changed().await, Some(wanted));
    drop(runner);
    assert_eq!(changes.changed().await, None);
    tell(&world.log, &[(1, 0, 3, false)]);
    assert_eq!(
        wait(world.log.last_position().unwrap()).await,
        Waited::Stopped
    );
}

#[tokio::test]
async fn a_runner_waits_for_an_outage_and_stops_when_told() {
    let world = World::new(false);
    tell(&world.log, &[(1, 0, 1, false)]);
    let (runner, mut handle) = world.runner(10).await;
    world.store.fail_next(Fault::BeforeCommit);
    let running = tokio::spawn(runner.run(world.stop()));
    handle
        .status
        .wait_for(|status| status.state == RunnerState::Waiting)
        .await
        .unwrap();
    handle
        .status
        .wait_for(|status| status.state == RunnerState::UpToDate)
        .await
        .unwrap();
    tell(&world.log, &[(1, 0, 2, false)]);
    handle
        .status
        .wait_for(|status| status.events == 2)
        .await
        .unwrap();
    world.go_on.send(true).unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(handle.status.borrow().state, RunnerState::Stopped);
    assert_eq!(world.member("quote-1").await.unwrap().seen, [1, 2]);
}
