//! The events of `payment_request-<id>`. Wire names are written out; a rename of a Rust identifier
//! never rewrites history.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::evidence::EvidenceClass;
use super::exception::{ExceptionKind, Severity};
use super::terms::Terms;
use crate::codec::DomainEvent;
use crate::ids::{AccountSlug, CaseId, PaymentRequestId, ProviderCode, ProviderRef};
use crate::money::{MinorText, Money, Sum};
use crate::time::{ProviderTime, Timestamp};

/// Identity of one movement of money: (provider, account, transaction), canonicalised by the
/// provider's adapter. It pays one request, ever.
///
/// On every wire it is one text, `<provider>/<account>/<transaction>`; only the last part may hold
/// a slash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaptureKey {
    /// The provider.
    pub provider: ProviderCode,
    /// The account.
    pub account: AccountSlug,
    /// The provider's transaction.
    pub transaction: ProviderRef,
}

impl fmt::Display for CaptureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.provider, self.account, self.transaction)
    }
}

impl CaptureKey {
    /// From its text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        Some(Self {
            provider: ProviderCode::parse(parts.next()?).ok()?,
            account: AccountSlug::parse(parts.next()?).ok()?,
            transaction: ProviderRef::parse(parts.next()?).ok()?,
        })
    }
}

impl Serialize for CaptureKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CaptureKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not <provider>/<account>/<transaction>"))
    }
}

