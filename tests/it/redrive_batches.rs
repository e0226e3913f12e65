//! Many failed deliveries in one go: at the rate that somebody chose, each once, through crashes,
//! cancels and repeats, with counts that add up.

use std::collections::BTreeSet;
use std::time::Duration;

use adapters::memory::AppendFault;
use api::app::context::Context;
use domain::ids::{BatchId, ReasonCode};
use domain::subscriber::{BatchOrder, Command, DeliveryPolicy};
use harness::delivery_world::{DeliveryWorld, all, any, seconds, shop};
use harness::receiver::{Receiver, Reply};
use harness::shop::Shop;
use harness::whole_log::WholeLog;
use projections::rebuild::Rebuilt;
use projections::views::delivery_queue::{BatchState, DeliveryRow, QueueState};
use serde_json::{Value, json};

/// A subscriber that refused each of these payments for good, and would take them now.
async fn refused(letters: &str) -> (DeliveryWorld, Receiver) {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::answering([], Reply::Status(422)).await;
    world.subscribe("crm", &crm.url()).await;
    let impatient = DeliveryPolicy {
        refused_tries: 1,
        ..DeliveryPolicy::default()
    };
    world
        .command("crm", &Command::ChangePolicy { policy: impatient })
        .await;
    for letter in letters.chars() {
        world.pay(letter).await;
    }
    // It is soon left alone, so the last ones are refused much later.
    let usual = std::mem::replace(&mut world.stride, seconds(5));
    let wanted = letters.len();
    let dead = all(QueueState::DeadLettered);
    world
        .until("refused", |rows| rows.len() == wanted && dead(rows))
        .await;
    world.stride = usual;
    // Somebody says that it is back.
    world
        .command(
            "crm",
            &Command::Pause(domain::subscriber::PausedWhy::Operator),
        )
        .await;
    world.command("crm", &Command::Resume).await;
    world.catch_up().await;
    crm.answers(Reply::Status(200));
    (world, crm)
}

async fn log(world: &DeliveryWorld) -> WholeLog {
    WholeLog::read(&*world.store).await
}

/// How often each delivery was redriven by this batch.
async fn redriven_by(world: &DeliveryWorld, batch: &BatchId) -> Vec<usize> {
    let log = log(world).await;
    let mut count = std::collections::BTreeMap::<String, usize>::new();
    for event in log.of_type("DeliveryRedriven") {
        if event.data["batch"] == json!(batch) {
            *count.entry(event.stream.to_string()).or_default() += 1;
        }
    }
    count.into_values().collect()
}

async fn until_over(world: &mut DeliveryWorld, batch: &BatchId) {
    for _ in 0..2_000 {
        world.quiet(Duration::from_millis(20)).await;
        if world.batch(batch).await.state != BatchState::Running {
            return;
        }
    }
    panic!("it is never over: {:?}", world.batch(batch).await);
}

#[tokio::test]
async fn many_are_redriven_at_the_rate_that_was_asked_for_each_with_its_id_and_body() {
    let (mut world, crm) = refused("abcdef").await;
    let before = crm.seen();
    world.start_batches();
    let id = world.start_batch("crm", BatchOrder::Redrive, 2).await;
    until_over(&mut world, &id).await;
    world.until("delivered", all(QueueState::Delivered)).await;

    let batch = world.batch(&id).await;
    assert_eq!((batch.total, batch.done, batch.skipped), (6, 6, 0));
    assert_eq!(batch.state, BatchState::Finished);
    assert_eq!(redriven_by(&world, &id).await, [1; 6]);
    let log = log(&world).await;
    let redriven: Vec<_> = log.of_type("DeliveryRedriven").collect();
    let (first, last) = (redriven[0].recorded_at, redriven[5].recorded_at);
    let took = last.since(first);
    // One at once, then two a second.
    assert!(took >= Duration::from_millis(2_400), "{took:?}");
    assert!(took <= seconds(4), "{took:?}");
    for event in &redriven {
        let why = event.reason.as_ref().unwrap().code.as_str();
        assert_eq!(why, "receiver_fixed");
        assert_eq!(event.on_behalf_of.as_deref(), Some("job:test"));
        let asked = log.of_type("DeliveryBatchRequested").next().unwrap();
        assert_eq!(event.cause.causation_id, Some(asked.event_id));
    }
    let finished: Vec<_> = log.of_type("DeliveryBatchFinished").collect();
    assert_eq!(finished.len(), 1);
    assert_eq!(
        finished[0].data,
        json!({ "batch": id, "done": 6, "skipped": 0 })
    );

    let pairs = |seen: &[harness::receiver::Received]| -> BTreeSet<(String, Vec<u8>)> {
        let pair = |one: &harness::receiver::Received| {
            (one.header("webhook-id").to_owned(), one.body.clone())
        };
        seen.iter().map(pair).collect()
    };
    let after = crm.seen().split_off(before.len());
    assert_eq!((pairs(&after), after.len()), (pairs(&before), 6));
    for again in &after {
        assert_eq!(again.header("counterfoil-generation"), "2");
        assert_eq!(again.header("counterfoil-attempt"), "1");
    }
}

