//! One payment request, folded from its stream. Only [`evolve`] builds or changes it; it is total
//! and cannot fail, because history already happened.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::{
    AttemptEnd, CancelledBy, CaptureKey, DeferredWhy, DisputeOutcome, Event, PrecheckVerdict,
    Progress, VerificationMethod,
};
use super::evidence::EvidenceClass;
use super::exception::ExceptionKind;
use super::label::{BotLabel, Label};
use super::terms::Terms;
use crate::ids::{AccountSlug, CaseId, ProviderCode, ProviderRef};
use crate::money::{Money, Sum};
use crate::time::Timestamp;

/// The folded state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub(super) terms: Terms,
    pub(super) closure: Closure,
    pub(super) attempts: BTreeMap<u32, Attempt>,
    pub(super) captures: Captures,
    pub(super) disputes: BTreeMap<ProviderRef, Dispute>,
    pub(super) verified: Option<Verification>,
    pub(super) cases: BTreeMap<CaseId, Case>,
    pub(super) deferred: Option<Deferral>,
    pub(super) notices: u32,
}

/// Open, or closed in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Closure {
    /// Payable.
    Open,
    /// Its time is over.
    Expired,
    /// Called off.
    Cancelled(CancelledBy),
}

/// One order or session at one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The provider.
    pub provider: ProviderCode,
    /// The account.
    pub account: AccountSlug,
    /// What the provider calls it back to us.
    pub our_reference: ProviderRef,
    /// What it asks for.
    pub amount: Money,
    /// The provider's order or session, once known.
    pub provider_order_ref: Option<ProviderRef>,
    /// Where the payer pays, once known.
    pub pay_url: Option<String>,
    /// End of the provider's session.
    pub session_expires_at: Timestamp,
    /// How far it is.
    pub state: AttemptState,
    /// Prechecks answered so far.
    pub prechecks: Vec<PrecheckVerdict>,
}

/// How far an attempt is. It only moves forward, so late messages cannot take it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptState {
    /// Written ahead; the provider may not know it yet.
    Started,
    /// Nobody knows whether the provider knows it.
    Uncertain,
    /// The provider knows it.
    Registered,
    /// The payer is at it, money is held, or the provider could not say.
    InFlight(Progress),
    /// Ended unpaid.
    Failed(AttemptEnd),
    /// Money came through it.
    Captured,
}

impl Attempt {
    /// True when money may be on its way, so that nobody may pay again.
    pub fn in_flight(&self) -> bool {
        matches!(self.state, AttemptState::InFlight(_))
    }

    /// True when the provider may still report money for it.
    pub fn may_still_pay(&self) -> bool {
        match self.state {
            AttemptState::Started
            | AttemptState::Uncertain
            | AttemptState::Registered
            | AttemptState::InFlight(_) => true,
            AttemptState::Failed(_) | AttemptState::Captured => false,
        }
    }
}

/// One movement of money to us. `applied + unapplied + returned` is always the captured amount, which
/// fits 64 bits, so no decision of ours overflows; the arithmetic saturates all the same, because a
/// fold never fails, not even on a damaged stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// Through which attempt.
    pub attempt_no: u32,
    /// How much came.
    pub amount: Money,
    /// Now towards what is due.
    pub applied: i64,
    /// Now waiting for a person.
    pub unapplied: i64,
    /// Went back out of the applied part.
    pub returned_applied: i64,
    /// Went back out of the unapplied part.
    pub returned_unapplied: i64,
    /// How well it is proved.
    pub class: EvidenceClass,
    /// Settled reversals by the provider's id: (applied, unapplied).
    pub reversals: BTreeMap<ProviderRef, (i64, i64)>,
    /// What refunds and voids gave back (disputes apart), as providers count cumulatively.
    pub refunded: i64,
}

impl Capture {
    /// Everything that went back.
    pub fn returned(&self) -> i64 {
        self.returned_applied
            .saturating_add(self.returned_unapplied)
    }

