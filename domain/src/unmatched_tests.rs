use super::*;
use crate::money::Currency;

fn stream() -> StreamId {
    let capture = CaptureKey::parse("sim/main/tx/1").unwrap();
    stream_of(&InstanceKey::new([1; 32]), &capture)
}

fn money() -> Unmatched {
    Unmatched {
        capture: CaptureKey::parse("sim/main/tx/1").unwrap(),
        amount: Money::new(5, Currency::from_code("AMD").unwrap()).unwrap(),
        class: EvidenceClass::LookedUp,
        our_reference: None,
        provider_order_ref: None,
        provider_time: None,
    }
}

fn observed(known: bool) -> Vec<Event> {
    let now = Timestamp::from_seconds(0);
    observe(known, &stream(), money(), ExceptionKind::OrphanPayment, now)
}

fn folded(more: &[Event]) -> Suspense {
    let all = observed(false).into_iter().chain(more.iter().cloned());
    all.fold(None, |known, event| evolve(known, &event))
        .unwrap()
}

fn case() -> CaseId {
    CaseId::parse(format!("{}~1", stream())).unwrap()
}

fn to_b() -> Settlement {
    Settlement::To {
        transfer: Transfer::id_of(&InstanceKey::new([1; 32]), &case()),
        to: PaymentRequestId::parse(format!("pr_{}", "b".repeat(26))).unwrap(),
    }
}

#[test]
fn orphan_money_is_kept_once_with_one_case_g1() {
    assert_eq!(money().capture.transaction.as_str(), "tx/1");
    assert!(matches!(
        &observed(false)[..],
        [
            Event::Observed(_),
            Event::ExceptionOpened {
                severity: Severity::High,
                ..
            }
        ]
    ));
    assert_eq!(observed(true), vec![]);
}

#[test]
fn a_person_says_what_orphan_money_is_and_says_it_once_g1() {
    for (settlement, resolution) in [
        (to_b(), Resolution::Reassigned),
        (Settlement::GivenBack {}, Resolution::Refunded),
        (Settlement::KeptAsIncome {}, Resolution::KeptAsIncome),
    ] {
        let decided = resolve(&folded(&[]), &case(), &settlement).unwrap();
        let closed = Event::ExceptionResolved {
            case: case(),
            resolution,
        };
        assert_eq!(decided, [Event::Resolved(settlement.clone()), closed]);
        let after = folded(&decided);
        assert_eq!(resolve(&after, &case(), &settlement), Ok(vec![]));
        for other in [
            to_b(),
            Settlement::GivenBack {},
            Settlement::KeptAsIncome {},
        ] {
            if other != settlement {
                assert_eq!(resolve(&after, &case(), &other), Err(Refusal::CaseClosed));
            }
        }
        assert_eq!(assign(&after, &case(), None), Err(Refusal::CaseClosed));
    }
    let another = CaseId::parse(format!("{}~2", stream())).unwrap();
    let unknown = resolve(&folded(&[]), &another, &to_b());
    assert_eq!(unknown, Err(Refusal::UnknownCase));
}

#[test]
fn only_money_that_was_found_to_be_a_requests_is_sent_g1() {
    let decided = resolve(&folded(&[]), &case(), &to_b()).unwrap();
    let (to, transfer) = folded(&decided).sent(&stream()).unwrap();
    assert_eq!(
        Settlement::To {
            transfer: transfer.transfer,
            to
        },
        to_b()
    );
    assert_eq!((transfer.from, transfer.amount), (stream(), money().amount));
    assert_eq!(folded(&[]).sent(&stream()), None);
    let kept = resolve(&folded(&[]), &case(), &Settlement::KeptAsIncome {}).unwrap();
    assert_eq!(folded(&kept).sent(&stream()), None);
}

#[test]
fn somebody_looks_after_orphan_money_g1() {
    let ani = OperatorId::parse("ani").unwrap();
    let assigned = assign(&folded(&[]), &case(), Some(&ani)).unwrap();
    let known = folded(&assigned);
    assert_eq!(known.assignee, Some(ani.clone()));
    assert_eq!(assign(&known, &case(), Some(&ani)), Ok(vec![]));
    let back = assign(&known, &case(), None).unwrap();
    assert_eq!(evolve(Some(known), &back[0]).unwrap().assignee, None);
}

#[test]
fn what_was_found_reads_as_it_was_written() {
    let golden = [
        (
            to_b(),
            r#"{"as":"to","to":"pr_bbbbbbbbbbbbbbbbbbbbbbbbbb","transfer":"TR"}"#,
        ),
        (Settlement::GivenBack {}, r#"{"as":"given_back"}"#),
        (Settlement::KeptAsIncome {}, r#"{"as":"kept_as_income"}"#),
    ];
    let id = Transfer::id_of(&InstanceKey::new([1; 32]), &case());
    for (settlement, text) in golden {
        let text = text.replace("TR", id.as_str());
        let data: serde_json::Value = serde_json::from_str(&text).unwrap();
        let encoded = crate::codec::encode(&Event::Resolved(settlement.clone()));
        assert_eq!(encoded.data, data);
        let tagged = serde_json::json!({ "type": "UnmatchedPaymentResolved", "data": data });
        let read: Event = serde_json::from_value(tagged).unwrap();
        assert_eq!(read, Event::Resolved(settlement));
    }
}
