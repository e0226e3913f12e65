//! The receiver of the benchmark: takes events, tells whoever waits for one, counts all requests,
//! and can leave one of its subscribers without an answer.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpServer};
use domain::ports::Clock;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::bench::BenchError;

/// Where it does nothing but read.
pub(super) const EMPTY_PATH: &str = "/empty";
/// Nobody waits so long for an answer.
const NEVER: Duration = Duration::from_secs(3600);
/// No subscriber hangs.
const NOBODY: u64 = u64::MAX;

/// A receiver that runs until it is stopped.
pub(super) struct Running {
    /// What tells the times.
    pub(super) clock: Arc<dyn Clock>,
    /// Where it listens.
    pub(super) address: SocketAddr,
    known: Arc<Known>,
    stopping: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
}

/// What it knows of the events under way.
struct Known {
    clock: Arc<dyn Clock>,
    awaited: Mutex<BTreeMap<(usize, String), oneshot::Sender<Duration>>>,
    requests: AtomicU64,
    hanging: AtomicU64,
}

impl Running {
    /// Listens on a free port of this machine.
    pub(super) fn start(clock: Arc<dyn Clock>) -> Result<Self, BenchError> {
        let failed = BenchError::at("receiver");
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(&failed)?;
        let address = listener.local_addr().map_err(&failed)?;
        let known = Arc::new(Known {
            clock: Arc::clone(&clock),
            awaited: Mutex::default(),
            requests: AtomicU64::new(0),
            hanging: AtomicU64::new(NOBODY),
        });
        let server = serve(listener, &known).map_err(&failed)?;
        Ok(Self {
            clock,
            address,
            known,
            stopping: server.handle(),
            serving: tokio::spawn(server),
        })
    }

    /// Where subscriber `number` takes its events.
    pub(super) fn url(&self, number: usize) -> String {
        format!("http://{}/events/{number}", self.address)
    }

    /// Gives the time at which subscriber `number` gets the event about `subject`.
    pub(super) fn expect(&self, number: usize, subject: &str) -> oneshot::Receiver<Duration> {
        let (tell, arrival) = oneshot::channel();
        let mut awaited = self.known.awaited();
        awaited.insert((number, subject.to_owned()), tell);
        arrival
    }

    /// Events that came so far, to whomever.
    pub(super) fn requests(&self) -> u64 {
        self.known.requests.load(Ordering::Relaxed)
    }

    /// From now on subscriber `number` takes everything and answers nothing.
    pub(super) fn hang(&self, number: usize) {
        self.known.hanging.store(number as u64, Ordering::Relaxed);
    }

    /// Stops it, without waiting for those who hang.
    pub(super) async fn stop(self) -> Result<(), BenchError> {
        self.stopping.stop(false).await;
        self.serving
            .await
            .map_err(BenchError::at("receiver"))?
            .map_err(BenchError::at("receiver"))
    }
}

impl Known {
    fn awaited(
        &self,
    ) -> std::sync::MutexGuard<'_, BTreeMap<(usize, String), oneshot::Sender<Duration>>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self, number: usize, body: &[u8]) {
        let now = self.clock.monotonic();
        let event: Value = serde_json::from_slice(body).unwrap_or_default();
        let subject = event["subject"].as_str().unwrap_or_default().to_owned();
        self.requests.fetch_add(1, Ordering::Relaxed);
        if let Some(tell) = self.awaited().remove(&(number, subject)) {
            // A payer who waits no longer has told why.
            let _ = tell.send(now);
        }
    }
}

fn serve(listener: TcpListener, known: &Arc<Known>) -> std::io::Result<Server> {
    let data = Data::from(Arc::clone(known));
    let app = move || {
        App::new()
            .app_data(data.clone())
            .route(EMPTY_PATH, web::post().to(nothing))
            .route("/events/{number}", web::post().to(take))
    };
    let server = HttpServer::new(app).disable_signals().shutdown_timeout(1);
    Ok(server.listen(listener)?.run())
}

async fn nothing(body: Bytes) -> &'static str {
    if body.is_empty() { "empty" } else { "read" }
}

async fn take(number: web::Path<usize>, body: Bytes, known: Data<Known>) -> &'static str {
    if known.hanging.load(Ordering::Relaxed) == *number as u64 {
        known.clock.sleep(NEVER).await;
    }
    known.arrived(*number, &body);
    "taken"
}
