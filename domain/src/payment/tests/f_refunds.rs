//! Rows F and E10: refunds that we ask for. Their amount is held until the provider's answer, and the
//! provider is called once.

use super::build::*;
use super::{Decided, Given, Nothing, given};
use crate::ids::{CaseId, RefundId};
use crate::money::MinorText;
use crate::payment::event::{Part, RefundKind, Resolution};
use crate::payment::exception::ExceptionKind;
use crate::payment::fact::{FactKind, RefundAmount};
use crate::payment::refund::RefundState;
use crate::payment::{
    Command, Event, Label, Outcome, RefundAnswer, Refusal, RequestRefund, Resolve,
};

fn refund_id(letter: char) -> RefundId {
    RefundId::parse(format!("rf_{}", letter.to_string().repeat(26))).unwrap()
}

fn ask(letter: char, part: Part, minor: i64) -> Command {
    let (refund, capture) = (refund_id(letter), key("t1"));
    Command::RequestRefund(RequestRefund {
        refund,
        capture,
        part,
        minor,
    })
}

fn requested(letter: char, part: Part, minor: i64) -> Event {
    let (refund, capture) = (refund_id(letter), key("t1"));
    Event::RefundRequested {
        refund,
        capture,
        part,
        minor: MinorText(minor),
    }
}

fn submitted(letter: char) -> Event {
    Event::RefundSubmitted {
        refund: refund_id(letter),
    }
}

fn answer(letter: char, answer: RefundAnswer) -> Command {
    Command::AnswerRefund {
        refund: refund_id(letter),
        answer,
    }
}

fn declined() -> RefundAnswer {
    RefundAnswer::Declined {
        provider_status: Some("limit".into()),
    }
}

fn unknown() -> RefundAnswer {
    RefundAnswer::Unknown {
        why: "timeout".into(),
    }
}

fn settled_for(
    letter: char,
    id: Option<&str>,
    applied: i64,
    unapplied: i64,
    cumulative: i64,
) -> Event {
    let mut event = refund_settled(RefundKind::Refund, id, applied, unapplied, cumulative);
    if let Event::RefundSettled {
        requested, refund, ..
    } = &mut event
    {
        (*requested, *refund) = (true, Some(refund_id(letter)));
    }
    event
}

fn case_id(n: u32) -> CaseId {
    CaseId::parse(format!("payment_request-{}~{n}", id('a'))).unwrap()
}

fn closed(n: u32, resolution: Resolution) -> Event {
    Event::ExceptionResolved {
        case: case_id(n),
        resolution,
    }
}

/// Paid, and a refund of 500.00 is at the provider.
fn under_way() -> Vec<Event> {
    and(
        paid(),
        [requested('a', Part::Applied, 50_000), submitted('a')],
    )
}

/// Whatever became of its money, nobody waits for a refund that the provider has done with.
#[test]
fn a_refund_whose_money_went_another_way_is_over_f8() {
    let all_gone = refund_settled(RefundKind::Refund, Some("r-0"), DUE, 0, DUE);
    let told = signed([refund_of("t1", 50_000, "r-1")]);
    let accepted = Event::RefundAccepted {
        refund: refund_id('a'),
        reversal: reference("r-1"),
    };
    let decided = given(and(under_way(), [accepted, all_gone]))
        .when(told)
        .at(open_time());
    let after = decided.after.unwrap();
    assert!(!after.refund_pending());
    assert_eq!(after.refunds()[&refund_id('a')].state, RefundState::Settled);
    assert_eq!(after.returned_applied(), DUE);
    let cases: Vec<_> = after.cases().values().map(|case| case.kind).collect();
    assert_eq!(cases, [ExceptionKind::ProviderContradiction]);
}

/// Expired, with 1500.00 that came too late.
fn late_money() -> Vec<Event> {
    let why = ExceptionKind::LatePayment;
    let class = crate::payment::evidence::EvidenceClass::LookedUp;
    and(
        expired_unpaid(),
        [
            unapplied("t1", amd(DUE), why, class),
            case_on(1, why, "t1", late()),
        ],
    )
}

fn go_on(decided: Decided) -> Given {
    Given {
        request: decided.after,
    }
}

#[test]
fn a_refund_is_written_down_before_anybody_is_called_f1() {
    let asked = given(paid())
        .when(ask('a', Part::Applied, 50_000))
        .at(open_time());
    let asked = asked
        .then([requested('a', Part::Applied, 50_000)])
        .label(Label::Paid)
        .money(DUE, 0);
    assert!(asked.after.as_ref().unwrap().refund_pending());
    let called = go_on(asked)
        .when(Command::SubmitRefund {
            refund: refund_id('a'),
        })
        .at(open_time());
    let again = go_on(called.then([submitted('a')]));
    // Whoever comes second must not call.
    again
        .when(Command::SubmitRefund {
            refund: refund_id('a'),
        })
        .at(open_time())
        .then(Nothing);
}

