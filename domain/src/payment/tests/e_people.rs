//! Rows E9 and E15: people decide what becomes of money that waits. It is always in one place.

use super::build::*;
use super::{Given, Nothing, given};
use crate::ids::{CaseId, OperatorId, PaymentRequestId, TransferId};
use crate::money::{MinorText, Money};
use crate::payment::event::{
    CancelledBy, DisputeOutcome, RefundKind, Resolution, VerificationMethod,
};
use crate::payment::evidence::EvidenceClass;
use crate::payment::exception::ExceptionKind;
use crate::payment::fact::Fact;
use crate::payment::{
    Command, Event, Label, Outcome, RecordFacts, Refusal, Resolve, Target, Transfer, moved_to,
};
use crate::stream::StreamId;

fn case_id(n: u32) -> CaseId {
    CaseId::parse(format!("payment_request-{}~{n}", id('a'))).unwrap()
}

fn closed(n: u32, resolution: Resolution) -> Event {
    Event::ExceptionResolved {
        case: case_id(n),
        resolution,
    }
}

fn resolve(n: u32, how: Resolve) -> Command {
    Command::ResolveCase {
        case: case_id(n),
        how,
    }
}

fn accept(n: u32, with: &[u32]) -> Command {
    resolve(
        n,
        Resolve::Accept {
            with: with.iter().map(|n| case_id(*n)).collect(),
        },
    )
}

fn transfer_id() -> TransferId {
    TransferId::parse(format!("tr_{}", "a".repeat(26))).unwrap()
}

fn reassign() -> Command {
    resolve(
        1,
        Resolve::Reassign {
            transfer: transfer_id(),
            to: id('b'),
        },
    )
}

fn accepted(transaction: &str, minor: i64) -> Event {
    Event::UnappliedMoneyAccepted {
        capture: key(transaction),
        minor: MinorText(minor),
    }
}

fn late_verified(transaction: &str) -> Event {
    let method = VerificationMethod::StatusLookup;
    let mut event = verified_by(method, transaction, None, 0);
    if let Event::PaymentVerified { late, .. } = &mut event {
        *late = true;
    }
    event
}

/// Expired, with money that came too late, case 1.
fn late_money(money: Money) -> Vec<Event> {
    waiting(expired_unpaid(), money, ExceptionKind::LatePayment)
}

fn waiting(events: Vec<Event>, money: Money, why: ExceptionKind) -> Vec<Event> {
    let came = unapplied("t1", money, why, EvidenceClass::LookedUp);
    and(events, [came, case_on(1, why, "t1", late())])
}

fn reassigned() -> Event {
    Event::CaptureReassigned {
        transfer: transfer_id(),
        to: id('b'),
        capture: key("t1"),
        amount: amd(DUE),
        class: EvidenceClass::LookedUp,
        provider_time: None,
        refunded: MinorText(0),
        reversals: vec![],
    }
}

fn arrives(money: Money) -> Command {
    Command::ReceiveTransfer(Transfer {
        transfer: transfer_id(),
        from: StreamId::payment_request(&id('b')),
        capture: key("t1"),
        amount: money,
        class: EvidenceClass::LookedUp,
        provider_time: None,
        refunded: MinorText(0),
        reversals: vec![],
    })
}

fn received(money: Money, applied: i64, why: Option<ExceptionKind>) -> Event {
    Event::CaptureReceived {
        transfer: transfer_id(),
        from: StreamId::payment_request(&id('b')),
        capture: key("t1"),
        amount: money,
        applied: MinorText(applied),
        unapplied: MinorText(money.minor() - applied),
        why,
        class: EvidenceClass::LookedUp,
        provider_time: None,
        refunded: MinorText(0),
        reversals: vec![],
    }
}

#[test]
fn accepted_late_money_pays_late_e9() {
    given(late_money(amd(DUE)))
        .when(accept(1, &[]))
        .at(late())
        .then([
            accepted("t1", DUE),
            late_verified("t1"),
            closed(1, Resolution::Accepted),
        ])
        .label(Label::Paid)
        .money(DUE, 0);
}

