//! Vectors were computed by hand from the published order of the checksum's parts.

use domain::ids::{KeyId, ProviderRef};
use domain::money::{Currency, Money};
use domain::ports::InboundMethod;

use super::*;

const KEY: &str = "TESTSECRET";

fn secret(value: &str) -> Secret {
    Secret {
        key_id: KeyId::parse("key-1").unwrap(),
        value: value.as_bytes().to_vec(),
        valid_from: Timestamp::from_seconds(0),
        valid_until: None,
    }
}

fn sent(fields: &[(&str, &str)]) -> InboundRequest {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    InboundRequest {
        method: InboundMethod::Post,
        body: form.finish().into_bytes(),
        ..InboundRequest::default()
    }
}

/// The second message of a payment, with one field changed.
fn confirmation_with(name: &str, value: &str) -> InboundRequest {
    let fields = [
        ("EDP_BILL_NO", "1806"),
        ("EDP_REC_ACCOUNT", "100000114"),
        ("EDP_PAYER_ACCOUNT", "100000001"),
        ("EDP_AMOUNT", "1900.00"),
        ("EDP_TRANS_ID", "12345678901234"),
        ("EDP_TRANS_DATE", "05/10/2026"),
        ("EDP_CHECKSUM", "E95B98D64D7032E2BEE0A38A35796C55"),
        ("customer", "of no business of ours"),
    ];
    sent(&fields.map(|(known, was)| (known, if known == name { value } else { was })))
}

fn authenticate(request: &InboundRequest, key: &str) -> Result<Authentic, Rejected> {
    IdramInbound.authenticate(request, &[secret(key)], Timestamp::from_seconds(0))
}

fn asked(fields: &[(&str, &str)]) -> Option<Result<Question, Rejected>> {
    IdramInbound.question(&sent(fields), &[], Timestamp::from_seconds(0))
}

fn drams(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("AMD").unwrap()).unwrap()
}

#[test]
fn the_checksum_is_that_of_the_published_order() {
    let covered = [
        "110000601:12500.00:".to_owned(),
        ":cmbill123:100012345:0123456789:23/09/2026".to_owned(),
    ];
    let told = from_hex("A9EE2ED79B12FFCE2742A9D86363795F").unwrap();
    assert_eq!(checksum(&covered, b"s3cret").as_slice(), told);
}

#[test]
fn a_confirmation_is_weakly_signed_whatever_the_case_of_its_checksum() {
    let authentic = authenticate(&confirmation_with("", ""), KEY).unwrap();
    assert_eq!(authentic.class, EvidenceClass::WeaklySigned);
    assert_eq!(authentic.scheme, "idram");
    let lower = confirmation_with("EDP_CHECKSUM", "e95b98d64d7032e2bee0a38a35796c55");
    assert_eq!(authenticate(&lower, KEY), Ok(authentic));
    // The second key, while the first is being rotated out.
    let keys = [secret("another"), secret(KEY)];
    let request = confirmation_with("", "");
    let any = IdramInbound.authenticate(&request, &keys, Timestamp::from_seconds(0));
    assert!(any.is_ok());
}

#[test]
fn whatever_is_covered_cannot_be_changed() {
    for (name, value) in [
        ("EDP_BILL_NO", "1807"),
        ("EDP_REC_ACCOUNT", "100000115"),
        ("EDP_PAYER_ACCOUNT", "100000002"),
        ("EDP_AMOUNT", "1900"),
        ("EDP_AMOUNT", "01900.00"),
        ("EDP_TRANS_ID", "12345678901235"),
        ("EDP_TRANS_DATE", "06/10/2026"),
        ("EDP_CHECKSUM", "E95B98D64D7032E2BEE0A38A35796C56"),
        ("EDP_CHECKSUM", "E95B98D64D7032E2"),
    ] {
        let changed = authenticate(&confirmation_with(name, value), KEY);
        assert_eq!(changed, Err(Rejected::BadSignature), "{name}={value}");
    }
    let genuine = confirmation_with("", "");
    assert_eq!(authenticate(&genuine, "OTHER"), Err(Rejected::BadSignature));
    assert_eq!(authenticate(&genuine, ""), Err(Rejected::NoSecret));
}

#[test]
fn no_field_can_be_taken_for_two() {
    for (name, value) in [
        ("EDP_BILL_NO", "1806:100000001"),
        ("EDP_PAYER_ACCOUNT", "100000001:12345678901234"),
        ("EDP_PAYER_ACCOUNT", ""),
        ("EDP_PAYER_ACCOUNT", "100 000"),
        ("EDP_REC_ACCOUNT", "100000114:1"),
        ("EDP_AMOUNT", "1e3"),
        ("EDP_TRANS_ID", "123456789012345"),
        ("EDP_TRANS_DATE", "2026-10-05"),
        ("EDP_CHECKSUM", "not hexadecimal"),
    ] {
        let refused = authenticate(&confirmation_with(name, value), KEY);
        assert_eq!(refused, Err(Rejected::Malformed), "{name}={value}");
    }
    let mut twice = confirmation_with("", "");
    twice.body.extend_from_slice(b"&EDP_AMOUNT=1900.00");
    assert_eq!(authenticate(&twice, KEY), Err(Rejected::Malformed));
    let mut unsigned = confirmation_with("", "");
    unsigned.body = b"EDP_BILL_NO=1806&EDP_AMOUNT=1900.00".to_vec();
    assert_eq!(
        authenticate(&unsigned, KEY),
        Err(Rejected::MissingSignature)
    );
}

