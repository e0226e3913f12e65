//! What a request is made of: attempts, captures, disputes and cases, as the fold left them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::{
    AttemptEnd, CancelledBy, CaptureKey, DeferredWhy, DisputeOutcome, PrecheckVerdict, Progress,
    Resolution, VerificationMethod,
};
use super::evidence::EvidenceClass;
use super::exception::ExceptionKind;
use crate::ids::{AccountSlug, OperatorId, PaymentRequestId, ProviderCode, ProviderRef};
use crate::money::Money;
use crate::time::{ProviderTime, Timestamp};

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
    /// True once the provider was to be asked to end it.
    pub cancel_requested: bool,
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

/// One movement of money to us. `applied + unapplied + returned + moved + kept` is always the captured
/// amount, which fits 64 bits, so no decision of ours overflows; the arithmetic saturates all the
/// same, because a fold never fails, not even on a damaged stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// Through which attempt; none where it came from another request or from suspense.
    pub attempt_no: Option<u32>,
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
    /// Left for another request.
    pub moved: i64,
    /// The last of those.
    pub moved_to: Option<PaymentRequestId>,
    /// Kept as income.
    pub kept: i64,
    /// How well it is proved.
    pub class: EvidenceClass,
    /// When, by the provider.
    pub provider_time: Option<ProviderTime>,
    /// Settled reversals by the provider's id: (applied, unapplied).
    pub reversals: BTreeMap<ProviderRef, (i64, i64)>,
    /// What refunds and voids gave back (disputes apart), as providers count cumulatively.
    pub refunded: i64,
    /// The same when the money last came from another request or left for one.
    pub refunded_before: i64,
}

impl Capture {
    /// Everything that went back.
    pub fn returned(&self) -> i64 {
        self.returned_applied
            .saturating_add(self.returned_unapplied)
    }

    /// The request that owns all that is left of it, when nothing is left here.
    pub fn moved_away(&self) -> Option<&PaymentRequestId> {
        self.moved_to
            .as_ref()
            .filter(|_| self.applied == 0 && self.unapplied == 0)
    }

    /// True when some of it counts, or counted, towards what is due.
    pub fn counts(&self) -> bool {
        self.applied > 0 || self.returned_applied > 0
    }

    /// More money of this capture: some that had left and comes back, or another part of it.
    pub(super) fn add(&mut self, more: Self) {
        let back = more.amount.minor().min(self.moved);
        let new = more.amount.minor().saturating_sub(back);
        let same = more.amount.same_currency(self.amount);
        let minor = self.amount.minor().checked_add(new).filter(|_| same);
        let amount = minor.map(|minor| Money::new(minor, self.amount.currency()));
        if let Some(Ok(amount)) = amount {
            self.amount = amount;
            self.moved = self.moved.saturating_sub(back);
            self.applied = self.applied.saturating_add(more.applied);
            self.unapplied = self.unapplied.saturating_add(more.unapplied);
            let meanwhile = more.refunded.saturating_sub(self.refunded_before).max(0);
            self.refunded = self.refunded.saturating_add(meanwhile);
            self.refunded_before = more.refunded_before;
            self.moved_to = None;
            for (id, told) in more.reversals {
                self.reversals.entry(id).or_insert(told);
            }
        }
    }

    pub(super) fn came(
        attempt_no: Option<u32>,
        amount: Money,
        (applied, unapplied): (i64, i64),
        class: EvidenceClass,
        provider_time: Option<ProviderTime>,
    ) -> Self {
        Self {
            attempt_no,
            amount,
            applied,
            unapplied,
            returned_applied: 0,
            returned_unapplied: 0,
            moved: 0,
            moved_to: None,
            kept: 0,
            class,
            provider_time,
            reversals: BTreeMap::new(),
            refunded: 0,
            refunded_before: 0,
        }
    }

    pub(super) fn give_back(&mut self, applied: i64, unapplied: i64) {
        self.applied = self.applied.saturating_sub(applied);
        self.returned_applied = self.returned_applied.saturating_add(applied);
        self.unapplied = self.unapplied.saturating_sub(unapplied);
        self.returned_unapplied = self.returned_unapplied.saturating_add(unapplied);
    }

    pub(super) fn take_again(&mut self, applied: i64, unapplied: i64) {
        self.give_back(applied.saturating_neg(), unapplied.saturating_neg());
    }
}

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
    /// The money that it holds.
    pub capture: Option<CaptureKey>,
    /// Who looks after it.
    pub assignee: Option<OperatorId>,
    /// How it was closed.
    pub resolution: Option<Resolution>,
}

impl Case {
    /// Not decided yet.
    pub fn open(&self) -> bool {
        self.resolution.is_none()
    }
}

/// A postponed expiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferral {
    /// Ask again then.
    pub until: Timestamp,
    /// What is under way.
    pub why: DeferredWhy,
}
