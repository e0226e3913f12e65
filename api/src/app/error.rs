//! What a use-case may answer instead of its result. Three kinds, never mixed: a refusal (a rule
//! said no; nothing changed), an outage (not applied, or unknown), a bug.

use domain::access::client;
use domain::access::operator;
use domain::access::password::PasswordRefusal;
use domain::actor::Actor;
use domain::catalogue;
use domain::config;
use domain::ids::PaymentRequestId;
use domain::money::Currency;
use domain::payment::{BasisPart, Refusal};
use domain::ports::{
    AppendError, BoxError, EvidenceError, KeyringError, Outcome, PasswordError, ReadError,
};
use domain::time::Timestamp;
use domain::{delivery, quote, subscriber};

use super::case_decisions::CaseRefusal;
use super::pace::Held;
use super::tickets::TicketRefusal;

/// Why a use-case has no result.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A rule of the payment request.
    #[error(transparent)]
    Payment(#[from] Refusal),
    /// A rule of the scenario.
    #[error(transparent)]
    Scenario(#[from] config::ScenarioRefusal),
    /// The catalogue cannot price it.
    #[error(transparent)]
    Catalogue(#[from] catalogue::Refusal),
    /// A rule of quotes.
    #[error(transparent)]
    Quote(#[from] quote::Refusal),
    /// A rule of subscribers.
    #[error(transparent)]
    Subscriber(#[from] subscriber::Refusal),
    /// A rule of deliveries.
    #[error(transparent)]
    Delivery(#[from] delivery::Refusal),
    /// A rule of API clients.
    #[error(transparent)]
    Client(#[from] client::Refusal),
    /// A rule of operators.
    #[error(transparent)]
    Operator(#[from] operator::Refusal),
    /// A password that cannot be chosen.
    #[error(transparent)]
    Password(#[from] PasswordRefusal),
    /// The credentials open nothing. Which of them is wrong is not told.
    #[error("operator, password or code is not right, or the code was used already")]
    SignInRefused,
    /// The ticket does not stand for this person, this proposal and this moment.
    #[error(transparent)]
    Ticket(#[from] TicketRefusal),
    /// A rule of cases that is not one request's alone.
    #[error(transparent)]
    Case(#[from] CaseRefusal),
    /// No record of the request names this evidence.
    #[error("no record of this payment request names this evidence")]
    UnknownEvidence,
    /// It was sealed, and was erased or swept since.
    #[error("the evidence was erased")]
    EvidenceGone,
    /// What the proposal was made on changed, or a day passed (row H8).
    #[error("the proposal lapsed: {}", told(changed))]
    ProposalLapsed {
        /// What is not as it was; nothing where only time passed.
        changed: Vec<BasisPart>,
    },
    /// It was decided before, and of this decision nothing would be written down.
    #[error("the proposal was {} already", if *approved { "approved" } else { "rejected" })]
    ProposalDecided {
        /// How.
        approved: bool,
        /// Who did.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// The caller may not do this.
    #[error("{why}")]
    Forbidden {
        /// A sentence for the caller.
        why: &'static str,
    },
    /// There is none, or it is another merchant's.
    #[error("there is no such {what}")]
    NotFound {
        /// Of what.
        what: &'static str,
    },
    /// The key was used for other content (row A3).
    #[error("this idempotency key was used for another command")]
    IdempotencyMismatch,
    /// The order has an open request (row A4).
    #[error("the order has an open payment request")]
    OpenRequestExists {
        /// Which, if the caller may know.
        id: Option<PaymentRequestId>,
    },
    /// The order is paid (row A5).
    #[error("the order is paid already")]
    OrderAlreadyPaid {
        /// By which request, if the caller may know.
        id: Option<PaymentRequestId>,
    },
    /// The quote made another request already (row A1b).
    #[error("the quote was used already")]
    QuoteUsed,
    /// No provider account is configured under this name.
    #[error("there is no provider account of this name")]
    UnknownAccount,
    /// A refund is in the currency of the money that it gives back.
    #[error("the money came in {} and goes back in it", of.code())]
    RefundCurrency {
        /// That currency.
        of: Currency,
    },
    /// The provider gives nothing back on call.
    #[error("the provider of this money takes no refunds from here")]
    RefundsUnsupported,
    /// The place was never in this queue, or is not where it was.
    #[error("the cursor does not fit this queue; begin without one")]
    OtherQueue,
    /// Too much at once.
    #[error("others were faster too often; try again")]
    Contended,
    /// The store did not do it, or did not say.
    #[error("the event store did not answer ({outcome})")]
    StoreUnavailable {
        /// What is known.
        outcome: Outcome,
        /// Why.
        #[source]
        cause: Option<BoxError>,
    },
    /// The views did not answer.
    #[error("the views did not answer")]
    ViewsUnavailable(#[source] BoxError),
    /// No space left.
    #[error("the event store is full")]
    StoreFull,
    /// The provider is not called now, and nothing was written down.
    #[error("{}", if held.resting {
        "the provider does not answer and is left alone for a while"
    } else {
        "the provider is called as often as it may be"
    })]
    ProviderUnavailable {
        /// Why, and for how long.
        held: Held,
    },
    /// The bytes look like a card number.
    #[error("the text holds something that looks like a card number")]
    CardNumber,
    /// Our own mistake.
    #[error("internal error")]
    Bug(#[source] BoxError),
}

fn told(changed: &[BasisPart]) -> &'static str {
    if changed.is_empty() {
        "nobody decided it within a day"
    } else {
        "what it was made on has changed"
    }
}

impl AppError {
    /// A bug, with what was found.
    pub fn bug(cause: impl Into<BoxError>) -> Self {
        Self::Bug(cause.into())
    }
}

impl From<ReadError> for AppError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(cause) => Self::StoreUnavailable {
                outcome: Outcome::NotApplied,
                cause: Some(cause),
            },
            ReadError::OtherLog | ReadError::Corrupt { .. } => Self::bug(error),
        }
    }
}

impl From<AppendError> for AppError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Unavailable { outcome, cause } => Self::StoreUnavailable {
                outcome,
                cause: Some(cause),
            },
            AppendError::Full => Self::StoreFull,
            AppendError::Conflict { .. } | AppendError::ClaimTaken { .. } => Self::Contended,
            AppendError::TooLarge { .. }
            | AppendError::Malformed { .. }
            | AppendError::IdReused
            | AppendError::Corrupt { .. } => Self::bug(error),
        }
    }
}

impl From<KeyringError> for AppError {
    fn from(error: KeyringError) -> Self {
        match error {
            KeyringError::Unavailable(cause) => Self::StoreUnavailable {
                outcome: Outcome::NotApplied,
                cause: Some(cause),
            },
            KeyringError::Destroyed | KeyringError::UnknownKey | KeyringError::NotAuthentic => {
                Self::bug(error)
            }
        }
    }
}

impl From<PasswordError> for AppError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Contended,
            PasswordError::Broken(_) => Self::bug(error),
        }
    }
}

impl From<EvidenceError> for AppError {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::CardNumber => Self::CardNumber,
            EvidenceError::Unavailable(cause) => Self::StoreUnavailable {
                outcome: Outcome::NotApplied,
                cause: Some(cause),
            },
            EvidenceError::Gone | EvidenceError::NotAuthentic => Self::bug(error),
        }
    }
}
