//! Money that went back: refunds, voids and disputes that a provider reports. They consume the
//! unapplied part of their capture first; only the applied part changes the label.

use super::command::RecordFacts;
use super::event::{CaptureKey, DisputeOutcome, Event, Part, RefundKind, Resolution};
use super::exception::ExceptionKind;
use super::fact::{Fact, FactKind, RefundAmount};
use super::label::Label;
use super::outcome::Outcome;
use super::recording::Recording;
use super::refund::Refund;
use super::request::{Capture, Dispute};
use crate::ids::{CaseId, ProviderRef, RefundId};
use crate::money::{MinorText, Money, Sum};
use crate::time::Timestamp;

impl Recording {
    /// Rows F3 to F5, F7 to F16 and C6.
    pub(super) fn reversal(
        &mut self,
        command: &RecordFacts,
        attempt_no: Option<u32>,
        fact: &Fact,
    ) -> Outcome {
        let Some((key, capture)) = self.reversed_capture(command, attempt_no, fact) else {
            return Outcome::Parked; // row C6
        };
        match &fact.kind {
            FactKind::Voided { reversal } => {
                let all = capture.applied + capture.unapplied;
                self.settle(
                    &key,
                    &capture,
                    RefundKind::Void,
                    reversal.as_ref(),
                    all,
                    true,
                )
            }
            FactKind::Refunded {
                amount: RefundAmount::Cumulative(sum),
                ..
            } if sum.currency() != capture.amount.currency() => self.contradicts(&key),
            FactKind::Refunded {
                amount: RefundAmount::Delta(money),
                ..
            } if !money.same_currency(capture.amount) => self.contradicts(&key),
            FactKind::Refunded {
                amount: RefundAmount::Cumulative(sum),
                reversal,
            } => {
                let more = sum.minor().saturating_sub(capture.refunded);
                self.settle(
                    &key,
                    &capture,
                    RefundKind::Refund,
                    reversal.as_ref(),
                    more,
                    true,
                )
            }
            FactKind::Refunded {
                amount: RefundAmount::Delta(money),
                reversal: Some(id),
            } => self.settle(
                &key,
                &capture,
                RefundKind::Refund,
                Some(id),
                money.minor(),
                false,
            ),
            FactKind::Refunded {
                amount: RefundAmount::Delta(_),
                reversal: None,
            } => {
                self.contradicts(&key) // A repeat could not be told from a second refund.
            }
            FactKind::RefundFailed { reversal } => {
                if let Some(refund) = self.refund_that_failed(&key, &capture, reversal.as_ref()) {
                    self.refund_failed(&refund, fact.provider_status.clone()); // row F5
                    return Outcome::Applied;
                }
                self.refund_came_back(&key, &capture, reversal.as_ref())
            }
            FactKind::DisputeOpened {
                dispute,
                amount,
                reason,
                due_by,
            } => self.dispute_opened(&key, &capture, dispute, *amount, reason.clone(), *due_by),
            FactKind::DisputeWon { dispute } => {
                self.dispute_closed(&capture, dispute, DisputeOutcome::Won)
            }
            FactKind::DisputeLost { dispute } => {
                self.dispute_closed(&capture, dispute, DisputeOutcome::Lost)
            }
            FactKind::Registered
            | FactKind::Processing
            | FactKind::Authorised
            | FactKind::Captured
            | FactKind::Declined
            | FactKind::SessionExpired
            | FactKind::Unknown => Outcome::Stale,
        }
    }

    /// The capture that a reversal names, or the only one of its attempt where it names none.
    pub(super) fn reversed_capture(
        &self,
        command: &RecordFacts,
        attempt_no: Option<u32>,
        fact: &Fact,
    ) -> Option<(CaptureKey, Capture)> {
        let observation = &command.observation;
        if let FactKind::DisputeWon { dispute } | FactKind::DisputeLost { dispute } = &fact.kind {
            let key = &self.request.disputes().get(dispute)?.capture;
            let told_by_its_account =
                key.provider == observation.provider && key.account == observation.account;
            let known = self
                .request
                .captures()
                .get_key_value(key)
                .filter(|_| told_by_its_account);
            return known.map(|(key, capture)| (key.clone(), capture.clone()));
        }
        let found = match &fact.transaction {
            Some(transaction) => self.request.capture(&CaptureKey {
                provider: observation.provider.clone(),
                account: observation.account.clone(),
                transaction: transaction.clone(),
            }),
            None => {
                let of_attempt =
                    |capture: &Capture| attempt_no.is_some() && capture.attempt_no == attempt_no;
                let mut all = self
                    .request
                    .captures()
                    .iter()
                    .filter(|(_, capture)| of_attempt(capture));
                all.next().filter(|_| all.next().is_none())
            }
        };
        found.map(|(key, capture)| (key.clone(), capture.clone()))
    }

