use domain::ids::{KeyId, ProviderRef};
use domain::payment::fact::FactKind;
use domain::ports::{KeyringError, OutAnswer, OutError, Secret};
use domain::time::Timestamp;
use serde_json::json;

use super::*;
use crate::http_out::ScriptedHttp;
use crate::memory::ManualClock;

struct Keys(bool);

#[async_trait]
impl Secrets for Keys {
    async fn active(
        &self,
        _: &MerchantId,
        _: &SecretPurpose,
        _: Timestamp,
    ) -> Result<Vec<Secret>, KeyringError> {
        let secret = Secret {
            key_id: KeyId::parse("k1").unwrap(),
            value: b"api-key\n".to_vec(),
            valid_from: Timestamp::from_seconds(0),
            valid_until: None,
        };
        Ok(if self.0 { vec![secret] } else { vec![] })
    }

    async fn set(&self, _: &MerchantId, _: &SecretPurpose, _: Secret) -> Result<(), KeyringError> {
        Err(KeyringError::UnknownKey)
    }

    async fn remove(
        &self,
        _: &MerchantId,
        _: &SecretPurpose,
        _: &KeyId,
    ) -> Result<(), KeyringError> {
        Ok(())
    }

    async fn list(
        &self,
        _: &MerchantId,
    ) -> Result<Vec<(SecretPurpose, KeyId, Timestamp, Option<Timestamp>)>, KeyringError> {
        Ok(vec![])
    }
}

fn profile(url: &str) -> Profile {
    serde_json::from_value(json!({
        "signature_header": "x-signature", "algorithm": "sha256", "signature_encoding": "hex", "key_encoding": "utf8",
        "signed_content": "{body}", "amount_unit": "major", "look_up": {"url": url},
        "fields": {"status": "/s", "our_reference": "/ref", "transaction": "/tx", "amount": "/sum", "currency": "/cur"},
        "statuses": {"captured": ["PAID"]}
    }))
    .unwrap()
}

async fn asked(
    url: &str,
    order: Option<&str>,
    key: bool,
    answer: Result<OutAnswer, OutError>,
) -> (LookUpOutcome, Vec<OutRequest>) {
    let http = Arc::new(ScriptedHttp::in_order([answer]));
    let api = GenericApi::new(
        profile(url),
        MerchantId::parse("shop").unwrap(),
        AccountSlug::parse("acc").unwrap(),
        Arc::clone(&http) as Arc<dyn HttpOut>,
        Arc::new(Keys(key)),
        Arc::new(ManualClock::at(Timestamp::from_seconds(0))),
    )
    .unwrap();
    let look_up = LookUp {
        our_reference: ProviderRef::parse("pr_x/../1?a").unwrap(),
        provider_order_ref: order.map(|order| ProviderRef::parse(order).unwrap()),
    };
    (api.look_up(&look_up).await, http.seen())
}

#[tokio::test]
async fn the_question_names_the_attempt_and_a_reference_cannot_leave_its_place() {
    let body = r#"{"s":"PAID","ref":"pr_x-1","tx":"t9","sum":"1500.00","cur":"AMD"}"#;
    let url = "https://api.example/v1/{our_reference}/{provider_order_ref}";
    let (outcome, seen) = asked(url, Some("o..1"), true, Ok(ScriptedHttp::json(200, body))).await;
    let LookUpOutcome::Answered { facts, raw, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (&facts[0].kind, raw.as_slice()),
        (&FactKind::Captured, body.as_bytes())
    );
    assert_eq!(
        seen[0].url,
        "https://api.example/v1/pr_x%2F%2E%2E%2F1%3Fa/o%2E%2E1"
    );
    assert!(
        seen[0]
            .headers
            .contains(&("authorization".into(), "Bearer api-key".into()))
    );
}

#[tokio::test]
async fn whatever_is_no_clear_answer_is_unknown() {
    let url = "https://api.example/{our_reference}";
    for (answer, why) in [
        (Err(OutError::Timeout), "timeout"),
        (Err(OutError::Dns), "dns"),
        (Ok(ScriptedHttp::json(500, "{}")), "http_500"),
        (Ok(ScriptedHttp::json(302, "{}")), "http_302"),
        (Ok(ScriptedHttp::json(401, "{}")), "http_401"),
        (Ok(ScriptedHttp::json(200, "<html>")), "not_understood"),
        (Ok(ScriptedHttp::json(200, "{}")), "not_understood"),
        (
            Ok(ScriptedHttp::json(
                200,
                format!("{{\"s\":\"PAID\",\"x\":\"{}\"}}", "x".repeat(70_000)),
            )),
            "not_understood",
        ),
    ] {
        let (outcome, _) = asked(url, None, true, answer).await;
        assert_eq!(outcome, unknown(why));
    }
    let (outcome, _) = asked(url, None, true, Ok(ScriptedHttp::json(404, "{}"))).await;
    assert_eq!(outcome, LookUpOutcome::NotFound);
}

#[tokio::test]
async fn without_a_key_or_the_order_nobody_is_asked() {
    let (outcome, seen) = asked(
        "https://api.example/{our_reference}",
        None,
        false,
        Err(OutError::Timeout),
    )
    .await;
    assert_eq!((outcome, seen.len()), (unknown("no_api_key"), 0));
    let (outcome, seen) = asked(
        "https://api.example/{provider_order_ref}",
        None,
        true,
        Err(OutError::Timeout),
    )
    .await;
    assert_eq!((outcome, seen.len()), (unknown("order_not_known"), 0));
}

#[tokio::test]
async fn the_providers_wish_to_be_left_alone_is_kept() {
    let mut answer = ScriptedHttp::json(429, "{}");
    answer.headers.push(("retry-after".into(), "30".into()));
    let (outcome, _) = asked(
        "https://api.example/{our_reference}",
        None,
        true,
        Ok(answer),
    )
    .await;
    assert_eq!(
        outcome,
        LookUpOutcome::Unknown {
            why: "http_429".into(),
            retry_after: Some(std::time::Duration::from_secs(30))
        }
    );
}
