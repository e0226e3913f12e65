//! Rows H: what customers tell and show.

use super::build::*;
use super::{Nothing, given};
use crate::payment::event::NoticeKind;
use crate::payment::evidence::EvidenceClass;
use crate::payment::exception::ExceptionKind;
use crate::payment::fact::FactKind;
use crate::payment::label::BotLabel;
use crate::payment::{Command, Event, Label, Refusal};

fn notice() -> Command {
    Command::RecordNotice {
        kind: NoticeKind::Screenshot,
        media: "image/png".into(),
        bytes: 9,
        askable: true,
    }
}

/// A notice where nobody can be asked.
fn unaskable() -> Command {
    Command::RecordNotice {
        kind: NoticeKind::Screenshot,
        media: "image/png".into(),
        bytes: 9,
        askable: false,
    }
}

fn noticed() -> Event {
    Event::PayerNoticeRecorded {
        kind: NoticeKind::Screenshot,
        media: "image/png".into(),
        bytes: 9,
    }
}

#[test]
fn a_screenshot_pays_nothing_h1() {
    for events in [
        pending(),
        processing(),
        partially_paid(),
        expired_unpaid(),
        cancelled_unpaid(),
        paid(),
    ] {
        let before = given(events.clone()).request.unwrap();
        given(events)
            .when(notice())
            .at(open_time())
            .then([noticed()])
            .label(before.label())
            .money(before.applied().minor(), 0);
    }
}

#[test]
fn a_notice_is_shown_as_in_review_h1() {
    let decided = given(pending()).when(notice()).at(open_time());
    assert_eq!(decided.after.unwrap().bot_label(), BotLabel::InReview);
}

#[test]
fn a_notice_that_no_provider_can_answer_goes_to_a_person_h1() {
    let opened = || case(1, ExceptionKind::PayerNotice, "notice 1", open_time());
    for events in [
        fresh(),
        pending(),
        partially_paid(),
        expired_unpaid(),
        cancelled_unpaid(),
    ] {
        given(events)
            .when(unaskable())
            .at(open_time())
            .then([noticed(), opened()]);
    }
    // What is paid needs nobody.
    given(paid())
        .when(unaskable())
        .at(open_time())
        .then([noticed()]);
}

#[test]
fn a_notice_is_in_review_until_a_person_has_looked_at_it_h1() {
    let told = and(expired_unpaid(), [noticed()]);
    let label = |events: &[Event]| given(events.to_vec()).request.unwrap().bot_label();
    assert_eq!(label(&told), BotLabel::InReview);
    let denied = case(1, ExceptionKind::PayerNotice, "notice 1", open_time());
    given(told.clone())
        .when(looked_up([]))
        .at(open_time())
        .then([denied.clone()]);
    let looked_at = and(told, [denied]);
    assert_eq!(label(&looked_at), BotLabel::InReview);
    let dismissed = and(looked_at, [resolved(1)]);
    assert_eq!(label(&dismissed), BotLabel::Expired);
    assert_eq!(label(&and(dismissed, [noticed()])), BotLabel::InReview);
}

#[test]
fn a_notice_that_the_look_up_denies_goes_to_a_person_h1() {
    let told = || and(pending(), [noticed()]);
    let denied = || case(1, ExceptionKind::PayerNotice, "notice 1", open_time());
    given(told())
        .when(looked_up([fact(FactKind::Registered)]))
        .at(open_time())
        .then([denied()])
        .label(Label::Pending);
    given(told())
        .when(looked_up([]))
        .at(open_time())
        .then([denied()]);
    given(and(told(), [denied()]))
        .when(looked_up([]))
        .at(open_time())
        .then(Nothing);
}

#[test]
fn a_notice_that_the_look_up_confirms_needs_nobody_h1() {
    let told = and(pending(), [noticed()]);
    let decided = given(told)
        .when(looked_up([captured("t1", amd(DUE))]))
        .at(open_time())
        .label(Label::Paid);
    assert!(!decided.after.unwrap().in_review());
}

#[test]
fn no_answer_denies_no_notice_h1() {
    let told = and(pending(), [noticed()]);
    let decided = given(told)
        .when(looked_up([fact(FactKind::Unknown)]))
        .at(open_time());
    assert!(!decided.after.unwrap().in_review());
}

#[test]
fn money_that_goes_back_denies_no_notice_h1() {
    let (came, unknown) = (ExceptionKind::PaidAfterCancel, cancelled_unpaid());
    let known = [
        unapplied("t1", amd(DUE), came, EvidenceClass::Signed),
        case_on(1, came, "t1", open_time()),
    ];
    let back = || looked_up([refund_of("t1", 100, "r1")]);
    let decided = given(and(and(cancelled_unpaid(), known), [noticed()]))
        .when(back())
        .at(open_time());
    let cases = decided.after.unwrap().cases().clone().into_values();
    let kinds: Vec<_> = cases.map(|case| case.kind).collect();
    assert_eq!(kinds, [came, ExceptionKind::UnrequestedRefund]);
    // Of money that nobody knows here it says nothing.
    given(and(unknown, [noticed()]))
        .when(back())
        .at(open_time())
        .then([case(1, ExceptionKind::PayerNotice, "notice 1", open_time())]);
}

#[test]
fn a_notice_is_not_evidence_h1() {
    given(pending())
        .when(says(EvidenceClass::PayerNotice, [captured("t1", amd(DUE))]))
        .at(open_time())
        .then(Nothing)
        .label(Label::Pending);
}

#[test]
fn notices_are_limited_h1() {
    let many = and(pending(), (0..20).map(|_| noticed()));
    given(many)
        .when(notice())
        .at(open_time())
        .then(Refusal::TooManyNotices { max: 20 });
    given([])
        .when(notice())
        .at(open_time())
        .then(Refusal::UnknownRequest);
}
