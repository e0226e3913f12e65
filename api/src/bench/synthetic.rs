//! Payment histories as the domain would decide them, written as records and ready to append. No
//! provider, no payer and no money stands behind them.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::actor::{Actor, Cause, Source};
use domain::codec::encode;
use domain::digest::Digest32;
use domain::ids::{
    AccountSlug, BadId, ClientId, MerchantId, OrderId, PaymentRequestId, ProviderCode, ProviderRef,
    ScenarioId,
};
use domain::money::{Currency, MinorText, Money};
use domain::payment::command::{RecordFacts, StartAttempt, Target};
use domain::payment::evidence::{AccountRules, EvidenceClass, Mode};
use domain::payment::fact::{Fact, FactKind, Observation};
use domain::payment::terms::{PartialPolicy, Rules};
use domain::payment::{Command, Event, PricedBy, Request, Terms, decide, evolve};
use domain::ports::{AppendRequest, BoxError, Expect};
use domain::record::{Envelope, Record};
use domain::sealed::Commitment;
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;

use super::BenchError;
use crate::app::recorder::Recorder;

/// Events that one history comes to: created, started, registered, in progress, captured, verified.
pub(super) const EVENTS_PER_HISTORY: u64 = 6;

/// The first event of history `number`, as one append.
pub(super) fn create_only(number: u64, recorder: &Recorder) -> Result<AppendRequest, BenchError> {
    write(number, 1, recorder).map_err(BenchError::at("synthetic event"))
}

/// All events of history `number`, as one append.
pub(super) fn history(number: u64, recorder: &Recorder) -> Result<AppendRequest, BenchError> {
    write(number, usize::MAX, recorder).map_err(BenchError::at("synthetic event"))
}

fn write(number: u64, events_max: usize, recorder: &Recorder) -> Result<AppendRequest, BoxError> {
    let now = recorder.now();
    let id = PaymentRequestId::parse(format!(
        "pr_{}",
        Digest32::sha256(&[&number.to_be_bytes()]).short()
    ))?;
    let stream = StreamId::payment_request(&id);
    let mut events = vec![];
    for (version, event) in decided(number, id, now, events_max)?.iter().enumerate() {
        events.push(Record::write(&envelope(
            &stream,
            Version(version as u64),
            event,
            now,
            recorder,
        )?)?);
    }
    Ok(AppendRequest {
        stream,
        expect: Expect::NoStream,
        events,
        claims: vec![],
    })
}

fn decided(
    number: u64,
    id: PaymentRequestId,
    now: Timestamp,
    events_max: usize,
) -> Result<Vec<Event>, BoxError> {
    let account = AccountSlug::parse("bench-main")?;
    let provider = ProviderCode::parse("stripe")?;
    let amount = Money::new(
        150_000,
        Currency::from_code("AMD").ok_or("no such currency")?,
    )?;
    let mut events: Vec<Event> = vec![];
    let mut request: Option<Request> = None;
    let commands = [
        Command::Create(Box::new(terms(number, id.clone(), amount, &account, now)?)),
        Command::StartAttempt(StartAttempt {
            provider: provider.clone(),
            account: account.clone(),
            session_s_max: 1200,
        }),
        Command::ConfirmAttempt {
            attempt_no: 1,
            provider_order_ref: Some(ProviderRef::parse(format!("bo_{number}"))?),
            pay_url: Some(format!("https://pay.example/{number}")),
            session_expires_at: None,
        },
        said(&provider, &account, Fact::bare(FactKind::Processing), now),
        said(
            &provider,
            &account,
            Fact {
                transaction: Some(ProviderRef::parse(format!("bt_{number}"))?),
                amount: Some(amount),
                ..Fact::bare(FactKind::Captured)
            },
            now,
        ),
    ];
    for command in &commands {
        if events.len() >= events_max {
            break;
        }
        let new = decide(request.as_ref(), command, now)?;
        request = new.iter().fold(request, evolve);
        events.extend(new);
    }
    Ok(events)
}

fn terms(
    number: u64,
    id: PaymentRequestId,
    amount: Money,
    account: &AccountSlug,
    now: Timestamp,
) -> Result<Terms, BadId> {
    Ok(Terms {
        id,
        merchant: MerchantId::parse("bench")?,
        client: ClientId::parse("bench")?,
        order_id: OrderId::parse(format!("order-{number:010}"))?,
        customer_ref: None,
        scenario: ScenarioId::parse("bench")?,
        amount,
        priced_by: PricedBy::Amount {},
        mode: Mode::Test,
        expires_at: now.plus(Duration::from_secs(3600)),
        rules: Rules {
            partial: PartialPolicy::RejectToReview,
            tolerance_minor: MinorText(0),
            accounts: vec![account.clone()],
            auto_accept_on_time: false,
            overrides: domain::payment::OverrideRules::default(),
        },
        supersedes: None,
        correlation_id: None,
    })
}

fn said(provider: &ProviderCode, account: &AccountSlug, fact: Fact, now: Timestamp) -> Command {
    Command::RecordFacts(Box::new(RecordFacts {
        observation: Observation {
            provider: provider.clone(),
            account: account.clone(),
            class: EvidenceClass::Signed,
            facts: vec![fact],
            commitment: Commitment::to(&[0; 32], b"synthetic"),
            received_at: now,
        },
        target: Target::Attempt(1),
        rules: AccountRules {
            minimum: EvidenceClass::Signed,
            look_up: false,
            mode: Mode::Test,
            payee: None,
            asks_first: false,
            one_phase: true,
        },
        order_is_ours: true,
    }))
}

fn envelope(
    stream: &StreamId,
    version: Version,
    event: &Event,
    now: Timestamp,
    recorder: &Recorder,
) -> Result<Envelope, BadId> {
    let encoded = encode(event);
    Ok(Envelope {
        v: 1,
        origin: recorder.origin().to_owned(),
        merchant: Some(MerchantId::parse("bench")?),
        stream: stream.clone(),
        stream_version: version,
        event_id: recorder.entropy().event_id(now),
        event_type: encoded.event_type,
        type_v: encoded.type_v,
        recorded_at: now,
        occurred_at: now,
        actor: Actor::job("bench"),
        on_behalf_of: None,
        source: Source {
            entry: "bench".to_owned(),
            node: "bench".to_owned(),
            ip_prefix: None,
        },
        cause: Cause {
            command: "bench".to_owned(),
            command_id: recorder.entropy().event_id(now),
            key_hmac: None,
            fingerprint: None,
            causation_id: None,
            correlation_id: None,
        },
        claims: vec![],
        reason: None,
        evidence: vec![],
        data: encoded.data,
        pii: BTreeMap::new(),
    })
}