#[test]
fn what_is_more_than_is_due_stays_in_its_case_e9() {
    let after = given(late_money(amd(DUE + 500)))
        .when(accept(1, &[]))
        .at(late());
    let after = after
        .then([accepted("t1", DUE), late_verified("t1")])
        .label(Label::Paid)
        .money(DUE, 500);
    assert!(after.after.unwrap().in_review());
}

#[test]
fn money_that_completes_nothing_is_not_accepted_e9() {
    let missing = |minor| Refusal::NotEnough {
        missing: MinorText(minor),
    };
    given(late_money(amd(DUE - 1)))
        .when(accept(1, &[]))
        .at(late())
        .then(missing(1))
        .money(0, DUE - 1);
    let tolerant = |terms: &mut crate::payment::Terms| terms.rules.tolerance_minor = MinorText(1);
    let short = waiting(
        and(pending_with(tolerant), [expired()]),
        amd(DUE - 1),
        ExceptionKind::LatePayment,
    );
    given(short)
        .when(accept(1, &[]))
        .at(late())
        .label(Label::Paid)
        .money(DUE - 1, 0);
}

#[test]
fn small_payments_are_accepted_together_e9() {
    let second = unapplied(
        "t2",
        amd(60_000),
        ExceptionKind::Underpaid,
        EvidenceClass::LookedUp,
    );
    let both = and(
        waiting(pending(), amd(90_000), ExceptionKind::Underpaid),
        [second, case_on(2, ExceptionKind::Underpaid, "t2", late())],
    );
    given(both)
        .when(accept(1, &[2]))
        .at(open_time())
        .then([
            accepted("t1", 90_000),
            accepted("t2", 60_000),
            verified_by(VerificationMethod::StatusLookup, "t2", None, 0),
            closed(1, Resolution::Accepted),
            closed(2, Resolution::Accepted),
        ])
        .label(Label::Paid)
        .money(DUE, 0);
}

#[test]
fn money_that_is_not_the_orders_is_not_accepted_e9() {
    for (money, why) in [
        (usd(DUE), ExceptionKind::CurrencyMismatch),
        (amd(DUE), ExceptionKind::AccountMismatch),
    ] {
        given(waiting(pending(), money, why))
            .when(accept(1, &[]))
            .at(open_time())
            .then(Refusal::NotThisWay { kind: why });
    }
    let replaced = and(pending(), [cancelled(CancelledBy::Superseded)]);
    given(waiting(replaced, amd(DUE), ExceptionKind::PaidSuperseded))
        .when(accept(1, &[]))
        .at(late())
        .then(Refusal::Superseded);
    given(waiting(paid(), amd(DUE), ExceptionKind::DuplicatePayment))
        .when(accept(1, &[]))
        .at(late())
        .then(Refusal::AlreadyPaid);
}

#[test]
fn a_case_that_holds_money_is_not_dismissed_e9() {
    given(late_money(amd(DUE)))
        .when(resolve(1, Resolve::Dismiss))
        .at(late())
        .then(Refusal::CaseHoldsMoney);
    given(late_money(amd(DUE)))
        .when(resolve(1, Resolve::KeepAsIncome))
        .at(late())
        .then([
            Event::UnappliedMoneyKept {
                capture: key("t1"),
                minor: MinorText(DUE),
            },
            closed(1, Resolution::KeptAsIncome),
        ])
        .label(Label::Expired)
        .money(0, 0);
    let told = and(
        pending(),
        [case(
            1,
            ExceptionKind::TamperedTerms,
            "attempt 1",
            open_time(),
        )],
    );
    given(told.clone())
        .when(resolve(1, Resolve::Dismiss))
        .at(open_time())
        .then([closed(1, Resolution::Dismissed)]);
    given(told)
        .when(resolve(1, Resolve::KeepAsIncome))
        .at(open_time())
        .then(Refusal::NotThisWay {
            kind: ExceptionKind::TamperedTerms,
        });
    given(disputed())
        .when(resolve(1, Resolve::Dismiss))
        .at(open_time())
        .then(Refusal::NotThisWay {
            kind: ExceptionKind::Dispute,
        });
}

