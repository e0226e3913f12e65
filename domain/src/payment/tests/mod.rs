//! The promises of a payment request, one test per row of `docs/reference/cases.md`.
//!
//! Given events, when a command, then events, a refusal, or nothing. Every check also repeats the
//! command, which may leave no second trace, replays the events, and counts the money. The name of a
//! test ends in its row.

mod a_normal;
mod b_duplicates;
mod build;
mod c_order;
mod cases_page;
mod d_amounts;
mod e_closing;
mod e_people;
mod f_refunds;
mod f_reversals;
mod g_identity;
mod h_overrides;
mod h_people;
mod matrix;
mod properties;
mod wire;

use super::observe::{Recorded, record};
use super::{Command, Event, Label, Outcome, Refusal, Request, decide, evolve};
use crate::time::Timestamp;

/// What happened so far.
pub(super) fn given(events: impl IntoIterator<Item = Event>) -> Given {
    let events: Vec<Event> = events.into_iter().collect();
    Given {
        request: fold(None, &events),
    }
}

/// Folds events on a state.
pub(super) fn fold(request: Option<Request>, events: &[Event]) -> Option<Request> {
    events.iter().fold(request, evolve)
}

pub(super) struct Given {
    pub(super) request: Option<Request>,
}

impl Given {
    /// What is asked for.
    pub(super) fn when(self, command: impl Into<Command>) -> When {
        When {
            given: self,
            command: command.into(),
        }
    }
}

pub(super) struct When {
    given: Given,
    command: Command,
}

impl When {
    /// When it is asked for. Decides, and checks what holds for every decision.
    pub(super) fn at(self, now: Timestamp) -> Decided {
        let before = self.given.request;
        let decided = decide(before.as_ref(), &self.command, now);
        let events = decided.clone().unwrap_or_default();
        let after = fold(before.clone(), &events);
        if let Some(after) = &after {
            assert_conserved(after);
            assert_repeat_is_harmless(after, &self.command, now);
        }
        let outcome = match (&before, &self.command) {
            (Some(before), Command::RecordFacts(facts)) => {
                let Recorded {
                    events: recorded,
                    outcome,
                } = record(before, facts, now);
                assert_eq!(recorded, events, "`record` and `decide` agree");
                Some(outcome)
            }
            _ => None,
        };
        Decided {
            decided,
            after,
            outcome,
        }
    }
}

pub(super) struct Decided {
    pub(super) decided: Result<Vec<Event>, Refusal>,
    pub(super) after: Option<Request>,
    outcome: Option<Outcome>,
}

/// Nothing is to be written: it is already so.
pub(super) struct Nothing;

/// What a decision should be.
pub(super) struct Expected(Result<Vec<Event>, Refusal>);

impl From<Vec<Event>> for Expected {
    fn from(events: Vec<Event>) -> Self {
        Self(Ok(events))
    }
}

impl<const N: usize> From<[Event; N]> for Expected {
    fn from(events: [Event; N]) -> Self {
        Self(Ok(events.into()))
    }
}

impl From<Refusal> for Expected {
    fn from(refusal: Refusal) -> Self {
        Self(Err(refusal))
    }
}

impl From<Nothing> for Expected {
    fn from(_: Nothing) -> Self {
        Self(Ok(vec![]))
    }
}

impl Decided {
    /// Exactly these events, this refusal, or nothing.
    #[track_caller]
    pub(super) fn then(self, expected: impl Into<Expected>) -> Self {
        assert_eq!(self.decided, expected.into().0);
        self
    }

    /// The label afterwards.
    #[track_caller]
    pub(super) fn label(self, label: Label) -> Self {
        assert_eq!(self.after.as_ref().map(Request::label), Some(label));
        self
    }

    /// What became of an observation.
    #[track_caller]
    pub(super) fn outcome(self, outcome: Outcome) -> Self {
        assert_eq!(self.outcome, Some(outcome));
        self
    }

    /// Applied now, and unapplied now in the due currency.
    #[track_caller]
    pub(super) fn money(self, applied: i64, unapplied: i64) -> Self {
        let request = self.after.as_ref().unwrap();
        let due = request.terms().amount.currency();
        let waiting = request
            .unapplied()
            .into_iter()
            .find(|sum| sum.currency() == due);
        assert_eq!(
            (
                request.applied().minor(),
                waiting.map_or(0, |sum| sum.minor())
            ),
            (applied, unapplied)
        );
        self
    }
}

/// Every captured minor unit is in exactly one place, and none is there twice.
#[track_caller]
pub(super) fn assert_conserved(request: &Request) {
    for (key, capture) in request.captures() {
        let places = [
            capture.applied,
            capture.unapplied,
            capture.returned_applied,
            capture.returned_unapplied,
            capture.moved,
            capture.kept,
        ];
        assert!(places.iter().all(|minor| *minor >= 0), "{key}: {capture:?}");
        let sum: i128 = places.iter().map(|minor| i128::from(*minor)).sum();
        assert_eq!(
            sum,
            i128::from(capture.amount.minor()),
            "{key}: {capture:?}"
        );
    }
}

/// The same command right away leaves no event. A notice is told from its repeat by its idempotency
/// key alone, since a customer may say the same thing twice; so is a look at what is sealed.
#[track_caller]
pub(super) fn assert_repeat_is_harmless(after: &Request, command: &Command, now: Timestamp) {
    let counts_again = matches!(
        command,
        Command::RecordNotice { .. } | Command::OpenEvidence { .. }
    );
    if !counts_again {
        let again = decide(Some(after), command, now).unwrap_or_default();
        assert_eq!(again, [], "repeated at {now}: {command:?}");
    }
}
