//! What people do with cases. A case that holds money closes only with the event that moves the money
//! (rows E9, E10, E15).

use super::command::Refusal;
use super::event::{CancelledBy, CaptureKey, Event, Part, Resolution, VerificationMethod};
use super::exception::{Ending, ExceptionKind};
use super::recording::Recording;
use super::refund::{self, RefundAnswer, RefundState, RequestRefund};
use super::request::{Case, Closure, Request};
use crate::ids::{CaseId, OperatorId, PaymentRequestId, ProviderRef, RefundId, TransferId};
use crate::money::MinorText;
use crate::time::Timestamp;

/// How a person decides a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolve {
    /// Its money, and that of `with`, counts towards the order; an unproven override is written off.
    Accept {
        /// Other cases of the same request whose money counts as well.
        with: Vec<CaseId>,
    },
    /// Its money goes back. The case closes when it did.
    Refund {
        /// The refund to ask for.
        refund: RefundId,
    },
    /// Its money pays another request of the same merchant and currency.
    Reassign {
        /// The transfer.
        transfer: TransferId,
        /// That request.
        to: PaymentRequestId,
    },
    /// Its money is the shop's income.
    KeepAsIncome,
    /// There is nothing to do.
    Dismiss,
    /// What a person found out about a refund whose answer is not known (row F6).
    RefundAnswer {
        /// True when the money went back.
        settled: bool,
        /// The provider's id of the reversal, where it is known.
        reversal: Option<ProviderRef>,
    },
}

/// Somebody looks after it. The same again leaves no event.
pub(super) fn assign(
    request: &Request,
    case: &CaseId,
    to: Option<&OperatorId>,
) -> Result<Vec<Event>, Refusal> {
    let known = open(request, case)?;
    if known.assignee.as_ref() == to {
        return Ok(vec![]);
    }
    Ok(vec![Event::ExceptionAssigned {
        case: case.clone(),
        to: to.cloned(),
    }])
}

/// Decides a case. A repeat of the same decision, with all that belongs to it, leaves no event.
pub(super) fn resolve(
    request: &Request,
    case: &CaseId,
    how: &Resolve,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    let known = request.cases().get(case).ok_or(Refusal::UnknownCase)?;
    if let Some(before) = known.resolution {
        return if before == resolution_of(how) && came_so(request, known, how) {
            Ok(vec![])
        } else {
            Err(Refusal::CaseClosed)
        };
    }
    let mut recording = Recording::of(request, now);
    match (how, known.kind.ends_by()) {
        (Resolve::Accept { with }, Ending::Money) => {
            let all: Vec<&CaseId> = std::iter::once(case).chain(with).collect();
            recording.accept(&all)?;
        }
        (Resolve::Accept { .. }, Ending::WriteOff) => {
            recording.push(Event::ExceptionResolved {
                case: case.clone(),
                resolution: Resolution::Accepted,
            });
        }
        (Resolve::Refund { refund }, Ending::Money) => {
            let key = money_of(known)?;
            let minor = match request.refunds().get(refund) {
                Some(before) => before.minor,
                None => match request.available(&key, Part::Unapplied) {
                    0 => recording.free(&key)?,
                    rest => rest,
                },
            };
            let asked = RequestRefund {
                refund: refund.clone(),
                minor,
                capture: key,
                part: Part::Unapplied,
            };
            return refund::request(request, &asked);
        }
        (Resolve::Reassign { transfer, to }, Ending::Money) => {
            recording.reassign(&money_of(known)?, transfer, to)?;
        }
        (Resolve::KeepAsIncome, Ending::Money) => {
            let key = money_of(known)?;
            let minor = recording.free(&key)?;
            recording.push(Event::UnappliedMoneyKept {
                capture: key.clone(),
                minor: MinorText(minor),
            });
            recording.close_empty_cases(&key, Resolution::KeptAsIncome);
        }
        (Resolve::RefundAnswer { settled, reversal }, Ending::RefundAnswer) => {
            recording.answer_refund(&known.about, *settled, reversal.as_ref())?;
        }
        (Resolve::Dismiss, Ending::Person) => {
            recording.push(Event::ExceptionResolved {
                case: case.clone(),
                resolution: Resolution::Dismissed,
            });
        }
        // What went back already left nothing to decide.
        (Resolve::Dismiss, Ending::Money) if !holds_money(request, known) => {
            recording.push(Event::ExceptionResolved {
                case: case.clone(),
                resolution: Resolution::Dismissed,
            });
        }
        (Resolve::Dismiss, Ending::Money) => return Err(Refusal::CaseHoldsMoney),
        (
            Resolve::Accept { .. }
            | Resolve::Refund { .. }
            | Resolve::Reassign { .. }
            | Resolve::KeepAsIncome
            | Resolve::Dismiss
            | Resolve::RefundAnswer { .. },
            Ending::Money
            | Ending::Provider
            | Ending::RefundAnswer
            | Ending::WriteOff
            | Ending::Person,
        ) => return Err(Refusal::NotThisWay { kind: known.kind }),
    }
    Ok(recording.events)
}

