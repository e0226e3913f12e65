//! Rows G: facts that are about something else.

use super::build::*;
use super::{Nothing, given};
use crate::payment::command::Target;
use crate::payment::evidence::{EvidenceClass, Mode};
use crate::payment::exception::ExceptionKind;
use crate::payment::fact::FactKind;
use crate::payment::{Command, Label, Outcome, RecordFacts};

fn foreign(mut facts: RecordFacts) -> RecordFacts {
    facts.target = Target::Foreign(reference("pr_x-7"));
    facts
}

#[test]
fn an_attempt_that_we_never_started_pays_nothing_g3() {
    for events in [pending(), paid(), expired_unpaid(), refunded()] {
        let before = given(events.clone()).request.unwrap();
        given(events)
            .when(foreign(signed([captured("t9", amd(DUE))])))
            .at(open_time())
            .then([case(
                1,
                ExceptionKind::ForeignAttempt,
                "pr_x-7",
                open_time(),
            )])
            .label(before.label())
            .money(before.applied().minor(), 0)
            .outcome(Outcome::Refused);
    }
    given(pending())
        .when(signed([captured("t9", amd(DUE))]).about(9))
        .at(open_time())
        .then([case(1, ExceptionKind::ForeignAttempt, "t9", open_time())])
        .label(Label::Pending);
}

#[test]
fn a_foreign_attempt_without_money_is_nobodys_business_g3() {
    given(pending())
        .when(foreign(signed([fact(FactKind::Processing)])))
        .at(open_time())
        .then(Nothing)
        .outcome(Outcome::Stale);
}

#[test]
fn unproved_foreign_attempts_share_one_case_g3() {
    let lie = |transaction: &str| says(EvidenceClass::Unsigned, [captured(transaction, amd(DUE))]);
    let first = given(pending())
        .when(foreign(lie("t8")))
        .at(open_time())
        .then([case(
            1,
            ExceptionKind::ForeignAttempt,
            "sim-main",
            open_time(),
        )]);
    let mut second = foreign(lie("t9"));
    second.target = Target::Foreign(reference("pr_x-8"));
    super::Given {
        request: first.after,
    }
    .when(second)
    .at(open_time())
    .then(Nothing);
}

#[test]
fn money_that_paid_another_request_is_only_told_g4() {
    let reuse = || Command::OpenCase {
        kind: ExceptionKind::TxnReused,
        about: key("t9").to_string(),
    };
    for events in [pending(), paid(), expired_unpaid()] {
        let before = given(events.clone()).request.unwrap();
        given(events)
            .when(reuse())
            .at(open_time())
            .then([case(
                1,
                ExceptionKind::TxnReused,
                "sim/sim-main/t9",
                open_time(),
            )])
            .label(before.label())
            .money(before.applied().minor(), 0);
    }
}

#[test]
fn an_answer_about_another_order_pays_nothing_g5() {
    let mut theirs = captured("t9", amd(DUE));
    theirs.provider_order_ref = Some(reference("another-order"));
    let mut ours = captured("t9", amd(DUE));
    ours.our_reference = Some(our_reference(2));
    for (events, label) in [
        (pending(), Label::Pending),
        (paid(), Label::Paid),
        (expired_unpaid(), Label::Expired),
    ] {
        for fact in [&theirs, &ours] {
            given(events.clone())
                .when(looked_up([fact.clone()]))
                .at(open_time())
                .then([case(1, ExceptionKind::IdentityMismatch, "t9", open_time())])
                .label(label)
                .outcome(Outcome::Refused);
        }
    }
    let mut same = captured("t1", amd(DUE));
    (same.provider_order_ref, same.our_reference) = (Some(order_ref(1)), Some(our_reference(1)));
    given(pending())
        .when(looked_up([same]))
        .at(open_time())
        .label(Label::Paid);
}

#[test]
fn another_account_does_not_speak_for_an_attempt_g5() {
    let mut elsewhere = signed([captured("t9", amd(DUE))]);
    elsewhere.observation.account = account("sim-two");
    given(pending())
        .when(elsewhere)
        .at(open_time())
        .then([case(1, ExceptionKind::IdentityMismatch, "t9", open_time())])
        .label(Label::Pending)
        .outcome(Outcome::Refused);
}

#[test]
fn an_order_of_another_request_pays_nothing_and_is_told_once_g5() {
    let of_another = |class| {
        let mut facts = says(
            class,
            [fact(FactKind::Registered), captured("t9", amd(DUE))],
        );
        facts.target = Target::OtherOrder(reference("taken"));
        facts
    };
    given(pending())
        .when(of_another(EvidenceClass::LookedUp))
        .at(open_time())
        .then([case(
            1,
            ExceptionKind::IdentityMismatch,
            "taken",
            open_time(),
        )])
        .label(Label::Pending)
        .money(0, 0)
        .outcome(Outcome::Refused);
    given(pending())
        .when(of_another(EvidenceClass::Unsigned))
        .at(open_time())
        .then(Nothing)
        .outcome(Outcome::LookUp);
}

#[test]
fn test_money_never_pays_a_live_order_g7() {
    let said = |mode| {
        let mut fact = captured("t9", amd(DUE));
        fact.mode = mode;
        signed([fact])
    };
    let test_account = |rules: &mut crate::payment::evidence::AccountRules| rules.mode = Mode::Test;
    let test_order = pending_with(|terms| terms.mode = Mode::Test);
    for (events, facts) in [
        (pending(), said(Some(Mode::Test))),
        (
            test_order.clone(),
            said(Some(Mode::Live)).rules(test_account),
        ),
        // The account is of the other mode, whatever its messages say.
        (pending(), said(None).rules(test_account)),
        (test_order, said(None)),
    ] {
        given(events)
            .when(facts)
            .at(open_time())
            .then([case(1, ExceptionKind::ModeMismatch, "t9", open_time())])
            .label(Label::Pending)
            .money(0, 0)
            .outcome(Outcome::Refused);
    }
    given(pending())
        .when(said(Some(Mode::Live)))
        .at(open_time())
        .label(Label::Paid);
}
