//! Rows C: messages that come late, in the wrong order, or against each other.

use super::build::*;
use super::{Nothing, given};
use crate::payment::event::{AttemptEnd, Progress, VerificationMethod};
use crate::payment::evidence::EvidenceClass;
use crate::payment::exception::ExceptionKind;
use crate::payment::fact::FactKind;
use crate::payment::{Label, Outcome};

fn paid_and_later() -> [Vec<crate::payment::Event>; 5] {
    [
        paid(),
        partially_refunded(),
        refunded(),
        disputed(),
        charged_back(),
    ]
}

#[test]
fn late_progress_never_takes_paid_back_c1() {
    for events in paid_and_later() {
        let label = given(events.clone()).request.unwrap().label();
        let kinds = [
            FactKind::Registered,
            FactKind::Processing,
            FactKind::Authorised,
            FactKind::Unknown,
        ];
        for kind in kinds {
            for class in [EvidenceClass::Signed, EvidenceClass::LookedUp] {
                given(events.clone())
                    .when(says(class, [fact(kind.clone())]))
                    .at(late())
                    .then(Nothing)
                    .label(label)
                    .outcome(Outcome::Stale);
            }
        }
    }
}

#[test]
fn late_progress_of_a_closed_request_is_stale_c1() {
    for events in [expired_unpaid(), cancelled_unpaid()] {
        let label = given(events.clone()).request.unwrap().label();
        for kind in [
            FactKind::Processing,
            FactKind::Authorised,
            FactKind::Unknown,
        ] {
            given(events.clone())
                .when(looked_up([fact(kind)]))
                .at(late())
                .then(Nothing)
                .label(label)
                .outcome(Outcome::Stale);
        }
    }
}

#[test]
fn late_failure_never_takes_paid_back_c2() {
    for events in paid_and_later() {
        let label = given(events.clone()).request.unwrap().label();
        for (kind, why) in [
            (FactKind::Declined, AttemptEnd::Declined),
            (FactKind::SessionExpired, AttemptEnd::SessionExpired),
        ] {
            given(and(events.clone(), [started(2), registered(2)]))
                .when(signed([fact(kind)]).about(2))
                .at(late())
                .then([failed(2, why)])
                .label(label);
        }
    }
}

#[test]
fn failure_of_the_attempt_that_paid_is_asked_about_c3() {
    for kind in [FactKind::Declined, FactKind::SessionExpired] {
        given(paid())
            .when(signed([fact(kind.clone())]))
            .at(open_time())
            .then(Nothing)
            .label(Label::Paid)
            .outcome(Outcome::LookUp);
        given(paid())
            .when(signed([fact(kind)]).without_look_up())
            .at(open_time())
            .then(Nothing)
            .label(Label::Paid)
            .outcome(Outcome::Stale);
    }
}

#[test]
fn failure_that_the_look_up_confirms_goes_to_a_person_and_stays_paid_c3() {
    given(paid())
        .when(looked_up([fact(FactKind::Declined)]))
        .at(open_time())
        .then([case(
            1,
            ExceptionKind::ProviderContradiction,
            "attempt 1",
            open_time(),
        )])
        .label(Label::Paid)
        .money(DUE, 0);
    given(paid())
        .when(looked_up([captured("t1", amd(DUE))]))
        .at(open_time())
        .then(Nothing)
        .label(Label::Paid)
        .outcome(Outcome::Duplicate);
}

#[test]
fn money_after_a_failure_pays_c4() {
    for why in [
        AttemptEnd::Declined,
        AttemptEnd::SessionExpired,
        AttemptEnd::NotRegistered,
    ] {
        given(and(pending(), [failed(1, why)]))
            .when(signed([captured("t1", amd(DUE))]))
            .at(open_time())
            .then([money_came("t1", DUE, DUE, None), verified("t1")])
            .label(Label::Paid);
        given(and(pending(), [failed(1, why), started(2), registered(2)]))
            .when(signed([captured("t1", amd(DUE))]).about(2))
            .at(open_time())
            .then([
                with(
                    money_came("t1", DUE, DUE, None),
                    2,
                    EvidenceClass::Signed,
                    None,
                ),
                verified("t1"),
            ])
            .label(Label::Paid);
    }
}