#[test]
fn a_confirmation_says_that_money_was_taken_on_a_day() {
    let facts = IdramInbound.facts(&confirmation_with("", "")).unwrap();
    let [fact] = facts.as_slice() else {
        panic!("{facts:?}")
    };
    assert_eq!(fact.kind, FactKind::Captured);
    assert_eq!(fact.amount, Some(drams(190_000)));
    assert_eq!(fact.payee.as_deref(), Some("100000114"));
    let of = |reference: &Option<ProviderRef>| reference.as_ref().map(ToString::to_string);
    assert_eq!(of(&fact.our_reference).as_deref(), Some("1806"));
    assert_eq!(of(&fact.transaction).as_deref(), Some("12345678901234"));
    let day = fact.provider_time.unwrap();
    assert_eq!(day.precision, domain::time::Precision::Day);
    assert_eq!(day.at, Timestamp::parse("2026-10-05T00:00:00Z").unwrap());
    // Who paid is personal, and in no fact.
    assert!(!format!("{fact:?}").contains("100000001"));
    // A day that there is not is no reason to lose the money.
    let odd = IdramInbound.facts(&confirmation_with("EDP_TRANS_DATE", "31/02/2026"));
    assert_eq!(odd.unwrap()[0].provider_time, None);
    let none = IdramInbound.facts(&confirmation_with("EDP_AMOUNT", "0.00"));
    assert_eq!(none.unwrap()[0].amount, None);
}

#[test]
fn a_precheck_is_a_question_and_needs_no_checksum() {
    let question = asked(&[
        ("EDP_PRECHECK", "YES"),
        ("EDP_BILL_NO", "pr_x-1"),
        ("EDP_REC_ACCOUNT", "100000114"),
        ("EDP_AMOUNT", "1900.50"),
    ]);
    let expected = Question {
        our_reference: ProviderRef::parse("pr_x-1").unwrap(),
        payee: Some("100000114".to_owned()),
        amount: drams(190_050),
    };
    assert_eq!(question, Some(Ok(expected)));
    let genuine = confirmation_with("", "");
    let none = IdramInbound.question(&genuine, &[], Timestamp::from_seconds(0));
    assert_eq!(none, None);
}

#[test]
fn a_precheck_that_cannot_be_read_is_refused() {
    let whole = [
        ("EDP_PRECHECK", "YES"),
        ("EDP_BILL_NO", "pr_x-1"),
        ("EDP_REC_ACCOUNT", "100000114"),
        ("EDP_AMOUNT", "1900.00"),
    ];
    for (name, value) in [
        ("EDP_PRECHECK", "NO"),
        ("EDP_BILL_NO", ""),
        ("EDP_REC_ACCOUNT", "1 2"),
        ("EDP_AMOUNT", "0.00"),
        ("EDP_AMOUNT", "-5"),
        ("EDP_AMOUNT", "1.005"),
        ("EDP_AMOUNT", "many"),
    ] {
        let changed = whole.map(|(known, was)| (known, if known == name { value } else { was }));
        assert_eq!(asked(&changed), Some(Err(Rejected::Malformed)), "{name}");
    }
    let twice = [whole.as_slice(), &whole[..1]].concat();
    assert_eq!(asked(&twice), Some(Err(Rejected::Malformed)));
}

#[test]
fn only_the_one_word_lets_a_payment_through() {
    let told = |acknowledge| IdramInbound.answer(acknowledge).body;
    assert_eq!(told(Acknowledge::Accepted), "OK");
    assert_eq!(told(Acknowledge::Allowed), "OK");
    for other in [
        Acknowledge::Refused,
        Acknowledge::Rejected,
        Acknowledge::Busy,
    ] {
        assert!(!told(other).contains("OK"), "{other:?}");
    }
}

#[tokio::test]
async fn the_form_holds_our_terms_and_only_drams_are_taken() {
    let api = IdramApi::new(PAGE, "100000114");
    let hand_over = |amount, language| HandOver {
        our_reference: ProviderRef::parse("pr_x-1").unwrap(),
        amount,
        description: "Order 7".to_owned(),
        language,
    };
    let form = api.pay_form(&hand_over(drams(190_000), "hy")).unwrap();
    assert_eq!(form.action, PAGE);
    let expected = [
        ("EDP_LANGUAGE", "AM"),
        ("EDP_REC_ACCOUNT", "100000114"),
        ("EDP_DESCRIPTION", "Order 7"),
        ("EDP_AMOUNT", "1900.00"),
        ("EDP_BILL_NO", "pr_x-1"),
    ];
    let fields: Vec<_> = form.fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(fields, expected);
    let dollars = Money::new(1900, Currency::from_code("USD").unwrap()).unwrap();
    assert_eq!(api.pay_form(&hand_over(dollars, "en")), None);
    let registration = |amount| Registration {
        our_reference: ProviderRef::parse("pr_x-1").unwrap(),
        amount,
        description: "Order 7".to_owned(),
        session_s: 600,
        return_url: "https://ledger.example/".to_owned(),
    };
    let made = api.register(&registration(drams(100))).await;
    assert!(matches!(made, RegisterOutcome::Registered { .. }));
    let refused = api.register(&registration(dollars)).await;
    assert!(matches!(refused, RegisterOutcome::Refused { .. }));
}
