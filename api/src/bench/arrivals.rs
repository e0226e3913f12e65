//! From the commit to the receiver: how long after the durable append of a payment's events its
//! `payment.verified` reaches a subscriber over a socket, beside an empty POST to the same receiver.
//!
//! The whole way is measured: the view that queues deliveries, the dispatcher, the signature and
//! the request.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpServer};
use domain::ids::{MerchantId, SubscriberId};
use domain::ports::Clock;
use domain::subscriber::{DeliveryPolicy, PER_SECOND_MAX};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::client::{Requests, post, pour};
use super::scratch::Scratch;
use super::timing::Measured;
use super::{BenchError, LEVELS, synthetic};
use crate::app::context::Context;
use crate::app::recorder::Recorder;
use crate::app::subscribers::NewSubscriber;
use crate::compose::{self, Node};

/// Where the receiver takes events.
const PATH: &str = "/events";
/// An event that takes longer is lost, and the figures with it.
const LONGEST: Duration = Duration::from_secs(30);

/// One row per level.
pub(super) async fn measure(scratch: &Scratch, time: Duration) -> Result<Value, BenchError> {
    let failed = BenchError::at("receiver");
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(&failed)?;
    let address = listener.local_addr().map_err(&failed)?;
    let node = node(scratch, address).await?;
    let clock = Arc::clone(node.app.recorder.clock());
    let receiver = Arc::new(Receiver {
        clock: Arc::clone(&clock),
        awaited: Mutex::default(),
    });
    let server = serve(listener, &receiver).map_err(&failed)?;
    let stopping: ServerHandle = server.handle();
    let serving = tokio::spawn(server);
    let next = Arc::new(AtomicU64::new(0));
    // Once without the clock: the first delivery opens the connection that the others use.
    pay(&node.app.recorder, &receiver, &next).await?;
    let mut rows = vec![];
    for at_once in LEVELS {
        let nothing: Requests = Arc::new(|_, _| Some(post(PATH, "", "")));
        let empty = pour(&clock, address, at_once, time, &nothing).await?;
        let arrived = payments(&node, &receiver, &next, at_once, time).await?;
        rows.push(json!({
            "at_once": at_once,
            "payments": arrived.done,
            "payments_per_s": arrived.per_second(),
            "p50_us": arrived.percentile_us(50),
            "p95_us": arrived.percentile_us(95),
            "p99_us": arrived.percentile_us(99),
            "empty_p50_us": empty.percentile_us(50),
            "empty_p95_us": empty.percentile_us(95),
            "empty_p99_us": empty.percentile_us(99),
        }));
    }
    node.stop().await;
    stopping.stop(false).await;
    serving
        .await
        .map_err(BenchError::at("receiver"))?
        .map_err(&failed)?;
    Ok(Value::Array(rows))
}

/// A whole ledger with one subscriber.
async fn node(scratch: &Scratch, receiver: SocketAddr) -> Result<Node, BenchError> {
    let mut settings = scratch.settings("arrivals")?;
    settings.delivery.allow_networks = vec!["127.0.0.0/8".to_owned()];
    settings.delivery.danger_allow_http = true;
    let failed = BenchError::at("subscriber");
    {
        let opened = scratch.ledger("arrivals").await?;
        let merchant = MerchantId::parse("bench").map_err(&failed)?;
        let id = SubscriberId::parse("bench").map_err(BenchError::at("subscriber"))?;
        let subscriber = NewSubscriber {
            // What is measured is the way to the receiver and not its wish for calm.
            policy: DeliveryPolicy {
                per_second: PER_SECOND_MAX,
                burst: PER_SECOND_MAX,
                ..DeliveryPolicy::default()
            },
            ..NewSubscriber::usual(id, format!("http://{receiver}{PATH}"))
        };
        let context = Context::job("bench");
        let added = opened.app.add_subscriber(&merchant, &context, subscriber);
        added.await.map_err(BenchError::at("subscriber"))?;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(BenchError::at("listener"))?;
    compose::start(&settings, listener)
        .await
        .map_err(BenchError::at("ledger"))
}

/// Payers, each of whom pays again when the last payment has arrived.
async fn payments(
    node: &Node,
    receiver: &Arc<Receiver>,
    next: &Arc<AtomicU64>,
    at_once: usize,
    time: Duration,
) -> Result<Measured, BenchError> {
    let clock = Arc::clone(node.app.recorder.clock());
    let started = clock.monotonic();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let (app, receiver) = (Arc::clone(&node.app), Arc::clone(receiver));
        let (clock, next) = (Arc::clone(&clock), Arc::clone(next));
        tasks.spawn(async move {
            let mut times = vec![];
            while clock.monotonic() < started + time {
                times.push(pay(&app.recorder, &receiver, &next).await?);
            }
            Ok::<_, BenchError>(times)
        });
    }
    let mut all = Measured::default();
    while let Some(ended) = tasks.join_next().await {
        let times = ended.map_err(BenchError::at("payments"))??;
        all.done += times.len() as u64;
        all.each.extend(times);
    }
    all.took = clock.monotonic().saturating_sub(started);
    Ok(all)
}

/// Appends the whole history of one payment; gives the time from the answer of the store to the
/// arrival.
async fn pay(
    recorder: &Recorder,
    receiver: &Receiver,
    next: &AtomicU64,
) -> Result<Duration, BenchError> {
    let request = synthetic::history(next.fetch_add(1, Ordering::Relaxed), recorder)?;
    let subject = request.stream.key().to_owned();
    let arrival = receiver.expect(subject);
    recorder
        .store()
        .append(request)
        .await
        .map_err(BenchError::at("payments"))?;
    let committed = recorder.clock().monotonic();
    let arrived = tokio::time::timeout(LONGEST, arrival)
        .await
        .map_err(BenchError::at("an event did not arrive"))?
        .map_err(BenchError::at("receiver"))?;
    Ok(arrived.saturating_sub(committed))
}

/// Knows which payments are under way, and tells each when its event is there.
struct Receiver {
    clock: Arc<dyn Clock>,
    awaited: Mutex<BTreeMap<String, oneshot::Sender<Duration>>>,
}

impl Receiver {
    fn expect(&self, subject: String) -> oneshot::Receiver<Duration> {
        let (tell, arrival) = oneshot::channel();
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.insert(subject, tell);
        arrival
    }

    fn arrived(&self, body: &[u8]) {
        let now = self.clock.monotonic();
        let event: Value = serde_json::from_slice(body).unwrap_or_default();
        let subject = event["subject"].as_str().unwrap_or_default();
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tell) = awaited.remove(subject) {
            // A payer who waits no longer has told why.
            let _ = tell.send(now);
        }
    }
}

fn serve(listener: TcpListener, receiver: &Arc<Receiver>) -> std::io::Result<Server> {
    let data = Data::from(Arc::clone(receiver));
    let app = move || {
        App::new()
            .app_data(data.clone())
            .route(PATH, web::post().to(take))
    };
    let server = HttpServer::new(app).disable_signals().shutdown_timeout(1);
    Ok(server.listen(listener)?.run())
}

async fn take(body: Bytes, receiver: Data<Receiver>) -> &'static str {
    if !body.is_empty() {
        receiver.arrived(&body);
    }
    "taken"
}
