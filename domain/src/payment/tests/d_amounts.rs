//! Rows D: amount, currency and account.

use super::build::*;
use super::{Nothing, given};
use crate::money::MinorText;
use crate::payment::event::PrecheckVerdict;
use crate::payment::evidence::EvidenceClass;
use crate::payment::exception::ExceptionKind;
use crate::payment::{Event, ExpiryCheck, Label, Outcome, Terms};

#[test]
fn too_little_is_kept_and_pays_nothing_d1() {
    for events in [pending(), processing()] {
        given(events)
            .when(signed([captured("t1", amd(DUE - 1))]))
            .at(open_time())
            .then([
                money_came("t1", DUE - 1, 0, Some(ExceptionKind::Underpaid)),
                case_on(1, ExceptionKind::Underpaid, "t1", open_time()),
            ])
            .label(Label::Pending)
            .money(0, DUE - 1);
    }
}

#[test]
fn two_small_payments_are_not_added_up_unless_the_scenario_says_so_d1() {
    let first = money_came("t1", 60_000, 0, Some(ExceptionKind::Underpaid));
    given(and(
        pending(),
        [
            first,
            case_on(1, ExceptionKind::Underpaid, "t1", open_time()),
        ],
    ))
    .when(signed([captured("t2", amd(90_000))]))
    .at(open_time())
    .then([
        money_came("t2", 90_000, 0, Some(ExceptionKind::Underpaid)),
        case_on(2, ExceptionKind::Underpaid, "t2", open_time()),
    ])
    .label(Label::Pending)
    .money(0, DUE);
}

#[test]
fn a_part_counts_where_the_scenario_accumulates_d2() {
    given(pending_with(accumulating))
        .when(signed([captured("t1", amd(60_000))]))
        .at(open_time())
        .then([money_came("t1", 60_000, 60_000, None)])
        .label(Label::PartiallyPaid)
        .money(60_000, 0);
    given(partially_paid())
        .when(signed([captured("t2", amd(60_000))]))
        .at(open_time())
        .then([money_came("t2", 60_000, 60_000, None)])
        .label(Label::PartiallyPaid)
        .money(120_000, 0);
}

#[test]
fn parts_that_add_up_pay_d3() {
    given(partially_paid())
        .when(signed([captured("t2", amd(90_000))]))
        .at(open_time())
        .then([money_came("t2", 90_000, 90_000, None), verified("t2")])
        .label(Label::Paid)
        .money(DUE, 0);
}

#[test]
fn too_much_pays_exactly_what_is_due_d4() {
    for events in [pending(), processing(), pending_with(accumulating)] {
        given(events)
            .when(signed([captured("t1", amd(DUE + 700))]))
            .at(open_time())
            .then([
                money_came("t1", DUE + 700, DUE, Some(ExceptionKind::Overpaid)),
                verified("t1"),
                case_on(1, ExceptionKind::Overpaid, "t1", open_time()),
            ])
            .label(Label::Paid)
            .money(DUE, 700);
    }
    given(partially_paid())
        .when(signed([captured("t2", amd(DUE))]))
        .at(open_time())
        .then([
            money_came("t2", DUE, 90_000, Some(ExceptionKind::Overpaid)),
            verified("t2"),
            case_on(1, ExceptionKind::Overpaid, "t2", open_time()),
        ])
        .label(Label::Paid)
        .money(DUE, 60_000);
}

#[test]
fn a_tolerated_difference_pays_and_is_written_down_d5() {
    let tolerant = |terms: &mut Terms| terms.rules.tolerance_minor = MinorText(500);
    for difference in [-500, -1, 1, 500] {
        let came = DUE + difference;
        given(pending_with(tolerant))
            .when(signed([captured("t1", amd(came))]))
            .at(open_time())
            .then([
                money_came("t1", came, came, None),
                verified_by(
                    crate::payment::event::VerificationMethod::SignedNotification,
                    "t1",
                    None,
                    -difference,
                ),
            ])
            .label(Label::Paid)
            .money(came, 0);
    }
}

#[test]
fn one_unit_beyond_the_tolerance_is_too_much_or_too_little_d5() {
    let tolerant = |terms: &mut Terms| terms.rules.tolerance_minor = MinorText(500);
    given(pending_with(tolerant))
        .when(signed([captured("t1", amd(DUE - 501))]))
        .at(open_time())
        .label(Label::Pending)
        .money(0, DUE - 501);
    given(pending_with(tolerant))
        .when(signed([captured("t1", amd(DUE + 501))]))
        .at(open_time())
        .label(Label::Paid)
        .money(DUE, 501);
}

/// Money came, though it does not count: the attempt is over, and the label is otherwise the same.
fn no_longer_in_flight(label: Label) -> Label {
    if label == Label::Processing {
        Label::Pending
    } else {
        label
    }
}

#[test]
fn another_currency_is_never_converted_d6() {
    for events in [
        pending(),
        processing(),
        partially_paid(),
        paid(),
        refunded(),
        disputed(),
    ] {
        let before = given(events.clone()).request.unwrap();
        let n = u32::try_from(before.cases().len()).unwrap() + 1;
        let decided = given(events)
            .when(signed([captured("t9", usd(DUE))]))
            .at(open_time())
            .then([
                unapplied(
                    "t9",
                    usd(DUE),
                    ExceptionKind::CurrencyMismatch,
                    EvidenceClass::Signed,
                ),
                case_on(n, ExceptionKind::CurrencyMismatch, "t9", open_time()),
            ])
            .label(no_longer_in_flight(before.label()))
            .money(before.applied().minor(), 0);
        assert_eq!(decided.after.unwrap().unapplied(), [usd(DUE).into()]);
    }
}

