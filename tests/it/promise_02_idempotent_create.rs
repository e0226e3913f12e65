//! Promise 2: creating is idempotent. The same key with the same content gives the first answer
//! again, however often, at once or after a restart; the same key with other content is refused.

use api::admin::AdminCommand;
use domain::ids::{KeyId, MerchantId};
use harness::node::{Answer, TestNode};
use harness::quiet_provider::{API_KEY, QuietProvider, SECRET, message, seconds_now, signed};
use serde_json::{Value, json};

const REQUESTS: &str = "/v1/payment-requests";

fn order(order_id: &str, minor: &str) -> Value {
    json!({ "order_id": order_id, "scenario": "telegram", "amount": { "minor": minor, "currency": "AMD" } })
}

async fn events(node: &TestNode, event_type: &str) -> usize {
    let page = node
        .get(
            "auditor",
            &format!("/v1/events?limit=500&type={event_type}"),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(page["done"], true);
    page["events"].as_array().unwrap().len()
}

/// The same answer, but for the header that says so.
#[track_caller]
fn assert_replayed(again: &Answer, first: &Answer) {
    assert_eq!(first.header("idempotent-replayed"), "");
    assert_eq!(
        again.header("idempotent-replayed"),
        "true",
        "{}",
        again.text
    );
    assert_eq!(again.status, first.status);
    assert_eq!(again.text, first.text);
    for name in ["location", "etag", "position"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_again_is_the_first_answer_again_a2() {
    let mut node = TestNode::start().await;
    let first = node
        .post("backend", REQUESTS, "k", &order("1", "150000"))
        .await
        .expect(201);
    assert_replayed(
        &node
            .post("backend", REQUESTS, "k", &order("1", "150000"))
            .await,
        &first,
    );
    // The order of members and the way an integer is written are no content.
    let spelled =
        r#"{"amount":{"currency":"AMD","minor":"150000"},  "scenario":"telegram","order_id":"1"}"#;
    let request = node
        .http()
        .post(node.url(REQUESTS))
        .bearer_auth(node.token("backend"));
    let request = request
        .header("idempotency-key", "k")
        .header("content-type", "application/json")
        .body(spelled);
    assert_replayed(&Answer::of(request.send().await.unwrap()).await, &first);

    node.restart().await;
    assert_replayed(
        &node
            .post("backend", REQUESTS, "k", &order("1", "150000"))
            .await,
        &first,
    );
    // What happened since does not change the first answer, nor does what would be refused today.
    let id = first.text_of("id");
    node.post(
        "backend",
        &format!("{REQUESTS}/{id}/cancel"),
        "c",
        &json!({}),
    )
    .await
    .expect(200);
    node.restart_with(|settings| {
        settings.merchants[0].scenarios[0].amount_minor_min.0 = 300_000_000
    })
    .await;
    assert_replayed(
        &node
            .post("backend", REQUESTS, "k", &order("1", "150000"))
            .await,
        &first,
    );
    assert_eq!(
        node.get("backend", &format!("{REQUESTS}/{id}"))
            .await
            .text_of("status"),
        "cancelled"
    );
    assert_eq!(events(&node, "PaymentRequestCreated").await, 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issued_quote_is_answered_again_although_the_scenario_is_stricter_now_a2() {
    let mut node = TestNode::start().await;
    let quote = order("7", "150000");
    let first = node.post("backend", "/v1/quotes", "q", &quote).await;
    assert_eq!(first.status, 201);
    node.restart_with(|settings| {
        settings.merchants[0].scenarios[0].amount_minor_min.0 = 300_000_000
    })
    .await;
    let again = node.post("backend", "/v1/quotes", "q", &quote).await;
    assert_replayed(&again, &first);
    let other = node
        .post("backend", "/v1/quotes", "q", &order("7", "160000"))
        .await;
    assert_eq!(other.code(), "idempotency_mismatch");
    let new = node.post("backend", "/v1/quotes", "q2", &quote).await;
    assert_eq!(new.code(), "scenario_refused");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_at_once_are_one_append_a2() {
    let node = TestNode::start().await;
    let before = events(&node, "PaymentRequestCreated").await;
    let body = order("1", "150000");
    let answers =
        futures::future::join_all((0..32).map(|_| node.post("backend", REQUESTS, "k", &body)))
            .await;
    let first = answers
        .iter()
        .find(|a| a.header("idempotent-replayed").is_empty())
        .unwrap()
        .clone()
        .expect(201);
    let replayed: Vec<_> = answers
        .iter()
        .filter(|a| a.header("idempotent-replayed") == "true")
        .collect();
    assert_eq!(
        replayed.len(),
        31,
        "{:?}",
        answers
            .iter()
            .map(|a| (a.status, a.code()))
            .collect::<Vec<_>>()
    );
    for again in replayed {
        assert_replayed(again, &first);
    }
    assert_eq!(events(&node, "PaymentRequestCreated").await, before + 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_orders_at_once_with_one_key_make_one_request_a3() {
    let node = TestNode::start().await;
    let bodies: Vec<Value> = (0..32).map(|i| order(&format!("{i}"), "150000")).collect();
    let answers = futures::future::join_all(
        bodies
            .iter()
            .map(|b| node.post("backend", REQUESTS, "k", b)),
    )
    .await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers
        .iter()
        .filter(|answer| answer.code() == "idempotency_mismatch")
        .count();
    assert_eq!(
        (created, refused),
        (1, 31),
        "{:?}",
        answers.iter().map(|a| a.code()).collect::<Vec<_>>()
    );
    assert_eq!(events(&node, "PaymentRequestCreated").await, 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_with_other_content_is_refused_and_changes_nothing_a3() {
    let mut node = TestNode::start().await;
    let first = node
        .post("backend", REQUESTS, "k", &order("1", "150000"))
        .await
        .expect(201);
    let mut longer = order("1", "150000");
    longer["expires_in_s"] = json!(60);
    let unusable = order("1", "100");
    for round in 0..2 {
        for other in [
            order("1", "150100"),
            order("2", "150000"),
            longer.clone(),
            unusable.clone(),
        ] {
            let answer = node
                .post("backend", REQUESTS, "k", &other)
                .await
                .expect(422);
            assert_eq!(answer.code(), "idempotency_mismatch", "round {round}");
            assert!(!answer.text.contains(&first.text_of("id")));
        }
        node.restart().await;
    }
    assert_eq!(events(&node, "PaymentRequestCreated").await, 1);
    let read = node
        .get("backend", &format!("{REQUESTS}/{}", first.text_of("id")))
        .await;
    assert_eq!(read.json(), first.json());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_one_client_and_one_route() {
    let node = TestNode::start().await;
    let mine = node
        .post("backend", REQUESTS, "k", &order("1", "150000"))
        .await
        .expect(201);
    let colleagues = node
        .post("backend-2", REQUESTS, "k", &order("2", "150000"))
        .await
        .expect(201);
    let others = node
        .post("other-backend", REQUESTS, "k", &order("1", "150000"))
        .await
        .expect(201);
    let quote = node
        .post("backend", "/v1/quotes", "k", &order("1", "150000"))
        .await
        .expect(201);
    let ids = [
        mine.text_of("id"),
        colleagues.text_of("id"),
        others.text_of("id"),
        quote.text_of("id"),
    ];
    assert_eq!(
        ids.iter().collect::<std::collections::BTreeSet<_>>().len(),
        4
    );
    for answer in [mine, colleagues, others, quote] {
        assert_eq!(answer.header("idempotent-replayed"), "");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_other_command_is_idempotent_too() {
    let mut node = TestNode::start().await;
    let quote = order("Q", "150000");
    let request = node
        .post("backend", REQUESTS, "k", &order("1", "150000"))
        .await
        .expect(201)
        .text_of("id");
    let path = |command: &str| format!("{REQUESTS}/{request}/{command}");
    let commands = [
        ("/v1/quotes".to_owned(), quote, order("Q", "150100")),
        (
            path("attempts"),
            json!({}),
            json!({ "account": "sim-main" }),
        ),
        (
            path("notices"),
            json!({ "kind": "message", "text": "paid" }),
            json!({ "kind": "success_page" }),
        ),
        (
            path("precheck"),
            json!({ "amount": { "minor": "150000", "currency": "AMD" } }),
            json!({ "amount": { "minor": "150100", "currency": "AMD" } }),
        ),
    ];
    let mut firsts = vec![];
    for (path, body, _) in &commands {
        firsts.push(node.post("backend", path, "same", body).await);
    }
    for round in 0..2 {
        for ((path, body, other), first) in commands.iter().zip(&firsts) {
            assert!(first.status < 300, "{path}: {}", first.text);
            let again = node.post("backend", path, "same", body).await;
            assert_eq!(
                (again.status, &again.text),
                (first.status, &first.text),
                "{path}, round {round}"
            );
            assert_eq!(again.header("idempotent-replayed"), "true", "{path}");
            let answer = node.post("backend", path, "same", other).await;
            assert_eq!(
                answer.code(),
                "idempotency_mismatch",
                "{path}: {}",
                answer.text
            );
        }
        node.restart().await;
    }
    for (event_type, count) in [
        ("QuoteIssued", 1),
        ("AttemptStarted", 1),
        ("PayerNoticeRecorded", 1),
    ] {
        assert_eq!(events(&node, event_type).await, count, "{event_type}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_has_one_open_request_a4() {
    let node = TestNode::start().await;
    let first = node
        .post("backend", REQUESTS, "k1", &order("1", "150000"))
        .await
        .expect(201)
        .text_of("id");
    let second = node
        .post("backend", REQUESTS, "k2", &order("1", "200000"))
        .await
        .expect(409);
    assert_eq!(second.code(), "open_request_exists");
    assert_eq!(second.text_of("payment_request_id"), first);
    // Another merchant's order of the same name is another order.
    node.post("other-backend", REQUESTS, "k1", &order("1", "150000"))
        .await
        .expect(201);

    // The same key may ask for more: a refusal did not use it up.
    let mut replace = order("1", "200000");
    replace["supersede"] = json!(true);
    let new = node
        .post("backend", REQUESTS, "k2", &replace)
        .await
        .expect(201);
    let old = node
        .get("backend", &format!("{REQUESTS}/{first}"))
        .await
        .json();
    assert_eq!(old["status"], "cancelled");
    assert_eq!(new.text_of("status"), "pending");
    let again = node.post("backend", REQUESTS, "k2", &replace).await;
    assert_replayed(&again, &new);
    let third = node
        .post("backend", REQUESTS, "k3", &order("1", "150000"))
        .await
        .expect(409);
    assert_eq!(third.text_of("payment_request_id"), new.text_of("id"));
    // A cancelled request leaves the order free.
    let cancel = format!("{REQUESTS}/{}/cancel", new.text_of("id"));
    node.post("backend", &cancel, "c", &json!({}))
        .await
        .expect(200);
    node.post("backend", REQUESTS, "k4", &order("1", "150000"))
        .await
        .expect(201);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_creates_for_one_order_one_wins_a4() {
    let node = TestNode::start().await;
    let keys: Vec<String> = (0..16).map(|i| format!("k{i}")).collect();
    let body = order("1", "150000");
    let answers = futures::future::join_all(
        keys.iter()
            .map(|key| node.post("backend", REQUESTS, key, &body)),
    )
    .await;
    let created: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .collect();
    assert_eq!(created.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.code(), "open_request_exists");
        assert_eq!(
            answer.text_of("payment_request_id"),
            created[0].text_of("id")
        );
    }
    // All replace each other at once: one is left open in the end.
    let mut replace = body.clone();
    replace["supersede"] = json!(true);
    let keys: Vec<String> = (0..8).map(|i| format!("s{i}")).collect();
    let answers = futures::future::join_all(
        keys.iter()
            .map(|key| node.post("backend", REQUESTS, key, &replace)),
    )
    .await;
    assert!(
        answers.iter().all(|a| matches!(a.status, 201 | 503)),
        "{:?}",
        answers.iter().map(|a| a.code()).collect::<Vec<_>>()
    );
    let mut open = 0;
    let created = node
        .get("auditor", "/v1/events?limit=500&type=PaymentRequestCreated")
        .await
        .json();
    for event in created["events"].as_array().unwrap() {
        let stream = event["record"]["stream"].as_str().unwrap();
        let id = stream.strip_prefix("payment_request-").unwrap();
        open += usize::from(
            node.get("backend", &format!("{REQUESTS}/{id}"))
                .await
                .text_of("status")
                == "pending",
        );
    }
    assert_eq!(open, 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_makes_one_request_and_not_after_its_time_a1b() {
    let node = TestNode::start().await;
    let mut short = order("Q", "150000");
    short["valid_for_s"] = json!(1);
    let short = node
        .post("backend", "/v1/quotes", "short", &short)
        .await
        .expect(201)
        .text_of("id");
    let quote = node
        .post("backend", "/v1/quotes", "long", &order("Q", "150000"))
        .await
        .expect(201)
        .text_of("id");
    let first = node
        .post("bot", REQUESTS, "k1", &json!({ "quote_id": quote }))
        .await
        .expect(201);
    let cancel = format!("{REQUESTS}/{}/cancel", first.text_of("id"));
    node.post("backend", &cancel, "c", &json!({}))
        .await
        .expect(200);
    let used = node
        .post("bot", REQUESTS, "k2", &json!({ "quote_id": quote }))
        .await
        .expect(409);
    assert_eq!(used.code(), "quote_used");
    assert_replayed(
        &node
            .post("bot", REQUESTS, "k1", &json!({ "quote_id": quote }))
            .await,
        &first,
    );
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let over = node
        .post("bot", REQUESTS, "k3", &json!({ "quote_id": short }))
        .await
        .expect(422);
    assert_eq!(over.code(), "quote_expired");
    // Of two who use one quote at once, one gets it.
    let fresh = node
        .post("backend", "/v1/quotes", "race", &order("R", "150000"))
        .await
        .expect(201)
        .text_of("id");
    let body = json!({ "quote_id": fresh });
    let keys: Vec<String> = (0..8).map(|i| format!("r{i}")).collect();
    let answers = futures::future::join_all(
        keys.iter()
            .map(|key| node.post("bot", REQUESTS, key, &body)),
    )
    .await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 201).count(),
        1
    );
    let refused = |code: &str| matches!(code, "quote_used" | "open_request_exists");
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 201 || refused(&answer.code()))
    );
    node.stop().await;
}

/// What is refused in the end cancels nothing before: the order would be left without a request.
#[tokio::test(flavor = "multi_thread")]
async fn a_used_quote_replaces_no_open_request_a1b_a4() {
    let node = TestNode::start().await;
    let quote = node
        .post("backend", "/v1/quotes", "q", &order("Q", "150000"))
        .await
        .expect(201)
        .text_of("id");
    let first = node
        .post("bot", REQUESTS, "k1", &json!({ "quote_id": quote }))
        .await
        .expect(201);
    let again = json!({ "quote_id": quote, "supersede": true });
    let used = node.post("bot", REQUESTS, "k2", &again).await.expect(409);
    assert_eq!(used.code(), "quote_used");
    let path = format!("{REQUESTS}/{}", first.text_of("id"));
    let still = node.get("backend", &path).await;
    assert_eq!(still.text_of("status"), "pending");
    assert_eq!(events(&node, "PaymentRequestCancelled").await, 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_is_not_charged_again_a5() {
    let provider = QuietProvider::start();
    let url = provider.url();
    let node = TestNode::start_with(|settings| {
        settings.connections.get_mut("sim-main").unwrap().url = Some(url);
    })
    .await;
    for (purpose, value) in [
        ("provider-inbound:sim-main", SECRET),
        ("provider-api:sim-main", API_KEY),
    ] {
        let secret = AdminCommand::SecretSet {
            merchant: MerchantId::parse("shop").unwrap(),
            purpose: purpose.to_owned(),
            key_id: KeyId::parse("key-1").unwrap(),
            value: value.to_owned(),
            retire_others_in_s: None,
        };
        node.admin(secret).await;
    }
    let first = node
        .post("backend", REQUESTS, "k1", &order("1", "150000"))
        .await
        .expect(201);
    let id = first.text_of("id");
    let path = format!("{REQUESTS}/{id}");
    let attempt = node
        .post("backend", &format!("{path}/attempts"), "a", &json!({}))
        .await
        .expect(201);
    // A repeat of an attempt says where to pay, as the first answer did.
    assert!(!attempt.text_of("pay_url").is_empty());
    let again = node
        .post("backend", &format!("{path}/attempts"), "a", &json!({}))
        .await;
    assert_eq!((again.status, &again.text), (201, &attempt.text));

    let reference = attempt.json()["attempts"][0]["our_reference"]
        .as_str()
        .unwrap()
        .to_owned();
    let paid = message("captured", &reference, "acc-shop", 150_000);
    let paid = signed("m-1", seconds_now(), &paid);
    let told = paid.request(node.http(), &node.url("/v1/callbacks/sim/sim-main"));
    assert_eq!(told.send().await.unwrap().status(), 200);
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while node.get("backend", &path).await.text_of("status") != "paid" {
        assert!(
            tokio::time::Instant::now() < until,
            "paid within ten seconds"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    let mut replace = order("1", "150000");
    replace["supersede"] = json!(true);
    for (key, body) in [("k2", order("1", "150000")), ("k3", replace)] {
        let answer = node.post("backend", REQUESTS, key, &body).await.expect(409);
        assert_eq!(answer.code(), "already_paid");
        assert_eq!(answer.text_of("payment_request_id"), id);
        // A bot that did not make it is told no more than that.
        let items = json!([{ "item": "tea", "quantity": 1 }]);
        let bots = json!({ "items": items, "order_id": "1", "scenario": "telegram", "supersede": key == "k3" });
        let answer = node.post("bot", REQUESTS, key, &bots).await.expect(409);
        assert_eq!(answer.code(), "already_paid");
        assert!(!answer.text.contains(&id));
    }
    let cancel = node
        .post("backend", &format!("{path}/cancel"), "c", &json!({}))
        .await
        .expect(409);
    assert_eq!(cancel.code(), "already_paid");
    assert_replayed(
        &node
            .post("backend", REQUESTS, "k1", &order("1", "150000"))
            .await,
        &first,
    );
    assert_eq!(node.get("backend", &path).await.text_of("status"), "paid");
    assert_eq!(events(&node, "PaymentRequestCreated").await, 1);
    node.stop().await;
}
