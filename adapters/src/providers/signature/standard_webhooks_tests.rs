use proptest::prelude::*;

use domain::ports::InboundMethod;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const TIME: i64 = 1_614_265_330;
const BODY: &str = r#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn secret(value: &str) -> Secret {
    Secret {
        key_id: KeyId::parse("k1").unwrap(),
        value: value.as_bytes().to_vec(),
        valid_from: Timestamp::from_seconds(0),
        valid_until: None,
    }
}

fn request(id: &str, time: &str, signature: &str, body: &str) -> InboundRequest {
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    InboundRequest {
        method: InboundMethod::Post,
        headers: vec![
            header("webhook-id", id),
            header("webhook-timestamp", time),
            header("webhook-signature", signature),
        ],
        body: body.as_bytes().to_vec(),
        ..InboundRequest::default()
    }
}

fn at(request: &InboundRequest, now: i64) -> Result<KeyId, Rejected> {
    check(request, &[secret(SECRET)], Timestamp::from_seconds(now))
}

#[test]
fn the_published_vector_holds() {
    let key = key(SECRET.as_bytes()).unwrap();
    assert_eq!(sign(&key, ID, TIME, BODY.as_bytes()), SIGNATURE);
    let good = request(ID, &TIME.to_string(), SIGNATURE, BODY);
    assert!(at(&good, TIME).is_ok());
    standardwebhooks::Webhook::new(SECRET)
        .unwrap()
        .sign(ID, TIME, BODY.as_bytes())
        .map(|theirs| assert_eq!(theirs, SIGNATURE))
        .unwrap();
}

#[test]
fn what_is_missing_old_or_changed_is_refused() {
    let time = TIME.to_string();
    let cases = [
        (
            request("", &time, SIGNATURE, BODY),
            TIME,
            Rejected::MissingSignature,
        ),
        (
            request(ID, "", SIGNATURE, BODY),
            TIME,
            Rejected::MissingSignature,
        ),
        (
            request(ID, &time, "", BODY),
            TIME,
            Rejected::MissingSignature,
        ),
        (
            request(ID, "hello", SIGNATURE, BODY),
            TIME,
            Rejected::Malformed,
        ),
        (
            request(ID, &time, "v1,", BODY),
            TIME,
            Rejected::BadSignature,
        ),
        (
            request(
                ID,
                &time,
                "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                BODY,
            ),
            TIME,
            Rejected::BadSignature,
        ),
        (
            request(ID, &time, SIGNATURE, r#"{"test": 2432232315}"#),
            TIME,
            Rejected::BadSignature,
        ),
        (
            request("msg_other", &time, SIGNATURE, BODY),
            TIME,
            Rejected::BadSignature,
        ),
        (
            request(ID, &time, SIGNATURE, BODY),
            TIME + 301,
            Rejected::OutsideTolerance,
        ),
        (
            request(ID, &time, SIGNATURE, BODY),
            TIME - 301,
            Rejected::OutsideTolerance,
        ),
    ];
    for (request, now, rejected) in cases {
        assert_eq!(at(&request, now), Err(rejected), "{request:?}");
    }
    for now in [TIME + 300, TIME - 300] {
        assert!(at(&request(ID, &time, SIGNATURE, BODY), now).is_ok());
    }
}

#[test]
fn a_valid_signature_among_unknown_ones_passes() {
    let list = format!("v1a,AAAA v9,x {SIGNATURE} v1,AAAA");
    assert!(at(&request(ID, &TIME.to_string(), &list, BODY), TIME).is_ok());
}

#[test]
fn nobody_can_make_us_hash_a_body_without_end() {
    let wrong = "v1,AAAA ".repeat(super::super::SIGNATURES_MAX);
    let list = format!("{wrong}{SIGNATURE}");
    assert_eq!(
        at(&request(ID, &TIME.to_string(), &list, BODY), TIME),
        Err(Rejected::BadSignature)
    );
}

#[test]
fn empty_and_short_keys_authenticate_nobody() {
    for bad in ["", "whsec_", "whsec_AAAA", "not base64 !"] {
        let request = request(ID, &TIME.to_string(), SIGNATURE, BODY);
        let checked = check(&request, &[secret(bad)], Timestamp::from_seconds(TIME));
        assert_eq!(checked, Err(Rejected::NoSecret), "{bad}");
    }
}

#[test]
fn two_live_keys_are_both_tried() {
    let other = secret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let good = request(ID, &TIME.to_string(), SIGNATURE, BODY);
    assert!(
        check(
            &good,
            &[other, secret(SECRET)],
            Timestamp::from_seconds(TIME)
        )
        .is_ok()
    );
}

proptest! {
    #[test]
    fn any_changed_bit_of_the_body_is_refused(bit in 0usize..160) {
        let mut changed = request(ID, &TIME.to_string(), SIGNATURE, BODY);
        let place = bit / 8 % changed.body.len();
        changed.body[place] ^= 1 << (bit % 8);
        prop_assert_eq!(at(&changed, TIME), Err(Rejected::BadSignature));
    }

    #[test]
    fn any_headers_are_read_without_panic(id in ".{0,40}", time in ".{0,20}", signature in ".{0,60}") {
        prop_assert!(at(&request(&id, &time, &signature, BODY), TIME).is_err());
    }
}
