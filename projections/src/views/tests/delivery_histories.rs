//! Any history of subscribers, payments and outcomes, against a model that is told in ten lines.

use std::collections::{BTreeMap, BTreeSet};

use domain::delivery::event::{DeadReason, FailureClass, OurFault, Pair};
use domain::delivery::id::delivery_id;
use domain::delivery::{Consumer, Event as Outcome, PullCursor};
use domain::outbound::EventName;
use domain::subscriber::{self, BatchOrder, DeliveryBatch, FailedFilter, PausedWhy, Wants, Wish};

use super::super::delivery_queue::{
    BatchRow, BatchState, DeliveryQueueView, DeliveryRow, QueueState, SubscriberRow,
};
use super::*;

const NAMES: [&str; 3] = ["crm", "erp", "desk"];

#[derive(Debug, Clone)]
enum Turn {
    /// A subscriber comes, asking for exceptions or not.
    Register(usize, bool),
    /// It asks for exceptions, or no longer.
    OptIn(usize, bool),
    /// It wants everything that happened so far.
    Backfill(usize),
    /// It is paused and resumed, which changes no row.
    Pause(usize),
    /// It goes for good.
    Remove(usize),
    /// A payment is created, paid, and expires or is told about once more, one step each time.
    Payment(char),
    /// The n-th open delivery ends or fails.
    Outcome(usize, End),
    /// Somebody decides everything that failed for it in one go.
    Batch(usize),
    /// The turn of the n-th delivery of any batch comes.
    Carry(usize),
    /// The n-th batch is cancelled.
    Cancel(usize),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Arrives,
    Fails,
    Dies,
    DiesAndIsRedriven,
    IsOurFault,
    IsAbandoned,
    IsPulled,
}

fn turn() -> impl Strategy<Value = Turn> {
    let who = 0..NAMES.len();
    prop_oneof![
        2 => (who.clone(), any::<bool>()).prop_map(|(who, opt_in)| Turn::Register(who, opt_in)),
        1 => (who.clone(), any::<bool>()).prop_map(|(who, opt_in)| Turn::OptIn(who, opt_in)),
        1 => who.clone().prop_map(Turn::Backfill),
        1 => who.clone().prop_map(Turn::Pause),
        1 => who.prop_map(Turn::Remove),
        8 => prop::char::range('a', 'c').prop_map(Turn::Payment),
        5 => (0..6usize, end()).prop_map(|(which, end)| Turn::Outcome(which, end)),
        2 => (0..NAMES.len()).prop_map(Turn::Batch),
        2 => (0..4usize).prop_map(Turn::Carry),
        1 => (0..3usize).prop_map(Turn::Cancel),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => Just(End::Arrives),
        2 => Just(End::Fails),
        1 => Just(End::Dies),
        1 => Just(End::DiesAndIsRedriven),
        1 => Just(End::IsOurFault),
        1 => Just(End::IsAbandoned),
        1 => Just(End::IsPulled),
    ]
}

/// What the test itself knows of a subscriber.
#[derive(Clone)]
struct Known {
    opt_in: bool,
    removed: bool,
}

#[derive(Default)]
struct Model {
    subscribers: BTreeMap<usize, Known>,
    /// How far each payment is.
    payments: BTreeMap<char, usize>,
    /// Subscriber, payment and place of every delivery that must exist.
    expected: BTreeSet<(String, String, u64)>,
    /// What was told so far, and whether only those who asked for exceptions hear it.
    told: Vec<(char, usize, bool)>,
    /// How many batches there were.
    batches: usize,
}

impl Model {
    fn told(&mut self, letter: char, version: usize, opt_in: bool) {
        self.told.push((letter, version, opt_in));
        for (who, known) in &self.subscribers {
            if !known.removed && (known.opt_in || !opt_in) {
                let subject = request_id(letter).to_string();
                self.expected
                    .insert((NAMES[*who].to_owned(), subject, version as u64));
            }
        }
    }
}

fn wants(exceptions: bool) -> Wants {
    let named = exceptions.then_some(Wish::Named(EventName::ExceptionOpened));
    Wants {
        events: std::iter::once(Wish::Ordinary).chain(named).collect(),
        scenarios: None,
    }
}

