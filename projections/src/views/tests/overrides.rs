use domain::payment::event::{CancelledBy, Grounds, Proposed, RejectedWhy};
use domain::payment::proposal::Proof;

use super::super::timers::{OverrideRow, TimersView};
use super::*;

fn proposal() -> ProposalId {
    ProposalId::parse(format!("ov_{}", "a".repeat(26))).unwrap()
}

fn person(id: &str) -> OperatorId {
    OperatorId::parse(id).unwrap()
}

fn proposed(decision: Proposed, lapses_at: i64) -> Event {
    Event::OverrideProposed {
        proposal: proposal(),
        decision,
        by: person("ann"),
        grounds: Grounds::None,
        based_on: Digest32([7; 32]),
        lapses_at: at(lapses_at),
    }
}

fn approved(prove_by: Option<i64>) -> Event {
    Event::OverrideApproved {
        proposal: proposal(),
        by: person("bob"),
        prove_by: prove_by.map(at),
        alone: false,
    }
}

fn paid_by_decision() -> Event {
    Event::PaymentVerified {
        method: VerificationMethod::Override,
        capture: None,
        amount: Sum::new(0, amd(1).currency()),
        paid_at: None,
        late: false,
        rounding_minor: MinorText(0),
    }
}

fn substantiated() -> Event {
    Event::OverrideSubstantiated {
        proposal: proposal(),
        capture: capture_key("t1"),
        attempt_no: 1,
        amount: amd(1_000),
        class: EvidenceClass::Signed,
        provider_time: None,
        provider_status: None,
    }
}

fn unsubstantiated() -> Event {
    Event::OverrideUnsubstantiated {
        proposal: proposal(),
    }
}

#[tokio::test]
async fn a_proposal_is_due_when_it_lapses_and_an_override_when_its_proof_is_overdue() {
    let due = async |events: &[Event]| {
        let log = log();
        tell_all(&log, 'a', &[created('a'), started(1, 300)]);
        tell_all(&log, 'a', events);
        let timers = filled(Arc::new(TimersView), &log, 2).await;
        assert_eq!(timers.parked().await, [""; 0]);
        let rows: Vec<OverrideRow> = timers.all().await;
        rows.into_iter().map(|row| row.due_at).collect::<Vec<_>>()
    };
    let pay = || proposed(Proposed::Pay, 400);
    let paid = || [pay(), approved(Some(900)), paid_by_decision()];
    assert_eq!(due(&[]).await, []);
    assert_eq!(due(&[pay()]).await, [at(400)]);
    let lapsed = Event::OverrideRejected {
        proposal: proposal(),
        why: RejectedWhy::Lapsed,
    };
    assert_eq!(due(&[pay(), lapsed]).await, []);
    assert_eq!(due(&paid()).await, [at(900)]);
    for over in [substantiated(), unsubstantiated()] {
        let [first, second, third] = paid();
        assert_eq!(due(&[first, second, third, over]).await, []);
    }
}

#[tokio::test]
async fn a_status_says_how_an_override_stands_and_who_called_an_order_off() {
    let status = async |events: &[Event]| {
        let log = log();
        tell_all(&log, 'a', &[created('a'), started(1, 300)]);
        tell_all(&log, 'a', events);
        let filled = filled(Arc::new(OrderStatusView), &log, 3).await;
        let row = filled.all::<OrderStatus>().await.remove(0);
        let standing = row
            .decided
            .map(|standing| (standing.state, standing.prove_by));
        (row.label, standing, row.cancelled_by)
    };
    let paid = vec![
        proposed(Proposed::Pay, 400),
        approved(Some(900)),
        paid_by_decision(),
    ];
    let with = |more: Event| [paid.clone(), vec![more]].concat();
    let standing = |proof| Some((proof, at(900)));
    for (events, expected) in [
        (vec![], (Label::Pending, None, None)),
        (paid.clone(), (Label::Paid, standing(Proof::Unproven), None)),
        (
            with(substantiated()),
            (Label::Paid, standing(Proof::Proven), None),
        ),
        (
            with(unsubstantiated()),
            (Label::Paid, standing(Proof::Unsubstantiated), None),
        ),
        (
            with(Event::VerificationRevoked {
                proposal: proposal(),
                amount: Sum::new(0, amd(1).currency()),
            }),
            (Label::Cancelled, None, Some(CancelledBy::Revoked)),
        ),
    ] {
        assert_eq!(status(&events).await, expected);
    }
}
