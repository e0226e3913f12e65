//! Money that goes back: once per id, as the script of its order says, and told like any other.

use domain::ids::RefundId;
use domain::ports::{RefundApi, RefundOrder, RefundOutcome};

use super::*;

fn refund(letter: char, transaction: &str, minor: i64) -> RefundOrder {
    RefundOrder {
        refund: RefundId::parse(format!("rf_{}", letter.to_string().repeat(26))).unwrap(),
        transaction: ProviderRef::parse(transaction).unwrap(),
        amount: Money::new(minor, Currency::from_code("AMD").unwrap()).unwrap(),
        our_reference: None,
        reversal: None,
    }
}

/// A bank with one order that is paid and then behaves by `script`: the bank's transaction.
async fn paid(world: &World, script: &str) -> String {
    world.register("pr_x-1").await;
    let order = world.bank.choose("pr_x-1", Choice::Pay).unwrap();
    world
        .bank
        .set_order_script("pr_x-1", script.parse().unwrap())
        .unwrap();
    order.captures[0].transaction.to_string()
}

/// Kinds of what the bank states, or the word of what it says instead.
fn word(outcome: &RefundOutcome) -> String {
    match outcome {
        RefundOutcome::Known { facts, .. } => {
            let kinds: Vec<_> = facts.iter().map(|fact| fact.kind.as_str()).collect();
            format!("known {}", kinds.join(","))
        }
        RefundOutcome::Declined { provider_status } => format!("declined {provider_status}"),
        RefundOutcome::NotFound => "not found".to_owned(),
        RefundOutcome::Unknown { why, .. } => format!("unknown {why}"),
    }
}

fn given_back(world: &World) -> Vec<i64> {
    let order = world.bank.order("pr_x-1").unwrap();
    order
        .given_back()
        .iter()
        .map(|money| money.minor())
        .collect()
}

#[tokio::test]
async fn one_id_is_one_refund_and_never_more_than_was_taken() {
    let world = World::new("lose");
    let money = paid(&world, "lose").await;
    let first = refund('a', &money, 100_000);
    assert_eq!(word(&world.api.look_up_refund(&first).await), "not found");
    for _ in 0..3 {
        assert_eq!(word(&world.api.refund(&first).await), "known refunded");
    }
    let RefundOutcome::Known { reversal, .. } = world.api.look_up_refund(&first).await else {
        panic!("it has it")
    };
    assert_eq!(reversal.as_str(), first.refund.as_str());
    let other_terms = refund('a', &money, 1);
    assert_eq!(
        word(&world.api.refund(&other_terms).await),
        "unknown http_409"
    );
    let over = refund('b', &money, 50_001);
    assert_eq!(word(&world.api.refund(&over).await), "declined over_refund");
    let elsewhere = refund('b', "st_nobodys", 1);
    assert_eq!(
        word(&world.api.refund(&elsewhere).await),
        "declined unknown_order"
    );
    assert_eq!(
        word(&world.api.refund(&refund('b', &money, 50_000)).await),
        "known refunded"
    );
    assert_eq!(given_back(&world), [100_000, 50_000]);
    // The order's own look-up tells of both as well.
    let stated: Vec<_> = world
        .truth("pr_x-1")
        .await
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(stated, ["captured", "refunded", "refunded"]);
}

#[tokio::test]
async fn a_lost_answer_and_a_lost_call_look_the_same_from_outside() {
    for (script, later, given) in [
        ("lose; refund lost", "known refunded", vec![100]),
        ("lose; refund down", "not found", vec![]),
    ] {
        let world = World::new("lose");
        let money = paid(&world, script).await;
        let order = refund('a', &money, 100);
        let told = word(&world.api.refund(&order).await);
        assert!(told.starts_with("unknown http_50"), "{told}");
        assert_eq!(
            word(&world.api.look_up_refund(&order).await),
            later,
            "{script}"
        );
        assert_eq!(given_back(&world), given, "{script}");
    }
}

#[tokio::test]
async fn a_refund_may_be_declined_or_end_later_and_is_told() {
    let world = World::new("lose");
    let money = paid(&world, "refund declined").await;
    let order = refund('a', &money, 100);
    assert_eq!(word(&world.api.refund(&order).await), "declined declined");
    assert_eq!(word(&world.api.look_up_refund(&order).await), "not found");
    for (letter, script, end, given) in [
        ('b', "refund after 2s", "refunded", vec![100]),
        ('c', "refund fails after 2s", "refund_failed", vec![100]),
    ] {
        world
            .bank
            .set_order_script("pr_x-1", script.parse().unwrap())
            .unwrap();
        let order = refund(letter, &money, 100);
        assert_eq!(word(&world.api.refund(&order).await), "known ");
        assert_eq!(word(&world.api.look_up_refund(&order).await), "known ");
        let before = world.told.seen().len();
        let told = world.messages(before + 1).await.pop().unwrap();
        assert_eq!((told.status.as_str(), &told.checked), (end, &Ok(())));
        let known = format!("known {end}");
        assert_eq!(word(&world.api.look_up_refund(&order).await), known);
        assert_eq!(given_back(&world), given);
    }
    // What failed is free again.
    let rest = refund('d', &money, 149_900);
    world
        .bank
        .set_order_script("pr_x-1", Script::default())
        .unwrap();
    assert_eq!(word(&world.api.refund(&rest).await), "known refunded");
}

#[tokio::test]
async fn nobody_without_the_key_gives_money_back() {
    let world = World::new("lose");
    let money = paid(&world, "lose").await;
    let body =
        format!(r#"{{"refund":"rf_x","transaction":"{money}","amount":"1","currency":"AMD"}}"#);
    let json = [("content-type", "application/json")];
    assert_eq!(
        world.call("POST", "/refunds", &json, &body).await.status,
        401
    );
    assert_eq!(
        world.call("GET", "/refunds/rf_x", &[], "").await.status,
        401
    );
    assert_eq!(given_back(&world), Vec::<i64>::new());
}
