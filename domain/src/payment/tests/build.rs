//! Sensible data: an order of 1500.00 AMD that can be paid until noon.

use crate::digest::Digest32;
use crate::ids::{
    AccountSlug, CaseId, ClientId, MerchantId, OrderId, PaymentRequestId, ProviderCode,
    ProviderRef, ScenarioId,
};
use crate::money::{Currency, MinorText, Money, Sum};
use crate::payment::command::{Precheck, RecordFacts, StartAttempt, Target};
use crate::payment::event::{
    AttemptEnd, CancelledBy, DisputeOutcome, Progress, RefundKind, Resolution, VerificationMethod,
};
use crate::payment::evidence::{AccountRules, EvidenceClass, Mode};
use crate::payment::exception::ExceptionKind;
use crate::payment::fact::{Fact, FactKind, Observation, RefundAmount};
use crate::payment::{
    CaptureKey, Command, Event, OverrideRules, PartialPolicy, PricedBy, Rules, Terms,
};
use crate::sealed::Commitment;
use crate::time::{Precision, ProviderTime, Timestamp};

/// What is due.
pub(super) const DUE: i64 = 150_000;

pub(super) fn time(clock: &str) -> Timestamp {
    Timestamp::parse(&format!("2026-10-05T{clock}Z")).unwrap()
}

/// While the request is open.
pub(super) fn open_time() -> Timestamp {
    time("11:30:00")
}

/// The last moment.
pub(super) fn noon() -> Timestamp {
    time("12:00:00")
}

/// After the last moment.
pub(super) fn late() -> Timestamp {
    time("12:10:00")
}

pub(super) fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}

pub(super) fn amd(minor: i64) -> Money {
    Money::new(minor, currency("AMD")).unwrap()
}

pub(super) fn usd(minor: i64) -> Money {
    Money::new(minor, currency("USD")).unwrap()
}

pub(super) fn sum(minor: i64) -> Sum {
    Sum::new(minor, currency("AMD"))
}

pub(super) fn id(letter: char) -> PaymentRequestId {
    PaymentRequestId::parse(format!("pr_{}", letter.to_string().repeat(26))).unwrap()
}

pub(super) fn reference(text: &str) -> ProviderRef {
    ProviderRef::parse(text).unwrap()
}

pub(super) fn sim() -> ProviderCode {
    ProviderCode::parse("sim").unwrap()
}

pub(super) fn account(slug: &str) -> AccountSlug {
    AccountSlug::parse(slug).unwrap()
}

/// The identity of money at `sim/sim-main`.
pub(super) fn key(transaction: &str) -> CaptureKey {
    CaptureKey {
        provider: sim(),
        account: account("sim-main"),
        transaction: reference(transaction),
    }
}

pub(super) fn our_reference(attempt_no: u32) -> ProviderRef {
    reference(&format!("{}-{attempt_no}", id('a')))
}

pub(super) fn terms() -> Terms {
    Terms {
        id: id('a'),
        merchant: MerchantId::parse("shop").unwrap(),
        client: ClientId::parse("shop-bot").unwrap(),
        order_id: OrderId::parse("order-1001").unwrap(),
        customer_ref: None,
        scenario: ScenarioId::parse("telegram-shop").unwrap(),
        amount: amd(DUE),
        priced_by: PricedBy::Amount {},
        mode: Mode::Live,
        expires_at: noon(),
        rules: Rules {
            partial: PartialPolicy::RejectToReview,
            tolerance_minor: MinorText(0),
            accounts: vec![account("sim-main"), account("sim-two")],
            auto_accept_on_time: false,
            overrides: OverrideRules::default(),
        },
        supersedes: None,
        correlation_id: None,
    }
}

pub(super) fn created_with(change: impl FnOnce(&mut Terms)) -> Event {
    let mut terms = terms();
    change(&mut terms);
    Event::Created(Box::new(terms))
}

pub(super) fn accumulating(terms: &mut Terms) {
    terms.rules.partial = PartialPolicy::Accumulate;
}

pub(super) fn started_for(attempt_no: u32, minor: i64) -> Event {
    Event::AttemptStarted {
        attempt_no,
        provider: sim(),
        account: account("sim-main"),
        our_reference: our_reference(attempt_no),
        amount: amd(minor),
        session_expires_at: noon(),
    }
}