    /// True when some of it counts, or counted, towards what is due.
    pub fn counts(&self) -> bool {
        self.applied > 0 || self.returned_applied > 0
    }

    fn give_back(&mut self, applied: i64, unapplied: i64) {
        self.applied = self.applied.saturating_sub(applied);
        self.returned_applied = self.returned_applied.saturating_add(applied);
        self.unapplied = self.unapplied.saturating_sub(unapplied);
        self.returned_unapplied = self.returned_unapplied.saturating_add(unapplied);
    }

    fn take_again(&mut self, applied: i64, unapplied: i64) {
        self.give_back(applied.saturating_neg(), unapplied.saturating_neg());
    }
}

type Captures = BTreeMap<CaptureKey, Capture>;

/// A dispute about one capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Which capture.
    pub capture: CaptureKey,
    /// How much.
    pub amount: Money,
    /// How it ended.
    pub outcome: Option<DisputeOutcome>,
}

/// That and how it was paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// How it was proved.
    pub method: VerificationMethod,
    /// Accepted after closing.
    pub late: bool,
    /// What is due minus what was applied.
    pub rounding_minor: i64,
    /// When the payment completed, by the provider.
    pub paid_at: Option<Timestamp>,
}

/// Something a person must decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// What is out of order.
    pub kind: ExceptionKind,
    /// What it is about.
    pub about: String,
    /// Not decided yet.
    pub open: bool,
}

/// A postponed expiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferral {
    /// Ask again then.
    pub until: Timestamp,
    /// What is under way.
    pub why: DeferredWhy,
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

    /// Attempts by number.
    pub fn attempts(&self) -> &BTreeMap<u32, Attempt> {
        &self.attempts
    }

    /// Captures by identity.
    pub fn captures(&self) -> &BTreeMap<CaptureKey, Capture> {
        &self.captures
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
        self.cases.values().any(|case| case.open)
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
            .for_bot(self.in_review() || (self.notices > 0 && self.verified.is_none()))
    }
}

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
            disputes: BTreeMap::new(),
            verified: None,
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
                ..
            } => {
                self.with_attempt(*attempt_no, |attempt| {
                    attempt.state = AttemptState::Captured
                });
                let money = Capture {
                    attempt_no: *attempt_no,
                    amount: *amount,
                    applied: applied.0,
                    unapplied: unapplied.0,
                    returned_applied: 0,
                    returned_unapplied: 0,
                    class: *class,
                    reversals: BTreeMap::new(),
                    refunded: 0,
                };
                self.captures.insert(capture.clone(), money);
            }
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
            Event::Expired { .. } => self.closure = Closure::Expired,
            Event::ExpiryDeferred { until, why } => {
                self.deferred = Some(Deferral {
                    until: *until,
                    why: *why,
                });
            }
            Event::Cancelled { by, .. } => self.closure = Closure::Cancelled(*by),
            Event::RefundSettled {
                capture,
                reversal,
                applied,
                unapplied,
                ..
            } => {
                self.with_capture(capture, |capture| {
                    capture.give_back(applied.0, unapplied.0);
                    capture.refunded = capture
                        .refunded
                        .saturating_add(applied.0)
                        .saturating_add(unapplied.0);
                    if let Some(id) = reversal {
                        capture
                            .reversals
                            .insert(id.clone(), (applied.0, unapplied.0));
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
            Event::PayerNoticeRecorded { .. } => self.notices = self.notices.saturating_add(1),
            Event::ExceptionOpened {
                case, kind, about, ..
            } => {
                self.cases.insert(
                    case.clone(),
                    Case {
                        kind: *kind,
                        about: about.clone(),
                        open: true,
                    },
                );
            }
            Event::ExceptionResolved { case, .. } => {
                if let Some(known) = self.cases.get_mut(case) {
                    known.open = false;
                }
            }
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
