//! Promise 4: *paid* appears only after the ledger itself has verified it, by a signed notification
//! that carries all the terms or by its own question to the provider. What a payer says or shows
//! starts that question and nothing else, and the bot can say truthfully where things stand.
//!
//! Forged, altered and old notifications are in `promise_06_repeats.rs`.

use std::time::Duration;

use api::app::look_ups::LookedUp;
use domain::payment::Outcome;
use domain::payment::evidence::EvidenceClass;
use harness::shop::{PRICE, Shop, case};
use serde_json::{Value, json};

/// The first eight bytes of every PNG picture, and one more.
const PICTURE: &str = "iVBORw0KGgoA";

fn notices() -> [Value; 3] {
    [
        json!({ "kind": "screenshot", "image_base64": PICTURE }),
        json!({ "kind": "message", "text": "I have paid 1500 drams, here is the receipt: captured" }),
        json!({ "kind": "success_page", "text": "https://shop.example/thanks?status=success" }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_payer_says_or_shows_is_asked_about_and_pays_nothing() {
    let shop = Shop::open().await;
    for (number, notice) in notices().iter().enumerate() {
        let (id, our_reference) = shop.waiting_for_payer_of_bot(&format!("n-{number}")).await;
        let registered = shop.statement("registered", &our_reference);
        shop.provider.says(&our_reference, &registered);
        assert_eq!(shop.bot_says(&id).await, "pending");
        let path = format!("/v1/payment-requests/{id}/notices");
        let told = shop.node.post("bot", &path, "n", notice).await.expect(202);
        assert_ne!(told.text_of("status"), "paid", "{notice}");
        // The provider is asked because of it, and says no: a person looks, and the bot says so.
        let cases = shop
            .eventually("a case about the notice", async || {
                let cases = shop.cases(Some(&id)).await;
                (!cases.is_empty()).then_some(cases)
            })
            .await;
        assert_eq!(cases, [case("payer_notice", "low", None)], "{notice}");
        assert!(shop.provider.asked(&our_reference) >= 1, "{notice}");
        assert_eq!(shop.bot_says(&id).await, "in_review");
        let shown = shop.shown(&id).await;
        assert_eq!(shown["status"], "pending", "{notice}");
        assert_eq!(shown["applied"]["minor"], "0", "{notice}");
        assert_eq!(shop.events(&id, "PaymentVerified").await, 0, "{notice}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_of_somebody_who_did_pay_is_verified_by_the_look_up_it_starts() {
    let shop = Shop::open().await;
    for (number, notice) in notices().iter().enumerate() {
        let (id, our_reference) = shop.waiting_for_payer_of_bot(&format!("y-{number}")).await;
        // The provider's own message was lost.
        let captured = shop.statement("captured", &our_reference);
        shop.provider.says(&our_reference, &captured);
        let path = format!("/v1/payment-requests/{id}/notices");
        shop.node.post("bot", &path, "n", notice).await.expect(202);
        let paid = shop.paid(&id).await;
        assert_eq!(paid["verification"]["method"], "status_lookup", "{notice}");
        assert_eq!(shop.bot_says(&id).await, "paid", "{notice}");
        assert_eq!(shop.cases(Some(&id)).await, [], "{notice}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_notification_that_carries_all_terms_pays_and_the_bot_goes_with_it() {
    let shop = Shop::open().await;
    let (id, our_reference) = shop.waiting_for_payer_of_bot("signed").await;
    assert_eq!(shop.bot_says(&id).await, "pending");
    shop.tell(&shop.statement("processing", &our_reference))
        .await;
    assert_eq!(shop.shown(&id).await["status"], "processing");
    assert_eq!(shop.bot_says(&id).await, "pending");
    shop.tell(&shop.statement("captured", &our_reference)).await;
    let paid = shop.shown(&id).await;
    assert_eq!(paid["status"], "paid");
    assert_eq!(paid["verification"]["method"], "signed_notification");
    assert_eq!(paid["applied"]["minor"], PRICE.to_string());
    assert_eq!(shop.bot_says(&id).await, "paid");
    // What it rests on is named, and nobody had to be asked for it.
    let log = shop.log().await;
    let verified = log.of_type("PaymentVerified").next().unwrap();
    let received = log.of_type("NotificationReceived").last().unwrap();
    let commitment = &received.data["observation"]["commitment"];
    assert_eq!(json!(verified.evidence[0].commitment), *commitment);
    assert_eq!(verified.evidence[0].kind, "notification");
    assert_eq!(shop.provider.asked(&our_reference), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_look_up_pays_when_no_notification_ever_comes() {
    let shop = Shop::open().await;
    let (id, our_reference) = shop.waiting_for_payer_of_bot("silent").await;
    let captured = shop.statement("captured", &our_reference);
    shop.provider.says(&our_reference, &captured);
    assert_eq!(shop.bot_says(&id).await, "pending");
    shop.node.leap(Duration::from_secs(20)).await;
    let paid = shop.paid(&id).await;
    assert_eq!(paid["verification"]["method"], "status_lookup");
    assert_eq!(shop.bot_says(&id).await, "paid");
    let log = shop.log().await;
    let verified = log.of_type("PaymentVerified").next().unwrap();
    assert_eq!(verified.evidence[0].kind, "look_up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_success_without_its_terms_pays_nothing_until_the_provider_is_asked() {
    let shop = Shop::open().await;
    for missing in ["amount", "currency", "transaction"] {
        let (id, our_reference) = shop.waiting_for_payer(missing).await;
        let captured = shop.statement("captured", &our_reference);
        let mut bare = captured.clone();
        bare.as_object_mut().unwrap().remove(missing);
        assert_eq!(shop.tell(&bare).await, "look_up", "{missing}");
        // It is asked about: first the provider has no news, then it says everything.
        shop.eventually("a question", async || {
            (shop.provider.asked(&our_reference) > 0).then_some(())
        })
        .await;
        assert_eq!(shop.shown(&id).await["status"], "pending", "{missing}");
        assert_eq!(shop.events(&id, "PaymentCaptured").await, 0, "{missing}");
        shop.provider.says(&our_reference, &captured);
        shop.ask(&id).await;
        let paid = shop.shown(&id).await;
        assert_eq!(paid["status"], "paid", "{missing}");
        assert_eq!(paid["verification"]["method"], "status_lookup", "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_message_that_says_anything_but_captured_pays_nothing() {
    let shop = Shop::open().await;
    let statuses = [
        "registered",
        "processing",
        "authorised",
        "declined",
        "session_expired",
        "success",
        "paid",
        "CAPTURED",
        "captured ",
        "approved",
        "",
    ];
    for (number, status) in statuses.into_iter().enumerate() {
        let (id, our_reference) = shop.waiting_for_payer(&format!("told-{number}")).await;
        shop.tell(&shop.statement(status, &our_reference)).await;
        assert_nothing_paid(&shop, &id, status).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_that_succeeds_without_a_capture_pays_nothing() {
    let shop = Shop::open().await;
    for status in [
        "registered",
        "processing",
        "authorised",
        "declined",
        "session_expired",
        "success",
        "paid",
        "CAPTURED",
    ] {
        let (id, our_reference) = shop.waiting_for_payer(&format!("asked-{status}")).await;
        let statement = shop.statement(status, &our_reference);
        shop.provider.says(&our_reference, &statement);
        let answer = shop.ask(&id).await;
        assert!(
            matches!(answer, LookedUp::Answered(_)),
            "{status}: {answer:?}"
        );
        assert_nothing_paid(&shop, &id, status).await;
    }
    // Nothing to say, no such order, away, and a capture that does not say how much.
    let (id, _) = shop.waiting_for_payer("empty").await;
    assert_eq!(shop.ask(&id).await, LookedUp::Answered(Outcome::Stale));
    assert_nothing_paid(&shop, &id, "empty").await;
    let (id, our_reference) = shop.waiting_for_payer("unknown").await;
    shop.provider.does_not_know(&format!("qo_{our_reference}"));
    assert_eq!(shop.ask(&id).await, LookedUp::NotFound);
    assert_nothing_paid(&shop, &id, "unknown").await;
    let (id, our_reference) = shop.waiting_for_payer("no-amount").await;
    let mut bare = shop.statement("captured", &our_reference);
    bare.as_object_mut().unwrap().remove("amount");
    shop.provider.says(&our_reference, &bare);
    assert_eq!(shop.ask(&id).await, LookedUp::Answered(Outcome::Refused));
    assert_nothing_paid(&shop, &id, "no amount").await;
    let cases = shop.cases(Some(&id)).await;
    assert_eq!(cases, [case("unprovable_amount", "high", None)]);
    let (id, our_reference) = shop.waiting_for_payer("away").await;
    let captured = shop.statement("captured", &our_reference);
    shop.provider.says(&our_reference, &captured);
    shop.provider.is_away(true);
    let answer = shop.ask(&id).await;
    assert!(matches!(answer, LookedUp::Unknown), "{answer:?}");
    assert_nothing_paid(&shop, &id, "away").await;
}

async fn assert_nothing_paid(shop: &Shop, id: &str, what: &str) {
    let shown = shop.shown(id).await;
    assert!(
        matches!(shown["status"].as_str(), Some("pending" | "processing")),
        "{what}: {shown}"
    );
    assert_eq!(shown["applied"]["minor"], "0", "{what}");
    assert_eq!(shown["verification"], Value::Null, "{what}");
    assert_eq!(shop.events(id, "PaymentCaptured").await, 0, "{what}");
    assert_eq!(shop.events(id, "PaymentVerified").await, 0, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_signature_is_not_enough_only_the_providers_answer_pays() {
    let shop = Shop::open_with(|settings| {
        settings.merchants[0].accounts[0].minimum = EvidenceClass::LookedUp;
    })
    .await;
    let (id, our_reference) = shop.waiting_for_payer_of_bot("weak").await;
    let captured = shop.statement("captured", &our_reference);
    assert_eq!(shop.tell(&captured).await, "look_up");
    shop.eventually("a question", async || {
        (shop.provider.asked(&our_reference) > 0).then_some(())
    })
    .await;
    assert_nothing_paid(&shop, &id, "signed").await;
    assert_eq!(shop.bot_says(&id).await, "pending");
    shop.provider.says(&our_reference, &captured);
    // The same news once more; now the provider stands by it.
    assert_eq!(shop.tell(&captured).await, "look_up");
    let paid = shop.paid(&id).await;
    assert_eq!(paid["verification"]["method"], "status_lookup");
    assert_eq!(shop.bot_says(&id).await, "paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_say_paid_through_the_api() {
    let shop = Shop::open().await;
    let (id, _) = shop.waiting_for_payer_of_bot("said").await;
    let path = format!("/v1/payment-requests/{id}");
    for who in ["bot", "backend", "operator", "admin"] {
        let bearer = format!("Bearer {}", shop.node.token(who));
        for (method, path) in [
            ("PUT", path.clone()),
            ("PATCH", path.clone()),
            ("POST", format!("{path}/paid")),
            ("POST", format!("{path}/verify")),
            ("GET", format!("{path}?status=paid&success=true")),
        ] {
            let body = json!({ "status": "paid" });
            let body = (method != "GET").then_some(&body);
            shop.node
                .call(method, &path, Some(&bearer), Some("k"), body)
                .await;
        }
        let notice = json!({ "kind": "message", "text": "paid", "status": "paid" });
        let told = shop
            .node
            .post(who, &format!("{path}/notices"), "k", &notice)
            .await;
        assert!((400..500).contains(&told.status), "{who}: {}", told.status);
    }
    assert_nothing_paid(&shop, &id, "said").await;
    assert_eq!(shop.bot_says(&id).await, "pending");
}
