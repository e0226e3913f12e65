//! Every (state, incoming) cell of the coverage matrix in `docs/reference/cases.md`: the label
//! afterwards, no panic, and no minor unit lost. The rows of the other files say what is written.

use super::build::*;
use super::{Given, given};
use crate::payment::event::{AttemptEnd, CancelledBy, Progress};
use crate::payment::evidence::EvidenceClass;
use crate::payment::fact::{Fact, FactKind};
use crate::payment::{Command, Event, ExpiryCheck, Label, Refusal};
use crate::time::Timestamp;

/// A column of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Incoming {
    CapturedExact,
    CapturedLess,
    CapturedMore,
    OtherCurrency,
    SameCapture,
    SecondCapture,
    Registered,
    Processing,
    Authorised,
    Declined,
    SessionExpired,
    Unknown,
    RefundPart,
    RefundAll,
    Void,
    RefundFailed,
    DisputeOpened,
    DisputeWon,
    DisputeLost,
    TimerConfirmed,
    TimerProcessing,
    TimerUnknown,
    Cancel,
}

use Incoming as I;
use Label as L;

const COLUMNS: [Incoming; 23] = [
    I::CapturedExact,
    I::CapturedLess,
    I::CapturedMore,
    I::OtherCurrency,
    I::SameCapture,
    I::SecondCapture,
    I::Registered,
    I::Processing,
    I::Authorised,
    I::Declined,
    I::SessionExpired,
    I::Unknown,
    I::RefundPart,
    I::RefundAll,
    I::Void,
    I::RefundFailed,
    I::DisputeOpened,
    I::DisputeWon,
    I::DisputeLost,
    I::TimerConfirmed,
    I::TimerProcessing,
    I::TimerUnknown,
    I::Cancel,
];

/// A line of the matrix: its history, and a due capture that is exact there.
fn lines() -> Vec<(Label, Vec<Event>, i64)> {
    vec![
        (L::Pending, pending(), DUE),
        (L::Processing, processing(), DUE),
        (L::PartiallyPaid, partially_paid(), 90_000),
        (L::Paid, paid(), DUE),
        (L::Expired, expired_unpaid(), DUE),
        (L::Cancelled, cancelled_unpaid(), DUE),
        (L::PartiallyRefunded, partially_refunded(), DUE),
        (L::Refunded, refunded(), DUE),
        (L::Disputed, disputed(), DUE),
        (L::ChargedBack, charged_back(), DUE),
    ]
}

impl Incoming {
    fn facts(self, exact: i64) -> Option<Fact> {
        Some(match self {
            Self::CapturedExact => captured("new", amd(exact)),
            Self::CapturedLess => captured("new", amd(exact - 1)),
            Self::CapturedMore => captured("new", amd(exact + 1)),
            Self::OtherCurrency => captured("new", usd(exact)),
            Self::SameCapture => captured("t1", amd(if exact == DUE { DUE } else { 60_000 })),
            Self::SecondCapture => captured("second", amd(DUE)),
            Self::Registered => fact(FactKind::Registered),
            Self::Processing => fact(FactKind::Processing),
            Self::Authorised => fact(FactKind::Authorised),
            Self::Declined => fact(FactKind::Declined),
            Self::SessionExpired => fact(FactKind::SessionExpired),
            Self::Unknown => fact(FactKind::Unknown),
            Self::RefundPart => refund_of("t1", 10_000, "new"),
            Self::RefundAll => refunded_so_far("t1", DUE),
            Self::Void => voided("t1"),
            Self::RefundFailed => refund_failed("t1", "r1"),
            Self::DisputeOpened => dispute("t1", "new", None),
            Self::DisputeWon => dispute_won("d1"),
            Self::DisputeLost => dispute_lost("d1"),
            Self::TimerConfirmed | Self::TimerProcessing | Self::TimerUnknown | Self::Cancel => {
                return None;
            }
        })
    }

    fn command(self, class: EvidenceClass, exact: i64) -> Command {
        match self {
            Self::TimerConfirmed => Command::Expire(ExpiryCheck::Confirmed),
            Self::TimerProcessing => Command::Expire(ExpiryCheck::Processing),
            Self::TimerUnknown => Command::Expire(ExpiryCheck::Unknown { look_up: true }),
            Self::Cancel => cancel(),
            I::CapturedExact
            | I::CapturedLess
            | I::CapturedMore
            | I::OtherCurrency
            | I::SameCapture
            | I::SecondCapture
            | I::Registered
            | I::Processing
            | I::Authorised
            | I::Declined
            | I::SessionExpired
            | I::Unknown
            | I::RefundPart
            | I::RefundAll
            | I::Void
            | I::RefundFailed
            | I::DisputeOpened
            | I::DisputeWon
            | I::DisputeLost => says(class, self.facts(exact)).into(),
        }
    }

    fn moment(self) -> Timestamp {
        match self {
            Self::TimerConfirmed | Self::TimerProcessing | Self::TimerUnknown => noon(),
            _ => open_time(),
        }
    }
}