    /// Money went back. What refunds of ours explain is theirs; the rest nobody here asked for.
    fn settle(
        &mut self,
        key: &CaptureKey,
        capture: &Capture,
        kind: RefundKind,
        reversal: Option<&ProviderRef>,
        minor: i64,
        total: bool,
    ) -> Outcome {
        let repeated = reversal.is_some_and(|id| capture.reversals.contains_key(id));
        if repeated || minor <= 0 {
            return Outcome::Duplicate; // row F8
        }
        let Some((ours, rest)) = self.refunds_told(key, reversal, minor, total) else {
            return Outcome::Parked; // The answer to our call tells which of ours it is.
        };
        let mut settled = 0;
        // Of several in one total, the provider names one.
        let names = std::iter::once(reversal).chain(std::iter::repeat(None));
        for ((refund, part), name) in ours.into_iter().zip(names) {
            settled += self.settle_ours(key, &refund, part, name);
        }
        let (unasked, told) = (self.give_back(key, kind, reversal, rest, None), settled);
        settled += unasked;
        self.close_empty_cases(key, Resolution::Refunded);
        // The total told so far is the same in a repeat and another one in the next refund.
        let total_told = capture.refunded.saturating_add(minor);
        let about = reversal.map_or_else(|| format!("{key} {total_told}"), ToString::to_string);
        let disputed = |dispute: &Dispute| {
            dispute.capture == *key && dispute.outcome != Some(DisputeOutcome::Won)
        };
        if self.request.disputes().values().any(disputed) {
            self.open_case(ExceptionKind::RefundAndDispute, about, Some(key)); // row F14
        } else {
            if unasked < minor - told && settled < minor {
                self.contradicts(key);
            }
            let case = match kind {
                RefundKind::Refund => ExceptionKind::UnrequestedRefund, // row F7
                RefundKind::Void => ExceptionKind::UnrequestedVoid,     // row F10
            };
            if unasked > 0 {
                self.open_case(case, about, Some(key));
            }
        }
        if settled > 0 {
            Outcome::Applied
        } else {
            Outcome::Stale
        }
    }

    /// A refund of ours settled, with `minor` of its money. Gives how much that was.
    pub(super) fn settle_ours(
        &mut self,
        key: &CaptureKey,
        refund: &RefundId,
        minor: i64,
        reversal: Option<&ProviderRef>,
    ) -> i64 {
        let known = self.request.refunds().get(refund);
        let asked = known.map(|known| known.minor);
        // The name that the provider gave it counts on when a total tells of it without one.
        let name = reversal.cloned();
        let name = name.or_else(|| known.and_then(|known| known.reversal.clone()));
        let settled = self.give_back(key, RefundKind::Refund, name.as_ref(), minor, Some(refund));
        if asked != Some(settled) {
            self.contradicts(key);
        }
        self.settle_case(ExceptionKind::RefundUncertain, refund.as_str());
        self.close_empty_cases(key, Resolution::Refunded);
        settled
    }

    /// Takes `minor` out of the capture, never more than is there: a refund of ours out of its part
    /// first, everything else out of the unapplied part first.
    fn give_back(
        &mut self,
        key: &CaptureKey,
        kind: RefundKind,
        reversal: Option<&ProviderRef>,
        minor: i64,
        refund: Option<&RefundId>,
    ) -> i64 {
        let Some(capture) = self.request.captures().get(key).cloned() else {
            return 0;
        };
        let part = refund
            .and_then(|id| self.request.refunds().get(id))
            .map(|known| known.part);
        let (applied, unapplied) = match part {
            Some(Part::Applied) => {
                let applied = minor.min(capture.applied);
                (applied, (minor - applied).min(capture.unapplied))
            }
            Some(Part::Unapplied) | None => parts(&capture, minor),
        };
        let settled = applied + unapplied;
        // A refund of ours is over also where nothing is left for it.
        if settled > 0 || refund.is_some() {
            self.push(Event::RefundSettled {
                capture: key.clone(),
                kind,
                reversal: reversal.cloned(),
                applied: MinorText(applied),
                unapplied: MinorText(unapplied),
                cumulative: Sum::new(
                    capture.refunded.saturating_add(settled),
                    capture.amount.currency(),
                ),
                requested: refund.is_some(),
                refund: refund.cloned(),
            });
        }
        settled
    }

    /// The provider states a reversal that cannot be.
    fn contradicts(&mut self, key: &CaptureKey) -> Outcome {
        self.open_case(
            ExceptionKind::ProviderContradiction,
            format!("refund of {key}"),
            Some(key),
        );
        Outcome::Refused
    }

