//! Money that came. It is always recorded; it is applied only where a row of the table says so.

use super::command::{RecordFacts, Refusal};
use super::event::{CancelledBy, CaptureKey, Event, PrecheckVerdict, VerificationMethod};
use super::evidence::EvidenceClass;
use super::exception::{ExceptionKind, Severity};
use super::fact::Fact;
use super::observe::{about, ask_or};
use super::outcome::Outcome;
use super::recording::Recording;
use super::request::Closure;
use super::terms::PartialPolicy;
use crate::ids::{ProviderRef, TransferId};
use crate::money::{MinorText, Money};
use crate::stream::StreamId;
use crate::time::{Precision, ProviderTime, Timestamp};

/// Money with everything that a capture needs.
pub(super) struct Captured {
    pub(super) key: CaptureKey,
    pub(super) money: Money,
    pub(super) class: EvidenceClass,
    pub(super) provider_time: Option<ProviderTime>,
    pub(super) origin: Origin,
    /// False where another request stands for the order by now, so that this one must not be paid
    /// after it closed (row E7).
    pub(super) may_pay_late: bool,
}

/// Where money came from.
pub(super) enum Origin {
    /// A payer, through an attempt of ours.
    Attempt {
        number: u32,
        provider_status: Option<String>,
    },
    /// Another request, or suspense.
    Transfer {
        transfer: TransferId,
        from: StreamId,
        refunded: MinorText,
        reversals: Vec<ProviderRef>,
    },
}

/// How much of a capture goes where.
struct Split {
    applied: i64,
    why: Option<ExceptionKind>,
    verifies: bool,
}