#[tokio::test]
async fn a_crash_in_the_middle_redrives_nothing_twice_and_loses_nothing() {
    let (mut world, crm) = refused("abcdefghijklmnop").await;
    world.kill_dispatcher().await;
    let id = world.start_batch("crm", BatchOrder::Redrive, 4).await;
    world.catch_up().await;
    for crash in 0..4_u64 {
        let so_far = redriven_by(&world, &id).await.len();
        if crash % 2 == 1 {
            // It was stored, and whoever asked never heard of it.
            world.store.script([AppendFault::ReplyLost; 2]);
        }
        world.start_batches();
        for _ in 0..200 {
            world.clock.advance(Duration::from_millis(10 + crash));
            tokio::time::sleep(Duration::from_millis(1)).await;
            if redriven_by(&world, &id).await.len() > so_far + 1 {
                break;
            }
        }
        world.kill_batches().await;
        // The next one begins on rows that know of none of this, or of some.
        if crash % 3 == 2 {
            world.catch_up().await;
        }
    }
    let so_far = redriven_by(&world, &id).await;
    assert!((4..16).contains(&so_far.len()), "in the middle: {so_far:?}");
    world.start_batches();
    until_over(&mut world, &id).await;
    assert_eq!(redriven_by(&world, &id).await, [1; 16]);
    let batch = world.batch(&id).await;
    assert_eq!((batch.total, batch.done, batch.skipped), (16, 16, 0));
    assert_eq!(
        log(&world).await.of_type("DeliveryBatchFinished").count(),
        1
    );
    world.start_dispatcher();
    world.until("delivered", all(QueueState::Delivered)).await;
    assert_eq!(crm.count(), 32, "each was sent once more");
}

#[tokio::test]
async fn a_second_batch_sends_nothing_that_is_under_way_in_the_first() {
    let (mut world, crm) = refused("abcd").await;
    world.start_batches();
    let first = world.start_batch("crm", BatchOrder::Redrive, 1).await;
    world.until("one arrives", any(QueueState::Delivered)).await;
    let second = world.start_batch("crm", BatchOrder::Redrive, 1_000).await;
    until_over(&mut world, &second).await;
    let known = world.batch(&second).await;
    assert_eq!((known.total, known.done), (0, 0));
    assert!(known.elsewhere >= 1, "{known:?}");
    assert_eq!(world.batch(&first).await.state, BatchState::Running);
    until_over(&mut world, &first).await;
    world.until("delivered", all(QueueState::Delivered)).await;
    world.quiet(seconds(5)).await;
    assert_eq!(redriven_by(&world, &first).await, [1; 4]);
    assert!(redriven_by(&world, &second).await.is_empty());
    assert_eq!(crm.count(), 8);
}

