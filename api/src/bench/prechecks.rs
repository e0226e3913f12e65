//! How long a provider waits that asks before money moves: Idram's precheck over HTTP, first with the
//! durable append of the answer, then again from the stream alone, beside a handler that reads the
//! same body and does nothing.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use domain::access::scope::Scope;
use domain::idempotency::{Idempotency, KeyScope};
use domain::ids::{
    AccountSlug, ClientId, IdempotencyKey, MerchantId, OrderId, PaymentRequestId, ScenarioId,
};
use domain::money::{Currency, Money};
use domain::payment::event::PrecheckVerdict;
use domain::payment::evidence::Mode;
use serde_json::{Value, json};

use super::client::{Requests, post_form, pour};
use super::empty::Empty;
use super::scratch::{ASKING_ACCOUNT, ASKING_PAYEE, Scratch};
use super::{BenchError, LEVELS};
use crate::app::App;
use crate::app::caller::{Caller, Who};
use crate::app::context::Context;
use crate::app::create::{NewOrder, NewPaymentRequest, Pricing};
use crate::compose::{self, Node};

/// Where Idram asks.
const PATH: &str = "/v1/callbacks/idram/bench-asking";
/// So many attempts are asked about for one figure, at least.
const ATTEMPTS_MIN: usize = 512;
/// So many by one connection, at least.
const PER_CONNECTION_MIN: usize = 16;
/// So many are prepared at once.
const PREPARED_AT_ONCE: usize = 64;
/// What each asks for.
const AMOUNT_MINOR: i64 = 150_000;

/// One row per level.
pub(super) async fn measure(scratch: &Scratch, time: Duration) -> Result<Value, BenchError> {
    let node = node(scratch).await?;
    let clock = Arc::clone(node.app.recorder.clock());
    let empty = Empty::at(PATH)?;
    let mut rows = vec![];
    for connections in LEVELS {
        let each = (ATTEMPTS_MIN / connections).max(PER_CONNECTION_MIN);
        let attempts = prepare(&node.app, connections, each * connections).await?;
        let attempts = Arc::new(attempts);
        let (once, again) = (once(&attempts, each), for_ever(&attempts, each));
        let nothing = pour(&clock, empty.address, connections, time, &again).await?;
        // However long it takes: every attempt is asked about, and none twice.
        let first = pour(&clock, node.address, connections, Duration::MAX / 4, &once).await?;
        let again = pour(&clock, node.address, connections, time, &again).await?;
        allowed(&node.app, &attempts).await?;
        rows.push(json!({
            "connections": connections,
            "first_p50_us": first.percentile_us(50),
            "first_p99_us": first.percentile_us(99),
            "again_p50_us": again.percentile_us(50),
            "again_p99_us": again.percentile_us(99),
            "again_per_s": again.per_second(),
            "empty_p50_us": nothing.percentile_us(50),
            "empty_p99_us": nothing.percentile_us(99),
            "empty_per_s": nothing.per_second(),
        }));
    }
    empty.stop().await?;
    node.stop().await;
    Ok(Value::Array(rows))
}

async fn node(scratch: &Scratch) -> Result<Node, BenchError> {
    drop(scratch.ledger("prechecks").await?);
    let settings = scratch.settings("prechecks")?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(BenchError::at("listener"))?;
    compose::start(&settings, listener)
        .await
        .map_err(BenchError::at("ledger"))
}

/// Payment requests, each with an attempt that waits for its payer.
async fn prepare(
    app: &Arc<App>,
    level: usize,
    many: usize,
) -> Result<Vec<PaymentRequestId>, BenchError> {
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..PREPARED_AT_ONCE {
        let app = Arc::clone(app);
        tasks.spawn(async move {
            let caller = caller()?;
            let mut made = vec![];
            for number in (lane..many).step_by(PREPARED_AT_ONCE) {
                made.push(prepare_one(&app, &caller, &format!("order-{level}-{number}")).await?);
            }
            Ok::<_, BenchError>(made)
        });
    }
    let mut all = vec![];
    while let Some(made) = tasks.join_next().await {
        all.extend(made.map_err(BenchError::at("attempts"))??);
    }
    Ok(all)
}

