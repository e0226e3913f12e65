//! Row E16: whoever makes a new request for an order is told what closed requests of that order still
//! hold, in the answer and in every repeat of it.

use api::app::context::Context;
use api::app::unapplied_funds::UnappliedFunds;
use domain::ids::{OperatorId, PaymentRequestId, ProposalId};
use domain::payment::event::{Grounds, Proposed};
use domain::payment::{Command, Label, Propose, Resolve};
use harness::money_world::MoneyWorld;
use harness::node::Answer;
use harness::shop::{PRICE, Shop};
use serde_json::{Value, json};

const REQUESTS: &str = "/v1/payment-requests";

async fn create(shop: &Shop, who: &str, key: &str) -> Answer {
    let items = json!([{ "item": "tea", "quantity": 1 }]);
    let body = json!({ "items": items, "order_id": "tea", "scenario": "telegram" });
    let created = shop.node.post(who, REQUESTS, key, &body).await;
    created.expect(201)
}

async fn cancel(shop: &Shop, created: &Answer) {
    let id = created.text_of("id");
    shop.command(&id, "cancel", &json!({})).await.expect(200);
}

fn holds((request, case): &(String, String)) -> Value {
    let amount = json!({ "minor": PRICE.to_string(), "currency": "AMD", "exponent": 2 });
    json!({ "payment_request_id": request, "exception_id": case, "amount": amount })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_request_says_what_closed_ones_of_the_order_hold_e16() {
    let shop = Shop::open().await;
    let first = shop.paid_after_cancel("tea").await;
    let second = shop.paid_after_cancel("tea").await;
    // Another order's money is none of this one's.
    shop.paid_after_cancel("coffee").await;
    let third = create(&shop, "backend", "k-3").await;
    let both = json!([holds(&second), holds(&first)]);
    assert_eq!(third.json()["unapplied_funds"], both);
    assert_eq!(third.json()["status"], "pending");

    let path = format!("/v1/exceptions/{}/resolve", second.1);
    let keep = json!({ "resolution": "keep_as_income", "reason": "agreed", "text": "a tip" });
    shop.node
        .post("operator", &path, "k", &keep)
        .await
        .expect(200);
    // The first answer again; and the news in the answer to the next one.
    let again = create(&shop, "backend", "k-3").await;
    assert_eq!(again.text, third.text);
    cancel(&shop, &third).await;
    let fourth = create(&shop, "backend", "k-4").await;
    assert_eq!(fourth.json()["unapplied_funds"], json!([holds(&first)]));
    // Reading it is another question.
    let path = format!("{REQUESTS}/{}", fourth.text_of("id"));
    let read = shop.node.get("backend", &path).await.expect(200);
    assert_eq!(read.json()["unapplied_funds"], Value::Null);
    cancel(&shop, &fourth).await;
    let of_bot = create(&shop, "bot", "k-5").await;
    assert!(!of_bot.text.contains("unapplied"), "{}", of_bot.text);
    shop.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_request_that_holds_money_is_told_to_who_replaces_it_e16() {
    let shop = Shop::open().await;
    let (old, reference) = shop.waiting_for_payer("halves").await;
    let half = shop.statement_with("captured", &reference, json!({ "amount": "75000" }));
    assert_eq!(shop.tell(&half).await, "applied");
    let body = json!({
        "order_id": "halves", "scenario": "web", "supersede": true,
        "amount": { "minor": PRICE.to_string(), "currency": "AMD" },
    });
    let created = shop
        .node
        .post("backend", REQUESTS, "k", &body)
        .await
        .expect(201)
        .json();
    let funds = created["unapplied_funds"].as_array().unwrap();
    assert_eq!(funds.len(), 1, "{created}");
    assert_eq!(funds[0]["payment_request_id"], old);
    assert_eq!(funds[0]["amount"]["minor"], "75000");
    shop.node.stop().await;
}

async fn funds(world: &MoneyWorld, id: &PaymentRequestId) -> Vec<UnappliedFunds> {
    let created = world.app.payers_request(id).await.unwrap();
    world.app.unapplied_funds(&created).await.unwrap()
}

/// The older request takes the order back when it is paid late, so the way to the younger one leads
/// through it.
#[tokio::test]
async fn a_late_payment_that_was_taken_back_hides_no_money_e16() {
    let world = MoneyWorld::new();
    let first = world.paid_after_cancel("o-1", "first").await;
    let second = world.paid_after_cancel("o-1", "second").await;
    let person = |name: &str| OperatorId::parse(name).unwrap();
    let proposal = ProposalId::parse(format!("ov_{}", "a".repeat(26))).unwrap();
    let case = world
        .request(&first)
        .await
        .cases()
        .keys()
        .next()
        .unwrap()
        .clone();
    let how = Resolve::Accept { with: vec![] };
    let propose = Propose {
        proposal: proposal.clone(),
        decision: Proposed::Revoke,
        by: person("op-1"),
        grounds: Grounds::None,
    };
    let by = person("op-2");
    for command in [
        Command::ResolveCase { case, how },
        Command::Propose(propose),
        Command::Approve { proposal, by },
    ] {
        let done = world
            .app
            .execute(&first, &Context::job("test"), &command)
            .await;
        done.unwrap();
    }
    assert_eq!(world.request(&first).await.label(), Label::Cancelled);
    let third = world.create("o-1", "third", false).await;
    let held: Vec<_> = funds(&world, &third)
        .await
        .into_iter()
        .map(|funds| funds.payment_request_id)
        .collect();
    assert_eq!(held, [first, second]);
}
