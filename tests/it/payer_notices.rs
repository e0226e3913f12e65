//! What customers tell and show (row H1): sealed, told by its content, a reason to ask the provider,
//! and never a payment. Somebody answers it, whether the order is open or closed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::shop::{Shop, case};
use serde_json::{Value, json};

const PNG: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];

/// A picture of this many bytes; not more than its beginning is one.
fn picture(bytes: usize) -> Vec<u8> {
    let mut picture = PNG.to_vec();
    picture.resize(bytes, b'x');
    picture
}

fn screenshot(bytes: &[u8]) -> Value {
    json!({ "kind": "screenshot", "image_base64": STANDARD.encode(bytes) })
}

fn message() -> Value {
    json!({ "kind": "message", "text": "Anahit-the-payer: I have paid" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screenshot_is_sealed_and_known_by_what_it_is() {
    let shop = Shop::open().await;
    let (id, _) = shop.waiting_for_payer_of_bot("o-1").await;
    let bytes = picture(45_000);
    let path = format!("/v1/payment-requests/{id}/notices");
    let kept = shop
        .node
        .post("bot", &path, "n-1", &screenshot(&bytes))
        .await;
    assert_eq!(kept.expect(202).text_of("status"), "in_review");
    assert_eq!(shop.bot_says(&id).await, "in_review");
    assert_eq!(shop.shown(&id).await["status"], "pending");
    let log = shop.log().await;
    let recorded = log.of_type("PayerNoticeRecorded").next().unwrap();
    assert_eq!(
        recorded.data,
        json!({ "kind": "screenshot", "media": "image/png", "bytes": 45_000 })
    );
    let evidence = recorded.evidence[0].commitment;
    let opened = shop.node.app().evidence.open(&evidence).await.unwrap();
    assert_eq!(
        (opened.media.as_str(), &opened.bytes),
        ("image/png", &bytes)
    );

    let html = b"<html><script>alert(1)</script></html>";
    for (body, pointer) in [
        (screenshot(&picture(45_001)), "/image_base64"),
        (screenshot(html), "/image_base64"),
        (
            json!({ "kind": "screenshot", "text": "look" }),
            "/image_base64",
        ),
        (json!({ "kind": "message" }), "/text"),
        (
            json!({ "kind": "screenshot", "image_base64": "%", "media": "image/png" }),
            "/image_base64",
        ),
        (json!({ "kind": "bank_letter", "text": "x" }), "/kind"),
    ] {
        let refused = shop.node.post("bot", &path, "n-2", &body).await;
        let problem = refused.expect(422).json();
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let whole = screenshot(&picture(60_000));
    let refused = shop.node.post("bot", &path, "n-3", &whole).await;
    refused.expect(413);
    assert_eq!(shop.events(&id, "PayerNoticeRecorded").await, 1);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_says_answers_a_notice_h1() {
    let shop = Shop::open().await;
    let (paid, ours) = shop.waiting_for_payer_of_bot("o-1").await;
    let captured = shop.statement("captured", &ours);
    shop.provider.says(&ours, &captured);
    shop.command(&paid, "notices", &message()).await.expect(202);
    shop.paid(&paid).await;
    assert_eq!(shop.bot_says(&paid).await, "paid");
    assert!(shop.cases(Some(&paid)).await.is_empty());

    // A closed order that somebody says they paid is asked about as well.
    let (closed, ours) = shop.waiting_for_payer_of_bot("o-2").await;
    shop.command(&closed, "cancel", &json!({}))
        .await
        .expect(200);
    assert_eq!(shop.bot_says(&closed).await, "cancelled");
    shop.provider
        .says(&ours, &shop.statement("session_expired", &ours));
    let told = shop.command(&closed, "notices", &message()).await;
    assert_eq!(told.expect(202).text_of("status"), "cancelled");
    let found = shop
        .eventually("a case", async || shop.cases(Some(&closed)).await.pop())
        .await;
    assert_eq!(found, case("payer_notice", "low", None));
    assert_eq!(shop.bot_says(&closed).await, "in_review");
    let log = shop.log().await;
    assert!(!format!("{:?}", log.events).contains("Anahit"));
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_be_asked_a_person_looks_at_once_h1() {
    let shop = Shop::open_with(|settings| {
        settings.merchants[0].accounts[0].look_up = false;
    })
    .await;
    let (id, ours) = shop.waiting_for_payer_of_bot("o-1").await;
    let opened = || case("payer_notice", "low", None);
    shop.command(&id, "notices", &message()).await.expect(202);
    assert_eq!(shop.cases(Some(&id)).await, [opened()]);
    shop.command(&id, "cancel", &json!({})).await.expect(200);
    shop.command(&id, "notices", &message()).await.expect(202);
    assert_eq!(shop.cases(Some(&id)).await, [opened(), opened()]);
    assert_eq!(shop.bot_says(&id).await, "in_review");
    assert_eq!(shop.provider.asked(&ours), 0);
    shop.node.stop().await;
}
