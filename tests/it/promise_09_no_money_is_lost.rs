//! Promise 9: money that arrives after expiry, after a cancel, twice, too little, too much or for an
//! unknown order is recorded, booked as unapplied and shown to a person, and never silently pays an
//! order. Before a request expires, the provider's real status is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use api::app::look_ups::LookedUp;
use harness::shop::{PRICE, Shop, case};
use serde_json::{Value, json};

/// Minor units and currency of every sum in a list.
fn sums(list: &Value) -> Vec<(i64, String)> {
    let sum = |sum: &Value| {
        let minor = sum["minor"].as_str().unwrap().parse().unwrap();
        (minor, sum["currency"].as_str().unwrap().to_owned())
    };
    list.as_array().unwrap().iter().map(sum).collect()
}

fn drams(minor: i64) -> Vec<(i64, String)> {
    vec![(minor, "AMD".to_owned())]
}

/// The request, once it holds unapplied money.
async fn holding(shop: &Shop, id: &str) -> Value {
    shop.eventually("unapplied money", async || {
        let shown = shop.shown(id).await;
        (shown["unapplied"] != json!([])).then_some(shown)
    })
    .await
}

/// All of it is kept, nothing of it pays, and one case holds it.
async fn assert_kept(
    shop: &Shop,
    id: &str,
    status: &str,
    minor: i64,
    (kind, severity): (&str, &str),
) {
    let shown = holding(shop, id).await;
    assert_eq!(shown["status"], status, "{shown}");
    assert_eq!(sums(&shown["unapplied"]), drams(minor));
    assert_eq!(shown["applied"]["minor"], "0");
    assert_eq!(shown["in_review"], true);
    assert_eq!(shown["bot_status"], "in_review");
    let money = format!("{minor} AMD");
    let expected = [case(kind, severity, Some(&money))];
    assert_eq!(shop.cases(Some(id)).await, expected);
    assert_eq!(shop.events(id, "PaymentVerified").await, 0);
}

/// A request that lives for five seconds, expired unpaid.
async fn expired(shop: &Shop, order: &str) -> (String, String) {
    let (id, reference) = shop.waiting_with(order, json!({ "expires_in_s": 5 })).await;
    shop.node.leap(Duration::from_secs(6)).await;
    shop.has_status(&id, "expired").await;
    (id, reference)
}

