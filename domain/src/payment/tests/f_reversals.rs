//! Rows F: money that went back, as the provider tells it.

use super::build::*;
use super::{Nothing, given};
use crate::money::{MinorText, Sum};
use crate::payment::event::{CancelledBy, DisputeOutcome, RefundKind};
use crate::payment::evidence::EvidenceClass;
use crate::payment::exception::ExceptionKind;
use crate::payment::fact::{FactKind, RefundAmount};
use crate::payment::{Event, Label, Outcome};

fn refund_reversed(id: &str, applied: i64, unapplied: i64) -> Event {
    Event::RefundReversed {
        capture: key("t1"),
        reversal: reference(id),
        applied: MinorText(applied),
        unapplied: MinorText(unapplied),
    }
}

fn unapplied_again(minor: i64) -> Event {
    Event::CaptureUnapplied {
        capture: key("t1"),
        minor: MinorText(minor),
        why: ExceptionKind::RefundReversed,
    }
}

#[test]
fn a_part_that_went_back_is_a_partial_refund_f3() {
    given(paid())
        .when(signed([refund_of("t1", 50_000, "r1")]))
        .at(open_time())
        .then([
            refund_settled(RefundKind::Refund, Some("r1"), 50_000, 0, 50_000),
            case_named(1, ExceptionKind::UnrequestedRefund, "r1", "t1", open_time()),
        ])
        .label(Label::PartiallyRefunded)
        .money(100_000, 0);
    given(partially_refunded())
        .when(signed([refund_of("t1", 30_000, "r2")]))
        .at(open_time())
        .then([
            refund_settled(RefundKind::Refund, Some("r2"), 30_000, 0, 80_000),
            case_named(1, ExceptionKind::UnrequestedRefund, "r2", "t1", open_time()),
        ])
        .label(Label::PartiallyRefunded);
}

#[test]
fn all_that_went_back_is_a_refund_f4() {
    given(paid())
        .when(signed([refunded_so_far("t1", DUE)]))
        .at(open_time())
        .label(Label::Refunded)
        .money(0, 0);
    given(partially_refunded())
        .when(signed([refunded_so_far("t1", DUE)]))
        .at(open_time())
        .then([
            refund_settled(RefundKind::Refund, None, 100_000, 0, DUE),
            case_named(
                1,
                ExceptionKind::UnrequestedRefund,
                "sim/sim-main/t1 150000",
                "t1",
                open_time(),
            ),
        ])
        .label(Label::Refunded);
}

#[test]
fn every_refund_that_we_did_not_ask_for_gets_its_case_f7() {
    // Two refunds of one size that carry no id are told apart by the total.
    let first = given(paid())
        .when(signed([refunded_so_far("t1", 50_000)]))
        .at(open_time());
    let after = super::Given {
        request: first.after,
    };
    let second = after
        .when(signed([refunded_so_far("t1", 100_000)]))
        .at(open_time());
    second
        .then([
            refund_settled(RefundKind::Refund, None, 50_000, 0, 100_000),
            case_named(
                2,
                ExceptionKind::UnrequestedRefund,
                "sim/sim-main/t1 100000",
                "t1",
                open_time(),
            ),
        ])
        .label(Label::PartiallyRefunded);
}

#[test]
fn equal_ids_of_two_accounts_are_two_refunds_with_a_case_each_f7() {
    let two = |event: Event| match event {
        Event::AttemptStarted {
            attempt_no,
            provider,
            our_reference,
            amount,
            session_expires_at,
            ..
        } => Event::AttemptStarted {
            account: account("sim-two"),
            attempt_no,
            provider,
            our_reference,
            amount,
            session_expires_at,
        },
        Event::PaymentCaptured {
            mut capture,
            amount,
            applied,
            unapplied,
            why,
            class,
            provider_time,
            provider_status,
            ..
        } => {
            capture.account = account("sim-two");
            Event::PaymentCaptured {
                attempt_no: 2,
                capture,
                amount,
                applied,
                unapplied,
                why,
                class,
                provider_time,
                provider_status,
            }
        }
        other => other,
    };
    let second = money_came("t1", DUE, 0, Some(ExceptionKind::DuplicatePayment));
    let both = and(paid(), [two(started(2)), two(second)]);
    let first = given(both)
        .when(signed([refund_of("t1", 50_000, "re_1")]))
        .at(open_time());
    let mut says = signed([refund_of("t1", 50_000, "re_1")]).about(2);
    says.observation.account = account("sim-two");
    let after = super::Given {
        request: first.after,
    };
    let request = after.when(says).at(open_time()).after.unwrap();
    let cases: Vec<_> = request
        .cases()
        .values()
        .map(|case| (case.kind, case.capture.as_ref().unwrap().account.as_str()))
        .collect();
    let kind = ExceptionKind::UnrequestedRefund;
    assert_eq!(cases, [(kind, "sim-main"), (kind, "sim-two")]);
}

