//! Sends due deliveries: the only code that tells subscribers anything.
//!
//! Round-robin over subscribers, each with its own places, breaker and cool-down, so that one that
//! hangs delays nobody else. A row of the queue is a hint: before the socket is opened, the
//! delivery's own stream must say the same.

mod attempt;
mod breaker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::ids::{DeliveryId, SubscriberId};
use domain::ports::HttpOut;
use domain::subscriber::Subscriber;
use tokio::task::JoinSet;

use self::attempt::{Attempted, attempt};
use self::breaker::Breaker;
use super::health::Health;
use super::supervise::Stop;
use crate::app::App;
use crate::app::error::AppError;

/// Name of the loop.
pub const NAME: &str = "deliver";
/// Deliveries of one subscriber under way at once.
const PER_SUBSCRIBER: usize = 4;
/// Deliveries under way at once in all.
const IN_ALL: usize = 64;
/// How often the queue is looked at when nothing happens.
const POLL: Duration = Duration::from_millis(500);
/// How soon after something happened; the view needs a moment.
const SOON: Duration = Duration::from_millis(20);

struct Dispatcher {
    app: Arc<App>,
    http: Arc<dyn HttpOut>,
    breakers: BTreeMap<SubscriberId, Breaker>,
    under_way: BTreeMap<SubscriberId, BTreeSet<DeliveryId>>,
    tasks: JoinSet<(SubscriberId, DeliveryId, Attempted)>,
}

/// Runs until it is asked to stop; what is under way is waited for.
pub async fn run(app: Arc<App>, http: Arc<dyn HttpOut>, health: Arc<Health>, mut stop: Stop) {
    let clock = Arc::clone(app.recorder.clock());
    let store = Arc::clone(app.recorder.store());
    let mut dispatcher = Dispatcher {
        app,
        http,
        breakers: BTreeMap::new(),
        under_way: BTreeMap::new(),
        tasks: JoinSet::new(),
    };
    let mut seen = None;
    while !stop.asked() {
        let head = store.head().await.ok().flatten();
        match dispatcher.turn().await {
            Ok(()) => health.works(NAME, clock.now(), dispatcher.note()),
            Err(error) => {
                tracing::warn!(error = %error, "deliver.outage");
                health.fails(NAME, clock.now(), error.to_string());
            }
        }
        let news = head != seen;
        seen = head;
        let pause = if news { SOON } else { POLL };
        tokio::select! {
            biased;
            () = stop.wait() => {}
            Some(done) = dispatcher.tasks.join_next(), if !dispatcher.tasks.is_empty() => dispatcher.done(done),
            () = clock.sleep(pause) => {}
            () = store.wake_up(seen), if !news => clock.sleep(SOON).await,
        }
    }
    while let Some(done) = dispatcher.tasks.join_next().await {
        dispatcher.done(done);
    }
}

impl Dispatcher {
    async fn turn(&mut self) -> Result<(), AppError> {
        while let Some(done) = self.tasks.try_join_next() {
            self.done(done);
        }
        for subscriber in self.app.list_subscribers(None).await? {
            if self.tasks.len() >= IN_ALL {
                return Ok(());
            }
            self.start_for(&subscriber).await?;
        }
        Ok(())
    }

    async fn start_for(&mut self, subscriber: &Subscriber) -> Result<(), AppError> {
        if subscriber.paused.is_some() {
            return Ok(());
        }
        let monotonic = self.app.recorder.clock().monotonic();
        let places = self.breakers.entry(subscriber.id.clone()).or_default().places(monotonic, PER_SUBSCRIBER);
        let under_way = self.under_way.entry(subscriber.id.clone()).or_default();
        let free = places.saturating_sub(under_way.len()).min(IN_ALL.saturating_sub(self.tasks.len()));
        if free == 0 {
            return Ok(());
        }
        let now = self.app.recorder.now();
        let due = self.app.due_deliveries(subscriber.id.as_str(), now, free + under_way.len()).await?;
        for row in due.into_iter().filter(|row| !under_way.contains(&row.id)).take(free).collect::<Vec<_>>() {
            under_way.insert(row.id.clone());
            let (app, http, subscriber) = (Arc::clone(&self.app), Arc::clone(&self.http), subscriber.clone());
            self.tasks.spawn(async move {
                let attempted = attempt(&app, &*http, &subscriber, &row).await.unwrap_or_else(|error| {
                    tracing::warn!(delivery = %row.id, error = %error, "delivery.not_tried");
                    Attempted::Skipped
                });
                (subscriber.id, row.id, attempted)
            });
        }
        Ok(())
    }

    fn done(&mut self, done: Result<(SubscriberId, DeliveryId, Attempted), tokio::task::JoinError>) {
        let Ok((subscriber, delivery, attempted)) = done else {
            metrics::counter!("counterfoil_loop_panics_total", "loop" => NAME).increment(1);
            return;
        };
        if let Some(under_way) = self.under_way.get_mut(&subscriber) {
            under_way.remove(&delivery);
        }
        let monotonic = self.app.recorder.clock().monotonic();
        let breaker = self.breakers.entry(subscriber.clone()).or_default();
        let result = match attempted {
            Attempted::Arrived => {
                breaker.succeeded();
                "arrived"
            }
            Attempted::Failed { cool_down } => {
                breaker.failed(monotonic, cool_down);
                "failed"
            }
            Attempted::Skipped => "skipped",
        };
        metrics::counter!("counterfoil_delivery_attempts_total", "subscriber" => subscriber.to_string(), "result" => result)
            .increment(1);
    }

    fn note(&self) -> Option<String> {
        let monotonic = self.app.recorder.clock().monotonic();
        let open: Vec<_> =
            self.breakers.iter().filter(|(_, b)| b.is_open(monotonic)).map(|(id, _)| id.as_str()).collect();
        (!open.is_empty()).then(|| format!("left alone for now: {}", open.join(", ")))
    }
}