#[test]
fn a_decided_case_is_decided_e9() {
    let done = || {
        and(
            late_money(amd(DUE)),
            [
                Event::UnappliedMoneyKept {
                    capture: key("t1"),
                    minor: MinorText(DUE),
                },
                closed(1, Resolution::KeptAsIncome),
            ],
        )
    };
    given(done())
        .when(accept(1, &[]))
        .at(late())
        .then(Refusal::CaseClosed);
    given(done())
        .when(resolve(1, Resolve::KeepAsIncome))
        .at(late())
        .then(Nothing);
    given(done())
        .when(resolve(9, Resolve::Dismiss))
        .at(late())
        .then(Refusal::UnknownCase);
}

#[test]
fn a_repeat_is_the_same_decision_only_with_all_that_belongs_to_it_e9() {
    let second = unapplied(
        "t2",
        amd(60_000),
        ExceptionKind::Underpaid,
        EvidenceClass::LookedUp,
    );
    let third = case(3, ExceptionKind::TamperedTerms, "attempt 1", late());
    let both = and(
        waiting(pending(), amd(90_000), ExceptionKind::Underpaid),
        [
            second,
            case_on(2, ExceptionKind::Underpaid, "t2", late()),
            third,
        ],
    );
    let together = given(both).when(accept(1, &[2])).at(open_time()).after;
    for (with, again) in [(&[][..], true), (&[2], true), (&[3], false), (&[9], false)] {
        let repeat = Given {
            request: together.clone(),
        }
        .when(accept(1, with))
        .at(late());
        if again {
            repeat.then(Nothing);
        } else {
            repeat.then(Refusal::CaseClosed);
        }
    }
}

#[test]
fn money_that_went_to_one_request_is_not_reassigned_to_another_e15() {
    let replaced = and(pending(), [cancelled(CancelledBy::Superseded)]);
    let done = given(waiting(replaced, amd(DUE), ExceptionKind::PaidSuperseded))
        .when(reassign())
        .at(late())
        .after;
    let to = |letter: char, transfer: char| {
        let transfer = TransferId::parse(format!("tr_{}", transfer.to_string().repeat(26)));
        Given {
            request: done.clone(),
        }
        .when(resolve(
            1,
            Resolve::Reassign {
                transfer: transfer.unwrap(),
                to: id(letter),
            },
        ))
        .at(late())
    };
    // Whoever repeats it under another key draws another transfer.
    to('b', 'z').then(Nothing);
    to('c', 'z').then(Refusal::CaseClosed);
    to('c', 'a').then(Refusal::CaseClosed);
}

#[test]
fn somebody_looks_after_a_case_e9() {
    let to = |name: &str| Command::AssignCase {
        case: case_id(1),
        to: Some(OperatorId::parse(name).unwrap()),
    };
    let event = Event::ExceptionAssigned {
        case: case_id(1),
        to: Some(OperatorId::parse("ani").unwrap()),
    };
    let assigned = given(late_money(amd(DUE)))
        .when(to("ani"))
        .at(late())
        .then([event]);
    let back = Command::AssignCase {
        case: case_id(1),
        to: None,
    };
    Given {
        request: assigned.after,
    }
    .when(back)
    .at(late())
    .then([Event::ExceptionAssigned {
        case: case_id(1),
        to: None,
    }]);
}

#[test]
fn money_leaves_its_request_before_it_arrives_e15() {
    let replaced = and(pending(), [cancelled(CancelledBy::Superseded)]);
    given(waiting(replaced, amd(DUE), ExceptionKind::PaidSuperseded))
        .when(reassign())
        .at(late())
        .then([reassigned(), closed(1, Resolution::Reassigned)])
        .label(Label::Cancelled)
        .money(0, 0);
    let to_itself = resolve(
        1,
        Resolve::Reassign {
            transfer: transfer_id(),
            to: id('a'),
        },
    );
    given(late_money(amd(DUE)))
        .when(to_itself)
        .at(late())
        .then(Refusal::SameRequest);
}

#[test]
fn money_that_arrives_pays_what_is_open_e15() {
    given(pending())
        .when(arrives(amd(DUE)))
        .at(open_time())
        .then([
            received(amd(DUE), DUE, None),
            verified_by(VerificationMethod::StatusLookup, "t1", None, 0),
        ])
        .label(Label::Paid)
        .money(DUE, 0);
}