#[test]
fn more_than_is_there_and_not_held_is_never_refunded_f2() {
    let over = |refundable| Refusal::OverRefund {
        refundable: MinorText(refundable),
    };
    given(paid())
        .when(ask('a', Part::Applied, DUE + 1))
        .at(open_time())
        .then(over(DUE));
    given(paid())
        .when(ask('a', Part::Unapplied, 1))
        .at(open_time())
        .then(over(0));
    for minor in [0, -5] {
        given(paid())
            .when(ask('a', Part::Applied, minor))
            .at(open_time())
            .then(over(DUE));
    }
    given(under_way())
        .when(ask('b', Part::Applied, 100_001))
        .at(open_time())
        .then(over(100_000));
    given(under_way())
        .when(ask('b', Part::Applied, 100_000))
        .at(open_time())
        .then([requested('b', Part::Applied, 100_000)]);
    given(under_way())
        .when(ask('a', Part::Applied, 40_000))
        .at(open_time())
        .then(Refusal::RefundExists);
    given(pending())
        .when(ask('a', Part::Applied, 1))
        .at(open_time())
        .then(Refusal::UnknownCapture);
}

#[test]
fn what_is_not_verified_gives_nothing_applied_back_f2() {
    given(partially_paid())
        .when(ask('a', Part::Applied, 1))
        .at(open_time())
        .then(Refusal::NotPaid);
}

#[test]
fn a_settled_refund_of_ours_needs_no_case_f3() {
    for fact in [
        refund_of("t1", 50_000, "re_1"),
        refunded_so_far("t1", 50_000),
    ] {
        let id = fact.references().contains(&"re_1").then_some("re_1");
        given(under_way())
            .when(signed([fact.clone()]))
            .at(open_time())
            .then([settled_for('a', id, 50_000, 0, 50_000)])
            .outcome(Outcome::Applied)
            .label(Label::PartiallyRefunded);
    }
}

#[test]
fn two_refunds_of_ours_settle_in_one_total_f4() {
    let both = and(
        under_way(),
        [requested('b', Part::Applied, 100_000), submitted('b')],
    );
    given(both)
        .when(looked_up([refunded_so_far("t1", DUE)]))
        .at(open_time())
        .then([
            settled_for('a', None, 50_000, 0, 50_000),
            settled_for('b', None, 100_000, 0, DUE),
        ])
        .label(Label::Refunded)
        .money(0, 0);
}

#[test]
fn the_providers_id_tells_which_refund_settled_f3() {
    let accepted = Event::RefundAccepted {
        refund: refund_id('a'),
        reversal: reference("re_1"),
    };
    let two = and(
        under_way(),
        [
            accepted,
            requested('b', Part::Applied, 50_000),
            submitted('b'),
        ],
    );
    let after = given(two)
        .when(signed([refund_of("t1", 50_000, "re_2")]))
        .at(open_time())
        .then([settled_for('b', Some("re_2"), 50_000, 0, 50_000)]);
    let request = after.after.unwrap();
    assert_eq!(
        request.refunds()[&refund_id('b')].state,
        RefundState::Settled
    );
    assert!(request.refunds()[&refund_id('a')].pending());
}

#[test]
fn what_is_more_than_we_asked_for_is_somebody_elses_f7() {
    given(under_way())
        .when(signed([refunded_so_far("t1", 70_000)]))
        .at(open_time())
        .then([
            settled_for('a', None, 50_000, 0, 50_000),
            refund_settled(RefundKind::Refund, None, 20_000, 0, 70_000),
            case_named(
                1,
                ExceptionKind::UnrequestedRefund,
                "sim/sim-main/t1 70000",
                "t1",
                open_time(),
            ),
        ]);
}

#[test]
fn a_declined_refund_frees_its_money_f5() {
    let failed = Event::RefundFailed {
        refund: refund_id('a'),
        provider_status: Some("limit".into()),
    };
    let opened = case_named(
        1,
        ExceptionKind::RefundFailed,
        refund_id('a').as_str(),
        "t1",
        open_time(),
    );
    let after = given(under_way())
        .when(answer('a', declined()))
        .at(open_time());
    let after = after
        .then([failed, opened])
        .label(Label::Paid)
        .money(DUE, 0);
    go_on(after)
        .when(ask('b', Part::Applied, DUE))
        .at(open_time())
        .then([requested('b', Part::Applied, DUE)]);
    // The same, told by the provider itself.
    let told = given(under_way())
        .when(signed([refund_failed("t1", refund_id('a').as_str())]))
        .at(open_time());
    assert!(!told.after.unwrap().refund_pending());
}

