//! Given events, then rows.

use std::sync::Arc;
use std::time::Duration;

use domain::codec::{DomainEvent, Encoded, encode};
use domain::digest::Digest32;
use domain::ids::*;
use domain::money::{Currency, MinorText, Money, Sum};
use domain::notification;
use domain::payment::event::*;
use domain::payment::evidence::{EvidenceClass, Mode};
use domain::payment::exception::{ExceptionKind, Severity};
use domain::payment::fact::{Fact, FactKind, Observation};
use domain::payment::request::AttemptState;
use domain::payment::{BotLabel, Label, Outcome, PartialPolicy, PricedBy, Rules, Terms};
use domain::quote::{self, Quote};
use domain::sealed::Commitment;
use domain::time::Timestamp;
use domain::unmatched::{self, Unmatched};
use proptest::prelude::*;
use serde_json::json;

use super::audit_trail::{AuditEntry, AuditTrailView};
use super::exceptions::{CaseRow, CaseState, ExceptionsView};
use super::order_status::{OrderStatus, OrderStatusView};
use crate::engine::{Runner, RunnerSettings, Step};
use crate::ports::*;
use crate::read::Reader;
use crate::rebuild::{Rebuild, Verified};
use crate::testing::{FakeLog, FakeStore, StillClock};
use crate::view::{TypedRow, View};

mod delivery_batches;
mod delivery_histories;
mod delivery_queue;
mod overrides;
mod timers;

/// When the event with this version of its stream is recorded.
fn at(version: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + version)
}

fn amd(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("AMD").unwrap()).unwrap()
}

fn request_id(letter: char) -> PaymentRequestId {
    PaymentRequestId::parse(format!("pr_{}", letter.to_string().repeat(26))).unwrap()
}

fn quote_id() -> QuoteId {
    QuoteId::parse(format!("qt_{}", "q".repeat(26))).unwrap()
}

fn stream(letter: char) -> String {
    format!("payment_request-{}", request_id(letter))
}

fn reference(text: &str) -> ProviderRef {
    ProviderRef::parse(text).unwrap()
}

fn account() -> (ProviderCode, AccountSlug) {
    (
        ProviderCode::parse("sim").unwrap(),
        AccountSlug::parse("sim-main").unwrap(),
    )
}

fn capture_key(transaction: &str) -> CaptureKey {
    CaptureKey::parse(&format!("sim/sim-main/{transaction}")).unwrap()
}

fn created(letter: char) -> Event {
    Event::Created(Box::new(Terms {
        id: request_id(letter),
        merchant: MerchantId::parse("shop").unwrap(),
        client: ClientId::parse("bot").unwrap(),
        order_id: OrderId::parse(format!("order-{letter}")).unwrap(),
        customer_ref: Some(CustomerRef::parse("c-17").unwrap()),
        scenario: ScenarioId::parse("telegram").unwrap(),
        amount: amd(1_000),
        priced_by: PricedBy::Quote {
            quote_id: quote_id(),
        },
        mode: Mode::Live,
        expires_at: at(600),
        rules: Rules {
            partial: PartialPolicy::RejectToReview,
            tolerance_minor: MinorText(0),
            accounts: vec![account().1],
            auto_accept_on_time: false,
            overrides: domain::payment::OverrideRules::default(),
        },
        supersedes: None,
        correlation_id: None,
    }))
}

fn started(attempt_no: u32, session_ends: i64) -> Event {
    let (provider, account) = account();
    Event::AttemptStarted {
        attempt_no,
        provider,
        account,
        our_reference: reference(&format!("ours-{attempt_no}")),
        amount: amd(1_000),
        session_expires_at: at(session_ends),
    }
}

fn registered(attempt_no: u32) -> Event {
    Event::AttemptRegistered {
        attempt_no,
        provider_order_ref: Some(reference("order-1")),
        pay_url: Some(format!("https://pay.example/{attempt_no}")),
        session_expires_at: None,
    }
}

fn failed(attempt_no: u32) -> Event {
    Event::AttemptFailed {
        attempt_no,
        why: AttemptEnd::Declined,
        provider_status: None,
    }
}

