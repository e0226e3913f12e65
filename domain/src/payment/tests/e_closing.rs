//! Rows E: expiry, cancel, and money that comes afterwards.

use super::build::*;
use super::{Nothing, given};
use crate::money::{MinorText, Money};
use crate::payment::event::{AttemptEnd, CancelledBy, DeferredWhy, Progress, VerificationMethod};
use crate::payment::evidence::EvidenceClass;
use crate::payment::exception::{ExceptionKind, Severity};
use crate::payment::fact::FactKind;
use crate::payment::{Command, Event, ExpiryCheck, Label, Outcome, Refusal};
use crate::time::{Precision, ProviderTime, Timestamp};

fn expire(check: ExpiryCheck) -> Command {
    Command::Expire(check)
}

fn deferred(until: Timestamp, why: DeferredWhy) -> Event {
    Event::ExpiryDeferred { until, why }
}

fn looked_up_money(why: ExceptionKind, time: Option<ProviderTime>, money: Money) -> Event {
    with(
        unapplied("t1", money, why, EvidenceClass::LookedUp),
        1,
        EvidenceClass::LookedUp,
        time,
    )
}

#[test]
fn an_unpaid_request_expires_e1() {
    for events in [fresh(), pending()] {
        given(events)
            .when(expire(ExpiryCheck::Confirmed))
            .at(noon())
            .then([expired()])
            .label(Label::Expired);
    }
}

#[test]
fn nothing_expires_before_its_time_e1() {
    let due = noon();
    given(pending())
        .when(expire(ExpiryCheck::Confirmed))
        .at(time("11:59:59.999"))
        .then(Refusal::NotYetDue { due })
        .label(Label::Pending);
}

#[test]
fn what_is_closed_does_not_expire_again_e1() {
    for events in [expired_unpaid(), cancelled_unpaid()] {
        let label = given(events.clone()).request.unwrap().label();
        given(events)
            .when(expire(ExpiryCheck::Confirmed))
            .at(late())
            .then(Nothing)
            .label(label);
    }
}

#[test]
fn money_in_time_pays_after_the_time_is_over_e2() {
    let in_time = to_the_second("11:59:58");
    let came = with(
        money_came("t1", DUE, DUE, None),
        1,
        EvidenceClass::LookedUp,
        Some(in_time),
    );
    for events in [pending(), processing()] {
        given(events)
            .when(looked_up([captured_at("t1", amd(DUE), in_time)]))
            .at(late())
            .then([
                came.clone(),
                verified_by(
                    VerificationMethod::StatusLookup,
                    "t1",
                    Some(time("11:59:58")),
                    0,
                ),
            ])
            .label(Label::Paid);
    }
    given(pending())
        .when(signed([captured("t1", amd(DUE))]))
        .at(noon())
        .label(Label::Paid)
        .outcome(Outcome::Applied);
}

#[test]
fn a_notification_after_the_time_is_over_is_asked_about_first_e2() {
    let in_time = to_the_second("11:59:58");
    given(pending())
        .when(signed([captured_at("t1", amd(DUE), in_time)]))
        .at(late())
        .then(Nothing)
        .label(Label::Pending)
        .outcome(Outcome::LookUp);
    given(pending())
        .when(signed([captured_at("t1", amd(DUE), in_time)]).without_look_up())
        .at(late())
        .label(Label::Paid);
}

#[test]
fn late_money_is_kept_and_the_request_expires_e3() {
    let day = ProviderTime {
        at: time("00:00:00"),
        precision: Precision::Day,
    };
    for not_provable in [Some(to_the_second("12:00:01")), Some(day), None] {
        let mut fact = captured("t1", amd(DUE));
        fact.provider_time = not_provable;
        for events in [pending(), processing()] {
            given(events)
                .when(looked_up([fact.clone()]))
                .at(late())
                .then([
                    expired(),
                    looked_up_money(ExceptionKind::LatePayment, not_provable, amd(DUE)),
                    case_on(1, ExceptionKind::LatePayment, "t1", late()),
                ])
                .label(Label::Expired)
                .money(0, DUE);
        }
    }
}

#[test]
fn a_payer_at_work_is_waited_for_e4() {
    let until = time("12:05:00");
    given(processing())
        .when(expire(ExpiryCheck::Processing))
        .at(noon())
        .then([deferred(until, DeferredWhy::Processing)])
        .label(Label::Processing);
    let waiting = || and(processing(), [deferred(until, DeferredWhy::Processing)]);
    given(waiting())
        .when(expire(ExpiryCheck::Processing))
        .at(time("12:04:59"))
        .then(Nothing);
    given(waiting())
        .when(expire(ExpiryCheck::Processing))
        .at(until)
        .then([deferred(time("12:10:00"), DeferredWhy::Processing)]);
}

