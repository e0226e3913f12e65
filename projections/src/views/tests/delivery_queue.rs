use std::collections::BTreeSet;

use domain::delivery::Event as Outcome;
use domain::delivery::event::{DeadReason, FailureClass, Pair};
use domain::delivery::id::delivery_id;
use domain::subscriber;

use super::super::delivery_queue::{BodyRow, DeliveryQueueView, DeliveryRow, QueueState};
use super::*;

fn register(log: &FakeLog, name: &str, opt_in: &[&str]) {
    let registered = subscriber::Event::Registered {
        id: SubscriberId::parse(name).unwrap(),
        merchant: MerchantId::parse("shop").unwrap(),
        url: format!("https://{name}.example/hook"),
        opt_in: opt_in
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>(),
    };
    tell(log, &format!("subscriber-{name}"), &registered);
}

fn pay(log: &FakeLog, letter: char) {
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

async fn rows(log: &Arc<FakeLog>) -> Vec<DeliveryRow> {
    let filled = filled(Arc::new(DeliveryQueueView), log, 3).await;
    assert_eq!(filled.parked().await, [""; 0]);
    filled.all().await
}

async fn states(log: &Arc<FakeLog>) -> Vec<(String, String, QueueState)> {
    let mut rows = rows(log).await;
    rows.sort_by_key(|row| (row.subscriber.clone(), row.subject.clone(), row.sequence));
    rows.into_iter()
        .map(|row| (row.subscriber.to_string(), row.name, row.state))
        .collect()
}

fn outcome(log: &FakeLog, row: &DeliveryRow, event: impl Fn(Pair) -> Outcome) {
    let pair = Pair {
        subscriber: row.subscriber.clone(),
        event_id: row.event_id,
    };
    assert_eq!(row.id, delivery_id(&pair.subscriber, pair.event_id));
    tell(log, &format!("delivery-{}", row.id), &event(pair));
}

fn dead(of: Pair) -> Outcome {
    let reason = DeadReason::ScheduleExhausted;
    Outcome::DeadLettered {
        of,
        reason,
        attempts: 13,
        generation: 1,
        http_status: Some(500),
    }
}

#[tokio::test]
async fn only_those_who_were_registered_before_hear_of_it() {
    let log = log();
    register(&log, "crm", &[]);
    pay(&log, 'a');
    register(&log, "erp", &[]);
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
async fn opt_in_events_go_only_to_those_who_asked() {
    let log = log();
    register(&log, "crm", &[]);
    register(&log, "desk", &["exception_opened"]);
    tell_all(&log, 'a', &[created('a'), opened('a', 1, None)]);
    assert_eq!(
        states(&log).await,
        [("desk".into(), "exception_opened".into(), QueueState::Due)]
    );
}

#[tokio::test]
async fn a_later_event_of_a_payment_waits_for_the_earlier_one() {
    let log = log();
    register(&log, "desk", &["exception_opened"]);
    pay(&log, 'a');
    tell_all(&log, 'a', &[opened('a', 1, None)]);
    pay(&log, 'b');
    let state_of = |states: &[(String, String, QueueState)]| {
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
    outcome(&log, &first, |of| Outcome::Abandoned { of });
    assert_eq!(
        state_of(&states(&log).await),
        [QueueState::Abandoned, QueueState::Due, QueueState::Due]
    );
}

#[tokio::test]
async fn a_failed_try_is_due_again_at_its_time_and_a_redrive_starts_anew() {
    let log = log();
    register(&log, "crm", &[]);
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
    });
    let row = rows(&log).await.remove(0);
    assert_eq!(
        (row.state, row.attempts, row.next_try_at),
        (QueueState::Due, 1, at(77))
    );
    outcome(&log, &row, dead);
    outcome(&log, &row, |of| Outcome::Redriven { of, generation: 2 });
    let row = rows(&log).await.remove(0);
    assert_eq!(
        (row.state, row.generation, row.attempts),
        (QueueState::Due, 2, 0)
    );
}
