//! Ids: one type each, one constructor each, checked once.
//!
//! Slugs are chosen by people (merchant, client, subscriber, scenario, provider, account). Prefixed
//! ids are derived or drawn by the ledger. References are strings of the shop's own systems; they
//! are checked to hold no phone number and no e-mail address, since events are kept for ever.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not an id of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}: {rule}")]
pub struct BadId {
    /// The kind of id.
    pub kind: &'static str,
    /// What it must look like.
    pub rule: &'static str,
}

const SLUG_RULE: &str =
    "1 to 40 characters of a-z, 0-9, '_' and '-', starting with a letter or digit";
const REFERENCE_RULE: &str = "1 to 100 printable ASCII characters without spaces, '@' or anything that looks like a phone number";

fn slug(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    (1..=40).contains(&text.len())
        && text.bytes().all(allowed)
        && text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
}

/// A business reference, not a person: no `@`, and not a phone number, which is what a text of
/// digits with at least eight of them and phone punctuation (`+`, `(`, `)`) or a leading `00` is.
fn reference(text: &str) -> bool {
    let printable = text.bytes().all(|b| b.is_ascii_graphic() && b != b'@');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let only_phone_signs = text
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-().".contains(&b));
    let phone = digits >= 8
        && only_phone_signs
        && (text.starts_with('+') || text.starts_with("00") || text.contains('('));
    (1..=100).contains(&text.len()) && printable && !phone
}

/// Stricter than [`reference`]: who the customer is must be opaque, so eight digits in a row are
/// refused as well.
fn customer(text: &str) -> bool {
    let longest_run = text
        .split(|c: char| !c.is_ascii_digit())
        .map(str::len)
        .max()
        .unwrap_or(0);
    let all_hex = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    reference(text)
        && (longest_run < 8 || (all_hex && text.bytes().any(|b| b.is_ascii_alphabetic())))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr, $rule:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks the text once; afterwards it is known to be good.
            ///
            /// # Errors
            /// [`BadId`] with the rule.
            pub fn parse(text: impl Into<String>) -> Result<Self, BadId> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err(BadId { kind: $kind, rule: $rule }) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::parse(text)
            }
        }
    )+};
}

fn prefixed(text: &str, prefix: &str, length: usize) -> bool {
    let base32 = |b: u8| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b);
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == length && rest.bytes().all(base32))
}

