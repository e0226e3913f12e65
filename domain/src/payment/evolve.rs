//! What each event changes. Only [`evolve`] builds or changes a request; it is total and cannot
//! fail, because history already happened.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{CancelledBy, CaptureKey, Event, Part, Progress, Proposed};
use super::proposal::{Override, Proposal, ProposalState};
use super::refund::{Refund, RefundState};
use super::request::{
    Attempt, AttemptState, Capture, Case, Closure, Deferral, Dispute, Request, Verification,
};
use super::terms::Terms;
use crate::ids::{ProviderRef, RefundId};

/// Folds one event. `None` only before the first one. Events that cannot follow (the stream was
/// damaged) change nothing.
pub fn evolve(request: Option<Request>, event: &Event) -> Option<Request> {
    let Some(mut request) = request else {
        return match event {
            Event::Created(terms) => Some(Request::new((**terms).clone())),
            _ => None,
        };
    };
    request.apply(event);
    Some(request)
}

impl Request {
    fn new(terms: Terms) -> Self {
        Self {
            terms,
            closure: Closure::Open,
            attempts: BTreeMap::new(),
            captures: BTreeMap::new(),
            aliases: BTreeMap::new(),
            received: BTreeSet::new(),
            refunds: BTreeMap::new(),
            disputes: BTreeMap::new(),
            verified: None,
            proposals: BTreeMap::new(),
            override_: None,
            cases: BTreeMap::new(),
            deferred: None,
            notices: 0,
        }
    }

    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Created(_) => {}
            Event::AttemptStarted {
                attempt_no,
                provider,
                account,
                our_reference,
                amount,
                session_expires_at,
            } => {
                let attempt = Attempt {
                    provider: provider.clone(),
                    account: account.clone(),
                    our_reference: our_reference.clone(),
                    amount: *amount,
                    provider_order_ref: None,
                    pay_url: None,
                    session_expires_at: *session_expires_at,
                    state: AttemptState::Started,
                    prechecks: vec![],
                    cancel_requested: false,
                };
                self.attempts.insert(*attempt_no, attempt);
            }
            Event::AttemptRegistered {
                attempt_no,
                provider_order_ref,
                pay_url,
                session_expires_at,
            } => {
                self.with_attempt(*attempt_no, |attempt| {
                    attempt.provider_order_ref = provider_order_ref
                        .clone()
                        .or(attempt.provider_order_ref.take());
                    attempt.pay_url = pay_url.clone().or(attempt.pay_url.take());
                    attempt.session_expires_at =
                        session_expires_at.unwrap_or(attempt.session_expires_at);
                    let doubtful = AttemptState::InFlight(Progress::Unknown);
                    if matches!(
                        attempt.state,
                        AttemptState::Started | AttemptState::Uncertain
                    ) || attempt.state == doubtful
                    {
                        attempt.state = AttemptState::Registered;
                    }
                });
            }
            Event::AttemptUncertain { attempt_no, .. } => {
                self.with_attempt(*attempt_no, |attempt| {
                    attempt.state = AttemptState::Uncertain
                });
            }
            Event::AttemptPrechecked {
                attempt_no,
                verdict,
            } => {
                self.with_attempt(*attempt_no, |attempt| {
                    attempt.prechecks.push(verdict.clone())
                });
            }
            Event::AttemptProgressed { attempt_no, state } => {
                self.with_attempt(*attempt_no, |attempt| {
                    attempt.state = AttemptState::InFlight(*state)
                });
            }
            Event::AttemptCancelRequested { attempt_no } => {
                self.with_attempt(*attempt_no, |attempt| attempt.cancel_requested = true);
            }
            Event::AttemptFailed {
                attempt_no, why, ..
            } => {
                self.with_attempt(*attempt_no, |attempt| {
                    attempt.state = AttemptState::Failed(*why)
                });
            }
            Event::PaymentCaptured {
                capture,
                attempt_no,
                amount,
                applied,
                unapplied,
                class,
                provider_time,
                ..
            } => {
                self.with_attempt(*attempt_no, |attempt| {
                    attempt.state = AttemptState::Captured
                });
                let parts = (applied.0, unapplied.0);
                let money =
                    Capture::came(Some(*attempt_no), *amount, parts, *class, *provider_time);
                self.captures.insert(capture.clone(), money);
            }
            Event::OverrideSubstantiated {
                capture,
                attempt_no,
                amount,
                class,
                provider_time,
                ..
            } => {
                self.with_attempt(*attempt_no, |attempt| {
                    attempt.state = AttemptState::Captured
                });
                let parts = (amount.minor(), 0);
                let money =
                    Capture::came(Some(*attempt_no), *amount, parts, *class, *provider_time);
                self.captures.insert(capture.clone(), money);
            }
            Event::CaptureReceived {
                transfer,
                capture,
                amount,
                applied,
                unapplied,
                class,
                provider_time,
                refunded,
                reversals,
                ..
            } => {
                self.received.insert(transfer.clone());
                let mut money = Capture::came(
                    None,
                    *amount,
                    (applied.0, unapplied.0),
                    *class,
                    *provider_time,
                );
                (money.refunded, money.refunded_before) = (refunded.0, refunded.0);
                // They took nothing of what came.
                let told = reversals.iter().map(|id| (id.clone(), (0, 0)));
                money.reversals = told.collect();
                match self.captures.get_mut(capture) {
                    Some(known) => known.add(money),
                    None => {
                        self.captures.insert(capture.clone(), money);
                    }
                }
            }
            Event::CaptureAliasRecorded { capture, alias } => {
                self.aliases.insert(alias.clone(), capture.clone());
            }
            Event::UnappliedMoneyAccepted { capture, minor } => {
                self.with_capture(capture, |capture| {
                    capture.unapplied = capture.unapplied.saturating_sub(minor.0);
                    capture.applied = capture.applied.saturating_add(minor.0);
                })
            }
            Event::UnappliedMoneyKept { capture, minor } => self.with_capture(capture, |capture| {
                capture.unapplied = capture.unapplied.saturating_sub(minor.0);
                capture.kept = capture.kept.saturating_add(minor.0);
            }),
            Event::CaptureReassigned {
                to,
                capture,
                amount,
                ..
            } => self.with_capture(capture, |capture| {
                capture.unapplied = capture.unapplied.saturating_sub(amount.minor());
                capture.moved = capture.moved.saturating_add(amount.minor());
                capture.moved_to = Some(to.clone());
                capture.refunded_before = capture.refunded;
            }),
            Event::CaptureUnapplied { capture, minor, .. } => {
                self.with_capture(capture, |capture| {
                    capture.applied = capture.applied.saturating_sub(minor.0);
                    capture.unapplied = capture.unapplied.saturating_add(minor.0);
                })
            }
            Event::PaymentVerified {
                method,
                late,
                rounding_minor,
                paid_at,
                ..
            } => {
                self.verified = Some(Verification {
                    method: *method,
                    late: *late,
                    rounding_minor: rounding_minor.0,
                    paid_at: *paid_at,
                });
            }
            Event::VerificationRevoked { .. } => {
                self.verified = None;
                self.override_ = None;
                self.closure = Closure::Cancelled(CancelledBy::Revoked);
                // What was applied is unapplied in the same append, and so is what refunds hold of it.
                for refund in self.refunds.values_mut().filter(|refund| refund.pending()) {
                    refund.part = Part::Unapplied;
                }
            }
            Event::Expired { .. } => self.closure = Closure::Expired,
            Event::ExpiryDeferred { until, why } => {
                self.deferred = Some(Deferral {
                    until: *until,
                    why: *why,
                });
            }
            Event::Cancelled { by, .. } => self.closure = Closure::Cancelled(*by),
            Event::RefundRequested {
                refund,
                capture,
                part,
                minor,
            } => {
                let number = u32::try_from(self.refunds.len()).unwrap_or(u32::MAX);
                let asked = Refund {
                    number,
                    capture: capture.clone(),
                    part: *part,
                    minor: minor.0,
                    state: RefundState::Requested,
                    reversal: None,
                };
                self.refunds.insert(refund.clone(), asked);
            }
            Event::RefundSubmitted { refund } => self.set_refund(refund, RefundState::Submitted),
            Event::RefundAccepted { refund, reversal } => {
                self.set_refund(refund, RefundState::Accepted(reversal.clone()));
                self.name_refund(refund, reversal);
            }
            Event::RefundUncertain { refund, .. } => {
                self.set_refund(refund, RefundState::Uncertain)
            }
            Event::RefundFailed { refund, .. } => self.set_refund(refund, RefundState::Failed),
            Event::RefundSettled {
                capture,
                reversal,
                applied,
                unapplied,
                refund,
                ..
            } => {
                if let Some(refund) = refund {
                    self.set_refund(refund, RefundState::Settled);
                    if let Some(told) = reversal {
                        self.name_refund(refund, told);
                    }
                }
                self.with_capture(capture, |capture| {
                    capture.give_back(applied.0, unapplied.0);
                    capture.refunded = capture
                        .refunded
                        .saturating_add(applied.0)
                        .saturating_add(unapplied.0);
                    if let Some(id) = reversal {
                        let told = capture.reversals.entry(id.clone()).or_default();
                        told.0 = told.0.saturating_add(applied.0);
                        told.1 = told.1.saturating_add(unapplied.0);
                    }
                });
            }
            Event::RefundReversed {
                capture,
                reversal,
                applied,
                unapplied,
            } => {
                self.with_capture(capture, |capture| {
                    capture.take_again(applied.0, unapplied.0);
                    capture.refunded = capture
                        .refunded
                        .saturating_sub(applied.0)
                        .saturating_sub(unapplied.0);
                    capture.reversals.insert(reversal.clone(), (0, 0));
                });
            }
            Event::DisputeOpened {
                dispute,
                capture,
                amount,
                ..
            } => {
                let open = Dispute {
                    capture: capture.clone(),
                    amount: *amount,
                    outcome: None,
                };
                self.disputes.insert(dispute.clone(), open);
            }
            Event::DisputeClosed {
                dispute,
                capture,
                outcome,
                applied,
                unapplied,
            } => {
                self.with_capture(capture, |capture| capture.give_back(applied.0, unapplied.0));
                if let Some(known) = self.disputes.get_mut(dispute) {
                    known.outcome = Some(*outcome);
                }
            }
            // Who looked changes nothing of what is so.
            Event::EvidenceOpened { .. } => {}
            Event::PayerNoticeRecorded { .. } => self.notices = self.notices.saturating_add(1),
            Event::OverrideProposed {
                proposal,
                decision,
                by,
                based_on,
                lapses_at,
                ..
            } => {
                let proposed = Proposal {
                    decision: *decision,
                    by: by.clone(),
                    based_on: *based_on,
                    lapses_at: *lapses_at,
                    state: ProposalState::Open,
                };
                self.proposals.insert(proposal.clone(), proposed);
            }
            Event::OverrideApproved {
                proposal,
                by,
                prove_by,
                ..
            } => {
                if let Some(known) = self.proposals.get_mut(proposal) {
                    known.state = ProposalState::Approved;
                    self.override_ = match (known.decision, prove_by) {
                        (Proposed::Pay, Some(prove_by)) => Some(Override {
                            proposal: proposal.clone(),
                            approved_by: by.clone(),
                            prove_by: *prove_by,
                            unsubstantiated: false,
                        }),
                        (Proposed::Pay, None) | (Proposed::Revoke, _) => self.override_.take(),
                    };
                }
            }
            Event::OverrideRejected { proposal, why } => {
                if let Some(known) = self.proposals.get_mut(proposal) {
                    known.state = ProposalState::Rejected(*why);
                }
            }
            Event::OverrideUnsubstantiated { .. } => {
                if let Some(known) = &mut self.override_ {
                    known.unsubstantiated = true;
                }
            }
            Event::ExceptionOpened {
                case,
                kind,
                about,
                capture,
                ..
            } => {
                let opened = Case {
                    kind: *kind,
                    about: about.clone(),
                    capture: capture.clone(),
                    assignee: None,
                    resolution: None,
                };
                self.cases.insert(case.clone(), opened);
            }
            Event::ExceptionAssigned { case, to } => {
                if let Some(known) = self.cases.get_mut(case) {
                    known.assignee = to.clone();
                }
            }
            Event::ExceptionResolved { case, resolution } => {
                if let Some(known) = self.cases.get_mut(case) {
                    known.resolution = Some(*resolution);
                }
            }
        }
    }

    fn set_refund(&mut self, refund: &RefundId, state: RefundState) {
        if let Some(known) = self.refunds.get_mut(refund) {
            known.state = state;
        }
    }

    fn name_refund(&mut self, refund: &RefundId, reversal: &ProviderRef) {
        if let Some(known) = self.refunds.get_mut(refund) {
            known.reversal = Some(reversal.clone());
        }
    }

    fn with_attempt(&mut self, number: u32, change: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = self.attempts.get_mut(&number) {
            change(attempt);
        }
    }

    fn with_capture(&mut self, key: &CaptureKey, change: impl FnOnce(&mut Capture)) {
        if let Some(capture) = self.captures.get_mut(key) {
            change(capture);
        }
    }
}