fn captured(attempt_no: u32, transaction: &str, applied: i64, unapplied: i64) -> Event {
    Event::PaymentCaptured {
        capture: capture_key(transaction),
        attempt_no,
        amount: amd(applied + unapplied),
        applied: MinorText(applied),
        unapplied: MinorText(unapplied),
        why: None,
        class: EvidenceClass::Signed,
        provider_time: None,
        provider_status: None,
    }
}

fn verified() -> Event {
    Event::PaymentVerified {
        method: VerificationMethod::SignedNotification,
        capture: Some(capture_key("t1")),
        amount: Sum::new(1_000, amd(1).currency()),
        paid_at: Some(at(3)),
        late: false,
        rounding_minor: MinorText(0),
    }
}

fn opened(letter: char, number: u32, capture: Option<&str>) -> Event {
    Event::ExceptionOpened {
        case: CaseId::parse(format!("{}~{number}", stream(letter))).unwrap(),
        kind: ExceptionKind::DuplicatePayment,
        severity: Severity::High,
        due: at(86_400),
        about: "t2".into(),
        capture: capture.map(capture_key),
    }
}

fn resolved(letter: char, number: u32) -> Event {
    let case = CaseId::parse(format!("{}~{number}", stream(letter))).unwrap();
    Event::ExceptionResolved {
        case,
        resolution: Resolution::Dismissed,
    }
}

fn notice() -> Event {
    Event::PayerNoticeRecorded {
        kind: NoticeKind::Screenshot,
        media: "image/png".into(),
        bytes: 9,
    }
}

fn deferred(until: i64) -> Event {
    Event::ExpiryDeferred {
        until: at(until),
        why: DeferredWhy::Unknown,
    }
}

fn received(our_reference: &str) -> notification::Event {
    let (provider, account) = account();
    let fact = Fact {
        our_reference: Some(reference(our_reference)),
        ..Fact::bare(FactKind::Processing)
    };
    let commitment = Commitment(Digest32([0; 32]));
    let observation = Observation {
        provider,
        account,
        class: EvidenceClass::Signed,
        facts: vec![Fact::bare(FactKind::Unknown), fact],
        commitment,
        received_at: at(0),
    };
    notification::Event::Received {
        observation,
        scheme: "standard-webhooks".into(),
        key_id: None,
    }
}

fn applied(outcome: Outcome, about: Option<char>) -> notification::Event {
    notification::Event::Applied {
        outcome,
        request: about.map(request_id),
        why: None,
    }
}

fn tell<E: DomainEvent>(log: &FakeLog, stream: &str, event: &E) {
    let Encoded {
        event_type,
        type_v,
        data,
    } = encode(event);
    log.append_with(stream, &event_type, data, |envelope| {
        envelope.type_v = type_v
    });
}

fn tell_all(log: &FakeLog, letter: char, events: &[Event]) {
    events
        .iter()
        .for_each(|event| tell(log, &stream(letter), event));
}

/// A view that has taken in everything.
struct Filled {
    store: Arc<FakeStore>,
    view: Arc<dyn View>,
}

async fn filled(view: Arc<dyn View>, log: &Arc<FakeLog>, page: usize) -> Filled {
    let store = Arc::new(FakeStore::default());
    store
        .create(&view.spec(), GenerationState::Live)
        .await
        .unwrap();
    let settings = RunnerSettings {
        page,
        ..RunnerSettings::default()
    };
    let (view_too, log, store_too) = (Arc::clone(&view), Arc::clone(log), Arc::clone(&store));
    let (mut runner, _) = Runner::new(view_too, log, store_too, Arc::new(StillClock), settings);
    while runner.step().await.unwrap() == Step::Moved {}
    Filled { store, view }
}

impl Filled {
    fn reader<T: TypedRow>(&self) -> Reader<T> {
        Reader::new(self.store.clone(), self.view.spec())
    }

    async fn all<T: TypedRow>(&self) -> Vec<T> {
        self.reader()
            .query(&ViewQuery::first(1_000))
            .await
            .unwrap()
            .rows
    }

