//! What can be asked of a payment request, and the rules that say no.

use super::event::{CancelledBy, CaptureKey, NoticeKind};
use super::evidence::AccountRules;
use super::fact::Observation;
use super::label::Label;
use super::terms::Terms;
use crate::ids::{AccountSlug, PaymentRequestId, ProviderCode, ProviderRef};
use crate::money::Money;
use crate::time::Timestamp;

/// An order to a payment request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Fix the terms (rows A1 to A5).
    Create(Box<Terms>),
    /// Write an attempt ahead of its registration (rows A6, A6b, A6c).
    StartAttempt(StartAttempt),
    /// The provider registered it.
    ConfirmAttempt {
        /// Which.
        attempt_no: u32,
        /// The provider's order or session.
        provider_order_ref: Option<ProviderRef>,
        /// Where the payer pays.
        pay_url: Option<String>,
        /// End of the session, by the provider.
        session_expires_at: Option<Timestamp>,
    },
    /// The provider refused it, or a look-up shows that it never was registered.
    RejectAttempt {
        /// Which.
        attempt_no: u32,
        /// The provider's own word.
        provider_status: Option<String>,
    },
    /// Nobody knows whether the provider registered it (row A7).
    DoubtAttempt {
        /// Which.
        attempt_no: u32,
        /// `timeout`, `interrupted` ...
        why: String,
    },
    /// May this attempt be paid? (rows A8 to A10)
    Precheck(Precheck),
    /// What a provider says, from whatever source. Money is never refused.
    RecordFacts(Box<RecordFacts>),
    /// The money of `capture` already pays another request (row G4).
    RecordReuse {
        /// Which money.
        capture: CaptureKey,
    },
    /// Its time is over (rows E1 to E5).
    Expire(ExpiryCheck),
    /// Call it off (rows E12 to E14).
    Cancel {
        /// Who.
        by: CancelledBy,
        /// The request that replaces it.
        superseded_by: Option<PaymentRequestId>,
    },
    /// A customer told or showed us something (row H1).
    RecordNotice {
        /// What.
        kind: NoticeKind,
        /// Media type.
        media: String,
        /// Length in bytes.
        bytes: u32,
    },
}

/// Which account to pay through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartAttempt {
    /// The provider.
    pub provider: ProviderCode,
    /// The account.
    pub account: AccountSlug,
    /// Longest session in seconds that the provider takes.
    pub session_s_max: u32,
}

/// What a provider or bot wants to be told before money moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precheck {
    /// Which attempt.
    pub attempt_no: u32,
    /// The account that asks.
    pub account: AccountSlug,
    /// The amount that would be taken.
    pub amount: Money,
}

/// An observation and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFacts {
    /// What was said.
    pub observation: Observation,
    /// About which attempt.
    pub target: Target,
    /// What the account demands.
    pub rules: AccountRules,
}

/// The attempt that an observation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One that we started.
    Attempt(u32),
    /// One that names this request and that we never started (row G3).
    Foreign(ProviderRef),
}

/// What is known when a request's time is over. Facts of the look-up were recorded before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiryCheck {
    /// Every attempt was asked about, or there is none: not paid (row E1).
    Confirmed,
    /// A payer is still at it (row E4).
    Processing,
    /// The provider could not say (row E5).
    Unknown {
        /// True when the provider has a look-up at all.
        look_up: bool,
    },
}

/// A business rule says no. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such request.
    #[error("there is no such payment request")]
    UnknownRequest,
    /// The stream has its first event already.
    #[error("the payment request exists already")]
    AlreadyCreated,
    /// The expiry lies in the past.
    #[error("the request would be expired from the start")]
    ExpiryInThePast,
    /// Paid already (rows A5, E14).
    #[error("the payment request is paid already")]
    AlreadyPaid,
    /// Expired or cancelled (rows A6c, E14).
    #[error("the payment request is {}", label.as_str())]
    NotPayable {
        /// What it is instead.
        label: Label,
    },
    /// Money may be on its way (rows A6b, E13).
    #[error("a payment may be under way")]
    PaymentInFlight,
    /// The scenario does not allow the account.
    #[error("the scenario does not allow provider account {account}")]
    AccountNotAllowed {
        /// Which.
        account: AccountSlug,
    },
    /// There is no such attempt.
    #[error("there is no attempt {attempt_no}")]
    UnknownAttempt {
        /// Which.
        attempt_no: u32,
    },
    /// Too many attempts for one request.
    #[error("a payment request has at most {max} attempts")]
    TooManyAttempts {
        /// The limit.
        max: u32,
    },
    /// Too many notices for one request.
    #[error("a payment request takes at most {max} payer notices")]
    TooManyNotices {
        /// The limit.
        max: u32,
    },
    /// Its time is not over.
    #[error("the request expires at {due}")]
    NotYetDue {
        /// When it is.
        due: Timestamp,
    },
}

impl Refusal {
    /// Most attempts of one request.
    pub const ATTEMPTS_MAX: u32 = 50;
    /// Most payer notices of one request.
    pub const NOTICES_MAX: u32 = 20;
}