#[test]
fn a_refund_without_an_answer_holds_its_money_and_is_not_called_again_f6() {
    let uncertain = Event::RefundUncertain {
        refund: refund_id('a'),
        why: "timeout".into(),
    };
    let opened = case_named(
        1,
        ExceptionKind::RefundUncertain,
        refund_id('a').as_str(),
        "t1",
        open_time(),
    );
    let doubt = given(under_way())
        .when(answer('a', unknown()))
        .at(open_time());
    let doubt = doubt.then([uncertain, opened]).label(Label::Paid);
    let request = doubt.after.clone().unwrap();
    assert_eq!(request.available(&key("t1"), Part::Applied), 100_000);
    go_on(doubt)
        .when(Command::SubmitRefund {
            refund: refund_id('a'),
        })
        .at(open_time())
        .then(Nothing);
    // The look-up answers, and the case closes.
    Given {
        request: Some(request),
    }
    .when(looked_up([refunded_so_far("t1", 50_000)]))
    .at(open_time())
    .then([
        settled_for('a', None, 50_000, 0, 50_000),
        closed(1, Resolution::Settled),
    ]);
}

#[test]
fn a_person_with_evidence_ends_the_doubt_f6() {
    let uncertain = Event::RefundUncertain {
        refund: refund_id('a'),
        why: "timeout".into(),
    };
    let opened = case_named(
        1,
        ExceptionKind::RefundUncertain,
        refund_id('a').as_str(),
        "t1",
        open_time(),
    );
    let doubt = || and(under_way(), [uncertain.clone(), opened.clone()]);
    let decide = |settled, reversal: Option<&str>| Command::ResolveCase {
        case: case_id(1),
        how: Resolve::RefundAnswer {
            settled,
            reversal: reversal.map(reference),
        },
    };
    given(doubt())
        .when(decide(true, Some("bank-7")))
        .at(open_time())
        .then([
            settled_for('a', Some("bank-7"), 50_000, 0, 50_000),
            closed(1, Resolution::Settled),
        ])
        .label(Label::PartiallyRefunded);
    let not = given(doubt())
        .when(decide(false, None))
        .at(open_time())
        .label(Label::Paid);
    assert!(!not.after.as_ref().unwrap().refund_pending());
    // Once it is known, only who found the same may say so again.
    let went = given(doubt())
        .when(decide(true, Some("bank-7")))
        .at(open_time());
    for (known, settled, reversal, same) in [
        (&went.after, true, Some("bank-7"), true),
        (&went.after, true, None, true),
        (&went.after, true, Some("bank-8"), false),
        (&went.after, false, None, false),
        (&not.after, false, None, true),
        (&not.after, true, None, false),
    ] {
        let again = Given {
            request: known.clone(),
        }
        .when(decide(settled, reversal))
        .at(open_time());
        if same {
            again.then(Nothing);
        } else {
            again.then(Refusal::CaseClosed);
        }
    }
    let dismiss = Command::ResolveCase {
        case: case_id(1),
        how: Resolve::Dismiss,
    };
    given(doubt())
        .when(dismiss)
        .at(open_time())
        .then(Refusal::NotThisWay {
            kind: ExceptionKind::RefundUncertain,
        });
}

#[test]
fn an_answer_after_the_settled_fact_changes_nothing_f6() {
    let settled = || and(under_way(), [settled_for('a', None, 50_000, 0, 50_000)]);
    for late_answer in [
        declined(),
        unknown(),
        RefundAnswer::Accepted(reference("re_1")),
    ] {
        given(settled())
            .when(answer('a', late_answer))
            .at(open_time())
            .then(Nothing);
    }
}

#[test]
fn unapplied_money_goes_back_and_its_case_closes_e10() {
    let refund = || Command::ResolveCase {
        case: case_id(1),
        how: Resolve::Refund {
            refund: refund_id('a'),
        },
    };
    let asked = given(late_money()).when(refund()).at(late());
    let asked = asked
        .then([requested('a', Part::Unapplied, DUE)])
        .label(Label::Expired)
        .money(0, DUE);
    assert!(
        asked.after.as_ref().unwrap().in_review(),
        "the case stays until the money went"
    );
    let called = go_on(asked)
        .when(Command::SubmitRefund {
            refund: refund_id('a'),
        })
        .at(late());
    go_on(called)
        .when(looked_up([refunded_so_far("t1", DUE)]))
        .at(late())
        .then([
            settled_for('a', None, 0, DUE, DUE),
            closed(1, Resolution::Refunded),
        ])
        .label(Label::Expired)
        .money(0, 0);
}

