//! From the commit to the receiver: how long after the durable append of a payment's events its
//! `payment.verified` reaches a subscriber over a socket, how fast a backlog goes out, and what one
//! subscriber that hangs costs the others; beside empty POSTs to the same receiver.
//!
//! The whole way is measured: the view that queues deliveries, the dispatcher, the signature and
//! the request. Payments come at a fixed rate whether the last ones have arrived or not, so that
//! a queue that falls behind shows.

mod backlog;
mod receiver;
mod steady;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::{MerchantId, SubscriberId};
use domain::subscriber::{DeliveryPolicy, IN_FLIGHT_MAX, PER_SECOND_MAX};
use serde_json::{Value, json};

use self::receiver::Running;
use super::BenchError;
use super::client::{Requests, post, pour};
use super::scratch::Scratch;
use super::timing::Measured;
use crate::app::context::Context;
use crate::app::subscribers::NewSubscriber;
use crate::compose::{self, Node};
use crate::config::Settings;

/// Connections that empty POSTs come over; as many as one subscriber may have requests at once.
const EMPTY_CONNECTIONS: usize = IN_FLIGHT_MAX as usize;

/// Rows of every kind. `payments` is the length of the backlog.
pub(super) async fn measure(
    scratch: &Scratch,
    time: Duration,
    payments: u64,
) -> Result<Value, BenchError> {
    let mut rows = steady::measure(scratch, time).await?;
    rows.extend(backlog::measure(scratch, time, payments).await?);
    Ok(Value::Array(rows))
}

/// A row of the report; figures of the empty receiver stand beside the ledger's.
fn row(what: &str, told: &Measured, empty: &Measured) -> Value {
    json!({
        "what": what,
        "deliveries": told.done,
        "per_s": told.per_second(),
        "p50_us": told.percentile_us(50),
        "p95_us": told.percentile_us(95),
        "p99_us": told.percentile_us(99),
        "empty_p50_us": empty.percentile_us(50),
        "empty_p95_us": empty.percentile_us(95),
        "empty_per_s": empty.per_second(),
    })
}

/// Empty POSTs to the receiver, one after the other on each connection.
async fn empty(
    receiver: &Running,
    connections: usize,
    time: Duration,
) -> Result<Measured, BenchError> {
    let nothing: Requests = Arc::new(|_, _| Some(post(receiver::EMPTY_PATH, "", "")));
    pour(
        &receiver.clock,
        receiver.address,
        connections,
        time,
        &nothing,
    )
    .await
}

/// Settings of a ledger whose subscribers live on this machine.
fn settings(scratch: &Scratch, name: &str) -> Result<Settings, BenchError> {
    let mut settings = scratch.settings(name)?;
    settings.delivery.allow_networks = vec!["127.0.0.0/8".to_owned()];
    settings.delivery.danger_allow_http = true;
    Ok(settings)
}

/// Adds `count` subscribers, each with a path of its own. What is measured is the way to them and
/// not their wish for calm, so their rate is the highest; how many requests each takes at once is
/// `at_once`.
async fn subscribe(
    scratch: &Scratch,
    name: &str,
    receiver: &Running,
    count: usize,
    at_once: u16,
) -> Result<(), BenchError> {
    let failed = BenchError::at("subscriber");
    let opened = scratch.ledger(name).await?;
    let merchant = MerchantId::parse("bench").map_err(&failed)?;
    for number in 0..count {
        let id = SubscriberId::parse(format!("bench-{number}")).map_err(&failed)?;
        let subscriber = NewSubscriber {
            policy: DeliveryPolicy {
                max_in_flight: at_once,
                per_second: PER_SECOND_MAX,
                burst: PER_SECOND_MAX,
                ..DeliveryPolicy::default()
            },
            ..NewSubscriber::usual(id, receiver.url(number))
        };
        let context = Context::job("bench");
        let added = opened.app.add_subscriber(&merchant, &context, subscriber);
        added.await.map_err(BenchError::at("subscriber"))?;
    }
    Ok(())
}

async fn start(settings: &Settings) -> Result<Node, BenchError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(BenchError::at("listener"))?;
    compose::start(settings, listener)
        .await
        .map_err(BenchError::at("ledger"))
}
