use domain::ids::KeyId;
use serde_json::json;

use super::super::signature::{Algorithm, sign_sha256, to_hex};
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
    assert_eq!(
        GenericInbound::new(profile()).facts(&other).unwrap()[0].kind,
        FactKind::Unknown
    );
    let mut forged = good.clone();
    forged.body = body.replace("1500", "1501").into_bytes();
    assert_eq!(checked(&forged, 1000), Err(Rejected::BadSignature));
    forged.headers.clear();
    assert_eq!(checked(&forged, 1000), Err(Rejected::MissingSignature));
    assert_eq!(
        GenericInbound::new(profile())
            .answer(Acknowledge::Accepted)
            .body,
        "OK"
    );
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
    bad.signed_content = Some("{id}".into());
    bad.fields.amount = "sum".into();
    bad.statuses.captured.clear();
    bad.accepted_status = 302;
    bad.tolerance_s = 0;
    assert_eq!(bad.mistakes().len(), 7, "{:?}", bad.mistakes());
}

/// RBS's symmetric scheme, with the vectors computed for its documentation's inputs.
fn rbs() -> Profile {
    serde_json::from_value(json!({
        "signature_parameter": "checksum", "algorithm": "sha256", "signature_encoding": "hex",
        "key_encoding": "utf8", "methods": ["GET", "POST"], "signed_parameters": {"except": ["sign_alias"]},
        "amount_unit": "minor",
        "fields": {"status": "/operation", "our_reference": "/orderNumber", "transaction": "/mdOrder",
                   "amount": "/amount", "currency": "/currency"},
        "statuses": {"captured": ["deposited"], "declined": ["declinedByTimeout"], "authorised": ["approved"]}
    }))
    .unwrap()
}

fn by_query(query: &str) -> Result<Authentic, Rejected> {
    let request = InboundRequest {
        method: InboundMethod::Get,
        query: query.into(),
        ..InboundRequest::default()
    };
    authenticated(rbs(), &request, b"B07BAA3F9C809098ACBB462618A93275")
}

fn authenticated(
    profile: Profile,
    request: &InboundRequest,
    key: &[u8],
) -> Result<Authentic, Rejected> {
    assert_eq!(profile.mistakes(), Vec::<String>::new());
    let secret = Secret {
        key_id: KeyId::parse("k1").unwrap(),
        value: key.to_vec(),
        valid_from: Timestamp::from_seconds(0),
        valid_until: None,
    };
    GenericInbound::new(profile).authenticate(request, &[secret], Timestamp::from_seconds(1000))
}

#[test]
fn sorted_parameters_hold_in_any_order_and_either_case_and_never_twice() {
    let order = "mdOrder=72318777-5zfg-782c-bk02-xxxxxxxx8dx5";
    let rest = "operation=deposited&orderNumber=ZX-987654321&status=1";
    let plain = "9953c1525622c75275e3d5df2b2cd38b24541b9e9de3a687a3856047570e2dad";
    let with_amount = "cfee6a9a93b5e7de21f866ee0912ab12a62ef0346a4e073314b6fa8b1af24b3a";
    assert!(by_query(&format!("{order}&{rest}&checksum={plain}")).is_ok());
    assert!(
        by_query(&format!(
            "checksum={}&{rest}&sign_alias=x&{order}",
            plain.to_uppercase()
        ))
        .is_ok()
    );
    assert!(by_query(&format!("amount=5&{order}&{rest}&checksum={with_amount}")).is_ok());
    for (query, rejected) in [
        (
            format!("amount=5&{order}&{rest}&checksum={plain}"),
            Rejected::BadSignature,
        ),
        (
            format!("{order}&{rest}&extra=1&checksum={plain}"),
            Rejected::BadSignature,
        ),
        (
            format!("{order}&{rest}&status=1&checksum={plain}"),
            Rejected::Malformed,
        ),
        (
            format!("{order}&{rest}&checksum={plain}&checksum={plain}"),
            Rejected::Malformed,
        ),
        (
            format!(
                "{order}&operation=deposited;orderNumber;ZX-987654321&status=1&checksum={plain}"
            ),
            Rejected::Malformed,
        ),
        (format!("{order}&{rest}"), Rejected::MissingSignature),
        (format!("{order}&{rest}&checksum=xyz"), Rejected::Malformed),
        (String::new(), Rejected::MissingSignature),
    ] {
        assert_eq!(by_query(&query), Err(rejected), "{query}");
    }
}