#[tokio::test(flavor = "multi_thread")]
async fn money_after_expiry_is_kept_and_shown() {
    let shop = Shop::open().await;
    let (id, reference) = expired(&shop, "late").await;
    let late = shop.statement("captured", &reference);
    shop.provider.says(&reference, &late);
    // A message alone is a reason to ask; the answer is what is booked.
    assert_eq!(shop.tell(&late).await, "look_up");
    assert_kept(&shop, &id, "expired", PRICE, ("late_payment", "high")).await;
    // Told again it is the same money.
    assert_eq!(shop.tell(&late).await, "duplicate");
    assert_kept(&shop, &id, "expired", PRICE, ("late_payment", "high")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_that_the_provider_does_not_confirm_is_not_booked() {
    let shop = Shop::open().await;
    let (id, reference) = expired(&shop, "claimed").await;
    let before = shop.provider.asked(&reference);
    let claimed = shop.statement("captured", &reference);
    assert_eq!(shop.tell(&claimed).await, "look_up");
    shop.eventually("a question", async || {
        (shop.provider.asked(&reference) > before).then_some(())
    })
    .await;
    assert_eq!(
        shop.ask(&id).await,
        LookedUp::Answered(domain::payment::Outcome::Stale)
    );
    assert_eq!(shop.shown(&id).await["unapplied"], json!([]));
    assert_eq!(shop.events(&id, "PaymentCaptured").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_in_time_that_is_told_after_expiry_is_kept_and_shown() {
    let shop = Shop::open().await;
    let (id, reference) = shop
        .waiting_with("in-time", json!({ "expires_in_s": 5 }))
        .await;
    let in_time = shop.statement("captured", &reference);
    shop.node.leap(Duration::from_secs(6)).await;
    shop.has_status(&id, "expired").await;
    shop.provider.says(&reference, &in_time);
    shop.tell(&in_time).await;
    let how = ("late_notification", "medium");
    assert_kept(&shop, &id, "expired", PRICE, how).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_after_a_cancel_and_on_a_replaced_link_is_kept_and_shown() {
    let shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer("called-off").await;
    shop.command(&id, "cancel", &json!({})).await.expect(200);
    let late = shop.statement("captured", &reference);
    shop.provider.says(&reference, &late);
    assert_eq!(shop.tell(&late).await, "look_up");
    let how = ("paid_after_cancel", "high");
    assert_kept(&shop, &id, "cancelled", PRICE, how).await;

    let (old, old_reference) = shop.waiting_for_payer("replaced").await;
    let supersede = json!({ "supersede": true });
    let (new, _) = shop.waiting_with("replaced", supersede).await;
    let late = shop.statement("captured", &old_reference);
    shop.provider.says(&old_reference, &late);
    assert_eq!(shop.tell(&late).await, "look_up");
    let how = ("paid_superseded", "high");
    assert_kept(&shop, &old, "cancelled", PRICE, how).await;
    // It is for the same order, and still a person's to decide.
    let shown = shop.shown(&new).await;
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["applied"]["minor"], "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_is_kept_and_small_payments_do_not_add_up() {
    let shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer("little").await;
    let half = |transaction: &str| {
        let says = json!({ "amount": "75000", "transaction": transaction });
        shop.statement_with("captured", &reference, says)
    };
    assert_eq!(shop.tell(&half("half-1")).await, "applied");
    assert_kept(&shop, &id, "pending", 75_000, ("underpaid", "high")).await;
    assert_eq!(shop.tell(&half("half-2")).await, "applied");
    let shown = shop.shown(&id).await;
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["applied"]["minor"], "0");
    assert_eq!(sums(&shown["unapplied"]), drams(PRICE));
    let underpaid = case("underpaid", "high", Some("75000 AMD"));
    let expected = [underpaid.clone(), underpaid];
    assert_eq!(shop.cases(Some(&id)).await, expected);
    assert_eq!(shop.events(&id, "PaymentVerified").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_pays_exactly_what_is_due_and_the_rest_is_shown() {
    let shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer("much").await;
    let much = shop.statement_with("captured", &reference, json!({ "amount": "150001" }));
    assert_eq!(shop.tell(&much).await, "applied");
    let shown = shop.shown(&id).await;
    assert_eq!(shown["status"], "paid");
    assert_eq!(shown["applied"]["minor"], PRICE.to_string());
    assert_eq!(sums(&shown["unapplied"]), drams(1));
    assert_eq!(shown["in_review"], true);
    let cases = shop.cases(Some(&id)).await;
    assert_eq!(cases, [case("overpaid", "medium", Some("150001 AMD"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_payment_is_kept_beside_the_first() {
    let shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer("twice").await;
    assert_eq!(
        shop.tell(&shop.statement("captured", &reference)).await,
        "applied"
    );
    let first = shop.shown(&id).await;
    let again = shop.statement_with("captured", &reference, json!({ "transaction": "tx-2" }));
    assert_eq!(shop.tell(&again).await, "applied");
    let shown = shop.shown(&id).await;
    for part in ["status", "applied", "verification"] {
        assert_eq!(shown[part], first[part], "{part}");
    }
    assert_eq!(sums(&shown["unapplied"]), drams(PRICE));
    let cases = shop.cases(Some(&id)).await;
    let expected = [case("duplicate_payment", "high", Some("150000 AMD"))];
    assert_eq!(cases, expected);
    assert_eq!(shop.events(&id, "PaymentVerified").await, 1);
}

/// A reference of no request here.
fn nobody(letter: &str) -> String {
    format!("pr_{}-1", letter.repeat(26))
}

#[tokio::test(flavor = "multi_thread")]
async fn money_for_an_unknown_order_waits_then_is_kept_and_never_matched_by_amount() {
    let shop = Shop::open().await;
    // An order of the same amount waits for its payer all the time.
    let (id, _) = shop.waiting_for_payer("same-amount").await;
    let reference = nobody("b");
    let orphan = shop.statement("captured", &reference);
    shop.provider.says(&reference, &orphan);
    assert_eq!(shop.tell(&orphan).await, "parked");
    assert_eq!(shop.cases(None).await, []);
    shop.node.leap(Duration::from_secs(15 * 60 + 1)).await;
    let cases = shop
        .eventually("a case", async || {
            let cases = shop.cases(None).await;
            (!cases.is_empty()).then_some(cases)
        })
        .await;
    let expected = [case("orphan_payment", "high", Some("150000 AMD"))];
    assert_eq!(cases, expected);
    assert_eq!(shop.shown(&id).await["status"], "pending");
    assert_eq!(shop.log().await.of_type("PaymentCaptured").count(), 0);
    let settled = async |messages: usize| {
        shop.eventually("a look at it", async || {
            let log = shop.log().await;
            let unmatched =
                |envelope: &&domain::record::Envelope| envelope.data["outcome"] == "unmatched";
            let looked_at = log.of_type("NotificationApplied").filter(unmatched);
            (looked_at.count() == messages).then_some(())
        })
        .await;
    };
    settled(1).await;
    // Told once more, in another message, it is the same money.
    let again = shop.signed(&orphan);
    assert_eq!(shop.send_and_settle(&again).await, "parked");
    shop.node.leap(Duration::from_secs(15 * 60 + 1)).await;
    settled(2).await;
    assert_eq!(shop.cases(None).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_whose_reference_was_mangled_is_asked_about_by_the_providers_own_order() {
    let shop = Shop::open().await;
    let (reference, mangled) = (nobody("c"), "pr_cccc".to_owned());
    let captured = shop.statement("captured", &reference);
    let mut told = captured.clone();
    told["our_reference"] = json!(mangled);
    shop.provider.says(&reference, &captured);
    shop.provider.does_not_know(&mangled);
    assert_eq!(shop.tell(&told).await, "parked");
    shop.node.leap(Duration::from_secs(15 * 60 + 1)).await;
    let cases = shop
        .eventually("a case", async || {
            let cases = shop.cases(None).await;
            (!cases.is_empty()).then_some(cases)
        })
        .await;
    let expected = [case("orphan_payment", "high", Some("150000 AMD"))];
    assert_eq!(cases, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_is_asked_before_a_request_expires() {
    let shop = Shop::open().await;
    let five_s = json!({ "expires_in_s": 5 });
    let (paid, its_reference) = shop.waiting_with("paid", five_s.clone()).await;
    let (unpaid, reference) = shop.waiting_with("unpaid", five_s).await;
    // The payer paid in time, and no message ever came.
    let captured = shop.statement("captured", &its_reference);
    shop.provider.says(&its_reference, &captured);
    assert_eq!(shop.provider.asked(&its_reference), 0);
    assert_eq!(shop.provider.asked(&reference), 0);
    shop.node.leap(Duration::from_secs(6)).await;
    shop.has_status(&unpaid, "expired").await;
    assert!(shop.provider.asked(&reference) > 0);
    let shown = shop.paid(&paid).await;
    assert_eq!(shown["verification"]["method"], "status_lookup");
    assert_eq!(shown["verification"]["late"], false);
    assert_eq!(shown["unapplied"], json!([]));
    assert_eq!(shop.events(&paid, "PaymentRequestExpired").await, 0);
    assert_eq!(shop.cases(Some(&paid)).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_say_keeps_the_request_open_until_it_can() {
    let shop = Shop::open().await;
    let (id, reference) = shop
        .waiting_with("away", json!({ "expires_in_s": 5 }))
        .await;
    let captured = shop.statement("captured", &reference);
    shop.provider.says(&reference, &captured);
    shop.provider.is_away(true);
    shop.node.leap(Duration::from_secs(6)).await;
    shop.eventually("a postponed expiry", async || {
        let postponed = shop.events(&id, "ExpiryDeferred").await;
        (postponed > 0).then_some(())
    })
    .await;
    assert!(shop.provider.asked(&reference) > 0);
    assert_eq!(shop.events(&id, "PaymentRequestExpired").await, 0);
    shop.provider.is_away(false);
    shop.node.leap(Duration::from_secs(5 * 60 + 1)).await;
    let shown = shop.paid(&id).await;
    assert_eq!(shown["applied"]["minor"], PRICE.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_is_asked_before_a_cancel() {
    let shop = Shop::open().await;
    let (id, reference) = shop.waiting_for_payer("paid-meanwhile").await;
    let captured = shop.statement("captured", &reference);
    shop.provider.says(&reference, &captured);
    let answer = shop.command(&id, "cancel", &json!({})).await.expect(409);
    assert_eq!(answer.code(), "already_paid");
    assert_eq!(shop.shown(&id).await["status"], "paid");
}

/// What a provider says that it took, by currency.
fn total(statements: &[Value]) -> BTreeMap<String, i64> {
    let mut total = BTreeMap::new();
    for (minor, currency) in sums(&json!(statements.iter().map(as_sum).collect::<Vec<_>>())) {
        *total.entry(currency).or_default() += minor;
    }
    total
}

fn as_sum(statement: &Value) -> Value {
    json!({ "minor": statement["amount"], "currency": statement["currency"] })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_views_hold_is_what_the_provider_took_to_the_last_unit() {
    let shop = Shop::open().await;
    let mut taken = vec![];
    // Who pays well, twice, too little, too much, or in another currency.
    for (number, payments) in [
        vec![json!({})],
        vec![json!({}), json!({})],
        vec![json!({ "amount": "149999" })],
        vec![json!({ "amount": "150001" })],
        vec![
            json!({ "amount": "1" }),
            json!({}),
            json!({ "amount": "7" }),
        ],
        vec![
            json!({ "currency": "USD" }),
            json!({ "amount": "99", "currency": "EUR" }),
        ],
        vec![json!({ "payee": "acc-other", "amount": "31" })],
    ]
    .into_iter()
    .enumerate()
    {
        let (_, reference) = shop.waiting_for_payer(&format!("sum-{number}")).await;
        for (part, mut payment) in payments.into_iter().enumerate() {
            payment["transaction"] = json!(format!("tx-{number}-{part}"));
            let statement = shop.statement_with("captured", &reference, payment);
            assert_eq!(shop.tell(&statement).await, "applied");
            taken.push(statement);
        }
    }
    // Who pays when it is over.
    let (cancelled, reference) = shop.waiting_for_payer("sum-cancelled").await;
    shop.command(&cancelled, "cancel", &json!({}))
        .await
        .expect(200);
    let late = shop.statement_with("captured", &reference, json!({ "amount": "150003" }));
    shop.provider.says(&reference, &late);
    shop.tell(&late).await;
    holding(&shop, &cancelled).await;
    taken.push(late);
    let (over, reference) = expired(&shop, "sum-expired").await;
    let late = shop.statement_with("captured", &reference, json!({ "amount": "150005" }));
    shop.provider.says(&reference, &late);
    shop.tell(&late).await;
    holding(&shop, &over).await;
    taken.push(late);
    // Who pays an order that nobody knows.
    let reference = nobody("d");
    let orphan = shop.statement_with("captured", &reference, json!({ "amount": "150011" }));
    shop.provider.says(&reference, &orphan);
    assert_eq!(shop.tell(&orphan).await, "parked");
    taken.push(orphan);
    shop.node.leap(Duration::from_secs(15 * 60 + 1)).await;
    shop.eventually("the orphan", async || {
        (!shop.cases(None).await.is_empty()).then_some(())
    })
    .await;

    let mut held: BTreeMap<String, i64> = BTreeMap::new();
    let mut unapplied = 0;
    for row in shop.listed().await {
        let mut all = sums(&row["unapplied"]);
        unapplied += all.len();
        assert_eq!(row["in_review"], json!(!all.is_empty()), "{row}");
        all.extend(sums(&json!([row["applied"]])));
        for (minor, currency) in all {
            *held.entry(currency).or_default() += minor;
        }
        let whole = row["applied"]["minor"] == *PRICE.to_string();
        assert_eq!(row["status"] == "paid", whole, "{row}");
    }
    assert!(unapplied >= 7, "{unapplied}");
    let cases = shop.review_list("operator").await;
    for orphan in cases.iter().filter(|case| case["kind"] == "orphan_payment") {
        for (minor, currency) in sums(&json!([orphan["money"]])) {
            *held.entry(currency).or_default() += minor;
        }
    }
    assert_eq!(held, total(&taken));
    // Each movement of money that is not wholly applied has its own case.
    let mut about: Vec<&str> = cases
        .iter()
        .map(|case| case["about"].as_str().unwrap())
        .collect();
    about.sort_unstable();
    about.dedup();
    assert_eq!(about.len(), cases.len());
    assert_eq!(cases.len(), 11);
}

/// A shop whose scenarios let money in time pay after expiry.
async fn accepting_shop() -> Shop {
    Shop::open_with(|settings| {
        for scenario in settings
            .merchants
            .iter_mut()
            .flat_map(|merchant| &mut merchant.scenarios)
        {
            scenario.auto_accept_on_time = true;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scenario_may_let_money_in_time_pay_after_expiry() {
    let shop = accepting_shop().await;
    let (id, reference) = shop
        .waiting_with("in-time", json!({ "expires_in_s": 5 }))
        .await;
    let in_time = shop.statement("captured", &reference);
    shop.node.leap(Duration::from_secs(6)).await;
    shop.has_status(&id, "expired").await;
    shop.provider.says(&reference, &in_time);
    shop.tell(&in_time).await;
    shop.paid(&id).await;
    let again = json!({
        "order_id": "in-time", "scenario": "web",
        "amount": { "minor": PRICE.to_string(), "currency": "AMD" },
    });
    let refused = shop
        .node
        .post("backend", "/v1/payment-requests", "again", &again)
        .await;
    assert_eq!(refused.expect(409).code(), "already_paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn money_in_time_pays_nothing_while_another_request_stands_for_the_order() {
    let shop = accepting_shop().await;
    let (id, reference) = shop
        .waiting_with("again", json!({ "expires_in_s": 5 }))
        .await;
    let in_time = shop.statement("captured", &reference);
    shop.node.leap(Duration::from_secs(6)).await;
    shop.has_status(&id, "expired").await;
    let (second, _) = shop.waiting_for_payer("again").await;
    shop.provider.says(&reference, &in_time);
    shop.tell(&in_time).await;
    shop.eventually("money that waits", async || {
        (shop.shown(&id).await["unapplied"] != json!([])).then_some(())
    })
    .await;
    assert_eq!(shop.shown(&id).await["status"], "expired");
    assert_eq!(shop.shown(&second).await["status"], "pending");
    assert_eq!(shop.events(&id, "PaymentVerified").await, 0);
}