#[test]
fn an_unknown_status_keeps_it_open_until_the_grace_ends_e5() {
    for (look_up, last, end, severity) in [
        (true, "12:58:00", "13:00:00", Severity::High),
        (false, "12:28:00", "12:30:00", Severity::Medium),
    ] {
        let unknown = || expire(ExpiryCheck::Unknown { look_up });
        given(and(pending(), [progressed(1, Progress::Unknown)]))
            .when(unknown())
            .at(noon())
            .then([deferred(time("12:05:00"), DeferredWhy::Unknown)])
            .label(Label::Processing);
        given(pending())
            .when(unknown())
            .at(time(last))
            .then([deferred(time(end), DeferredWhy::Unknown)])
            .label(Label::Pending);
        let mut status_unknown = case(1, ExceptionKind::StatusUnknown, "expiry", time(end));
        if let Event::ExceptionOpened {
            severity: found,
            due,
            ..
        } = &mut status_unknown
        {
            (*found, *due) = (severity, time(end).plus(severity.due_within()));
        }
        given(pending())
            .when(unknown())
            .at(time(end))
            .then([Event::Expired { confirmed: false }, status_unknown])
            .label(Label::Expired);
    }
}

#[test]
fn late_money_is_asked_about_then_kept_e6() {
    given(expired_unpaid())
        .when(signed([captured("t1", amd(DUE))]))
        .at(late())
        .then(Nothing)
        .label(Label::Expired)
        .outcome(Outcome::LookUp);
    given(expired_unpaid())
        .when(looked_up([captured("t1", amd(DUE))]))
        .at(late())
        .then([
            looked_up_money(ExceptionKind::LatePayment, None, amd(DUE)),
            case_on(1, ExceptionKind::LatePayment, "t1", late()),
        ])
        .label(Label::Expired)
        .money(0, DUE);
}

#[test]
fn without_a_look_up_enough_proof_counts_as_confirmed_e6() {
    given(expired_unpaid())
        .when(signed([captured("t1", amd(DUE))]).without_look_up())
        .at(late())
        .then([
            money_came("t1", DUE, 0, Some(ExceptionKind::LatePayment)),
            case_on(1, ExceptionKind::LatePayment, "t1", late()),
        ])
        .label(Label::Expired);
    given(expired_unpaid())
        .when(says(EvidenceClass::Unsigned, [captured("t1", amd(DUE))]).without_look_up())
        .at(late())
        .then(Nothing)
        .outcome(Outcome::Refused);
}

#[test]
fn money_in_time_that_is_told_late_is_kept_e7() {
    let in_time = to_the_second("11:59:58");
    given(expired_unpaid())
        .when(looked_up([captured_at("t1", amd(DUE), in_time)]))
        .at(late())
        .then([
            looked_up_money(ExceptionKind::LateNotification, Some(in_time), amd(DUE)),
            case_on(1, ExceptionKind::LateNotification, "t1", late()),
        ])
        .label(Label::Expired)
        .money(0, DUE);
}

#[test]
fn failure_after_closing_stays_with_its_attempt_e8() {
    for events in [expired_unpaid(), cancelled_unpaid()] {
        let label = given(events.clone()).request.unwrap().label();
        for (kind, why) in [
            (FactKind::Declined, AttemptEnd::Declined),
            (FactKind::SessionExpired, AttemptEnd::SessionExpired),
        ] {
            given(events.clone())
                .when(signed([fact(kind)]))
                .at(late())
                .then([failed(1, why)])
                .label(label);
        }
    }
}

#[test]
fn money_after_a_cancel_is_asked_about_then_kept_e11() {
    given(cancelled_unpaid())
        .when(signed([captured("t1", amd(DUE))]))
        .at(open_time())
        .then(Nothing)
        .outcome(Outcome::LookUp);
    given(cancelled_unpaid())
        .when(looked_up([captured("t1", amd(DUE))]))
        .at(open_time())
        .then([
            looked_up_money(ExceptionKind::PaidAfterCancel, None, amd(DUE)),
            case_on(1, ExceptionKind::PaidAfterCancel, "t1", open_time()),
        ])
        .label(Label::Cancelled)
        .money(0, DUE);
}

#[test]
fn an_idle_request_is_cancelled_e12() {
    for events in [
        fresh(),
        pending(),
        and(pending(), [failed(1, AttemptEnd::Declined)]),
    ] {
        given(events)
            .when(cancel())
            .at(open_time())
            .then([cancelled(CancelledBy::Client)])
            .label(Label::Cancelled);
    }
    given(cancelled_unpaid())
        .when(cancel())
        .at(open_time())
        .then(Nothing);
    given([])
        .when(cancel())
        .at(open_time())
        .then(Refusal::UnknownRequest);
}