pub(super) fn started(attempt_no: u32) -> Event {
    started_for(attempt_no, DUE)
}

/// The provider's name for an attempt.
pub(super) fn order_ref(attempt_no: u32) -> ProviderRef {
    reference(&format!("sim-order-{attempt_no}"))
}

pub(super) fn registered(attempt_no: u32) -> Event {
    Event::AttemptRegistered {
        attempt_no,
        provider_order_ref: Some(order_ref(attempt_no)),
        pay_url: Some(format!("https://pay.example/{attempt_no}")),
        session_expires_at: None,
    }
}

pub(super) fn uncertain(attempt_no: u32) -> Event {
    Event::AttemptUncertain {
        attempt_no,
        why: "timeout".into(),
    }
}

pub(super) fn progressed(attempt_no: u32, state: Progress) -> Event {
    Event::AttemptProgressed { attempt_no, state }
}

pub(super) fn failed(attempt_no: u32, why: AttemptEnd) -> Event {
    Event::AttemptFailed {
        attempt_no,
        why,
        provider_status: None,
    }
}

/// Money as the event of attempt 1, by signed notification: `applied` counts, the rest waits for
/// `why`.
pub(super) fn money_came(
    transaction: &str,
    minor: i64,
    applied: i64,
    why: Option<ExceptionKind>,
) -> Event {
    Event::PaymentCaptured {
        capture: key(transaction),
        attempt_no: 1,
        amount: amd(minor),
        applied: MinorText(applied),
        unapplied: MinorText(minor - applied),
        why,
        class: EvidenceClass::Signed,
        provider_time: None,
        provider_status: None,
    }
}

/// The same, all unapplied, and with other evidence.
pub(super) fn unapplied(
    transaction: &str,
    money: Money,
    why: ExceptionKind,
    class: EvidenceClass,
) -> Event {
    Event::PaymentCaptured {
        capture: key(transaction),
        attempt_no: 1,
        amount: money,
        applied: MinorText(0),
        unapplied: MinorText(money.minor()),
        why: Some(why),
        class,
        provider_time: None,
        provider_status: None,
    }
}

/// An event with another attempt, class or provider time.
pub(super) fn with(
    mut event: Event,
    attempt: u32,
    evidence: EvidenceClass,
    time: Option<ProviderTime>,
) -> Event {
    if let Event::PaymentCaptured {
        attempt_no,
        class,
        provider_time,
        ..
    } = &mut event
    {
        (*attempt_no, *class, *provider_time) = (attempt, evidence, time);
    }
    event
}

pub(super) fn verified_by(
    method: VerificationMethod,
    transaction: &str,
    paid_at: Option<Timestamp>,
    rounding: i64,
) -> Event {
    Event::PaymentVerified {
        method,
        capture: Some(key(transaction)),
        amount: sum(DUE - rounding),
        paid_at,
        late: false,
        rounding_minor: MinorText(rounding),
    }
}

/// By signed notification.
pub(super) fn verified(transaction: &str) -> Event {
    verified_by(VerificationMethod::SignedNotification, transaction, None, 0)
}

/// The `n`th case of the request, opened at `now`.
pub(super) fn case(n: u32, kind: ExceptionKind, about: &str, now: Timestamp) -> Event {
    Event::ExceptionOpened {
        case: CaseId::parse(format!("payment_request-{}~{n}", id('a'))).unwrap(),
        kind,
        severity: kind.severity(),
        due: now.plus(kind.severity().due_within()),
        about: about.to_owned(),
        capture: None,
    }
}

/// The same about money, named `about`.
pub(super) fn case_named(
    n: u32,
    kind: ExceptionKind,
    about: &str,
    transaction: &str,
    now: Timestamp,
) -> Event {
    let mut event = case(n, kind, about, now);
    if let Event::ExceptionOpened { capture, .. } = &mut event {
        *capture = Some(key(transaction));
    }
    event
}

/// The same about money, named by its identity.
pub(super) fn case_on(n: u32, kind: ExceptionKind, transaction: &str, now: Timestamp) -> Event {
    case_named(n, kind, &key(transaction).to_string(), transaction, now)
}

pub(super) fn resolved(n: u32) -> Event {
    Event::ExceptionResolved {
        case: CaseId::parse(format!("payment_request-{}~{n}", id('a'))).unwrap(),
        resolution: Resolution::Settled,
    }
}

