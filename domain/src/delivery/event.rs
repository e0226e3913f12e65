//! The outcomes of one delivery: ledger records, never deleted.

use serde::{Deserialize, Serialize};

use super::pull::{Consumer, PullCursor};
use crate::codec::DomainEvent;
use crate::digest::Digest32;
use crate::ids::{BatchId, EventId, KeyId, SubscriberId};
use crate::time::Timestamp;

/// The events of `delivery-<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// The receiver answered 2xx.
    #[serde(rename = "DeliverySucceeded")]
    Succeeded {
        /// Which pair.
        of: Pair,
        /// Which try of this generation.
        attempt_no: u32,
        /// 1, and one more after each redrive.
        generation: u32,
        /// The status.
        http_status: u16,
        /// How long it took.
        latency_ms: u32,
        /// SHA-256 of the body that was sent.
        body_sha256: Digest32,
        /// Names of the keys that signed it.
        key_ids: Vec<KeyId>,
        /// When it was sent.
        sent_at: Timestamp,
        /// The receiver's own document number, where it gives one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receiver_ref: Option<String>,
        /// SHA-256 of the URL that it was sent to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint_url_sha256: Option<Digest32>,
    },
    /// A try failed; another follows.
    #[serde(rename = "DeliveryAttemptFailed")]
    AttemptFailed {
        /// Which pair.
        of: Pair,
        /// Which try of this generation.
        attempt_no: u32,
        /// 1, and one more after each redrive.
        generation: u32,
        /// How it failed.
        class: FailureClass,
        /// The status, where there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        http_status: Option<u16>,
        /// When the next try is due.
        next_try_at: Timestamp,
        /// The request of this try.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tried: Option<Tried>,
    },
    /// It is given up until somebody redrives it.
    #[serde(rename = "DeliveryDeadLettered")]
    DeadLettered {
        /// Which pair.
        of: Pair,
        /// Why.
        reason: DeadReason,
        /// Tries of this generation.
        attempts: u32,
        /// 1, and one more after each redrive.
        generation: u32,
        /// The last status, where there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        http_status: Option<u16>,
        /// How the last try failed; absent where no try ended it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<FailureClass>,
        /// The request of the last try; absent where no try ended it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tried: Option<Tried>,
    },
    /// It is our own fault that it cannot be sent; it waits until somebody redrives it.
    #[serde(rename = "DeliveryQuarantined")]
    Quarantined {
        /// Which pair.
        of: Pair,
        /// What is wrong.
        fault: OurFault,
        /// Recorded tries of this generation.
        attempts: u32,
        /// 1, and one more after each redrive.
        generation: u32,
    },
    /// Its schedule starts again.
    #[serde(rename = "DeliveryRedriven")]
    Redriven {
        /// Which pair.
        of: Pair,
        /// The new generation.
        generation: u32,
        /// Among others, by this batch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch: Option<BatchId>,
    },
    /// A person accepts that it never arrives.
    #[serde(rename = "DeliveryAbandoned")]
    Abandoned {
        /// Which pair.
        of: Pair,
        /// Among others, by this batch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch: Option<BatchId>,
    },
    /// The receiver fetched it by itself, and says that it has it.
    #[serde(rename = "DeliveryAcknowledgedByPull")]
    AcknowledgedByPull {
        /// Which pair.
        of: Pair,
        /// Up to where it has its queue.
        cursor: PullCursor,
        /// Who says so.
        consumer: Consumer,
    },
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("DeliverySucceeded", 1),
        ("DeliveryAttemptFailed", 1),
        ("DeliveryDeadLettered", 1),
        ("DeliveryQuarantined", 1),
        ("DeliveryRedriven", 1),
        ("DeliveryAbandoned", 1),
        ("DeliveryAcknowledgedByPull", 1),
    ];
}

/// Which event for which subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The subscriber.
    pub subscriber: SubscriberId,
    /// The ledger event that is told.
    pub event_id: EventId,
}

/// The request of a try that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// When it was sent.
    pub sent_at: Timestamp,
    /// How long it took.
    pub latency_ms: u32,
    /// Names of the keys that signed it.
    pub key_ids: Vec<KeyId>,
    /// SHA-256 of the body.
    pub body_sha256: Digest32,
    /// SHA-256 of the URL that it was sent to.
    pub endpoint_url_sha256: Digest32,
    /// `SHA-256(nonce || excerpt)` of what came back, where something did. Nonce and excerpt are
    /// kept apart from the log, so that they can be erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_commitment: Option<Digest32>,
}

/// How a try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FailureClass {
    /// No whole answer in time.
    #[serde(rename = "timeout")]
    Timeout,
    /// No connection, or it broke.
    #[serde(rename = "connect")]
    Connect,
    /// The name does not resolve.
    #[serde(rename = "dns")]
    Dns,
    /// TLS failed.
    #[serde(rename = "tls")]
    Tls,
    /// The receiver refused it.
    #[serde(rename = "http_4xx")]
    Refused,
    /// The receiver is in trouble.
    #[serde(rename = "http_5xx")]
    ServerError,
    /// The receiver asks for patience (408, 425, 429).
    #[serde(rename = "throttled")]
    Throttled,
    /// A redirect, which is never followed.
    #[serde(rename = "redirect")]
    Redirect,
    /// No live signing key.
    #[serde(rename = "no_key")]
    NoKey,
}

impl FailureClass {
    /// Every class.
    pub const ALL: [Self; 9] = [
        Self::Timeout,
        Self::Connect,
        Self::Dns,
        Self::Tls,
        Self::Refused,
        Self::ServerError,
        Self::Throttled,
        Self::Redirect,
        Self::NoKey,
    ];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Refused => "http_4xx",
            Self::ServerError => "http_5xx",
            Self::Throttled => "throttled",
            Self::Redirect => "redirect",
            Self::NoKey => "no_key",
        }
    }
}

/// Why it was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DeadReason {
    /// Every step of the schedule failed.
    #[serde(rename = "schedule_exhausted")]
    ScheduleExhausted,
    /// The receiver refused it several times.
    #[serde(rename = "rejected_4xx")]
    Rejected,
    /// The receiver is gone.
    #[serde(rename = "gone_410")]
    Gone,
    /// The address may not be called.
    #[serde(rename = "ssrf_blocked")]
    Blocked,
    /// It waited too long for a receiver that does not come back.
    #[serde(rename = "max_age")]
    MaxAge,
}

impl DeadReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::ScheduleExhausted,
        Self::Rejected,
        Self::Gone,
        Self::Blocked,
        Self::MaxAge,
    ];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScheduleExhausted => "schedule_exhausted",
            Self::Rejected => "rejected_4xx",
            Self::Gone => "gone_410",
            Self::Blocked => "ssrf_blocked",
            Self::MaxAge => "max_age",
        }
    }
}

/// What is wrong on our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OurFault {
    /// The queue has no body for it.
    #[serde(rename = "no_body")]
    NoBody,
    /// Try after try began and none was recorded.
    #[serde(rename = "crash_loop")]
    CrashLoop,
}

impl OurFault {
    /// Every fault.
    pub const ALL: [Self; 2] = [Self::NoBody, Self::CrashLoop];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoBody => "no_body",
            Self::CrashLoop => "crash_loop",
        }
    }
}
