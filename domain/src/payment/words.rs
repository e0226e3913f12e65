//! The words that events are made of. Wire names are written out, one by one.

use serde::{Deserialize, Serialize};

use super::evidence::EvidenceClass;

/// Answer to a precheck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict")]
pub enum PrecheckVerdict {
    /// It may be paid.
    #[serde(rename = "allowed")]
    Allowed {},
    /// It may not.
    #[serde(rename = "refused")]
    Refused {
        /// Why.
        reason: PrecheckRefusal,
    },
}

/// Why an attempt may not be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PrecheckRefusal {
    /// Paid, expired or cancelled (row A9).
    #[serde(rename = "not_payable")]
    NotPayable,
    /// Another amount than ours (row A10).
    #[serde(rename = "amount")]
    Amount,
    /// Another currency than ours (row A10).
    #[serde(rename = "currency")]
    Currency,
    /// Another merchant account than ours (row A10).
    #[serde(rename = "account")]
    Account,
    /// Another attempt is paid, or may be (row A8).
    #[serde(rename = "other_attempt")]
    OtherAttempt,
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// The payer is at it.
    #[serde(rename = "processing")]
    Processing,
    /// Money is held.
    #[serde(rename = "authorised")]
    Authorised,
    /// The provider could not say.
    #[serde(rename = "unknown")]
    Unknown,
}

/// How an attempt ended unpaid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptEnd {
    /// The payment was declined.
    #[serde(rename = "declined")]
    Declined,
    /// The provider's session ended.
    #[serde(rename = "session_expired")]
    SessionExpired,
    /// The provider refused to register it.
    #[serde(rename = "not_registered")]
    NotRegistered,
}

/// How a payment was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerificationMethod {
    /// A signed notification that carries all terms.
    #[serde(rename = "signed_notification")]
    SignedNotification,
    /// Our own question to the provider.
    #[serde(rename = "status_lookup")]
    StatusLookup,
    /// A settlement file.
    #[serde(rename = "settlement")]
    Settlement,
    /// People decided it; money is yet to prove it.
    #[serde(rename = "override")]
    Override,
}

impl VerificationMethod {
    /// The method that a class of evidence stands for.
    pub fn of(class: EvidenceClass) -> Self {
        match class {
            EvidenceClass::PayerNotice
            | EvidenceClass::Unsigned
            | EvidenceClass::WeaklySigned
            | EvidenceClass::Signed => Self::SignedNotification,
            EvidenceClass::LookedUp => Self::StatusLookup,
            EvidenceClass::Settlement => Self::Settlement,
        }
    }

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignedNotification => "signed_notification",
            Self::StatusLookup => "status_lookup",
            Self::Settlement => "settlement",
            Self::Override => "override",
        }
    }
}

/// Why an expiry waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeferredWhy {
    /// The payer is at it (row E4).
    #[serde(rename = "processing")]
    Processing,
    /// The provider could not say (row E5).
    #[serde(rename = "unknown")]
    Unknown,
}

/// Who called it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CancelledBy {
    /// The shop.
    #[serde(rename = "client")]
    Client,
    /// Another request that replaces it.
    #[serde(rename = "superseded")]
    Superseded,
    /// People took back that it was paid (row H7).
    #[serde(rename = "revoked")]
    Revoked,
}

/// How money went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefundKind {
    /// After settlement.
    #[serde(rename = "refund")]
    Refund,
    /// Before settlement.
    #[serde(rename = "void")]
    Void,
}

/// How a dispute ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DisputeOutcome {
    /// For us.
    #[serde(rename = "won")]
    Won,
    /// Against us.
    #[serde(rename = "lost")]
    Lost,
}

/// What a customer gave us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoticeKind {
    /// A picture of a receipt.
    #[serde(rename = "screenshot")]
    Screenshot,
    /// A text.
    #[serde(rename = "message")]
    Message,
    /// They came back from the provider's success page.
    #[serde(rename = "success_page")]
    SuccessPage,
}

/// How a case was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resolution {
    /// The event that it waited for came: a dispute was decided, an override was proved, a refund has
    /// its answer.
    #[serde(rename = "settled")]
    Settled,
    /// Its money counts towards the order now (row E9), or an unproven override is written off.
    #[serde(rename = "accepted")]
    Accepted,
    /// Its money went back (row E10).
    #[serde(rename = "refunded")]
    Refunded,
    /// Its money pays another request (row E15).
    #[serde(rename = "reassigned")]
    Reassigned,
    /// Its money is the shop's income.
    #[serde(rename = "kept_as_income")]
    KeptAsIncome,
    /// A person found nothing to do.
    #[serde(rename = "dismissed")]
    Dismissed,
}

impl Resolution {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Accepted => "accepted",
            Self::Refunded => "refunded",
            Self::Reassigned => "reassigned",
            Self::KeptAsIncome => "kept_as_income",
            Self::Dismissed => "dismissed",
        }
    }
}

/// Which part of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// What counts towards the order.
    #[serde(rename = "applied")]
    Applied,
    /// What waits for a person.
    #[serde(rename = "unapplied")]
    Unapplied,
}

/// What people want to decide against the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proposed {
    /// It counts as paid (rows H2, H4).
    #[serde(rename = "pay")]
    Pay,
    /// It does not count as paid any more (row H7).
    #[serde(rename = "revoke")]
    Revoke,
}

/// What a proposal rests on. *None* is said, never left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grounds {
    /// Sealed evidence; the record names it.
    #[serde(rename = "attached")]
    Attached,
    /// Nothing but the reason.
    #[serde(rename = "none")]
    None,
}

/// Why a proposal ended without its decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RejectedWhy {
    /// A person said no.
    #[serde(rename = "rejected")]
    Rejected,
    /// What it was made on changed, or a day passed (row H8).
    #[serde(rename = "lapsed")]
    Lapsed,
}
