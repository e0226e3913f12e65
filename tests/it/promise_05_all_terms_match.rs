//! Promise 5: a valid signature is not enough. Amount, currency, merchant account, order identity
//! and live or test money must be those of our record; what differs is kept and shown to a person
//! as the table of cases says, and pays nothing.

use api::app::look_ups::LookedUp;
use harness::quiet_provider::signed_with;
use harness::shop::{CALLBACK, Case, PRICE, Shop, case};
use serde_json::{Value, json};

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// The provider, by a signed message.
    BySignedMessage,
    /// The provider, when the ledger asks.
    ByLookUp,
}

const WAYS: [Told; 2] = [Told::BySignedMessage, Told::ByLookUp];

/// One thing about a capture that is not as our record has it.
struct Wrong {
    what: &'static str,
    says: Value,
    case: Case,
    /// What is booked as unapplied, in minor units and currency.
    kept: Option<(&'static str, &'static str)>,
}

fn wrong(
    what: &'static str,
    says: Value,
    (kind, severity): (&str, &str),
    kept: Option<(&'static str, &'static str)>,
) -> Wrong {
    let money = kept.map(|(minor, currency)| format!("{minor} {currency}"));
    Wrong {
        what,
        says,
        case: case(kind, severity, money.as_deref()),
        kept,
    }
}

async fn says(shop: &Shop, told: Told, id: &str, our_reference: &str, statement: &Value) {
    match told {
        Told::BySignedMessage => {
            shop.tell(statement).await;
        }
        Told::ByLookUp => {
            shop.provider.says(our_reference, statement);
            let answer = shop.ask(id).await;
            assert!(matches!(answer, LookedUp::Answered(_)), "{answer:?}");
        }
    }
}