/// The label afterwards, as the matrix says it, for any class that the account accepts.
fn expected(before: Label, incoming: Incoming) -> Label {
    match (before, incoming) {
        // Money that is exact or more pays what is open (A12, D3, D4).
        (
            L::Pending | L::Processing | L::PartiallyPaid,
            I::CapturedExact | I::CapturedMore | I::SecondCapture,
        ) => L::Paid,
        // Attempt 1 of `pending` and `processing` has taken nothing yet, so its capture is new.
        (L::Pending | L::Processing, I::SameCapture) => L::Paid,
        // Money that does not count ends the attempt (D1, D6).
        (L::Processing, I::CapturedLess | I::OtherCurrency) => L::Pending,
        // A11, A14, A17: the attempt of `partially_paid` has taken its part and is over.
        (L::Pending, I::Processing | I::Authorised | I::Unknown) => L::Processing,
        // A15, A16.
        (L::Processing, I::Declined | I::SessionExpired) => L::Pending,
        // E1, D9.
        (L::Pending | L::Processing | L::PartiallyPaid, I::TimerConfirmed) => L::Expired,
        // E12; E13 refuses what is in flight.
        (L::Pending | L::PartiallyPaid, I::Cancel) => L::Cancelled,
        // F15: all of the part went back.
        (L::PartiallyPaid, I::RefundAll | I::Void) => L::Pending,
        // F3, F4, F10, F16.
        (L::Paid, I::RefundPart) => L::PartiallyRefunded,
        (L::Paid | L::PartiallyRefunded, I::RefundAll | I::Void) => L::Refunded,
        // F9.
        (L::PartiallyRefunded | L::Refunded, I::RefundFailed) => L::Paid,
        // F11, F14.
        (L::Paid | L::PartiallyRefunded | L::Refunded | L::ChargedBack, I::DisputeOpened) => {
            L::Disputed
        }
        // F12, F13.
        (L::Disputed, I::DisputeWon) => L::Paid,
        (L::Disputed, I::DisputeLost) => L::ChargedBack,
        // Everything else leaves the label (B, C, D6, D7, E6 to E15, F8).
        _ => before,
    }
}

#[test]
fn every_cell_of_the_matrix_ends_in_its_label() {
    for (label, events, exact) in lines() {
        assert_eq!(given(events.clone()).request.unwrap().label(), label);
        for incoming in COLUMNS {
            for class in [
                EvidenceClass::Signed,
                EvidenceClass::LookedUp,
                EvidenceClass::Settlement,
            ] {
                let decided = given(events.clone())
                    .when(incoming.command(class, exact))
                    .at(incoming.moment());
                let found = decided.after.as_ref().map(crate::payment::Request::label);
                let cell = format!("{label:?} x {incoming:?} by {class:?}");
                assert_eq!(found, Some(expected(label, incoming)), "{cell}");
            }
        }
    }
}

#[test]
fn nothing_but_a_create_reaches_a_request_that_does_not_exist() {
    for incoming in COLUMNS {
        given([])
            .when(incoming.command(EvidenceClass::Settlement, DUE))
            .at(incoming.moment())
            .then(Refusal::UnknownRequest);
    }
}

/// The states again, as they are a second time round: after each incoming, each other one.
#[test]
fn any_two_incomings_after_each_other_keep_the_money_together() {
    for (_, events, exact) in lines() {
        for first in COLUMNS {
            let after = given(events.clone())
                .when(first.command(EvidenceClass::LookedUp, exact))
                .at(first.moment())
                .after;
            for second in COLUMNS {
                let command = second.command(EvidenceClass::LookedUp, exact);
                let once_more = Given {
                    request: after.clone(),
                };
                // `at` counts the money and repeats the command.
                once_more
                    .when(command)
                    .at(first.moment().max(second.moment()));
            }
        }
    }
}

/// The lines of the matrix reach every label that there is, so that a new one cannot be forgotten.
#[test]
fn the_matrix_has_a_line_for_every_label() {
    let mut labels: Vec<Label> = lines().into_iter().map(|(label, _, _)| label).collect();
    labels.sort();
    labels.dedup();
    let mut all = Label::ALL.to_vec();
    all.sort();
    assert_eq!(labels, all);
}

/// Attempts in every state, under every label, meet every incoming.
#[test]
fn no_state_of_an_attempt_loses_money() {
    let states: [Vec<Event>; 7] = [
        vec![],
        vec![uncertain(2)],
        vec![registered(2)],
        vec![progressed(2, Progress::Processing)],
        vec![progressed(2, Progress::Unknown)],
        vec![failed(2, AttemptEnd::Declined)],
        vec![cancelled(CancelledBy::Superseded)],
    ];
    for (label, events, exact) in lines() {
        for state in &states {
            if !matches!(state.first(), Some(Event::Cancelled { .. })) || !label.is_terminal() {
                let history = and(and(events.clone(), [started_for(2, exact)]), state.clone());
                for incoming in COLUMNS {
                    let command = match incoming.command(EvidenceClass::LookedUp, exact) {
                        Command::RecordFacts(facts) => facts.about(2).into(),
                        other => other,
                    };
                    given(history.clone()).when(command).at(incoming.moment());
                }
            }
        }
    }
}