impl fmt::Debug for CaptureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Something that happened to a payment request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// The terms are fixed.
    #[serde(rename = "PaymentRequestCreated")]
    Created(Box<Terms>),
    /// An attempt is about to be registered. Written before the provider is called.
    #[serde(rename = "AttemptStarted")]
    AttemptStarted {
        /// 1, 2, 3 ...
        attempt_no: u32,
        /// The provider.
        provider: ProviderCode,
        /// The account.
        account: AccountSlug,
        /// What the provider will call it back to us: `<request>-<n>`.
        our_reference: ProviderRef,
        /// The remaining amount.
        amount: Money,
        /// End of the provider's session, as asked for.
        session_expires_at: Timestamp,
    },
    /// The provider knows the attempt.
    #[serde(rename = "AttemptRegistered")]
    AttemptRegistered {
        /// Which.
        attempt_no: u32,
        /// The provider's order or session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider_order_ref: Option<ProviderRef>,
        /// Where the payer pays.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pay_url: Option<String>,
        /// End of the provider's session, as the provider set it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session_expires_at: Option<Timestamp>,
    },
    /// Nobody knows whether the provider registered it. Only look-ups follow.
    #[serde(rename = "AttemptUncertain")]
    AttemptUncertain {
        /// Which.
        attempt_no: u32,
        /// `timeout`, `interrupted`, `connect` ...
        why: String,
    },
    /// A provider or bot asked whether the attempt may be paid.
    #[serde(rename = "AttemptPrechecked")]
    AttemptPrechecked {
        /// Which.
        attempt_no: u32,
        /// The answer.
        verdict: PrecheckVerdict,
    },
    /// The attempt moved on.
    #[serde(rename = "AttemptProgressed")]
    AttemptProgressed {
        /// Which.
        attempt_no: u32,
        /// How far.
        state: Progress,
    },
    /// The attempt ended unpaid. The request did not: the next attempt may succeed.
    #[serde(rename = "AttemptFailed")]
    AttemptFailed {
        /// Which.
        attempt_no: u32,
        /// How.
        why: AttemptEnd,
        /// The provider's own word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider_status: Option<String>,
    },
    /// Money came. Every minor unit of it is applied or unapplied.
    #[serde(rename = "PaymentCaptured")]
    PaymentCaptured {
        /// Which movement of money.
        capture: CaptureKey,
        /// Through which attempt.
        attempt_no: u32,
        /// How much.
        amount: Money,
        /// Of that, towards what is due.
        applied: MinorText,
        /// Of that, waiting for a person.
        unapplied: MinorText,
        /// Why something is unapplied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<ExceptionKind>,
        /// How well it is proved.
        class: EvidenceClass,
        /// When, by the provider.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider_time: Option<ProviderTime>,
        /// The provider's own word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider_status: Option<String>,
    },
    /// Applied money became unapplied (row D9).
    #[serde(rename = "CaptureUnapplied")]
    CaptureUnapplied {
        /// Of which capture.
        capture: CaptureKey,
        /// How much.
        minor: MinorText,
        /// Why.
        why: ExceptionKind,
    },
    /// The order is paid. At most once between revocations.
    #[serde(rename = "PaymentVerified")]
    PaymentVerified {
        /// How it was proved.
        method: VerificationMethod,
        /// The money that was decisive.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capture: Option<CaptureKey>,
        /// What was applied in all.
        amount: Sum,
        /// When the payment completed, by the provider.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        paid_at: Option<Timestamp>,
        /// True only for money that was accepted after the request had closed.
        late: bool,
        /// What is due minus what was applied (row D5); 0 otherwise.
        rounding_minor: MinorText,
    },
    /// Not payable any more.
    #[serde(rename = "PaymentRequestExpired")]
    Expired {
        /// True when the provider's real status was known.
        confirmed: bool,
    },
    /// It should have expired, but something is under way.
    #[serde(rename = "ExpiryDeferred")]
    ExpiryDeferred {
        /// Ask again then.
        until: Timestamp,
        /// What is under way.
        why: DeferredWhy,
    },
    /// Called off.
    #[serde(rename = "PaymentRequestCancelled")]
    Cancelled {
        /// How.
        by: CancelledBy,
        /// The request that replaces it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        superseded_by: Option<PaymentRequestId>,
    },
    /// Money of a capture went back.
    #[serde(rename = "RefundSettled")]
    RefundSettled {
        /// Of which capture.
        capture: CaptureKey,
        /// Refund or void.
        kind: RefundKind,
        /// The provider's id of the reversal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reversal: Option<ProviderRef>,
        /// Out of the applied part.
        applied: MinorText,
        /// Out of the unapplied part.
        unapplied: MinorText,
        /// Everything of this capture that went back so far.
        cumulative: Sum,
        /// True when we asked for it.
        requested: bool,
    },
    /// A settled refund came back to us.
    #[serde(rename = "RefundReversed")]
    RefundReversed {
        /// Of which capture.
        capture: CaptureKey,
        /// The provider's id of the reversal.
        reversal: ProviderRef,
        /// Back into the applied part.
        applied: MinorText,
        /// Back into the unapplied part.
        unapplied: MinorText,
    },
    /// The payer's bank disputes a capture.
    #[serde(rename = "DisputeOpened")]
    DisputeOpened {
        /// The provider's id of the dispute.
        dispute: ProviderRef,
        /// Of which capture.
        capture: CaptureKey,
        /// How much.
        amount: Money,
        /// The provider's reason code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Answer it before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_by: Option<Timestamp>,
    },
    /// The dispute ended.
    #[serde(rename = "DisputeClosed")]
    DisputeClosed {
        /// Which.
        dispute: ProviderRef,
        /// Of which capture.
        capture: CaptureKey,
        /// How.
        outcome: DisputeOutcome,
        /// Lost out of the applied part.
        applied: MinorText,
        /// Lost out of the unapplied part.
        unapplied: MinorText,
    },
    /// A customer told or showed us something. Never proof.
    #[serde(rename = "PayerNoticeRecorded")]
    PayerNoticeRecorded {
        /// What.
        kind: NoticeKind,
        /// Media type of the sealed evidence.
        media: String,
        /// Its length in bytes.
        bytes: u32,
    },
    /// A person must decide something.
    #[serde(rename = "ExceptionOpened")]
    ExceptionOpened {
        /// The case.
        case: CaseId,
        /// What is out of order.
        kind: ExceptionKind,
        /// How urgent.
        severity: Severity,
        /// Decide before.
        due: Timestamp,
        /// What it is about, so that a repeat opens no second case.
        about: String,
        /// The money that it holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capture: Option<CaptureKey>,
    },
    /// The case is closed.
    #[serde(rename = "ExceptionResolved")]
    ExceptionResolved {
        /// The case.
        case: CaseId,
        /// How.
        resolution: Resolution,
    },
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("PaymentRequestCreated", 1),
        ("AttemptStarted", 1),
        ("AttemptRegistered", 1),
        ("AttemptUncertain", 1),
        ("AttemptPrechecked", 1),
        ("AttemptProgressed", 1),
        ("AttemptFailed", 1),
        ("PaymentCaptured", 1),
        ("CaptureUnapplied", 1),
        ("PaymentVerified", 1),
        ("PaymentRequestExpired", 1),
        ("ExpiryDeferred", 1),
        ("PaymentRequestCancelled", 1),
        ("RefundSettled", 1),
        ("RefundReversed", 1),
        ("DisputeOpened", 1),
        ("DisputeClosed", 1),
        ("PayerNoticeRecorded", 1),
        ("ExceptionOpened", 1),
        ("ExceptionResolved", 1),
    ];
}

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
    /// The event that it waited for came (a dispute was decided).
    #[serde(rename = "settled")]
    Settled,
    /// A person found nothing to do.
    #[serde(rename = "dismissed")]
    Dismissed,
}
