//! A card number is refused wherever a caller may write one: nothing is changed, and the answer does
//! not say it again.

use domain::access::role::Role;
use harness::people::Person;
use harness::receiver::{Receiver, Reply};
use harness::shop::Shop;
use serde_json::{Value, json};

const CARD: &str = "4111111111111111";

/// A good body with a card number in one of its texts.
fn with(body: &Value, field: &str, text: &str) -> Value {
    let mut body = body.clone();
    body[field] = json!(text);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn no_free_text_of_a_command_takes_a_card_number() {
    let shop = Shop::open_to_receivers().await;
    let crm = Receiver::answering([Reply::Status(410)], Reply::Status(200)).await;
    shop.subscribe("crm", &crm).await;
    let (id, _) = shop.pay("tea-1").await;
    let failed = shop.turned_away("crm").await;
    let delivery = failed["id"].as_str().unwrap();

    let (halfway, reference) = shop.waiting_for_payer("tea-0").await;
    let half = shop.statement_with("captured", &reference, json!({ "amount": "75000" }));
    assert_eq!(shop.tell(&half).await, "applied");
    let case = format!("/v1/exceptions/payment_request-{halfway}~1");
    let keep = json!({ "resolution": "keep_as_income", "reason": "checked", "text": "asked them" });
    let answer = json!({ "resolution": "refund_answer", "settled": true, "reason": "checked", "text": "asked them" });

    let amount = json!({ "minor": "150000", "currency": "AMD" });
    let order = json!({ "order_id": "tea-2", "scenario": "web", "amount": amount });
    let items = json!({ "order_id": "tea-2", "scenario": "web", "items": [{ "code": CARD, "quantity": 1 }] });
    let reason = json!({ "reason": "checked" });
    let request = format!("/v1/payment-requests/{id}");
    let spaced = "it is 4111-1111-1111-1111, until 12/30";
    let mut commands = vec![
        (
            "operator",
            format!("/v1/deliveries/{delivery}/redrive"),
            with(&reason, "text", spaced),
            "/text",
        ),
        (
            "operator",
            format!("/v1/deliveries/{delivery}/abandon"),
            with(&reason, "text", spaced),
            "/text",
        ),
        (
            "operator",
            format!("/v1/deliveries/{delivery}/abandon"),
            json!({ "reason": CARD }),
            "/reason",
        ),
        (
            "operator",
            format!("{case}/resolve"),
            with(&keep, "text", spaced),
            "/text",
        ),
        (
            "operator",
            format!("{case}/resolve"),
            with(&keep, "reason", CARD),
            "/reason",
        ),
        (
            "operator",
            format!("{case}/resolve"),
            with(&answer, "reversal", CARD),
            "/reversal",
        ),
        (
            "operator",
            format!("{case}/assign"),
            json!({ "to": null, "reason": "checked", "text": spaced }),
            "/text",
        ),
        (
            "backend",
            format!("{request}/notices"),
            json!({ "kind": "message", "text": spaced }),
            "/text",
        ),
        (
            "backend",
            format!("{request}/attempts"),
            json!({ "account": CARD }),
            "/account",
        ),
        (
            "backend",
            format!("{request}/precheck"),
            json!({ "amount": amount, "account": CARD }),
            "/account",
        ),
        (
            "backend",
            format!("{request}/cancel"),
            json!({ CARD: true }),
            "",
        ),
        (
            "backend",
            "/v1/payment-requests".to_owned(),
            items,
            "/items/0/code",
        ),
        (
            "admin",
            "/v1/subscribers".to_owned(),
            json!({ "id": CARD, "url": "https://a.example" }),
            "/id",
        ),
        (
            "admin",
            "/v1/subscribers".to_owned(),
            json!({ "id": "b", "url": format!("https://a.example/{CARD}") }),
            "/url",
        ),
    ];
    for path in ["/v1/payment-requests", "/v1/quotes"] {
        for field in ["order_id", "customer_ref", "correlation_id", "scenario"] {
            let pointer = ["/order_id", "/customer_ref", "/correlation_id", "/scenario"]
                .into_iter()
                .find(|pointer| pointer.ends_with(field));
            commands.push((
                "backend",
                path.to_owned(),
                with(&order, field, CARD),
                pointer.unwrap(),
            ));
        }
    }
    let ann = Person::hired(&shop.node, "ann", Role::Operator).await;
    let bob = Person::hired(&shop.node, "bob", Role::Approver).await;
    let (revocations, overrides) = (
        format!("{request}/revocations"),
        format!("{request}/overrides"),
    );
    let nobodys = format!("{overrides}/ov_{}/approve", "a".repeat(26));
    let good = json!({ "reason": "checked", "text": "t", "evidence": "none" });
    let piece = json!({ "reason": "checked", "evidence": [{ "text": spaced }] });
    let verdict = json!({ "reason": "checked", "ticket": "cft_none" });
    let by_persons = [
        (&ann, &revocations, with(&good, "text", spaced), "/text"),
        (&ann, &overrides, with(&good, "reason", CARD), "/reason"),
        (&ann, &overrides, piece, "/evidence/0/text"),
        (&bob, &nobodys, with(&verdict, "text", spaced), "/text"),
    ];
    let head = shop.node.app().recorder.store().head().await.unwrap();
    for (who, path, body, pointer) in by_persons {
        let refused = who
            .post_as(&shop.node, path, "card", &body)
            .await
            .expect(422);
        assert_eq!(refused.code(), "card_number", "{path} {body}");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
        assert!(!refused.text.contains("1111"), "{}", refused.text);
    }
    for (who, path, body, pointer) in &commands {
        let refused = shop.node.post(who, path, "card", body).await.expect(422);
        assert_eq!(refused.code(), "card_number", "{path} {body}");
        assert_eq!(
            refused.json()["errors"][0]["pointer"],
            **pointer,
            "{path} {body}"
        );
        assert!(!refused.text.contains("1111"), "{}", refused.text);
    }
    assert_eq!(
        shop.node.app().recorder.store().head().await.unwrap(),
        head,
        "nothing changed"
    );
    // A refused command does not use up its key.
    shop.node
        .post("backend", "/v1/payment-requests", "card", &order)
        .await
        .expect(201);
    shop.node.stop().await;
}