pub(super) fn expired() -> Event {
    Event::Expired { confirmed: true }
}

pub(super) fn cancelled(by: CancelledBy) -> Event {
    Event::Cancelled {
        by,
        superseded_by: None,
    }
}

pub(super) fn refund_settled(
    kind: RefundKind,
    id: Option<&str>,
    applied: i64,
    unapplied: i64,
    cumulative: i64,
) -> Event {
    Event::RefundSettled {
        capture: key("t1"),
        kind,
        reversal: id.map(reference),
        applied: MinorText(applied),
        unapplied: MinorText(unapplied),
        cumulative: sum(cumulative),
        requested: false,
        refund: None,
    }
}

pub(super) fn dispute_opened(dispute: &str, transaction: &str, minor: i64) -> Event {
    Event::DisputeOpened {
        dispute: reference(dispute),
        capture: key(transaction),
        amount: amd(minor),
        reason: None,
        due_by: None,
    }
}

pub(super) fn dispute_closed(
    dispute: &str,
    transaction: &str,
    outcome: DisputeOutcome,
    applied: i64,
    unapplied: i64,
) -> Event {
    Event::DisputeClosed {
        dispute: reference(dispute),
        capture: key(transaction),
        outcome,
        applied: MinorText(applied),
        unapplied: MinorText(unapplied),
    }
}

// Histories.

/// Open, nothing tried.
pub(super) fn fresh() -> Vec<Event> {
    vec![created_with(|_| {})]
}

/// Open, with one registered attempt.
pub(super) fn pending() -> Vec<Event> {
    pending_with(|_| {})
}

pub(super) fn pending_with(change: impl FnOnce(&mut Terms)) -> Vec<Event> {
    vec![created_with(change), started(1), registered(1)]
}

pub(super) fn processing() -> Vec<Event> {
    and(pending(), [progressed(1, Progress::Processing)])
}

/// 600.00 of 1500.00 are there, through attempt 1.
pub(super) fn partially_paid() -> Vec<Event> {
    and(
        pending_with(accumulating),
        [money_came("t1", 60_000, 60_000, None)],
    )
}

pub(super) fn paid() -> Vec<Event> {
    and(
        pending(),
        [money_came("t1", DUE, DUE, None), verified("t1")],
    )
}

pub(super) fn expired_unpaid() -> Vec<Event> {
    and(pending(), [expired()])
}

pub(super) fn cancelled_unpaid() -> Vec<Event> {
    and(pending(), [cancelled(CancelledBy::Client)])
}

/// 500.00 of 1500.00 went back.
pub(super) fn partially_refunded() -> Vec<Event> {
    and(
        paid(),
        [refund_settled(
            RefundKind::Refund,
            Some("r1"),
            50_000,
            0,
            50_000,
        )],
    )
}

pub(super) fn refunded() -> Vec<Event> {
    and(
        paid(),
        [refund_settled(RefundKind::Refund, Some("r1"), DUE, 0, DUE)],
    )
}

pub(super) fn disputed() -> Vec<Event> {
    let opened = case_named(1, ExceptionKind::Dispute, "d1", "t1", open_time());
    and(paid(), [dispute_opened("d1", "t1", DUE), opened])
}

pub(super) fn charged_back() -> Vec<Event> {
    and(
        disputed(),
        [
            dispute_closed("d1", "t1", DisputeOutcome::Lost, DUE, 0),
            resolved(1),
        ],
    )
}

pub(super) fn and(mut events: Vec<Event>, more: impl IntoIterator<Item = Event>) -> Vec<Event> {
    events.extend(more);
    events
}

// Facts.

pub(super) fn fact(kind: FactKind) -> Fact {
    Fact::bare(kind)
}

/// `transaction` took `money`.
pub(super) fn captured(transaction: &str, money: Money) -> Fact {
    let mut fact = fact(FactKind::Captured);
    (fact.transaction, fact.amount) = (Some(reference(transaction)), Some(money));
    fact
}

pub(super) fn captured_at(transaction: &str, money: Money, provider_time: ProviderTime) -> Fact {
    let mut fact = captured(transaction, money);
    fact.provider_time = Some(provider_time);
    fact
}