#[test]
fn a_query_and_a_form_of_the_same_parameters_are_one_notification() {
    let plain = "mdOrder=72318777-5zfg-782c-bk02-xxxxxxxx8dx5&operation=deposited\
                 &orderNumber=ZX-987654321&status=1\
                 &checksum=9953c1525622c75275e3d5df2b2cd38b24541b9e9de3a687a3856047570e2dad";
    let posted = |query: &str, body: &str| {
        let request = InboundRequest {
            query: query.into(),
            body: body.into(),
            ..InboundRequest::default()
        };
        authenticated(rbs(), &request, b"B07BAA3F9C809098ACBB462618A93275")
    };
    let form = posted("", plain).unwrap();
    assert_eq!(form.signed_bytes, by_query(plain).unwrap().signed_bytes);
    // The query of a POST is no part of its message, so that nothing unsigned can be slipped in.
    assert_eq!(posted(plain, ""), Err(Rejected::MissingSignature));
    assert_eq!(posted("status=0", plain).unwrap(), form);
}

#[test]
fn a_parameter_message_is_read_like_any_other() {
    let query = "amount=500&currency=051&mdOrder=m1&operation=deposited&orderNumber=pr_x-1";
    let request = InboundRequest {
        method: InboundMethod::Get,
        query: query.into(),
        ..InboundRequest::default()
    };
    let fact = GenericInbound::new(rbs())
        .facts(&request)
        .unwrap()
        .remove(0);
    assert_eq!(
        (&fact.kind, fact.amount.unwrap().to_string().as_str()),
        (&FactKind::Captured, "5.00 AMD")
    );
    assert_eq!(fact.our_reference.unwrap().as_str(), "pr_x-1");
}

/// Adyen's vector of its own tests, as a profile of joined fields.
fn adyen() -> Profile {
    serde_json::from_value(json!({
        "signature_header": "hmac", "algorithm": "sha256", "signature_encoding": "base64", "key_encoding": "hex",
        "signed_fields": {"separator": ":", "pointers":
            ["/psp", "/original", "/account", "/reference", "/value", "/currency", "/event", "/success"]},
        "amount_unit": "minor",
        "fields": {"status": "/event", "our_reference": "/reference", "transaction": "/psp", "amount": "/value",
                   "currency": "/currency", "payee": "/account"},
        "statuses": {"captured": ["CAPTURE"]}
    }))
    .unwrap()
}

fn joined(change: impl FnOnce(&mut Value)) -> Result<Authentic, Rejected> {
    let mut body = json!({
        "psp": "test_REPORT_AVAILABLE", "original": "", "account": "Magento2Rik", "reference": "testMerchantRef1",
        "value": 0, "currency": "EUR", "event": "REPORT_AVAILABLE", "success": true, "unsigned": "anything"
    });
    change(&mut body);
    let request = InboundRequest {
        headers: vec![(
            "hmac".into(),
            b"NuEkADFmlCC6VgX+wcoPAegIWxVPNBPCuKlM4Hzo5qc=".to_vec(),
        )],
        body: body.to_string().into_bytes(),
        ..InboundRequest::default()
    };
    authenticated(
        adyen(),
        &request,
        b"9064450A8892A093D9E97EFCC9639DE31B74F3A7803135555A3C96F5A57915D6",
    )
}

#[test]
fn joined_fields_hold_in_their_order_and_a_moved_boundary_is_refused() {
    assert_eq!(joined(|_| {}).unwrap().class, EvidenceClass::Signed);
    assert!(joined(|body| body["unsigned"] = json!("else")).is_ok());
    assert!(joined(|body| body["original"] = Value::Null).is_ok());
    assert_eq!(
        joined(|body| body["value"] = json!(1)).unwrap_err(),
        Rejected::BadSignature
    );
    assert_eq!(
        joined(|body| body["success"] = json!(false)).unwrap_err(),
        Rejected::BadSignature
    );
    let moved = joined(|body| {
        body["account"] = json!("Magento2Rik:testMerchantRef1");
        body["reference"] = json!("");
    });
    assert_eq!(moved.unwrap_err(), Rejected::Malformed);
    assert_eq!(
        joined(|body| body["value"] = json!([0])).unwrap_err(),
        Rejected::Malformed
    );
    assert_eq!(
        joined(|body| *body = json!("no object")).unwrap_err(),
        Rejected::BadSignature
    );
}

