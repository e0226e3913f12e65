//! Rows B: the same money again, and other money for the same order.

use super::build::*;
use super::{Nothing, fold, given};
use crate::payment::event::AttemptEnd;
use crate::payment::evidence::EvidenceClass;
use crate::payment::exception::ExceptionKind;
use crate::payment::{Event, Label, Outcome, decide};

#[test]
fn the_same_capture_again_changes_nothing_b1() {
    for events in [partially_paid(), paid(), partially_refunded(), disputed()] {
        let label = given(events.clone()).request.unwrap().label();
        let minor = given(events.clone()).request.unwrap().captures()[&key("t1")].amount;
        for class in [
            EvidenceClass::Signed,
            EvidenceClass::LookedUp,
            EvidenceClass::Settlement,
        ] {
            given(events.clone())
                .when(says(class, [captured("t1", minor)]))
                .at(open_time())
                .then(Nothing)
                .label(label)
                .outcome(Outcome::Duplicate);
        }
    }
}

#[test]
fn the_same_capture_through_another_attempt_pays_once_b1() {
    given(and(paid(), [started(2), registered(2)]))
        .when(signed([captured("t1", amd(DUE))]).about(2))
        .at(open_time())
        .then(Nothing)
        .outcome(Outcome::Duplicate);
}

#[test]
fn the_same_capture_without_its_amount_is_no_new_question_b1() {
    let mut silent = captured("t1", amd(DUE));
    silent.amount = None;
    given(paid())
        .when(signed([silent]).without_look_up())
        .at(open_time())
        .then(Nothing)
        .outcome(Outcome::Duplicate);
}

#[test]
fn another_amount_of_the_same_capture_is_kept_apart_b2() {
    for money in [amd(DUE - 1), amd(DUE + 1), usd(DUE)] {
        let contradiction = case_on(1, ExceptionKind::ProviderContradiction, "t1", open_time());
        given(paid())
            .when(signed([captured("t1", money)]))
            .at(open_time())
            .then([contradiction.clone()])
            .label(Label::Paid)
            .money(DUE, 0)
            .outcome(Outcome::LookUp);
        // The look-up says the same: it is kept for a person, once.
        given(and(paid(), [contradiction]))
            .when(looked_up([captured("t1", money)]))
            .at(open_time())
            .then(Nothing)
            .label(Label::Paid)
            .outcome(Outcome::Stale);
    }
}

#[test]
fn a_second_payment_is_kept_and_not_applied_b3() {
    for events in [paid(), partially_refunded(), disputed(), charged_back()] {
        let before = given(events.clone()).request.unwrap();
        let n = u32::try_from(before.cases().len()).unwrap() + 1;
        given(events)
            .when(signed([captured("t2", amd(DUE))]))
            .at(open_time())
            .then([
                money_came("t2", DUE, 0, Some(ExceptionKind::DuplicatePayment)),
                case_on(n, ExceptionKind::DuplicatePayment, "t2", open_time()),
            ])
            .label(before.label())
            .money(before.applied().minor(), DUE)
            .outcome(Outcome::Applied);
    }
}

#[test]
fn two_captures_at_once_pay_once_b5() {
    // Both are decided on the pending request. The loser's append conflicts, and it decides again.
    let before = given(pending()).request.unwrap();
    let (first, second) = (
        signed([captured("t1", amd(DUE))]),
        signed([captured("t2", amd(DUE))]),
    );
    let won = decide(Some(&before), &first.into(), open_time()).unwrap();
    let lost = decide(Some(&before), &second.clone().into(), open_time()).unwrap();
    assert_eq!(won.len(), lost.len(), "each alone would have paid");
    let after = fold(Some(before), &won);
    super::Given { request: after }
        .when(second)
        .at(open_time())
        .then([
            money_came("t2", DUE, 0, Some(ExceptionKind::DuplicatePayment)),
            case_on(1, ExceptionKind::DuplicatePayment, "t2", open_time()),
        ])
        .label(Label::Paid)
        .money(DUE, DUE);
}

#[test]
fn two_captures_in_one_message_pay_once_b5() {
    given(pending())
        .when(signed([captured("t1", amd(DUE)), captured("t2", amd(DUE))]))
        .at(open_time())
        .then([
            money_came("t1", DUE, DUE, None),
            verified("t1"),
            money_came("t2", DUE, 0, Some(ExceptionKind::DuplicatePayment)),
            case_on(1, ExceptionKind::DuplicatePayment, "t2", open_time()),
        ])
        .label(Label::Paid);
}

#[test]
fn paying_a_refunded_order_again_is_kept_and_not_applied_b6() {
    given(refunded())
        .when(signed([captured("t2", amd(DUE))]))
        .at(open_time())
        .then([
            money_came("t2", DUE, 0, Some(ExceptionKind::DuplicatePayment)),
            case_on(1, ExceptionKind::DuplicatePayment, "t2", open_time()),
        ])
        .label(Label::Refunded)
        .money(0, DUE);
}

#[test]
fn a_second_payment_through_a_declined_attempt_is_kept_b3() {
    let events = and(
        paid(),
        [started(2), registered(2), failed(2, AttemptEnd::Declined)],
    );
    given(events)
        .when(signed([captured("t2", amd(DUE))]).about(2))
        .at(open_time())
        .label(Label::Paid)
        .money(DUE, DUE)
        .outcome(Outcome::Applied);
}

fn under_another_id(class: EvidenceClass) -> crate::payment::RecordFacts {
    let mut fact = captured("t2", amd(DUE));
    fact.alias_of = Some(reference("t1"));
    says(class, [fact])
}

#[test]
fn a_second_id_of_one_payment_is_no_second_payment_b4() {
    let alias = Event::CaptureAliasRecorded {
        capture: key("t1"),
        alias: key("t2"),
    };
    let after = given(paid())
        .when(under_another_id(EvidenceClass::LookedUp))
        .at(open_time())
        .then([alias])
        .outcome(Outcome::Applied)
        .label(Label::Paid)
        .money(DUE, 0);
    // What is told of the second id is told of the first.
    let known = super::Given {
        request: after.after,
    };
    known
        .when(signed([refund_of("t2", DUE, "r1")]))
        .at(open_time())
        .label(Label::Refunded)
        .money(0, 0);
}

#[test]
fn a_message_alone_makes_no_alias_b3_b4() {
    given(paid())
        .when(under_another_id(EvidenceClass::Signed))
        .at(open_time())
        .money(DUE, DUE);
}
