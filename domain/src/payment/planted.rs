//! Mistakes on purpose, one at a time, to learn whether the tests would find them.
//!
//! Each is a mistake that somebody could make at one decision. It is made by asking the honest
//! decision with a wrong question, or by changing its answer, so that nothing of it stands in the
//! code that decides. Only the feature `planted` has this module; no build of the product does.

use std::cell::Cell;

use super::case::Resolve;
use super::claims::ClaimNeed;
use super::command::{Command, ExpiryCheck, RecordFacts, Refusal, Target};
use super::event::{Event, Resolution, VerificationMethod};
use super::evidence::EvidenceClass;
use super::exception::ExceptionKind;
use super::fact::{Fact, FactKind};
use super::observe::Recorded;
use super::refund::RefundAnswer;
use super::request::{AttemptState, Capture, Closure, Request};
use crate::digest::InstanceKey;
use crate::ids::{CaseId, OperatorId};
use crate::money::{MinorText, Money};
use crate::ports::ClaimSpace;
use crate::time::Timestamp;
use crate::unmatched::{self, Settlement, Suspense};

#[cfg(not(debug_assertions))]
compile_error!("planted mistakes are for tests, and never for a release");

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A late refusal takes back what was applied (row C3).
    LateFailureTakesMoneyBack,
    /// A second payment counts as well (row B3).
    SecondPaymentApplied,
    /// A second payment verifies again (row B3).
    VerifiedTwice,
    /// One unit more than the tolerance still pays (row D5).
    ToleranceTooWide,
    /// The amount is not compared (row D1).
    AmountNotCompared,
    /// The currency is not compared (row D6).
    CurrencyNotCompared,
    /// The merchant account is not compared (row D7).
    PayeeNotCompared,
    /// Messages without enough proof count (row A13).
    WeakProofPays,
    /// Test money pays, or the reverse (row G7).
    ModeNotCompared,
    /// Money of another order pays (row G5).
    OrderNotCompared,
    /// Late money pays (row E6).
    LateMoneyPays,
    /// Money after a cancel pays (row E11).
    MoneyAfterCancelPays,
    /// What was applied in part stays applied after the end (row D9).
    PartsKeptAtExpiry,
    /// An unknown or moving payment counts as unpaid at the end (rows E4, E5).
    ExpiresWhatIsUnderWay,
    /// A payment under way is cancelled (row E13).
    CancelsWhatIsUnderWay,
    /// Two attempts are under way at once (row A6b).
    TwoAttemptsAtOnce,
    /// The same money pays two requests (row G4).
    ClaimSkipped,
    /// A repeated reversal counts again (row F8).
    ReversalCountsTwice,
    /// A total is read as one more refund (row F8).
    TotalReadAsDelta,
    /// A lost dispute moves nothing (row F13).
    LostDisputeMovesNothing,
    /// Refunds under way do not hold their money (row F2).
    RefundNotHeld,
    /// A refund without an answer counts as failed (row F6).
    UncertainRefundFailed,
    /// A case is dismissed and its money stays (row E10).
    CaseClosesWithoutMoney,
    /// Money that is too little is accepted (row E9).
    AcceptsTooLittle,
    /// Who proposed it approves it (row H3).
    ProposerApproves,
    /// A proposal outlives what it was made on (row H8).
    StaleProposalApproved,
    /// The money of an override verifies a second time (row H5).
    OverrideVerifiedTwice,
    /// Money stays applied when its verification is revoked (row H7).
    RevocationKeepsMoney,
    /// Two requests are made from one quote (row A1b).
    QuoteUsedTwice,
    /// The provider is asked to end an attempt before that is written down (row E13).
    CancelNotWritten,
    /// It is asked again although nobody knows what that does (row E13).
    CancelCalledTwice,
    /// A transfer that is brought again counts again (row E15).
    TransferCountsTwice,
    /// Money that a refund holds is moved (row E15).
    TransferTakesHeldMoney,
    /// Moved money pays what is closed (row E15).
    MovedMoneyPaysLate,
    /// Money that names no attempt is matched by its amount (rows G1, G3).
    MatchedByAmount,
    /// Money of no request is decided about twice (row G1).
    UnmatchedDecidedTwice,
}

