//! Rows H2 to H8: people decide against the evidence, two at a time, and money proves it or not.

use std::time::Duration;

use super::build::*;
use super::{Given, Nothing, given};
use crate::digest::Digest32;
use crate::ids::{CaseId, OperatorId, ProposalId};
use crate::money::{MinorText, Sum};
use crate::payment::event::{
    CancelledBy, Grounds, NoticeKind, Part, Proposed, RejectedWhy, Resolution, VerificationMethod,
};
use crate::payment::evidence::EvidenceClass;
use crate::payment::exception::{ExceptionKind, Severity};
use crate::payment::proposal::{LAPSES_AFTER, Proof};
use crate::payment::request::Closure;
use crate::payment::{
    BasisPart, BotLabel, Command, Event, Label, Outcome, Propose, Refusal, Resolve, Terms,
};
use crate::sealed::Commitment;
use crate::time::Timestamp;

fn proposal(letter: char) -> ProposalId {
    ProposalId::parse(format!("ov_{}", letter.to_string().repeat(26))).unwrap()
}

fn person(name: &str) -> OperatorId {
    OperatorId::parse(name).unwrap()
}

fn propose(letter: char, decision: Proposed) -> Command {
    let (proposal, by, grounds) = (proposal(letter), person("ani"), Grounds::None);
    Command::Propose(Propose {
        proposal,
        decision,
        by,
        grounds,
    })
}

fn approve(letter: char, by: &str) -> Command {
    Command::Approve {
        proposal: proposal(letter),
        by: person(by),
    }
}

fn rejected(letter: char, why: RejectedWhy) -> Event {
    Event::OverrideRejected {
        proposal: proposal(letter),
        why,
    }
}