ids! {
    /// Whose money it is. Every client, view row and stream belongs to one merchant.
    MerchantId, "merchant id", slug, SLUG_RULE;
    /// An API caller (`shop-bot`, `backend`).
    ClientId, "client id", slug, SLUG_RULE;
    /// A person who operates the ledger. Opaque; names live elsewhere.
    OperatorId, "operator id", slug, SLUG_RULE;
    /// A receiver of events (`crm`, `erp`).
    SubscriberId, "subscriber id", slug, SLUG_RULE;
    /// A way of selling with its own rules (`telegram-shop`).
    ScenarioId, "scenario id", slug, SLUG_RULE;
    /// A kind of provider (`sim`, `stripe`, `generic`).
    ProviderCode, "provider code", slug, SLUG_RULE;
    /// One merchant account at one provider; unique per instance and bound to its merchant.
    AccountSlug, "provider account", slug, SLUG_RULE;
    /// A priced item of the catalogue.
    ItemCode, "item code", slug, SLUG_RULE;
    /// The name of one secret or signing key. Never the key itself.
    KeyId, "key id", slug, SLUG_RULE;

    /// The shop's own order number.
    OrderId, "order id", reference, REFERENCE_RULE;
    /// Opaque reference to the customer in the shop's systems. Never a chat id, phone or e-mail.
    CustomerRef, "customer reference", customer,
        "1 to 100 printable ASCII characters without spaces, '@', or eight digits in a row (UUIDs are fine)";
    /// What the shop calls one cart or conversation; repeated on everything that follows from it.
    CorrelationId, "correlation id", reference, REFERENCE_RULE;
    /// An identifier that a provider uses for an order, a session or a movement of money.
    ProviderRef, "provider reference",
        |text| (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()),
        "1 to 200 printable ASCII characters without spaces";
    /// The `Idempotency-Key` of a request.
    IdempotencyKey, "idempotency key",
        |text| (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()),
        "1 to 255 printable ASCII characters without spaces";
    /// A short code for why somebody decided something (`bank_confirmed_by_phone`).
    ReasonCode, "reason code", slug, SLUG_RULE;

    /// A payment request: `pr_` and 26 characters.
    PaymentRequestId, "payment request id", |text| prefixed(text, "pr_", 26), "pr_ and 26 characters of a-z, 2-7";
    /// A quote: `qt_` and 26 characters.
    QuoteId, "quote id", |text| prefixed(text, "qt_", 26), "qt_ and 26 characters of a-z, 2-7";
    /// A refund that we ask a provider for: `rf_` and 26 characters.
    RefundId, "refund id", |text| prefixed(text, "rf_", 26), "rf_ and 26 characters of a-z, 2-7";
    /// A proposed override or revocation: `ov_` and 26 characters.
    ProposalId, "proposal id", |text| prefixed(text, "ov_", 26), "ov_ and 26 characters of a-z, 2-7";
    /// A movement of money between requests: `tr_` and 26 characters.
    TransferId, "transfer id", |text| prefixed(text, "tr_", 26), "tr_ and 26 characters of a-z, 2-7";
    /// Many failed deliveries, decided in one go: `bat_` and 26 characters.
    BatchId, "batch id", |text| prefixed(text, "bat_", 26), "bat_ and 26 characters of a-z, 2-7";
    /// One event for one subscriber: `dlv_` and 32 characters.
    DeliveryId, "delivery id", |text| prefixed(text, "dlv_", 32), "dlv_ and 32 characters of a-z, 2-7";
    /// An exception's case: its stream, `~` and a number.
    CaseId, "case id",
        |text| text.split_once('~').is_some_and(|(stream, n)| !stream.is_empty() && n.parse::<u32>().is_ok()),
        "a stream name, '~' and a number";
}

/// Id of one event: a UUIDv7, drawn once per decision and sent again by every retry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId(uuid::Uuid);

impl EventId {
    /// Takes any UUID: an id that was drawn elsewhere, or one of a test.
    pub fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(uuid)
    }

    /// A UUIDv7 (RFC 9562) from a time in milliseconds and 10 random bytes.
    pub fn from_parts(millis: u64, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// From its text.
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::parse_str(text).ok().map(Self)
    }

    /// Its 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_lower_case_words() {
        for good in ["a", "shop-bot", "telegram_shop", "1c"] {
            assert!(MerchantId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a b", "a.b", "ab/c", &"a".repeat(41)] {
            assert!(MerchantId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn references_are_business_and_not_people() {
        for good in ["1001", "order-1001", "2026/11/25-17", "20261125001"] {
            assert!(OrderId::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a@b.am",
            "+37491123456",
            "(374)91123456",
            "0037491123456",
            "a b",
            "a\nb",
        ] {
            assert!(OrderId::parse(bad).is_err(), "{bad}");
        }
        for good in ["c-17", "0190f3b2-7f4e-7c1a-8e55-0123456789ab", "customer_9"] {
            assert!(CustomerRef::parse(good).is_ok(), "{good}");
        }
        for bad in ["37491123456", "chat:123456789", "x@y", "+37491123456"] {
            assert!(CustomerRef::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn prefixed_ids_have_one_form() {
        assert!(PaymentRequestId::parse(format!("pr_{}", "a2".repeat(13))).is_ok());
        for bad in [
            "pr_",
            "pr_A",
            "qt_aaaaaaaaaaaaaaaaaaaaaaaaaa",
            "pr_aaaaaaaaaaaaaaaaaaaaaaaaa1",
        ] {
            assert!(PaymentRequestId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn event_ids_sort_by_time() {
        let early = EventId::from_parts(1_000, [255; 10]);
        let late = EventId::from_parts(1_001, [0; 10]);
        assert!(early < late);
        assert_eq!(EventId::parse(&early.to_string()), Some(early));
    }
}
