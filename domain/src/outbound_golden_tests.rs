use super::tests::{amd, capture, created, id, paid, told};
use super::*;
use crate::codec::encode;
use crate::ids::{CorrelationId, OperatorId, ProposalId, ProviderRef};
use crate::money::MinorText;
use crate::payment::event::{Grounds, Proposed, Resolution};
use crate::payment::evidence::EvidenceClass;
use crate::record::tests::envelope;
use crate::stream::StreamId;
use crate::{subscriber, unmatched};

/// Receivers have these bytes, and sign-offs by their digests: a change here is a change of version 1.
const GOLDEN: &str = include_str!("outbound_golden.jsonl");

fn refund(applied: i64) -> Event {
    Event::RefundSettled {
        capture: capture(),
        kind: RefundKind::Refund,
        reversal: Some(ProviderRef::parse("r1").unwrap()),
        applied: MinorText(applied),
        unapplied: MinorText(0),
        cumulative: Sum::new(applied, amd(1).currency()),
        requested: true,
        refund: None,
    }
}

fn disputed(dispute: &str) -> Event {
    Event::DisputeOpened {
        dispute: ProviderRef::parse(dispute).unwrap(),
        capture: capture(),
        amount: amd(100_000),
        reason: Some("4853".into()),
        due_by: Some(Timestamp::from_seconds(1_700_900_000)),
    }
}

fn closed(dispute: &str, outcome: DisputeOutcome, applied: i64) -> Event {
    Event::DisputeClosed {
        dispute: ProviderRef::parse(dispute).unwrap(),
        capture: capture(),
        outcome,
        applied: MinorText(applied),
        unapplied: MinorText(0),
    }
}

fn returned(applied: i64) -> Event {
    Event::RefundReversed {
        capture: capture(),
        reversal: ProviderRef::parse("r1").unwrap(),
        applied: MinorText(applied),
        unapplied: MinorText(0),
    }
}

fn case() -> CaseId {
    CaseId::parse(format!("payment_request-{}~1", id())).unwrap()
}

fn opened() -> Event {
    Event::ExceptionOpened {
        case: case(),
        kind: ExceptionKind::LatePayment,
        severity: Severity::High,
        due: Timestamp::from_seconds(1_700_086_400),
        about: "sim/sim-main/st_1".into(),
        capture: None,
    }
}

fn part() -> Event {
    Event::PaymentCaptured {
        capture: capture(),
        attempt_no: 1,
        amount: amd(50_000),
        applied: MinorText(50_000),
        unapplied: MinorText(0),
        why: None,
        class: EvidenceClass::Signed,
        provider_time: None,
        provider_status: None,
    }
}

fn tested() -> Outbound {
    let encoded = encode(&subscriber::Event::TestRequested {});
    let mut envelope = envelope(encoded.data);
    envelope.event_type = encoded.event_type;
    envelope.stream = StreamId::parse("subscriber-crm").unwrap();
    envelope.cause.correlation_id = Some(CorrelationId::parse("cart-7").unwrap());
    envelope.cause.causation_id = Some(envelope.event_id);
    test_event(&envelope, Digest32([9; 32])).unwrap().unwrap()
}

fn orphan() -> Outbound {
    let event = unmatched::Event::ExceptionOpened {
        case: CaseId::parse("unmatched-x~1").unwrap(),
        kind: ExceptionKind::OrphanPayment,
        severity: Severity::High,
        due: Timestamp::from_seconds(1_700_086_400),
        about: "sim/sim-main/st_1".into(),
        capture: capture(),
    };
    let encoded = encode(&event);
    let mut envelope = envelope(encoded.data);
    envelope.event_type = encoded.event_type;
    envelope.stream = StreamId::unmatched(&Digest32([5; 32]));
    unmatched_event(&envelope, Digest32([9; 32]))
        .unwrap()
        .unwrap()
}

