//! Promise: every subscriber hears of every payment, in order per payment, under one id however
//! often it is tried, and one subscriber's trouble is nobody else's.

use std::collections::BTreeSet;
use std::time::Duration;

use adapters::memory::AppendFault;
use api::admin::{AdminCommand, execute, socket};
use domain::delivery::Command;
use domain::ids::{KeyId, OperatorId, SubscriberId};
use domain::ports::{Secret, SecretPurpose};
use domain::subscriber::{self, PausedWhy};
use harness::delivery_world::{DeliveryWorld, request_id, shop};
use harness::node::TestNode;
use harness::receiver::{Received, Receiver, Reply};
use projections::rebuild::Rebuilt;
use projections::views::delivery_queue::{DeliveryRow, QueueState};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use standardwebhooks::Webhook;

fn all(state: QueueState) -> impl Fn(&[DeliveryRow]) -> bool {
    move |rows| !rows.is_empty() && rows.iter().all(|row| row.state == state)
}

fn any(state: QueueState) -> impl Fn(&[DeliveryRow]) -> bool {
    move |rows| rows.iter().any(|row| row.state == state)
}

fn states(rows: &[DeliveryRow]) -> Vec<QueueState> {
    rows.iter().map(|row| row.state).collect()
}

/// As a subscriber's own library checks it.
fn is_authentic(secret: &str, received: &Received) -> bool {
    let mut headers = HeaderMap::new();
    for (name, value) in &received.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
    }
    Webhook::new(secret)
        .unwrap()
        .verify(&received.body, &headers)
        .is_ok()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_payment_is_told_once_and_a_library_of_others_finds_it_authentic() {
    let mut world = DeliveryWorld::start().await;
    let (crm, erp) = (Receiver::start().await, Receiver::start().await);
    let secret = world.subscribe("crm", &crm.url()).await;
    let other_secret = world.subscribe("erp", &erp.url()).await;
    world.pay('a').await;
    let rows = world.until("delivered", all(QueueState::Delivered)).await;
    world.quiet(seconds(3)).await;

    assert_eq!((rows.len(), crm.count(), erp.count()), (2, 1, 1));
    let (told, other) = (&crm.seen()[0], &erp.seen()[0]);
    assert!(is_authentic(&secret, told) && is_authentic(&other_secret, other));
    assert!(
        !is_authentic(&other_secret, told),
        "every subscriber has a secret of its own"
    );
    assert_eq!(told.body, other.body, "one body serves all");
    assert_ne!(told.header("webhook-id"), other.header("webhook-id"));
    let body = told.json();
    assert_eq!(body["type"], "counterfoil.payment.verified.v1");
    assert_eq!(body["subject"], request_id('a').as_str());
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert!(ids.contains(told.header("webhook-id")));
    assert_eq!(
        told.header("content-type"),
        "application/cloudevents+json; charset=utf-8"
    );
    assert_eq!(
        (
            told.header("counterfoil-attempt"),
            told.header("counterfoil-generation")
        ),
        ("1", "1")
    );
    assert_eq!(told.header("traceparent").len(), 55);
}