#[test]
fn money_that_a_refund_holds_goes_nowhere_else_e10() {
    let held = || and(late_money(), [requested('a', Part::Unapplied, DUE)]);
    let ways = [
        Resolve::Accept { with: vec![] },
        Resolve::Refund {
            refund: refund_id('b'),
        },
        Resolve::KeepAsIncome,
        Resolve::Reassign {
            transfer: crate::ids::TransferId::parse(format!("tr_{}", "a".repeat(26))).unwrap(),
            to: id('b'),
        },
    ];
    for how in ways {
        let resolve = Command::ResolveCase {
            case: case_id(1),
            how,
        };
        given(held())
            .when(resolve)
            .at(late())
            .then(Refusal::RefundPending);
    }
}

fn accepted(letter: char, id: &str) -> Event {
    Event::RefundAccepted {
        refund: refund_id(letter),
        reversal: reference(id),
    }
}

#[test]
fn a_failure_that_is_told_before_its_refund_waits_for_it_f5() {
    // The provider's message is faster than its answer to our call.
    let early = || signed([refund_failed("t1", "re_1")]);
    given(under_way())
        .when(early())
        .at(open_time())
        .then(Nothing)
        .outcome(Outcome::Parked);
    let known = and(under_way(), [accepted('a', "re_1")]);
    let failed = given(known).when(early()).at(open_time());
    let failed = failed.outcome(Outcome::Applied).label(Label::Paid);
    assert!(!failed.after.as_ref().unwrap().refund_pending());
    // Once more: it has ended under that name.
    go_on(failed)
        .when(early())
        .at(open_time())
        .then(Nothing)
        .outcome(Outcome::Stale);
}

#[test]
fn a_failure_that_names_none_of_several_refunds_goes_to_a_person_f5() {
    let two = and(
        under_way(),
        [requested('b', Part::Applied, 20_000), submitted('b')],
    );
    let nameless = of("t1", FactKind::RefundFailed { reversal: None });
    let told = given(two)
        .when(signed([nameless]))
        .at(open_time())
        .then([case_named(
            1,
            ExceptionKind::ProviderContradiction,
            "refund of sim/sim-main/t1",
            "t1",
            open_time(),
        )]);
    let request = told.after.unwrap();
    assert!(request.refunds().values().all(|refund| refund.pending()));
}

#[test]
fn which_of_two_equal_refunds_went_back_is_told_by_the_answer_f3() {
    let two = and(
        under_way(),
        [requested('b', Part::Applied, 50_000), submitted('b')],
    );
    let told = || signed([refund_of("t1", 50_000, "re_b")]);
    given(two.clone())
        .when(told())
        .at(open_time())
        .then(Nothing)
        .outcome(Outcome::Parked);
    given(and(two, [accepted('b', "re_b")]))
        .when(told())
        .at(open_time())
        .then([settled_for('b', Some("re_b"), 50_000, 0, 50_000)]);
}

#[test]
fn a_refund_that_a_total_settled_comes_back_under_its_name_f9() {
    let settled = given(and(under_way(), [accepted('a', "re_1")]))
        .when(signed([refunded_so_far("t1", 50_000)]))
        .at(open_time())
        .then([settled_for('a', Some("re_1"), 50_000, 0, 50_000)]);
    go_on(settled)
        .when(signed([refund_failed("t1", "re_1")]))
        .at(open_time())
        .label(Label::Paid)
        .money(DUE, 0);
}

#[test]
fn a_total_that_names_one_refund_settles_the_others_that_it_holds_f4() {
    let two = and(
        under_way(),
        [
            accepted('a', "re_1"),
            requested('b', Part::Applied, 30_000),
            submitted('b'),
            accepted('b', "re_2"),
        ],
    );
    let total = of(
        "t1",
        FactKind::Refunded {
            amount: RefundAmount::Cumulative(sum(80_000)),
            reversal: Some(reference("re_2")),
        },
    );
    given(two).when(looked_up([total])).at(open_time()).then([
        settled_for('b', Some("re_2"), 30_000, 0, 30_000),
        settled_for('a', Some("re_1"), 50_000, 0, 80_000),
    ]);
}

#[test]
fn a_total_settles_whichever_of_our_refunds_is_left_f4() {
    let two = and(
        under_way(),
        [
            accepted('a', "re_1"),
            requested('b', Part::Applied, 50_000),
            submitted('b'),
            accepted('b', "re_2"),
        ],
    );
    let first = given(two)
        .when(signed([refunded_so_far("t1", 50_000)]))
        .at(open_time());
    // The total that comes with the news of the one that counts as settled holds the other.
    let total = of(
        "t1",
        FactKind::Refunded {
            amount: RefundAmount::Cumulative(sum(100_000)),
            reversal: Some(reference("re_0")),
        },
    );
    let both = go_on(first)
        .when(looked_up([total]))
        .at(open_time())
        .money(50_000, 0);
    let request = both.after.unwrap();
    assert!(!request.refund_pending() && !request.in_review());
}
