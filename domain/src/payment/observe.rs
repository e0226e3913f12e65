//! Facts to events: which attempt they are about, whether they prove enough, and how far they take
//! an attempt. Money is in `capture.rs`, what goes back in `reversal.rs`.

use super::command::{RecordFacts, Target};
use super::event::{AttemptEnd, Event, Progress};
use super::evidence::EvidenceClass;
use super::exception::ExceptionKind;
use super::fact::{Fact, FactKind};
use super::outcome::Outcome;
use super::recording::Recording;
use super::request::{Attempt, AttemptState, Request};
use crate::time::Timestamp;

/// Events and outcome of an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What happened.
    pub events: Vec<Event>,
    /// What became of it.
    pub outcome: Outcome,
}

/// Records an observation. Never refuses money; never takes a request out of *paid*.
pub fn record(request: &Request, command: &RecordFacts, now: Timestamp) -> Recorded {
    #[cfg(feature = "planted")]
    if let Some(wrong) = super::planted::record(request, command, now) {
        return wrong;
    }
    let mut recording = Recording::of(request, now);
    let outcomes = command
        .observation
        .facts
        .iter()
        .map(|fact| recording.fact(command, fact));
    let outcome = outcomes.max().unwrap_or(Outcome::Stale);
    recording.answer_notices(command);
    let nothing_but_a_case = outcome <= Outcome::Stale && !recording.events.is_empty();
    Recorded {
        outcome: if nothing_but_a_case {
            Outcome::Applied
        } else {
            outcome
        },
        events: recording.finish(),
    }
}

impl Recording {
    fn fact(&mut self, command: &RecordFacts, fact: &Fact) -> Outcome {
        let (observation, rules) = (&command.observation, &command.rules);
        let sufficient = rules.sufficient(observation.class);
        let other_mode = rules.mode != self.request.terms().mode
            || fact.mode.is_some_and(|mode| mode != rules.mode);
        if sufficient && other_mode {
            self.open_case(ExceptionKind::ModeMismatch, about(fact), None); // row G7
            return Outcome::Refused;
        }
        // Words of the message name a case only where the message is proof enough: nobody may fill
        // the stream with cases.
        let subject = |words: String| {
            if sufficient {
                words
            } else {
                observation.account.to_string()
            }
        };
        let attempt_no = match &command.target {
            Target::Attempt(number) => *number,
            Target::Moved if !sufficient => return ask_or(rules.look_up, Outcome::Refused),
            Target::Moved => return self.about_moved(command, fact),
            Target::OtherOrder(_) if !sufficient => return ask_or(rules.look_up, Outcome::Refused),
            Target::OtherOrder(order) => {
                self.open_case(ExceptionKind::IdentityMismatch, order.to_string(), None); // row G5
                return Outcome::Refused;
            }
            Target::Foreign(reference) => {
                return self.foreign(fact, subject(reference.to_string()));
            }
        };
        let Some(attempt) = self.request.attempts().get(&attempt_no).cloned() else {
            return self.foreign(fact, subject(about(fact)));
        };
        if !sufficient {
            return ask_or(rules.look_up, Outcome::Refused); // row A13
        }
        let other_account =
            attempt.provider != observation.provider || attempt.account != observation.account;
        if other_account || is_of_another_order(&attempt, fact) {
            self.open_case(ExceptionKind::IdentityMismatch, about(fact), None); // row G5
            return Outcome::Refused;
        }
        match &fact.kind {
            FactKind::Registered => self.registered(command, attempt_no, &attempt, fact),
            FactKind::Processing => self.progressed(attempt_no, &attempt, Progress::Processing),
            FactKind::Authorised => {
                let outcome = self.progressed(attempt_no, &attempt, Progress::Authorised); // row A14
                if rules.one_phase && outcome == Outcome::Applied {
                    self.open_case(
                        ExceptionKind::UnexpectedHold,
                        format!("attempt {attempt_no}"),
                        None,
                    );
                }
                outcome
            }
            FactKind::Unknown => self.progressed(attempt_no, &attempt, Progress::Unknown), // row A17
            FactKind::Captured => self.captured(command, attempt_no, fact),
            FactKind::Declined => {
                self.failed(command, attempt_no, &attempt, AttemptEnd::Declined, fact)
            }
            FactKind::SessionExpired => self.failed(
                command,
                attempt_no,
                &attempt,
                AttemptEnd::SessionExpired,
                fact,
            ),
            FactKind::Voided { .. }
            | FactKind::Refunded { .. }
            | FactKind::RefundFailed { .. }
            | FactKind::DisputeOpened { .. }
            | FactKind::DisputeWon { .. }
            | FactKind::DisputeLost { .. } => self.reversal(command, Some(attempt_no), fact),
        }
    }