#[tokio::test]
async fn a_repeated_try_has_the_same_id_and_the_same_bytes_and_a_time_of_its_own() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::answering([Reply::Status(500), Reply::Close], Reply::Status(204)).await;
    let secret = world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    let failed = world
        .until("failed once", |rows| {
            rows.iter().any(|row| row.attempts == 1)
        })
        .await;
    assert_eq!(
        (failed[0].last_failure.as_deref(), failed[0].last_status),
        (Some("http_5xx"), Some(500))
    );
    let wait = failed[0].next_try_at.since(world.now());
    assert!(wait > seconds(3) && wait <= seconds(6), "{wait:?}");
    world.until("delivered", all(QueueState::Delivered)).await;

    let seen = crm.seen();
    assert_eq!(seen.len(), 3);
    let attempts: Vec<&str> = seen
        .iter()
        .map(|try_| try_.header("counterfoil-attempt"))
        .collect();
    assert_eq!(attempts, ["1", "2", "3"]);
    for later in &seen[1..] {
        assert_eq!(later.header("webhook-id"), seen[0].header("webhook-id"));
        assert_eq!(later.body, seen[0].body);
        assert_ne!(
            later.header("webhook-timestamp"),
            seen[0].header("webhook-timestamp")
        );
        assert!(is_authentic(&secret, later));
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_paused_and_its_deliveries_are_parked() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::answering([Reply::Status(410)], Reply::Status(200)).await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    world.until("given up", all(QueueState::DeadLettered)).await;
    world.pay('b').await;
    world.quiet(seconds(5)).await;
    assert_eq!(crm.count(), 1, "nothing is sent to a paused subscriber");
    let known = world
        .app
        .subscriber(&shop(), &SubscriberId::parse("crm").unwrap())
        .await
        .unwrap();
    assert_eq!(known.paused, Some(PausedWhy::Gone));

    world.command("crm", &subscriber::Command::Resume).await;
    let rows = world
        .until("the parked one arrives", any(QueueState::Delivered))
        .await;
    assert_eq!(
        states(&rows),
        [QueueState::DeadLettered, QueueState::Delivered]
    );
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_never_followed() {
    let mut world = DeliveryWorld::start().await;
    let elsewhere = Receiver::start().await;
    let crm = Receiver::answering([], Reply::Header(302, "location", elsewhere.url())).await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    let rows = world
        .until("failed twice", |rows| {
            rows.iter().any(|row| row.attempts == 2)
        })
        .await;
    assert_eq!(
        (rows[0].last_failure.as_deref(), rows[0].last_status),
        (Some("redirect"), Some(302))
    );
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn an_address_that_may_not_be_called_is_given_up_at_once() {
    let mut world = DeliveryWorld::start().await;
    world
        .subscribe("crm", "http://169.254.169.254/latest/meta-data")
        .await;
    world.pay('a').await;
    let rows = world.until("given up", all(QueueState::DeadLettered)).await;
    assert_eq!(
        (rows[0].last_failure.as_deref(), world.sent()),
        (Some("ssrf_blocked"), 1)
    );
}

#[tokio::test]
async fn receivers_that_hang_are_cut_off_and_delay_nobody_else() {
    let mut world = DeliveryWorld::start().await;
    let silent = Receiver::answering([], Reply::Silence).await;
    let dripping = Receiver::answering([], Reply::Drip(Duration::from_millis(30))).await;
    let healthy = Receiver::start().await;
    world.subscribe("a-silent", &silent.url()).await;
    world.subscribe("b-dripping", &dripping.url()).await;
    world.subscribe("c-healthy", &healthy.url()).await;
    for letter in 'a'..='l' {
        world.pay(letter).await;
    }
    let of = |rows: &[DeliveryRow], name: &str, state: QueueState| {
        rows.iter()
            .filter(|row| row.subscriber.as_str() == name && row.state == state)
            .count()
    };
    world
        .until("the healthy one has all", |rows| {
            of(rows, "c-healthy", QueueState::Delivered) == 12
        })
        .await;
    assert!(
        silent.count() <= 4 && dripping.count() <= 4,
        "a hanging subscriber has its places and no more"
    );
    let rows = world
        .until("both are cut off", |rows| {
            let cut = |name: &str| {
                rows.iter().any(|row| {
                    row.subscriber.as_str() == name
                        && row.last_failure.as_deref() == Some("timeout")
                })
            };
            cut("a-silent") && cut("b-dripping")
        })
        .await;
    assert_eq!(
        of(&rows, "a-silent", QueueState::Delivered)
            + of(&rows, "b-dripping", QueueState::Delivered),
        0
    );
}

#[tokio::test]
async fn what_happened_later_to_a_payment_is_told_later() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::answering([], Reply::Status(503)).await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    world.refund('a').await;
    world
        .until("failed twice", |rows| {
            rows.iter().any(|row| row.attempts == 2)
        })
        .await;
    let ids: BTreeSet<String> = crm
        .seen()
        .iter()
        .map(|told| told.header("webhook-id").to_owned())
        .collect();
    assert_eq!(ids.len(), 1, "the refund waits for the payment");

    crm.answers(Reply::Status(200));
    world.until("delivered", all(QueueState::Delivered)).await;
    let seen = crm.seen();
    let last_two: Vec<String> = seen[seen.len() - 2..]
        .iter()
        .map(|told| told.json()["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        last_two,
        [
            "counterfoil.payment.verified.v1",
            "counterfoil.payment.reversed.v1"
        ]
    );
    assert!(
        seen[seen.len() - 2].json()["sequence"].as_str()
            < seen[seen.len() - 1].json()["sequence"].as_str()
    );
}

#[tokio::test]
async fn a_refused_delivery_is_on_the_failed_list_in_minutes_and_holds_up_only_its_own_payment() {
    let mut world = DeliveryWorld::start().await;
    world.stride = Duration::from_millis(200);
    let crm =
        Receiver::answering([], Reply::Body(422, r#"{"error": "unknown order"}"#.into())).await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    let began = world.now();
    let rows = world.until("refused", all(QueueState::DeadLettered)).await;
    assert_eq!(
        (rows[0].last_failure.as_deref(), crm.count()),
        (Some("rejected_4xx"), 4)
    );
    assert!(world.now().since(began) < seconds(200));
    let detail = world.app.delivery(&shop(), &rows[0].id).await.unwrap();
    assert_eq!((detail.outcomes.len(), detail.answers.len()), (4, 4));
    assert_eq!(detail.answers[0].2, r#"{"error": "unknown order"}"#);
    assert_eq!(detail.body.unwrap().as_bytes(), crm.seen()[0].body);

    crm.answers(Reply::Status(200));
    world.refund('a').await;
    world.pay('b').await;
    let rows = world
        .until("the other payment flows", any(QueueState::Delivered))
        .await;
    assert_eq!(
        states(&rows),
        [
            QueueState::DeadLettered,
            QueueState::Held,
            QueueState::Delivered
        ]
    );

    world.decide(&rows[0].id, &Command::Redrive).await;
    world.until("all arrive", all(QueueState::Delivered)).await;
    let seen = crm.seen();
    let again = &seen[seen.len() - 2];
    assert_eq!(again.header("webhook-id"), rows[0].id.as_str());
    assert_eq!(again.body, seen[0].body);
    assert_eq!(
        (
            again.header("counterfoil-generation"),
            again.header("counterfoil-attempt")
        ),
        ("2", "1")
    );
    assert_eq!(
        seen[seen.len() - 1].header("webhook-id"),
        rows[1].id.as_str()
    );
}

#[tokio::test]
async fn an_abandoned_delivery_makes_way_for_its_successor() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::answering([Reply::Status(410)], Reply::Status(200)).await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    world.refund('a').await;
    let rows = world.until("given up", any(QueueState::DeadLettered)).await;
    world.command("crm", &subscriber::Command::Resume).await;
    world.quiet(seconds(2)).await;
    assert_eq!(crm.count(), 1);
    world.decide(&rows[0].id, &Command::Abandon).await;
    let rows = world
        .until("the successor arrives", any(QueueState::Delivered))
        .await;
    assert_eq!(
        states(&rows),
        [QueueState::Abandoned, QueueState::Delivered]
    );
    world.quiet(seconds(2)).await;
    assert_eq!(crm.count(), 2);
}

#[tokio::test]
async fn a_rebuild_sends_nothing() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::answering([Reply::Status(500)], Reply::Status(200)).await;
    let erp = Receiver::start().await;
    world.subscribe("crm", &crm.url()).await;
    world.subscribe("erp", &erp.url()).await;
    for letter in 'a'..='f' {
        world.pay(letter).await;
        world.refund(letter).await;
    }
    let before = world.until("delivered", all(QueueState::Delivered)).await;
    let sent = world.sent();
    assert_eq!((before.len(), sent), (24, 25));
    for _ in 0..3 {
        assert!(matches!(world.rebuild().await, Rebuilt::Switched { .. }));
        world.quiet(seconds(5)).await;
    }
    assert!(world.generations().await.len() > 1);
    assert_eq!(world.rows().await, before);
    assert_eq!(world.sent(), sent);
    world.pay('g').await;
    world
        .until("news still goes out", |rows| {
            rows.len() == 26 && all(QueueState::Delivered)(rows)
        })
        .await;
}

#[tokio::test]
async fn a_process_killed_between_sending_and_recording_sends_the_same_again() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::answering([Reply::Silence], Reply::Status(200)).await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    world.catch_up().await;
    while crm.count() == 0 {
        world.quiet(Duration::from_millis(20)).await;
    }
    world.kill_dispatcher().await;
    world.start_dispatcher();
    world.pay('b').await;
    world
        .until("others flow at once", any(QueueState::Delivered))
        .await;
    world.stride = Duration::from_millis(500);
    world.quiet(seconds(50)).await;
    assert_eq!(crm.count(), 2, "its lease is not over yet");
    let rows = world.until("delivered", all(QueueState::Delivered)).await;
    let seen = crm.seen();
    assert_eq!((rows.len(), seen.len()), (2, 3));
    assert_eq!(seen[2].header("webhook-id"), seen[0].header("webhook-id"));
    assert_eq!(seen[2].body, seen[0].body);
    assert_eq!(seen[2].header("counterfoil-attempt"), "1");
}

#[tokio::test]
async fn a_store_that_is_away_for_a_moment_costs_no_second_request() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::start().await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    world.store.script([
        AppendFault::NotApplied,
        AppendFault::Full,
        AppendFault::NotApplied,
    ]);
    world.until("delivered", all(QueueState::Delivered)).await;
    assert_eq!(crm.count(), 1);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_sent_over_and_over() {
    let mut world = DeliveryWorld::start().await;
    world.stride = Duration::from_millis(200);
    let crm = Receiver::start().await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    world.store.script([AppendFault::Full; 5]);
    world.quiet(seconds(60)).await;
    assert_eq!((world.store.faults_left(), crm.count()), (0, 1));
    world.until("delivered", all(QueueState::Delivered)).await;
    let seen = crm.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
}

#[tokio::test]
async fn a_delivery_that_kills_its_workers_is_quarantined() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::start().await;
    world.subscribe("crm", &crm.url()).await;
    world.kill_dispatcher().await;
    world.pay('a').await;
    world.catch_up().await;
    let id = world.rows().await[0].id.clone();
    for _ in 0..5 {
        let (key, minute) = (format!("delivery:{id}"), seconds(60));
        let died = world
            .app
            .ops
            .acquire(&key, "another-node", minute, world.now())
            .await
            .unwrap();
        assert!(died.is_some());
        world.clock.advance(seconds(61));
    }
    world.start_dispatcher();
    let rows = world
        .until("quarantined", all(QueueState::Quarantined))
        .await;
    assert_eq!(
        (rows[0].last_failure.as_deref(), crm.count()),
        (Some("crash_loop"), 0)
    );
    world.decide(&id, &Command::Redrive).await;
    world.until("delivered", all(QueueState::Delivered)).await;
    assert_eq!(crm.seen()[0].header("webhook-id"), id.as_str());
}

#[tokio::test]
async fn both_keys_sign_while_one_is_exchanged_and_without_a_key_nothing_is_sent() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::start().await;
    let old = world.subscribe("crm", &crm.url()).await;
    let purpose = SecretPurpose::Subscriber("crm".into());
    let new = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let added = Secret {
        key_id: KeyId::parse("crm-2").unwrap(),
        value: new.into(),
        valid_from: world.now(),
        valid_until: None,
    };
    world
        .app
        .secrets
        .set(&shop(), &purpose, added.clone())
        .await
        .unwrap();
    world.pay('a').await;
    world.until("delivered", all(QueueState::Delivered)).await;
    let told = &crm.seen()[0];
    assert_eq!(told.header("webhook-signature").split(' ').count(), 2);
    assert!(is_authentic(&old, told) && is_authentic(new, told));

    for secret in world
        .app
        .secrets
        .active(&shop(), &purpose, world.now())
        .await
        .unwrap()
    {
        let over = Secret {
            valid_until: Some(world.now()),
            ..secret
        };
        world
            .app
            .secrets
            .set(&shop(), &purpose, over)
            .await
            .unwrap();
    }
    world.pay('b').await;
    let rows = world
        .until("not signed", |rows| {
            rows.iter().any(|row| row.last_failure.is_some())
        })
        .await;
    assert_eq!(
        (rows[1].last_failure.as_deref(), crm.count()),
        (Some("no_key"), 1)
    );
    world
        .app
        .secrets
        .set(&shop(), &purpose, added)
        .await
        .unwrap();
    world.until("delivered", all(QueueState::Delivered)).await;
}

