use super::*;
use crate::actor::Reason;
use crate::codec::encode;
use crate::ids::{
    AccountSlug, ClientId, MerchantId, OrderId, PaymentRequestId, ProviderCode, ProviderRef,
    ScenarioId,
};
use crate::money::{Currency, MinorText, Money};
use crate::payment::event::VerificationMethod;
use crate::payment::evidence::EvidenceClass;
use crate::payment::{OverrideRules, PartialPolicy, PricedBy, Rules, Terms};
use crate::record::tests::envelope;
use crate::stream::{StreamId, Version};

pub(super) fn amd(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("AMD").unwrap()).unwrap()
}

pub(super) fn id() -> PaymentRequestId {
    PaymentRequestId::parse(format!("pr_{}", "a".repeat(26))).unwrap()
}

pub(super) fn capture() -> CaptureKey {
    CaptureKey::parse("sim/sim-main/st_1").unwrap()
}

pub(super) fn created() -> Event {
    Event::Created(Box::new(Terms {
        id: id(),
        merchant: MerchantId::parse("shop").unwrap(),
        client: ClientId::parse("shop-bot").unwrap(),
        order_id: OrderId::parse("1001").unwrap(),
        customer_ref: None,
        scenario: ScenarioId::parse("telegram").unwrap(),
        amount: amd(150_000),
        priced_by: PricedBy::Amount {},
        mode: Mode::Test,
        expires_at: Timestamp::from_seconds(1_700_003_600),
        rules: Rules {
            partial: PartialPolicy::RejectToReview,
            tolerance_minor: MinorText(0),
            accounts: vec![AccountSlug::parse("sim-main").unwrap()],
            auto_accept_on_time: false,
            overrides: OverrideRules::default(),
        },
        supersedes: None,
        correlation_id: None,
    }))
}

pub(super) fn paid() -> Vec<Event> {
    let started = Event::AttemptStarted {
        attempt_no: 1,
        provider: ProviderCode::parse("sim").unwrap(),
        account: AccountSlug::parse("sim-main").unwrap(),
        our_reference: ProviderRef::parse(format!("{}-1", id())).unwrap(),
        amount: amd(150_000),
        session_expires_at: Timestamp::from_seconds(1_700_001_200),
    };
    let captured = Event::PaymentCaptured {
        capture: capture(),
        attempt_no: 1,
        amount: amd(150_000),
        applied: MinorText(150_000),
        unapplied: MinorText(0),
        why: None,
        class: EvidenceClass::Signed,
        provider_time: None,
        provider_status: None,
    };
    let verified = Event::PaymentVerified {
        method: VerificationMethod::SignedNotification,
        capture: Some(capture()),
        amount: amd(150_000).into(),
        paid_at: None,
        late: false,
        rounding_minor: MinorText(0),
    };
    vec![created(), started, captured, verified]
}

pub(super) fn told(events: &[Event]) -> Vec<Outbound> {
    let mut story = Story::default();
    let mut told = vec![];
    for (version, event) in events.iter().enumerate() {
        let encoded = encode(event);
        let mut envelope = envelope(encoded.data);
        envelope.event_type = encoded.event_type;
        envelope.stream = StreamId::payment_request(&id());
        envelope.stream_version = Version(version as u64);
        if let Event::OverrideProposed { .. } = event {
            let code = ReasonCode::parse("bank_confirmed_by_phone").unwrap();
            envelope.reason = Some(Reason { code, text: None });
        }
        // A story that is kept as a row between events tells the same.
        story = serde_json::from_str(&serde_json::to_string(&story).unwrap()).unwrap();
        told.extend(story.tell(&envelope, Digest32([9; 32])).unwrap());
    }
    told
}

#[test]
fn a_verified_payment_is_one_body_with_all_that_receivers_need() {
    let told = told(&paid());
    assert_eq!(told.len(), 1);
    let body: Value = serde_json::from_slice(&told[0].body).unwrap();
    assert_eq!(body["type"], "counterfoil.payment.verified.v1");
    assert_eq!(body["sequence"], "0000000003");
    assert_eq!(body["subject"], id().as_str());
    assert_eq!(body["data"]["status"], "paid");
    assert_eq!(
        body["data"]["amount"],
        json!({"minor": "150000", "currency": "AMD", "exponent": 2})
    );
    assert_eq!(body["data"]["provider"]["transaction_id"], "st_1");
    assert_eq!(
        body["data"]["verification"]["method"],
        "signed_notification"
    );
    assert_eq!(body["data"]["is_test"], true);
    assert!(told[0].body.len() < 4096);
    assert_eq!(told[0].body, crate::canonical_json(&body).unwrap());
}

#[test]
fn only_the_applied_part_of_a_refund_is_told_and_sums_up() {
    let refund = |id: &str, applied, unapplied| Event::RefundSettled {
        capture: capture(),
        kind: RefundKind::Refund,
        reversal: Some(ProviderRef::parse(id).unwrap()),
        applied: MinorText(applied),
        unapplied: MinorText(unapplied),
        cumulative: Sum::new(applied, amd(1).currency()),
        requested: false,
        refund: None,
    };
    let mut events = paid();
    events.extend([
        refund("r1", 50_000, 0),
        refund("r2", 0, 10),
        refund("r3", 100_000, 0),
    ]);
    let told = told(&events);
    let sums: Vec<Value> = told[1..]
        .iter()
        .map(|told| serde_json::from_slice::<Value>(&told.body).unwrap()["data"]["reversal"]["cumulative"]["minor"].clone())
        .collect();
    assert_eq!(sums, ["50000", "150000"]);
}

#[test]
fn expiry_is_told_to_all_and_exceptions_only_to_those_who_asked() {
    let mut events = vec![created(), Event::Expired { confirmed: true }];
    assert_eq!(told(&events)[0].name, EventName::RequestExpired);
    events.push(Event::ExceptionOpened {
        case: crate::ids::CaseId::parse(format!("payment_request-{}~1", id())).unwrap(),
        kind: crate::payment::exception::ExceptionKind::LatePayment,
        severity: crate::payment::exception::Severity::High,
        due: Timestamp::from_seconds(0),
        about: "x".into(),
        capture: None,
    });
    let told = told(&events);
    assert_eq!(told[1].name, EventName::ExceptionOpened);
    assert!(told[0].name.ordinary() && !told[1].name.ordinary());
}

#[test]
fn each_part_is_told_and_a_capture_that_completes_the_amount_is_none() {
    let part = |transaction: &str, minor| Event::PaymentCaptured {
        capture: CaptureKey::parse(&format!("sim/sim-main/{transaction}")).unwrap(),
        attempt_no: 1,
        amount: amd(minor),
        applied: MinorText(minor),
        unapplied: MinorText(0),
        why: None,
        class: EvidenceClass::Signed,
        provider_time: None,
        provider_status: None,
    };
    let names = |events: &[Event]| {
        told(events)
            .into_iter()
            .map(|told| told.name)
            .collect::<Vec<_>>()
    };
    assert!(names(&paid()[..3]).is_empty());
    let parts = [
        created(),
        part("st_1", 50_000),
        part("st_2", 50_000),
        part("st_3", 50_000),
    ];
    assert_eq!(names(&parts), [EventName::PartiallyPaid; 2]);
}
