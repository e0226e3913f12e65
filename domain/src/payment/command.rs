//! What can be asked of a payment request, and the rules that say no.

use super::case::Resolve;
use super::event::{CancelledBy, NoticeKind};
use super::evidence::AccountRules;
use super::exception::ExceptionKind;
use super::fact::Observation;
use super::label::Label;
use super::proposal::Propose;
use super::refund::{RefundAnswer, RequestRefund};
use super::terms::Terms;
use super::transfer::Transfer;
use crate::ids::{
    AccountSlug, CaseId, OperatorId, PaymentRequestId, ProposalId, ProviderCode, ProviderRef,
    RefundId,
};
use crate::money::{MinorText, Money};
use crate::sealed::Commitment;
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
    /// Something that only whoever found the request can see: money that pays another one (row G4), a
    /// reversal whose capture never came (row C6). It is told to a person, once for what it is about.
    OpenCase {
        /// What is out of order.
        kind: ExceptionKind,
        /// What it is about.
        about: String,
    },
    /// The schedule of look-ups is over and the attempt is still in doubt (rows A7, A17).
    ReportSilence {
        /// Which attempt.
        attempt_no: u32,
    },
    /// The provider is about to be asked to end an attempt (row E13).
    RequestAttemptCancel {
        /// Which.
        attempt_no: u32,
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
        /// True when some provider of its attempts can be asked about it.
        askable: bool,
    },
    /// A person is about to be shown what is sealed.
    OpenEvidence {
        /// What.
        commitment: Commitment,
    },
    /// Give money back (rows F1, F2).
    RequestRefund(RequestRefund),
    /// The provider is about to be called for it. No event means: do not call.
    SubmitRefund {
        /// Which.
        refund: RefundId,
    },
    /// What became of that call (rows F5, F6).
    AnswerRefund {
        /// Which.
        refund: RefundId,
        /// What.
        answer: RefundAnswer,
    },
    /// Somebody looks after a case.
    AssignCase {
        /// Which.
        case: CaseId,
        /// Who; nobody where it is given back.
        to: Option<OperatorId>,
    },
    /// A person decides a case (rows E9, E10, E15).
    ResolveCase {
        /// Which.
        case: CaseId,
        /// How.
        how: Resolve,
    },
    /// Money comes from another request, or from suspense (row E15).
    ReceiveTransfer(Transfer),
    /// A person wants to decide against the evidence (rows H2, H7).
    Propose(Propose),
    /// Another person agrees (rows H3, H4, H7, H8).
    Approve {
        /// Which proposal.
        proposal: ProposalId,
        /// Who.
        by: OperatorId,
    },
    /// A person does not.
    Reject {
        /// Which proposal.
        proposal: ProposalId,
    },
    /// The time of a proposal, or of the proof of an override, is over (rows H6, H8).
    CheckOverrides,
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
    /// True when the question names a payee that is not this account's.
    pub other_payee: bool,
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
    /// True when no other request stands for the order, so that a closed one may still be paid
    /// (row E7).
    pub order_is_ours: bool,
}

/// The attempt that an observation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One that we started.
    Attempt(u32),
    /// One that names this request and that we never started (row G3).
    Foreign(ProviderRef),
    /// One that we started, and the provider speaks of an order of another request (row G5).
    OtherOrder(ProviderRef),
    /// Money that was moved to this request; its attempt belongs to another one.
    Moved,
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
    /// No such capture.
    #[error("there is no such capture")]
    UnknownCapture,
    /// No such refund.
    #[error("there is no such refund under way")]
    UnknownRefund,
    /// The id stands for another refund.
    #[error("a refund of this id exists with other content")]
    RefundExists,
    /// More than can go back (row F2).
    #[error("at most {} minor units can be given back", refundable.0)]
    OverRefund {
        /// What can.
        refundable: MinorText,
    },
    /// Too many refunds of one request.
    #[error("a payment request has at most {max} refunds")]
    TooManyRefunds {
        /// The limit.
        max: usize,
    },
    /// A refund holds money of the case.
    #[error("a refund of this money is under way")]
    RefundPending,
    /// Only what is paid can be refunded or revoked.
    #[error("the payment request is not paid")]
    NotPaid,
    /// No such case.
    #[error("there is no such case")]
    UnknownCase,
    /// It was decided otherwise.
    #[error("the case is closed")]
    CaseClosed,
    /// Its money must go somewhere first.
    #[error("the case holds money: accept, refund, reassign or keep it")]
    CaseHoldsMoney,
    /// Nothing of its money is unapplied.
    #[error("nothing of this money is unapplied")]
    NothingUnapplied,
    /// Another decision is needed.
    #[error("a case of kind {} is not decided this way", kind.as_str())]
    NotThisWay {
        /// What it is.
        kind: ExceptionKind,
    },
    /// The accepted money does not complete the order.
    #[error("{} minor units would still be missing", missing.0)]
    NotEnough {
        /// How much is missing.
        missing: MinorText,
    },
    /// Another request replaced it.
    #[error("the request was superseded: reassign its money to the one that replaced it")]
    Superseded,
    /// The outcome of a dispute takes its money from where it was disputed.
    #[error("a dispute about this money is open")]
    DisputeOpen,
    /// Money cannot move to where it is.
    #[error("the money is at this request already")]
    SameRequest,
    /// The scenario does not allow overrides.
    #[error("the scenario allows no overrides")]
    OverridesNotAllowed,
    /// One proposal at a time.
    #[error("another proposal waits for its decision")]
    ProposalOpen,
    /// No such proposal.
    #[error("there is no such proposal")]
    UnknownProposal,
    /// It was decided, or lapsed.
    #[error("the proposal is closed")]
    ProposalClosed,
    /// Too many proposals for one request.
    #[error("a payment request takes at most {max} proposals")]
    TooManyProposals {
        /// The limit.
        max: usize,
    },
    /// Row H3.
    #[error("the person who proposed it may not approve it")]
    FourEyes,
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
    /// Most refunds of one request.
    pub const REFUNDS_MAX: usize = 50;
    /// Most proposals of one request.
    pub const PROPOSALS_MAX: usize = 20;
    /// Most payments that add up, so that all of them can be set aside in one append (row D9). What
    /// comes after them waits for a person.
    pub const PARTS_MAX: usize = 20;
}