#[test]
fn money_that_arrives_is_never_refused_e15() {
    for (events, label, why) in [
        (expired_unpaid(), Label::Expired, ExceptionKind::LatePayment),
        (
            cancelled_unpaid(),
            Label::Cancelled,
            ExceptionKind::PaidAfterCancel,
        ),
    ] {
        given(events)
            .when(arrives(amd(DUE)))
            .at(late())
            .then([
                received(amd(DUE), 0, Some(why)),
                case_on(1, why, "t1", late()),
            ])
            .label(label)
            .money(0, DUE);
    }
    let twice = and(
        pending(),
        [money_came("t9", DUE, DUE, None), verified("t9")],
    );
    given(twice)
        .when(arrives(amd(DUE)))
        .at(open_time())
        .label(Label::Paid)
        .money(DUE, DUE);
}

#[test]
fn money_that_comes_back_is_counted_once_e15() {
    let gone = and(
        late_money(amd(DUE)),
        [reassigned(), closed(1, Resolution::Reassigned)],
    );
    let home = given(gone).when(arrives(amd(DUE))).at(late()).money(0, DUE);
    // It is the same money as before, and no more of it.
    Given {
        request: home.after,
    }
    .when(looked_up([captured("t1", amd(DUE))]))
    .at(late())
    .outcome(Outcome::Duplicate)
    .then(Nothing);
}

#[test]
fn what_is_told_of_money_that_left_is_recorded_where_it_is_e15() {
    let gone = and(
        late_money(amd(DUE)),
        [reassigned(), closed(1, Resolution::Reassigned)],
    );
    let request = super::fold(None, &gone).unwrap();
    let facts = looked_up([refunded_so_far("t1", DUE)]);
    let fact = &facts.observation.facts[0];
    assert_eq!(
        moved_to(&request, &facts.observation, &Target::Attempt(1), fact),
        Some((id('b'), fact.clone()))
    );
    // Where it names no transaction, it is told there with the one of its attempt.
    let bare = Fact {
        transaction: None,
        ..fact.clone()
    };
    assert_eq!(
        moved_to(&request, &facts.observation, &Target::Attempt(1), &bare),
        Some((id('b'), fact.clone()))
    );
    let stays = super::fold(None, &late_money(amd(DUE))).unwrap();
    let of_stays = moved_to(&stays, &facts.observation, &Target::Attempt(1), fact);
    assert_eq!(of_stays, None);
    // There it is recorded without an attempt of that request.
    let there = RecordFacts {
        target: Target::Moved,
        ..facts
    };
    let arrived = given(pending()).when(arrives(amd(DUE))).at(open_time());
    Given {
        request: arrived.after,
    }
    .when(there)
    .at(open_time())
    .outcome(Outcome::Applied)
    .label(Label::Refunded)
    .money(0, 0);
}

/// What is told of the first request's money.
fn elsewhere(events: &[Event], fact: &Fact) -> Option<(PaymentRequestId, Fact)> {
    let request = super::fold(None, events).unwrap();
    let facts = looked_up([fact.clone()]);
    moved_to(&request, &facts.observation, &Target::Attempt(1), fact)
}

#[test]
fn what_went_back_before_the_money_left_stays_where_it_was_told_e15() {
    let mut left = reassigned();
    if let Event::CaptureReassigned {
        amount,
        refunded,
        reversals,
        ..
    } = &mut left
    {
        (*amount, *refunded) = (amd(DUE - 500), MinorText(500));
        *reversals = vec![reference("r1")];
    }
    let settled = refund_settled(RefundKind::Refund, Some("r1"), 0, 500, 500);
    let before = and(late_money(amd(DUE)), [settled]);
    given(before.clone())
        .when(reassign())
        .at(late())
        .then([left.clone(), closed(1, Resolution::Reassigned)]);
    let gone = and(before, [left]);
    assert_eq!(elsewhere(&gone, &refund_of("t1", 500, "r1")), None);
    assert_eq!(elsewhere(&gone, &refunded_so_far("t1", 500)), None);
    let more = refunded_so_far("t1", 700);
    assert_eq!(elsewhere(&gone, &more), Some((id('b'), more.clone())));
    // Another id is another refund, and its money is there.
    let another = refund_of("t1", 500, "r2");
    assert_eq!(elsewhere(&gone, &another), Some((id('b'), another.clone())));
}