fn resolution_of(how: &Resolve) -> Resolution {
    match how {
        Resolve::Accept { .. } => Resolution::Accepted,
        Resolve::Refund { .. } => Resolution::Refunded,
        Resolve::Reassign { .. } => Resolution::Reassigned,
        Resolve::KeepAsIncome => Resolution::KeptAsIncome,
        Resolve::Dismiss => Resolution::Dismissed,
        Resolve::RefundAnswer { .. } => Resolution::Settled,
    }
}

/// Whether a case that was resolved as `how` would resolve it came to all that `how` says: whoever
/// sends money elsewhere than it went must not hear that it is done.
fn came_so(request: &Request, case: &Case, how: &Resolve) -> bool {
    match how {
        Resolve::Accept { with } => with.iter().all(|other| {
            let other = request.cases().get(other);
            other.is_some_and(|other| other.resolution == Some(Resolution::Accepted))
        }),
        Resolve::Reassign { to, .. } => {
            let money = case.capture.as_ref().and_then(|key| request.capture(key));
            money.is_some_and(|(_, money)| money.moved_to.as_ref() == Some(to))
        }
        Resolve::RefundAnswer { settled, reversal } => {
            let refunds = request.refunds().iter();
            let mut about = refunds.filter(|(id, _)| id.as_str() == case.about);
            about.any(|(id, refund)| match refund.state {
                RefundState::Settled => {
                    let called = |told| refund.is_called(id, told);
                    *settled && reversal.as_ref().is_none_or(called)
                }
                RefundState::Failed => !*settled,
                RefundState::Requested
                | RefundState::Submitted
                | RefundState::Accepted(_)
                | RefundState::Uncertain => false,
            })
        }
        Resolve::Refund { .. } | Resolve::KeepAsIncome | Resolve::Dismiss => true,
    }
}

fn open<'a>(request: &'a Request, case: &CaseId) -> Result<&'a Case, Refusal> {
    let known = request.cases().get(case).ok_or(Refusal::UnknownCase)?;
    if known.open() {
        Ok(known)
    } else {
        Err(Refusal::CaseClosed)
    }
}

fn holds_money(request: &Request, case: &Case) -> bool {
    let money = case
        .capture
        .as_ref()
        .and_then(|key| request.captures().get(key));
    money.is_some_and(|capture| capture.unapplied > 0)
}

fn money_of(case: &Case) -> Result<CaptureKey, Refusal> {
    case.capture.clone().ok_or(Refusal::NothingUnapplied)
}

impl Recording {
    /// Row E9. Only money that completes the order is accepted: a part would be neither paid nor due.
    /// What is more than is due stays unapplied, in its case.
    fn accept(&mut self, cases: &[&CaseId]) -> Result<(), Refusal> {
        if self.request.verified().is_some() && !self.request.unproven() {
            return Err(Refusal::AlreadyPaid);
        }
        if *self.request.closure() == Closure::Cancelled(CancelledBy::Superseded) {
            return Err(Refusal::Superseded); // Its order is paid for by another request.
        }
        let mut accepted: Vec<CaptureKey> = vec![];
        for case in cases {
            let known = open(&self.request, case)?;
            if known.kind.ends_by() != Ending::Money {
                return Err(Refusal::NotThisWay { kind: known.kind });
            }
            let key = money_of(known)?;
            if let Some(kind) = self.not_the_orders(&key) {
                return Err(Refusal::NotThisWay { kind });
            }
            if !accepted.contains(&key) {
                accepted.push(key);
            }
        }
        let mut decisive = None;
        for key in &accepted {
            let tolerance = self.request.terms().rules.tolerance_minor.0;
            let (free, missing) = (self.free(key)?, self.request.missing_minor());
            // A tolerated surplus is taken whole, like that of one payment (row D5).
            let minor = if free.saturating_sub(missing) <= tolerance {
                free
            } else {
                missing
            };
            if minor > 0 {
                self.push(Event::UnappliedMoneyAccepted {
                    capture: key.clone(),
                    minor: MinorText(minor),
                });
                decisive = Some(key.clone());
            }
        }
        let rules = &self.request.terms().rules;
        let missing = self.request.missing_minor();
        if missing > rules.tolerance_minor.0 {
            return Err(Refusal::NotEnough {
                missing: MinorText(missing),
            });
        }
        if self.request.verified().is_some() {
            self.settle_override_cases(); // It was paid by decision; this is the money.
        } else {
            let class = decisive
                .as_ref()
                .and_then(|key| self.request.captures().get(key));
            self.push(Event::PaymentVerified {
                method: class.map_or(VerificationMethod::StatusLookup, |capture| {
                    VerificationMethod::of(capture.class)
                }),
                capture: decisive.clone(),
                amount: self.request.applied(),
                paid_at: class
                    .and_then(|capture| capture.provider_time)
                    .and_then(super::capture::moment),
                late: *self.request.closure() != Closure::Open,
                rounding_minor: MinorText(missing),
            });
        }
        for key in &accepted {
            self.close_empty_cases(key, Resolution::Accepted);
        }
        Ok(())
    }