#[test]
fn a_repeated_refund_changes_nothing_f8() {
    for repeat in [
        refund_of("t1", 50_000, "r1"),
        refunded_so_far("t1", 50_000),
        refunded_so_far("t1", 20_000),
        refunded_so_far("t1", 0),
        refunded_so_far("t1", i64::MIN),
    ] {
        given(partially_refunded())
            .when(signed([repeat]))
            .at(open_time())
            .then(Nothing)
            .label(Label::PartiallyRefunded)
            .outcome(Outcome::Duplicate);
    }
    given(refunded())
        .when(signed([voided("t1")]))
        .at(open_time())
        .then(Nothing)
        .label(Label::Refunded)
        .outcome(Outcome::Duplicate);
    given(disputed())
        .when(signed([dispute("t1", "d1", None)]))
        .at(open_time())
        .then(Nothing)
        .label(Label::Disputed)
        .outcome(Outcome::Duplicate);
    for end in [dispute_lost("d1"), dispute_won("d1")] {
        given(charged_back())
            .when(signed([end]))
            .at(open_time())
            .then(Nothing)
            .label(Label::ChargedBack)
            .outcome(Outcome::Duplicate);
    }
}

#[test]
fn more_than_there_is_cannot_go_back_f8() {
    let contradiction = case_named(
        1,
        ExceptionKind::ProviderContradiction,
        "refund of sim/sim-main/t1",
        "t1",
        open_time(),
    );
    given(paid())
        .when(signed([refunded_so_far("t1", i64::MAX)]))
        .at(open_time())
        .then([
            refund_settled(RefundKind::Refund, None, DUE, 0, DUE),
            contradiction.clone(),
            case_named(
                2,
                ExceptionKind::UnrequestedRefund,
                &format!("sim/sim-main/t1 {}", i64::MAX),
                "t1",
                open_time(),
            ),
        ])
        .label(Label::Refunded);
    given(refunded())
        .when(signed([refund_of("t1", 1, "r2")]))
        .at(open_time())
        .then([contradiction])
        .label(Label::Refunded)
        .money(0, 0);
}

#[test]
fn a_refund_that_cannot_be_counted_goes_to_a_person_f8() {
    let delta = |amount, reversal| of("t1", FactKind::Refunded { amount, reversal });
    let dollars = Sum::new(50_000, currency("USD"));
    for fact in [
        delta(RefundAmount::Delta(amd(50_000)), None),
        delta(RefundAmount::Delta(usd(50_000)), Some(reference("r9"))),
        delta(RefundAmount::Cumulative(dollars), None),
    ] {
        let about = "refund of sim/sim-main/t1";
        given(paid())
            .when(signed([fact]))
            .at(open_time())
            .then([case_named(
                1,
                ExceptionKind::ProviderContradiction,
                about,
                "t1",
                open_time(),
            )])
            .label(Label::Paid)
            .money(DUE, 0)
            .outcome(Outcome::Refused);
    }
}

#[test]
fn a_refund_that_came_back_is_ours_again_f9() {
    given(refunded())
        .when(signed([refund_failed("t1", "r1")]))
        .at(open_time())
        .then([
            refund_reversed("r1", DUE, 0),
            case_named(1, ExceptionKind::RefundReversed, "r1", "t1", open_time()),
        ])
        .label(Label::Paid)
        .money(DUE, 0);
    given(partially_refunded())
        .when(signed([refund_failed("t1", "r1")]))
        .at(open_time())
        .label(Label::Paid);
}

