//! The six orders.

use std::time::Duration;

use serde_json::{Value, json};

use super::Teller;
use super::world::{DemoError, World, broken};
use crate::sim_provider::{Choice, Script};

/// A picture of one pixel: what a payer might call a receipt.
const SCREENSHOT: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A request with an attempt at the bank.
struct Payable {
    id: String,
    reference: String,
}

impl Payable {
    fn path(&self) -> String {
        format!("/v1/payment-requests/{}", self.id)
    }
}

pub(super) async fn play_all(world: &mut World, teller: &dyn Teller) -> Result<(), DemoError> {
    goes_well(world, teller).await?;
    screenshot(world, teller).await?;
    late_callback(world, teller).await?;
    duplicates(world, teller).await?;
    wrong_amount(world, teller).await?;
    pay_after_expiry(world, teller).await?;
    at_the_end(world, teller).await
}

/// The backend prices, the bot asks, the bank registers.
async fn payable(
    world: &mut World,
    teller: &dyn Teller,
    order: &str,
    script: &str,
    expires_in_s: u32,
) -> Result<Payable, DemoError> {
    let script: Script = script.parse().map_err(broken)?;
    world.bank.set_script(script);
    let amount = json!({ "minor": "150000", "currency": "AMD" });
    let quote = json!({ "order_id": order, "scenario": "telegram", "amount": amount, "customer_ref": "c-17" });
    let quote = world.backend("/v1/quotes", quote).await?;
    teller.line("backend", &format!("fixes 1500.00 AMD for order {order}"));
    let ask = json!({ "quote_id": quote["id"], "expires_in_s": expires_in_s });
    let request = world.bot_says("/v1/payment-requests", ask).await?;
    let id = request["id"].as_str().unwrap_or_default().to_owned();
    let attempt = world
        .bot_says(&format!("/v1/payment-requests/{id}/attempts"), json!({}))
        .await?;
    teller.line(
        "bot",
        &format!(
            "asks for it, gets {id} and the bank's page {}",
            shown(&attempt["pay_url"])
        ),
    );
    Ok(Payable {
        reference: format!("{id}-1"),
        id,
    })
}

