//! Streams: `<category>-<key>`, and versions that count from zero.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digest32;
use crate::ids::{
    AccountSlug, ClientId, DeliveryId, MerchantId, OperatorId, PaymentRequestId, QuoteId,
    SubscriberId,
};

/// What kind of thing a stream tells about. The text before the first `-` of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// One payment request.
    PaymentRequest,
    /// An amount fixed by a backend.
    Quote,
    /// One authenticated provider notification and what became of it.
    Notification,
    /// Provider money that no request explains.
    Unmatched,
    /// An exception that belongs to no request.
    Case,
    /// Integer order numbers for one provider account.
    ReferenceSequence,
    /// A subscriber's settings.
    Subscriber,
    /// The outcomes of one delivery.
    Delivery,
    /// An API caller.
    Client,
    /// A person.
    Operator,
    /// The instance itself.
    Instance,
    /// The configuration that was in force for a merchant.
    Config,
    /// Operators' decisions on a view.
    Projection,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::PaymentRequest,
        Self::Quote,
        Self::Notification,
        Self::Unmatched,
        Self::Case,
        Self::ReferenceSequence,
        Self::Subscriber,
        Self::Delivery,
        Self::Client,
        Self::Operator,
        Self::Instance,
        Self::Config,
        Self::Projection,
    ];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PaymentRequest => "payment_request",
            Self::Quote => "quote",
            Self::Notification => "notification",
            Self::Unmatched => "unmatched",
            Self::Case => "case",
            Self::ReferenceSequence => "reference_sequence",
            Self::Subscriber => "subscriber",
            Self::Delivery => "delivery",
            Self::Client => "client",
            Self::Operator => "operator",
            Self::Instance => "instance",
            Self::Config => "config",
            Self::Projection => "projection",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|category| category.as_str() == text)
    }
}

/// Name of a stream. At most 200 characters of `a-z 0-9 _ -`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(String);

/// The text is no stream name of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a stream name: <category>-<key>, for example payment_request-pr_...")]
pub struct BadStreamId;

impl StreamId {
    /// Checks a name that came from outside.
    ///
    /// # Errors
    /// [`BadStreamId`].
    pub fn parse(text: impl Into<String>) -> Result<Self, BadStreamId> {
        let text = text.into();
        let allowed =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        let (category, key) = text.split_once('-').unwrap_or((&text, ""));
        let known = Category::parse(category).ok_or(BadStreamId)?;
        let keyed = !key.is_empty() || known == Category::Instance;
        if keyed && text.len() <= 200 && text.bytes().all(allowed) {
            Ok(Self(text))
        } else {
            Err(BadStreamId)
        }
    }

    fn of(category: Category, key: &str) -> Self {
        Self(format!("{}-{key}", category.as_str()))
    }

    /// `payment_request-<id>`.
    pub fn payment_request(id: &PaymentRequestId) -> Self {
        Self::of(Category::PaymentRequest, id.as_str())
    }

    /// `quote-<id>`.
    pub fn quote(id: &QuoteId) -> Self {
        Self::of(Category::Quote, id.as_str())
    }

    /// `notification-<hmac of the signed bytes>`.
    pub fn notification(digest: &Digest32) -> Self {
        Self::of(Category::Notification, &digest.short())
    }

    /// `unmatched-<hmac of the capture's identity>`.
    pub fn unmatched(digest: &Digest32) -> Self {
        Self::of(Category::Unmatched, &digest.short())
    }

    /// `case-<hmac of class and keys>`.
    pub fn case(digest: &Digest32) -> Self {
        Self::of(Category::Case, &digest.short())
    }

    /// `reference_sequence-<account>`.
    pub fn reference_sequence(account: &AccountSlug) -> Self {
        Self::of(Category::ReferenceSequence, account.as_str())
    }

    /// `subscriber-<id>`.
    pub fn subscriber(id: &SubscriberId) -> Self {
        Self::of(Category::Subscriber, id.as_str())
    }

    /// `delivery-<id>`.
    pub fn delivery(id: &DeliveryId) -> Self {
        Self::of(Category::Delivery, id.as_str())
    }

    /// `client-<id>`.
    pub fn client(id: &ClientId) -> Self {
        Self::of(Category::Client, id.as_str())
    }

    /// `operator-<id>`.
    pub fn operator(id: &OperatorId) -> Self {
        Self::of(Category::Operator, id.as_str())
    }

    /// `instance`.
    pub fn instance() -> Self {
        Self(Category::Instance.as_str().to_owned())
    }

    /// `config-<merchant>`.
    pub fn config(merchant: &MerchantId) -> Self {
        Self::of(Category::Config, merchant.as_str())
    }

    /// `projection-<name>`.
    pub fn projection(name: &str) -> Self {
        Self::of(Category::Projection, name)
    }

    /// What kind of thing it tells about.
    pub fn category(&self) -> Category {
        let name = self
            .0
            .split_once('-')
            .map_or(self.0.as_str(), |(category, _)| category);
        Category::parse(name).unwrap_or(Category::Instance)
    }

    /// The text after the category; empty for `instance`.
    pub fn key(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, key)| key)
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for StreamId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Place of an event in its stream: 0, 1, 2 ... without gaps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// The first event's.
    pub const FIRST: Self = Self(0);

    /// The version after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let request = PaymentRequestId::parse(format!("pr_{}", "a".repeat(26))).unwrap();
        let stream = StreamId::payment_request(&request);
        assert_eq!(stream.category(), Category::PaymentRequest);
        assert_eq!(stream.key(), request.as_str());
        assert_eq!(StreamId::parse(stream.as_str()).unwrap(), stream);
        assert_eq!(
            StreamId::parse("instance").unwrap().category(),
            Category::Instance
        );
        for bad in [
            "",
            "payment_request",
            "payment_request-",
            "nothing-x",
            "quote-A",
            "quote-a b",
        ] {
            assert!(StreamId::parse(bad).is_err(), "{bad}");
        }
    }
}
