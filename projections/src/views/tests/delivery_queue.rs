use domain::delivery::event::{DeadReason, FailureClass, Pair};
use domain::delivery::id::delivery_id;
use domain::delivery::{Consumer, Event as Outcome, FailedWhy, PullCursor};
use domain::outbound::EventName;
use domain::subscriber::{self, Wants, Wish};

use super::super::delivery_queue::{BodyRow, DeliveryQueueView, DeliveryRow, QueueState};
use super::*;

fn wants(words: &[&str]) -> Wants {
    let events = words.iter().map(|word| Wish::parse(word).unwrap());
    Wants {
        events: events.collect(),
        scenarios: None,
    }
}

pub(super) fn register(log: &FakeLog, name: &str, words: &[&str]) {
    let registered = subscriber::Event::Registered {
        id: SubscriberId::parse(name).unwrap(),
        merchant: MerchantId::parse("shop").unwrap(),
        url: Some(format!("https://{name}.example/hook")),
        wants: wants(words),
    };
    tell(log, &format!("subscriber-{name}"), &registered);
}

fn backfill(log: &FakeLog, name: &str, from: i64, to: i64, subjects: &[String]) {
    let wanted = subscriber::Event::BackfillRequested {
        from: at(from),
        to: at(to),
        subjects: subjects.iter().cloned().collect(),
    };
    tell(log, &format!("subscriber-{name}"), &wanted);
}

pub(super) fn pay(log: &FakeLog, letter: char) {
    tell_all(
        log,
        letter,
        &[
            created(letter),
            started(1, 600),
            captured(1, "st_1", 1_000, 0),
            verified(),
        ],
    );
}

pub(super) async fn rows(log: &Arc<FakeLog>) -> Vec<DeliveryRow> {
    let filled = filled(Arc::new(DeliveryQueueView), log, 3).await;
    assert_eq!(filled.parked().await, [""; 0]);
    filled.all().await
}

async fn states(log: &Arc<FakeLog>) -> Vec<(String, EventName, QueueState)> {
    let mut rows = rows(log).await;
    rows.sort_by_key(|row| (row.subscriber.clone(), row.subject.clone(), row.sequence));
    rows.into_iter()
        .map(|row| (row.subscriber.to_string(), row.name, row.state))
        .collect()
}

pub(super) fn outcome(log: &FakeLog, row: &DeliveryRow, event: impl Fn(Pair) -> Outcome) {
    let pair = Pair {
        subscriber: row.subscriber.clone(),
        event_id: row.event_id,
    };
    assert_eq!(row.id, delivery_id(&pair.subscriber, pair.event_id));
    tell(log, &format!("delivery-{}", row.id), &event(pair));
}

pub(super) fn dead(of: Pair) -> Outcome {
    let reason = DeadReason::ScheduleExhausted;
    Outcome::DeadLettered {
        of,
        reason,
        attempts: 13,
        generation: 1,
        http_status: Some(500),
        class: Some(FailureClass::ServerError),
        tried: None,
    }
}

#[tokio::test]
async fn only_those_who_were_registered_before_hear_of_it() {
    let log = log();
    register(&log, "crm", &["ordinary"]);
    pay(&log, 'a');
    register(&log, "erp", &["ordinary"]);
    pay(&log, 'b');
    let told = states(&log).await;
    assert_eq!(told.iter().filter(|(name, ..)| name == "crm").count(), 2);
    assert_eq!(told.iter().filter(|(name, ..)| name == "erp").count(), 1);
    let filled = filled(Arc::new(DeliveryQueueView), &log, 10).await;
    assert_eq!(
        filled.all::<BodyRow>().await.len(),
        2,
        "subscribers share a body"
    );
}

#[tokio::test]
async fn extraordinary_events_go_only_to_those_who_asked() {
    let log = log();
    register(&log, "crm", &["ordinary"]);
    register(&log, "desk", &["exception_opened"]);
    tell_all(&log, 'a', &[created('a'), opened('a', 1, None)]);
    assert_eq!(
        states(&log).await,
        [("desk".into(), EventName::ExceptionOpened, QueueState::Due)]
    );
}