impl Recording {
    /// Rows A12, B1 to B6, C4, C7, D1 to D8, E2, E3, E6, E7, E11, E15, H5 and H5b.
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
            .and_then(|key| self.request.capture(key))
            .map(|(_, known)| known);
        let proved = fact.amount.filter(|_| !self.unasked(command, attempt_no));
        let (Some(key), Some(money)) = (key.clone(), proved) else {
            if known.is_some() {
                return Outcome::Duplicate; // row B1: the amount is proved already.
            }
            if !can_ask {
                self.open_case(ExceptionKind::UnprovableAmount, about(fact), None); // row D8
            }
            return ask_or(can_ask, Outcome::Refused);
        };
        if let Some(known) = known {
            // How much it was as a whole is known where it came first.
            if known.amount == money || known.attempt_no.is_none() {
                return Outcome::Duplicate; // rows B1, C7
            }
            self.open_case(
                ExceptionKind::ProviderContradiction,
                key.to_string(),
                Some(&key),
            ); // row B2
            return ask_or(can_ask, Outcome::Stale);
        }
        // A message that does not say whose money it is proves less than an answer to our question.
        if can_ask && rules.payee.is_some() && fact.payee.is_none() {
            return Outcome::LookUp; // row D7
        }
        if let Some(outcome) = self.alias(&key, fact, observation.class) {
            return outcome;
        }
        let closed = self.request.verified().is_none()
            && (*self.request.closure() != Closure::Open || self.past_expiry());
        if closed && !rules.confirmed(observation.class) {
            return ask_or(rules.look_up, Outcome::Refused); // row E6
        }
        let captured = Captured {
            key,
            money,
            class: observation.class,
            provider_time: fact.provider_time,
            origin: Origin::Attempt {
                number: attempt_no,
                provider_status: fact.provider_status.clone(),
            },
            may_pay_late: command.order_is_ours,
        };
        let other_payee =
            matches!((&rules.payee, &fact.payee), (Some(ours), Some(theirs)) if ours != theirs);
        if other_payee {
            self.unapplied(&captured, ExceptionKind::AccountMismatch); // row D7
        } else {
            self.place(&captured);
        }
        Outcome::Applied
    }

    /// True for a message about an attempt that the provider should have asked about, and did not.
    fn unasked(&self, command: &RecordFacts, attempt_no: u32) -> bool {
        let attempt = self.request.attempts().get(&attempt_no);
        let allowed =
            attempt.is_some_and(|attempt| attempt.prechecks.contains(&PrecheckVerdict::Allowed {}));
        command.rules.asks_first && !allowed && command.observation.class < EvidenceClass::LookedUp
    }

    /// Row B4: the provider's own answer says that it is the money of a capture that we know.
    fn alias(&mut self, key: &CaptureKey, fact: &Fact, class: EvidenceClass) -> Option<Outcome> {
        let of = fact
            .alias_of
            .as_ref()
            .filter(|_| class >= EvidenceClass::LookedUp)?;
        let known = CaptureKey {
            transaction: of.clone(),
            ..key.clone()
        };
        let (capture, _) = self.request.capture(&known)?;
        let (capture, alias) = (capture.clone(), key.clone());
        self.push(Event::CaptureAliasRecorded { capture, alias });
        Some(Outcome::Applied)
    }

    /// Where money goes that is ours and new.
    pub(super) fn place(&mut self, captured: &Captured) {
        if !captured.money.same_currency(self.request.terms().amount) {
            self.unapplied(captured, ExceptionKind::CurrencyMismatch); // row D6
        } else if self.request.unproven() {
            self.prove(captured); // rows H5, H5b
        } else if self.request.verified().is_some() {
            self.unapplied(captured, ExceptionKind::DuplicatePayment); // rows B3, B6
        } else {
            match self.request.closure() {
                Closure::Expired if self.on_time(captured) => {
                    let wanted =
                        self.request.terms().rules.auto_accept_on_time && captured.may_pay_late;
                    if wanted && self.is_due(captured) {
                        self.by_amount(captured); // row E7, where the scenario says so
                    } else {
                        self.unapplied(captured, ExceptionKind::LateNotification); // row E7
                    }
                }
                Closure::Expired => self.unapplied(captured, ExceptionKind::LatePayment), // row E6
                Closure::Cancelled(CancelledBy::Client | CancelledBy::Revoked) => {
                    self.unapplied(captured, ExceptionKind::PaidAfterCancel); // row E11
                }
                Closure::Cancelled(CancelledBy::Superseded) => {
                    self.unapplied(captured, ExceptionKind::PaidSuperseded); // row E15
                }
                Closure::Open if self.past_expiry() && !self.on_time(captured) => {
                    self.close_as_expired(true); // row E3
                    self.unapplied(captured, ExceptionKind::LatePayment);
                }
                Closure::Open => self.by_amount(captured), // rows A12, C4, D1 to D5, E2
            }
        }
    }

    /// Rows H5 and H5b: it counts as paid by decision, and this may be the money.
    fn prove(&mut self, captured: &Captured) {
        if !self.is_due(captured) {
            let short = captured.money.minor() < self.request.missing_minor();
            let why = if short {
                ExceptionKind::Underpaid
            } else {
                ExceptionKind::Overpaid
            };
            self.record(captured, 0, Some(why));
            let about = captured.key.to_string();
            self.open_case_as(why, Severity::High, about, Some(&captured.key)); // row H5b
            return;
        }
        match (&captured.origin, self.request.override_()) {
            (
                Origin::Attempt {
                    number,
                    provider_status,
                },
                Some(known),
            ) => {
                let event = Event::OverrideSubstantiated {
                    proposal: known.proposal.clone(),
                    capture: captured.key.clone(),
                    attempt_no: *number,
                    amount: captured.money,
                    class: captured.class,
                    provider_time: captured.provider_time,
                    provider_status: provider_status.clone(),
                };
                self.push(event); // row H5
            }
            (Origin::Transfer { .. }, _) | (Origin::Attempt { .. }, None) => {
                self.record(captured, captured.money.minor(), None);
            }
        }
        self.settle_override_cases();
    }

    /// Exactly what is missing, or as near as the scenario tolerates (rows A12, D5).
    fn is_due(&self, captured: &Captured) -> bool {
        let tolerance = u64::try_from(self.request.terms().rules.tolerance_minor.0).unwrap_or(0);
        captured
            .money
            .minor()
            .abs_diff(self.request.missing_minor())
            <= tolerance
    }

    /// What an open request does with money of its own currency.
    fn by_amount(&mut self, captured: &Captured) {
        let (came, missing) = (captured.money.minor(), self.request.missing_minor());
        let partial = self.request.terms().rules.partial;
        let parts = self
            .request
            .captures()
            .values()
            .filter(|known| known.applied > 0)
            .count();
        let split = if self.is_due(captured) {
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
            match partial {
                PartialPolicy::Accumulate if parts < Refusal::PARTS_MAX => Split {
                    applied: came,
                    why: None,
                    verifies: false,
                }, // row D2
                PartialPolicy::Accumulate | PartialPolicy::RejectToReview => {
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
                paid_at: captured.provider_time.and_then(moment),
                late: *self.request.closure() != Closure::Open,
                rounding_minor: MinorText(rounding),
            });
        }
        if let Some(why) = split.why {
            self.open_case(why, captured.key.to_string(), Some(&captured.key));
        }
    }

    fn unapplied(&mut self, captured: &Captured, why: ExceptionKind) {
        self.record(captured, 0, Some(why));
        self.open_case(why, captured.key.to_string(), Some(&captured.key));
    }

    fn record(&mut self, captured: &Captured, applied: i64, why: Option<ExceptionKind>) {
        let Captured {
            key,
            money,
            class,
            provider_time,
            origin,
            may_pay_late: _,
        } = captured;
        let unapplied = MinorText(money.minor() - applied);
        let (capture, amount, applied) = (key.clone(), *money, MinorText(applied));
        let (class, provider_time) = (*class, *provider_time);
        self.push(match origin {
            Origin::Attempt {
                number,
                provider_status,
            } => Event::PaymentCaptured {
                capture,
                attempt_no: *number,
                amount,
                applied,
                unapplied,
                why,
                class,
                provider_time,
                provider_status: provider_status.clone(),
            },
            Origin::Transfer {
                transfer,
                from,
                refunded,
                reversals,
            } => Event::CaptureReceived {
                transfer: transfer.clone(),
                from: from.clone(),
                capture,
                amount,
                applied,
                unapplied,
                why,
                class,
                provider_time,
                refunded: *refunded,
                reversals: reversals.clone(),
            },
        });
    }

    fn past_expiry(&self) -> bool {
        self.now > self.request.terms().expires_at
    }

    fn on_time(&self, captured: &Captured) -> bool {
        captured
            .provider_time
            .is_some_and(|time| time.provably_by(self.request.terms().expires_at))
    }
}

/// When the payment completed. A date alone is no moment.
pub(super) fn moment(time: ProviderTime) -> Option<Timestamp> {
    Some(time)
        .filter(|time| time.precision != Precision::Day)
        .map(|time| time.at)
}