#[tokio::test]
async fn a_receiver_in_trouble_is_probed_and_no_schedule_is_burned_on_it() {
    let mut world = DeliveryWorld::start().await;
    world.stride = Duration::from_millis(100);
    let crm = Receiver::answering([], Reply::Status(500)).await;
    world.subscribe("crm", &crm.url()).await;
    for letter in 'a'..='e' {
        world.pay(letter).await;
    }
    world
        .until("failed", |rows| {
            rows.iter().filter(|row| row.attempts == 1).count() == 5
        })
        .await;
    let began = world.now();
    world.quiet(seconds(28)).await;
    assert_eq!(crm.count(), 5, "all of them were due after six seconds");
    assert!(
        world.health.parts()[api::work::deliver::NAME]
            .note
            .as_deref()
            .unwrap()
            .contains("crm")
    );
    world
        .until("probed", |rows| rows.iter().any(|row| row.attempts == 2))
        .await;
    let probed = world.now().since(began);
    assert!(probed >= seconds(29) && probed <= seconds(32), "{probed:?}");
    crm.answers(Reply::Status(200));
    world.until("delivered", all(QueueState::Delivered)).await;
}

#[tokio::test]
async fn what_waited_a_week_for_a_receiver_that_stayed_away_is_on_the_failed_list() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::answering([], Reply::Status(500)).await;
    world.subscribe("crm", &crm.url()).await;
    for letter in 'a'..='f' {
        world.pay(letter).await;
    }
    world.stride = Duration::from_millis(100);
    world
        .until("failed", |rows| {
            rows.iter().filter(|row| row.attempts == 1).count() >= 5
        })
        .await;
    world.kill_dispatcher().await;
    world.clock.advance(seconds(8 * 24 * 3600));
    world.start_dispatcher();
    let rows = world.until("given up", any(QueueState::DeadLettered)).await;
    assert!(
        rows.iter()
            .any(|row| row.last_failure.as_deref() == Some("max_age"))
    );
    assert!(
        crm.count() >= 6,
        "it was probed once more before anything was given up"
    );
}