async fn rows(log: &Arc<FakeLog>) -> Vec<DeliveryRow> {
    let filled = filled(Arc::new(DeliveryQueueView), log, 50).await;
    assert_eq!(filled.parked().await, [""; 0]);
    filled.all().await
}

async fn batches(log: &Arc<FakeLog>) -> Vec<BatchRow> {
    filled(Arc::new(DeliveryQueueView), log, 50)
        .await
        .all()
        .await
}

/// Each delivery that a batch took in is done, skipped, or still waits in it and in no other.
fn assert_counted(batches: &[BatchRow], rows: &[DeliveryRow]) {
    for batch in batches {
        let waiting = rows
            .iter()
            .filter(|row| row.batch.as_ref() == Some(&batch.id));
        let waiting = u64::try_from(waiting.count()).unwrap();
        match batch.state {
            BatchState::Running => assert_eq!(batch.left(), waiting, "{batch:?}"),
            BatchState::Finished | BatchState::Cancelled => assert_eq!(waiting, 0, "{batch:?}"),
        }
        assert!(batch.done + batch.skipped <= batch.total, "{batch:?}");
    }
    for row in rows.iter().filter(|row| row.batch.is_some()) {
        let failed = matches!(
            row.state,
            QueueState::DeadLettered | QueueState::Quarantined
        );
        assert!(failed, "{row:?}");
    }
}

async fn play(log: &Arc<FakeLog>, model: &mut Model, turn: &Turn) {
    let stream = |who: usize| format!("subscriber-{}", NAMES[who]);
    match *turn {
        Turn::Register(who, wanted) if !model.subscribers.contains_key(&who) => {
            let registered = subscriber::Event::Registered {
                id: SubscriberId::parse(NAMES[who]).unwrap(),
                merchant: MerchantId::parse("shop").unwrap(),
                url: Some("https://a.example/hook".into()),
                wants: wants(wanted),
            };
            tell(log, &stream(who), &registered);
            model.subscribers.insert(
                who,
                Known {
                    opt_in: wanted,
                    removed: false,
                },
            );
        }
        Turn::OptIn(who, wanted) => {
            if let Some(known) = model.subscribers.get_mut(&who) {
                known.opt_in = wanted;
                tell(
                    log,
                    &stream(who),
                    &subscriber::Event::SubscriptionChanged {
                        wants: wants(wanted),
                    },
                );
            }
        }
        Turn::Backfill(who) => {
            if let Some(known) = model.subscribers.get(&who).cloned() {
                let (from, to) = (at(0), at(10_000_000_000));
                let subjects = BTreeSet::new();
                let wanted = subscriber::Event::BackfillRequested { from, to, subjects };
                tell(log, &stream(who), &wanted);
                for (letter, version, opt_in) in &model.told {
                    if known.opt_in || !opt_in {
                        let subject = request_id(*letter).to_string();
                        let place = (NAMES[who].to_owned(), subject, *version as u64);
                        model.expected.insert(place);
                    }
                }
            }
        }
        Turn::Pause(who) if model.subscribers.contains_key(&who) => {
            tell(
                log,
                &stream(who),
                &subscriber::Event::Paused {
                    why: PausedWhy::Operator,
                },
            );
            tell(log, &stream(who), &subscriber::Event::Resumed {});
        }
        Turn::Remove(who) => {
            if let Some(known) = model.subscribers.get_mut(&who) {
                known.removed = true;
                tell(log, &stream(who), &subscriber::Event::Removed {});
            }
        }
        Turn::Payment(letter) => {
            let version = *model.payments.entry(letter).or_default();
            model.payments.insert(letter, version + 1);
            let number = u32::try_from(version).unwrap();
            let event = match version {
                0 => created(letter),
                1 => started(1, 600),
                2 => captured(1, "t1", 1_000, 0),
                3 => verified(),
                _ => opened(letter, number, None),
            };
            tell_all(log, letter, std::slice::from_ref(&event));
            match version {
                0..=2 => {}
                3 => model.told(letter, version, false),
                _ => model.told(letter, version, true),
            }
        }
        Turn::Outcome(which, end) => {
            let fetched = matches!(end, End::IsPulled);
            let may = |state| state == QueueState::Due || (fetched && !ended(state));
            let mut open = rows(log).await.into_iter().filter(|row| may(row.state));
            if let Some(row) = open.nth(which) {
                finish(log, &row, end);
            }
        }
        Turn::Batch(who) => {
            if model.subscribers.contains_key(&who) {
                model.batches += 1;
                let letter = char::from(b'a' + u8::try_from(model.batches % 26).unwrap());
                let number = format!("{}{}", letter, "b".repeat(model.batches / 26));
                let id = format!("bat_{number:a<26}");
                let batch = DeliveryBatch {
                    id: BatchId::parse(id).unwrap(),
                    order: BatchOrder::Redrive,
                    which: FailedFilter::default(),
                    per_second: 1,
                };
                let requested = subscriber::Event::BatchRequested { batch };
                tell(log, &stream(who), &requested);
            }
        }
        Turn::Carry(which) => {
            let mut waiting = rows(log)
                .await
                .into_iter()
                .filter(|row| row.batch.is_some());
            if let Some(row) = waiting.nth(which) {
                let of = Pair {
                    subscriber: row.subscriber.clone(),
                    event_id: row.event_id,
                };
                let redriven = Outcome::Redriven {
                    of,
                    generation: row.generation + 1,
                    batch: row.batch.clone(),
                };
                tell(log, &format!("delivery-{}", row.id), &redriven);
            }
        }
        Turn::Cancel(which) => {
            if let Some(batch) = batches(log).await.into_iter().nth(which) {
                let cancelled = subscriber::Event::BatchCancelled { batch: batch.id };
                tell(log, &format!("subscriber-{}", batch.subscriber), &cancelled);
            }
        }
        Turn::Register(..) | Turn::Pause(_) => {}
    }
}