#[test]
fn money_on_its_way_cannot_be_cancelled_e13() {
    for state in [
        Progress::Processing,
        Progress::Authorised,
        Progress::Unknown,
    ] {
        given(and(pending(), [progressed(1, state)]))
            .when(cancel())
            .at(open_time())
            .then(Refusal::PaymentInFlight)
            .label(Label::Processing);
    }
}

#[test]
fn what_is_paid_neither_expires_nor_is_cancelled_e14() {
    for events in [
        paid(),
        partially_refunded(),
        refunded(),
        disputed(),
        charged_back(),
    ] {
        let label = given(events.clone()).request.unwrap().label();
        let checks = [
            ExpiryCheck::Confirmed,
            ExpiryCheck::Processing,
            ExpiryCheck::Unknown { look_up: true },
        ];
        for command in checks.map(expire).into_iter().chain([cancel()]) {
            given(events.clone())
                .when(command)
                .at(late())
                .then(Refusal::AlreadyPaid)
                .label(label);
        }
    }
    given(expired_unpaid())
        .when(cancel())
        .at(late())
        .then(Refusal::NotPayable {
            label: Label::Expired,
        })
        .label(Label::Expired);
}

#[test]
fn parts_of_a_cancelled_request_are_set_aside_e14() {
    given(partially_paid())
        .when(cancel())
        .at(open_time())
        .then([
            Event::CaptureUnapplied {
                capture: key("t1"),
                minor: MinorText(60_000),
                why: ExceptionKind::UnderpaidAtExpiry,
            },
            case_on(1, ExceptionKind::UnderpaidAtExpiry, "t1", open_time()),
            cancelled(CancelledBy::Client),
        ])
        .label(Label::Cancelled)
        .money(0, 60_000);
}

#[test]
fn money_on_a_replaced_link_is_kept_e15() {
    given(and(pending(), [cancelled(CancelledBy::Superseded)]))
        .when(looked_up([captured("t1", amd(DUE))]))
        .at(open_time())
        .then([
            looked_up_money(ExceptionKind::PaidSuperseded, None, amd(DUE)),
            case_on(1, ExceptionKind::PaidSuperseded, "t1", open_time()),
        ])
        .label(Label::Cancelled)
        .money(0, DUE);
}

fn in_time_and_late() -> crate::payment::RecordFacts {
    looked_up([captured_at("t1", amd(DUE), to_the_second("11:59:00"))])
}

#[test]
fn a_scenario_may_let_money_in_time_pay_late_e7() {
    let events = || {
        and(
            pending_with(|terms| terms.rules.auto_accept_on_time = true),
            [expired()],
        )
    };
    let paid = given(events())
        .when(in_time_and_late())
        .at(late())
        .label(Label::Paid)
        .money(DUE, 0);
    let verified = paid.decided.unwrap().pop();
    assert!(
        matches!(verified, Some(Event::PaymentVerified { late: true, .. })),
        "{verified:?}"
    );
    // Another request stands for the order: it must not be paid twice.
    let mut taken = in_time_and_late();
    taken.order_is_ours = false;
    given(events())
        .when(taken)
        .at(late())
        .label(Label::Expired)
        .money(0, DUE);
}

#[test]
fn a_provider_is_asked_to_end_an_attempt_once_e13() {
    let ask = || Command::RequestAttemptCancel { attempt_no: 1 };
    let asked = given(processing()).when(ask()).at(open_time());
    let asked = asked
        .then([Event::AttemptCancelRequested { attempt_no: 1 }])
        .label(Label::Processing);
    assert!(asked.after.unwrap().cancel_pending());
    given(paid())
        .when(ask())
        .at(open_time())
        .then(Refusal::AlreadyPaid);
    given(and(pending(), [failed(1, AttemptEnd::Declined)]))
        .when(ask())
        .at(open_time())
        .then(Nothing);
}

#[test]
fn a_payer_who_stays_at_it_is_asked_about_less_and_less_e4() {
    let mut request = super::fold(None, &processing());
    let (mut now, mut waits, week) = (
        noon(),
        0,
        noon().plus(std::time::Duration::from_secs(7 * 86_400)),
    );
    while now < week {
        let asked = super::Given { request }
            .when(Command::Expire(ExpiryCheck::Processing))
            .at(now);
        request = asked.after;
        now = request.as_ref().unwrap().expiry_due();
        waits += 1;
    }
    assert!((10..40).contains(&waits), "{waits}");
}
