//! One payment request as its stream left it, and what can be read from that. `evolve.rs` builds it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::event::{CancelledBy, CaptureKey, DisputeOutcome, Part, VerificationMethod};
use super::label::{BotLabel, Label};
pub use super::parts::{
    Attempt, AttemptState, Capture, Case, Closure, Deferral, Dispute, Verification,
};
use super::proposal::{Override, Proposal};
use super::refund::Refund;
use super::terms::Terms;
use crate::ids::{CaseId, ProposalId, ProviderRef, RefundId, TransferId};
use crate::money::Sum;
use crate::time::Timestamp;

/// The folded state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub(super) terms: Terms,
    pub(super) closure: Closure,
    pub(super) attempts: BTreeMap<u32, Attempt>,
    pub(super) captures: BTreeMap<CaptureKey, Capture>,
    pub(super) aliases: BTreeMap<CaptureKey, CaptureKey>,
    pub(super) received: BTreeSet<TransferId>,
    pub(super) refunds: BTreeMap<RefundId, Refund>,
    pub(super) disputes: BTreeMap<ProviderRef, Dispute>,
    pub(super) verified: Option<Verification>,
    pub(super) proposals: BTreeMap<ProposalId, Proposal>,
    pub(super) override_: Option<Override>,
    pub(super) cases: BTreeMap<CaseId, Case>,
    pub(super) deferred: Option<Deferral>,
    pub(super) notices: u32,
}

impl Request {
    /// The terms.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Open or closed.
    pub fn closure(&self) -> &Closure {
        &self.closure
    }

    /// Who called it off, if somebody did.
    pub fn cancelled_by(&self) -> Option<CancelledBy> {
        match self.closure {
            Closure::Cancelled(by) => Some(by),
            Closure::Open | Closure::Expired => None,
        }
    }

    /// Attempts by number.
    pub fn attempts(&self) -> &BTreeMap<u32, Attempt> {
        &self.attempts
    }

    /// Captures by identity.
    pub fn captures(&self) -> &BTreeMap<CaptureKey, Capture> {
        &self.captures
    }

    /// Refunds that we asked for.
    pub fn refunds(&self) -> &BTreeMap<RefundId, Refund> {
        &self.refunds
    }

    /// Overrides and revocations that were proposed.
    pub fn proposals(&self) -> &BTreeMap<ProposalId, Proposal> {
        &self.proposals
    }

    /// The override that it counts as paid by, if it does.
    pub fn override_(&self) -> Option<&Override> {
        self.override_.as_ref()
    }

    /// The capture of this id, which may be its other id (row B4).
    pub fn capture(&self, key: &CaptureKey) -> Option<(&CaptureKey, &Capture)> {
        self.captures
            .get_key_value(self.aliases.get(key).unwrap_or(key))
    }

    /// Disputes by the provider's id.
    pub fn disputes(&self) -> &BTreeMap<ProviderRef, Dispute> {
        &self.disputes
    }

    /// That and how it was paid.
    pub fn verified(&self) -> Option<&Verification> {
        self.verified.as_ref()
    }

    /// Cases, open and closed.
    pub fn cases(&self) -> &BTreeMap<CaseId, Case> {
        &self.cases
    }

    /// When the expiry is to be looked at next.
    pub fn expiry_due(&self) -> Timestamp {
        self.deferred
            .as_ref()
            .map_or(self.terms.expires_at, |deferral| deferral.until)
    }

    /// Why the expiry was postponed, if it was.
    pub fn deferred(&self) -> Option<&Deferral> {
        self.deferred.as_ref()
    }

    /// How many payer notices came.
    pub fn notices(&self) -> u32 {
        self.notices
    }

    /// True when a person must decide something.
    pub fn in_review(&self) -> bool {
        self.cases.values().any(Case::open) || self.proposals.values().any(Proposal::open)
    }

    /// True when a refund that we asked for has no answer yet.
    pub fn refund_pending(&self) -> bool {
        self.refunds.values().any(Refund::pending)
    }

    /// True when the provider was to be asked to end an attempt that may still pay.
    pub fn cancel_pending(&self) -> bool {
        self.attempts
            .values()
            .any(|attempt| attempt.cancel_requested && attempt.may_still_pay())
    }

    /// What of a part of a capture no refund holds.
    pub fn available(&self, key: &CaptureKey, part: Part) -> i64 {
        let Some(capture) = self.captures.get(key) else {
            return 0;
        };
        let there = match part {
            Part::Applied => capture.applied,
            Part::Unapplied => capture.unapplied,
        };
        let holds =
            |refund: &&Refund| refund.pending() && refund.part == part && refund.capture == *key;
        let held = self
            .refunds
            .values()
            .filter(holds)
            .map(|refund| refund.minor);
        there
            .saturating_sub(held.fold(0, i64::saturating_add))
            .max(0)
    }

