//! Promise: failed deliveries stand in a list that an operator can filter, inspect, redrive or
//! abandon with a reason.

use std::time::Duration;

use domain::delivery::Command;
use domain::delivery::event::FailureClass;
use domain::ids::SubscriberId;
use domain::subscriber::{self, PausedWhy};
use harness::delivery_world::{DeliveryWorld, all, any, seconds, shop, states};
use harness::receiver::{Receiver, Reply};
use harness::shop::Shop;
use projections::views::delivery_queue::QueueState;
use serde_json::{Value, json};

fn id_of(row: &Value) -> String {
    row["id"].as_str().unwrap().to_owned()
}

/// A subscriber that turned the first delivery away for good; gives the request's id, our reference
/// and the row.
async fn one_failed(shop: &Shop, crm: &Receiver) -> (String, String, Value) {
    shop.subscribe("crm", crm).await;
    let (request, our_reference) = shop.pay("tea-1").await;
    let failed = shop.turned_away("crm").await;
    (request, our_reference, failed)
}

async fn resume(shop: &Shop, key: &str) {
    let resumed = shop
        .node
        .post("operator", "/v1/subscribers/crm/resume", key, &json!({}))
        .await;
    resumed.expect(200);
}

fn gone() -> Reply {
    Reply::Body(410, r#"{"error": "this hook has moved"}"#.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_filtered_and_shows_exactly_what_was_sent_and_answered() {
    let shop = Shop::open_to_receivers().await;
    let erp = Receiver::start().await;
    shop.subscribe("erp", &erp).await;
    let crm = Receiver::answering([gone()], Reply::Status(200)).await;
    let (request, _, failed) = one_failed(&shop, &crm).await;
    let (other, _) = shop.pay("tea-2").await;
    shop.until_deliveries("subscriber=erp&state=delivered", 2)
        .await;
    shop.until_deliveries("", 4).await;

    let id = id_of(&failed);
    let of_request = format!("payment_request_id={request}");
    for (filter, wanted) in [
        ("state=dead_lettered", 1),
        ("state=dead_lettered&subscriber=crm", 1),
        ("state=dead_lettered&subscriber=erp", 0),
        (&format!("state=dead_lettered&{of_request}"), 1),
        (
            &format!("state=dead_lettered&payment_request_id={other}"),
            0,
        ),
        ("state=due", 1),
        (of_request.as_str(), 2),
    ] {
        let rows = shop.deliveries(filter).await;
        assert_eq!(rows.len(), wanted, "{filter}: {rows:#?}");
    }
    let unknown = shop
        .node
        .get("operator", "/v1/deliveries?state=lost")
        .await
        .expect(422);
    assert_eq!(unknown.json()["errors"][0]["pointer"], "state");
    assert_eq!(
        (&failed["last_failure"], &failed["last_status"]),
        (&json!("gone_410"), &json!(410))
    );

    let path = format!("/v1/deliveries/{id}");
    let shown = shop.node.get("operator", &path).await.expect(200).json();
    let sent = &crm.seen()[0];
    assert_eq!(shown["body"].as_str().unwrap().as_bytes(), sent.body);
    let tried = &shown["attempts"][0];
    assert_eq!(tried["answer"], r#"{"error": "this hook has moved"}"#);
    assert_eq!(
        (&tried["http_status"], &tried["class"], &tried["ended"]),
        (&json!(410), &json!("http_4xx"), &json!("gone_410"))
    );
    assert!(tried["latency_ms"].is_u64() && tried["sent_at"].is_string());
    assert_eq!(tried["body_sha256"], shown["body_sha256"]);
    assert_eq!(tried["key_ids"], json!(["crm-1"]));
    assert_eq!(
        shown["history"][0]["what"], "DeliveryDeadLettered",
        "{shown:#}"
    );

    // Reading is the auditor's, too; another merchant's delivery does not exist, and a bot sees none.
    shop.node.get("auditor", &path).await.expect(200);
    shop.node.get("other-operator", &path).await.expect(404);
    let none = shop
        .node
        .get("other-operator", "/v1/deliveries")
        .await
        .expect(200);
    assert_eq!(none.json()["deliveries"], json!([]));
    shop.node.get("bot", "/v1/deliveries").await.expect(403);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_sends_the_same_again_once_and_says_who_wanted_it_and_why() {
    let shop = Shop::open_to_receivers().await;
    let crm = Receiver::answering([gone()], Reply::Status(200)).await;
    let (_, _, failed) = one_failed(&shop, &crm).await;
    let id = id_of(&failed);
    resume(&shop, "resume-1").await;
    let before = shop.log().await.events.len();
    for body in [
        json!({}),
        json!({ "reason": "" }),
        json!({ "reason": "Because I say so" }),
    ] {
        let refused = shop
            .decide(&id, "redrive", "redrive-1", &body)
            .await
            .expect(422);
        assert_eq!(refused.json()["errors"][0]["pointer"], "/reason");
    }
    let path = format!("/v1/deliveries/{id}/redrive");
    let reason = json!({ "reason": "hook_is_back", "text": "their admin wrote to us" });
    for (who, status) in [("auditor", 403), ("admin", 403), ("other-operator", 404)] {
        shop.node
            .post(who, &path, "redrive-1", &reason)
            .await
            .expect(status);
    }
    assert_eq!(crm.count(), 1);
    let log = shop.log().await;
    let denied = log.of_type("AccessDenied").count();
    assert_eq!(
        log.events.len() - denied,
        before,
        "a refused decision changes nothing"
    );

    for _ in 0..3 {
        shop.decide(&id, "redrive", "redrive-1", &reason)
            .await
            .expect(200);
    }
    shop.until_deliveries("state=delivered", 1).await;
    let seen = crm.seen();
    assert_eq!(seen.len(), 2, "repeating the command repeats nothing");
    assert_eq!(seen[1].header("webhook-id"), id);
    assert_eq!(seen[1].body, seen[0].body);
    assert_eq!(seen[1].header("counterfoil-generation"), "2");
    let again = shop
        .decide(&id, "redrive", "redrive-2", &reason)
        .await
        .expect(409);
    assert_eq!(again.code(), "state_conflict");

    let path = format!("/v1/deliveries/{id}");
    let shown = shop.node.get("auditor", &path).await.expect(200).json();
    let steps = shown["history"].as_array().unwrap();
    let redriven = steps
        .iter()
        .find(|step| step["what"] == "DeliveryRedriven")
        .unwrap();
    assert_eq!(
        (&redriven["why"], &redriven["who"]),
        (&json!("hook_is_back"), &json!("client:operator"))
    );
    assert!(
        !shown.to_string().contains("their admin"),
        "words are sealed"
    );
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_delivery_is_never_sent_makes_way_and_says_why() {
    let shop = Shop::open_to_receivers().await;
    let crm = Receiver::answering([gone()], Reply::Status(200)).await;
    let (request, our_reference, failed) = one_failed(&shop, &crm).await;
    shop.give_back(&our_reference).await;
    resume(&shop, "resume-1").await;
    shop.until_deliveries("state=held", 1).await;
    let id = id_of(&failed);
    let nameless = shop
        .decide(&id, "abandon", "abandon-1", &json!({}))
        .await
        .expect(422);
    assert_eq!(nameless.code(), "invalid");
    let reason = json!({ "reason": "told_by_phone" });
    shop.decide(&id, "abandon", "abandon-1", &reason)
        .await
        .expect(200);
    shop.until_deliveries("state=delivered", 1).await;
    assert_eq!(
        shop.deliveries("state=dead_lettered").await,
        Vec::<Value>::new()
    );
    let rows = shop
        .deliveries(&format!("state=abandoned&payment_request_id={request}"))
        .await;
    assert_eq!(rows.len(), 1);
    assert_eq!(id_of(&rows[0]), id);
    assert_eq!(crm.count(), 2);
    assert_eq!(
        crm.seen()[1].json()["type"],
        "counterfoil.payment.reversed.v1"
    );

    let log = shop.log().await;
    let abandoned: Vec<_> = log.of_type("DeliveryAbandoned").collect();
    assert_eq!(abandoned.len(), 1);
    let why = abandoned[0].reason.as_ref().unwrap();
    assert_eq!(why.code.as_str(), "told_by_phone");
    assert_eq!(abandoned[0].actor.display(), "client:operator");
    shop.node.stop().await;
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
async fn an_address_that_may_not_be_called_is_given_up_at_once() {
    let mut world = DeliveryWorld::start().await;
    world
        .subscribe("crm", "http://169.254.169.254/latest/meta-data")
        .await;
    world.pay('a').await;
    let rows = world.until("given up", all(QueueState::DeadLettered)).await;
    assert_eq!(
        (rows[0].last_failure(), world.sent()),
        (Some("ssrf_blocked"), 1)
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
        (rows[0].last_failure(), crm.count()),
        (Some("rejected_4xx"), 4)
    );
    assert!(world.now().since(began) < seconds(200));
    let detail = world.app.delivery(&shop(), &rows[0].id).await.unwrap();
    assert_eq!((detail.tries.len(), detail.history.len()), (4, 4));
    for (n, tried) in (1..).zip(&detail.tries) {
        assert_eq!((tried.attempt_no, tried.http_status), (n, Some(422)));
        assert_eq!(tried.class, Some(FailureClass::Refused));
        assert_eq!(
            tried.answer.as_deref(),
            Some(r#"{"error": "unknown order"}"#)
        );
    }
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

    world
        .decide(&rows[0].id, &Command::Redrive { batch: None })
        .await;
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
    world
        .decide(&rows[0].id, &Command::Abandon { batch: None })
        .await;
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
        (rows[0].last_failure(), crm.count()),
        (Some("crash_loop"), 0)
    );
    world.decide(&id, &Command::Redrive { batch: None }).await;
    world.until("delivered", all(QueueState::Delivered)).await;
    assert_eq!(crm.seen()[0].header("webhook-id"), id.as_str());
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
    assert!(rows.iter().any(|row| row.last_failure() == Some("max_age")));
    assert!(
        crm.count() >= 6,
        "it was probed once more before anything was given up"
    );
}
