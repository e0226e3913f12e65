use domain::ids::{KeyId, RefundId};
use domain::money::Currency;
use domain::ports::{OutError, Secret};
use domain::time::Timestamp;
use serde_json::json;

use super::*;
use crate::http_out::ScriptedHttp;
use crate::keys::MemoryKeyring;
use crate::memory::{ManualClock, SeededEntropy};

type Answered = Result<OutAnswer, OutError>;

fn order(code: &str, minor: i64, reversal: Option<&str>) -> RefundOrder {
    let reference = |text: &str| ProviderRef::parse(text).unwrap();
    RefundOrder {
        refund: RefundId::parse(format!("rf_{}", "a".repeat(26))).unwrap(),
        transaction: reference("ch_1"),
        amount: Money::new(minor, Currency::from_code(code).unwrap()).unwrap(),
        our_reference: Some(reference("pr_x-1")),
        reversal: reversal.map(reference),
    }
}

async fn stripe(answer: Answered, key: bool) -> (StripeRefunds, Arc<ScriptedHttp>) {
    let keyring = Arc::new(MemoryKeyring::new(Arc::new(SeededEntropy::new(1, "s"))));
    let (merchant, account) = (
        MerchantId::parse("shop").unwrap(),
        AccountSlug::parse("acc").unwrap(),
    );
    if key {
        let secret = Secret {
            key_id: KeyId::parse("k1").unwrap(),
            value: b"sk_test".to_vec(),
            valid_from: Timestamp::from_seconds(0),
            valid_until: None,
        };
        let purpose = SecretPurpose::ProviderApi(account.to_string());
        keyring.set(&merchant, &purpose, secret).await.unwrap();
    }
    let http = Arc::new(ScriptedHttp::in_order([answer]));
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(0)));
    let out = Arc::clone(&http) as Arc<dyn HttpOut>;
    let api = StripeRefunds::new(URL, merchant, account, out, keyring, clock);
    (api, http)
}

fn says(status: u16, body: &Value) -> Answered {
    Ok(ScriptedHttp::json(status, body.to_string()))
}

fn refund(status: &str) -> Value {
    json!({
        "id": "re_1", "status": status, "created": 1_790_000_000,
        "metadata": { "refund_id": format!("rf_{}", "a".repeat(26)) },
        "charge": { "id": "ch_1", "amount_refunded": 500, "currency": "usd" },
    })
}

async fn called(answer: Answered) -> RefundOutcome {
    stripe(answer, true)
        .await
        .0
        .refund(&order("USD", 500, None))
        .await
}