#[test]
fn a_field_that_is_not_signed_is_never_read() {
    let mut bad = adyen();
    bad.fields.amount = "/unsigned".into();
    assert_eq!(
        bad.mistakes(),
        ["field /unsigned is not one of signed_fields.pointers, so anybody could change it"]
    );
    let mut bad = rbs();
    bad.fields.amount = "/sign_alias".into();
    assert_eq!(
        bad.mistakes(),
        ["field /sign_alias is a parameter that is not signed, so anybody could change it"]
    );
    let mut bad = rbs();
    bad.fields.amount = "/checksum".into();
    assert_eq!(bad.mistakes().len(), 1);
}

#[test]
fn only_a_message_that_states_all_terms_is_of_the_class_signed() {
    let body = r#"{"s":"PAID","ref":"pr_x-1","tx":"t9","sum":"1500.00","cur":"051","shop":"s1"}"#;
    assert_eq!(
        checked(&request(body, "1000"), 1000).unwrap().class,
        EvidenceClass::WeaklySigned
    );
    let mut with_payee = profile();
    with_payee.fields.payee = Some("/shop".into());
    let authentic = authenticated(with_payee, &request(body, "1000"), KEY).unwrap();
    assert_eq!(authentic.class, EvidenceClass::Signed);
}

#[test]
fn the_same_message_sent_again_with_a_new_time_is_the_same() {
    let body = r#"{"s":"PAID"}"#;
    let (first, again) = (
        checked(&request(body, "1000"), 1000).unwrap(),
        checked(&request(body, "1010"), 1010).unwrap(),
    );
    assert_eq!(first.signed_bytes, again.signed_bytes);
    let other = checked(&request(r#"{"s":"NO"}"#, "1000"), 1000).unwrap();
    assert_ne!(first.signed_bytes, other.signed_bytes);
}

#[test]
fn sha512_with_a_base64_key_holds() {
    let mut profile = profile();
    profile.algorithm = Algorithm::Sha512;
    profile.key_encoding = Encoding::Base64;
    profile.signature_prefix = String::new();
    profile.signed_content = Some("{body}".into());
    profile.timestamp_header = None;
    // RFC 4231, test case 3: a key of 20 bytes 0xaa and 50 bytes 0xdd.
    let tag = "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39\
               bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb";
    let request = InboundRequest {
        headers: vec![("x-signature".into(), tag.as_bytes().to_vec())],
        body: vec![0xdd; 50],
        ..InboundRequest::default()
    };
    assert!(authenticated(profile.clone(), &request, b"qqqqqqqqqqqqqqqqqqqqqqqqqqo=").is_ok());
    for bad in [b"".as_slice(), b"qqqqqqqqqqqqqqqqqqqq", b"no base64!"] {
        assert_eq!(
            authenticated(profile.clone(), &request, bad),
            Err(Rejected::NoSecret)
        );
    }
}

#[test]
fn more_mistakes_are_told_in_words() {
    let told = |change: fn(&mut Profile)| {
        let mut bad = profile();
        change(&mut bad);
        let mistakes = bad.mistakes();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        mistakes.into_iter().next().unwrap()
    };
    for (mistake, begins) in [
        (
            told(|bad| bad.signature_header = None),
            "exactly one of signature_header",
        ),
        (told(|bad| bad.methods.clear()), "methods names none"),
        (
            told(|bad| bad.methods.push(InboundMethod::Get)),
            "methods names GET, which needs signed_parameters",
        ),
        (
            told(|bad| bad.signature_encoding = Encoding::Utf8),
            "signature_encoding",
        ),
        (
            told(|bad| bad.signature_header = Some("X-Sig".into())),
            "header names",
        ),
        (
            told(|bad| bad.statuses.declined.push("PAID".into())),
            "\"PAID\" stands in statuses.captured and in",
        ),
        (
            told(|bad| {
                bad.signed_fields = Some(SignedFields {
                    pointers: bad.fields.all().cloned().collect(),
                    separator: ":".into(),
                });
            }),
            "exactly one of signed_content",
        ),
        (
            told(|bad| {
                bad.look_up = Some(LookUpProfile {
                    url: "https://api.example/status".into(),
                })
            }),
            "look_up.url must hold",
        ),
        (
            told(|bad| {
                bad.look_up = Some(LookUpProfile {
                    url: "https://{our_reference}/x".into(),
                })
            }),
            "look_up.url must be absolute",
        ),
        (
            told(|bad| {
                bad.look_up = Some(LookUpProfile {
                    url: "/status/{our_reference}".into(),
                })
            }),
            "look_up.url must be absolute",
        ),
    ] {
        assert!(mistake.starts_with(begins), "{mistake}");
    }
    let mut bad = adyen();
    bad.signed_fields.as_mut().unwrap().separator.clear();
    assert_eq!(bad.mistakes().len(), 1);
}