#[tokio::test]
async fn a_later_event_of_a_payment_waits_for_the_earlier_one() {
    let log = log();
    register(&log, "desk", &["ordinary", "exception_opened"]);
    pay(&log, 'a');
    tell_all(&log, 'a', &[opened('a', 1, None)]);
    pay(&log, 'b');
    let state_of = |states: &[(String, EventName, QueueState)]| {
        states.iter().map(|(.., s)| *s).collect::<Vec<_>>()
    };
    assert_eq!(
        state_of(&states(&log).await),
        [QueueState::Due, QueueState::Held, QueueState::Due]
    );
    let first = rows(&log)
        .await
        .into_iter()
        .find(|row| row.subject == request_id('a').as_str() && row.state == QueueState::Due);
    let first = first.unwrap();
    outcome(&log, &first, dead);
    assert_eq!(
        state_of(&states(&log).await),
        [QueueState::DeadLettered, QueueState::Held, QueueState::Due]
    );
    outcome(&log, &first, |of| Outcome::Abandoned { of, batch: None });
    assert_eq!(
        state_of(&states(&log).await),
        [QueueState::Abandoned, QueueState::Due, QueueState::Due]
    );
}

#[tokio::test]
async fn what_was_fetched_frees_the_next_one_and_is_on_no_failed_list() {
    let log = log();
    register(&log, "desk", &["ordinary", "exception_opened"]);
    pay(&log, 'a');
    tell_all(&log, 'a', &[opened('a', 1, None)]);
    let mut both = rows(&log).await;
    both.sort_by_key(|row| row.ordinal);
    let fetched = |row: &DeliveryRow| {
        let cursor = PullCursor {
            ordinal: row.ordinal,
            delivery: row.id.clone(),
        };
        let consumer = Consumer::Client(ClientId::parse("box").unwrap());
        move |of| Outcome::AcknowledgedByPull {
            of,
            cursor: cursor.clone(),
            consumer: consumer.clone(),
        }
    };
    outcome(&log, &both[0], dead);
    outcome(&log, &both[0], fetched(&both[0]));
    let mut after = rows(&log).await;
    after.sort_by_key(|row| row.ordinal);
    assert_eq!(
        [after[0].state, after[1].state],
        [QueueState::Acknowledged, QueueState::Due]
    );
    assert_eq!(
        (after[0].last_failure(), after[0].last_status),
        (None, None)
    );
    assert!(after[0].delivered_at.is_some());
    outcome(&log, &both[1], fetched(&both[1]));
    assert!(
        rows(&log)
            .await
            .iter()
            .all(|row| row.state == QueueState::Acknowledged)
    );
}

#[tokio::test]
async fn a_failed_try_is_due_again_at_its_time_and_a_redrive_starts_anew() {
    let log = log();
    register(&log, "crm", &["ordinary"]);
    pay(&log, 'a');
    let row = rows(&log).await.remove(0);
    assert_eq!(row.outcome_version, None);
    outcome(&log, &row, |of| Outcome::AttemptFailed {
        of,
        attempt_no: 1,
        generation: 1,
        class: FailureClass::ServerError,
        http_status: Some(500),
        next_try_at: at(77),
        tried: None,
    });
    let row = rows(&log).await.remove(0);
    assert_eq!(
        (row.state, row.attempts, row.next_try_at),
        (QueueState::Due, 1, at(77))
    );
    outcome(&log, &row, dead);
    outcome(&log, &row, |of| Outcome::Redriven {
        of,
        generation: 2,
        batch: None,
    });
    let row = rows(&log).await.remove(0);
    assert_eq!(
        (row.state, row.generation, row.attempts),
        (QueueState::Due, 2, 0)
    );
}

#[tokio::test]
async fn a_backfill_sends_what_is_wanted_of_the_past_and_nothing_twice() {
    let log = log();
    register(&log, "crm", &["ordinary"]);
    pay(&log, 'a');
    register(&log, "erp", &["payment_verified"]);
    tell_all(&log, 'a', &[opened('a', 1, None)]);
    pay(&log, 'b');
    let of = |rows: &[DeliveryRow], name: &str| {
        let mine = rows.iter().filter(|row| row.subscriber.as_str() == name);
        let mut told: Vec<_> = mine.map(|row| (row.ordinal, row.subject.clone())).collect();
        told.sort();
        told
    };
    let (a, b) = (request_id('a').to_string(), request_id('b').to_string());
    assert_eq!(of(&rows(&log).await, "erp"), [(1, b.clone())]);
    backfill(&log, "erp", 0, 1, &[]);
    assert_eq!(
        of(&rows(&log).await, "erp").len(),
        1,
        "nothing happened then"
    );
    backfill(&log, "erp", 0, 10_000_000_000, std::slice::from_ref(&b));
    assert_eq!(of(&rows(&log).await, "erp").len(), 1, "that one exists");
    backfill(&log, "erp", 0, 10_000_000_000, &[]);
    backfill(&log, "erp", 0, 10_000_000_000, &[]);
    assert_eq!(of(&rows(&log).await, "erp"), [(1, b), (2, a)]);
    assert_eq!(
        of(&rows(&log).await, "crm").len(),
        2,
        "nobody else hears of it"
    );
}

