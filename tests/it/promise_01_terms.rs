//! Promise 1: the backend fixes the parameters of a payment (cart, amount, currency, expiry,
//! customer) and they never change again.

use harness::node::TestNode;
use serde_json::{Value, json};

const REQUESTS: &str = "/v1/payment-requests";

fn amd(minor: &str) -> Value {
    json!({ "minor": minor, "currency": "AMD" })
}

/// The terms among the members of a shown request.
fn terms(shown: &Value) -> Value {
    let members = [
        "id",
        "order_id",
        "customer_ref",
        "scenario",
        "client",
        "amount",
        "priced_by",
        "expires_at",
    ];
    members
        .iter()
        .map(|name| ((*name).to_owned(), shown[*name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backend_fixes_is_what_the_request_says() {
    let node = TestNode::start().await;
    let order = json!({
        "order_id": "A-1", "scenario": "web", "customer_ref": "cust-7", "amount": amd("150050"), "expires_in_s": 600,
    });
    let created = node
        .post("backend", REQUESTS, "k", &order)
        .await
        .expect(201);
    let shown = created.json();
    assert_eq!(
        shown["amount"],
        json!({ "minor": "150050", "currency": "AMD", "exponent": 2 })
    );
    assert_eq!(shown["order_id"], "A-1");
    assert_eq!(shown["customer_ref"], "cust-7");
    assert_eq!(shown["scenario"], "web");
    assert_eq!(shown["client"], "backend");
    assert_eq!(shown["status"], "pending");
    let id = created.text_of("id");
    assert_eq!(created.header("location"), format!("{REQUESTS}/{id}"));
    let read = node
        .get("backend", &format!("{REQUESTS}/{id}"))
        .await
        .expect(200);
    assert_eq!(read.json(), shown);
    assert_eq!(read.header("etag"), created.header("etag"));

    let page = node
        .get("auditor", &format!("/v1/streams/payment_request-{id}"))
        .await
        .expect(200)
        .json();
    let record = &page["events"][0]["record"];
    assert_eq!(record["type"], "PaymentRequestCreated");
    assert_eq!(record["data"]["amount"], shown["amount"]);
    let seconds = |text: &Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let life = seconds(&shown["expires_at"]).duration_since(seconds(&record["recorded_at"]));
    assert!((599..=600).contains(&life.as_secs()), "{life:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_happens_later_changes_the_terms() {
    let mut node = TestNode::start().await;
    let order = json!({ "order_id": "A-1", "scenario": "web", "customer_ref": "cust-7", "amount": amd("150000") });
    let created = node
        .post("backend", REQUESTS, "k", &order)
        .await
        .expect(201);
    let (fixed, id) = (terms(&created.json()), created.text_of("id"));
    let path = format!("{REQUESTS}/{id}");

    // No command takes a term of an existing request.
    for (command, body) in [
        ("attempts", json!({ "amount": amd("100") })),
        ("cancel", json!({ "amount": amd("100") })),
        (
            "notices",
            json!({ "kind": "message", "text": "x", "amount": amd("100") }),
        ),
        (
            "precheck",
            json!({ "amount": amd("150000"), "expires_in_s": 5 }),
        ),
    ] {
        let answer = node
            .post("backend", &format!("{path}/{command}"), "later", &body)
            .await
            .expect(422);
        assert_eq!(answer.code(), "invalid", "{command}");
    }
    for method in ["PUT", "PATCH", "DELETE"] {
        let bearer = format!("Bearer {}", node.token("backend"));
        let answer = node
            .call(method, &path, Some(&bearer), Some("later"), Some(&order))
            .await;
        assert_eq!(answer.code(), "method_not_allowed");
    }
    assert_eq!(terms(&node.get("backend", &path).await.json()), fixed);

    // Neither do commands that it does take, nor another configuration after a restart.
    node.post("backend", &format!("{path}/attempts"), "a", &json!({}))
        .await
        .expect(201);
    node.post(
        "backend",
        &format!("{path}/notices"),
        "n",
        &json!({ "kind": "message", "text": "paid" }),
    )
    .await
    .expect(202);
    let dearer = json!({ "minor": "990000", "currency": "AMD" });
    node.restart_with(|settings| {
        for merchant in &mut settings.merchants {
            merchant.catalogue[0].price = serde_json::from_value(dearer.clone()).unwrap();
            for scenario in &mut merchant.scenarios {
                scenario.life_s_max = 60;
                scenario.amount_minor_min.0 = 500_000;
            }
        }
    })
    .await;
    assert_eq!(terms(&node.get("backend", &path).await.json()), fixed);
    node.post("backend", &format!("{path}/cancel"), "c", &json!({}))
        .await
        .expect(200);
    let cancelled = node.get("backend", &path).await.json();
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(terms(&cancelled), fixed);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_and_the_catalogue_fix_the_amount_for_whoever_uses_them() {
    let node = TestNode::start().await;
    let quote = json!({ "order_id": "Q-1", "scenario": "telegram", "customer_ref": "cust-7", "amount": amd("700000") });
    let quote = node
        .post("backend", "/v1/quotes", "q", &quote)
        .await
        .expect(201)
        .text_of("id");
    let by_quote = node
        .post("bot", REQUESTS, "b1", &json!({ "quote_id": quote }))
        .await
        .expect(201)
        .json();
    assert_eq!(by_quote["amount"]["minor"], "700000");
    assert_eq!(by_quote["order_id"], "Q-1");
    let items = json!([{ "item": "tea", "quantity": 3 }]);
    let order = json!({ "items": items, "order_id": "T-1", "scenario": "telegram" });
    let by_items = node
        .post("bot", REQUESTS, "b2", &order)
        .await
        .expect(201)
        .json();
    assert_eq!(by_items["amount"]["minor"], "450000");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_outside_the_scenario_are_refused_and_leave_nothing() {
    let node = TestNode::start().await;
    for (what, scenario, amount, more) in [
        ("too little", "telegram", amd("9900"), json!({})),
        ("too much", "telegram", amd("500000100"), json!({})),
        ("a part of a dram", "telegram", amd("150050"), json!({})),
        (
            "another currency",
            "telegram",
            json!({ "minor": "150000", "currency": "USD" }),
            json!({}),
        ),
        ("an unknown scenario", "nowhere", amd("150000"), json!({})),
        (
            "too long a life",
            "telegram",
            amd("150000"),
            json!({ "expires_in_s": 86_401 }),
        ),
    ] {
        let mut order = json!({ "order_id": "A-1", "scenario": scenario, "amount": amount });
        order
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let answer = node.post("backend", REQUESTS, "k", &order).await;
        // A scenario that the client was not given is as good as none.
        let code = if scenario == "nowhere" {
            "forbidden"
        } else {
            "scenario_refused"
        };
        assert_eq!(answer.code(), code, "{what}: {}", answer.text);
    }
    let page = node
        .get("auditor", "/v1/events?limit=500&type=PaymentRequestCreated")
        .await
        .json();
    assert_eq!(page["events"], json!([]));
    // The refusals did not use the key up.
    let order = json!({ "order_id": "A-1", "scenario": "telegram", "amount": amd("10000") });
    node.post("backend", REQUESTS, "k", &order)
        .await
        .expect(201);
    node.stop().await;
}
