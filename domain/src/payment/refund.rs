//! Refunds that we ask for: asked, written ahead of the one call, and then answered. What providers
//! report of themselves is in `reversal.rs`; both settle there.

use serde::{Deserialize, Serialize};

use super::command::Refusal;
use super::event::{CaptureKey, Event, Part};
use super::exception::ExceptionKind;
use super::recording::Recording;
use super::request::{Capture, Request};
use crate::ids::{ProviderRef, RefundId};
use crate::money::MinorText;
use crate::time::Timestamp;

/// A refund that we asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its place among the refunds of the request.
    pub number: u32,
    /// Of which capture.
    pub capture: CaptureKey,
    /// Out of which part of it.
    pub part: Part,
    /// How much, in minor units of the capture's currency.
    pub minor: i64,
    /// How far it is.
    pub state: RefundState,
    /// What the provider calls it, once it is known. It stays known when the refund has ended.
    pub reversal: Option<ProviderRef>,
}

/// How far a refund is. Its amount is held until it settles or fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefundState {
    /// Nobody called the provider.
    Requested,
    /// The provider was or will be called, once.
    Submitted,
    /// The provider has it, under this id, and is not done.
    Accepted(ProviderRef),
    /// Nobody knows.
    Uncertain,
    /// The money went back.
    Settled,
    /// It did not.
    Failed,
}

impl Refund {
    /// True while it has no answer and holds its amount.
    pub fn pending(&self) -> bool {
        match self.state {
            RefundState::Requested
            | RefundState::Submitted
            | RefundState::Accepted(_)
            | RefundState::Uncertain => true,
            RefundState::Settled | RefundState::Failed => false,
        }
    }

    /// True when a provider that says this id means this refund, which is `id` here.
    pub fn is_called(&self, id: &RefundId, told: &ProviderRef) -> bool {
        told.as_str() == id.as_str() || self.reversal.as_ref() == Some(told)
    }

    /// True while the provider may have it, so that what it reports may be this.
    pub fn at_the_provider(&self) -> bool {
        self.pending() && self.state != RefundState::Requested
    }
}

/// What is to be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRefund {
    /// The refund.
    pub refund: RefundId,
    /// Of which capture.
    pub capture: CaptureKey,
    /// Out of which part of it.
    pub part: Part,
    /// How much, in minor units of the capture's currency.
    pub minor: i64,
}

/// What became of the one call to the provider. Money that went back is told by facts instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundAnswer {
    /// The provider has it and is not done.
    Accepted(ProviderRef),
    /// The provider said no, or a look-up shows that nothing happened.
    Declined {
        /// The provider's own word.
        provider_status: Option<String>,
    },
    /// No answer that says either.
    Unknown {
        /// `timeout`, `interrupted` ...
        why: String,
    },
}

/// Rows F1, F2 and E10. A repeat of the same refund leaves no event.
pub(super) fn request(request: &Request, command: &RequestRefund) -> Result<Vec<Event>, Refusal> {
    if let Some(known) = request.refunds().get(&command.refund) {
        let same = known.capture == command.capture && known.minor == command.minor;
        return if same {
            Ok(vec![])
        } else {
            Err(Refusal::RefundExists)
        };
    }
    let Some((key, _)) = request.capture(&command.capture) else {
        return Err(Refusal::UnknownCapture);
    };
    // The applied part of what is not verified is given back by closing the request first.
    if command.part == Part::Applied && request.verified().is_none() {
        return Err(Refusal::NotPaid);
    }
    if request.refunds().len() >= Refusal::REFUNDS_MAX {
        return Err(Refusal::TooManyRefunds {
            max: Refusal::REFUNDS_MAX,
        });
    }
    let available = request.available(key, command.part);
    if command.minor <= 0 || command.minor > available {
        return Err(Refusal::OverRefund {
            refundable: MinorText(available),
        }); // row F2
    }
    Ok(vec![Event::RefundRequested {
        refund: command.refund.clone(),
        capture: key.clone(),
        part: command.part,
        minor: MinorText(command.minor),
    }])
}

/// Writes the one call ahead. An empty answer means that somebody did already: do not call.
pub(super) fn submit(request: &Request, refund: &RefundId) -> Result<Vec<Event>, Refusal> {
    match known(request, refund)?.state {
        RefundState::Requested => Ok(vec![Event::RefundSubmitted {
            refund: refund.clone(),
        }]),
        RefundState::Submitted
        | RefundState::Accepted(_)
        | RefundState::Uncertain
        | RefundState::Settled
        | RefundState::Failed => Ok(vec![]),
    }
}

