//! Promise: a notification may come twice, a thousand times, late, in any order, forged or old, and
//! the ledger says the same thing every time.

use std::sync::Arc;

use harness::quiet_provider::{Notification, message, seconds_now, signed, signed_with};
use harness::shop::{CALLBACK, PAYEE, PRICE, Shop};
use harness::whole_log::WholeLog;
use serde_json::json;
use tokio::sync::Semaphore;

fn captured(our_reference: &str) -> Notification {
    notification("captured", our_reference)
}

fn notification(status: &str, our_reference: &str) -> Notification {
    let body = message(status, our_reference, PAYEE, PRICE);
    signed(
        &format!("msg_{status}_{our_reference}"),
        seconds_now(),
        &body,
    )
}

fn verified(log: &WholeLog, id: &str) -> usize {
    let stream = format!("payment_request-{id}");
    log.per_stream("PaymentVerified")
        .get(&stream)
        .copied()
        .unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_repeats_at_once_are_one_payment() {
    let shop = Arc::new(Shop::open().await);
    let (id, our_reference) = shop.waiting_for_payer("thousand").await;
    let message = Arc::new(captured(&our_reference));
    // All thousand are under way together; connections are fewer than a process may have files.
    let connections = Arc::new(Semaphore::new(200));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (shop, message, connections) = (
            Arc::clone(&shop),
            Arc::clone(&message),
            Arc::clone(&connections),
        );
        senders.spawn(async move {
            let _place = connections.acquire().await.unwrap();
            shop.send(&message).await
        });
    }
    let answers = senders.join_all().await;
    assert_eq!(answers.len(), 1000);
    assert!(
        answers.iter().all(|status| (200..300).contains(status)),
        "{answers:?}"
    );
    let shown = shop.paid(&id).await;
    assert_eq!(shown["applied"]["minor"], PRICE.to_string());
    // Once more, long after.
    assert_eq!(shop.send(&message).await, 200);
    let log = shop.log().await;
    assert_eq!(log.received(&our_reference).len(), 1);
    assert_eq!(log.of_type("NotificationApplied").count(), 1);
    assert_eq!(log.of_type("PaymentCaptured").count(), 1);
    assert_eq!(verified(&log, &id), 1);
    assert_eq!(shop.shown(&id).await, shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_news_in_other_messages_is_still_one_payment() {
    let shop = Shop::open().await;
    let (id, our_reference) = shop.waiting_for_payer("same-news").await;
    for number in 0..5 {
        let body = message("captured", &our_reference, PAYEE, PRICE);
        shop.send_and_settle(&signed(&format!("msg_{number}"), seconds_now(), &body))
            .await;
    }
    let log = shop.log().await;
    assert_eq!(log.received(&our_reference).len(), 5);
    assert_eq!(log.of_type("PaymentCaptured").count(), 1);
    assert_eq!(verified(&log, &id), 1);
    assert_eq!(shop.paid(&id).await["applied"]["minor"], PRICE.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_comes_late_never_takes_paid_back() {
    let shop = Shop::open().await;
    let (id, our_reference) = shop.waiting_for_payer("late-failure").await;
    shop.send_and_settle(&captured(&our_reference)).await;
    let paid = shop.paid(&id).await;
    for status in ["declined", "session_expired", "processing", "registered"] {
        shop.send_and_settle(&notification(status, &our_reference))
            .await;
        let after = shop.shown(&id).await;
        for part in ["status", "applied", "returned", "verification"] {
            assert_eq!(after[part], paid[part], "{part} after {status}");
        }
    }
    let log = shop.log().await;
    assert_eq!(log.received(&our_reference).len(), 5);
    assert_eq!(verified(&log, &id), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_any_order_end_the_same() {
    let shop = Shop::open().await;
    let orders = [
        ["processing", "declined", "captured"],
        ["processing", "captured", "declined"],
        ["declined", "processing", "captured"],
        ["declined", "captured", "processing"],
        ["captured", "processing", "declined"],
        ["captured", "declined", "processing"],
    ];
    for statuses in orders {
        let (id, our_reference) = shop.waiting_for_payer(&statuses.join("-")).await;
        for status in statuses {
            shop.send_and_settle(&notification(status, &our_reference))
                .await;
        }
        let shown = shop.paid(&id).await;
        assert_eq!(shown["applied"]["minor"], PRICE.to_string(), "{statuses:?}");
        assert_eq!(shown["unapplied"], json!([]), "{statuses:?}");
        assert_eq!(shown["returned"]["minor"], "0", "{statuses:?}");
        assert_eq!(
            shown["verification"]["method"], "signed_notification",
            "{statuses:?}"
        );
        assert_eq!(shown["in_review"], false, "{statuses:?}");
        assert_eq!(verified(&shop.log().await, &id), 1, "{statuses:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_came_before_its_attempt_is_kept_and_a_repeat_changes_nothing() {
    let shop = Shop::open().await;
    // It names an order that nobody made: authentic, so it is kept, and it pays nothing.
    let unknown = captured(&format!("pr_{}-1", "a".repeat(26)));
    assert_eq!(shop.send(&unknown).await, 200);
    assert_eq!(shop.send(&unknown).await, 200);
    let log = shop.log().await;
    assert_eq!(log.of_type("NotificationReceived").count(), 1);
    assert_eq!(log.of_type("PaymentVerified").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_altered_and_old_messages_answer_401_and_leave_no_event() {
    const OTHER_SECRET: &str = "whsec_YW5vdGhlciBzZWNyZXQgb2YgYW5vdGhlciBzaG9wIQ==";
    let shop = Shop::open().await;
    let (id, our_reference) = shop.waiting_for_payer("forged").await;
    let good = captured(&our_reference);
    let body = message("captured", &our_reference, PAYEE, PRICE);
    let now = seconds_now();
    let altered = |from: &str, to: &str| {
        assert!(good.body.contains(from), "{from} in {}", good.body);
        Notification {
            body: good.body.replace(from, to),
            ..good.clone()
        }
    };
    let bad = [
        (
            "another secret",
            signed_with(OTHER_SECRET, "msg_1", now, &body),
        ),
        ("another amount", altered("\"150000\"", "\"1\"")),
        ("another payee", altered(PAYEE, "acc-thief")),
        ("one more space", altered(",", ", ")),
        (
            "another id",
            Notification {
                id: "msg_2".into(),
                ..good.clone()
            },
        ),
        (
            "another time",
            Notification {
                seconds: good.seconds + 1,
                ..good.clone()
            },
        ),
        ("six minutes old", signed("msg_3", now - 360, &body)),
        ("six minutes ahead", signed("msg_4", now + 360, &body)),
        (
            "no signature",
            Notification {
                signature: String::new(),
                ..good.clone()
            },
        ),
        (
            "an empty signature",
            Notification {
                signature: "v1,".into(),
                ..good.clone()
            },
        ),
        (
            "no base64",
            Notification {
                signature: "v1,~~~".into(),
                ..good.clone()
            },
        ),
        (
            "another version",
            Notification {
                signature: good.signature.replace("v1,", "v2,"),
                ..good.clone()
            },
        ),
    ];
    let store = shop.node.app().recorder.store();
    let (head, shown) = (store.head().await.unwrap(), shop.shown(&id).await);
    for (what, forged) in &bad {
        assert_eq!(shop.send(forged).await, 401, "{what}");
        assert_eq!(store.head().await.unwrap(), head, "{what}");
    }
    let url = shop.node.url(CALLBACK);
    let bare = shop
        .node
        .http()
        .post(&url)
        .body(good.body.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status().as_u16(), 401);
    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(shop.shown(&id).await, shown);
    // The very message that was forged is taken from the one who may send it.
    assert_eq!(shop.send(&good).await, 200);
    assert_eq!(shop.paid(&id).await["applied"]["minor"], PRICE.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_is_told_twice_goes_back_once() {
    let shop = Shop::open().await;
    let (id, our_reference) = shop.waiting_for_payer("refund").await;
    let transaction = json!({ "transaction": "tx-refund" });
    shop.tell(&shop.statement_with("captured", &our_reference, transaction))
        .await;
    shop.paid(&id).await;
    let refund =
        json!({ "transaction": "tx-refund", "reversal": "re-1", "refunded": PRICE.to_string() });
    let refund = shop.statement_with("refunded", &our_reference, refund);
    assert_eq!(shop.tell(&refund).await, "applied");
    shop.has_status(&id, "refunded").await;
    // The same words in another message.
    assert_eq!(shop.tell(&refund).await, "duplicate");
    assert_eq!(shop.events(&id, "RefundSettled").await, 1);
}