    /// Row F9. A failure that is told before its refund is known waits for it, like row C6.
    fn refund_came_back(
        &mut self,
        key: &CaptureKey,
        capture: &Capture,
        reversal: Option<&ProviderRef>,
    ) -> Outcome {
        let of_capture = |refund: &&Refund| refund.capture == *key;
        let mut ours = self.request.refunds().iter();
        let Some(told) = reversal else {
            let under_way = ours.any(|(_, refund)| of_capture(&refund) && refund.at_the_provider());
            // Which of several it was, nobody can tell.
            return if under_way || capture.refunded > 0 {
                self.contradicts(key)
            } else {
                Outcome::Stale
            };
        };
        let Some((id, &(applied, unapplied))) = capture.reversals.get_key_value(told) else {
            let ended = |(id, refund): (&RefundId, &Refund)| {
                of_capture(&refund) && refund.is_called(id, told) && !refund.pending()
            };
            return if ours.any(ended) {
                Outcome::Stale
            } else {
                Outcome::Parked
            };
        };
        if (applied, unapplied) == (0, 0) {
            return Outcome::Stale;
        }
        self.push(Event::RefundReversed {
            capture: key.clone(),
            reversal: id.clone(),
            applied: MinorText(applied),
            unapplied: MinorText(unapplied),
        });
        self.set_surplus_aside(key, applied);
        self.open_case(ExceptionKind::RefundReversed, id.to_string(), Some(key));
        Outcome::Applied
    }

    /// Money that came back restores what was verified, and verifies nothing: of the `applied` part,
    /// what is more than the verified amount waits for a person.
    fn set_surplus_aside(&mut self, key: &CaptureKey, applied: i64) {
        let request = &self.request;
        let surplus = request.verified().map_or(applied, |verified| {
            request
                .applied()
                .minor()
                .saturating_sub(request.verified_minor(verified))
                .clamp(0, applied)
        });
        if surplus > 0 {
            let (capture, minor) = (key.clone(), MinorText(surplus));
            self.push(Event::CaptureUnapplied {
                capture,
                minor,
                why: ExceptionKind::RefundReversed,
            });
        }
    }

    /// Rows F11 and F14.
    fn dispute_opened(
        &mut self,
        key: &CaptureKey,
        capture: &Capture,
        dispute: &ProviderRef,
        amount: Option<Money>,
        reason: Option<String>,
        due_by: Option<Timestamp>,
    ) -> Outcome {
        if self.request.disputes().contains_key(dispute) {
            return Outcome::Duplicate;
        }
        let refunded = self.request.label() == Label::Refunded;
        let comparable = amount.filter(|amount| amount.same_currency(capture.amount));
        if amount != comparable {
            // Minor units of two currencies cannot be compared: all of the capture is at stake.
            let about = format!("dispute {dispute}");
            self.open_case(ExceptionKind::ProviderContradiction, about, Some(key));
        }
        self.push(Event::DisputeOpened {
            dispute: dispute.clone(),
            capture: key.clone(),
            amount: comparable.unwrap_or(capture.amount),
            reason,
            due_by,
        });
        let kind = if refunded {
            ExceptionKind::RefundAndDispute
        } else {
            ExceptionKind::Dispute
        };
        self.open_case(kind, dispute.to_string(), Some(key));
        Outcome::Applied
    }

    /// Rows F12 and F13.
    fn dispute_closed(
        &mut self,
        capture: &Capture,
        dispute: &ProviderRef,
        outcome: DisputeOutcome,
    ) -> Outcome {
        let Some(known) = self.request.disputes().get(dispute).cloned() else {
            return Outcome::Parked;
        };
        if known.outcome.is_some() {
            return Outcome::Duplicate;
        }
        let lost = match outcome {
            DisputeOutcome::Won => 0,
            DisputeOutcome::Lost => known.amount.minor(),
        };
        let (applied, unapplied) = parts(capture, lost);
        self.push(Event::DisputeClosed {
            dispute: dispute.clone(),
            capture: known.capture.clone(),
            outcome,
            applied: MinorText(applied),
            unapplied: MinorText(unapplied),
        });
        // Nothing moves with a dispute that is won, so it answers no case but its own.
        match outcome {
            DisputeOutcome::Won => {}
            DisputeOutcome::Lost => self.close_empty_cases(&known.capture, Resolution::Refunded),
        }
        if let Some(case) = self.case_of(dispute, outcome) {
            self.push(Event::ExceptionResolved {
                case,
                resolution: Resolution::Settled,
            });
        }
        Outcome::Applied
    }

    /// The case that the end of a dispute settles. Money that was refunded and then lost as well is
    /// gone twice; that stays with a person.
    fn case_of(&self, dispute: &ProviderRef, outcome: DisputeOutcome) -> Option<CaseId> {
        let about = dispute.as_str();
        let is_it = |kind| match outcome {
            DisputeOutcome::Won => matches!(
                kind,
                ExceptionKind::Dispute | ExceptionKind::RefundAndDispute
            ),
            DisputeOutcome::Lost => kind == ExceptionKind::Dispute,
        };
        let mut cases = self.request.cases().iter();
        let found = cases.find(|(_, case)| case.open() && case.about == about && is_it(case.kind));
        found.map(|(id, _)| id.clone())
    }
}

/// `minor` out of the capture: the unapplied part first, then the applied part, and never more than
/// is there.
fn parts(capture: &Capture, minor: i64) -> (i64, i64) {
    let unapplied = minor.min(capture.unapplied);
    let applied = (minor - unapplied).min(capture.applied);
    (applied, unapplied)
}
