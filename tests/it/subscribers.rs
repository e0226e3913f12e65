//! Subscribers as those who look after them see them: what they hear, how they are served, how
//! their keys are exchanged, and how they get what happened before they came.

use std::time::Duration;

use api::app::context::Context;
use api::app::error::AppError;
use api::app::subscribers::NewKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::SubscriberId;
use domain::ports::{Secret, SecretPurpose};
use domain::subscriber::{Backfill, Command, DeliveryPolicy, Refusal, StaticHeaders};
use domain::time::Timestamp;
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use harness::delivery_world::{DeliveryWorld, all, seconds, shop};
use harness::receiver::{Received, Receiver, Reply};
use harness::shop::Shop;
use projections::views::delivery_queue::{DeliveryRow, QueueState};
use serde_json::{Value, json};

fn subjects(receiver: &Receiver) -> Vec<String> {
    let subject = |received: &Received| received.json()["subject"].as_str().unwrap().to_owned();
    receiver.seen().iter().map(subject).collect()
}

fn policy(policy: DeliveryPolicy) -> Command {
    Command::ChangePolicy { policy }
}

#[tokio::test]
async fn strict_order_waits_for_the_first_and_the_usual_order_does_not() {
    let mut world = DeliveryWorld::start().await;
    let away = || [Reply::Status(500), Reply::Status(500)];
    let (erp, crm) = (
        Receiver::answering(away(), Reply::Status(200)).await,
        Receiver::answering(away(), Reply::Status(200)).await,
    );
    world.subscribe("erp", &erp.url()).await;
    world.subscribe("crm", &crm.url()).await;
    let strict = DeliveryPolicy {
        strict_fifo: true,
        ..DeliveryPolicy::default()
    };
    world.command("erp", &policy(strict)).await;
    for letter in ['a', 'b', 'c'] {
        world.pay(letter).await;
    }
    world.until("delivered", all(QueueState::Delivered)).await;
    let erp = subjects(&erp);
    assert_eq!(erp[0], erp[1], "the first again");
    assert_eq!(erp[1], erp[2], "and again");
    assert_eq!(erp.len(), 5);
    assert!(erp[2] != erp[3] && erp[3] != erp[4]);
    let crm = subjects(&crm);
    assert!(
        crm[..3].windows(2).any(|pair| pair[0] != pair[1]),
        "{crm:?}"
    );
}

#[tokio::test]
async fn no_more_goes_out_than_the_rate_says() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::start().await;
    world.subscribe("crm", &crm.url()).await;
    let slow = DeliveryPolicy {
        per_second: 1,
        burst: 2,
        ..DeliveryPolicy::default()
    };
    world.command("crm", &policy(slow)).await;
    for letter in ['a', 'b', 'c', 'd', 'e', 'f'] {
        world.pay(letter).await;
    }
    world.until("delivered", all(QueueState::Delivered)).await;
    let sent: Vec<i64> = crm
        .seen()
        .iter()
        .map(|received| received.header("webhook-timestamp").parse().unwrap())
        .collect();
    // Two at once, then one a second: the sixth comes four seconds after the first at the soonest.
    assert!(sent[5] - sent[0] >= 4, "{sent:?}");
}

#[tokio::test]
async fn what_it_wants_on_every_request_is_on_every_request() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::start().await;
    let secret = world.subscribe("crm", &crm.url()).await;
    let headers = [("X-Tenant".to_owned(), "shop 1".to_owned())].into();
    let headers = StaticHeaders::new(headers).unwrap();
    world
        .command("crm", &Command::ChangeHeaders { headers })
        .await;
    world.pay('a').await;
    world.until("delivered", all(QueueState::Delivered)).await;
    let seen = crm.seen();
    assert_eq!(seen[0].header("x-tenant"), "shop 1");
    assert!(seen[0].is_authentic(&secret));
}

#[tokio::test]
async fn history_comes_on_purpose_once_and_with_the_ids_that_it_always_had() {
    let mut world = DeliveryWorld::start().await;
    let (crm, erp) = (Receiver::start().await, Receiver::start().await);
    world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    world.pay('b').await;
    world.until("delivered", all(QueueState::Delivered)).await;
    world.subscribe("erp", &erp.url()).await;
    world.quiet(seconds(5)).await;
    assert_eq!(erp.count(), 0, "a new subscriber is not flooded");
    let everything = || {
        Command::Backfill(Backfill {
            from: Timestamp::from_seconds(0),
            to: world.now(),
            subjects: Default::default(),
        })
    };
    let (first, second) = (everything(), everything());
    world.command("erp", &first).await;
    let both = |rows: &[projections::views::delivery_queue::DeliveryRow]| {
        rows.len() == 4 && rows.iter().all(|row| row.state == QueueState::Delivered)
    };
    world.until("history", both).await;
    world.command("erp", &second).await;
    world.quiet(seconds(5)).await;
    let events = |receiver: &Receiver| {
        let of = |received: &Received| received.json()["id"].as_str().unwrap().to_owned();
        let mut ids: Vec<String> = receiver.seen().iter().map(of).collect();
        ids.sort();
        ids
    };
    assert_eq!(events(&erp), events(&crm));
    assert_eq!((crm.count(), erp.count()), (2, 2));
}