    /// Money that came here from another request: what goes back of it is ours to record; what its
    /// attempt does is not.
    fn about_moved(&mut self, command: &RecordFacts, fact: &Fact) -> Outcome {
        if fact.kind.takes_back() {
            self.reversal(command, None, fact)
        } else {
            Outcome::Stale
        }
    }

    /// Row G3. Only what speaks of money is worth a case.
    fn foreign(&mut self, fact: &Fact, subject: String) -> Outcome {
        if fact.transaction.is_none() && fact.amount.is_none() {
            return Outcome::Stale;
        }
        self.open_case(ExceptionKind::ForeignAttempt, subject, None);
        Outcome::Refused
    }

    /// The provider knows the order; nobody tried to pay. It answers the doubts of rows A7 and A17
    /// (there only when we asked, since a message may be older than the doubt) and is no progress
    /// otherwise.
    fn registered(
        &mut self,
        command: &RecordFacts,
        attempt_no: u32,
        attempt: &Attempt,
        fact: &Fact,
    ) -> Outcome {
        match attempt.state {
            AttemptState::Started | AttemptState::Uncertain => {}
            AttemptState::InFlight(Progress::Unknown)
                if command.observation.class >= EvidenceClass::LookedUp => {}
            AttemptState::Registered => return Outcome::Duplicate,
            AttemptState::InFlight(_) | AttemptState::Failed(_) | AttemptState::Captured => {
                return Outcome::Stale; // row C1
            }
        }
        self.push(Event::AttemptRegistered {
            attempt_no,
            provider_order_ref: fact
                .provider_order_ref
                .clone()
                .or_else(|| attempt.provider_order_ref.clone()),
            pay_url: attempt.pay_url.clone(),
            session_expires_at: None,
        });
        Outcome::Applied
    }

    /// Rows A11, A14, A17 and C1.
    fn progressed(&mut self, attempt_no: u32, attempt: &Attempt, state: Progress) -> Outcome {
        if !self.request.payable() {
            return Outcome::Stale;
        }
        match attempt.state {
            AttemptState::Failed(_) | AttemptState::Captured => Outcome::Stale,
            AttemptState::InFlight(known) if known == state => Outcome::Duplicate,
            AttemptState::Started
            | AttemptState::Uncertain
            | AttemptState::Registered
            | AttemptState::InFlight(_) => {
                self.push(Event::AttemptProgressed { attempt_no, state });
                Outcome::Applied
            }
        }
    }

    /// Rows A15, A16, C2, C3 and E8.
    fn failed(
        &mut self,
        command: &RecordFacts,
        attempt_no: u32,
        attempt: &Attempt,
        why: AttemptEnd,
        fact: &Fact,
    ) -> Outcome {
        match attempt.state {
            AttemptState::Captured if command.observation.class < EvidenceClass::LookedUp => {
                ask_or(command.rules.look_up, Outcome::Stale)
            }
            AttemptState::Captured => {
                self.open_case(
                    ExceptionKind::ProviderContradiction,
                    format!("attempt {attempt_no}"),
                    None,
                );
                Outcome::Stale
            }
            AttemptState::Failed(_) => Outcome::Duplicate,
            AttemptState::Started
            | AttemptState::Uncertain
            | AttemptState::Registered
            | AttemptState::InFlight(_) => {
                let provider_status = fact.provider_status.clone();
                self.push(Event::AttemptFailed {
                    attempt_no,
                    why,
                    provider_status,
                });
                Outcome::Applied
            }
        }
    }
}

/// Row G5: the provider's order or our reference is not the attempt's.
fn is_of_another_order(attempt: &Attempt, fact: &Fact) -> bool {
    let other_order = matches!(
        (&attempt.provider_order_ref, &fact.provider_order_ref),
        (Some(ours), Some(theirs)) if ours != theirs
    );
    other_order
        || fact
            .our_reference
            .as_ref()
            .is_some_and(|theirs| *theirs != attempt.our_reference)
}

/// What a case about this fact is about, in the provider's own words.
pub(super) fn about(fact: &Fact) -> String {
    let reference = fact
        .transaction
        .as_ref()
        .or(fact.provider_order_ref.as_ref())
        .or(fact.our_reference.as_ref());
    reference.map_or_else(|| fact.kind.as_str().to_owned(), ToString::to_string)
}

/// The provider is asked where it can be.
pub(super) fn ask_or(look_up: bool, otherwise: Outcome) -> Outcome {
    if look_up { Outcome::LookUp } else { otherwise }
}