fn everything() -> Vec<Outbound> {
    let mut refunded = paid();
    refunded.extend([refund(50_000), returned(20_000)]);
    refunded.extend([disputed("d1"), closed("d1", DisputeOutcome::Won, 0)]);
    refunded.extend([disputed("d2"), closed("d2", DisputeOutcome::Lost, 100_000)]);
    let mut all = told(&refunded);
    all.extend(told(&[
        created(),
        Event::Expired { confirmed: true },
        opened(),
    ]));
    all.extend(told(&[
        created(),
        Event::Cancelled {
            by: CancelledBy::Superseded,
            superseded_by: Some(id()),
        },
    ]));
    let resolved = Event::ExceptionResolved {
        case: case(),
        resolution: Resolution::Dismissed,
    };
    all.extend(told(&[created(), part(), opened(), resolved]));
    all.extend([tested(), orphan()]);
    all.extend(told(&decided_and_taken_back()));
    all
}

/// Paid by the decision of two persons, and taken back by them.
fn decided_and_taken_back() -> Vec<Event> {
    let proposal = |letter: &str| ProposalId::parse(format!("ov_{}", letter.repeat(26))).unwrap();
    let person = |name: &str| OperatorId::parse(name).unwrap();
    let proposed = |letter: &str, decision| Event::OverrideProposed {
        proposal: proposal(letter),
        decision,
        by: person("ann"),
        grounds: Grounds::None,
        based_on: Digest32([1; 32]),
        lapses_at: Timestamp::from_seconds(1_700_086_400),
    };
    let prove_by = Timestamp::from_seconds(1_700_600_000);
    let approved = |letter: &str, prove_by| Event::OverrideApproved {
        proposal: proposal(letter),
        by: person("bob"),
        prove_by,
        alone: false,
    };
    let nothing = Sum::new(0, amd(1).currency());
    vec![
        created(),
        proposed("a", Proposed::Pay),
        approved("a", Some(prove_by)),
        Event::PaymentVerified {
            method: VerificationMethod::Override,
            capture: None,
            amount: nothing,
            paid_at: None,
            late: false,
            rounding_minor: MinorText(0),
        },
        proposed("b", Proposed::Revoke),
        approved("b", None),
        Event::VerificationRevoked {
            proposal: proposal("b"),
            amount: nothing,
        },
    ]
}

#[test]
fn every_body_is_byte_for_byte_what_receivers_know() {
    let bodies: Vec<String> = everything()
        .into_iter()
        .map(|told| String::from_utf8(told.body).unwrap())
        .collect();
    let golden: Vec<&str> = GOLDEN.lines().collect();
    for (place, body) in bodies.iter().enumerate() {
        assert_eq!(
            golden.get(place).copied(),
            Some(body.as_str()),
            "line {}",
            place + 1
        );
    }
    assert_eq!(golden.len(), bodies.len());
}

#[test]
fn every_name_of_the_list_is_pinned() {
    let names: std::collections::BTreeSet<EventName> =
        everything().iter().map(|told| told.name).collect();
    assert!(names.iter().eq(EventName::ALL), "{names:?}");
    for told in everything() {
        assert!(told.body.len() < 4096, "{}", told.name);
        let body: Value = serde_json::from_slice(&told.body).unwrap();
        assert_eq!(body["data"]["log"]["origin"], "ledger.example/test/1");
        assert_eq!(body["type"], told.name.ce_type());
        assert_eq!(
            (&body["subject"], &body["partitionkey"]),
            (&json!(told.subject), &json!(told.subject))
        );
    }
}

#[test]
fn what_was_told_sums_up_to_what_is_held() {
    let mut held = 0;
    for told in everything().iter().take(7) {
        let body: Value = serde_json::from_slice(&told.body).unwrap();
        let minor = |value: &Value| {
            value["minor"]
                .as_str()
                .map_or(0, |text| text.parse::<i64>().unwrap())
        };
        held += minor(&body["data"]["amount"]) - minor(&body["data"]["reversal"]["delta"]);
    }
    assert_eq!(held, 150_000 - 50_000 + 20_000 - 100_000);
}