#[tokio::test]
async fn being_left_alone_and_answering_again_stand_in_the_log() {
    let mut world = DeliveryWorld::start().await;
    world.stride = Duration::from_millis(500);
    let crm = Receiver::answering([], Reply::Status(503)).await;
    world.subscribe("crm", &crm.url()).await;
    for letter in ['a', 'b', 'c', 'd', 'e'] {
        world.pay(letter).await;
    }
    let id = SubscriberId::parse("crm").unwrap();
    let since = async |world: &DeliveryWorld| {
        let known = world.app.subscriber(&shop(), &id).await.unwrap();
        known.circuit_open_since
    };
    for _ in 0..100 {
        if since(&world).await.is_some() {
            break;
        }
        world.quiet(seconds(1)).await;
    }
    assert!(since(&world).await.is_some());
    crm.answers(Reply::Status(200));
    world.until("delivered", all(QueueState::Delivered)).await;
    world.quiet(seconds(2)).await;
    assert_eq!(since(&world).await, None);
}

#[tokio::test]
async fn whoever_looks_at_a_subscriber_sees_how_its_queue_does() {
    let mut world = DeliveryWorld::start().await;
    let answers = [500, 500, 500, 500].map(Reply::Status);
    let crm = Receiver::answering(answers, Reply::Status(404)).await;
    world.subscribe("crm", &crm.url()).await;
    let queue = async |world: &DeliveryWorld| {
        let id = SubscriberId::parse("crm").unwrap();
        let known = world.app.subscriber(&shop(), &id).await.unwrap();
        world.app.shown_with_queue(&known).await.unwrap()["queue"].clone()
    };
    let quiet = queue(&world).await;
    assert_eq!(
        (&quiet["waiting"], &quiet["failed"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(quiet["oldest_waiting_since"], Value::Null);
    world.pay('a').await;
    world.pay('b').await;
    let tried = |rows: &[DeliveryRow]| rows.len() == 2 && rows.iter().all(|row| row.attempts == 2);
    let rows = world.until("four failures", tried).await;
    let since = json!(rows[0].queued_at);
    let soon = queue(&world).await;
    assert_eq!(
        (&soon["waiting"], &soon["oldest_waiting_since"]),
        (&json!(2), &since)
    );
    assert_eq!(
        (&soon["failures_in_a_row"], &soon["left_alone_after"]),
        (&json!(4), &json!(5))
    );
    assert_eq!(soon["next_probe_at"], Value::Null);
    world
        .until("left alone", |rows| {
            rows.iter().any(|row| row.attempts == 3)
        })
        .await;
    assert!(queue(&world).await["next_probe_at"].is_string());
    world.stride = Duration::from_secs(1);
    world.until("given up", all(QueueState::DeadLettered)).await;
    let over = queue(&world).await;
    assert_eq!((&over["waiting"], &over["failed"]), (&json!(0), &json!(2)));
}

async fn changed(shop: &Shop, change: Value, key: &str) -> Value {
    let token = format!("Bearer {}", shop.node.token("admin"));
    let path = "/v1/subscribers/crm";
    let answer = shop
        .node
        .call("PATCH", path, Some(&token), Some(key), Some(&change))
        .await;
    answer.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_made_changed_one_by_one_and_refused_by_name() {
    let shop = Shop::open_to_receivers().await;
    let node = &shop.node;
    let new = json!({
        "id": "crm", "url": "https://crm.example/hook", "events": ["ordinary", "exception_opened"],
        "scenarios": ["telegram"], "policy": { "per_second": 5 }, "headers": { "X-Tenant": "1" }
    });
    let made = node.post("admin", "/v1/subscribers", "k1", &new).await;
    let made = made.expect(201).json();
    assert_eq!(made["policy"]["per_second"], 5);
    assert_eq!(made["policy"]["max_in_flight"], 4);
    assert_eq!(made["headers"], json!({ "x-tenant": "1" }));

    let one = changed(&shop, json!({ "policy": { "strict_fifo": true } }), "k2").await;
    assert_eq!(
        (&one["policy"]["per_second"], &one["policy"]["strict_fifo"]),
        (&json!(5), &json!(true))
    );
    assert_eq!(one["scenarios"], json!(["telegram"]));
    let two = changed(&shop, json!({ "scenarios": null, "headers": {} }), "k3").await;
    assert_eq!(
        (&two["scenarios"], &two["headers"]),
        (&Value::Null, &json!({}))
    );
    assert_eq!(two["events"], json!(["ordinary", "exception_opened"]));

    for (pointer, wrong) in [
        ("/events", json!({ "events": ["payment.verified"] })),
        ("/events", json!({ "events": [] })),
        ("/scenarios", json!({ "scenarios": [] })),
        ("/per_second", json!({ "policy": { "per_second": 0 } })),
        ("/policy", json!({ "policy": { "per_minute": 1 } })),
        ("/headers", json!({ "headers": { "Host": "evil" } })),
        ("/url", json!({ "url": "ftp://crm.example" })),
    ] {
        let token = format!("Bearer {}", node.token("admin"));
        let path = "/v1/subscribers/crm";
        let answer = node
            .call("PATCH", path, Some(&token), Some("k4"), Some(&wrong))
            .await;
        let problem = answer.expect(422).json();
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let token = format!("Bearer {}", node.token("admin"));
    let gone = node
        .call(
            "DELETE",
            "/v1/subscribers/crm",
            Some(&token),
            Some("k5"),
            None,
        )
        .await;
    assert_eq!(gone.expect(200).json()["state"], "removed");
    node.get("admin", "/v1/subscribers/crm").await.expect(404);
    let again = node.post("admin", "/v1/subscribers", "k6", &new).await;
    again.expect(409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_pair_signs_beside_the_secret_and_anybody_can_check_it() {
    let shop = Shop::open_to_receivers().await;
    let crm = Receiver::start().await;
    let old = shop.subscribe("crm", &crm).await;
    let keys = "/v1/subscribers/crm/keys";
    let pair = json!({ "scheme": "v1a" });
    let made = shop
        .node
        .post("admin", keys, "k1", &pair)
        .await
        .expect(201)
        .json();
    let repeat = shop
        .node
        .post("admin", keys, "k1", &pair)
        .await
        .expect(201)
        .json();
    assert!(made["public_key"].is_string() && repeat["public_key"].is_null());
    let exchanged = shop.node.post("admin", keys, "k2", &json!({})).await;
    let new = exchanged.expect(201).text_of("signing_secret");

    let published = shop
        .node
        .call("GET", "/.well-known/webhook-keys.json", None, None, None);
    shop.views_have_caught_up().await;
    let published = published.await.expect(200).json();
    assert_eq!(published["keys"][0]["public_key"], made["public_key"]);
    assert_eq!(published["keys"].as_array().unwrap().len(), 1);

    shop.pay("tea-1").await;
    shop.until_deliveries("state=delivered&subscriber=crm", 1)
        .await;
    let told = &crm.seen()[0];
    assert!(told.is_authentic(&old) && told.is_authentic(&new));
    let signature = told
        .header("webhook-signature")
        .split(' ')
        .find_map(|one| one.strip_prefix("v1a,"))
        .unwrap();
    let signature = Signature::from_slice(&STANDARD.decode(signature).unwrap()).unwrap();
    let text = made["public_key"].as_str().unwrap();
    let key = STANDARD
        .decode(text.strip_prefix("whpk_").unwrap())
        .unwrap();
    let key = VerifyingKey::from_bytes(&key.try_into().unwrap()).unwrap();
    let (id, time) = (told.header("webhook-id"), told.header("webhook-timestamp"));
    let signed = [format!("{id}.{time}.").as_bytes(), &told.body].concat();
    assert!(key.verify(&signed, &signature).is_ok());
}

#[tokio::test]
async fn a_key_that_was_refused_signs_nothing_and_one_that_is_over_in_the_log_signs_no_more() {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::start().await;
    let first = world.subscribe("crm", &crm.url()).await;
    let id = SubscriberId::parse("crm").unwrap();
    let purpose = SecretPurpose::Subscriber("crm".into());
    let context = Context::job("test");
    let (day, shop) = (seconds(86_400), shop());
    for _ in 0..2 {
        let app = &world.app;
        let added = app.add_signing_key(&shop, &id, &context, NewKey::V1, day);
        added.await.unwrap();
    }
    let live = async |world: &DeliveryWorld| {
        let live = world.app.secrets.active(&shop, &purpose, world.now());
        live.await.unwrap()
    };
    assert_eq!(live(&world).await.len(), 3);
    let app = &world.app;
    let fourth = app.add_signing_key(&shop, &id, &context, NewKey::V1, day);
    assert!(matches!(
        fourth.await,
        Err(AppError::Subscriber(Refusal::TooManyKeys))
    ));
    assert_eq!(live(&world).await.len(), 3, "nothing is left of the fourth");

    // As after a crash between the log and the keyring: only the log knows of the end.
    for secret in live(&world).await {
        let endless = Secret {
            valid_until: None,
            ..secret
        };
        world
            .app
            .secrets
            .set(&shop, &purpose, endless)
            .await
            .unwrap();
    }
    world.clock.advance(day + seconds(1));
    world.pay('a').await;
    world.until("delivered", all(QueueState::Delivered)).await;
    let seen = crm.seen();
    assert_eq!(seen[0].header("webhook-signature").split(' ').count(), 1);
    assert!(!seen[0].is_authentic(&first));
}