impl Bug {
    /// Every mistake.
    pub const ALL: [Self; 36] = [
        Self::LateFailureTakesMoneyBack,
        Self::SecondPaymentApplied,
        Self::VerifiedTwice,
        Self::ToleranceTooWide,
        Self::AmountNotCompared,
        Self::CurrencyNotCompared,
        Self::PayeeNotCompared,
        Self::WeakProofPays,
        Self::ModeNotCompared,
        Self::OrderNotCompared,
        Self::LateMoneyPays,
        Self::MoneyAfterCancelPays,
        Self::PartsKeptAtExpiry,
        Self::ExpiresWhatIsUnderWay,
        Self::CancelsWhatIsUnderWay,
        Self::TwoAttemptsAtOnce,
        Self::ClaimSkipped,
        Self::ReversalCountsTwice,
        Self::TotalReadAsDelta,
        Self::LostDisputeMovesNothing,
        Self::RefundNotHeld,
        Self::UncertainRefundFailed,
        Self::CaseClosesWithoutMoney,
        Self::AcceptsTooLittle,
        Self::ProposerApproves,
        Self::StaleProposalApproved,
        Self::OverrideVerifiedTwice,
        Self::RevocationKeepsMoney,
        Self::QuoteUsedTwice,
        Self::CancelNotWritten,
        Self::CancelCalledTwice,
        Self::TransferCountsTwice,
        Self::TransferTakesHeldMoney,
        Self::MovedMoneyPaysLate,
        Self::MatchedByAmount,
        Self::UnmatchedDecidedTwice,
    ];
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a mistake for this thread, or digs it up again.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Does something honestly, with the mistake out of the way.
fn honestly<T>(bug: Bug, act: impl FnOnce() -> T) -> T {
    PLANTED.set(None);
    let done = act();
    PLANTED.set(Some(bug));
    done
}

/// What a wrong `decide` would say; nothing where it says what the right one does.
pub(super) fn decide(
    request: Option<&Request>,
    command: &Command,
    now: Timestamp,
) -> Option<Result<Vec<Event>, Refusal>> {
    let bug = PLANTED.get()?;
    let mut wrong = request?.clone();
    let mut command = command.clone();
    match (bug, &mut command) {
        (Bug::ExpiresWhatIsUnderWay, Command::Expire(check)) => *check = ExpiryCheck::Confirmed,
        (Bug::CancelsWhatIsUnderWay, Command::Cancel { .. })
        | (Bug::TwoAttemptsAtOnce, Command::StartAttempt(_)) => {
            for attempt in wrong.attempts.values_mut() {
                attempt.state = AttemptState::Captured;
            }
        }
        (Bug::RefundNotHeld, Command::RequestRefund(_)) => wrong.refunds.clear(),
        (Bug::UncertainRefundFailed, Command::AnswerRefund { answer, .. })
            if matches!(answer, RefundAnswer::Unknown { .. }) =>
        {
            let provider_status = None;
            *answer = RefundAnswer::Declined { provider_status };
        }
        (
            Bug::CaseClosesWithoutMoney,
            Command::ResolveCase {
                case,
                how: Resolve::Dismiss,
            },
        ) => {
            let open = wrong.cases.get(case)?.open();
            let (case, resolution) = (case.clone(), Resolution::Dismissed);
            return open.then(|| Ok(vec![Event::ExceptionResolved { case, resolution }]));
        }
        (
            Bug::AcceptsTooLittle,
            Command::ResolveCase {
                how: Resolve::Accept { .. },
                ..
            },
        ) => {
            wrong.terms.rules.tolerance_minor = MinorText(i64::MAX / 2);
        }
        (Bug::ProposerApproves, Command::Approve { by, .. }) => {
            let somebody = OperatorId::parse("somebody").ok()?;
            let mine = wrong
                .proposals
                .values_mut()
                .filter(|proposal| proposal.by == *by);
            mine.for_each(|proposal| proposal.by = somebody.clone());
        }
        (Bug::StaleProposalApproved, Command::Approve { proposal, .. }) => {
            let basis = wrong.basis();
            let known = wrong.proposals.get_mut(proposal)?;
            (known.based_on, known.lapses_at) = (basis, now.plus(super::proposal::LAPSES_AFTER));
            known.state = super::proposal::ProposalState::Open;
        }
        (Bug::CancelNotWritten, Command::RequestAttemptCancel { .. }) => return Some(Ok(vec![])),
        (Bug::CancelCalledTwice, Command::RequestAttemptCancel { attempt_no }) => {
            wrong.attempts.get_mut(attempt_no)?.cancel_requested = false;
        }
        (Bug::TransferCountsTwice, Command::ReceiveTransfer(_)) => wrong.received.clear(),
        (
            Bug::TransferTakesHeldMoney,
            Command::ResolveCase {
                how: Resolve::Reassign { .. },
                ..
            },
        ) => wrong.refunds.clear(),
        (Bug::MovedMoneyPaysLate, Command::ReceiveTransfer(_)) => wrong.closure = Closure::Open,
        (Bug::PartsKeptAtExpiry, Command::Expire(_) | Command::Cancel { .. })
        | (Bug::RevocationKeepsMoney, Command::Approve { .. }) => {}
        _ => return None,
    }
    let mut decided = honestly(bug, || super::decide(Some(&wrong), &command, now));
    if let (Bug::PartsKeptAtExpiry | Bug::RevocationKeepsMoney, Ok(events)) = (bug, &mut decided) {
        events.retain(|event| !matches!(event, Event::CaptureUnapplied { .. }));
    }
    Some(decided)
}

/// What a wrong `record` would say; nothing where it says what the right one does.
pub(super) fn record(request: &Request, facts: &RecordFacts, now: Timestamp) -> Option<Recorded> {
    let bug = PLANTED.get()?;
    let (mut wrong, mut facts) = (request.clone(), facts.clone());
    let due = wrong.terms.amount;
    let (told, rules) = (&mut facts.observation, &mut facts.rules);
    match bug {
        Bug::ToleranceTooWide => wrong.terms.rules.tolerance_minor.0 += 1,
        Bug::AmountNotCompared => wrong.terms.rules.tolerance_minor.0 = due.minor() - 1,
        Bug::CurrencyNotCompared => told.facts.iter_mut().for_each(|fact| {
            fact.amount = fact
                .amount
                .and_then(|m| Money::new(m.minor(), due.currency()).ok());
        }),
        Bug::PayeeNotCompared => rules.payee = None,
        Bug::WeakProofPays => told.class = EvidenceClass::LookedUp,
        Bug::ModeNotCompared => told.facts.iter_mut().for_each(|fact| fact.mode = None),
        Bug::OrderNotCompared => told
            .facts
            .iter_mut()
            .for_each(|fact| fact.provider_order_ref = None),
        Bug::LateMoneyPays if wrong.closure == Closure::Expired => wrong.closure = Closure::Open,
        Bug::MoneyAfterCancelPays if matches!(wrong.closure, Closure::Cancelled(_)) => {
            wrong.closure = Closure::Open;
        }
        Bug::ReversalCountsTwice => wrong
            .captures
            .values_mut()
            .for_each(|c| c.reversals.clear()),
        Bug::MatchedByAmount if matches!(facts.target, Target::Foreign(_)) => {
            facts.target = Target::Attempt(*request.attempts().keys().next()?);
            let same = |fact: &&mut Fact| fact.amount == Some(due);
            for fact in told.facts.iter_mut().filter(same) {
                (fact.our_reference, fact.provider_order_ref) = (None, None);
            }
        }
        Bug::TotalReadAsDelta => wrong.captures.values_mut().for_each(|c| c.refunded = 0),
        Bug::LateFailureTakesMoneyBack
        | Bug::SecondPaymentApplied
        | Bug::VerifiedTwice
        | Bug::LostDisputeMovesNothing
        | Bug::OverrideVerifiedTwice
        | Bug::PartsKeptAtExpiry => {}
        _ => return None,
    }
    let mut recorded = honestly(bug, || super::record(&wrong, &facts, now));
    if bug == Bug::LateFailureTakesMoneyBack {
        let failed =
            |kind: &FactKind| matches!(kind, FactKind::Declined | FactKind::SessionExpired);
        let failed = facts
            .observation
            .facts
            .iter()
            .any(|fact| failed(&fact.kind));
        recorded.events.extend(
            request
                .captures()
                .iter()
                .filter(|(_, c)| failed && c.applied > 0)
                .map(set_aside),
        );
    }
    let events = std::mem::take(&mut recorded.events);
    recorded.events = events
        .into_iter()
        .flat_map(|event| spoilt(bug, request, event))
        .collect();
    Some(recorded)
}

fn set_aside((key, capture): (&super::CaptureKey, &Capture)) -> Event {
    let (capture, minor) = (key.clone(), MinorText(capture.applied));
    let why = ExceptionKind::ProviderContradiction;
    Event::CaptureUnapplied {
        capture,
        minor,
        why,
    }
}

/// What a wrong decision writes instead of an event.
fn spoilt(bug: Bug, request: &Request, mut event: Event) -> Vec<Event> {
    let again = |event: Event| {
        let verified = Event::PaymentVerified {
            method: VerificationMethod::StatusLookup,
            capture: None,
            amount: request.applied(),
            paid_at: None,
            late: false,
            rounding_minor: MinorText(0),
        };
        vec![event, verified]
    };
    let duplicate = Some(ExceptionKind::DuplicatePayment);
    match (bug, &mut event) {
        (Bug::VerifiedTwice, Event::PaymentCaptured { why, .. }) if *why == duplicate => {
            again(event)
        }
        (Bug::OverrideVerifiedTwice, Event::OverrideSubstantiated { .. }) => again(event),
        (
            Bug::SecondPaymentApplied,
            Event::PaymentCaptured {
                why,
                applied,
                unapplied,
                ..
            },
        ) if *why == duplicate => {
            std::mem::swap(applied, unapplied);
            vec![event]
        }
        (
            Bug::LostDisputeMovesNothing,
            Event::DisputeClosed {
                applied, unapplied, ..
            },
        ) => {
            (*applied, *unapplied) = (MinorText(0), MinorText(0));
            vec![event]
        }
        (Bug::PartsKeptAtExpiry, Event::CaptureUnapplied { .. }) => vec![],
        _ => vec![event],
    }
}

/// What a wrong use-case claims; nothing where it claims what the right one does.
pub(super) fn needs_of(
    key: &InstanceKey,
    request: Option<&Request>,
    event: &Event,
) -> Option<Vec<ClaimNeed>> {
    let bug = PLANTED.get()?;
    let forgotten = match (bug, event) {
        (
            Bug::ClaimSkipped,
            Event::PaymentCaptured { .. } | Event::OverrideSubstantiated { .. },
        ) => ClaimSpace::Ptx,
        (Bug::QuoteUsedTwice, Event::Created(_)) => ClaimSpace::Quote,
        _ => return None,
    };
    let mut needs = honestly(bug, || super::claims::needs_of(key, request, event));
    needs.retain(|need| need.ns != forgotten);
    Some(needs)
}

/// What a wrong decision about money of no request would say; nothing where it says what the right
/// one does.
pub(crate) fn resolve_unmatched(
    known: &Suspense,
    case: &CaseId,
    settlement: &Settlement,
) -> Option<Result<Vec<unmatched::Event>, Refusal>> {
    let bug = PLANTED
        .get()
        .filter(|bug| *bug == Bug::UnmatchedDecidedTwice)?;
    let wrong = Suspense {
        settlement: None,
        ..known.clone()
    };
    Some(honestly(bug, || {
        unmatched::resolve(&wrong, case, settlement)
    }))
}