#[tokio::test]
async fn a_receiver_that_asks_for_patience_gets_it_for_all_its_deliveries() {
    let mut world = DeliveryWorld::start().await;
    world.stride = Duration::from_millis(200);
    let wish = Reply::Header(429, "retry-after", "90".into());
    let crm = Receiver::answering([wish], Reply::Status(200)).await;
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    world.until("throttled", |rows| rows[0].attempts == 1).await;
    world.pay('b').await;
    world.quiet(seconds(85)).await;
    assert_eq!(crm.count(), 1);
    world.until("delivered", all(QueueState::Delivered)).await;
}

#[tokio::test]
async fn a_row_that_is_out_of_date_sends_nothing() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::start().await;
    world.subscribe("crm", &crm.url()).await;
    world.kill_dispatcher().await;
    world.pay('a').await;
    world.catch_up().await;
    let id = world.rows().await[0].id.clone();
    // The queue does not take this in: its row still says due.
    world.decide(&id, &Command::Abandon).await;
    world.start_dispatcher();
    for _ in 0..300 {
        world.clock.advance(Duration::from_millis(20));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(world.rows().await[0].state, QueueState::Due);
    assert_eq!(world.sent(), 0);
    world.until("abandoned", all(QueueState::Abandoned)).await;
}

#[tokio::test]
async fn a_pause_holds_even_before_the_queue_knows_of_it() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::start().await;
    world.subscribe("crm", &crm.url()).await;
    world.kill_dispatcher().await;
    world.pay('a').await;
    world.catch_up().await;
    world
        .command("crm", &subscriber::Command::Pause(PausedWhy::Operator))
        .await;
    world.start_dispatcher();
    for _ in 0..300 {
        world.clock.advance(Duration::from_millis(20));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(world.sent(), 0);
    world.command("crm", &subscriber::Command::Resume).await;
    world.until("delivered", all(QueueState::Delivered)).await;
}