#[test]
fn money_before_the_register_answer_pays_c5() {
    for doubt in [vec![], vec![uncertain(1)]] {
        given(and(and(fresh(), [started(1)]), doubt))
            .when(signed([captured("t1", amd(DUE))]))
            .at(open_time())
            .then([money_came("t1", DUE, DUE, None), verified("t1")])
            .label(Label::Paid);
    }
}

#[test]
fn a_reversal_before_its_capture_waits_for_it_c6() {
    for events in [pending(), processing()] {
        let label = given(events.clone()).request.unwrap().label();
        for early in [
            refund_of("t1", 50_000, "r1"),
            refunded_so_far("t1", 50_000),
            voided("t1"),
            dispute("t1", "d1", None),
            dispute_won("d1"),
            dispute_lost("d1"),
        ] {
            given(events.clone())
                .when(signed([early]))
                .at(open_time())
                .then(Nothing)
                .label(label)
                .outcome(Outcome::Parked);
        }
    }
}

#[test]
fn a_reversal_that_waits_is_not_hidden_by_money_that_came_with_it_c6() {
    // The observation is tried again; then its money is a duplicate and nothing is booked twice.
    given(pending())
        .when(signed([
            captured("t1", amd(DUE)),
            refund_of("t2", 50_000, "r1"),
        ]))
        .at(open_time())
        .then([money_came("t1", DUE, DUE, None), verified("t1")])
        .outcome(Outcome::Parked);
}

#[test]
fn a_look_up_that_tells_capture_and_refund_books_both_c6() {
    given(pending())
        .when(looked_up([
            captured("t1", amd(DUE)),
            refunded_so_far("t1", 50_000),
        ]))
        .at(open_time())
        .label(Label::PartiallyRefunded)
        .money(100_000, 0)
        .outcome(Outcome::Applied);
}

#[test]
fn a_repeated_capture_does_not_undo_a_refund_c7() {
    for events in [refunded(), charged_back()] {
        let label = given(events.clone()).request.unwrap().label();
        given(events)
            .when(signed([captured("t1", amd(DUE))]))
            .at(late())
            .then(Nothing)
            .label(label)
            .money(0, 0)
            .outcome(Outcome::Duplicate);
    }
}

#[test]
fn the_look_up_wins_over_a_weak_callback_c8() {
    let method = VerificationMethod::StatusLookup;
    // The account demands a look-up; the callback says the whole amount, the look-up a part.
    let strict = |rules: &mut crate::payment::evidence::AccountRules| {
        rules.minimum = EvidenceClass::LookedUp
    };
    given(pending())
        .when(signed([captured("t1", amd(DUE))]).rules(strict))
        .at(open_time())
        .then(Nothing)
        .outcome(Outcome::LookUp);
    let part = unapplied(
        "t1",
        amd(60_000),
        ExceptionKind::Underpaid,
        EvidenceClass::LookedUp,
    );
    given(pending())
        .when(looked_up([captured("t1", amd(60_000))]).rules(strict))
        .at(open_time())
        .then([
            part,
            case_on(1, ExceptionKind::Underpaid, "t1", open_time()),
        ])
        .label(Label::Pending);
    // The callback says declined, the look-up says paid.
    let came = with(
        money_came("t1", DUE, DUE, None),
        1,
        EvidenceClass::LookedUp,
        None,
    );
    given(and(pending(), [failed(1, AttemptEnd::Declined)]))
        .when(looked_up([captured("t1", amd(DUE))]))
        .at(open_time())
        .then([came, verified_by(method, "t1", None, 0)])
        .label(Label::Paid);
}

#[test]
fn progress_after_a_failure_of_the_same_attempt_is_stale_c1() {
    given(and(pending(), [failed(1, AttemptEnd::Declined)]))
        .when(signed([fact(FactKind::Processing)]))
        .at(open_time())
        .then(Nothing)
        .label(Label::Pending)
        .outcome(Outcome::Stale);
    given(and(processing(), [progressed(1, Progress::Authorised)]))
        .when(signed([fact(FactKind::Registered)]))
        .at(open_time())
        .then(Nothing)
        .label(Label::Processing)
        .outcome(Outcome::Stale);
}