fn kinds(outcome: &RefundOutcome) -> Vec<&'static str> {
    match outcome {
        RefundOutcome::Known { facts, .. } => facts.iter().map(|fact| fact.kind.as_str()).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_call_is_keyed_on_our_refund_id_and_names_the_charge() {
    let (api, http) = stripe(says(200, &refund("succeeded")), true).await;
    assert!(api.keyed() && api.can_look_up());
    let outcome = api.refund(&order("USD", 500, None)).await;
    let RefundOutcome::Known {
        reversal, facts, ..
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(reversal.as_str(), "re_1");
    assert_eq!(facts[0].transaction.as_ref().unwrap().as_str(), "ch_1");
    assert!(matches!(
        &facts[0].kind,
        FactKind::Refunded { amount: RefundAmount::Cumulative(sum), reversal: Some(id) }
            if sum.minor() == 500 && id.as_str() == "re_1"
    ));
    let sent = &http.seen()[0];
    assert_eq!(
        (sent.method, sent.url.as_str()),
        ("POST", "https://api.stripe.com/v1/refunds")
    );
    let key = (
        "idempotency-key".to_owned(),
        format!("rf_{}", "a".repeat(26)),
    );
    assert!(sent.headers.contains(&key), "{:?}", sent.headers);
    let body = String::from_utf8(sent.body.clone()).unwrap();
    assert!(body.starts_with("charge=ch_1&amount=500&"), "{body}");
}

#[tokio::test]
async fn only_a_clear_no_declines_a_refund_f5_f6() {
    let no = json!({ "error": { "type": "invalid_request_error", "code": "charge_disputed" } });
    for status in [400, 401, 402, 403, 404] {
        let outcome = called(says(status, &no)).await;
        assert_eq!(outcome, declined("charge_disputed"), "{status}");
    }
    for status in [408, 409, 425, 429, 500, 502, 503] {
        let outcome = called(says(status, &no)).await;
        assert!(matches!(outcome, RefundOutcome::Unknown { .. }), "{status}");
    }
    let key = json!({ "error": { "type": "idempotency_error" } });
    assert_eq!(called(says(400, &key)).await, unknown("idempotency_error"));
    assert_eq!(
        called(says(200, &json!({}))).await,
        unknown("not_understood")
    );
    for error in [OutError::Timeout, OutError::Connect, OutError::Broken] {
        assert_eq!(called(Err(error)).await, unknown(error.as_str()));
    }
    let (api, http) = stripe(says(200, &refund("succeeded")), false).await;
    let outcome = api.refund(&order("USD", 500, None)).await;
    assert_eq!(outcome, declined("no_api_key"));
    assert!(http.seen().is_empty());
}

#[tokio::test]
async fn what_is_under_way_states_nothing_and_what_failed_says_so() {
    for status in ["pending", "requires_action", "on_the_moon"] {
        assert!(kinds(&called(says(200, &refund(status))).await).is_empty());
    }
    for status in ["failed", "canceled"] {
        let outcome = called(says(200, &refund(status))).await;
        assert_eq!(kinds(&outcome), ["refund_failed"]);
    }
    let mut bare = refund("succeeded");
    bare["charge"] = json!("ch_1");
    assert!(
        kinds(&called(says(200, &bare)).await).is_empty(),
        "no total, no count"
    );
}

#[tokio::test]
async fn a_refund_is_found_by_its_name_or_by_ours_in_the_list() {
    let (api, http) = stripe(says(200, &refund("succeeded")), true).await;
    let outcome = api.look_up_refund(&order("USD", 500, Some("re_1"))).await;
    assert_eq!(kinds(&outcome), ["refunded"]);
    assert!(
        http.seen()[0]
            .url
            .starts_with("https://api.stripe.com/v1/refunds/re_1?")
    );
    let mut other = refund("succeeded");
    other["metadata"] = json!({});
    for (data, has_more, found) in [
        (json!([other, refund("succeeded")]), false, Some(true)),
        (json!([other]), false, Some(false)),
        (json!([other]), true, None),
    ] {
        let list = json!({ "data": data, "has_more": has_more });
        let (api, _) = stripe(says(200, &list), true).await;
        let outcome = api.look_up_refund(&order("USD", 500, None)).await;
        let told = match &outcome {
            RefundOutcome::Known { .. } => Some(true),
            RefundOutcome::NotFound => Some(false),
            RefundOutcome::Unknown { .. } => None,
            RefundOutcome::Declined { .. } => panic!("{outcome:?}"),
        };
        assert_eq!(told, found, "{list}");
    }
    // A missing list is no proof of a missing refund.
    for answer in [says(200, &json!({})), says(404, &json!({}))] {
        let (api, _) = stripe(answer, true).await;
        let outcome = api.look_up_refund(&order("USD", 500, None)).await;
        assert!(
            matches!(outcome, RefundOutcome::Unknown { .. }),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn amounts_are_written_in_stripes_units_and_never_guessed() {
    for (code, minor, told) in [
        ("USD", 500, Some("amount=500&")),
        ("ISK", 500, Some("amount=50000&")),
        ("MGA", 50_000, Some("amount=500&")),
        ("MGA", 50_050, None),
        ("UGX", 500, None),
    ] {
        let (api, http) = stripe(says(200, &refund("succeeded")), true).await;
        api.refund(&order(code, minor, None)).await;
        let sent = http
            .seen()
            .first()
            .map(|sent| String::from_utf8(sent.body.clone()).unwrap());
        assert_eq!(sent.is_some(), told.is_some(), "{code} {minor}");
        assert!(
            sent.is_none_or(|body| body.contains(told.unwrap())),
            "{code} {minor}"
        );
    }
}

#[test]
fn an_event_tells_that_a_refund_failed_and_never_that_it_went() {
    let object = |status: &str| json!({ "id": "re_1", "charge": "ch_1", "status": status });
    for name in ["refund.failed", "refund.updated", "charge.refund.updated"] {
        let fact = failed(name, &object("failed")).unwrap();
        assert_eq!(fact.as_str(), "refund_failed");
        assert_eq!(failed(name, &object("succeeded")), None);
    }
    assert_eq!(failed("payout.failed", &object("failed")), None);
}
