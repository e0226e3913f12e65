//! Transfers in the whole ledger: money that came on a replaced link, and money that nobody explained,
//! gets to the request that a person says it is for, once and completely, whatever stops in between.

use std::time::Duration;

use api::app::App;
use api::app::case_decisions::How;
use api::app::context::Context;
use domain::access::role::Role;
use domain::ids::{CaseId, MerchantId, PaymentRequestId, ReasonCode};
use domain::payment::{Command, Resolve, Transfer};
use harness::node::Answer;
use harness::shop::{PRICE, Shop, case};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);

fn id_of(text: &str) -> PaymentRequestId {
    PaymentRequestId::parse(text).unwrap()
}

/// A decision by the operator.
async fn resolve(shop: &Shop, case: &str, key: &str, how: Value) -> Answer {
    let mut body = json!({ "reason": "receipt_seen", "text": "The customer sent the receipt." });
    let how = how.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(how);
    let path = format!("/v1/exceptions/{case}/resolve");
    shop.node.post("operator", &path, key, &body).await
}

fn to(id: &str) -> Value {
    json!({ "resolution": "reassign", "to": id })
}

/// An order whose first link was paid after a second one had replaced it: both requests.
async fn paid_on_the_old_link(shop: &Shop, order: &str) -> (String, String) {
    let (old, reference) = shop.waiting_for_payer(order).await;
    let (new, _) = shop.waiting_with(order, json!({ "supersede": true })).await;
    let transaction = json!({ "transaction": format!("tx-{order}") });
    let late = shop.statement_with("captured", &reference, transaction);
    shop.provider.says(&reference, &late);
    assert_eq!(shop.tell(&late).await, "look_up");
    shop.eventually("money on the old link", async || {
        (shop.shown(&old).await["unapplied"] != json!([])).then_some(())
    })
    .await;
    (old, new)
}

/// The only open case of a request.
async fn open_case(app: &App, id: &str) -> CaseId {
    let folded = app.fold_request(&id_of(id), None).await.unwrap();
    let request = folded.state.unwrap();
    let mut open = request.cases().iter().filter(|(_, case)| case.open());
    open.next().unwrap().0.clone()
}

/// A person decides: its money is for the other request.
async fn reassign(shop: &Shop, from: &str, id: &str) {
    let case = open_case(shop.node.app(), from).await;
    let decided = resolve(shop, case.as_str(), id, to(id)).await.expect(200);
    assert_eq!(decided.json()["resolution"], "reassigned");
}

