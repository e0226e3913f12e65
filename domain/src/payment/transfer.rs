//! Money that comes from another request, or from suspense (row E15, second half). It left there
//! already, so it is never refused: what cannot be applied waits for a person.

use super::capture::{Captured, Origin};
use super::command::Target;
use super::event::{CaptureKey, Event};
use super::evidence::EvidenceClass;
use super::fact::{Fact, FactKind, Observation, RefundAmount};
use super::recording::Recording;
use super::request::{Capture, Request};
use crate::digest::InstanceKey;
use crate::ids::{CaseId, PaymentRequestId, ProviderRef, TransferId};
use crate::money::{MinorText, Money, Sum};
use crate::stream::StreamId;
use crate::time::{ProviderTime, Timestamp};

/// Money on its way between two streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The same at both ends.
    pub transfer: TransferId,
    /// The stream that it left.
    pub from: StreamId,
    /// Of which capture.
    pub capture: CaptureKey,
    /// How much.
    pub amount: Money,
    /// How well it is proved.
    pub class: EvidenceClass,
    /// When, by the provider.
    pub provider_time: Option<ProviderTime>,
    /// What had gone back before, as providers count cumulatively.
    pub refunded: MinorText,
    /// Reversals that were told before it left, so that they are not told again where it arrives.
    pub reversals: Vec<ProviderRef>,
}

impl Transfer {
    /// The id of the transfer that decides a case. A repeat of the decision meets the same.
    pub fn id_of(key: &InstanceKey, case: &CaseId) -> TransferId {
        let digest = key.digest("transfer", &[case.as_str().as_bytes()]);
        TransferId::parse(format!("tr_{}", digest.short())).expect("'tr_' and 26 of base 32")
    }

    /// What an event of a payment request sends away, and to which request. `None` for every other
    /// event.
    pub fn sent_by(from: &StreamId, event: &Event) -> Option<(PaymentRequestId, Self)> {
        let Event::CaptureReassigned {
            transfer,
            to,
            capture,
            amount,
            class,
            provider_time,
            refunded,
            reversals,
        } = event
        else {
            return None;
        };
        let sent = Self {
            transfer: transfer.clone(),
            from: from.clone(),
            capture: capture.clone(),
            amount: *amount,
            class: *class,
            provider_time: *provider_time,
            refunded: *refunded,
            reversals: reversals.clone(),
        };
        Some((to.clone(), sent))
    }
}

/// Receives. A repeat of the same transfer leaves no event.
pub(super) fn receive(request: &Request, transfer: &Transfer, now: Timestamp) -> Vec<Event> {
    if request.received.contains(&transfer.transfer) {
        return vec![];
    }
    let mut recording = Recording::of(request, now);
    let captured = Captured {
        key: transfer.capture.clone(),
        money: transfer.amount,
        class: transfer.class,
        provider_time: transfer.provider_time,
        origin: Origin::Transfer {
            transfer: transfer.transfer.clone(),
            from: transfer.from.clone(),
            refunded: transfer.refunded,
            reversals: transfer.reversals.clone(),
        },
        may_pay_late: false,
    };
    recording.place(&captured);
    recording.events
}

/// The request that now owns the money which a fact is about, and the fact as it is to be told there,
/// when all that is left of that money went there.
pub fn moved_to(
    request: &Request,
    observation: &Observation,
    target: &Target,
    fact: &Fact,
) -> Option<(PaymentRequestId, Fact)> {
    let told = |transaction: &ProviderRef| CaptureKey {
        provider: observation.provider.clone(),
        account: observation.account.clone(),
        transaction: transaction.clone(),
    };
    let found = match (&fact.transaction, target) {
        (_, Target::Foreign(_) | Target::OtherOrder(_)) => return None,
        (Some(transaction), Target::Attempt(_) | Target::Moved) => {
            request.capture(&told(transaction))
        }
        (None, Target::Moved) => None,
        (None, Target::Attempt(number)) => {
            let mut of_attempt = request
                .captures()
                .iter()
                .filter(|(_, capture)| capture.attempt_no == Some(*number));
            of_attempt.next().filter(|_| of_attempt.next().is_none())
        }
    };
    let (key, capture) = found?;
    let to = capture.moved_away()?;
    let kind = kind_elsewhere(request, capture, &fact.kind)?;
    let transaction = Some(key.transaction.clone());
    Some((
        to.clone(),
        Fact {
            kind,
            transaction,
            ..fact.clone()
        },
    ))
}

/// What goes back of money that left, as it is told where it went. `None` for everything else, and for
/// what was told here before: it is told here again.
fn kind_elsewhere(request: &Request, capture: &Capture, kind: &FactKind) -> Option<FactKind> {
    let reversal = match kind {
        FactKind::Voided { reversal }
        | FactKind::Refunded { reversal, .. }
        | FactKind::RefundFailed { reversal } => reversal.as_ref(),
        FactKind::DisputeOpened { dispute, .. }
        | FactKind::DisputeWon { dispute }
        | FactKind::DisputeLost { dispute } => Some(dispute),
        FactKind::Registered
        | FactKind::Processing
        | FactKind::Authorised
        | FactKind::Captured
        | FactKind::Declined
        | FactKind::SessionExpired
        | FactKind::Unknown => return None,
    };
    if reversal
        .is_some_and(|id| capture.reversals.contains_key(id) || request.disputes().contains_key(id))
    {
        return None;
    }
    match kind {
        FactKind::Refunded {
            amount: RefundAmount::Cumulative(sum),
            reversal,
        } if sum.currency() == capture.amount.currency() => {
            if sum.minor() <= capture.refunded {
                return None;
            }
            // The total counts what went back here since the money left; there it never was.
            let here = capture.refunded.saturating_sub(capture.refunded_before);
            let there = Sum::new(sum.minor().saturating_sub(here), sum.currency());
            Some(FactKind::Refunded {
                amount: RefundAmount::Cumulative(there),
                reversal: reversal.clone(),
            })
        }
        other => Some(other.clone()),
    }
}