#[test]
fn money_for_another_account_is_recorded_and_pays_nothing_d7() {
    let ours =
        |rules: &mut crate::payment::evidence::AccountRules| rules.payee = Some("shop-1".into());
    let mut elsewhere = captured("t9", amd(DUE));
    elsewhere.payee = Some("shop-2".into());
    for events in [
        pending(),
        processing(),
        partially_paid(),
        paid(),
        refunded(),
    ] {
        let before = given(events.clone()).request.unwrap();
        given(events)
            .when(signed([elsewhere.clone()]).rules(ours))
            .at(open_time())
            .then([
                unapplied(
                    "t9",
                    amd(DUE),
                    ExceptionKind::AccountMismatch,
                    EvidenceClass::Signed,
                ),
                case_on(1, ExceptionKind::AccountMismatch, "t9", open_time()),
            ])
            .label(no_longer_in_flight(before.label()))
            .money(before.applied().minor(), DUE);
    }
    let mut here = captured("t1", amd(DUE));
    here.payee = Some("shop-1".into());
    given(pending())
        .when(signed([here]).rules(ours))
        .at(open_time())
        .label(Label::Paid);
}

#[test]
fn an_amount_that_nobody_states_is_asked_for_d8() {
    let mut silent = captured("t1", amd(DUE));
    silent.amount = None;
    let mut nameless = captured("t1", amd(DUE));
    nameless.transaction = None;
    for fact in [silent, nameless] {
        given(pending())
            .when(signed([fact.clone()]))
            .at(open_time())
            .then(Nothing)
            .label(Label::Pending)
            .outcome(Outcome::LookUp);
        let about = if fact.transaction.is_some() {
            "t1"
        } else {
            "captured"
        };
        let unprovable = case(1, ExceptionKind::UnprovableAmount, about, open_time());
        given(pending())
            .when(looked_up([fact.clone()]))
            .at(open_time())
            .then([unprovable.clone()])
            .label(Label::Pending)
            .outcome(Outcome::Refused);
        given(pending())
            .when(signed([fact]).without_look_up())
            .at(open_time())
            .then([unprovable]);
    }
}

#[test]
fn parts_are_set_aside_when_the_time_is_over_d9() {
    let aside = |transaction: &str, minor| Event::CaptureUnapplied {
        capture: key(transaction),
        minor: MinorText(minor),
        why: ExceptionKind::UnderpaidAtExpiry,
    };
    given(and(
        partially_paid(),
        [money_came("t2", 30_000, 30_000, None)],
    ))
    .when(crate::payment::Command::Expire(ExpiryCheck::Confirmed))
    .at(noon())
    .then([
        aside("t1", 60_000),
        case_on(1, ExceptionKind::UnderpaidAtExpiry, "t1", noon()),
        aside("t2", 30_000),
        case_on(2, ExceptionKind::UnderpaidAtExpiry, "t2", noon()),
        expired(),
    ])
    .label(Label::Expired)
    .money(0, 90_000);
}

#[test]
fn more_parts_than_one_append_can_set_aside_wait_for_a_person_d2() {
    let mut events = pending_with(accumulating);
    let parts = u32::try_from(crate::payment::Refusal::PARTS_MAX).unwrap();
    events.extend((1..=parts).map(|n| money_came(&format!("p{n}"), 100, 100, None)));
    given(events)
        .when(signed([captured("t1", amd(100))]))
        .at(open_time())
        .label(Label::PartiallyPaid)
        .money(i64::from(parts) * 100, 100);
}

#[test]
fn a_message_that_names_no_account_is_asked_about_d7() {
    let facts =
        || signed([captured("t1", amd(DUE))]).rules(|rules| rules.payee = Some("m-1".into()));
    given(pending())
        .when(facts())
        .at(open_time())
        .then(Nothing)
        .outcome(Outcome::LookUp);
    given(pending())
        .when(facts().without_look_up())
        .at(open_time())
        .label(Label::Paid);
}

#[test]
fn money_that_the_provider_never_asked_about_proves_nothing_d8() {
    let told = || {
        signed([captured("t1", amd(DUE))])
            .without_look_up()
            .rules(|rules| rules.asks_first = true)
    };
    let unprovable = case(1, ExceptionKind::UnprovableAmount, "t1", open_time());
    given(pending())
        .when(told())
        .at(open_time())
        .then([unprovable])
        .label(Label::Pending)
        .outcome(Outcome::Refused);
    let allowed = Event::AttemptPrechecked {
        attempt_no: 1,
        verdict: PrecheckVerdict::Allowed {},
    };
    given(and(pending(), [allowed]))
        .when(told())
        .at(open_time())
        .label(Label::Paid);
    // A provider that can be asked is asked.
    given(pending())
        .when(told().rules(|rules| rules.look_up = true))
        .at(open_time())
        .then(Nothing)
        .outcome(Outcome::LookUp);
}