#[tokio::test]
async fn a_cancelled_batch_leaves_the_rest_on_the_failed_list() {
    let (mut world, crm) = refused("abcdef").await;
    world.start_batches();
    let id = world.start_batch("crm", BatchOrder::Redrive, 1).await;
    world.until("one arrives", any(QueueState::Delivered)).await;
    let reason = (ReasonCode::parse("wrong_receiver").unwrap(), None);
    let cancel = Command::CancelBatch { batch: id.clone() };
    let subscriber = domain::ids::SubscriberId::parse("crm").unwrap();
    let context = Context::job("test");
    world
        .app
        .command_subscriber_because(&shop(), &subscriber, &context, cancel, reason)
        .await
        .unwrap();
    // The queue has not heard of it, and the loop asks the subscriber's own stream.
    let before = redriven_by(&world, &id).await.len();
    for _ in 0..200 {
        world.clock.advance(Duration::from_millis(20));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(redriven_by(&world, &id).await.len(), before);
    world.quiet(seconds(10)).await;
    let batch = world.batch(&id).await;
    assert_eq!(batch.state, BatchState::Cancelled);
    assert_eq!(batch.done, u64::try_from(before).unwrap());
    let rows = world.rows().await;
    let failed = |row: &&DeliveryRow| row.state == QueueState::DeadLettered;
    let left = rows.iter().filter(failed).count();
    assert_eq!(u64::try_from(left).unwrap(), batch.left());
    assert_eq!(crm.count(), 6 + before);
    assert!(rows.iter().all(|row| row.batch.is_none()));
}

#[tokio::test]
async fn many_are_given_up_in_one_go_and_their_successors_flow() {
    let (mut world, crm) = refused("ab").await;
    world.refund('a').await;
    world.catch_up().await;
    world.start_batches();
    let id = world.start_batch("crm", BatchOrder::Abandon, 100).await;
    until_over(&mut world, &id).await;
    let rows = world
        .until("the successor arrives", any(QueueState::Delivered))
        .await;
    let given_up = |row: &&DeliveryRow| row.state == QueueState::Abandoned;
    assert_eq!(rows.iter().filter(given_up).count(), 2);
    assert_eq!(world.batch(&id).await.done, 2);
    assert_eq!(crm.count(), 3);
}

#[tokio::test]
async fn a_rebuild_in_the_middle_of_a_batch_gives_the_same_rows_and_sends_nothing() {
    let (mut world, crm) = refused("abcdef").await;
    world.start_batches();
    let id = world.start_batch("crm", BatchOrder::Redrive, 1).await;
    world.until("one arrives", any(QueueState::Delivered)).await;
    world.kill_batches().await;
    world.kill_dispatcher().await;
    world.catch_up().await;
    let (rows, batch, sent) = (world.rows().await, world.batch(&id).await, world.sent());
    assert!(batch.left() > 0);
    assert!(matches!(world.rebuild().await, Rebuilt::Switched { .. }));
    assert_eq!((world.rows().await, world.batch(&id).await), (rows, batch));
    assert_eq!(world.sent(), sent);
    world.start_batches();
    world.start_dispatcher();
    until_over(&mut world, &id).await;
    world.until("delivered", all(QueueState::Delivered)).await;
    assert_eq!(redriven_by(&world, &id).await, [1; 6]);
    assert_eq!(crm.count(), 12);
}

const REDRIVE: &str = "/v1/deliveries/redrive";

async fn three_refused(shop: &Shop) -> Receiver {
    let crm = Receiver::answering([], Reply::Status(422)).await;
    shop.subscribe("crm", &crm).await;
    let token = format!("Bearer {}", shop.node.token("admin"));
    let (path, change) = (
        "/v1/subscribers/crm",
        json!({ "policy": { "refused_tries": 1 } }),
    );
    let answer = shop
        .node
        .call("PATCH", path, Some(&token), Some("patch-1"), Some(&change));
    answer.await.expect(200);
    for order in ["tea-1", "tea-2", "tea-3"] {
        shop.pay(order).await;
    }
    shop.until_deliveries("state=dead_lettered", 3).await;
    crm
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_counts_and_changes_nothing_and_a_repeat_is_the_same_batch() {
    let shop = Shop::open_to_receivers().await;
    let crm = three_refused(&shop).await;
    let node = &shop.node;
    let before = shop.log().await.events.len();
    let dry = json!({ "subscriber": "crm", "which": { "classes": ["http_4xx"] }, "dry_run": true });
    let counted = node.post("operator", REDRIVE, "k1", &dry).await;
    let counted = counted.expect(200).json();
    assert_eq!(
        (&counted["total"], &counted["dry_run"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(counted["sample"].as_array().unwrap().len(), 3);
    let none = json!({ "subscriber": "crm", "which": { "reasons": ["max_age"] }, "dry_run": true });
    let none = node.post("operator", REDRIVE, "k1", &none).await;
    assert_eq!(none.expect(200).json()["total"], 0);
    assert_eq!(shop.log().await.events.len(), before);

    crm.answers(Reply::Status(200));
    let body = json!({
        "subscriber": "crm", "which": { "classes": ["http_4xx"] }, "per_second": 100,
        "reason": "receiver_fixed", "text": "their admin wrote to us"
    });
    let started = node
        .post("operator", REDRIVE, "k1", &body)
        .await
        .expect(202)
        .json();
    assert_eq!(
        (&started["total"], &started["order"]),
        (&json!(3), &json!("redrive"))
    );
    let id = started["id"].as_str().unwrap();
    for _ in 0..2 {
        let again = node.post("operator", REDRIVE, "k1", &body).await;
        assert_eq!(again.expect(202).text_of("id"), id);
    }
    let mut other = body.clone();
    other["per_second"] = json!(1);
    let other = node.post("operator", REDRIVE, "k1", &other).await;
    assert_eq!(other.expect(422).code(), "idempotency_mismatch");

    shop.until_deliveries("state=delivered", 3).await;
    let path = format!("/v1/delivery-batches/{id}");
    let over = shop
        .eventually("the end of the batch", async || {
            let shown = node.get("auditor", &path).await.expect(200).json();
            (shown["state"] == "finished").then_some(shown)
        })
        .await;
    assert_eq!(
        (
            &over["done"],
            &over["skipped"],
            &over["left"],
            &over["requested_by"]
        ),
        (&json!(3), &json!(0), &json!(0), &json!("client:operator"))
    );
    assert_eq!(crm.count(), 6);
    let log = shop.log().await;
    assert_eq!(log.of_type("DeliveryBatchRequested").count(), 1);
    assert_eq!(log.of_type("DeliveryRedriven").count(), 3);
    assert!(
        !over.to_string().contains("their admin"),
        "words are sealed"
    );

    let list = node
        .get("auditor", "/v1/delivery-batches?subscriber=crm")
        .await;
    assert_eq!(
        list.expect(200).json()["delivery_batches"][0]["id"],
        json!(id)
    );
    let cancel = format!("{path}/cancel");
    let reason = json!({ "reason": "checked" });
    let late = node.post("operator", &cancel, "k2", &reason).await;
    assert_eq!(late.expect(409).code(), "state_conflict");
    node.get("other-operator", &path).await.expect(404);
    node.post("other-operator", &cancel, "k2", &reason)
        .await
        .expect(404);
    let theirs = node.get("other-operator", "/v1/delivery-batches").await;
    assert_eq!(theirs.expect(200).json()["delivery_batches"], json!([]));
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_batch_is_told_by_field_and_nothing_begins() {
    let shop = Shop::open_to_receivers().await;
    let crm = Receiver::start().await;
    shop.subscribe("crm", &crm).await;
    let good = json!({ "subscriber": "crm", "reason": "checked" });
    for (pointer, member, wrong) in [
        ("/reason", "reason", Value::Null),
        ("/subscriber", "subscriber", Value::Null),
        ("/per_second", "per_second", json!(0)),
        ("/per_second", "per_second", json!(10_001)),
        ("/which", "which", json!({ "classes": ["slow"] })),
        ("/which", "which", json!({ "reasons": ["timeout"] })),
        ("/which", "which", json!({ "class": ["timeout"] })),
        (
            "/which",
            "which",
            json!({ "since": "2026-11-25T00:00:00Z", "until": "2026-11-24T00:00:00Z" }),
        ),
        ("/everything", "everything", json!(true)),
    ] {
        let mut body = good.clone();
        body[member] = wrong;
        for path in [REDRIVE, "/v1/deliveries/abandon"] {
            let problem = shop.node.post("operator", path, "k1", &body).await;
            let problem = problem.expect(422).json();
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
    }
    let mut unknown = good.clone();
    unknown["subscriber"] = json!("nobody");
    shop.node
        .post("operator", REDRIVE, "k1", &unknown)
        .await
        .expect(404);
    unknown["dry_run"] = json!(true);
    shop.node
        .post("operator", REDRIVE, "k1", &unknown)
        .await
        .expect(404);
    for (who, status) in [("auditor", 403), ("admin", 403), ("other-operator", 404)] {
        let refused = shop.node.post(who, REDRIVE, "k1", &good).await;
        refused.expect(status);
    }
    assert_eq!(
        shop.log().await.of_type("DeliveryBatchRequested").count(),
        0
    );
    shop.node.stop().await;
}