fn finish(log: &FakeLog, row: &DeliveryRow, end: End) {
    let of = Pair {
        subscriber: row.subscriber.clone(),
        event_id: row.event_id,
    };
    assert_eq!(row.id, delivery_id(&of.subscriber, of.event_id));
    let stream = format!("delivery-{}", row.id);
    let (attempts, generation, http_status) = (row.attempts + 1, row.generation, Some(500));
    let dead = Outcome::DeadLettered {
        of: of.clone(),
        reason: DeadReason::Rejected,
        attempts,
        generation,
        http_status,
        class: None,
        tried: None,
    };
    match end {
        End::Arrives => {
            let succeeded = Outcome::Succeeded {
                of,
                attempt_no: attempts,
                generation,
                http_status: 200,
                latency_ms: 3,
                body_sha256: row.body_sha256,
                key_ids: vec![],
                sent_at: at(5),
                receiver_ref: None,
                endpoint_url_sha256: None,
            };
            tell(log, &stream, &succeeded);
        }
        End::Fails => {
            let (class, next_try_at) = (FailureClass::ServerError, at(99));
            let attempt_no = attempts;
            let failed = Outcome::AttemptFailed {
                of,
                attempt_no,
                generation,
                class,
                http_status,
                next_try_at,
                tried: None,
            };
            tell(log, &stream, &failed);
        }
        End::Dies => tell(log, &stream, &dead),
        End::DiesAndIsRedriven => {
            tell(log, &stream, &dead);
            tell(
                log,
                &stream,
                &Outcome::Redriven {
                    of,
                    generation: generation + 1,
                    batch: None,
                },
            );
        }
        End::IsOurFault => {
            let fault = OurFault::CrashLoop;
            tell(
                log,
                &stream,
                &Outcome::Quarantined {
                    of,
                    fault,
                    attempts: row.attempts,
                    generation,
                },
            );
        }
        End::IsAbandoned => tell(log, &stream, &Outcome::Abandoned { of, batch: None }),
        End::IsPulled => {
            let consumer = Consumer::Client(ClientId::parse("box").unwrap());
            let cursor = PullCursor {
                ordinal: row.ordinal,
                delivery: row.id.clone(),
            };
            let fetched = Outcome::AcknowledgedByPull {
                of,
                cursor,
                consumer,
            };
            tell(log, &stream, &fetched);
        }
    }
}

fn ended(state: QueueState) -> bool {
    matches!(
        state,
        QueueState::Delivered
            | QueueState::Abandoned
            | QueueState::Acknowledged
            | QueueState::SubscriberRemoved
    )
}

