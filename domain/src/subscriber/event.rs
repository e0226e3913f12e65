//! The events of `subscriber-<id>`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::batch::DeliveryBatch;
use super::headers::StaticHeaders;
use super::policy::DeliveryPolicy;
use super::wants::Wants;
use crate::codec::DomainEvent;
use crate::ids::{BatchId, KeyId, MerchantId, SubscriberId};
use crate::time::Timestamp;

/// The events of a subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// It exists, and gets what happens from here on.
    #[serde(rename = "SubscriberRegistered")]
    Registered {
        /// The subscriber.
        id: SubscriberId,
        /// Its merchant.
        merchant: MerchantId,
        /// Where events are sent; absent where they are only fetched.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// What it hears.
        wants: Wants,
    },
    /// It moved.
    #[serde(rename = "EndpointChanged")]
    EndpointChanged {
        /// Where events are sent from here on; absent where they are only fetched.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// It hears something else from here on.
    #[serde(rename = "SubscriptionChanged")]
    SubscriptionChanged {
        /// What it hears.
        wants: Wants,
    },
    /// It is served otherwise from here on.
    #[serde(rename = "DeliveryPolicyChanged")]
    DeliveryPolicyChanged {
        /// How.
        policy: DeliveryPolicy,
    },
    /// Its requests carry other headers from here on.
    #[serde(rename = "StaticHeadersChanged")]
    StaticHeadersChanged {
        /// Which; none for none.
        headers: StaticHeaders,
    },
    /// A signing key is in use. What is secret of it is in the keyring.
    #[serde(rename = "SigningKeyAdded")]
    SigningKeyAdded {
        /// Its name.
        key_id: KeyId,
        /// How it signs.
        scheme: KeyScheme,
    },
    /// A signing key is being exchanged for another.
    #[serde(rename = "SigningKeyRetired")]
    SigningKeyRetired {
        /// Its name.
        key_id: KeyId,
        /// It signs beside the new one until then.
        valid_until: Timestamp,
    },
    /// What happened before shall be sent too, as far as it was not.
    #[serde(rename = "BackfillRequested")]
    BackfillRequested {
        /// What the ledger recorded at this time or later ...
        from: Timestamp,
        /// ... and before this one.
        to: Timestamp,
        /// Only these payment requests or other subjects; empty for all.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        subjects: BTreeSet<String>,
    },
    /// Deliveries wait.
    #[serde(rename = "SubscriberPaused")]
    Paused {
        /// Who or what: `operator`, `gone` (it answered 410).
        why: PausedWhy,
    },
    /// Deliveries go on.
    #[serde(rename = "SubscriberResumed")]
    Resumed {},
    /// It fails so often that it is left alone, except for probes.
    #[serde(rename = "CircuitOpened")]
    CircuitOpened {
        /// Since when.
        since: Timestamp,
    },
    /// It answers again.
    #[serde(rename = "CircuitClosed")]
    CircuitClosed {},
    /// Somebody wants to see a test event arrive.
    #[serde(rename = "SubscriberTestRequested")]
    TestRequested {},
    /// Somebody decides many failed deliveries in one go: those that are on the failed list here.
    #[serde(rename = "DeliveryBatchRequested")]
    BatchRequested {
        /// What and which.
        batch: DeliveryBatch,
    },
    /// Each of them was carried out, or somebody else had decided it before its turn came.
    #[serde(rename = "DeliveryBatchFinished")]
    BatchFinished {
        /// Which batch.
        batch: BatchId,
        /// Carried out.
        done: u64,
        /// Decided before their turn came.
        skipped: u64,
    },
    /// What is left of it is left as it is.
    #[serde(rename = "DeliveryBatchCancelled")]
    BatchCancelled {
        /// Which batch.
        batch: BatchId,
    },
    /// It gets nothing any more.
    #[serde(rename = "SubscriberRemoved")]
    Removed {},
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("SubscriberRegistered", 1),
        ("EndpointChanged", 1),
        ("SubscriptionChanged", 1),
        ("DeliveryPolicyChanged", 1),
        ("StaticHeadersChanged", 1),
        ("SigningKeyAdded", 1),
        ("SigningKeyRetired", 1),
        ("BackfillRequested", 1),
        ("SubscriberPaused", 1),
        ("SubscriberResumed", 1),
        ("CircuitOpened", 1),
        ("CircuitClosed", 1),
        ("SubscriberTestRequested", 1),
        ("DeliveryBatchRequested", 1),
        ("DeliveryBatchFinished", 1),
        ("DeliveryBatchCancelled", 1),
        ("SubscriberRemoved", 1),
    ];
}

/// How a key signs (Standard Webhooks).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scheme")]
pub enum KeyScheme {
    /// HMAC-SHA-256 with a secret that both sides know.
    #[serde(rename = "v1")]
    V1 {},
    /// Ed25519: receivers need the public key only.
    #[serde(rename = "v1a")]
    V1a {
        /// `whpk_` and base64 of its 32 bytes.
        public_key: String,
    },
}

/// Why deliveries wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PausedWhy {
    /// A person said so.
    #[serde(rename = "operator")]
    Operator,
    /// It answered 410 Gone.
    #[serde(rename = "gone")]
    Gone,
}
