//! Promise 7: one provider transaction pays one request, ever, whoever tells of it, in whatever
//! order and however often at once. Money that pays one order already is shown to a person at both.

use std::sync::Arc;
use std::time::Duration;

use api::app::look_ups::LookedUp;
use domain::payment::Outcome;
use harness::shop::{Case, PRICE, Shop, case};
use serde_json::{Value, json};

/// The transaction that everybody claims.
const SHARED: &str = "tx-shared";

fn reused() -> [Case; 1] {
    [case("txn_reused", "critical", None)]
}

fn of_transaction(shop: &Shop, our_reference: &str, transaction: &str) -> Value {
    shop.statement_with(
        "captured",
        our_reference,
        json!({ "transaction": transaction }),
    )
}

/// Nothing of the transaction is here, and a person knows.
async fn assert_only_told(shop: &Shop, id: &str) {
    let shown = shop.shown(id).await;
    assert_eq!(shown["status"], "pending", "{shown}");
    assert_eq!(shown["in_review"], true);
    assert_eq!(shown["applied"]["minor"], "0");
    assert_eq!(shown["unapplied"], json!([]));
    assert_eq!(shop.events(id, "PaymentCaptured").await, 0);
    assert_eq!(shop.cases(Some(id)).await, reused());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_gets_nothing_of_it_whoever_tells() {
    let mut shop = Shop::open().await;
    let (first, its_reference) = shop.waiting_for_payer("first").await;
    shop.tell(&of_transaction(&shop, &its_reference, SHARED))
        .await;
    let paid = shop.shown(&first).await;
    assert_eq!(paid["status"], "paid");

    let (told, reference) = shop.waiting_for_payer("told").await;
    let statement = of_transaction(&shop, &reference, SHARED);
    assert_eq!(shop.tell(&statement).await, "refused");
    assert_only_told(&shop, &told).await;

    let (asked, reference) = shop.waiting_for_payer("asked").await;
    let statement = of_transaction(&shop, &reference, SHARED);
    shop.provider.says(&reference, &statement);
    let answer = shop.ask(&asked).await;
    assert_eq!(answer, LookedUp::Answered(Outcome::Refused));
    assert_only_told(&shop, &asked).await;

    // The one that was paid by it stays as it is, and its person knows too.
    let after = shop.shown(&first).await;
    for part in ["status", "applied", "unapplied", "verification"] {
        assert_eq!(after[part], paid[part], "{part}");
    }
    assert_eq!(shop.cases(Some(&first)).await, reused());

    // A restart forgets nothing of this, and money of their own still pays them.
    shop.node.restart().await;
    let (later, reference) = shop.waiting_for_payer("later").await;
    shop.tell(&of_transaction(&shop, &reference, SHARED)).await;
    assert_only_told(&shop, &later).await;
    shop.tell(&of_transaction(&shop, &reference, "tx-own"))
        .await;
    let own = shop.shown(&later).await;
    assert_eq!(own["status"], "paid");
    assert_eq!(own["applied"]["minor"], PRICE.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_claim_it_at_once_one_is_paid() {
    let shop = Arc::new(Shop::open().await);
    let mut all = vec![];
    for number in 0..12 {
        let (id, reference) = shop.waiting_for_payer(&format!("c-{number}")).await;
        let statement = of_transaction(&shop, &reference, SHARED);
        shop.provider.says(&reference, &statement);
        all.push((id, statement));
    }
    // A third is told by messages, a third by questions, and a third by shops that call them off,
    // which asks the provider first.
    let mut claims = tokio::task::JoinSet::new();
    for (number, (id, statement)) in all.iter().cloned().enumerate() {
        let shop = Arc::clone(&shop);
        claims.spawn(async move {
            match number % 3 {
                0 => assert_eq!(shop.send(&shop.signed(&statement)).await, 200),
                1 => {
                    shop.ask(&id).await;
                }
                _ => {
                    shop.command(&id, "cancel", &json!({})).await;
                }
            }
        });
    }
    claims.join_all().await;
    shop.eventually("a look at every message", async || {
        let looked_at = shop.log().await.of_type("NotificationApplied").count();
        (looked_at == 4).then_some(())
    })
    .await;
    let log = shop.log().await;
    assert_eq!(log.of_type("PaymentCaptured").count(), 1);
    assert_eq!(log.of_type("PaymentVerified").count(), 1);
    let mut paid = 0;
    for row in shop.listed().await {
        let id = row["id"].as_str().unwrap();
        assert_eq!(shop.cases(Some(id)).await, reused(), "{row}");
        if row["status"] == "paid" {
            paid += 1;
            assert_eq!(row["applied"]["minor"], PRICE.to_string());
        } else {
            assert_eq!(row["applied"]["minor"], "0", "{row}");
            assert_eq!(row["unapplied"], json!([]), "{row}");
        }
    }
    assert_eq!(paid, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_waits_unapplied_at_one_request_pays_no_other() {
    let shop = Shop::open().await;
    let (first, its_reference) = shop.waiting_for_payer("cancelled").await;
    shop.command(&first, "cancel", &json!({})).await.expect(200);
    let statement = of_transaction(&shop, &its_reference, SHARED);
    shop.provider.says(&its_reference, &statement);
    shop.ask(&first).await;
    let kept = shop.shown(&first).await["unapplied"].clone();
    assert_eq!(kept[0]["minor"], PRICE.to_string());

    let (second, reference) = shop.waiting_for_payer("second").await;
    let statement = of_transaction(&shop, &reference, SHARED);
    assert_eq!(shop.tell(&statement).await, "refused");
    assert_only_told(&shop, &second).await;
    assert_eq!(shop.shown(&first).await["unapplied"], kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_no_request_explained_pays_none_by_itself_later() {
    let shop = Shop::open().await;
    let nobody = "pr_".to_owned() + &"a".repeat(26) + "-1";
    let orphan = of_transaction(&shop, &nobody, SHARED);
    shop.provider.says(&nobody, &orphan);
    let message = shop.signed(&orphan);
    assert_eq!(shop.send_and_settle(&message).await, "parked");
    shop.node.leap(Duration::from_secs(16 * 60)).await;
    shop.eventually("the money in suspense", async || {
        let cases = shop.cases(None).await;
        (!cases.is_empty()).then_some(())
    })
    .await;
    // The same transaction with a good order's name: the money is booked already.
    let (id, reference) = shop.waiting_for_payer("later").await;
    let statement = of_transaction(&shop, &reference, SHARED);
    assert_eq!(shop.tell(&statement).await, "refused");
    assert_only_told(&shop, &id).await;
    // And the other way round: what pays a request is not kept as nobody's money as well.
    shop.tell(&of_transaction(&shop, &reference, "tx-own"))
        .await;
    assert_eq!(shop.shown(&id).await["status"], "paid");
    let again = of_transaction(&shop, &nobody, "tx-own");
    shop.provider.says(&nobody, &again);
    let message = shop.signed(&again);
    assert_eq!(shop.send_and_settle(&message).await, "parked");
    shop.node.leap(Duration::from_secs(16 * 60)).await;
    shop.eventually("a look at the message", async || {
        let log = shop.log().await;
        let last = log.of_type("NotificationApplied").last()?.data["outcome"].clone();
        (last != "parked").then_some(())
    })
    .await;
    assert_eq!(
        shop.log().await.of_type("UnmatchedPaymentObserved").count(),
        1
    );
    assert_eq!(shop.cases(Some(&id)).await, [reused(), reused()].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_names_used_money_and_new_money_books_the_new_money() {
    let shop = Shop::open().await;
    let (first, its_reference) = shop.waiting_for_payer("first").await;
    shop.tell(&of_transaction(&shop, &its_reference, SHARED))
        .await;
    let (second, reference) = shop.waiting_for_payer("second").await;
    let both = [
        of_transaction(&shop, &reference, SHARED),
        of_transaction(&shop, &reference, "tx-own"),
    ];
    shop.provider.says_all(&reference, &both);
    shop.ask(&second).await;
    let shown = shop.shown(&second).await;
    assert_eq!(shown["status"], "paid", "{shown}");
    assert_eq!(shown["applied"]["minor"], PRICE.to_string());
    assert_eq!(shown["unapplied"], json!([]));
    // The case is about the money that was used, at both.
    for id in [&first, &second] {
        assert_eq!(shop.cases(Some(id)).await, reused());
    }
    for row in shop.review_list("operator").await {
        assert!(row["about"].as_str().unwrap().ends_with(SHARED), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_word_at_another_account_is_other_money() {
    let shop = Shop::open().await;
    let (ours, reference) = shop.waiting_for_payer("ours").await;
    shop.tell(&of_transaction(&shop, &reference, SHARED)).await;
    assert_eq!(shop.shown(&ours).await["status"], "paid");

    let path = "/v1/payment-requests";
    let order = json!({
        "order_id": "theirs", "scenario": "web",
        "amount": { "minor": PRICE.to_string(), "currency": "AMD" },
    });
    let created = shop.node.post("other-backend", path, "k", &order).await;
    let path = format!("{path}/{}", created.expect(201).text_of("id"));
    let attempts = format!("{path}/attempts");
    let started = shop
        .node
        .post("other-backend", &attempts, "a", &json!({}))
        .await;
    let reference = started.expect(201).json()["attempts"][0]["our_reference"].clone();
    let mut statement = of_transaction(&shop, reference.as_str().unwrap(), SHARED);
    statement["payee"] = json!("acc-other");
    let message = shop.signed(&statement);
    let callback = "/v1/callbacks/sim/sim-other";
    assert_eq!(shop.send_to(callback, &message).await, 200);
    shop.eventually("the other merchant is paid", async || {
        let shown = shop.node.get("other-backend", &path).await.expect(200);
        (shown.text_of("status") == "paid").then_some(())
    })
    .await;
    assert_eq!(shop.cases(Some(&ours)).await, []);
    assert_eq!(shop.review_list("other-operator").await, [] as [Value; 0]);
}
