//! The events of `payment_request-<id>`. Wire names are written out; a rename of a Rust identifier
//! never rewrites history.

use serde::{Deserialize, Serialize};

pub use super::capture_key::CaptureKey;
use super::evidence::EvidenceClass;
use super::exception::{ExceptionKind, Severity};
use super::terms::Terms;
pub use super::words::*;
use crate::codec::DomainEvent;
use crate::digest::Digest32;
use crate::ids::{
    AccountSlug, CaseId, OperatorId, PaymentRequestId, ProposalId, ProviderCode, ProviderRef,
    RefundId, TransferId,
};
use crate::money::{MinorText, Money, Sum};
use crate::sealed::Commitment;
use crate::stream::StreamId;
use crate::time::{ProviderTime, Timestamp};

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
    /// The provider is about to be asked to end the attempt. Written before the call (row E13).
    #[serde(rename = "AttemptCancelRequested")]
    AttemptCancelRequested {
        /// Which.
        attempt_no: u32,
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
    /// The provider gave one movement of money a second id (row B4).
    #[serde(rename = "CaptureAliasRecorded")]
    CaptureAliasRecorded {
        /// The capture as it is known.
        capture: CaptureKey,
        /// Its other id.
        alias: CaptureKey,
    },
    /// A person accepted unapplied money towards what is due (row E9).
    #[serde(rename = "UnappliedMoneyAccepted")]
    UnappliedMoneyAccepted {
        /// Of which capture.
        capture: CaptureKey,
        /// How much.
        minor: MinorText,
    },
    /// A person kept unapplied money as income of the shop.
    #[serde(rename = "UnappliedMoneyKept")]
    UnappliedMoneyKept {
        /// Of which capture.
        capture: CaptureKey,
        /// How much.
        minor: MinorText,
    },
    /// Unapplied money left for another request (row E15). The other half is `CaptureReceived` there.
    #[serde(rename = "CaptureReassigned")]
    CaptureReassigned {
        /// The transfer; the same at both ends.
        transfer: TransferId,
        /// The request that gets the money.
        to: PaymentRequestId,
        /// Of which capture.
        capture: CaptureKey,
        /// How much.
        amount: Money,
        /// How well it is proved.
        class: EvidenceClass,
        /// When, by the provider.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider_time: Option<ProviderTime>,
        /// What had gone back of the capture before, as providers count cumulatively.
        refunded: MinorText,
        /// Reversals of it that were told before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reversals: Vec<ProviderRef>,
    },
    /// Money came from another request, or from suspense. It is never refused.
    #[serde(rename = "CaptureReceived")]
    CaptureReceived {
        /// The transfer; the same at both ends.
        transfer: TransferId,
        /// Where it came from.
        from: StreamId,
        /// Of which capture.
        capture: CaptureKey,
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
        /// What had gone back of the capture before it came, as providers count cumulatively.
        refunded: MinorText,
        /// Reversals of it that were told before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reversals: Vec<ProviderRef>,
    },
    /// Applied money became unapplied (rows D9, H7).
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
    /// People took back that it was paid (row H7). Its money becomes unapplied in the same append.
    #[serde(rename = "VerificationRevoked")]
    VerificationRevoked {
        /// The approved proposal.
        proposal: ProposalId,
        /// What was applied until now.
        amount: Sum,
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
    /// Somebody wants money to go back. It is held until the refund settles or fails (row F1).
    #[serde(rename = "RefundRequested")]
    RefundRequested {
        /// The refund; the provider hears this id.
        refund: RefundId,
        /// Of which capture.
        capture: CaptureKey,
        /// Out of which part of it.
        part: Part,
        /// How much.
        minor: MinorText,
    },
    /// The provider is about to be called. Written before the call, so that nobody calls twice.
    #[serde(rename = "RefundSubmitted")]
    RefundSubmitted {
        /// Which.
        refund: RefundId,
    },
    /// The provider took it and is not done.
    #[serde(rename = "RefundAccepted")]
    RefundAccepted {
        /// Which.
        refund: RefundId,
        /// The provider's id of the reversal.
        reversal: ProviderRef,
    },
    /// Nobody knows whether the provider gave the money back (row F6). Only look-ups follow.
    #[serde(rename = "RefundUncertain")]
    RefundUncertain {
        /// Which.
        refund: RefundId,
        /// `timeout`, `interrupted`, `connect` ...
        why: String,
    },
    /// The money did not go back (row F5).
    #[serde(rename = "RefundFailed")]
    RefundFailed {
        /// Which.
        refund: RefundId,
        /// The provider's own word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider_status: Option<String>,
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
        /// Which refund of ours it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refund: Option<RefundId>,
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
    /// A person was shown what is sealed. The record names who and why.
    #[serde(rename = "EvidenceOpened")]
    EvidenceOpened {
        /// What.
        commitment: Commitment,
    },
    /// A person wants to decide against the evidence (rows H2, H7). The record names who and why.
    #[serde(rename = "OverrideProposed")]
    OverrideProposed {
        /// The proposal.
        proposal: ProposalId,
        /// What is wanted.
        decision: Proposed,
        /// Who wants it; may not approve it where two persons are asked for.
        by: OperatorId,
        /// What it rests on.
        grounds: Grounds,
        /// What it was made on: SHA-256 over captures, reversals, disputes, closure and attempts.
        based_on: Digest32,
        /// Too late afterwards.
        lapses_at: Timestamp,
    },
    /// A second person, or the only one where policy allows, agreed (row H4).
    #[serde(rename = "OverrideApproved")]
    OverrideApproved {
        /// The proposal.
        proposal: ProposalId,
        /// Who.
        by: OperatorId,
        /// Money must prove it before; only where it counts as paid now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prove_by: Option<Timestamp>,
        /// True when it is who proposed it, and the terms ask for no second person.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        alone: bool,
    },
    /// It was not decided.
    #[serde(rename = "OverrideRejected")]
    OverrideRejected {
        /// The proposal.
        proposal: ProposalId,
        /// Why.
        why: RejectedWhy,
    },
    /// Money came that proves the override (row H5). Stands for its capture: all of it is applied.
    #[serde(rename = "OverrideSubstantiated")]
    OverrideSubstantiated {
        /// The proposal that was approved.
        proposal: ProposalId,
        /// Which movement of money.
        capture: CaptureKey,
        /// Through which attempt.
        attempt_no: u32,
        /// How much.
        amount: Money,
        /// How well it is proved.
        class: EvidenceClass,
        /// When, by the provider.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider_time: Option<ProviderTime>,
        /// The provider's own word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider_status: Option<String>,
    },
    /// The time in which money should have proved it is over (row H6).
    #[serde(rename = "OverrideUnsubstantiated")]
    OverrideUnsubstantiated {
        /// The proposal that was approved.
        proposal: ProposalId,
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
    /// Somebody looks after the case, or nobody any more.
    #[serde(rename = "ExceptionAssigned")]
    ExceptionAssigned {
        /// The case.
        case: CaseId,
        /// Who.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<OperatorId>,
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
        ("AttemptCancelRequested", 1),
        ("AttemptFailed", 1),
        ("PaymentCaptured", 1),
        ("CaptureAliasRecorded", 1),
        ("UnappliedMoneyAccepted", 1),
        ("UnappliedMoneyKept", 1),
        ("CaptureReassigned", 1),
        ("CaptureReceived", 1),
        ("CaptureUnapplied", 1),
        ("PaymentVerified", 1),
        ("VerificationRevoked", 1),
        ("PaymentRequestExpired", 1),
        ("ExpiryDeferred", 1),
        ("PaymentRequestCancelled", 1),
        ("RefundRequested", 1),
        ("RefundSubmitted", 1),
        ("RefundAccepted", 1),
        ("RefundUncertain", 1),
        ("RefundFailed", 1),
        ("RefundSettled", 1),
        ("RefundReversed", 1),
        ("DisputeOpened", 1),
        ("DisputeClosed", 1),
        ("PayerNoticeRecorded", 1),
        ("EvidenceOpened", 1),
        ("OverrideProposed", 1),
        ("OverrideApproved", 1),
        ("OverrideRejected", 1),
        ("OverrideSubstantiated", 1),
        ("OverrideUnsubstantiated", 1),
        ("ExceptionOpened", 1),
        ("ExceptionAssigned", 1),
        ("ExceptionResolved", 1),
    ];
}