    /// True while it counts as paid by decision and money has not proved all of it.
    pub fn unproven(&self) -> bool {
        self.verified
            .as_ref()
            .is_some_and(|verified| verified.method == VerificationMethod::Override)
            && self
                .applied_gross()
                .saturating_add(self.terms.rules.tolerance_minor.0)
                < self.terms.amount.minor()
    }

    /// True when it can still be paid.
    pub fn payable(&self) -> bool {
        self.closure == Closure::Open && self.verified.is_none()
    }

    /// The attempt whose page a payer may use now.
    pub fn live_attempt(&self, now: Timestamp) -> Option<(u32, &Attempt)> {
        let live = |attempt: &Attempt| attempt.may_still_pay() && now < attempt.session_expires_at;
        let newest = self
            .attempts
            .iter()
            .rev()
            .find(|(_, attempt)| live(attempt));
        newest
            .filter(|_| self.payable())
            .map(|(number, attempt)| (*number, attempt))
    }

    /// Captured money in the currency of the terms that counts towards what is due, before
    /// anything went back.
    pub fn applied_gross(&self) -> i64 {
        self.total(|capture| capture.applied.saturating_add(capture.returned_applied))
    }

    /// What went back out of the applied parts.
    pub fn returned_applied(&self) -> i64 {
        self.total(|capture| capture.returned_applied)
    }

    /// What is applied now.
    pub fn applied(&self) -> Sum {
        Sum::new(
            self.total(|capture| capture.applied),
            self.terms.amount.currency(),
        )
    }

    /// Money that waits for a person, per currency.
    pub fn unapplied(&self) -> Vec<Sum> {
        let mut sums: BTreeMap<_, i64> = BTreeMap::new();
        for capture in self
            .captures
            .values()
            .filter(|capture| capture.unapplied > 0)
        {
            let sum = sums.entry(capture.amount.currency()).or_default();
            *sum = sum.saturating_add(capture.unapplied);
        }
        sums.into_iter()
            .map(|(currency, minor)| Sum::new(minor, currency))
            .collect()
    }

    /// What is still due; zero or negative when all is there.
    pub fn missing_minor(&self) -> i64 {
        self.terms
            .amount
            .minor()
            .saturating_sub(self.applied().minor())
    }

    /// A total over the captures of the due currency. It stops at the end of 64 bits, which only
    /// totals over several absurd captures reach; each capture stays exact.
    fn total(&self, part: impl Fn(&Capture) -> i64) -> i64 {
        self.due_captures().map(part).fold(0, i64::saturating_add)
    }

    fn due_captures(&self) -> impl Iterator<Item = &Capture> {
        let currency = self.terms.amount.currency();
        self.captures
            .values()
            .filter(move |capture| capture.amount.currency() == currency)
    }

    /// The one word people see. First match wins.
    pub fn label(&self) -> Label {
        let (applied, returned) = (self.applied().minor(), self.returned_applied());
        let all_returned = returned > 0 && applied <= 0;
        // A dispute about money that never counted (a second payment) does not touch the order.
        let counts = |dispute: &Dispute| {
            self.captures
                .get(&dispute.capture)
                .is_some_and(Capture::counts)
        };
        let disputed = |outcome| {
            self.disputes
                .values()
                .any(|dispute| dispute.outcome == outcome && counts(dispute))
        };
        match (&self.verified, &self.closure) {
            (Some(_), _) if disputed(None) => Label::Disputed,
            (Some(_), _) if all_returned && disputed(Some(DisputeOutcome::Lost)) => {
                Label::ChargedBack
            }
            (Some(_), _) if all_returned => Label::Refunded,
            (Some(verified), _) if returned > 0 && applied < self.verified_minor(verified) => {
                Label::PartiallyRefunded
            }
            (Some(_), _) => Label::Paid,
            (None, Closure::Cancelled(_)) => Label::Cancelled,
            (None, Closure::Expired) => Label::Expired,
            (None, Closure::Open) if applied > 0 => Label::PartiallyPaid,
            (None, Closure::Open) if self.attempts.values().any(Attempt::in_flight) => {
                Label::Processing
            }
            (None, Closure::Open) => Label::Pending,
        }
    }

    /// What was applied when the payment was verified. A part that went back before that is no refund
    /// of the payment.
    pub(super) fn verified_minor(&self, verified: &Verification) -> i64 {
        self.terms
            .amount
            .minor()
            .saturating_sub(verified.rounding_minor)
    }

    /// What a bot may show.
    pub fn bot_label(&self) -> BotLabel {
        self.label()
            .for_bot(self.in_review() || self.notice_waits())
    }
}