#[test]
fn a_refund_comes_back_once_f9() {
    let back = given(refunded())
        .when(signed([refund_failed("t1", "r1")]))
        .at(open_time());
    super::Given {
        request: back.after,
    }
    .when(signed([refund_of("t1", DUE, "r1")]))
    .at(open_time())
    .then(Nothing)
    .label(Label::Paid)
    .outcome(Outcome::Duplicate);
    given(paid())
        .when(signed([refund_failed("t1", "never-seen")]))
        .at(open_time())
        .then(Nothing)
        .label(Label::Paid)
        .outcome(Outcome::Parked);
}

#[test]
fn money_that_came_back_pays_nothing_by_itself_f9() {
    // 600.00 of an open request went back, and then the refund failed: a person decides.
    let gone = refund_settled(RefundKind::Refund, Some("r1"), 60_000, 0, 60_000);
    for closing in [None, Some(expired())] {
        let label = if closing.is_some() {
            Label::Expired
        } else {
            Label::Pending
        };
        given(and(and(partially_paid(), [gone.clone()]), closing))
            .when(signed([refund_failed("t1", "r1")]))
            .at(open_time())
            .then([
                refund_reversed("r1", 60_000, 0),
                unapplied_again(60_000),
                case_named(1, ExceptionKind::RefundReversed, "r1", "t1", open_time()),
            ])
            .label(label)
            .money(0, 60_000);
    }
}

#[test]
fn money_that_came_back_never_counts_beyond_what_was_verified_f9() {
    let gone = refund_settled(RefundKind::Refund, Some("r1"), 60_000, 0, 60_000);
    let paid_otherwise = and(
        partially_paid(),
        [gone, money_came("t2", DUE, DUE, None), verified("t2")],
    );
    given(paid_otherwise)
        .when(signed([refund_failed("t1", "r1")]))
        .at(open_time())
        .then([
            refund_reversed("r1", 60_000, 0),
            unapplied_again(60_000),
            case_named(1, ExceptionKind::RefundReversed, "r1", "t1", open_time()),
        ])
        .label(Label::Paid)
        .money(DUE, 60_000);
}

#[test]
fn a_void_takes_everything_back_f10() {
    given(paid())
        .when(signed([voided("t1")]))
        .at(open_time())
        .then([
            refund_settled(RefundKind::Void, None, DUE, 0, DUE),
            case_named(
                1,
                ExceptionKind::UnrequestedVoid,
                "sim/sim-main/t1 150000",
                "t1",
                open_time(),
            ),
        ])
        .label(Label::Refunded)
        .money(0, 0);
}

#[test]
fn a_reversal_without_a_name_is_that_of_the_attempts_only_capture_f10() {
    let nameless = || fact(FactKind::Voided { reversal: None });
    given(paid())
        .when(signed([nameless()]))
        .at(open_time())
        .label(Label::Refunded);
    let second = money_came("t2", DUE, 0, Some(ExceptionKind::DuplicatePayment));
    given(and(paid(), [second]))
        .when(signed([nameless()]))
        .at(open_time())
        .then(Nothing)
        .label(Label::Paid)
        .outcome(Outcome::Parked);
}

#[test]
fn a_dispute_is_shown_and_decided_by_a_person_f11() {
    for events in [paid(), partially_refunded()] {
        let due_by = Some(time("23:00:00"));
        let kind = FactKind::DisputeOpened {
            dispute: reference("d1"),
            amount: Some(amd(100_000)),
            reason: Some("fraudulent".into()),
            due_by,
        };
        given(events)
            .when(signed([of("t1", kind)]))
            .at(open_time())
            .then([
                Event::DisputeOpened {
                    dispute: reference("d1"),
                    capture: key("t1"),
                    amount: amd(100_000),
                    reason: Some("fraudulent".into()),
                    due_by,
                },
                case_named(1, ExceptionKind::Dispute, "d1", "t1", open_time()),
            ])
            .label(Label::Disputed);
    }
}