pub(super) fn to_the_second(clock: &str) -> ProviderTime {
    ProviderTime {
        at: time(clock),
        precision: Precision::Second,
    }
}

/// A reversal of `transaction`.
pub(super) fn of(transaction: &str, kind: FactKind) -> Fact {
    let mut fact = fact(kind);
    fact.transaction = Some(reference(transaction));
    fact
}

pub(super) fn refund_of(transaction: &str, minor: i64, id: &str) -> Fact {
    let (amount, reversal) = (RefundAmount::Delta(amd(minor)), Some(reference(id)));
    of(transaction, FactKind::Refunded { amount, reversal })
}

pub(super) fn refunded_so_far(transaction: &str, minor: i64) -> Fact {
    let amount = RefundAmount::Cumulative(sum(minor));
    of(
        transaction,
        FactKind::Refunded {
            amount,
            reversal: None,
        },
    )
}

pub(super) fn voided(transaction: &str) -> Fact {
    of(transaction, FactKind::Voided { reversal: None })
}

pub(super) fn refund_failed(transaction: &str, id: &str) -> Fact {
    of(
        transaction,
        FactKind::RefundFailed {
            reversal: Some(reference(id)),
        },
    )
}

pub(super) fn dispute(transaction: &str, id: &str, amount: Option<Money>) -> Fact {
    let dispute = reference(id);
    of(
        transaction,
        FactKind::DisputeOpened {
            dispute,
            amount,
            reason: None,
            due_by: None,
        },
    )
}

pub(super) fn dispute_lost(id: &str) -> Fact {
    fact(FactKind::DisputeLost {
        dispute: reference(id),
    })
}

pub(super) fn dispute_won(id: &str) -> Fact {
    fact(FactKind::DisputeWon {
        dispute: reference(id),
    })
}

// Commands.

/// An observation about attempt 1 of `sim/sim-main`, until it is changed.
pub(super) fn says(class: EvidenceClass, facts: impl IntoIterator<Item = Fact>) -> RecordFacts {
    RecordFacts {
        observation: Observation {
            provider: sim(),
            account: account("sim-main"),
            class,
            facts: facts.into_iter().collect(),
            commitment: Commitment(Digest32([7; 32])),
            received_at: open_time(),
        },
        target: Target::Attempt(1),
        rules: AccountRules {
            minimum: EvidenceClass::Signed,
            look_up: true,
            mode: Mode::Live,
            payee: None,
            asks_first: false,
            one_phase: false,
        },
        order_is_ours: true,
    }
}

/// A signed notification.
pub(super) fn signed(facts: impl IntoIterator<Item = Fact>) -> RecordFacts {
    says(EvidenceClass::Signed, facts)
}

/// The answer to our own question.
pub(super) fn looked_up(facts: impl IntoIterator<Item = Fact>) -> RecordFacts {
    says(EvidenceClass::LookedUp, facts)
}

impl RecordFacts {
    pub(super) fn about(mut self, attempt_no: u32) -> Self {
        self.target = Target::Attempt(attempt_no);
        self
    }

    pub(super) fn rules(mut self, change: impl FnOnce(&mut AccountRules)) -> Self {
        change(&mut self.rules);
        self
    }

    pub(super) fn without_look_up(self) -> Self {
        self.rules(|rules| rules.look_up = false)
    }
}

impl From<RecordFacts> for Command {
    fn from(facts: RecordFacts) -> Self {
        Self::RecordFacts(Box::new(facts))
    }
}

pub(super) fn start(slug: &str) -> Command {
    Command::StartAttempt(StartAttempt {
        provider: sim(),
        account: account(slug),
        session_s_max: 7200,
    })
}

pub(super) fn precheck(attempt_no: u32, amount: Money) -> Command {
    Command::Precheck(Precheck {
        attempt_no,
        account: account("sim-main"),
        other_payee: false,
        amount,
    })
}

pub(super) fn cancel() -> Command {
    Command::Cancel {
        by: CancelledBy::Client,
        superseded_by: None,
    }
}

/// The amount of a request with its attempt's account.
pub(super) fn confirm(attempt_no: u32) -> Command {
    Command::ConfirmAttempt {
        attempt_no,
        provider_order_ref: Some(order_ref(attempt_no)),
        pay_url: Some(format!("https://pay.example/{attempt_no}")),
        session_expires_at: None,
    }
}
