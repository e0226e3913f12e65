//! Refunds end to end: asked for over HTTP, called for by the loop, given back by the simulated
//! provider over sockets. What really went back is read from the provider's own books.

use std::time::Duration;

use harness::node::Answer;
use harness::process_ledger::{ProcessLedger, plain_http};
use harness::quiet_provider::QuietProvider;
use harness::refund_shop::{Paid, RefundShop, bank, given_back};
use harness::shop::{PRICE, Shop};
use serde_json::{Value, json};

const PART: i64 = 50_000;

#[track_caller]
fn accepted(answer: Answer) -> Value {
    let shown = answer.expect(202).json();
    assert_eq!(shown["refund_pending"], true, "{shown}");
    shown
}

fn minor(shown: &Value, name: &str) -> String {
    shown[name]["minor"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn money_goes_back_in_part_and_then_whole_f3_f4() {
    let shop = RefundShop::open("").await;
    let paid = shop.paid("o-1").await;
    let shown = accepted(shop.refund(&paid, "first", PART).await);
    let refund = &shown["refunds"][0];
    assert_eq!(
        (&refund["state"], &shown["status"]),
        (&json!("requested"), &json!("paid"))
    );
    assert_eq!(
        minor(&shown["captures"][0], "refundable_applied"),
        (PRICE - PART).to_string()
    );
    let shown = shop.until(&paid, "settled").await;
    assert_eq!(shown["status"], "partially_refunded");
    assert_eq!(
        (minor(&shown, "returned"), &shown["refund_pending"]),
        (PART.to_string(), &json!(false))
    );
    accepted(shop.refund(&paid, "rest", PRICE - PART).await);
    shop.shop.has_status(&paid.id, "refunded").await;
    assert_eq!(shop.given_back(&paid), [PART, PRICE - PART]);
    // The bank tells of both as well; nothing is booked twice, and nobody is bothered.
    shop.shop.views_have_caught_up().await;
    assert_eq!(shop.shop.events(&paid.id, "RefundSettled").await, 2);
    assert_eq!(shop.shop.events(&paid.id, "RefundSubmitted").await, 2);
    assert_eq!(shop.cases(&paid).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_refund_is_settled_by_what_the_provider_tells_later_f3() {
    let shop = RefundShop::open("refund after 700ms").await;
    let paid = shop.paid("o-1").await;
    accepted(shop.refund(&paid, "k", PART).await);
    let shown = shop.until(&paid, "accepted").await;
    assert_eq!(
        (&shown["status"], &shown["refund_pending"]),
        (&json!("paid"), &json!(true))
    );
    shop.shop.has_status(&paid.id, "partially_refunded").await;
    assert_eq!(shop.given_back(&paid), [PART]);
    // Those who list see the overlay as well.
    let listed = shop.shop.listed().await;
    assert_eq!(listed[0]["refund_pending"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_fails_later_frees_its_money_f5() {
    let shop = RefundShop::open("refund fails after 300ms").await;
    let paid = shop.paid("o-1").await;
    accepted(shop.refund(&paid, "k", PRICE).await);
    let shown = shop.until(&paid, "failed").await;
    assert_eq!(shown["status"], "paid");
    assert_eq!(shop.cases(&paid).await, ["refund_failed"]);
    assert_eq!(shop.given_back(&paid), Vec::<i64>::new());
    shop.behaves(&paid, "");
    accepted(shop.refund(&paid, "again", PRICE).await);
    shop.shop.has_status(&paid.id, "refunded").await;
    assert_eq!(shop.given_back(&paid), [PRICE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_refund_is_told_to_a_person_f5() {
    let shop = RefundShop::open("refund declined").await;
    let paid = shop.paid("o-1").await;
    accepted(shop.refund(&paid, "k", PART).await);
    let shown = shop.until(&paid, "failed").await;
    assert_eq!(
        (&shown["status"], &shown["refund_pending"]),
        (&json!("paid"), &json!(false))
    );
    assert_eq!(shop.cases(&paid).await, ["refund_failed"]);
    assert_eq!(shop.given_back(&paid), Vec::<i64>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_whose_answer_is_lost_is_found_by_asking_f6() {
    // The bank tells of nothing by itself either.
    let shop = RefundShop::open("").await;
    let paid = shop.paid("o-1").await;
    shop.behaves(&paid, "lose; refund lost");
    accepted(shop.refund(&paid, "k", PART).await);
    shop.until(&paid, "uncertain").await;
    assert_eq!(shop.cases(&paid).await, ["refund_uncertain"]);
    shop.shop.node.leap(Duration::from_secs(10)).await;
    shop.until(&paid, "settled").await;
    assert_eq!(shop.cases(&paid).await, Vec::<String>::new());
    assert_eq!(shop.given_back(&paid), [PART]);
    assert_eq!(shop.shop.events(&paid.id, "RefundSettled").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_never_arrived_is_called_again_under_its_id_f6() {
    let shop = RefundShop::open("").await;
    let paid = shop.paid("o-1").await;
    shop.behaves(&paid, "refund down");
    accepted(shop.refund(&paid, "k", PART).await);
    shop.until(&paid, "uncertain").await;
    assert_eq!(shop.given_back(&paid), Vec::<i64>::new());
    shop.behaves(&paid, "");
    shop.shop.node.leap(Duration::from_secs(10)).await;
    shop.until(&paid, "settled").await;
    assert_eq!(shop.given_back(&paid), [PART]);
    assert_eq!(shop.shop.events(&paid.id, "RefundSubmitted").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_again_is_the_same_refund() {
    let shop = RefundShop::open("refund after 1s").await;
    let paid = shop.paid("o-1").await;
    let first = shop.refund(&paid, "k", PART).await.expect(202);
    shop.until(&paid, "accepted").await;
    let again = shop.refund(&paid, "k", PART).await.expect(202);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.json(), first.json());
    // Words are no content; the amount is.
    let words = json!({ "text": "They sent it back." });
    let again = shop.refund_with(&paid, "k", PART, words).await.expect(202);
    assert_eq!(again.header("idempotent-replayed"), "true");
    let other = shop.refund(&paid, "k", PART + 100).await.expect(422);
    assert_eq!(other.code(), "idempotency_mismatch");
    shop.until(&paid, "settled").await;
    assert_eq!(shop.given_back(&paid), [PART]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_is_there_and_what_cannot_be_is_refused_f2() {
    let shop = RefundShop::open("refund after 1h").await;
    let paid = shop.paid("o-1").await;
    let over = shop.refund(&paid, "a", PRICE + 1).await.expect(422);
    assert_eq!(
        (over.code().as_str(), over.text_of("refundable_minor")),
        ("over_refund", PRICE.to_string())
    );
    // What a refund holds is not there either.
    accepted(shop.refund(&paid, "b", PART).await);
    let over = shop.refund(&paid, "c", PRICE - PART + 1).await.expect(422);
    assert_eq!(over.text_of("refundable_minor"), (PRICE - PART).to_string());
    let usd = json!({ "amount": { "minor": "100", "currency": "USD" } });
    let other = shop.refund_with(&paid, "d", 1, usd).await.expect(422);
    assert_eq!(other.code(), "refund_currency");
    let nobodys = json!({ "capture": "sim/sim-main/st_unknown" });
    let unknown = shop.refund_with(&paid, "e", PART, nobodys).await;
    assert_eq!(unknown.expect(404).code(), "not_found");
    let unapplied = json!({ "part": "unapplied" });
    let none = shop.refund_with(&paid, "f", 1, unapplied).await.expect(422);
    assert_eq!(none.text_of("refundable_minor"), "0");
    let (id, our_reference) = shop.shop.waiting_for_payer("o-2").await;
    let unpaid = Paid { id, our_reference };
    let refused = shop.refund(&unpaid, "g", PART).await.expect(409);
    assert_eq!(refused.code(), "state_conflict");
    assert_eq!(shop.given_back(&paid), Vec::<i64>::new());
    assert_eq!(shop.shop.events(&paid.id, "RefundRequested").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_refunds_at_once_never_take_more_than_there_is_f2() {
    let shop = RefundShop::open("").await;
    let paid = shop.paid("o-1").await;
    let (one, two) = tokio::join!(
        shop.refund(&paid, "one", 100_000),
        shop.refund(&paid, "two", 100_000),
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 422], "{} {}", one.text, two.text);
    shop.until(&paid, "settled").await;
    assert_eq!(shop.given_back(&paid), [100_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_equal_refunds_at_once_both_go_back_once_f3() {
    let shop = RefundShop::open("").await;
    let paid = shop.paid("o-1").await;
    let half = PRICE / 2;
    let (one, two) = tokio::join!(
        shop.refund(&paid, "one", half),
        shop.refund(&paid, "two", half),
    );
    assert_eq!((one.status, two.status), (202, 202));
    let shown = shop.shop.has_status(&paid.id, "refunded").await;
    assert_eq!(shown["refund_pending"], false, "{shown}");
    assert_eq!(shop.given_back(&paid), [half, half]);
    assert_eq!(shop.cases(&paid).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_payment_goes_back_and_its_case_closes_e10() {
    let shop = RefundShop::open("").await;
    let paid = shop.paid("o-1").await;
    shop.behaves(&paid, "pay");
    let cases = async || {
        let cases = shop.cases(&paid).await;
        (!cases.is_empty()).then_some(cases)
    };
    let cases = shop.shop.eventually("a second payment", cases).await;
    assert_eq!(cases, ["duplicate_payment"]);
    let shown = shop.shop.shown(&paid.id).await;
    let captures = shown["captures"].as_array().unwrap();
    let second = captures
        .iter()
        .find(|capture| minor(capture, "unapplied") != "0")
        .unwrap();
    // Which of the two is meant must be said.
    shop.refund(&paid, "a", PRICE).await.expect(404);
    let of_it = json!({ "capture": second["capture"], "part": "unapplied" });
    accepted(shop.refund_with(&paid, "b", PRICE, of_it).await);
    let shown = shop.until(&paid, "settled").await;
    assert_eq!(shown["status"], "paid");
    assert_eq!(shop.cases(&paid).await, Vec::<String>::new());
    assert_eq!(shop.given_back(&paid), [PRICE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_that_never_finds_its_money_goes_to_a_person_c6() {
    let shop = Shop::open().await;
    let (id, ours) = shop.waiting_for_payer("o-1").await;
    let early = json!({ "refunded": "100", "reversal": "re_1", "transaction": "qt_never" });
    let early = shop.statement_with("refunded", &ours, early);
    assert_eq!(shop.tell(&early).await, "parked");
    shop.node.leap(Duration::from_secs(15 * 60)).await;
    let cases = shop
        .eventually("a case", async || {
            let cases = shop.cases(Some(&id)).await;
            (!cases.is_empty()).then_some(cases)
        })
        .await;
    assert_eq!(
        (cases.len(), cases[0].kind.as_str()),
        (1, "reversal_without_capture")
    );
}

/// One refund of a ledger that is a process of its own, killed while the bank takes its time, and
/// started again. Gives what really went back.
async fn killed_meanwhile(script: &str) -> Vec<i64> {
    let nobody = QuietProvider::start();
    let ledger = ProcessLedger::set_up(&nobody);
    let port = ledger.base.rsplit(':').next().unwrap().parse().unwrap();
    let bank = bank(port, "acc-1", "");
    ledger.move_provider(&nobody.url(), &bank.url());
    let http = plain_http();
    let mut serving = ledger.start();
    ledger.is_up(&mut serving, &http).await;
    let post = async |path: &str, key: &str, body: Value| {
        let request = http
            .post(format!("{}/v1/payment-requests{path}", ledger.base))
            .bearer_auth(&ledger.token)
            .header("idempotency-key", key)
            .header("content-type", "application/json")
            .body(body.to_string());
        Answer::of(request.send().await.unwrap()).await
    };
    let amount = |minor: i64| json!({ "minor": minor.to_string(), "currency": "AMD" });
    let order = json!({ "order_id": "o-1", "scenario": "web", "amount": amount(PRICE) });
    let id = post("", "create", order).await.expect(201).text_of("id");
    let started = post(&format!("/{id}/attempts"), "start", json!({})).await;
    let started = started.expect(201).json();
    let ours = started["attempts"][0]["our_reference"].as_str().unwrap();
    bank.choose(ours, api::sim_provider::Choice::Pay).unwrap();
    let shown = async || {
        let request = http
            .get(format!("{}/v1/payment-requests/{id}", ledger.base))
            .bearer_auth(&ledger.token);
        Answer::of(request.send().await.unwrap()).await.json()
    };
    let until = async |what: &str, seen: &dyn Fn(&Value) -> bool| {
        for _ in 0..1500 {
            let shown = shown().await;
            if seen(&shown) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never {what}: {}", shown().await);
    };
    until("paid", &|shown| shown["status"] == "paid").await;
    bank.set_order_script(ours, script.parse().unwrap())
        .unwrap();
    let refund = json!({ "amount": amount(PART), "reason": "returned_goods" });
    post(&format!("/{id}/refunds"), "refund", refund)
        .await
        .expect(202);
    until("called", &|shown| {
        shown["refunds"][0]["state"] == "submitted"
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    serving.kill();
    let mut serving = ledger.start();
    ledger.is_up(&mut serving, &http).await;
    until("settled", &|shown| {
        shown["refunds"][0]["state"] == "settled"
    })
    .await;
    // Whatever the bank still had at hand from the process that died is done by now.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(minor(&shown().await, "returned"), PART.to_string());
    assert!(serving.terminate(), "{}", ledger.said());
    given_back(&bank, ours)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_bank_acts_money_goes_back_once_f6() {
    assert_eq!(killed_meanwhile("lose; slow 1500ms").await, [PART]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_bank_answers_money_goes_back_once_f6() {
    assert_eq!(killed_meanwhile("lose; refund slow 1500ms").await, [PART]);
}