#[test]
fn a_dispute_about_a_second_payment_leaves_the_order_paid_f11() {
    let second = money_came("t2", DUE, 0, Some(ExceptionKind::DuplicatePayment));
    let opened = given(and(paid(), [second]))
        .when(signed([dispute("t2", "d1", None)]))
        .at(open_time())
        .then([
            dispute_opened("d1", "t2", DUE),
            case_named(1, ExceptionKind::Dispute, "d1", "t2", open_time()),
        ])
        .label(Label::Paid);
    super::Given {
        request: opened.after,
    }
    .when(signed([dispute_lost("d1")]))
    .at(open_time())
    .then([
        dispute_closed("d1", "t2", DisputeOutcome::Lost, 0, DUE),
        resolved(1),
    ])
    .label(Label::Paid)
    .money(DUE, 0);
}

#[test]
fn a_dispute_in_another_currency_is_about_the_whole_capture_f11() {
    given(paid())
        .when(signed([dispute("t1", "d1", Some(usd(300)))]))
        .at(open_time())
        .then([
            case_named(
                1,
                ExceptionKind::ProviderContradiction,
                "dispute d1",
                "t1",
                open_time(),
            ),
            dispute_opened("d1", "t1", DUE),
            case_named(2, ExceptionKind::Dispute, "d1", "t1", open_time()),
        ])
        .label(Label::Disputed);
}

#[test]
fn a_won_dispute_leaves_the_money_f12() {
    given(disputed())
        .when(signed([dispute_won("d1")]))
        .at(open_time())
        .then([
            dispute_closed("d1", "t1", DisputeOutcome::Won, 0, 0),
            resolved(1),
        ])
        .label(Label::Paid)
        .money(DUE, 0);
}

#[test]
fn a_won_dispute_answers_no_other_question_f12() {
    let came_back = case_named(1, ExceptionKind::RefundReversed, "r1", "t1", open_time());
    let dispute = case_named(2, ExceptionKind::Dispute, "d1", "t1", open_time());
    let history = and(
        refunded(),
        [
            refund_reversed("r1", DUE, 0),
            came_back,
            dispute_opened("d1", "t1", DUE),
            dispute,
        ],
    );
    given(history)
        .when(signed([dispute_won("d1")]))
        .at(open_time())
        .then([
            dispute_closed("d1", "t1", DisputeOutcome::Won, 0, 0),
            resolved(2),
        ])
        .label(Label::Paid)
        .money(DUE, 0);
}

#[test]
fn a_lost_dispute_takes_the_money_f13() {
    given(disputed())
        .when(signed([dispute_lost("d1")]))
        .at(open_time())
        .then([
            dispute_closed("d1", "t1", DisputeOutcome::Lost, DUE, 0),
            resolved(1),
        ])
        .label(Label::ChargedBack)
        .money(0, 0);
    let part = case_named(1, ExceptionKind::Dispute, "d1", "t1", open_time());
    given(and(paid(), [dispute_opened("d1", "t1", 40_000), part]))
        .when(signed([dispute_lost("d1")]))
        .at(open_time())
        .then([
            dispute_closed("d1", "t1", DisputeOutcome::Lost, 40_000, 0),
            resolved(1),
        ])
        .label(Label::PartiallyRefunded)
        .money(110_000, 0);
}

#[test]
fn only_the_account_of_a_capture_ends_its_dispute_f13() {
    let other = Event::AttemptStarted {
        attempt_no: 2,
        provider: sim(),
        account: account("sim-two"),
        our_reference: our_reference(2),
        amount: amd(DUE),
        session_expires_at: noon(),
    };
    let mut says = signed([dispute_lost("d1")]).about(2);
    says.observation.account = account("sim-two");
    given(and(disputed(), [other]))
        .when(says)
        .at(open_time())
        .then(Nothing)
        .label(Label::Disputed)
        .outcome(Outcome::Parked);
}

#[test]
fn a_dispute_about_refunded_money_is_critical_f14() {
    given(refunded())
        .when(signed([dispute("t1", "d1", None)]))
        .at(open_time())
        .then([
            dispute_opened("d1", "t1", DUE),
            case_named(1, ExceptionKind::RefundAndDispute, "d1", "t1", open_time()),
        ])
        .label(Label::Disputed);
}

