//! No altered notification is authentic: every single bit of a genuine one, in turn.
//!
//! One bit is let through on purpose: hexadecimal tags are read in either case (some providers send
//! capitals), so the bit that only changes a letter's case leaves the tag as it is.

use domain::ids::KeyId;
use domain::ports::{InboundMethod, InboundProvider, InboundRequest, Secret};
use domain::time::Timestamp;
use serde_json::json;

use super::generic::GenericInbound;
use super::signature::{sign_sha256, standard_webhooks, to_hex};
use super::sim::SimInbound;
use super::stripe::StripeInbound;

const NOW_S: i64 = 1_790_000_000;
const BODY: &str = r#"{"status":"captured","amount":"150000","currency":"AMD","payee":"shop","our_reference":"pr_x-1"}"#;

struct Genuine {
    name: &'static str,
    adapter: Box<dyn InboundProvider>,
    request: InboundRequest,
    secret: Vec<u8>,
    hexadecimal: bool,
}

fn genuine() -> Vec<Genuine> {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let time = NOW_S.to_string();
    let request = |headers: Vec<(&str, String)>| InboundRequest {
        method: InboundMethod::Post,
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into_bytes()))
            .collect(),
        body: BODY.as_bytes().to_vec(),
        ..InboundRequest::default()
    };
    let key = standard_webhooks::key(secret.as_bytes()).unwrap();
    let standard = vec![
        ("webhook-id", "msg_1".to_owned()),
        ("webhook-timestamp", time.clone()),
        (
            "webhook-signature",
            standard_webhooks::sign(&key, "msg_1", NOW_S, BODY.as_bytes()),
        ),
    ];
    let tag = to_hex(&sign_sha256(
        secret.as_bytes(),
        &[time.as_bytes(), b".", BODY.as_bytes()],
    ));
    let stripe = vec![("stripe-signature", format!("t={time},v1={tag}"))];
    let profile = serde_json::from_value(json!({
        "signature_header": "x-signature", "signature_prefix": "sha256=", "algorithm": "sha256",
        "signature_encoding": "hex", "key_encoding": "utf8", "signed_content": "{id}.{ts}.{body}",
        "timestamp_header": "x-time", "id_header": "x-id", "amount_unit": "minor",
        "fields": {"status": "/status", "our_reference": "/our_reference", "transaction": "/transaction",
                   "amount": "/amount", "currency": "/currency"},
        "statuses": {"captured": ["captured"]}
    }))
    .unwrap();
    let parts: [&[u8]; 5] = [b"msg_1", b".", time.as_bytes(), b".", BODY.as_bytes()];
    let generic = vec![
        ("x-id", "msg_1".to_owned()),
        ("x-time", time.clone()),
        (
            "x-signature",
            format!("sha256={}", to_hex(&sign_sha256(secret.as_bytes(), &parts))),
        ),
    ];
    let one = |name, adapter, headers, hexadecimal| Genuine {
        name,
        adapter,
        request: request(headers),
        secret: secret.as_bytes().to_vec(),
        hexadecimal,
    };
    vec![
        one("standard webhooks", Box::new(SimInbound), standard, false),
        one("stripe", Box::new(StripeInbound), stripe, true),
        one(
            "generic",
            Box::new(GenericInbound::new(profile)),
            generic,
            true,
        ),
    ]
}

impl Genuine {
    fn holds(&self, request: &InboundRequest, secret: &[u8], now_s: i64) -> bool {
        let secret = Secret {
            key_id: KeyId::parse("k1").unwrap(),
            value: secret.to_vec(),
            valid_from: Timestamp::from_seconds(0),
            valid_until: None,
        };
        self.adapter
            .authenticate(request, &[secret], Timestamp::from_seconds(now_s))
            .is_ok()
    }
}

/// Every text that differs from `bytes` in one bit.
fn altered(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len() * 8).map(|bit| {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    })
}

#[test]
fn no_altered_bit_of_a_notification_or_a_secret_is_let_through() {
    for genuine in genuine() {
        let name = genuine.name;
        assert!(
            genuine.holds(&genuine.request, &genuine.secret, NOW_S),
            "{name}"
        );
        for body in altered(&genuine.request.body) {
            let request = InboundRequest {
                body,
                ..genuine.request.clone()
            };
            assert!(
                !genuine.holds(&request, &genuine.secret, NOW_S),
                "{name}: {request:?}"
            );
        }
        for (index, (_, value)) in genuine.request.headers.iter().enumerate() {
            for changed in altered(value) {
                // Only in the tag itself: elsewhere letters are signed or name something.
                let same_tag =
                    genuine.hexadecimal && changed.eq_ignore_ascii_case(value) && value.len() > 64;
                let mut request = genuine.request.clone();
                request.headers[index].1 = changed;
                let in_prefix = request.headers[index].1[..value.len().saturating_sub(64)]
                    != value[..value.len().saturating_sub(64)];
                let expected = same_tag && !in_prefix;
                assert_eq!(
                    genuine.holds(&request, &genuine.secret, NOW_S),
                    expected,
                    "{name}: {request:?}"
                );
            }
        }
        for secret in altered(&genuine.secret) {
            assert!(
                !genuine.holds(&genuine.request, &secret, NOW_S),
                "{name}: {secret:?}"
            );
        }
    }
}

#[test]
fn the_window_of_time_is_300_seconds_both_ways_to_the_second() {
    for genuine in genuine() {
        for (off_s, holds) in [
            (-301, false),
            (-300, true),
            (300, true),
            (301, false),
            (i64::MAX - NOW_S, false),
        ] {
            assert_eq!(
                genuine.holds(&genuine.request, &genuine.secret, NOW_S + off_s),
                holds,
                "{} {off_s}",
                genuine.name
            );
        }
    }
}

#[test]
fn a_notification_without_any_of_its_headers_is_refused() {
    for genuine in genuine() {
        for index in 0..genuine.request.headers.len() {
            let mut request = genuine.request.clone();
            request.headers.remove(index);
            assert!(
                !genuine.holds(&request, &genuine.secret, NOW_S),
                "{} {index}",
                genuine.name
            );
        }
    }
}