fn parts(shown: &Value) -> (i64, i64) {
    let number = |sum: &Value| sum["minor"].as_str().unwrap().parse::<i64>().unwrap();
    let waiting = shown["unapplied"].as_array().unwrap();
    (
        number(&shown["applied"]),
        waiting.iter().map(number).sum::<i64>(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn money_on_a_replaced_link_pays_the_new_request_when_a_person_says_so_e15() {
    let shop = Shop::open().await;
    let (old, new) = paid_on_the_old_link(&shop, "replaced").await;
    let replaced = case("paid_superseded", "high", Some("150000 AMD"));
    assert_eq!(shop.cases(Some(&old)).await, [replaced]);
    assert_eq!(shop.shown(&new).await["status"], "pending");
    reassign(&shop, &old, &new).await;

    let paid = shop.paid(&new).await;
    assert_eq!(parts(&paid), (PRICE, 0));
    assert_eq!(paid["in_review"], false);
    let left = shop.shown(&old).await;
    assert_eq!(left["status"], "cancelled");
    assert_eq!(parts(&left), (0, 0));
    assert_eq!(left["in_review"], false);
    assert_eq!(shop.cases(None).await, []);
    assert_eq!(shop.events(&new, "PaymentVerified").await, 1);
    assert_eq!(shop.events(&old, "PaymentVerified").await, 0);

    // The trail leads from the payment back to the decision, and to what proved the money.
    let log = shop.log().await;
    let sent = log.of_type("CaptureReassigned").next().unwrap();
    let arrived = log.of_type("CaptureReceived").next().unwrap();
    let verified = log.of_type("PaymentVerified").next().unwrap();
    let captured = log.of_type("PaymentCaptured").next().unwrap();
    assert_eq!(sent.actor.display(), "client:operator");
    assert_eq!(arrived.cause.causation_id, Some(sent.event_id));
    assert_eq!(verified.cause.causation_id, Some(sent.event_id));
    assert_eq!(arrived.data["transfer"], sent.data["transfer"]);
    assert!(!captured.evidence.is_empty());
    assert_eq!(verified.evidence, captured.evidence);
}

/// Money for an order that nobody knows, once it is in suspense: its case.
async fn in_suspense(shop: &Shop, letter: &str, minor: i64) -> Value {
    let reference = format!("pr_{}-1", letter.repeat(26));
    let other = json!({ "amount": minor.to_string(), "transaction": format!("tx-{letter}") });
    let orphan = shop.statement_with("captured", &reference, other);
    shop.provider.says(&reference, &orphan);
    assert_eq!(shop.tell(&orphan).await, "parked");
    shop.node.leap(15 * MINUTE + Duration::from_secs(1)).await;
    let about = format!("sim/sim-main/tx-{letter}");
    shop.eventually("a case", async || {
        let list = shop.review_list("operator").await;
        list.into_iter().find(|row| row["about"] == about)
    })
    .await
}

async fn found(shop: &Shop, row: &Value, how: Value) -> Answer {
    let case = row["id"].as_str().unwrap();
    let key = format!("{case}-{how}");
    resolve(shop, case, &key, how).await
}

/// Where the case stands in the list of decided ones.
async fn decided(shop: &Shop, row: &Value) -> Value {
    shop.views_have_caught_up().await;
    let path = "/v1/exceptions?state=resolved&limit=200";
    let list = shop.node.get("operator", path).await.expect(200).json();
    let rows = list["exceptions"].as_array().unwrap();
    let row = rows.iter().find(|known| known["id"] == row["id"]);
    row.unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_nobody_explained_pays_the_request_that_a_person_names_g1() {
    let shop = Shop::open().await;
    let row = in_suspense(&shop, "b", PRICE).await;
    assert_eq!(row["kind"], "orphan_payment");
    assert_eq!(row["payment_request_id"], Value::Null);
    assert_eq!(row["money"]["minor"], PRICE.to_string());
    // An order of the same amount waits, and gets nothing by itself.
    let (same_amount, _) = shop.waiting_for_payer("same-amount").await;
    let (id, _) = shop.waiting_for_payer("its-order").await;
    let path = format!("/v1/exceptions/{}", row["id"].as_str().unwrap());
    let read = async || shop.node.get("operator", &path).await.expect(200).json();
    let waiting = read().await;
    assert_eq!(waiting["holds"]["minor"], PRICE.to_string());
    let ways = waiting["resolutions"].as_array().unwrap();
    let ways: Vec<_> = ways.iter().map(|way| &way["resolution"]).collect();
    assert_eq!(ways, ["reassign", "given_back", "keep_as_income"]);
    let first = found(&shop, &row, to(&id)).await.expect(200).json();
    assert_eq!(first["resolution"], "reassigned");
    assert_eq!(first["payment_request_id"], id);
    let paid = shop.paid(&id).await;
    assert_eq!(parts(&paid), (PRICE, 0));
    assert_eq!(shop.shown(&same_amount).await["status"], "pending");
    assert_eq!(decided(&shop, &row).await["resolution"], "reassigned");
    assert_eq!(shop.review_list("operator").await, [] as [Value; 0]);

    let done = read().await;
    assert_eq!(done["state"], "resolved");
    assert_eq!(done["holds"]["minor"], "0");
    assert_eq!(done["resolutions"], json!([]));
    let history = done["history"].as_array().unwrap();
    let settled = history.iter().find(|step| step["data"]["to"] == id);
    assert_eq!(settled.unwrap()["text"], "The customer sent the receipt.");

    // Said again, nothing happens, whatever the key; said otherwise, it is decided.
    let again = found(&shop, &row, to(&id)).await.expect(200).json();
    assert_eq!(again, first);
    let case = row["id"].as_str().unwrap();
    let again = resolve(&shop, case, "again", to(&id)).await.expect(200);
    assert_eq!(again.json()["transfer_id"], first["transfer_id"]);
    for other in [json!({ "resolution": "given_back" }), to(&same_amount)] {
        let refused = found(&shop, &row, other).await.expect(409);
        assert_eq!(refused.code(), "state_conflict");
    }
    let log = shop.log().await;
    let resolved: Vec<_> = log.of_type("UnmatchedPaymentResolved").collect();
    assert_eq!(resolved.len(), 1);
    assert_eq!(resolved[0].actor.display(), "client:operator");
    let reason = resolved[0].reason.as_ref().unwrap();
    assert_eq!(reason.code.as_str(), "receipt_seen");
    assert!(reason.text.is_some());
    assert_eq!(log.of_type("CaptureReceived").count(), 1);
    let verified = log.of_type("PaymentVerified").next().unwrap();
    assert!(!verified.evidence.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn money_in_suspense_that_is_nobodys_pays_no_request_g1() {
    let shop = Shop::open().await;
    let (id, _) = shop.waiting_for_payer("waits").await;
    let (back, kept) = (
        in_suspense(&shop, "c", PRICE).await,
        in_suspense(&shop, "d", PRICE).await,
    );
    shop.node.person("ani", Role::Operator).await;
    let path = format!("/v1/exceptions/{}/assign", back["id"].as_str().unwrap());
    let body = json!({ "to": "ani" });
    let assigned = shop.node.post("operator", &path, "a", &body).await;
    assert_eq!(assigned.expect(200).json()["assignee"], "ani");
    assert_eq!(shop.review_list("operator").await[0]["assignee"], "ani");
    for way in ["accept", "refund", "dismiss"] {
        let refused = found(&shop, &back, json!({ "resolution": way })).await;
        assert_eq!(refused.expect(422).code(), "refused", "{way}");
    }
    let given_back = json!({ "resolution": "given_back" });
    found(&shop, &back, given_back).await.expect(200);
    let income = json!({ "resolution": "keep_as_income" });
    found(&shop, &kept, income).await.expect(200);
    assert_eq!(decided(&shop, &back).await["resolution"], "refunded");
    assert_eq!(decided(&shop, &kept).await["resolution"], "kept_as_income");
    assert_eq!(shop.review_list("operator").await, [] as [Value; 0]);
    shop.node.leap(MINUTE).await;
    assert_eq!(shop.shown(&id).await["status"], "pending");
    assert_eq!(shop.log().await.of_type("CaptureReceived").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_in_suspense_goes_only_to_a_request_of_its_merchant_g1() {
    let shop = Shop::open().await;
    let row = in_suspense(&shop, "b", PRICE).await;
    let (ours, _) = shop.waiting_for_payer("ours").await;
    let order = json!({
        "order_id": "theirs", "scenario": "web",
        "amount": { "minor": PRICE.to_string(), "currency": "AMD" },
    });
    let path = "/v1/payment-requests";
    let theirs = shop.node.post("other-backend", path, "k", &order).await;
    let theirs = theirs.expect(201).text_of("id");
    let nobodys = format!("pr_{}", "z".repeat(26));
    for other in [&theirs, &nobodys] {
        let refused = found(&shop, &row, to(other)).await.expect(422);
        assert_eq!(refused.code(), "refused");
    }
    // For another merchant's person the case does not exist.
    let case = row["id"].as_str().unwrap();
    for command in ["resolve", "assign"] {
        let path = format!("/v1/exceptions/{case}/{command}");
        let body = match command {
            "resolve" => json!({ "resolution": "given_back", "reason": "a", "text": "a" }),
            _ => json!({ "to": null }),
        };
        let refused = shop.node.post("other-operator", &path, "k", &body).await;
        assert_eq!(refused.expect(404).code(), "not_found");
    }
    let log = shop.log().await;
    assert_eq!(log.of_type("UnmatchedPaymentResolved").count(), 0);
    found(&shop, &row, to(&ours)).await.expect(200);
    shop.paid(&ours).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_back_of_money_that_was_in_suspense_goes_back_where_it_is_g1() {
    let shop = Shop::open().await;
    let row = in_suspense(&shop, "b", PRICE).await;
    let (id, reference) = shop.waiting_for_payer("its-order").await;
    found(&shop, &row, to(&id)).await.expect(200);
    shop.paid(&id).await;
    // The provider goes on calling it by the name that nobody knows.
    let unknown = format!("pr_{}-1", "b".repeat(26));
    let of_it = json!({ "transaction": "tx-b", "reversal": "re-1", "refunded": "50000" });
    let refund = shop.statement_with("refunded", &unknown, of_it.clone());
    assert_eq!(shop.tell(&refund).await, "applied");
    let shown = shop.has_status(&id, "partially_refunded").await;
    assert_eq!(parts(&shown), (PRICE - 50_000, 0));
    assert_eq!(shop.tell(&refund).await, "duplicate");
    // Told at the request's own attempt, it is the same money and the same refund.
    let captured = json!({ "transaction": "tx-b" });
    let captured = shop.statement_with("captured", &reference, captured);
    assert_eq!(shop.tell(&captured).await, "duplicate");
    let refund = shop.statement_with("refunded", &reference, of_it);
    assert_eq!(shop.tell(&refund).await, "duplicate");
    assert_eq!(parts(&shop.shown(&id).await), (PRICE - 50_000, 0));
    let cases = shop.cases(Some(&id)).await;
    assert_eq!(
        cases,
        [case("unrequested_refund", "medium", Some("150000 AMD"))]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_money_that_moved_lands_at_its_new_request_e15() {
    let shop = Shop::open().await;
    let (old, new) = paid_on_the_old_link(&shop, "replaced").await;
    reassign(&shop, &old, &new).await;
    shop.paid(&new).await;
    // The payer's bank knows the old link only.
    let reference = format!("{old}-1");
    let refund =
        json!({ "transaction": "tx-replaced", "reversal": "re-1", "refunded": PRICE.to_string() });
    let refund = shop.statement_with("refunded", &reference, refund);
    assert_eq!(shop.tell(&refund).await, "applied");
    shop.has_status(&new, "refunded").await;
    assert_eq!(shop.tell(&refund).await, "duplicate");
    assert_eq!(shop.events(&new, "RefundSettled").await, 1);
    assert_eq!(shop.events(&old, "RefundSettled").await, 0);
    assert_eq!(shop.shown(&old).await["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_the_money_left_brings_it_after_the_restart_e15() {
    let mut shop = Shop::open().await;
    let (old, new) = paid_on_the_old_link(&shop, "replaced").await;
    // The process that decides dies before any loop has looked.
    let decide = async |app: &App| {
        let case = open_case(app, &old).await;
        let why = (
            ReasonCode::parse("receipt_seen").unwrap(),
            Some("seen".to_owned()),
        );
        let how = How::Reassign { to: id_of(&new) };
        let (shop, context) = (MerchantId::parse("shop").unwrap(), Context::job("test"));
        let decided = app.resolve_case(&shop, &context, &case, how, why).await;
        decided.unwrap();
    };
    shop.node.restart_after_use(decide).await;
    let paid = shop.paid(&new).await;
    assert_eq!(parts(&paid), (PRICE, 0));
    assert_eq!(parts(&shop.shown(&old).await), (0, 0));
    // From zero, and from zero again, it changes nothing.
    let before = shop.log().await.events.len();
    for _ in 0..2 {
        let forget = |data: &std::path::Path| {
            for file in ["ops.db", "ops.db-wal", "ops.db-shm"] {
                let _ = std::fs::remove_file(data.join(file));
            }
        };
        shop.node.restart_after(forget).await;
        // A transfer made now arrives: the loop has seen everything before it.
        let order = format!("later-{}", shop.log().await.events.len());
        let (old, later) = paid_on_the_old_link(&shop, &order).await;
        reassign(&shop, &old, &later).await;
        shop.paid(&later).await;
        assert_eq!(shop.events(&new, "CaptureReceived").await, 1);
        assert_eq!(shop.events(&new, "PaymentVerified").await, 1);
    }
    let log = shop.log().await;
    assert!(log.events.len() > before);
    assert_eq!(log.of_type("CaptureReceived").count(), 3);
    assert_eq!(log.of_type("CaptureReassigned").count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_transfers_to_one_request_the_second_waits_for_a_person_e15() {
    let shop = Shop::open().await;
    let (old, new) = paid_on_the_old_link(&shop, "twice").await;
    let row = in_suspense(&shop, "b", PRICE).await;
    reassign(&shop, &old, &new).await;
    shop.paid(&new).await;
    found(&shop, &row, to(&new)).await.expect(200);
    let shown = shop
        .eventually("the second", async || {
            let shown = shop.shown(&new).await;
            (parts(&shown) == (PRICE, PRICE)).then_some(shown)
        })
        .await;
    assert_eq!(shown["status"], "paid");
    assert_eq!(shop.events(&new, "PaymentVerified").await, 1);
    let second = case("duplicate_payment", "high", Some("150000 AMD"));
    assert_eq!(shop.cases(Some(&new)).await, [second]);
    assert_eq!(parts(&shop.shown(&old).await), (0, 0));
}

async fn health(shop: &Shop) -> Value {
    let answer = shop.node.get("backend", "/health/ready").await;
    answer.expect(200).json()["parts"]["transfers"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn money_in_transit_for_five_minutes_is_an_alarm_and_holds_up_nothing_e15() {
    let shop = Shop::open().await;
    let (lost, _) = paid_on_the_old_link(&shop, "lost").await;
    let (old, new) = paid_on_the_old_link(&shop, "replaced").await;
    // No use-case allows this; a damaged decision might.
    let app = shop.node.app();
    let case = open_case(app, &lost).await;
    let transfer = Transfer::id_of(app.recorder.key(), &case);
    let to = id_of(&format!("pr_{}", "z".repeat(26)));
    let how = Resolve::Reassign { transfer, to };
    let command = Command::ResolveCase { case, how };
    let context = Context::job("test");
    app.execute(&id_of(&lost), &context, &command)
        .await
        .unwrap();
    reassign(&shop, &old, &new).await;
    shop.paid(&new).await;
    shop.eventually("one in transit", async || {
        let part = health(&shop).await;
        let note = part["note"].as_str()?.starts_with("1 in transit");
        (note && part["alarm"] == Value::Null && part["ok"] == true).then_some(())
    })
    .await;
    shop.node.leap(5 * MINUTE + Duration::from_secs(1)).await;
    shop.eventually("an alarm", async || {
        let part = health(&shop).await;
        (part["alarm"] == true && part["ok"] == true).then_some(())
    })
    .await;
    // Every ledger of this process writes the same figures, so their values are not looked at.
    let figures = shop.node.get("backend", "/metrics").await.expect(200).text;
    for name in [
        "counterfoil_transfers_in_transit ",
        "counterfoil_transfers_oldest_seconds ",
        r#"counterfoil_part_alarm{part="transfers"} "#,
    ] {
        assert!(figures.contains(name), "{name}");
    }
    // Money that leaves afterwards arrives all the same.
    let (old, new) = paid_on_the_old_link(&shop, "afterwards").await;
    reassign(&shop, &old, &new).await;
    shop.paid(&new).await;
}
