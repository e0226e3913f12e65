use domain::ids::{KeyId, ProviderRef};
use domain::money::{Currency, Money};

use super::*;
use crate::http_out::ScriptedHttp;
use crate::keys::MemoryKeyring;
use crate::memory::{ManualClock, SeededEntropy};

async fn registered(answer: Result<OutAnswer, OutError>) -> RegisterOutcome {
    let keyring = Arc::new(MemoryKeyring::new(Arc::new(SeededEntropy::new(1, "sim"))));
    let (merchant, account) = (
        MerchantId::parse("shop").unwrap(),
        AccountSlug::parse("acc").unwrap(),
    );
    let secret = Secret {
        key_id: KeyId::parse("k1").unwrap(),
        value: b"api-key".to_vec(),
        valid_from: Timestamp::from_seconds(0),
        valid_until: None,
    };
    let purpose = SecretPurpose::ProviderApi(account.to_string());
    keyring.set(&merchant, &purpose, secret).await.unwrap();
    let api = SimApi::new(
        "https://sim.example",
        merchant,
        account,
        Arc::new(ScriptedHttp::in_order([answer])),
        keyring,
        Arc::new(ManualClock::at(Timestamp::from_seconds(0))),
    );
    let registration = Registration {
        our_reference: ProviderRef::parse("pr_x-1").unwrap(),
        amount: Money::new(5, Currency::from_code("AMD").unwrap()).unwrap(),
        description: "Order 1".to_owned(),
        session_s: 60,
        return_url: "https://ledger.example/back".to_owned(),
    };
    api.register(&registration).await
}

#[tokio::test]
async fn only_a_clear_no_refuses_a_registration_a7() {
    let of_status = async |status| registered(Ok(ScriptedHttp::json(status, "{}"))).await;
    for status in [400, 401, 403, 404, 422] {
        let outcome = of_status(status).await;
        assert!(
            matches!(outcome, RegisterOutcome::Refused { .. }),
            "{status}: {outcome:?}"
        );
    }
    for status in [202, 302, 408, 409, 425, 429, 500, 502, 503, 504] {
        let outcome = of_status(status).await;
        assert!(
            matches!(outcome, RegisterOutcome::Unknown { .. }),
            "{status}: {outcome:?}"
        );
    }
    for (error, not_sent) in [
        (OutError::Connect, true),
        (OutError::Timeout, false),
        (OutError::Broken, false),
    ] {
        let outcome = registered(Err(error)).await;
        assert_eq!(
            matches!(outcome, RegisterOutcome::NotSent { .. }),
            not_sent,
            "{outcome:?}"
        );
        assert!(not_sent || matches!(outcome, RegisterOutcome::Unknown { .. }));
    }
}

#[tokio::test]
async fn how_long_a_provider_wants_no_registrations_is_heard() {
    let mut busy = ScriptedHttp::json(429, "{}");
    busy.headers
        .push(("retry-after".to_owned(), "90".to_owned()));
    let outcome = registered(Ok(busy)).await;
    let expected = RegisterOutcome::Unknown {
        why: "http_429".to_owned(),
        retry_after: Some(Duration::from_secs(90)),
    };
    assert_eq!(outcome, expected);
}

fn facts(body: Value) -> Vec<Fact> {
    let request = InboundRequest {
        body: body.to_string().into_bytes(),
        ..InboundRequest::default()
    };
    SimInbound.facts(&request).unwrap()
}

#[test]
fn a_captured_message_carries_all_terms() {
    let read = facts(json!({
        "status": "captured", "order": "so_1", "our_reference": "pr_x-1", "transaction": "st_1",
        "amount": "150000", "currency": "AMD", "payee": "acc-1", "mode": "test",
        "occurred_at": "2026-11-25T12:00:00.000Z"
    }));
    assert_eq!(read[0].kind, FactKind::Captured);
    assert_eq!(read[0].amount.unwrap().minor(), 150_000);
    assert_eq!(read[0].payee.as_deref(), Some("acc-1"));
}

#[test]
fn what_is_not_recognised_is_unknown_and_never_a_guess() {
    assert_eq!(
        facts(json!({"status": "on_the_moon"}))[0].kind,
        FactKind::Unknown
    );
    assert_eq!(facts(json!({"hello": 1})), vec![]);
    let odd = facts(json!({"status": "captured", "amount": 1.5, "currency": "AMD"}));
    assert_eq!(odd[0].amount, None);
    let request = InboundRequest {
        body: b"<xml>".to_vec(),
        ..InboundRequest::default()
    };
    assert!(SimInbound.facts(&request).is_err());
}
