//! Receivers that fetch their events, over real sockets: what they get, how they go on, what they
//! acknowledge, and what is no business of theirs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use api::admin::{AdminCommand, execute, socket};
use domain::access::role::Role;
use domain::ids::{ClientId, MerchantId, OperatorId, SubscriberId};
use domain::payment::evidence::Mode;
use domain::ports::{Filter, Secret, SecretPurpose};
use domain::stream::Category;
use harness::node::{Answer, TestNode};
use harness::puller::{Puller, next_page};
use harness::receiver::{Received, Receiver};
use harness::shop::Shop;
use serde_json::{Value, json};

const BATCH: &str = "application/cloudevents-batch+json; charset=utf-8";

fn events(answer: &Answer) -> Vec<Value> {
    answer.json().as_array().unwrap().clone()
}

/// So many test events for a subscriber, each with a name of its own.
async fn tell(node: &TestNode, subscriber: &str, keys: &[&str]) {
    for key in keys {
        let path = format!("/v1/subscribers/{subscriber}/test");
        let asked = node.post("admin", &path, key, &json!({})).await;
        asked.expect(202);
    }
}

/// Each event of a page with signatures, as a push would have brought it.
fn as_pushed(page: &Value) -> Vec<Received> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let events = page["events"].as_array().unwrap().iter();
    events
        .map(|event| Received {
            path: String::new(),
            headers: event["headers"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            body: text(&event["body"]).into_bytes(),
        })
        .collect()
}