    /// Why a capture can never count towards this order, whichever case names it: it came in another
    /// currency, or to another merchant account (rows D6, D7).
    fn not_the_orders(&self, key: &CaptureKey) -> Option<ExceptionKind> {
        let cases = self.request.cases().values();
        cases
            .filter(|case| case.capture.as_ref() == Some(key))
            .map(|case| case.kind)
            .find(|kind| {
                matches!(
                    kind,
                    ExceptionKind::CurrencyMismatch | ExceptionKind::AccountMismatch
                )
            })
    }

    /// Row E15, first half: the money leaves here before it arrives there.
    fn reassign(
        &mut self,
        key: &CaptureKey,
        transfer: &TransferId,
        to: &PaymentRequestId,
    ) -> Result<(), Refusal> {
        if *to == self.request.terms().id {
            return Err(Refusal::SameRequest);
        }
        let minor = self.free(key)?;
        let Some(capture) = self.request.captures().get(key) else {
            return Err(Refusal::UnknownCapture);
        };
        let mut disputes = self.request.disputes().values();
        if disputes.any(|dispute| dispute.capture == *key && dispute.outcome.is_none()) {
            return Err(Refusal::DisputeOpen); // How it ends is told here.
        }
        let amount = crate::money::Money::new(minor, capture.amount.currency())
            .map_err(|_| Refusal::NothingUnapplied)?;
        self.push(Event::CaptureReassigned {
            transfer: transfer.clone(),
            to: to.clone(),
            capture: key.clone(),
            amount,
            class: capture.class,
            provider_time: capture.provider_time,
            refunded: MinorText(capture.refunded),
            reversals: capture.reversals.keys().cloned().collect(),
        });
        self.close_empty_cases(key, Resolution::Reassigned);
        Ok(())
    }

    /// A person answers what the provider cannot be asked.
    fn answer_refund(
        &mut self,
        refund: &str,
        settled: bool,
        reversal: Option<&ProviderRef>,
    ) -> Result<(), Refusal> {
        let id = RefundId::parse(refund).map_err(|_| Refusal::UnknownRefund)?;
        let Some(known) = self
            .request
            .refunds()
            .get(&id)
            .filter(|known| known.pending())
            .cloned()
        else {
            return Err(Refusal::UnknownRefund);
        };
        if settled {
            self.settle_ours(&known.capture, &id, known.minor, reversal);
        } else {
            let answer = RefundAnswer::Declined {
                provider_status: None,
            };
            let events = refund::answer(&self.request, &id, &answer, self.now)?;
            for event in events {
                self.push(event);
            }
        }
        Ok(())
    }

    /// Unapplied money that no refund holds; some, or a refusal.
    fn free(&self, key: &CaptureKey) -> Result<i64, Refusal> {
        let capture = self
            .request
            .captures()
            .get(key)
            .ok_or(Refusal::UnknownCapture)?;
        match self.request.available(key, Part::Unapplied) {
            minor if minor > 0 && minor == capture.unapplied => Ok(minor),
            0 if capture.unapplied == 0 => Err(Refusal::NothingUnapplied),
            _ => Err(Refusal::RefundPending),
        }
    }

    /// Cases close when nothing is left of the money that they held.
    pub(super) fn close_empty_cases(&mut self, key: &CaptureKey, resolution: Resolution) {
        if self
            .request
            .captures()
            .get(key)
            .is_none_or(|capture| capture.unapplied > 0)
        {
            return;
        }
        self.close_cases(resolution, |case| {
            case.kind.ends_by() == Ending::Money && case.capture.as_ref() == Some(key)
        });
    }

    /// The event that a case of this kind about this waited for came.
    pub(super) fn settle_case(&mut self, kind: ExceptionKind, about: &str) {
        self.close_cases(Resolution::Settled, |case| {
            case.kind == kind && case.about == about
        });
    }

    pub(super) fn close_cases(&mut self, resolution: Resolution, which: impl Fn(&Case) -> bool) {
        let cases = self.request.cases().iter();
        let found: Vec<CaseId> = cases
            .filter(|(_, case)| case.open() && which(case))
            .map(|(id, _)| id.clone())
            .collect();
        for case in found {
            self.push(Event::ExceptionResolved { case, resolution });
        }
    }
}
