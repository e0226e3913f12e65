use domain::ids::KeyId;
use serde_json::json;

use super::super::signature::{sign_sha256, to_hex};
use super::*;

const KEY: &[u8] = b"a key of sixteen or more";

fn profile() -> Profile {
    serde_json::from_value(json!({
        "signature_header": "x-signature", "signature_prefix": "sha256=", "algorithm": "sha256",
        "signature_encoding": "hex", "key_encoding": "utf8", "signed_content": "{ts}.{body}",
        "timestamp_header": "x-time", "amount_unit": "major", "accepted_body": "OK",
        "fields": {"status": "/s", "our_reference": "/ref", "transaction": "/tx", "amount": "/sum", "currency": "/cur"},
        "statuses": {"captured": ["PAID"], "declined": ["NO"]}
    }))
    .unwrap()
}

fn request(body: &str, time: &str) -> InboundRequest {
    let tag = to_hex(&sign_sha256(KEY, &[time.as_bytes(), b".", body.as_bytes()]));
    InboundRequest {
        headers: vec![
            ("x-signature".into(), format!("sha256={tag}").into_bytes()),
            ("x-time".into(), time.as_bytes().to_vec()),
        ],
        body: body.as_bytes().to_vec(),
        ..InboundRequest::default()
    }
}

fn checked(request: &InboundRequest, now: i64) -> Result<Authentic, Rejected> {
    let secret = Secret {
        key_id: KeyId::parse("k1").unwrap(),
        value: KEY.to_vec(),
        valid_from: Timestamp::from_seconds(0),
        valid_until: None,
    };
    GenericInbound::new(profile()).authenticate(request, &[secret], Timestamp::from_seconds(now))
}

#[test]
fn a_profile_authenticates_and_reads_by_its_own_words() {
    let body = r#"{"s":"PAID","ref":"pr_x-1","tx":"t9","sum":"1500.00","cur":"051"}"#;
    let good = request(body, "1000");
    assert!(checked(&good, 1000).is_ok());
    assert_eq!(checked(&good, 1301), Err(Rejected::OutsideTolerance));
    let fact = &GenericInbound::new(profile()).facts(&good).unwrap()[0];
    assert_eq!(fact.kind, FactKind::Captured);
    assert_eq!(fact.amount.unwrap().minor(), 150_000);
    let other = request(&body.replace("PAID", "MAYBE"), "1000");
    assert_eq!(GenericInbound::new(profile()).facts(&other).unwrap()[0].kind, FactKind::Unknown);
    let mut forged = good.clone();
    forged.body = body.replace("1500", "1501").into_bytes();
    assert_eq!(checked(&forged, 1000), Err(Rejected::BadSignature));
    forged.headers.clear();
    assert_eq!(checked(&forged, 1000), Err(Rejected::MissingSignature));
    assert_eq!(GenericInbound::new(profile()).answer(Acknowledge::Accepted).body, "OK");
}

#[test]
fn braces_of_the_body_are_no_placeholders() {
    let odd = request("{ts}{body}", "1000");
    assert!(checked(&odd, 1000).is_ok());
}

#[test]
fn every_mistake_of_a_profile_is_told() {
    assert_eq!(profile().mistakes(), Vec::<String>::new());
    let mut bad = profile();
    bad.signed_content = "{id}".into();
    bad.fields.amount = "sum".into();
    bad.statuses.captured.clear();
    bad.accepted_status = 302;
    bad.tolerance_s = 0;
    assert_eq!(bad.mistakes().len(), 7, "{:?}", bad.mistakes());
}

#[test]
fn the_adyen_vector_holds_with_hexadecimal_keys() {
    let key = Encoding::Hex.decode(b"9064450A8892A093D9E97EFCC9639DE31B74F3A7803135555A3C96F5A57915D6").unwrap();
    let data = b"test_REPORT_AVAILABLE::Magento2Rik:testMerchantRef1:0:EUR:REPORT_AVAILABLE:true";
    let tag = Encoding::Base64.decode(b"NuEkADFmlCC6VgX+wcoPAegIWxVPNBPCuKlM4Hzo5qc=").unwrap();
    assert!(Algorithm::Sha256.verify(&key, &[data], &tag));
}