fn shown(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

async fn until_status(world: &World, payable: &Payable, status: &str) -> Result<(), DemoError> {
    let path = payable.path();
    world
        .until(&format!("{} to be {status}", payable.id), async || {
            Ok(world.backend_sees(&path).await?["status"] == status)
        })
        .await
}

async fn until_heard(world: &World, payable: &Payable, event: &str) -> Result<(), DemoError> {
    world
        .until(&format!("both subscribers to hear {event}"), async || {
            Ok(verified(world, payable, event) == [1, 1])
        })
        .await
}

/// How many different deliveries of an event each subscriber heard about a request.
fn verified(world: &World, payable: &Payable, event: &str) -> [usize; 2] {
    [&world.crm, &world.bot].map(|receiver| {
        let heard = receiver.heard();
        let about = heard
            .iter()
            .filter(|heard| heard.subject == payable.id && heard.event_type.contains(event));
        about
            .map(|heard| heard.id.clone())
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    })
}

async fn until_case(world: &World, payable: &Payable, kinds: &[&str]) -> Result<Value, DemoError> {
    let found = std::cell::RefCell::new(Value::Null);
    world
        .until(&format!("a case {}", kinds.join(" or ")), async || {
            let list = world.desk_sees("/v1/exceptions?limit=100").await?;
            let cases = list["exceptions"].as_array().cloned().unwrap_or_default();
            let of_it = |case: &&Value| {
                case["payment_request_id"] == payable.id.as_str()
                    && kinds.contains(&shown(&case["kind"]))
            };
            *found.borrow_mut() = cases.iter().find(of_it).cloned().unwrap_or_default();
            Ok(!found.borrow().is_null())
        })
        .await?;
    Ok(found.into_inner())
}

async fn goes_well(world: &mut World, teller: &dyn Teller) -> Result<(), DemoError> {
    teller.chapter("Order 1001: all goes well");
    let forbidden = json!({ "order_id": "1001", "scenario": "telegram", "amount": { "minor": "100", "currency": "AMD" } });
    let (status, _) = world.bot_tries("/v1/payment-requests", forbidden).await?;
    teller.line(
        "bot",
        &format!("tries to set an amount itself: refused with {status}"),
    );
    world.check(teller, "a bot can never set an amount", status == 403);
    let order = payable(world, teller, "1001", "", 3600).await?;
    world
        .bank
        .choose(&order.reference, Choice::Pay)
        .map_err(broken)?;
    teller.line("payer", "pays on the bank's page");
    until_status(world, &order, "paid").await?;
    let seen = world.backend_sees(&order.path()).await?;
    teller.line(
        "ledger",
        &format!("paid, by {}", shown(&seen["verification"]["method"])),
    );
    until_heard(world, &order, "payment.verified").await?;
    teller.line("CRM, bot", "each hear payment_verified once, signed");
    let bot = world.bot_sees(&order.path()).await?;
    let hidden = bot.get("attempts").is_none() && bot.get("verification").is_none();
    world.check(
        teller,
        "a signed notification that carries all the terms pays the order",
        seen["status"] == "paid",
    );
    world.check(
        teller,
        "the bot sees the label and nothing of the provider",
        bot["status"] == "paid" && hidden,
    );
    Ok(())
}

async fn screenshot(world: &mut World, teller: &dyn Teller) -> Result<(), DemoError> {
    teller.chapter("Order 1002: a screenshot instead of money");
    let order = payable(world, teller, "1002", "leave", 3600).await?;
    let notice = json!({ "kind": "screenshot", "image_base64": SCREENSHOT });
    world
        .bot_says(&format!("{}/notices", order.path()), notice)
        .await?;
    teller.line("payer", "sends a screenshot of a receipt");
    teller.line("ledger", "keeps it sealed, and asks the bank");
    until_case(world, &order, &["payer_notice"]).await?;
    let seen = world.bot_sees(&order.path()).await?;
    teller.line("bank", "knows of no money");
    teller.line("bot", &format!("shows: {}", shown(&seen["status"])));
    world.check(
        teller,
        "a screenshot never pays",
        seen["status"] == "in_review",
    );
    world.check(
        teller,
        "nobody is told that it is paid",
        verified(world, &order, "payment.verified") == [0, 0],
    );
    Ok(())
}

async fn late_callback(world: &mut World, teller: &dyn Teller) -> Result<(), DemoError> {
    teller.chapter("Order 1003: a late callback says declined");
    let order = payable(
        world,
        teller,
        "1003",
        "pay; notify; notify status=declined after 400ms",
        3600,
    )
    .await?;
    teller.line("payer", "pays");
    until_status(world, &order, "paid").await?;
    teller.line("ledger", "paid");
    world.pass(Duration::from_millis(1500)).await;
    let seen = world.backend_sees(&order.path()).await?;
    teller.line("bank", "sends a late message: declined");
    teller.line(
        "ledger",
        &format!("asks the bank, and it stays {}", shown(&seen["status"])),
    );
    world.check(
        teller,
        "a late callback never takes paid back",
        seen["status"] == "paid",
    );
    Ok(())
}

async fn duplicates(world: &mut World, teller: &dyn Teller) -> Result<(), DemoError> {
    teller.chapter("Order 1004: the same callback four times");
    let order = payable(world, teller, "1004", "pay; notify; notify again x3", 3600).await?;
    teller.line("payer", "pays");
    until_status(world, &order, "paid").await?;
    until_heard(world, &order, "payment.verified").await?;
    world.pass(Duration::from_millis(1200)).await;
    teller.line("bank", "sends its message four times");
    let heard = verified(world, &order, "payment.verified");
    teller.line(
        "CRM, bot",
        &format!("hear payment_verified {} and {} times", heard[0], heard[1]),
    );
    world.check(
        teller,
        "repeats change nothing and are told once",
        heard == [1, 1],
    );
    Ok(())
}

async fn wrong_amount(world: &mut World, teller: &dyn Teller) -> Result<(), DemoError> {
    teller.chapter("Order 1005: 100.00 instead of 1500.00");
    let order = payable(world, teller, "1005", "pay amount=100.00", 3600).await?;
    teller.line("payer", "pays 100.00 AMD");
    let case = until_case(world, &order, &["underpaid"]).await?;
    let seen = world.backend_sees(&order.path()).await?;
    teller.line(
        "ledger",
        &format!(
            "records 100.00 AMD as unapplied; the order stays {}",
            shown(&seen["status"])
        ),
    );
    teller.line(
        "desk",
        &format!(
            "gets a case: {}, {}",
            shown(&case["kind"]),
            shown(&case["severity"])
        ),
    );
    let unapplied = seen["unapplied"][0]["minor"] == "10000";
    world.check(
        teller,
        "a valid signature is not enough: the amount must match",
        seen["status"] == "pending",
    );
    world.check(
        teller,
        "money that does not fit is recorded and never lost",
        unapplied,
    );
    Ok(())
}

async fn pay_after_expiry(world: &mut World, teller: &dyn Teller) -> Result<(), DemoError> {
    teller.chapter("Order 1006: paid after expiry");
    let order = payable(world, teller, "1006", "pay after 4s", 2).await?;
    until_status(world, &order, "expired").await?;
    teller.line(
        "ledger",
        "asks the bank, then expires the request after 2 s",
    );
    until_heard(world, &order, "payment_request.expired").await?;
    teller.line("CRM, bot", "hear payment_request_expired");
    teller.line("payer", "pays two seconds too late");
    let case = until_case(world, &order, &["late_payment", "late_notification"]).await?;
    let seen = world.backend_sees(&order.path()).await?;
    teller.line(
        "ledger",
        &format!(
            "looks it up and records it; the request stays {}",
            shown(&seen["status"])
        ),
    );
    teller.line("desk", &format!("gets a case: {}", shown(&case["kind"])));
    let kept = seen["unapplied"][0]["minor"] == "150000";
    world.check(
        teller,
        "late money is never lost and never pays silently",
        seen["status"] == "expired" && kept,
    );
    world.check(
        teller,
        "nobody is told that it is paid",
        verified(world, &order, "payment.verified") == [0, 0],
    );
    Ok(())
}

async fn at_the_end(world: &mut World, teller: &dyn Teller) -> Result<(), DemoError> {
    teller.chapter("At the end");
    let heard: Vec<_> = [world.crm.heard(), world.bot.heard()].concat();
    teller.line(
        "subscribers",
        &format!("heard {} requests in all", heard.len()),
    );
    world.check(
        teller,
        "every request to a subscriber was signed",
        heard.iter().all(|heard| heard.authentic),
    );
    let bank: i64 = 4 * 150_000 + 10_000;
    let list = world.backend_sees("/v1/payment-requests?limit=100").await?;
    let mut kept = 0;
    for request in list["payment_requests"].as_array().into_iter().flatten() {
        let minor = |value: &Value| shown(&value["minor"]).parse::<i64>().unwrap_or(0);
        kept += minor(&request["applied"])
            + request["unapplied"]
                .as_array()
                .into_iter()
                .flatten()
                .map(minor)
                .sum::<i64>();
    }
    teller.line(
        "ledger",
        &format!("holds {kept} minor units; the bank took {bank}"),
    );
    world.check(
        teller,
        "every minor unit is in exactly one place",
        kept == bank,
    );
    Ok(())
}
