//! Money that came. It is always recorded; it is applied only where a row of the table says so.

use super::command::RecordFacts;
use super::event::{CancelledBy, CaptureKey, Event, VerificationMethod};
use super::evidence::EvidenceClass;
use super::exception::ExceptionKind;
use super::fact::Fact;
use super::observe::{about, ask_or};
use super::outcome::Outcome;
use super::recording::Recording;
use super::request::Closure;
use super::terms::PartialPolicy;
use crate::money::{MinorText, Money};
use crate::time::{Precision, Timestamp};

/// A captured fact with everything that a capture needs.
struct Captured<'a> {
    key: CaptureKey,
    money: Money,
    attempt_no: u32,
    class: EvidenceClass,
    fact: &'a Fact,
}

/// How much of a capture goes where.
struct Split {
    applied: i64,
    why: Option<ExceptionKind>,
    verifies: bool,
}

impl Recording {
    /// Rows A12, B1 to B6, C4, C7, D1 to D8, E2, E3, E6, E11 and E15.
    pub(super) fn captured(
        &mut self,
        command: &RecordFacts,
        attempt_no: u32,
        fact: &Fact,
    ) -> Outcome {
        let (observation, rules) = (&command.observation, &command.rules);
        let can_ask = rules.look_up && observation.class < EvidenceClass::LookedUp;
        let key = fact.transaction.as_ref().map(|transaction| CaptureKey {
            provider: observation.provider.clone(),
            account: observation.account.clone(),
            transaction: transaction.clone(),
        });
        let known = key
            .as_ref()
            .and_then(|key| self.request.captures().get(key));
        let (Some(key), Some(money)) = (key.clone(), fact.amount) else {
            if known.is_some() {
                return Outcome::Duplicate; // row B1: the amount is proved already.
            }
            if !can_ask {
                self.open_case(ExceptionKind::UnprovableAmount, about(fact), None); // row D8
            }
            return ask_or(can_ask, Outcome::Refused);
        };
        if let Some(known) = known {
            if known.amount == money {
                return Outcome::Duplicate; // rows B1, C7
            }
            self.open_case(
                ExceptionKind::ProviderContradiction,
                key.to_string(),
                Some(&key),
            ); // row B2
            return ask_or(can_ask, Outcome::Stale);
        }
        let closed = self.request.verified().is_none()
            && (*self.request.closure() != Closure::Open || self.past_expiry());
        if closed && !rules.confirmed(observation.class) {
            return ask_or(rules.look_up, Outcome::Refused); // row E6
        }
        let captured = Captured {
            key,
            money,
            attempt_no,
            class: observation.class,
            fact,
        };
        let other_payee =
            matches!((&rules.payee, &fact.payee), (Some(ours), Some(theirs)) if ours != theirs);
        if other_payee {
            self.unapplied(&captured, ExceptionKind::AccountMismatch); // row D7
        } else if !money.same_currency(self.request.terms().amount) {
            self.unapplied(&captured, ExceptionKind::CurrencyMismatch); // row D6
        } else if self.request.verified().is_some() {
            self.unapplied(&captured, ExceptionKind::DuplicatePayment); // rows B3, B6
        } else {
            match self.request.closure() {
                Closure::Expired if self.on_time(fact) => {
                    self.unapplied(&captured, ExceptionKind::LateNotification); // row E7
                }
                Closure::Expired => self.unapplied(&captured, ExceptionKind::LatePayment), // row E6
                Closure::Cancelled(CancelledBy::Client) => {
                    self.unapplied(&captured, ExceptionKind::PaidAfterCancel); // row E11
                }
                Closure::Cancelled(CancelledBy::Superseded) => {
                    self.unapplied(&captured, ExceptionKind::PaidSuperseded); // row E15
                }
                Closure::Open if self.past_expiry() && !self.on_time(fact) => {
                    self.close_as_expired(true); // row E3
                    self.unapplied(&captured, ExceptionKind::LatePayment);
                }
                Closure::Open => self.by_amount(&captured), // rows A12, C4, D1 to D5, E2
            }
        }
        Outcome::Applied
    }

    /// What an open request does with money of its own currency.
    fn by_amount(&mut self, captured: &Captured<'_>) {
        let (came, missing) = (captured.money.minor(), self.request.missing_minor());
        let rules = &self.request.terms().rules;
        let tolerance = u64::try_from(rules.tolerance_minor.0).unwrap_or(0);
        let split = if came.abs_diff(missing) <= tolerance {
            Split {
                applied: came,
                why: None,
                verifies: true,
            } // rows A12, C4, D3, D5
        } else if came > missing {
            Split {
                applied: missing,
                why: Some(ExceptionKind::Overpaid),
                verifies: true,
            } // row D4
        } else {
            match rules.partial {
                PartialPolicy::Accumulate => Split {
                    applied: came,
                    why: None,
                    verifies: false,
                }, // row D2
                PartialPolicy::RejectToReview => {
                    Split {
                        applied: 0,
                        why: Some(ExceptionKind::Underpaid),
                        verifies: false,
                    } // row D1
                }
            }
        };
        let rounding = if split.why.is_none() {
            missing - came
        } else {
            0
        };
        self.record(captured, split.applied, split.why);
        if split.verifies {
            self.push(Event::PaymentVerified {
                method: VerificationMethod::of(captured.class),
                capture: Some(captured.key.clone()),
                amount: self.request.applied(),
                paid_at: paid_at(captured.fact),
                late: false,
                rounding_minor: MinorText(rounding),
            });
        }
        if let Some(why) = split.why {
            self.open_case(why, captured.key.to_string(), Some(&captured.key));
        }
    }

    fn unapplied(&mut self, captured: &Captured<'_>, why: ExceptionKind) {
        self.record(captured, 0, Some(why));
        self.open_case(why, captured.key.to_string(), Some(&captured.key));
    }

    fn record(&mut self, captured: &Captured<'_>, applied: i64, why: Option<ExceptionKind>) {
        self.push(Event::PaymentCaptured {
            capture: captured.key.clone(),
            attempt_no: captured.attempt_no,
            amount: captured.money,
            applied: MinorText(applied),
            unapplied: MinorText(captured.money.minor() - applied),
            why,
            class: captured.class,
            provider_time: captured.fact.provider_time,
            provider_status: captured.fact.provider_status.clone(),
        });
    }

    fn past_expiry(&self) -> bool {
        self.now > self.request.terms().expires_at
    }

    fn on_time(&self, fact: &Fact) -> bool {
        fact.provider_time
            .is_some_and(|time| time.provably_by(self.request.terms().expires_at))
    }
}

/// A date alone is no moment.
fn paid_at(fact: &Fact) -> Option<Timestamp> {
    fact.provider_time
        .filter(|time| time.precision != Precision::Day)
        .map(|time| time.at)
}
