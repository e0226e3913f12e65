//! Sealed parts: what an immutable record may hold of personal or free text, encrypted under a key
//! that can be destroyed.

use serde::{Deserialize, Serialize};

use crate::digest::Digest32;
use crate::ids::{CustomerRef, EventId, MerchantId, PaymentRequestId};
use crate::stream::StreamId;

/// An encrypted part of a record: XChaCha20-Poly1305 under the data key `k`, bound to its place by
/// [`Place::associated_data`]. Base64 (standard, padded) on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Id of the data key.
    pub k: String,
    /// Nonce, 24 bytes.
    pub n: String,
    /// Ciphertext with its tag; the plaintext was padded to 32-byte steps.
    pub c: String,
}

/// Whose data key seals something. Destroying the key is what erases the data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyScope {
    /// One person's data at one merchant.
    Subject {
        /// The merchant.
        merchant: MerchantId,
        /// The person, opaque.
        subject: CustomerRef,
    },
    /// Raw evidence about one payment request.
    PaymentRequest {
        /// The merchant.
        merchant: MerchantId,
        /// The request.
        id: PaymentRequestId,
    },
    /// Raw bytes of a notification that named no known request.
    Notification {
        /// The merchant of the authenticated account.
        merchant: MerchantId,
        /// The notification's stream.
        stream: StreamId,
    },
    /// Reasons and notes of operators; outlives a customer's erasure.
    Notes {
        /// The merchant.
        merchant: MerchantId,
    },
}

impl KeyScope {
    /// The merchant whose key it is.
    pub fn merchant(&self) -> &MerchantId {
        match self {
            Self::Subject { merchant, .. }
            | Self::PaymentRequest { merchant, .. }
            | Self::Notification { merchant, .. }
            | Self::Notes { merchant } => merchant,
        }
    }

    /// What the key is for, as the keyring stores it: `subject:<ref>`, `payment_request:<id>`,
    /// `notification:<stream>`, `notes`.
    pub fn purpose(&self) -> String {
        match self {
            Self::Subject { subject, .. } => format!("subject:{subject}"),
            Self::PaymentRequest { id, .. } => format!("payment_request:{id}"),
            Self::Notification { stream, .. } => format!("notification:{stream}"),
            Self::Notes { .. } => "notes".to_owned(),
        }
    }
}

/// Where a sealed part stands. Part of what is authenticated, so that a ciphertext cannot be moved
/// to another event or field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'a> {
    /// Name of the log.
    pub origin: &'a str,
    /// Stream of the record.
    pub stream: &'a StreamId,
    /// Id of the record.
    pub event_id: EventId,
    /// Path of the field (`reason.text`, `pii.note`).
    pub field: &'a str,
}

impl Place<'_> {
    /// `counterfoil-pii/1`, origin, stream, event id, field and key id, each led by its length.
    pub fn associated_data(&self, key_id: &str) -> Vec<u8> {
        let event_id = self.event_id.to_string();
        let parts = [
            "counterfoil-pii/1",
            self.origin,
            self.stream.as_str(),
            &event_id,
            self.field,
            key_id,
        ];
        let mut data = Vec::new();
        for part in parts {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

/// `SHA-256(nonce || bytes)` of something in the evidence store. The nonce (32 random bytes) is
/// kept with the sealed blob, so that after its destruction the commitment tells nothing, not even
/// about bytes that could be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Commitment(pub Digest32);

impl Commitment {
    /// Commits to `bytes`.
    pub fn to(nonce: &[u8; 32], bytes: &[u8]) -> Self {
        Self(Digest32::sha256(&[nonce, bytes]))
    }
}

/// What a record says about a piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceRef {
    /// `notification`, `look_up`, `payer_notice`.
    pub kind: String,
    /// Name of the sealed blob and proof of its content.
    pub commitment: Commitment,
    /// Media type.
    pub media: String,
    /// The provider's or sender's own id for it, if any.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}
