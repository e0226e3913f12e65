//! Durable creates over HTTP, beside a handler that reads the same body and does nothing.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use domain::access::role::Role;
use domain::ids::{ClientId, MerchantId, ScenarioId};
use domain::payment::evidence::Mode;
use serde_json::{Value, json};

use super::client::{Requests, post, pour};
use super::empty::Empty;
use super::scratch::Scratch;
use super::timing::percent;
use super::{BenchError, LEVELS};
use crate::app::clients::NewClient;
use crate::app::context::Context;
use crate::compose::{self, Node, Opened};

/// What a request is made under, and where.
const PATH: &str = "/v1/payment-requests";

/// One row per level.
pub(super) async fn measure(scratch: &Scratch, time: Duration) -> Result<Value, BenchError> {
    let (node, token) = node(scratch).await?;
    let clock = Arc::clone(node.app.recorder.clock());
    let empty = Empty::at(PATH)?;
    let mut rows = vec![];
    for connections in LEVELS {
        let requests = creates(&token, connections);
        let nothing = pour(&clock, empty.address, connections, time, &requests).await?;
        let created = pour(&clock, node.address, connections, time, &requests).await?;
        rows.push(json!({
            "connections": connections,
            "creates_per_s": created.per_second(),
            "p50_us": created.percentile_us(50),
            "p99_us": created.percentile_us(99),
            "empty_per_s": nothing.per_second(),
            "empty_p50_us": nothing.percentile_us(50),
            "empty_p99_us": nothing.percentile_us(99),
            "percent_of_empty": percent(created.per_second(), nothing.per_second()),
        }));
    }
    empty.stop().await?;
    node.stop().await;
    Ok(Value::Array(rows))
}

/// A whole ledger with one client.
async fn node(scratch: &Scratch) -> Result<(Node, String), BenchError> {
    let settings = scratch.settings("creates")?;
    let token = {
        let Opened { app, .. } = scratch.ledger("creates").await?;
        let id = ClientId::parse("bench").map_err(BenchError::at("client"))?;
        let merchant = MerchantId::parse("bench").map_err(BenchError::at("client"))?;
        let scenarios = [ScenarioId::parse("bench").map_err(BenchError::at("client"))?].into();
        let context = Context::job("bench");
        let created = app
            .create_client(
                &context,
                NewClient {
                    id,
                    merchant,
                    mode: Mode::Test,
                    role: Role::Backend,
                    scenarios,
                    subscriber: None,
                    token_days: 1,
                },
            )
            .await;
        created.map_err(BenchError::at("client"))?.1.reveal()
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(BenchError::at("listener"))?;
    let node = compose::start(&settings, listener)
        .await
        .map_err(BenchError::at("ledger"))?;
    Ok((node, token))
}

/// Requests of one length; every one creates a payment request of its own.
fn creates(token: &str, level: usize) -> Requests {
    let token = token.to_owned();
    Arc::new(move |connection, turn| {
        let order = format!("order-{level:02}-{connection:02}-{turn:010}");
        let body = json!({
            "order_id": order,
            "scenario": "bench",
            "amount": { "minor": "150000", "currency": "AMD" },
            "customer_ref": "customer-0000001",
        });
        let headers = format!("authorization: Bearer {token}\r\nidempotency-key: {order}\r\n");
        Some(post(PATH, &headers, &body.to_string()))
    })
}