#[tokio::test]
async fn a_test_event_goes_to_the_tested_one_alone() {
    let mut world = DeliveryWorld::start().await;
    let (crm, erp) = (Receiver::start().await, Receiver::start().await);
    let secret = world.subscribe("crm", &crm.url()).await;
    world.subscribe("erp", &erp.url()).await;
    world.command("crm", &subscriber::Command::Test).await;
    world.until("delivered", all(QueueState::Delivered)).await;
    assert_eq!((crm.count(), erp.count()), (1, 0));
    assert_eq!(crm.seen()[0].json()["type"], "counterfoil.delivery.test.v1");
    assert!(is_authentic(&secret, &crm.seen()[0]));
}

#[tokio::test]
async fn an_exchange_of_signing_keys_leaves_its_trace_and_a_mistake_retires_nothing() {
    let node = TestNode::start().await;
    let id = SubscriberId::parse("crm").unwrap();
    node.admin(AdminCommand::SubscriberAdd {
        merchant: shop(),
        id: id.clone(),
        url: "https://crm.example/hook".to_owned(),
        opt_in: BTreeSet::new(),
    })
    .await;
    let by = socket::context(&OperatorId::parse("op-test").unwrap(), "test");
    let set = |key_id: &str, value: &str| {
        let command = AdminCommand::SecretSet {
            merchant: shop(),
            purpose: "subscriber:crm".to_owned(),
            key_id: KeyId::parse(key_id).unwrap(),
            value: value.to_owned(),
            retire_others_in_s: Some(3600),
        };
        execute(node.app(), &by, command)
    };
    let names = async || {
        let purpose = SecretPurpose::Subscriber("crm".into());
        let now = node.app().recorder.now();
        let live = node
            .app()
            .secrets
            .active(&shop(), &purpose, now)
            .await
            .unwrap();
        let until = |secret: &Secret| (secret.key_id.to_string(), secret.valid_until.is_some());
        live.iter().map(until).collect::<BTreeSet<_>>()
    };
    let first = names().await;
    assert!(
        set("crm-2", "a sentence that is no signing secret")
            .await
            .is_err()
    );
    let (name, _) = first.first().unwrap().clone();
    assert!(
        set(&name, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .await
            .is_err()
    );
    assert_eq!(names().await, first, "the key in use is untouched");

    set("crm-2", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .await
        .unwrap();
    assert_eq!(
        names().await,
        BTreeSet::from([(name, true), ("crm-2".to_owned(), false)])
    );
    let known = node.app().subscriber(&shop(), &id).await.unwrap();
    assert_eq!(known.keys, BTreeSet::from([KeyId::parse("crm-2").unwrap()]));
    node.stop().await;
}