#[test]
fn a_refund_of_disputed_money_is_critical_f14() {
    given(disputed())
        .when(signed([refund_of("t1", 50_000, "r1")]))
        .at(open_time())
        .then([
            refund_settled(RefundKind::Refund, Some("r1"), 50_000, 0, 50_000),
            case_named(2, ExceptionKind::RefundAndDispute, "r1", "t1", open_time()),
        ])
        .label(Label::Disputed);
    given(charged_back())
        .when(signed([refund_of("t1", 50_000, "r1")]))
        .at(open_time())
        .then([case_named(
            2,
            ExceptionKind::RefundAndDispute,
            "r1",
            "t1",
            open_time(),
        )])
        .label(Label::ChargedBack)
        .money(0, 0);
}

#[test]
fn money_that_is_gone_twice_stays_with_a_person_f14() {
    let opened = case_named(1, ExceptionKind::RefundAndDispute, "d1", "t1", open_time());
    let both = || {
        and(
            refunded(),
            [dispute_opened("d1", "t1", DUE), opened.clone()],
        )
    };
    given(both())
        .when(signed([dispute_lost("d1")]))
        .at(open_time())
        .then([dispute_closed("d1", "t1", DisputeOutcome::Lost, 0, 0)])
        .label(Label::ChargedBack);
    given(both())
        .when(signed([dispute_won("d1")]))
        .at(open_time())
        .then([
            dispute_closed("d1", "t1", DisputeOutcome::Won, 0, 0),
            resolved(1),
        ])
        .label(Label::Refunded);
}

#[test]
fn a_refund_takes_the_unapplied_part_first_f15() {
    let over = money_came("t1", DUE + 700, DUE, Some(ExceptionKind::Overpaid));
    let overpaid = || and(pending(), [over.clone(), verified("t1")]);
    given(overpaid())
        .when(signed([refund_of("t1", 700, "r1")]))
        .at(open_time())
        .label(Label::Paid)
        .money(DUE, 0);
    given(overpaid())
        .when(signed([refund_of("t1", 1000, "r1")]))
        .at(open_time())
        .then([
            refund_settled(RefundKind::Refund, Some("r1"), 300, 700, 1000),
            case_named(1, ExceptionKind::UnrequestedRefund, "r1", "t1", open_time()),
        ])
        .label(Label::PartiallyRefunded);
}

#[test]
fn parts_of_an_open_request_may_go_back_f15() {
    given(partially_paid())
        .when(signed([refund_of("t1", 20_000, "r1")]))
        .at(open_time())
        .label(Label::PartiallyPaid)
        .money(40_000, 0);
    given(partially_paid())
        .when(signed([refund_of("t1", 60_000, "r1")]))
        .at(open_time())
        .label(Label::Pending)
        .money(0, 0);
}

#[test]
fn a_part_that_went_back_before_is_no_refund_of_the_payment_f15() {
    let gone = refund_settled(RefundKind::Refund, Some("r1"), 60_000, 0, 60_000);
    given(and(partially_paid(), [gone]))
        .when(signed([captured("t2", amd(DUE))]))
        .at(open_time())
        .then([money_came("t2", DUE, DUE, None), verified("t2")])
        .label(Label::Paid)
        .money(DUE, 0);
}

#[test]
fn money_of_a_closed_request_may_go_back_f15() {
    let came = |why| unapplied("t1", amd(DUE), why, EvidenceClass::LookedUp);
    for (events, label) in [
        (
            and(pending(), [expired(), came(ExceptionKind::LatePayment)]),
            Label::Expired,
        ),
        (
            and(
                pending(),
                [
                    cancelled(CancelledBy::Client),
                    came(ExceptionKind::PaidAfterCancel),
                ],
            ),
            Label::Cancelled,
        ),
    ] {
        given(events.clone())
            .when(signed([refund_of("t1", DUE, "r1")]))
            .at(late())
            .label(label)
            .money(0, 0);
        let disputed = given(events)
            .when(signed([dispute("t1", "d1", None)]))
            .at(late())
            .label(label);
        super::Given {
            request: disputed.after,
        }
        .when(signed([dispute_lost("d1")]))
        .at(late())
        .label(label)
        .money(0, 0);
    }
}

#[test]
fn amounts_win_over_the_providers_word_f16() {
    // RBS and Ameriabank say *refunded* for every refund; the amount says that it is a part.
    let mut word = refunded_so_far("t1", 50_000);
    word.provider_status = Some("REFUNDED".into());
    given(paid())
        .when(looked_up([word]))
        .at(open_time())
        .label(Label::PartiallyRefunded);
}