/// Rows F5 and F6. An answer that comes after the settled fact changes nothing.
pub(super) fn answer(
    request: &Request,
    refund: &RefundId,
    answer: &RefundAnswer,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    let asked = known(request, refund)?;
    if !asked.at_the_provider() {
        return Ok(vec![]);
    }
    let mut recording = Recording::of(request, now);
    match (answer, &asked.state) {
        (RefundAnswer::Accepted(reversal), RefundState::Accepted(known)) if known == reversal => {}
        (RefundAnswer::Accepted(reversal), _) => {
            recording.push(Event::RefundAccepted {
                refund: refund.clone(),
                reversal: reversal.clone(),
            });
            recording.settle_case(ExceptionKind::RefundUncertain, refund.as_str());
        }
        (RefundAnswer::Declined { provider_status }, _) => {
            recording.refund_failed(refund, provider_status.clone());
        }
        // What the provider has under an id of its own is asked about by that id.
        (RefundAnswer::Unknown { .. }, RefundState::Uncertain | RefundState::Accepted(_)) => {}
        (RefundAnswer::Unknown { why }, _) => {
            recording.push(Event::RefundUncertain {
                refund: refund.clone(),
                why: why.clone(),
            });
            let capture = asked.capture.clone();
            recording.open_case(
                ExceptionKind::RefundUncertain,
                refund.as_str(),
                Some(&capture),
            );
        }
    }
    Ok(recording.events)
}

impl Recording {
    /// Row F5.
    pub(super) fn refund_failed(&mut self, refund: &RefundId, provider_status: Option<String>) {
        let capture = self
            .request
            .refunds()
            .get(refund)
            .map(|known| known.capture.clone());
        self.push(Event::RefundFailed {
            refund: refund.clone(),
            provider_status,
        });
        self.settle_case(ExceptionKind::RefundUncertain, refund.as_str());
        self.open_case(
            ExceptionKind::RefundFailed,
            refund.as_str(),
            capture.as_ref(),
        );
    }

    /// The refund of ours that a failure is about, when it is none that settled before: the one of that
    /// id, or the only one under way.
    pub(super) fn refund_that_failed(
        &self,
        key: &CaptureKey,
        capture: &Capture,
        reversal: Option<&ProviderRef>,
    ) -> Option<RefundId> {
        if reversal.is_some_and(|id| capture.reversals.contains_key(id)) {
            return None;
        }
        let mut open = self
            .request
            .refunds()
            .iter()
            .filter(|(_, refund)| refund.capture == *key && refund.at_the_provider());
        let is_it = |(id, refund): &(&RefundId, &Refund)| {
            reversal.is_none_or(|told| refund.is_called(id, told))
        };
        let mut found = open.by_ref().filter(is_it);
        let first = found.next()?;
        found.next().is_none().then(|| first.0.clone())
    }

    /// Which refunds of ours a report of `minor` more settles, and how much of it is none of ours.
    /// The provider's id decides where it is known; then the exact amount; then the oldest that fit
    /// into a total. `None` where it may be one of several and the answer to a call is about to tell
    /// which.
    pub(super) fn refunds_told(
        &self,
        key: &CaptureKey,
        reversal: Option<&ProviderRef>,
        minor: i64,
        total: bool,
    ) -> Option<(Vec<(RefundId, i64)>, i64)> {
        let mut open: Vec<_> = self
            .request
            .refunds()
            .iter()
            .filter(|(_, refund)| refund.capture == *key && refund.at_the_provider())
            .collect();
        open.sort_by_key(|(_, refund)| refund.number);
        let is_named = |(id, refund): &(&RefundId, &Refund)| {
            reversal.is_some_and(|told| refund.is_called(id, told))
        };
        let (mut ours, mut rest) = (vec![], minor);
        if let Some(place) = open.iter().position(is_named) {
            let (id, refund) = open.remove(place);
            // A total holds others as well.
            let of_it = if total {
                minor.min(refund.minor)
            } else {
                minor
            };
            ours.push((id.clone(), of_it));
            rest -= of_it;
        } else {
            // A refund that is known by another id than the one told is not this one; a total holds
            // whatever went.
            open.retain(|(_, refund)| total || refund.reversal.is_none());
            let mut same = open.iter().filter(|(_, refund)| refund.minor == minor);
            if let Some((id, first)) = same.next() {
                let called = |refund: &Refund| refund.state == RefundState::Submitted;
                let several: Vec<_> = same.collect();
                let unclear = called(first) || several.iter().any(|(_, other)| called(other));
                if !total && !several.is_empty() && unclear {
                    return None;
                }
                return Some((vec![((*id).clone(), minor)], 0));
            }
        }
        for (id, refund) in open.into_iter().filter(|_| total) {
            if refund.minor <= rest {
                rest -= refund.minor;
                ours.push((id.clone(), refund.minor));
            }
        }
        Some((ours, rest))
    }
}

fn known<'a>(request: &'a Request, refund: &RefundId) -> Result<&'a Refund, Refusal> {
    request.refunds().get(refund).ok_or(Refusal::UnknownRefund)
}
