//! Promise 3: a bot can neither choose an amount nor reach a secret. What it may do leads to no
//! amount of its own, and what it is shown holds nothing of providers, payers and other clients.

use std::collections::BTreeSet;

use harness::node::{Answer, TestNode};
use serde_json::{Value, json};

const REQUESTS: &str = "/v1/payment-requests";
/// Everything that a bot is shown of a request.
const SHOWN: [&str; 8] = [
    "id",
    "order_id",
    "status",
    "amount",
    "expires_at",
    "checkout_url",
    "pay_url",
    "version",
];

fn amd(minor: &str) -> Value {
    json!({ "minor": minor, "currency": "AMD" })
}

fn tea(order_id: &str) -> Value {
    json!({ "items": [{ "item": "tea", "quantity": 1 }], "order_id": order_id, "scenario": "telegram" })
}

#[track_caller]
fn assert_for_bots(shown: &Value) {
    let names: BTreeSet<&str> = shown
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let allowed: BTreeSet<&str> = SHOWN.into();
    assert!(names.is_subset(&allowed), "{names:?}");
    assert!(names.len() >= allowed.len() - 1, "{names:?}");
}

async fn requests(node: &TestNode) -> usize {
    let page = node
        .get("auditor", "/v1/events?limit=500&type=PaymentRequestCreated")
        .await
        .json();
    page["events"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_cannot_choose_an_amount() {
    let node = TestNode::start().await;
    let quote = json!({ "order_id": "Q", "scenario": "telegram", "amount": amd("700000") });
    let quote = node
        .post("backend", "/v1/quotes", "q", &quote)
        .await
        .expect(201)
        .text_of("id");

    let own = json!({ "order_id": "1", "scenario": "telegram", "amount": amd("10000") });
    let answer = node.post("bot", REQUESTS, "k", &own).await.expect(403);
    assert_eq!(answer.code(), "forbidden");
    let answer = node.post("bot", "/v1/quotes", "k", &own).await.expect(403);
    assert_eq!(answer.code(), "forbidden");

    // Beside a quote or a cart an amount is refused, wherever it stands and whatever it is called.
    let mut with_amount = tea("1");
    with_amount["amount"] = amd("10000");
    let mut priced = tea("1");
    priced["items"][0]["price"] = amd("10000");
    let mut nothing = tea("1");
    nothing["items"][0]["quantity"] = json!(0);
    let mut less = tea("1");
    less["items"][0]["quantity"] = json!(-1);
    let mut far_too_many = tea("1");
    far_too_many["items"][0]["quantity"] = json!(u32::MAX);
    let mut unknown = tea("1");
    unknown["items"][0]["item"] = json!("cheap-tea");
    let mut none = tea("1");
    none["items"] = json!([]);
    let mut discounted = tea("1");
    discounted["discount"] = json!(100);
    let mut foreign = tea("1");
    foreign["scenario"] = json!("web");
    for (what, body, statuses) in [
        (
            "an amount beside a quote",
            json!({ "quote_id": quote, "amount": amd("10000") }),
            &[422][..],
        ),
        (
            "an order beside a quote",
            json!({ "quote_id": quote, "order_id": "2" }),
            &[422],
        ),
        ("an amount beside a cart", with_amount, &[422]),
        ("a price in a cart", priced, &[422]),
        ("none of a thing", nothing, &[422]),
        ("less than none", less, &[422]),
        ("more than there is money", far_too_many, &[422]),
        ("an unknown thing", unknown, &[422]),
        ("an empty cart", none, &[422]),
        ("a discount", discounted, &[422]),
        ("another way of selling", foreign, &[403]),
        (
            "another merchant's quote",
            json!({ "quote_id": others_quote(&node).await }),
            &[404],
        ),
        (
            "no quote",
            json!({ "quote_id": "qt_0123456789abcdefghjkmnpqrs" }),
            &[404, 422],
        ),
    ] {
        let answer = node.post("bot", REQUESTS, "k", &body).await;
        assert!(
            statuses.contains(&answer.status),
            "{what}: {} {}",
            answer.status,
            answer.text
        );
    }
    assert_eq!(requests(&node).await, 0);

    // The key was not used up; what the bot gets is what others priced.
    let created = node
        .post("bot", REQUESTS, "k", &json!({ "quote_id": quote }))
        .await
        .expect(201)
        .json();
    assert_eq!(created["amount"]["minor"], "700000");
    assert_eq!(created["order_id"], "Q");
    let created = node
        .post("bot", REQUESTS, "k2", &tea("1"))
        .await
        .expect(201)
        .json();
    assert_eq!(created["amount"]["minor"], "150000");
    node.stop().await;
}

async fn others_quote(node: &TestNode) -> String {
    let quote = json!({ "order_id": "O", "scenario": "telegram", "amount": amd("10000") });
    node.post("other-backend", "/v1/quotes", "q", &quote)
        .await
        .expect(201)
        .text_of("id")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_shown_what_it_may_show_and_nothing_else() {
    let node = TestNode::start().await;
    let quote = json!({ "order_id": "Q", "scenario": "telegram", "customer_ref": "cust-7", "amount": amd("150000") });
    let quote = node
        .post("backend", "/v1/quotes", "q", &quote)
        .await
        .expect(201)
        .text_of("id");
    let created = node
        .post("bot", REQUESTS, "k", &json!({ "quote_id": quote }))
        .await
        .expect(201);
    let path = format!("{REQUESTS}/{}", created.text_of("id"));
    let attempt = node
        .post("bot", &format!("{path}/attempts"), "a", &json!({}))
        .await
        .expect(201);
    let notice = json!({ "kind": "message", "text": "I paid with my card, call me" });
    let notice = node
        .post("bot", &format!("{path}/notices"), "n", &notice)
        .await
        .expect(202);
    let read = node.get("bot", &path).await.expect(200);
    for answer in [&created, &attempt, &notice, &read] {
        assert_for_bots(&answer.json());
    }
    let list = format!("{REQUESTS}?wait_for={}", notice.header("position"));
    let list = node.get("bot", &list).await.expect(200).json();
    let rows = list["payment_requests"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    assert_for_bots(&rows[0]);

    // The backend sees what the bot does not, so there was something to hide.
    let full = node.get("backend", &path).await.expect(200);
    let reference = full.json()["attempts"][0]["our_reference"]
        .as_str()
        .unwrap()
        .to_owned();
    let all: Vec<&Answer> = vec![&created, &attempt, &notice, &read];
    for hidden in [
        reference.as_str(),
        "cust-7",
        "sim-main",
        "call me",
        "backend",
    ] {
        assert!(
            all.iter().all(|answer| !answer.text.contains(hidden)),
            "{hidden}"
        );
    }
    for path in [
        "/v1/events",
        "/v1/streams/client-bot",
        "/v1/streams/config-shop",
        "/v1/exceptions",
        "/v1/projections",
    ] {
        assert_eq!(node.get("bot", path).await.expect(403).code(), "forbidden");
    }
    for path in [format!("{path}/trail"), format!("/v1/quotes/{quote}")] {
        assert_eq!(node.get("bot", &path).await.expect(403).code(), "forbidden");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_any_answer_event_or_figure() {
    let node = TestNode::start().await;
    let secret = "whsec-of-the-provider-0123456789";
    let set = node
        .admin(api::admin::AdminCommand::SecretSet {
            merchant: domain::ids::MerchantId::parse("shop").unwrap(),
            purpose: "provider-inbound:sim-main".to_owned(),
            key_id: domain::ids::KeyId::parse("key-1").unwrap(),
            value: secret.to_owned(),
            retire_others_in_s: None,
        })
        .await;
    assert!(!set.to_string().contains(secret));
    let id = node
        .post("bot", REQUESTS, "k", &tea("1"))
        .await
        .expect(201)
        .text_of("id");
    let mut secrets = vec![secret.to_owned()];
    for who in ["bot", "backend", "auditor", "admin", "other-admin"] {
        // The part of a token that only its owner knows.
        secrets.push(node.token(who).split('_').nth(3).unwrap().to_owned());
    }
    for path in [
        "/v1/events?limit=500",
        "/v1/streams/client-bot",
        "/v1/streams/client-admin",
        "/v1/streams/config-shop",
        &format!("{REQUESTS}/{id}/trail"),
        REQUESTS,
    ] {
        for who in ["auditor", "admin"] {
            let answer = node.get(who, path).await.expect(200);
            for secret in &secrets {
                assert!(!answer.text.contains(secret.as_str()), "{who} {path}");
            }
        }
    }
    for path in ["/metrics", "/health/ready", "/openapi.json", "/docs"] {
        let answer = node.call("GET", path, None, None, None).await.expect(200);
        assert!(
            secrets
                .iter()
                .all(|secret| !answer.text.contains(secret.as_str())),
            "{path}"
        );
    }
    // In the data folder it is sealed too: nobody who copies the files has it.
    let mut folders = vec![node.folder().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let bytes = std::fs::read(entry.path()).unwrap();
                files += 1;
                for secret in &secrets {
                    let found = bytes
                        .windows(secret.len())
                        .any(|window| window == secret.as_bytes());
                    assert!(!found, "{}", entry.path().display());
                }
            }
        }
    }
    assert!(files >= 5, "{files}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_tells_a_bot_no_foreign_id_and_lets_it_replace_nothing_foreign() {
    let node = TestNode::start().await;
    let backends = json!({ "order_id": "1", "scenario": "telegram", "amount": amd("700000") });
    let foreign = node
        .post("backend", REQUESTS, "k", &backends)
        .await
        .expect(201)
        .text_of("id");
    let mut replace = tea("1");
    replace["supersede"] = json!(true);
    for (key, body) in [("k1", tea("1")), ("k2", replace)] {
        for who in ["bot", "bot-2"] {
            let answer = node.post(who, REQUESTS, key, &body).await.expect(409);
            assert_eq!(answer.code(), "open_request_exists");
            assert!(!answer.text.contains(&foreign), "{who}: {}", answer.text);
        }
    }
    let read = node
        .get("backend", &format!("{REQUESTS}/{foreign}"))
        .await
        .json();
    assert_eq!(read["status"], "pending");
    assert_eq!(read["amount"]["minor"], "700000");

    // Its own it may replace, and is told which one it was.
    let own = node
        .post("bot", REQUESTS, "k3", &tea("2"))
        .await
        .expect(201)
        .text_of("id");
    let told = node
        .post("bot", REQUESTS, "k4", &tea("2"))
        .await
        .expect(409);
    assert_eq!(told.text_of("payment_request_id"), own);
    let mut replace = tea("2");
    replace["supersede"] = json!(true);
    node.post("bot", REQUESTS, "k4", &replace).await.expect(201);
    assert_eq!(
        node.get("bot", &format!("{REQUESTS}/{own}"))
            .await
            .text_of("status"),
        "cancelled"
    );
    node.stop().await;
}