    async fn parked(&self) -> Vec<String> {
        let parked = self
            .store
            .parked(&self.view.spec(), At::Live)
            .await
            .unwrap();
        parked
            .into_iter()
            .map(|parked| format!("{}@{}: {}", parked.stream, parked.version, parked.error))
            .collect()
    }
}

fn log() -> Arc<FakeLog> {
    Arc::new(FakeLog::new(7, 0))
}

async fn status(log: &Arc<FakeLog>, letter: char) -> OrderStatus {
    let filled = filled(Arc::new(OrderStatusView), log, 10).await;
    assert_eq!(filled.parked().await, [""; 0]);
    filled
        .reader()
        .get(request_id(letter).as_str())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_new_request_is_pending_under_its_terms() {
    let log = log();
    tell_all(&log, 'a', &[created('a')]);
    let row = status(&log, 'a').await;
    assert_eq!(
        (row.label, row.bot_label, row.payable),
        (Label::Pending, BotLabel::Pending, true)
    );
    assert_eq!(
        (row.amount, row.applied.minor(), row.missing.minor()),
        (amd(1_000), 0, 1_000)
    );
    assert_eq!(
        (row.version.0, Some(row.position)),
        (0, log.last_position())
    );
    assert_eq!(
        (row.created_at, row.updated_at, row.expires_at),
        (at(0), at(0), at(600))
    );
    assert_eq!(
        (row.order_id.as_str(), row.client.as_str()),
        ("order-a", "bot")
    );
    assert_eq!(row.live_attempt(at(1)), None);
}

#[tokio::test]
async fn a_paid_request_says_how_it_was_paid_and_keeps_saying_so() {
    let log = log();
    let paid = [
        created('a'),
        started(1, 300),
        registered(1),
        captured(1, "t1", 1_000, 0),
        verified(),
    ];
    tell_all(&log, 'a', &paid);
    let row = status(&log, 'a').await;
    assert_eq!(
        (row.label, row.bot_label, row.payable),
        (Label::Paid, BotLabel::Paid, false)
    );
    assert_eq!((row.applied.minor(), row.missing.minor()), (1_000, 0));
    let verification = row.verification.clone().unwrap();
    assert_eq!(
        (verification.verified_at, verification.paid_at),
        (at(4), Some(at(3)))
    );
    assert_eq!(verification.capture, Some(capture_key("t1")));
    assert_eq!(row.attempts[0].state, AttemptState::Captured);
    assert_eq!((row.created_at, row.updated_at), (at(0), at(4)));

    tell_all(
        &log,
        'a',
        &[captured(1, "t2", 0, 1_000), opened('a', 1, Some("t2"))],
    );
    let row = status(&log, 'a').await;
    assert_eq!((row.label, row.in_review), (Label::Paid, true));
    assert_eq!(row.unapplied, [Sum::new(1_000, amd(1).currency())]);
    assert_eq!(row.verification, Some(verification));
}

#[tokio::test]
async fn the_page_of_an_attempt_is_live_until_its_session_ends() {
    let log = log();
    tell_all(
        &log,
        'a',
        &[
            created('a'),
            started(1, 300),
            registered(1),
            started(2, 200),
        ],
    );
    let row = status(&log, 'a').await;
    assert_eq!(
        row.live_attempt(at(199)).map(|attempt| attempt.attempt_no),
        Some(2)
    );
    let first = row.live_attempt(at(200)).unwrap();
    assert_eq!(
        (first.attempt_no, first.pay_url.as_deref()),
        (1, Some("https://pay.example/1"))
    );
    assert_eq!(
        (first.started_at, row.attempts[1].started_at),
        (at(1), at(3))
    );
    assert_eq!(row.live_attempt(at(300)), None);

    tell_all(&log, 'a', &[failed(2)]);
    let row = status(&log, 'a').await;
    assert_eq!(
        row.live_attempt(at(199)).map(|attempt| attempt.attempt_no),
        Some(1)
    );
    let superseded_by = Some(request_id('b'));
    tell_all(
        &log,
        'a',
        &[Event::Cancelled {
            by: CancelledBy::Superseded,
            superseded_by: superseded_by.clone(),
        }],
    );
    tell_all(&log, 'a', &[notice()]);
    let row = status(&log, 'a').await;
    assert_eq!(
        (row.live_attempt(at(5)), row.label),
        (None, Label::Cancelled)
    );
    assert_eq!((row.superseded_by, row.notices), (superseded_by, 1));
}

#[tokio::test]
async fn a_stream_with_a_gap_is_parked_and_not_guessed() {
    let log = log();
    tell_all(&log, 'a', &[created('a')]);
    tell_all(&log, 'b', &[started(1, 300)]);
    let Encoded {
        event_type, data, ..
    } = encode(&started(1, 300));
    log.append_with(&stream('a'), &event_type, data, |envelope| {
        envelope.stream_version.0 = 2
    });
    log.append_to(&stream('c'), "PaymentRequestBlessed", json!({}));
    let filled = filled(Arc::new(OrderStatusView), &log, 10).await;
    let expected = [
        format!("{}@2: version 2 where 1 comes next", stream('a')),
        format!(
            "{}@0: the first event does not create the request",
            stream('b')
        ),
        format!(
            "{}@0: unknown event type PaymentRequestBlessed",
            stream('c')
        ),
    ];
    assert_eq!(filled.parked().await, expected);
    let rows: Vec<OrderStatus> = filled.all().await;
    assert_eq!(
        rows.iter()
            .map(|row| row.attempts.len())
            .collect::<Vec<_>>(),
        [0]
    );
}

#[tokio::test]
async fn a_trail_tells_everything_that_led_to_a_payment() {
    let log = log();
    let terms = match created('a') {
        Event::Created(terms) => terms,
        other => panic!("{other:?}"),
    };
    let quote = Quote {
        id: quote_id(),
        merchant: terms.merchant.clone(),
        client: terms.client.clone(),
        order_id: terms.order_id.clone(),
        customer_ref: None,
        scenario: terms.scenario.clone(),
        amount: terms.amount,
        valid_until: at(600),
        correlation_id: None,
    };
    tell(
        &log,
        &format!("quote-{}", quote_id()),
        &quote::Event::Issued(quote),
    );
    tell_all(&log, 'a', &[created('a'), started(1, 300)]);
    tell(&log, "notification-x", &received("ours-1"));
    tell(&log, "notification-x", &applied(Outcome::Parked, None));
    tell_all(&log, 'b', &[created('b')]);
    tell_all(&log, 'a', &[captured(1, "t1", 1_000, 0), verified()]);
    tell(
        &log,
        "notification-x",
        &applied(Outcome::Applied, Some('a')),
    );
    tell(&log, "notification-y", &received("ours-9"));
    log.append_to("delivery-dlv_x", "DeliverySucceeded", json!({}));
    log.append_to("config-shop", "SomethingOfLater", json!({}));

    let filled = filled(Arc::new(AuditTrailView), &log, 3).await;
    assert_eq!(filled.parked().await, [""; 0]);
    let of = |letter| ViewQuery::first(100).equal("request", request_id(letter).as_str());
    let types = |rows: Vec<AuditEntry>| {
        rows.into_iter()
            .map(|row| row.event_type)
            .collect::<Vec<_>>()
    };
    let trail = filled.reader().query(&of('a')).await.unwrap().rows;
    assert!(trail.is_sorted_by_key(|row: &AuditEntry| row.position));
    assert_eq!(
        types(trail),
        [
            "QuoteIssued",
            "PaymentRequestCreated",
            "AttemptStarted",
            "NotificationReceived",
            "NotificationApplied",
            "PaymentCaptured",
            "PaymentVerified",
            "NotificationApplied"
        ]
    );
    assert_eq!(
        types(filled.reader().query(&of('b')).await.unwrap().rows),
        ["PaymentRequestCreated"]
    );
    let everything: Vec<AuditEntry> = filled.all().await;
    assert_eq!(everything.len(), 11);
    let last = everything.last().unwrap();
    assert_eq!(
        (last.event_type.as_str(), last.source.entry.as_str()),
        ("SomethingOfLater", "test")
    );
    assert_eq!(last.actor.display(), "job:test");
}

#[tokio::test]
async fn a_case_is_listed_with_its_money_until_somebody_decides() {
    let log = log();
    let events = [
        created('a'),
        started(1, 300),
        captured(1, "t2", 0, 700),
        opened('a', 1, Some("t2")),
    ];
    tell_all(&log, 'a', &events);
    tell_all(&log, 'a', &[opened('a', 2, None), resolved('a', 2)]);
    let money = Unmatched {
        capture: capture_key("t9"),
        amount: amd(5),
        class: EvidenceClass::Signed,
        our_reference: None,
        provider_order_ref: None,
        provider_time: None,
    };
    let kind = ExceptionKind::OrphanPayment;
    let orphan_stream = crate::testing::stream("unmatched-x");
    for event in unmatched::observe(false, &orphan_stream, money, kind, at(0)) {
        tell(&log, "unmatched-x", &event);
    }
    let filled = filled(Arc::new(ExceptionsView), &log, 2).await;
    assert_eq!(filled.parked().await, [""; 0]);
    let rows: Vec<CaseRow> = filled.all().await;
    let [first, second, orphan] = &rows[..] else {
        panic!("{rows:?}")
    };
    assert_eq!(
        (first.state, first.money, first.request.clone()),
        (CaseState::Open, Some(amd(700)), Some(request_id('a')))
    );
    assert_eq!(
        (first.opened_at, first.due, first.version.0),
        (at(3), at(86_400), 3)
    );
    assert_eq!(
        first.order_id.as_ref().map(OrderId::as_str),
        Some("order-a")
    );
    assert_eq!(
        (second.state, second.resolution),
        (CaseState::Resolved, Some(Resolution::Dismissed))
    );
    assert_eq!(
        (
            second.resolved_by.as_deref(),
            second.resolved_at,
            second.money
        ),
        (Some("job:test"), Some(at(5)), None)
    );
    assert_eq!(
        (orphan.request.clone(), orphan.money, orphan.kind),
        (None, Some(amd(5)), kind)
    );
    let open = ViewQuery::first(10)
        .equal("merchant", "shop")
        .equal("state", "open");
    assert_eq!(
        filled
            .reader::<CaseRow>()
            .query(&open)
            .await
            .unwrap()
            .rows
            .len(),
        2
    );
}

/// One step of a random history. Not all of them can happen; a view must take them all.
fn step() -> impl Strategy<Value = (char, Event)> {
    let event = prop_oneof![
        (1..3u32, 100..900i64).prop_map(|(number, ends)| started(number, ends)),
        (1..3u32).prop_map(registered),
        (1..3u32).prop_map(failed),
        (1..3u32, 1..4u32).prop_map(|(number, t)| captured(number, &format!("t{t}"), 600, 400)),
        Just(verified()),
        Just(notice()),
        (600..900i64).prop_map(deferred),
        Just(Event::Expired { confirmed: true }),
        (1..3u32).prop_map(|number| opened('a', number, Some("t1"))),
        (1..3u32).prop_map(|number| resolved('a', number)),
    ];
    (prop::sample::select(vec!['a', 'b', 'c']), event)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_view_is_the_same_for_any_page_size_and_after_a_rebuild(
        steps in prop::collection::vec(step(), 0..60),
        page in 1..20usize,
    ) {
        let log = log();
        for letter in ['a', 'b', 'c'] {
            tell_all(&log, letter, &[created(letter)]);
        }
        for (letter, event) in &steps {
            tell_all(&log, *letter, std::slice::from_ref(event));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for view in super::all() {
            runtime.block_on(async {
                let small = filled(Arc::clone(&view), &log, page).await;
                let large = filled(Arc::clone(&view), &log, 1_000).await;
                let digest = small.store.digest(&view.spec(), At::Live).await.unwrap();
                assert_eq!(digest, large.store.digest(&view.spec(), At::Live).await.unwrap());
                let rebuild = Rebuild::new(view, log.clone(), small.store.clone(), Arc::new(StillClock)).with_page(7);
                let (_go_on, stop) = tokio::sync::watch::channel(false);
                assert_eq!(rebuild.verify(&|_| {}, &stop).await.unwrap(), Verified::Equal(digest));
            });
        }
    }
}