async fn prepare_one(
    app: &App,
    caller: &Caller,
    order: &str,
) -> Result<PaymentRequestId, BenchError> {
    let key = IdempotencyKey::parse(order).map_err(BenchError::at("attempts"))?;
    let scope = KeyScope {
        merchant: &caller.merchant,
        caller: &caller.who.key(),
        route: "bench",
    };
    let mut context = Context::of(caller.actor(), "bench");
    context.idempotency = Some(Idempotency::of(
        app.recorder.key(),
        &scope,
        &key,
        order.as_bytes(),
    ));
    let order = NewOrder {
        order_id: OrderId::parse(order).map_err(BenchError::at("attempts"))?,
        scenario: ScenarioId::parse("bench").map_err(BenchError::at("attempts"))?,
        customer_ref: None,
    };
    let amount = amount()?;
    let new = NewPaymentRequest {
        pricing: Pricing::Amount { amount, order },
        expires_in_s: None,
        supersede: false,
        correlation_id: None,
    };
    let created = app.create_payment_request(caller, &context, new).await;
    let created = created.map_err(BenchError::at("attempts"))?;
    let id = created.request.terms().id.clone();
    context.idempotency = None;
    let account = AccountSlug::parse(ASKING_ACCOUNT).map_err(BenchError::at("attempts"))?;
    let started = app.start_attempt(caller, &context, &id, Some(&account));
    started.await.map_err(BenchError::at("attempts"))?;
    Ok(id)
}

fn amount() -> Result<Money, BenchError> {
    Currency::from_code("AMD")
        .and_then(|drams| Money::new(AMOUNT_MINOR, drams).ok())
        .ok_or_else(|| BenchError::at("amount")("no such money".to_owned()))
}

fn caller() -> Result<Caller, BenchError> {
    Ok(Caller {
        who: Who::Client(ClientId::parse("bench").map_err(BenchError::at("client"))?),
        merchant: MerchantId::parse("bench").map_err(BenchError::at("client"))?,
        mode: Mode::Test,
        key_id: "bench".to_owned(),
        scopes: [Scope::AmountSet].into(),
        scenarios: [ScenarioId::parse("bench").map_err(BenchError::at("client"))?].into(),
        subscriber: None,
        own_only: false,
    })
}

/// Each connection asks about its own attempts, each once.
fn once(attempts: &Arc<Vec<PaymentRequestId>>, each: usize) -> Requests {
    let attempts = Arc::clone(attempts);
    Arc::new(move |connection, turn| {
        let turn = usize::try_from(turn).ok().filter(|turn| *turn < each)?;
        Some(question(&attempts[connection * each + turn]))
    })
}

/// The same, over and over.
fn for_ever(attempts: &Arc<Vec<PaymentRequestId>>, each: usize) -> Requests {
    let attempts = Arc::clone(attempts);
    Arc::new(move |connection, turn| {
        let turn = usize::try_from(turn).ok()? % each;
        Some(question(&attempts[connection * each + turn]))
    })
}

fn question(request: &PaymentRequestId) -> Vec<u8> {
    let form = format!(
        "EDP_PRECHECK=YES&EDP_BILL_NO={request}-1&EDP_REC_ACCOUNT={ASKING_PAYEE}&EDP_AMOUNT=1500.00"
    );
    post_form(PATH, &form)
}

/// A figure of refusals would be a lie.
async fn allowed(app: &App, attempts: &[PaymentRequestId]) -> Result<(), BenchError> {
    for id in attempts {
        let folded = app.fold_request(id, None).await;
        let request = folded.map_err(BenchError::at("answers"))?.state;
        let told = request
            .iter()
            .flat_map(|request| request.attempts().values());
        let told: Vec<_> = told.flat_map(|attempt| &attempt.prechecks).collect();
        if told != [&PrecheckVerdict::Allowed {}] {
            return Err(BenchError::at("answers")(format!("{id}: {told:?}")));
        }
    }
    Ok(())
}
