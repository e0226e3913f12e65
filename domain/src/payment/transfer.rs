//! Money that comes from another request, or from suspense (row E15, second half). It left there
//! already, so it is never refused: what cannot be applied waits for a person.

use super::capture::{Captured, Origin};
use super::command::RecordFacts;
use super::event::{CaptureKey, Event};
use super::evidence::EvidenceClass;
use super::fact::{Fact, FactKind};
use super::recording::Recording;
use super::request::Request;
use crate::ids::{PaymentRequestId, ProviderRef, TransferId};
use crate::money::{MinorText, Money};
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
        },
        may_pay_late: false,
    };
    recording.place(&captured);
    recording.events
}

/// The request that now owns the money which a fact is about, and the id of that money, when all that
/// is left of it went there. Such a fact is recorded there.
pub fn moved_to(
    request: &Request,
    facts: &RecordFacts,
    attempt_no: u32,
    fact: &Fact,
) -> Option<(PaymentRequestId, CaptureKey)> {
    let observation = &facts.observation;
    let told = |transaction: &ProviderRef| CaptureKey {
        provider: observation.provider.clone(),
        account: observation.account.clone(),
        transaction: transaction.clone(),
    };
    let found = match &fact.transaction {
        Some(transaction) => request.capture(&told(transaction)),
        None => {
            let mut of_attempt = request
                .captures()
                .iter()
                .filter(|(_, capture)| capture.attempt_no == Some(attempt_no));
            of_attempt.next().filter(|_| of_attempt.next().is_none())
        }
    };
    let (key, capture) = found?;
    let reversal = match &fact.kind {
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
    // What was told here before is told here again.
    if reversal
        .is_some_and(|id| capture.reversals.contains_key(id) || request.disputes().contains_key(id))
    {
        return None;
    }
    capture.moved_away().map(|to| (to.clone(), key.clone()))
}
