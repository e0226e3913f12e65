//! The record: exactly what is stored, hashed and proved.
//!
//! A record is one JSON object in the canonical form of RFC 8785, at most 65,535 bytes, kept
//! verbatim. Stores index its fields in columns, and the columns prove nothing. Its leaf hash is
//! that of RFC 6962: `SHA-256(0x00 || bytes)`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::actor::{Actor, Cause, Reason, Source};
use crate::digest::Digest32;
use crate::ids::{EventId, MerchantId};
use crate::ports::{ClaimSpace, Position};
use crate::sealed::{EvidenceRef, Sealed};
use crate::stream::{StreamId, Version};
use crate::time::Timestamp;

/// Longest record in bytes (entry bundles of C2SP tlog-tiles carry a 16-bit length).
pub const RECORD_BYTES_MAX: usize = 65_535;

/// A claim that an event relies on, so that the claims can be rebuilt from the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimUse {
    /// Namespace.
    pub ns: ClaimSpace,
    /// HMAC of what is claimed.
    pub key: Digest32,
    /// Generation after this append.
    pub generation: u64,
    /// Who had it before, where it was taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<StreamId>,
}

/// The fields of a record. This is the only list of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Format of the record: 1.
    pub v: u8,
    /// Name of the log.
    pub origin: String,
    /// Whose event it is; absent on instance-wide streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<MerchantId>,
    /// The stream.
    pub stream: StreamId,
    /// Its place there.
    pub stream_version: Version,
    /// Its id.
    pub event_id: EventId,
    /// Wire name of the event.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Version of that type's data; older ones are upcast when read.
    pub type_v: u16,
    /// When the ledger wrote it.
    pub recorded_at: Timestamp,
    /// When it happened, as far as the ledger knows.
    pub occurred_at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// For whom, where somebody acts for another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// From where.
    pub source: Source,
    /// From what.
    pub cause: Cause,
    /// Uniqueness it relies on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimUse>,
    /// Why, where a person decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// On which evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceRef>,
    /// What happened. No personal data in clear.
    pub data: serde_json::Value,
    /// Sealed parts by field name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pii: BTreeMap<String, Sealed>,
}

/// Why bytes are not a record, or an envelope cannot become one.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Over [`RECORD_BYTES_MAX`].
    #[error("a record of {bytes} bytes is longer than {RECORD_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not JSON, or fields missing or of the wrong shape.
    #[error("the record cannot be read")]
    Unreadable(#[source] serde_json::Error),
    /// Readable, but not in canonical form: another reader might see something else.
    #[error("the record is not in canonical form")]
    NotCanonical,
}

/// A finished record: bytes that never change again, with the fields that stores index. Cheap to
/// clone; a retry sends the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Id of the event.
    pub event_id: EventId,
    /// Wire name of the event.
    pub event_type: Arc<str>,
    /// Its place in the stream.
    pub version: Version,
    /// The canonical bytes.
    pub bytes: Arc<[u8]>,
}

impl Record {
    /// Writes an envelope in canonical form.
    ///
    /// # Errors
    /// [`RecordError::TooLong`]; [`RecordError::Unreadable`] cannot happen for envelopes of the
    /// ledger's own events.
    pub fn write(envelope: &Envelope) -> Result<Self, RecordError> {
        let bytes = serde_json_canonicalizer::to_vec(envelope).map_err(RecordError::Unreadable)?;
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLong { bytes: bytes.len() });
        }
        Ok(Self {
            event_id: envelope.event_id,
            event_type: envelope.event_type.as_str().into(),
            version: envelope.stream_version,
            bytes: bytes.into(),
        })
    }

    /// The RFC 6962 leaf hash of the bytes.
    pub fn leaf_hash(&self) -> Digest32 {
        leaf_hash(&self.bytes)
    }
}

/// `SHA-256(0x00 || bytes)`.
pub fn leaf_hash(bytes: &[u8]) -> Digest32 {
    Digest32::sha256(&[&[0], bytes])
}

/// A record as a store gives it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its place in the whole log.
    pub position: Position,
    /// The stream.
    pub stream: StreamId,
    /// The record.
    pub record: Record,
}

impl Recorded {
    /// Reads the envelope.
    ///
    /// # Errors
    /// [`RecordError::Unreadable`] when the stored bytes are damaged.
    pub fn envelope(&self) -> Result<Envelope, RecordError> {
        serde_json::from_slice(&self.record.bytes).map_err(RecordError::Unreadable)
    }

    /// Reads the envelope and checks that its bytes are the canonical ones, as a verifier does.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn verified_envelope(&self) -> Result<Envelope, RecordError> {
        let value: serde_json::Value =
            serde_json::from_slice(&self.record.bytes).map_err(RecordError::Unreadable)?;
        let canonical =
            serde_json_canonicalizer::to_vec(&value).map_err(RecordError::Unreadable)?;
        if canonical != *self.record.bytes {
            return Err(RecordError::NotCanonical);
        }
        self.envelope()
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
pub(crate) mod tests;