fn prove_by() -> Timestamp {
    Timestamp::parse("2026-10-12T11:30:00Z").unwrap()
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

fn unproven_case(n: u32) -> Event {
    case(
        n,
        ExceptionKind::OverrideUnproven,
        proposal('a').as_str(),
        open_time(),
    )
}

/// The proposal as `ani` makes it on these events.
fn proposed_on(events: Vec<Event>, decision: Proposed) -> Vec<Event> {
    let request = super::fold(None, &events);
    let made =
        crate::payment::decide(request.as_ref(), &propose('a', decision), open_time()).unwrap();
    and(events, made)
}

fn approved_on(events: Vec<Event>, decision: Proposed) -> Vec<Event> {
    let events = proposed_on(events, decision);
    let request = super::fold(None, &events);
    let made =
        crate::payment::decide(request.as_ref(), &approve('a', "davit"), open_time()).unwrap();
    and(events, made)
}

fn paid_by_override() -> Vec<Event> {
    approved_on(pending(), Proposed::Pay)
}

fn substantiated(transaction: &str) -> Event {
    Event::OverrideSubstantiated {
        proposal: proposal('a'),
        capture: key(transaction),
        attempt_no: 1,
        amount: amd(DUE),
        class: EvidenceClass::Signed,
        provider_time: None,
        provider_status: None,
    }
}

#[test]
fn a_proposal_pays_nothing_and_shows_as_in_review_h2() {
    let made = given(pending())
        .when(propose('a', Proposed::Pay))
        .at(open_time())
        .label(Label::Pending);
    let request = made.after.unwrap();
    assert_eq!(request.bot_label(), BotLabel::InReview);
    assert_eq!(
        request.proposals()[&proposal('a')].lapses_at,
        open_time().plus(LAPSES_AFTER)
    );
    Given {
        request: Some(request),
    }
    .when(propose('b', Proposed::Pay))
    .at(open_time())
    .then(Refusal::ProposalOpen);
    given(paid())
        .when(propose('a', Proposed::Pay))
        .at(open_time())
        .then(Refusal::AlreadyPaid);
    let never = pending_with(|terms| terms.rules.overrides.allowed = false);
    given(never)
        .when(propose('a', Proposed::Pay))
        .at(open_time())
        .then(Refusal::OverridesNotAllowed);
}

/// What approvals among the events say of who decided them.
fn told_alone(decided: &Result<Vec<Event>, Refusal>) -> Vec<bool> {
    let events = decided.as_ref().unwrap().iter();
    let alone = events.filter_map(|event| match event {
        Event::OverrideApproved { alone, .. } => Some(*alone),
        _ => None,
    });
    alone.collect()
}

#[test]
fn who_proposed_it_may_not_approve_it_h3() {
    given(proposed_on(pending(), Proposed::Pay))
        .when(approve('a', "ani"))
        .at(open_time())
        .then(Refusal::FourEyes)
        .label(Label::Pending);
    // One person is enough below the scenario's limit, and not at it.
    for (limit, alone) in [(DUE + 1, true), (DUE, false)] {
        let small =
            pending_with(|terms| terms.rules.overrides.four_eyes_from_minor = MinorText(limit));
        let decided = given(proposed_on(small.clone(), Proposed::Pay))
            .when(approve('a', "ani"))
            .at(open_time());
        if !alone {
            decided.then(Refusal::FourEyes).label(Label::Pending);
            continue;
        }
        assert_eq!(told_alone(&decided.label(Label::Paid).decided), [true]);
        // Two may decide it all the same.
        let by_two = given(proposed_on(small, Proposed::Pay))
            .when(approve('a', "davit"))
            .at(open_time());
        assert_eq!(told_alone(&by_two.label(Label::Paid).decided), [false]);
    }
    // It is the same for what takes *paid* back.
    for (limit, alone) in [(DUE + 1, true), (DUE, false)] {
        let small = |terms: &mut Terms| {
            terms.rules.overrides.four_eyes_from_minor = MinorText(limit);
        };
        let small = and(pending_with(small), paid().split_off(pending().len()));
        let decided = given(proposed_on(small, Proposed::Revoke))
            .when(approve('a', "ani"))
            .at(open_time());
        if alone {
            assert_eq!(told_alone(&decided.decided), [true]);
            decided.label(Label::Cancelled);
        } else {
            decided.then(Refusal::FourEyes).label(Label::Paid);
        }
    }
}

#[test]
fn a_second_person_pays_it_unproven_h4() {
    let verified = Event::PaymentVerified {
        method: VerificationMethod::Override,
        capture: None,
        amount: sum(0),
        paid_at: None,
        late: false,
        rounding_minor: MinorText(0),
    };
    let approved = Event::OverrideApproved {
        proposal: proposal('a'),
        by: person("davit"),
        prove_by: Some(prove_by()),
        alone: false,
    };
    let paid = given(proposed_on(pending(), Proposed::Pay))
        .when(approve('a', "davit"))
        .at(open_time());
    let paid = paid
        .then([approved, verified, unproven_case(1)])
        .label(Label::Paid)
        .money(0, 0);
    let request = paid.after.unwrap();
    assert!(request.unproven() && request.in_review());
    assert_eq!(request.bot_label(), BotLabel::Paid);
}

#[test]
fn a_rejected_proposal_changes_nothing_h4() {
    let reject = || Command::Reject {
        proposal: proposal('a'),
    };
    let no = given(proposed_on(pending(), Proposed::Pay))
        .when(reject())
        .at(open_time());
    let no = no
        .then([rejected('a', RejectedWhy::Rejected)])
        .label(Label::Pending);
    Given { request: no.after }
        .when(approve('a', "davit"))
        .at(open_time())
        .then(Refusal::ProposalClosed);
    given(paid_by_override())
        .when(reject())
        .at(open_time())
        .then(Refusal::ProposalClosed);
    given(pending())
        .when(reject())
        .at(open_time())
        .then(Refusal::UnknownProposal);
}

#[test]
fn the_money_proves_it_and_pays_no_second_time_h5() {
    given(paid_by_override())
        .when(signed([captured("t1", amd(DUE))]))
        .at(open_time())
        .then([substantiated("t1"), closed(1, Resolution::Settled)])
        .outcome(Outcome::Applied)
        .label(Label::Paid)
        .money(DUE, 0);
    // A second payment is one too many again.
    given(and(
        paid_by_override(),
        [substantiated("t1"), closed(1, Resolution::Settled)],
    ))
    .when(signed([captured("t2", amd(DUE))]))
    .at(open_time())
    .then([
        unapplied(
            "t2",
            amd(DUE),
            ExceptionKind::DuplicatePayment,
            EvidenceClass::Signed,
        ),
        case_on(2, ExceptionKind::DuplicatePayment, "t2", open_time()),
    ]);
}

#[test]
fn other_money_proves_nothing_h5b() {
    for (minor, why) in [
        (DUE - 1, ExceptionKind::Underpaid),
        (DUE + 1, ExceptionKind::Overpaid),
    ] {
        let mut opened = case_on(2, why, "t1", open_time());
        if let Event::ExceptionOpened { severity, due, .. } = &mut opened {
            *severity = Severity::High;
            *due = open_time().plus(Severity::High.due_within());
        }
        let after = given(paid_by_override())
            .when(signed([captured("t1", amd(minor))]))
            .at(open_time());
        let after = after
            .then([
                unapplied("t1", amd(minor), why, EvidenceClass::Signed),
                opened,
            ])
            .label(Label::Paid)
            .money(0, minor);
        assert!(after.after.unwrap().unproven());
    }
}

#[test]
fn accepted_money_proves_it_too_h5b() {
    let over = given(paid_by_override())
        .when(signed([captured("t1", amd(DUE + 7))]))
        .at(open_time());
    let accept = Command::ResolveCase {
        case: case_id(2),
        how: Resolve::Accept { with: vec![] },
    };
    let after = Given {
        request: over.after,
    }
    .when(accept)
    .at(open_time());
    let after = after
        .then([
            Event::UnappliedMoneyAccepted {
                capture: key("t1"),
                minor: MinorText(DUE),
            },
            closed(1, Resolution::Settled),
        ])
        .money(DUE, 7);
    assert!(!after.after.unwrap().unproven());
}

#[test]
fn an_override_without_money_is_told_once_its_time_is_over_h6() {
    let told = Event::OverrideUnsubstantiated {
        proposal: proposal('a'),
    };
    let opened = case(
        2,
        ExceptionKind::OverrideUnsubstantiated,
        proposal('a').as_str(),
        prove_by(),
    );
    given(paid_by_override())
        .when(Command::CheckOverrides)
        .at(prove_by().minus(Duration::from_millis(1)))
        .then(Nothing);
    given(paid_by_override())
        .when(Command::CheckOverrides)
        .at(prove_by())
        .then([told, opened])
        .label(Label::Paid);
    given(and(
        paid_by_override(),
        [substantiated("t1"), closed(1, Resolution::Settled)],
    ))
    .when(Command::CheckOverrides)
    .at(prove_by())
    .then(Nothing);
}

#[test]
fn an_unproven_override_may_be_written_off_h6() {
    let accept = Command::ResolveCase {
        case: case_id(1),
        how: Resolve::Accept { with: vec![] },
    };
    let written_off = given(paid_by_override())
        .when(accept)
        .at(open_time())
        .then([closed(1, Resolution::Accepted)])
        .label(Label::Paid)
        .money(0, 0);
    let request = written_off.after.unwrap();
    let standing = request.override_standing().unwrap();
    assert_eq!(standing.state, Proof::WrittenOff);
    // Nobody is asked about it again when its time is over; money proves it all the same.
    assert_eq!(request.overrides_due(), None);
    let check = |command, at| {
        Given {
            request: Some(request.clone()),
        }
        .when(command)
        .at(at)
    };
    check(Command::CheckOverrides, prove_by()).then(Nothing);
    let proved = check(signed([captured("t1", amd(DUE))]).into(), open_time());
    let proved = proved.then([substantiated("t1")]).after.unwrap();
    assert_eq!(proved.override_standing().unwrap().state, Proof::Proven);
    let dismiss = Command::ResolveCase {
        case: case_id(1),
        how: Resolve::Dismiss,
    };
    given(paid_by_override())
        .when(dismiss)
        .at(open_time())
        .then(Refusal::NotThisWay {
            kind: ExceptionKind::OverrideUnproven,
        });
}

#[test]
fn a_revoked_payment_sets_its_money_aside_h7() {
    let revoked = Event::VerificationRevoked {
        proposal: proposal('a'),
        amount: sum(DUE),
    };
    let aside = Event::CaptureUnapplied {
        capture: key("t1"),
        minor: MinorText(DUE),
        why: ExceptionKind::VerificationRevoked,
    };
    let approved = Event::OverrideApproved {
        proposal: proposal('a'),
        by: person("davit"),
        prove_by: None,
        alone: false,
    };
    let after = given(proposed_on(paid(), Proposed::Revoke))
        .when(approve('a', "davit"))
        .at(open_time());
    let after = after
        .then([
            approved,
            revoked,
            aside,
            case_on(1, ExceptionKind::VerificationRevoked, "t1", open_time()),
        ])
        .label(Label::Cancelled)
        .money(0, DUE);
    assert_eq!(
        *after.after.unwrap().closure(),
        Closure::Cancelled(CancelledBy::Revoked)
    );
    given(pending())
        .when(propose('a', Proposed::Revoke))
        .at(open_time())
        .then(Refusal::NotPaid);
}

#[test]
fn a_revoked_override_held_no_money_h7() {
    let again = |letter| Propose {
        proposal: proposal(letter),
        decision: Proposed::Revoke,
        by: person("ani"),
        grounds: Grounds::Attached,
    };
    let made = given(paid_by_override())
        .when(Command::Propose(again('b')))
        .at(open_time());
    let after = Given {
        request: made.after,
    }
    .when(approve('b', "davit"))
    .at(open_time());
    after
        .then([
            Event::OverrideApproved {
                proposal: proposal('b'),
                by: person("davit"),
                prove_by: None,
                alone: false,
            },
            closed(1, Resolution::Settled),
            Event::VerificationRevoked {
                proposal: proposal('b'),
                amount: Sum::new(0, currency("AMD")),
            },
        ])
        .label(Label::Cancelled)
        .money(0, 0);
}

#[test]
fn a_refund_under_way_survives_the_revocation_h7() {
    let refund = crate::ids::RefundId::parse(format!("rf_{}", "a".repeat(26))).unwrap();
    let asked = Event::RefundRequested {
        refund: refund.clone(),
        capture: key("t1"),
        part: Part::Applied,
        minor: MinorText(50_000),
    };
    let held = and(paid(), [asked, Event::RefundSubmitted { refund }]);
    let revoked = given(approved_on(held, Proposed::Revoke));
    let request = revoked.request.as_ref().unwrap();
    assert_eq!(request.available(&key("t1"), Part::Unapplied), DUE - 50_000);
    revoked
        .when(looked_up([refunded_so_far("t1", 50_000)]))
        .at(open_time())
        .label(Label::Cancelled)
        .money(0, DUE - 50_000);
}

#[test]
fn a_proposal_made_on_other_facts_lapses_h8() {
    given(proposed_on(pending(), Proposed::Pay))
        .when(signed([fact(crate::payment::fact::FactKind::Processing)]))
        .at(open_time())
        .then([
            progressed(1, crate::payment::event::Progress::Processing),
            rejected('a', RejectedWhy::Lapsed),
        ]);
    given(proposed_on(pending(), Proposed::Pay))
        .when(signed([captured("t1", amd(DUE))]))
        .at(open_time())
        .then([
            money_came("t1", DUE, DUE, None),
            verified("t1"),
            rejected('a', RejectedWhy::Lapsed),
        ]);
}

#[test]
fn who_looks_at_what_is_sealed_changes_nothing_h8() {
    let opened = Commitment(Digest32([9; 32]));
    let looked = given(proposed_on(pending(), Proposed::Pay))
        .when(Command::OpenEvidence { commitment: opened })
        .at(open_time())
        .then([Event::EvidenceOpened { commitment: opened }])
        .label(Label::Pending);
    assert!(looked.after.unwrap().proposals()[&proposal('a')].open());
}

#[test]
fn a_proposal_lapses_after_a_day_h8() {
    let over = open_time().plus(LAPSES_AFTER);
    for command in [approve('a', "davit"), Command::CheckOverrides] {
        given(proposed_on(pending(), Proposed::Pay))
            .when(command)
            .at(over)
            .then([rejected('a', RejectedWhy::Lapsed)])
            .label(Label::Pending);
    }
}

#[test]
fn what_a_proposal_was_made_on_and_has_changed_is_named_h8() {
    let before = super::fold(None, &pending()).unwrap();
    assert_eq!(before.changed_since(&before), []);
    for (facts, changed) in [
        (
            fact(crate::payment::fact::FactKind::Processing),
            &[BasisPart::Attempts][..],
        ),
        (
            captured("t1", amd(DUE)),
            &[
                BasisPart::Captures,
                BasisPart::Verification,
                BasisPart::Attempts,
            ],
        ),
    ] {
        let after = given(pending()).when(signed([facts])).at(open_time());
        let after = after.after.unwrap();
        assert_eq!(after.changed_since(&before), changed);
        assert_ne!(after.basis(), before.basis());
    }
    let by = CancelledBy::Client;
    let cancel = Command::Cancel {
        by,
        superseded_by: None,
    };
    let after = given(pending()).when(cancel).at(open_time()).after.unwrap();
    assert_eq!(after.changed_since(&before), [BasisPart::Closure]);
}

#[test]
fn the_next_moment_that_matters_to_an_override_is_known_h6_h8() {
    let due = |events: Vec<Event>| super::fold(None, &events).unwrap().overrides_due();
    assert_eq!(due(pending()), None);
    let lapse = open_time().plus(LAPSES_AFTER);
    assert_eq!(due(proposed_on(pending(), Proposed::Pay)), Some(lapse));
    assert_eq!(due(paid_by_override()), Some(prove_by()));
    // A revocation that is proposed meanwhile lapses before.
    let both = Propose {
        proposal: proposal('b'),
        decision: Proposed::Revoke,
        by: person("ani"),
        grounds: Grounds::None,
    };
    let both = given(paid_by_override())
        .when(Command::Propose(both))
        .at(open_time());
    assert_eq!(both.after.unwrap().overrides_due(), Some(lapse));
    let proved = and(
        paid_by_override(),
        [substantiated("t1"), closed(1, Resolution::Settled)],
    );
    assert_eq!(due(proved), None);
    let told = Event::OverrideUnsubstantiated {
        proposal: proposal('a'),
    };
    assert_eq!(due(and(paid_by_override(), [told])), None);
}

#[test]
fn notices_and_assignments_leave_a_proposal_standing_h8() {
    let notice = Command::RecordNotice {
        kind: NoticeKind::Message,
        media: "text/plain".into(),
        bytes: 4,
        askable: true,
    };
    let told = given(proposed_on(pending(), Proposed::Pay))
        .when(notice)
        .at(open_time());
    Given {
        request: told.after,
    }
    .when(approve('a', "davit"))
    .at(open_time())
    .label(Label::Paid);
}