#[test]
fn a_total_told_where_money_went_counts_only_what_it_can_know_e15() {
    // Some of it counted here and went back after the rest had left.
    let mut left = reassigned();
    if let Event::CaptureReassigned { amount, .. } = &mut left {
        *amount = amd(500);
    }
    let split = and(
        pending(),
        [
            money_came("t1", DUE + 500, DUE, Some(ExceptionKind::Overpaid)),
            verified("t1"),
            left,
            refund_settled(RefundKind::Refund, Some("r1"), DUE, 0, DUE),
        ],
    );
    assert_eq!(elsewhere(&split, &refunded_so_far("t1", DUE)), None);
    let told = elsewhere(&split, &refunded_so_far("t1", DUE + 300));
    assert_eq!(told, Some((id('b'), refunded_so_far("t1", 300))));
}

#[test]
fn a_refund_told_elsewhere_is_known_when_the_money_comes_back_e15() {
    let gone = and(
        late_money(amd(DUE)),
        [reassigned(), closed(1, Resolution::Reassigned)],
    );
    let mut back = arrives(amd(DUE - 500));
    if let Command::ReceiveTransfer(transfer) = &mut back {
        transfer.transfer = TransferId::parse(format!("tr_{}", "b".repeat(26))).unwrap();
        transfer.refunded = MinorText(500);
        transfer.reversals = vec![reference("r1")];
    }
    let home = given(gone).when(back).at(late()).money(0, DUE - 500).after;
    for told in [refund_of("t1", 500, "r1"), refunded_so_far("t1", 500)] {
        let request = home.clone();
        Given { request }
            .when(looked_up([told]))
            .at(late())
            .outcome(Outcome::Duplicate)
            .money(0, DUE - 500);
    }
    // It is here: what is told of it is recorded here, also when nothing is left of it.
    let all = looked_up([refunded_so_far("t1", DUE)]);
    let request = home;
    let empty = Given { request }.when(all).at(late()).money(0, 0).after;
    let failed = refund_failed("t1", "r9");
    let facts = looked_up([failed.clone()]).observation;
    let elsewhere = moved_to(&empty.unwrap(), &facts, &Target::Attempt(1), &failed);
    assert_eq!(elsewhere, None);
}

#[test]
fn a_part_that_arrived_is_told_as_a_whole_and_is_no_contradiction_e15() {
    let arrived = given(pending()).when(arrives(amd(500))).at(open_time());
    Given {
        request: arrived.after,
    }
    .when(looked_up([captured("t1", amd(DUE))]))
    .at(open_time())
    .outcome(Outcome::Duplicate)
    .then(Nothing);
}

#[test]
fn disputed_money_does_not_leave_e15() {
    let opened = dispute_opened("d1", "t1", DUE);
    let disputed = and(late_money(amd(DUE)), [opened]);
    given(disputed.clone())
        .when(reassign())
        .at(late())
        .then(Refusal::DisputeOpen);
    let won = dispute_closed("d1", "t1", DisputeOutcome::Won, 0, 0);
    given(and(disputed, [won]))
        .when(reassign())
        .at(late())
        .then([reassigned(), closed(1, Resolution::Reassigned)]);
}

/// A refund of it that came back opens a case of its own, which is no other way in.
#[test]
fn money_that_is_not_the_orders_is_not_accepted_through_another_case_e9() {
    for (money, why) in [
        (usd(DUE), ExceptionKind::CurrencyMismatch),
        (amd(DUE), ExceptionKind::AccountMismatch),
    ] {
        let came_back = case_named(2, ExceptionKind::RefundReversed, "r1", "t1", late());
        given(and(waiting(pending(), money, why), [came_back]))
            .when(accept(2, &[]))
            .at(open_time())
            .then(Refusal::NotThisWay { kind: why });
    }
}