/// Lets the provider say each of them, both ways, and looks what became of it.
async fn each_is_kept_and_pays_nothing(shop: &Shop, all: &[Wrong]) {
    for told in WAYS {
        for wrong in all {
            let what = format!("{} {told:?}", wrong.what);
            let order = what.replace(' ', "-");
            let (id, our_reference) = shop.waiting_for_payer(&order).await;
            let transaction = json!({ "transaction": format!("tx-{order}") });
            let mut statement = shop.statement_with("captured", &our_reference, transaction);
            let other = wrong.says.as_object().unwrap().clone();
            statement.as_object_mut().unwrap().extend(other);
            says(shop, told, &id, &our_reference, &statement).await;

            let shown = shop.shown(&id).await;
            assert_eq!(shown["status"], "pending", "{what}: {shown}");
            assert_eq!(shown["applied"]["minor"], "0", "{what}");
            assert_eq!(shown["in_review"], true, "{what}");
            let kept: Vec<(&str, &str)> = shown["unapplied"]
                .as_array()
                .unwrap()
                .iter()
                .map(|sum| {
                    (
                        sum["minor"].as_str().unwrap(),
                        sum["currency"].as_str().unwrap(),
                    )
                })
                .collect();
            assert_eq!(kept, Vec::from_iter(wrong.kept), "{what}");
            let cases = shop.cases(Some(&id)).await;
            assert_eq!(cases, std::slice::from_ref(&wrong.case), "{what}");
            assert_eq!(shop.events(&id, "PaymentVerified").await, 0, "{what}");
            let captures = shop.events(&id, "PaymentCaptured").await;
            assert_eq!(captures, usize::from(wrong.kept.is_some()), "{what}");

            // It was the terms: with each of them right, other money pays.
            let transaction = json!({ "transaction": format!("right-{order}") });
            let right = shop.statement_with("captured", &our_reference, transaction);
            says(shop, told, &id, &our_reference, &right).await;
            let paid = shop.shown(&id).await;
            assert_eq!(paid["status"], "paid", "{what}: {paid}");
            assert_eq!(paid["applied"]["minor"], PRICE.to_string(), "{what}");
            assert_eq!(paid["unapplied"], shown["unapplied"], "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_amount_or_currency_or_account_is_kept_unapplied_and_pays_nothing() {
    let shop = Shop::open().await;
    let all = [
        wrong(
            "one less",
            json!({ "amount": "149999" }),
            ("underpaid", "high"),
            Some(("149999", "AMD")),
        ),
        wrong(
            "a tenth",
            json!({ "amount": "15000" }),
            ("underpaid", "high"),
            Some(("15000", "AMD")),
        ),
        wrong(
            "dollars",
            json!({ "currency": "USD" }),
            ("currency_mismatch", "high"),
            Some(("150000", "USD")),
        ),
        wrong(
            "as many yen",
            json!({ "currency": "JPY", "amount": "1500" }),
            ("currency_mismatch", "high"),
            Some(("1500", "JPY")),
        ),
        wrong(
            "another account",
            json!({ "payee": "acc-other" }),
            ("account_mismatch", "critical"),
            Some(("150000", "AMD")),
        ),
        wrong(
            "our account in capitals",
            json!({ "payee": "ACC-SHOP" }),
            ("account_mismatch", "critical"),
            Some(("150000", "AMD")),
        ),
    ];
    each_is_kept_and_pays_nothing(&shop, &all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_order_or_another_mode_is_not_our_money_and_goes_to_a_person() {
    let shop = Shop::open().await;
    let all = [
        wrong(
            "another order",
            json!({ "order": "qo_another" }),
            ("identity_mismatch", "critical"),
            None,
        ),
        wrong(
            "live money",
            json!({ "mode": "live" }),
            ("mode_mismatch", "medium"),
            None,
        ),
    ];
    each_is_kept_and_pays_nothing(&shop, &all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_another_reference_pays_neither_order() {
    let shop = Shop::open().await;
    let (asked, asked_reference) = shop.waiting_for_payer("asked").await;
    let (other, other_reference) = shop.waiting_for_payer("other").await;
    // The provider is asked about one order and answers with the payment of another one.
    let of_other = shop.statement("captured", &other_reference);
    shop.provider.says(&asked_reference, &of_other);
    shop.ask(&asked).await;
    let expected = [case("identity_mismatch", "critical", None)];
    assert_eq!(shop.cases(Some(&asked)).await, expected);
    for id in [&asked, &other] {
        let shown = shop.shown(id).await;
        assert_eq!(shown["status"], "pending");
        assert_eq!(shown["unapplied"], json!([]));
    }
    // A message that mixes the names of the two pays neither.
    for (name, of) in [("order", &asked), ("our_reference", &other)] {
        let mut mixed = shop.statement("captured", &asked_reference);
        mixed[name] = of_other[name].clone();
        shop.tell(&mixed).await;
        assert_eq!(shop.shown(of).await["status"], "pending", "{name}");
        assert_eq!(shop.cases(Some(of)).await.last(), expected.last(), "{name}");
    }
    assert_eq!(shop.log().await.of_type("PaymentCaptured").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_was_never_started_pays_nothing() {
    let shop = Shop::open().await;
    let (id, our_reference) = shop.waiting_for_payer("foreign").await;
    let second = format!("{id}-2");
    assert_ne!(our_reference, second);
    let statement = shop.statement("captured", &second);
    assert_eq!(shop.tell(&statement).await, "refused");
    let shown = shop.shown(&id).await;
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["unapplied"], json!([]));
    let cases = shop.cases(Some(&id)).await;
    assert_eq!(cases, [case("foreign_attempt", "high", None)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn live_money_of_a_live_account_pays_no_test_order() {
    use domain::payment::evidence::Mode;

    let mut shop = Shop::open().await;
    let (id, our_reference) = shop.waiting_for_payer("made-for-test").await;
    shop.node
        .restart_with(|settings| settings.merchants[0].accounts[0].mode = Mode::Live)
        .await;
    for told in WAYS {
        let live = shop.statement_with("captured", &our_reference, json!({ "mode": "live" }));
        says(&shop, told, &id, &our_reference, &live).await;
        let shown = shop.shown(&id).await;
        assert_eq!(shown["status"], "pending", "{told:?}");
        assert_eq!(shown["unapplied"], json!([]), "{told:?}");
        let cases = shop.cases(Some(&id)).await;
        assert_eq!(cases, [case("mode_mismatch", "medium", None)], "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_merchants_account_pays_no_order_of_ours_and_tells_us_nothing() {
    let shop = Shop::open().await;
    let (id, our_reference) = shop.waiting_for_payer("ours").await;
    // A message that is authentic for the account of the other merchant and names our order.
    let statement =
        shop.statement_with("captured", &our_reference, json!({ "payee": "acc-other" }));
    shop.provider.says(&our_reference, &statement);
    let before = shop.shown(&id).await;
    let callback = "/v1/callbacks/sim/sim-other";
    assert_eq!(shop.send_to(callback, &shop.signed(&statement)).await, 200);
    let theirs = shop
        .eventually("a case of the other merchant", async || {
            let list = shop.review_list("other-operator").await;
            list.into_iter().next()
        })
        .await;
    assert_eq!(theirs["kind"], "tenant_mismatch");
    assert_eq!(theirs["severity"], "critical");
    assert_eq!(theirs["money"]["minor"], PRICE.to_string());
    assert_eq!(theirs["payment_request_id"], Value::Null);
    assert_eq!(shop.review_list("operator").await, [] as [Value; 0]);
    assert_eq!(shop.shown(&id).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_for_one_account_is_none_for_another() {
    const THEIRS: &str = "whsec_YW5vdGhlciBzZWNyZXQgb2YgYW5vdGhlciBzaG9wIQ==";
    let shop = Shop::open().await;
    shop.node
        .admin(api::admin::AdminCommand::SecretSet {
            merchant: domain::ids::MerchantId::parse("other").unwrap(),
            purpose: "provider-inbound:sim-other".to_owned(),
            key_id: domain::ids::KeyId::parse("in-2").unwrap(),
            value: THEIRS.to_owned(),
            retire_others_in_s: Some(0),
        })
        .await;
    let (id, our_reference) = shop.waiting_for_payer("ours").await;
    let ours = shop.signed(&shop.statement("captured", &our_reference));
    let theirs = {
        let body: Value = serde_json::from_str(&ours.body).unwrap();
        signed_with(THEIRS, "msg_theirs", ours.seconds, &body)
    };
    // Each is good at its own account's callback and nowhere else.
    assert_eq!(shop.send_to(CALLBACK, &theirs).await, 401);
    let callback = "/v1/callbacks/sim/sim-other";
    assert_eq!(shop.send_to(callback, &ours).await, 401);
    assert_eq!(shop.log().await.of_type("NotificationReceived").count(), 0);
    assert_eq!(shop.shown(&id).await["status"], "pending");
    assert_eq!(shop.send_to(CALLBACK, &ours).await, 200);
    shop.paid(&id).await;
}
