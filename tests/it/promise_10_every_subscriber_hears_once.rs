//! Promise: every subscriber gets the same normalised event of a payment, signed, under a stable id,
//! tried again with growing pauses, in order per payment. One that is down loses nothing and delays
//! nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use adapters::memory::AppendFault;
use harness::delivery_world::{DeliveryWorld, all, any, request_id, seconds};
use harness::receiver::{Received, Receiver, Reply};
use harness::shop::{PRICE, Shop};
use projections::views::delivery_queue::{DeliveryRow, QueueState};

const VERIFIED: &str = "counterfoil.payment.verified.v1";
const REVERSED: &str = "counterfoil.payment.reversed.v1";

/// What a receiver was told, by payment: the types in the order of their arrival.
fn told(seen: &[Received]) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for body in seen.iter().map(Received::json) {
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        told.entry(text("subject")).or_default().push(text("type"));
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn crm_erp_warehouse_and_bot_get_one_normalised_event_under_one_id() {
    let shop = Shop::open_to_receivers().await;
    let mut subscribers = vec![];
    for name in ["bot", "crm", "erp", "mail", "warehouse"] {
        let receiver = Receiver::start().await;
        let secret = shop.subscribe(name, &receiver).await;
        subscribers.push((receiver, secret));
    }
    let (id, _) = shop.pay("tea-1").await;
    let rows = shop.until_deliveries("state=delivered", 5).await;
    let log = shop.log().await;
    let verified: Vec<_> = log.of_type("PaymentVerified").collect();
    assert_eq!(verified.len(), 1);

    let first = subscribers[0].0.seen()[0].clone();
    let mut webhook_ids = BTreeSet::new();
    for (receiver, secret) in &subscribers {
        assert_eq!(receiver.count(), 1, "each hears once");
        let told = &receiver.seen()[0];
        assert_eq!(told.body, first.body, "the same bytes for everybody");
        assert!(told.is_authentic(secret));
        for (_, other) in subscribers.iter().filter(|(_, other)| other != secret) {
            assert!(!told.is_authentic(other));
        }
        webhook_ids.insert(told.header("webhook-id").to_owned());
    }
    let queued: BTreeSet<String> = rows
        .iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(webhook_ids, queued);
    let event = first.json();
    assert_eq!(event["id"], verified[0].event_id.to_string());
    assert_eq!(
        (&event["type"], &event["subject"]),
        (&VERIFIED.into(), &id.as_str().into())
    );
    assert_eq!(event["data"]["order_id"], "tea-1");
    assert_eq!(event["data"]["amount"]["minor"], PRICE.to_string());
    assert_eq!(event["data"]["amount"]["currency"], "AMD");
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_is_down_loses_nothing_and_delays_nobody() {
    let mut shop = Shop::open_to_receivers().await;
    let crm = Receiver::answering([], Reply::Close).await;
    let erp = Receiver::start().await;
    shop.subscribe("crm", &crm).await;
    shop.subscribe("erp", &erp).await;
    let mut paid = BTreeMap::new();
    for order in ["tea-1", "tea-2"] {
        let (id, our_reference) = shop.pay(order).await;
        shop.give_back(&our_reference).await;
        paid.insert(id, vec![VERIFIED.to_owned(), REVERSED.to_owned()]);
    }
    shop.until_deliveries("subscriber=erp&state=delivered", 4)
        .await;
    assert_eq!(told(&erp.seen()), paid, "all, each once, in order");
    assert!(
        shop.deliveries("subscriber=crm&state=delivered")
            .await
            .is_empty()
    );
    for try_ in crm.seen() {
        assert_eq!(try_.json()["type"], VERIFIED, "nothing overtakes");
    }

    // Not even when the ledger ends while somebody is still to be told.
    shop.node.restart().await;
    let failed = crm.count();
    assert!(failed >= 2);
    crm.answers(Reply::Status(200));
    shop.until_deliveries("subscriber=crm&state=delivered", 4)
        .await;
    let heard = crm.seen().split_off(failed);
    assert_eq!(told(&heard), paid, "all, each once, in order");
    let bytes = |seen: &[Received]| -> BTreeSet<Vec<u8>> {
        seen.iter().map(|one| one.body.clone()).collect()
    };
    assert_eq!(bytes(&heard), bytes(&erp.seen()));
    let ids = |seen: &[Received]| -> BTreeMap<String, String> {
        seen.iter()
            .map(|one| {
                (
                    one.json()["id"].to_string(),
                    one.header("webhook-id").to_owned(),
                )
            })
            .collect()
    };
    let tried = ids(&crm.seen()[..failed]);
    assert!(
        tried.iter().all(|(event, id)| ids(&heard)[event] == *id),
        "the id of the first try"
    );
    assert_eq!(erp.count(), 4, "who has heard is not told again");
    shop.node.stop().await;
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
    assert!(told.is_authentic(&secret) && other.is_authentic(&other_secret));
    assert!(
        !told.is_authentic(&other_secret),
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
        (failed[0].last_failure(), failed[0].last_status),
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
        assert!(later.is_authentic(&secret));
    }
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
                    row.subscriber.as_str() == name && row.last_failure() == Some("timeout")
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