/// Per subscriber and payment, of those that have not ended, in the order in which they came to be: at
/// most one that may be tried, then held ones. What is sent ends in this order; what is fetched may not.
fn assert_in_order(rows: &[DeliveryRow]) {
    let mut families: BTreeMap<(String, String), Vec<&DeliveryRow>> = BTreeMap::new();
    for row in rows {
        families
            .entry((row.subscriber.to_string(), row.subject.clone()))
            .or_default()
            .push(row);
    }
    for family in families.values_mut() {
        family.sort_by_key(|row| row.ordinal);
        let open: Vec<QueueState> = family
            .iter()
            .map(|row| row.state)
            .filter(|state| !ended(*state))
            .collect();
        if let Some((first, others)) = open.split_first() {
            assert_ne!(*first, QueueState::Held, "{open:?}");
            assert!(
                others.iter().all(|state| *state == QueueState::Held),
                "{open:?}"
            );
        }
    }
}

async fn left_alone_until(log: &Arc<FakeLog>) -> Option<Timestamp> {
    let filled = filled(Arc::new(DeliveryQueueView), log, 50).await;
    assert_eq!(filled.parked().await, [""; 0]);
    let row: SubscriberRow = filled.reader().get("crm").await.unwrap().unwrap();
    row.breaker.probe_at()
}

#[tokio::test]
async fn a_subscriber_in_trouble_is_left_alone_until_it_answers_or_somebody_looks_after_it() {
    let (log, mut model) = (log(), Model::default());
    let mut turns = vec![Turn::Register(0, false)];
    turns.extend(
        ['a', 'b']
            .into_iter()
            .flat_map(|letter| vec![Turn::Payment(letter); 4]),
    );
    turns.extend([0, 1, 0, 1].map(|which| Turn::Outcome(which, End::Fails)));
    for turn in &turns {
        play(&log, &mut model, turn).await;
    }
    assert_eq!(left_alone_until(&log).await, None);
    play(&log, &mut model, &Turn::Outcome(0, End::Fails)).await;
    assert!(left_alone_until(&log).await.is_some());
    tell(
        &log,
        "subscriber-crm",
        &subscriber::Event::Paused {
            why: PausedWhy::Operator,
        },
    );
    assert!(left_alone_until(&log).await.is_some());
    tell(&log, "subscriber-crm", &subscriber::Event::Resumed {});
    assert_eq!(left_alone_until(&log).await, None);
    for which in [0, 1, 0, 1, 0] {
        play(&log, &mut model, &Turn::Outcome(which, End::Fails)).await;
    }
    assert!(left_alone_until(&log).await.is_some());
    play(&log, &mut model, &Turn::Outcome(1, End::Arrives)).await;
    assert_eq!(left_alone_until(&log).await, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_history_gives_exactly_the_pairs_in_their_order_and_a_rebuild_the_same_bytes(
        turns in prop::collection::vec(turn(), 0..50),
        page in 1..20usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (log, mut model) = (log(), Model::default());
            for turn in &turns {
                play(&log, &mut model, turn).await;
            }
            let rows = rows(&log).await;
            let told = |row: &DeliveryRow| (row.subscriber.to_string(), row.subject.clone(), row.sequence.0);
            assert_eq!(rows.iter().map(told).collect::<BTreeSet<_>>(), model.expected);
            assert_in_order(&rows);
            assert_counted(&batches(&log).await, &rows);
            let gone = |row: &DeliveryRow| {
                let who = NAMES.iter().position(|name| *name == row.subscriber.as_str());
                model.subscribers[&who.unwrap()].removed
            };
            for row in &rows {
                let pending = matches!(row.state, QueueState::Due | QueueState::Held);
                assert!(!(pending && gone(row)), "nothing is to be sent to who is gone: {row:?}");
                assert!(row.state != QueueState::SubscriberRemoved || gone(row), "{row:?}");
            }

            let view: Arc<dyn View> = Arc::new(DeliveryQueueView);
            let small = filled(Arc::clone(&view), &log, page).await;
            let digest = small.store.digest(&view.spec(), At::Live).await.unwrap();
            let rebuild = Rebuild::new(view, log, small.store.clone(), Arc::new(StillClock)).with_page(7);
            let (_go_on, stop) = tokio::sync::watch::channel(false);
            assert_eq!(rebuild.verify(&|_| {}, &stop).await.unwrap(), Verified::Equal(digest));
        });
    }
}