async fn outcomes(node: &TestNode, subscriber: &str) -> Vec<Vec<Value>> {
    let list = format!("/v1/deliveries?subscriber={subscriber}&limit=500");
    let rows = node.get("operator", &list).await.expect(200).json();
    let mut found = vec![];
    for row in rows["deliveries"].as_array().unwrap() {
        let path = format!("/v1/deliveries/{}", row["id"].as_str().unwrap());
        let detail = node.get("operator", &path).await.expect(200).json();
        found.push(detail["history"].as_array().unwrap().clone());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_fetched_are_the_very_bytes_of_a_push_under_ids_and_signatures_of_its_own() {
    let shop = Shop::open_to_receivers().await;
    let crm = Receiver::start().await;
    let of_crm = shop.subscribe("crm", &crm).await;
    let (erp, secret) = Puller::of_new(&shop.node, "erp").await;
    let (_, reference) = shop.pay("tea-1").await;
    shop.give_back(&reference).await;
    shop.pay("tea-2").await;
    shop.until_deliveries("subscriber=crm&state=delivered", 3)
        .await;

    let batch = erp.pull(&shop.node, "").await.expect(200);
    assert_eq!(batch.header("content-type"), BATCH);
    assert_eq!(batch.header("counterfoil-done"), "true");
    let page = erp.signed(&shop.node, "").await.expect(200);
    assert_eq!(page.header("content-type"), "application/json");
    let page = page.json();
    assert_eq!(page["iterator"], batch.header("counterfoil-cursor"));
    assert_eq!(page["done"], true);
    let fetched = as_pushed(&page);
    let bodies: Vec<&str> = fetched
        .iter()
        .map(|one| std::str::from_utf8(&one.body).unwrap())
        .collect();
    assert_eq!(batch.text, format!("[{}]", bodies.join(",")));
    let bytes = |all: &[Received]| -> BTreeSet<Vec<u8>> {
        all.iter().map(|one| one.body.clone()).collect()
    };
    assert_eq!(bytes(&fetched), bytes(&crm.seen()));
    assert_eq!(fetched.len(), 3);

    let queued = shop.deliveries("subscriber=erp").await;
    let queued: BTreeSet<&str> = queued
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    let ids: BTreeSet<&str> = fetched.iter().map(|one| one.header("webhook-id")).collect();
    assert_eq!(ids, queued);
    for (one, event) in fetched.iter().zip(page["events"].as_array().unwrap()) {
        assert_eq!(event["delivery_id"], one.header("webhook-id"));
        assert!(one.is_authentic(&secret) && !one.is_authentic(&of_crm));
        let mut altered = one.clone();
        altered.body.push(b' ');
        assert!(!altered.is_authentic(&secret));
    }
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_one_follow_their_links_and_one_acknowledgement_ends_them_all() {
    let node = TestNode::start().await;
    let (erp, _) = Puller::of_new(&node, "erp").await;
    tell(&node, "erp", &["k1", "k2", "k3"]).await;
    let whole = events(&erp.pull(&node, "").await.expect(200));
    let (mut seen, mut done) = (vec![], vec![]);
    let mut page = erp.pull(&node, "limit=1").await.expect(200);
    loop {
        assert_eq!(events(&page).len(), 1);
        seen.extend(events(&page));
        done.push(page.header("counterfoil-done").to_owned());
        if page.header("counterfoil-done") == "true" {
            break;
        }
        page = erp.follow(&node, &next_page(&page)).await.expect(200);
    }
    assert_eq!(
        (seen, done),
        (
            whole.clone(),
            vec!["false".into(), "false".into(), "true".into()]
        )
    );

    let cursor = page.header("counterfoil-cursor").to_owned();
    let acknowledged = erp.acknowledge(&node, &cursor).await.expect(200).json();
    let told = json!({ "acknowledged": 3, "cursor": cursor, "done": true });
    assert_eq!(acknowledged, told);
    let again = erp.acknowledge(&node, &cursor).await.expect(200).json();
    assert_eq!(again["acknowledged"], 0);

    let nothing = erp.pull(&node, "").await.expect(200);
    assert_eq!(
        (&*nothing.text, nothing.header("counterfoil-cursor")),
        ("[]", "")
    );
    let end = erp
        .pull(&node, &format!("after={cursor}"))
        .await
        .expect(200);
    assert_eq!(
        (&*end.text, end.header("counterfoil-cursor")),
        ("[]", &*cursor)
    );
    // What was acknowledged is still there for whoever looks back.
    let since = erp.pull(&node, "since=2020-01-01T00:00:00Z").await;
    assert_eq!(events(&since.expect(200)), whole);
    let later = erp.pull(&node, "since=2100-01-01T00:00:00Z").await;
    assert_eq!(later.expect(200).text, "[]");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_dies_before_it_acknowledges_gets_the_same_again() {
    let mut node = TestNode::start().await;
    let (erp, _) = Puller::of_new(&node, "erp").await;
    tell(&node, "erp", &["k1", "k2", "k3"]).await;
    let first = erp.pull(&node, "limit=2").await.expect(200);
    node.restart().await;
    let again = erp.pull(&node, "limit=2").await.expect(200);
    assert_eq!(again.text, first.text);
    let cursor = again.header("counterfoil-cursor");
    assert_eq!(cursor, first.header("counterfoil-cursor"));
    erp.acknowledge(&node, cursor).await.expect(200);
    let rest = erp.pull(&node, "").await.expect(200);
    let whole = erp.pull(&node, "since=2020-01-01T00:00:00Z").await;
    assert_eq!(events(&rest), events(&whole.expect(200))[2..]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_of_one_queue_end_each_delivery_once() {
    let node = TestNode::start().await;
    let (one, _) = Puller::of_new(&node, "erp").await;
    let two = Puller::bound_to(&node, "erp-box-2", "erp").await;
    tell(&node, "erp", &["k1", "k2", "k3", "k4", "k5", "k6"]).await;
    let (a, b) = tokio::join!(one.pull(&node, ""), two.pull(&node, ""));
    assert_eq!(a.text, b.text);
    let cursor = a.header("counterfoil-cursor");
    let (a, b) = tokio::join!(
        one.acknowledge(&node, cursor),
        two.acknowledge(&node, cursor)
    );
    let count = |answer: Answer| answer.expect(200).json()["acknowledged"].as_u64().unwrap();
    assert_eq!(count(a) + count(b), 6);
    let outcomes = outcomes(&node, "erp").await;
    assert_eq!(outcomes.len(), 6);
    for outcome in outcomes {
        assert_eq!(outcome.len(), 1, "{outcome:?}");
        assert_eq!(outcome[0]["what"], "DeliveryAcknowledgedByPull");
        let consumer = outcome[0]["data"]["consumer"]["id"].as_str().unwrap();
        assert_eq!(outcome[0]["who"], format!("client:{consumer}"));
        assert!(["erp-box", "erp-box-2"].contains(&consumer));
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_the_first_event_and_an_empty_one_when_its_time_is_over() {
    let node = TestNode::start().await;
    let (erp, _) = Puller::of_new(&node, "erp").await;
    let started = Instant::now();
    let nothing = erp.pull(&node, "wait=1").await.expect(200);
    assert_eq!(nothing.text, "[]");
    assert!(started.elapsed() >= Duration::from_secs(1));

    let waiting = erp.pull(&node, "wait=25");
    let telling = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        tell(&node, "erp", &["k1"]).await;
    };
    let started = Instant::now();
    let (told, ()) = tokio::join!(waiting, telling);
    assert_eq!(events(&told.expect(200)).len(), 1);
    assert!(started.elapsed() < Duration::from_secs(10));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_may_wait_for_a_queue_and_who_is_sent_away_meanwhile_is_told_nothing() {
    let node = TestNode::start().await;
    let (erp, _) = Puller::of_new(&node, "erp").await;
    let wait = || erp.pull(&node, "wait=2");
    let (a, b, c, d, e) = tokio::join!(wait(), wait(), wait(), wait(), wait());
    let mut statuses = [a, b, c, d, e].map(|answer| answer.status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 429]);

    let waiting = erp.pull(&node, "wait=25");
    let leaving = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let id = ClientId::parse("erp-box").unwrap();
        let revoke = AdminCommand::ClientRevoke { id, key_id: None };
        node.admin(revoke).await;
        // A revocation counts within a second.
        tokio::time::sleep(Duration::from_secs(2)).await;
        tell(&node, "erp", &["k1"]).await;
    };
    let started = Instant::now();
    let (told, ()) = tokio::join!(waiting, leaving);
    assert_eq!(told.expect(200).text, "[]");
    assert!(started.elapsed() < Duration::from_secs(10));
    erp.pull(&node, "").await.expect(401);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_writes_nothing_and_an_acknowledgement_only_to_the_deliveries_themselves() {
    let shop = Shop::open().await;
    let (erp, _) = Puller::of_new(&shop.node, "erp").await;
    shop.pay("tea-1").await;
    tell(&shop.node, "erp", &["k1"]).await;
    let by_box = async || {
        let store = shop.node.app().recorder.store();
        let page = store.read_all(None, &Filter::all(), 1_000).await.unwrap();
        let all = page.events.into_iter();
        all.filter(|event| event.envelope().unwrap().actor.display() == "client:erp-box")
            .map(|event| event.stream.category())
            .collect::<Vec<_>>()
    };
    let batch = erp.pull(&shop.node, "").await.expect(200);
    erp.signed(&shop.node, "wait=1").await.expect(200);
    assert_eq!(events(&batch).len(), 2);
    assert_eq!(by_box().await, []);
    let cursor = batch.header("counterfoil-cursor");
    erp.acknowledge(&shop.node, cursor).await.expect(200);
    assert_eq!(by_box().await, [Category::Delivery, Category::Delivery]);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_sees_the_one_queue_that_it_is_bound_to_and_no_other() {
    let node = TestNode::start().await;
    let (erp, _) = Puller::of_new(&node, "erp").await;
    let (crm, _) = Puller::of_new(&node, "crm").await;
    tell(&node, "crm", &["k1"]).await;
    let cursor = crm.pull(&node, "").await.expect(200);
    let cursor = cursor.header("counterfoil-cursor");
    for stranger in [erp.looking_at("crm"), erp.looking_at("nobody")] {
        let refused = stranger.pull(&node, "").await.expect(404);
        assert_eq!(refused.code(), "not_found");
        stranger.acknowledge(&node, cursor).await.expect(404);
    }
    // A cursor of another's queue fits nowhere.
    let foreign = erp
        .pull(&node, &format!("after={cursor}"))
        .await
        .expect(409);
    assert_eq!(foreign.code(), "other_log");
    assert_eq!(
        erp.acknowledge(&node, cursor).await.expect(409).code(),
        "other_log"
    );

    let by = socket::context(&OperatorId::parse("op-test").unwrap(), "test");
    let id = ClientId::parse("erp-box").unwrap();
    let bind = |subscriber: &str| AdminCommand::ClientGrant {
        id: id.clone(),
        role: Role::Receiver,
        scenarios: [].into(),
        subscriber: Some(SubscriberId::parse(subscriber).unwrap()),
    };
    assert!(
        execute(node.app(), &by, bind("crn")).await.is_err(),
        "mistyped"
    );
    let other = AdminCommand::ClientCreate {
        id: ClientId::parse("other-box").unwrap(),
        merchant: MerchantId::parse("other").unwrap(),
        role: Role::Receiver,
        scenarios: [].into(),
        subscriber: Some(SubscriberId::parse("crm").unwrap()),
        mode: Mode::Test,
        token_days: 1,
    };
    assert!(
        execute(node.app(), &by, other).await.is_err(),
        "another merchant's"
    );
    node.admin(bind("crm")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    erp.pull(&node, "").await.expect(404);
    erp.looking_at("crm").pull(&node, "").await.expect(200);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_refused_by_name() {
    let node = TestNode::start().await;
    let (erp, _) = Puller::of_new(&node, "erp").await;
    tell(&node, "erp", &["k1"]).await;
    let page = erp.pull(&node, "").await.expect(200);
    let cursor = page.header("counterfoil-cursor");
    for (pointer, query) in [
        ("after", "after=first".to_owned()),
        ("since", "since=yesterday".to_owned()),
        (
            "since",
            format!("after={cursor}&since=2026-01-01T00:00:00Z"),
        ),
        ("limit", "limit=0".to_owned()),
        ("wait", "wait=31".to_owned()),
        ("wait", "wait=-1".to_owned()),
    ] {
        let problem = erp.pull(&node, &query).await.expect(422).json();
        assert_eq!(
            problem["errors"][0]["pointer"], pointer,
            "{query}: {problem}"
        );
    }
    let problem = erp.acknowledge(&node, "first").await.expect(422).json();
    assert_eq!(problem["errors"][0]["pointer"], "/cursor");
    // The same place, and another delivery at it.
    let elsewhere = format!("2{}", &cursor[1..]);
    erp.acknowledge(&node, &elsewhere).await.expect(409);

    let pause = "/v1/subscribers/erp/pause";
    node.post("operator", pause, "p1", &json!({}))
        .await
        .expect(200);
    let paused = erp.pull(&node, "").await.expect(409);
    assert_eq!(paused.code(), "state_conflict");
    // What it has already, it may say.
    erp.acknowledge(&node, cursor).await.expect(200);
    node.post("operator", "/v1/subscribers/erp/resume", "p2", &json!({}))
        .await
        .expect(200);

    let (purpose, shop) = (
        SecretPurpose::Subscriber("erp".into()),
        MerchantId::parse("shop").unwrap(),
    );
    let (secrets, now) = (&node.app().secrets, node.app().recorder.now());
    for secret in secrets.active(&shop, &purpose, now).await.unwrap() {
        let over = Secret {
            valid_until: Some(now),
            ..secret
        };
        secrets.set(&shop, &purpose, over).await.unwrap();
    }
    let query = "since=2020-01-01T00:00:00Z";
    assert_eq!(
        erp.signed(&node, query).await.expect(409).code(),
        "state_conflict"
    );
    erp.pull(&node, query).await.expect(200);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_says_how_it_gets_its_events_and_a_forgotten_address_is_told() {
    let node = TestNode::start().await;
    for (pointer, new) in [
        ("/url", json!({ "id": "box" })),
        ("/url", json!({ "id": "box", "url": null })),
        ("/url", json!({ "id": "box", "delivery": "push" })),
        (
            "/url",
            json!({ "id": "box", "delivery": "pull", "url": "https://box.example" }),
        ),
        ("/delivery", json!({ "id": "box", "delivery": "mail" })),
    ] {
        let answer = node.post("admin", "/v1/subscribers", "k1", &new).await;
        let problem = answer.expect(422).json();
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{new}: {problem}");
    }
    let made = json!({ "id": "box", "delivery": "pull" });
    let made = node.post("admin", "/v1/subscribers", "k2", &made).await;
    let made = made.expect(201).json();
    assert_eq!(
        (&made["delivery"], &made["url"]),
        (&json!("pull"), &Value::Null)
    );
    let token = format!("Bearer {}", node.token("admin"));
    for (number, change, delivery) in [
        (1, json!({ "url": "https://box.example" }), "push"),
        (2, json!({ "policy": { "per_second": 1 } }), "push"),
        (3, json!({ "delivery": "pull" }), "pull"),
    ] {
        let key = format!("change-{number}");
        let path = "/v1/subscribers/box";
        let changed = node.call("PATCH", path, Some(&token), Some(&key), Some(&change));
        let changed = changed.await.expect(200).json();
        assert_eq!(changed["delivery"], delivery);
    }
    node.stop().await;
}