#[tokio::test]
async fn a_subscriber_of_a_scenario_hears_of_no_other() {
    let log = log();
    register(&log, "crm", &["ordinary"]);
    let other = subscriber::Event::SubscriptionChanged {
        wants: Wants {
            scenarios: Some([domain::ids::ScenarioId::parse("other").unwrap()].into()),
            ..Wants::default()
        },
    };
    tell(&log, "subscriber-crm", &other);
    pay(&log, 'a');
    assert!(rows(&log).await.is_empty());
}

#[tokio::test]
async fn what_is_pending_ends_with_its_subscriber_as_of_that_place_of_the_log() {
    let log = log();
    register(&log, "crm", &["ordinary", "exception_opened"]);
    register(&log, "erp", &["ordinary"]);
    pay(&log, 'a');
    tell_all(&log, 'a', &[opened('a', 1, None)]);
    for letter in ['b', 'c', 'd'] {
        pay(&log, letter);
    }
    let crm = async |letter: char| {
        let rows = rows(&log).await;
        let mut mine: Vec<_> = rows
            .into_iter()
            .filter(|row| row.subscriber.as_str() == "crm")
            .filter(|row| row.subject == request_id(letter).as_str())
            .collect();
        mine.sort_by_key(|row| row.ordinal);
        mine
    };
    outcome(&log, &crm('b').await[0], dead);
    let (under_way, late) = (crm('c').await.remove(0), crm('d').await.remove(0));
    tell(&log, "subscriber-crm", &subscriber::Event::Removed {});
    let states = async |letter: char| {
        let rows = crm(letter).await;
        rows.iter().map(|row| row.state).collect::<Vec<_>>()
    };
    let ended = QueueState::SubscriberRemoved;
    assert_eq!(states('a').await, [ended, ended], "due and held alike");
    assert_eq!(states('b').await, [QueueState::DeadLettered]);

    // What is recorded later is true and makes nothing due.
    outcome(&log, &under_way, |of| Outcome::AttemptFailed {
        of,
        attempt_no: 1,
        generation: 1,
        class: FailureClass::Timeout,
        http_status: None,
        next_try_at: at(99),
        tried: None,
    });
    assert_eq!(states('c').await, [ended]);
    outcome(&log, &late, |of| Outcome::Succeeded {
        of,
        attempt_no: 1,
        generation: 1,
        http_status: 200,
        latency_ms: 1,
        body_sha256: late.body_sha256,
        key_ids: vec![],
        sent_at: at(1),
        receiver_ref: None,
        endpoint_url_sha256: None,
    });
    assert_eq!(states('d').await, [QueueState::Delivered]);
    outcome(&log, &crm('b').await[0], |of| Outcome::Redriven {
        of,
        generation: 2,
        batch: None,
    });
    assert_eq!(states('b').await, [ended]);
    let others = rows(&log).await;
    let mut others = others.iter().filter(|row| row.subscriber.as_str() == "erp");
    assert!(others.all(|row| row.state == QueueState::Due));
}

#[tokio::test]
async fn a_row_says_how_the_last_try_failed_and_why_there_are_no_more() {
    let log = log();
    register(&log, "crm", &["ordinary"]);
    pay(&log, 'a');
    let row = rows(&log).await.remove(0);
    let why = async || {
        let row = rows(&log).await.remove(0);
        (row.class, row.reason.map(FailedWhy::as_str))
    };
    assert_eq!(why().await, (None, None));
    outcome(&log, &row, |of| Outcome::AttemptFailed {
        of,
        attempt_no: 1,
        generation: 1,
        class: FailureClass::Timeout,
        http_status: None,
        next_try_at: at(9),
        tried: None,
    });
    assert_eq!(why().await, (Some(FailureClass::Timeout), None));
    outcome(&log, &row, |of| Outcome::DeadLettered {
        of,
        reason: DeadReason::MaxAge,
        attempts: 1,
        generation: 1,
        http_status: None,
        class: None,
        tried: None,
    });
    assert_eq!(why().await, (Some(FailureClass::Timeout), Some("max_age")));
    outcome(&log, &row, |of| Outcome::Redriven {
        of,
        generation: 2,
        batch: None,
    });
    assert_eq!(why().await, (Some(FailureClass::Timeout), None));
}
