//! Follows the log and brings money that left one stream to the request that gets it. A process, not a
//! view: it has its own checkpoint and is safe from zero, because a request's fold knows the transfers
//! that it received.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ports::{Filter, Position};
use domain::record::Recorded;
use domain::stream::Category;
use domain::time::Timestamp;

use super::checkpoint::Checkpoint;
use super::health::Health;
use super::supervise::Stop;
use crate::app::App;
use crate::app::error::AppError;

/// Name of the loop.
pub const NAME: &str = "transfers";
/// Where its checkpoint stands.
const NOTE: &str = "follow:transfers";
/// Events looked at in one go.
const PAGE: usize = 500;
/// Wake-ups are hints; the log is looked at this often in any case.
const POLL: Duration = Duration::from_secs(1);
/// What could not be brought is tried again this often.
const RETRY: Duration = Duration::from_secs(15);
/// After an outage.
const AFTER_OUTAGE: Duration = Duration::from_secs(1);
/// Money in transit for longer than this is an alarm.
const ALARM_AFTER: Duration = Duration::from_secs(5 * 60);

struct Loop {
    app: Arc<App>,
    /// Everything up to here was looked at.
    at: Option<Position>,
    /// Money in transit, by the event that it left with.
    transit: BTreeMap<Position, InTransit>,
    checkpoint: Checkpoint,
    retried: Duration,
}

/// Money that left and has not arrived.
struct InTransit {
    left: Recorded,
    since: Timestamp,
    /// The place just before the event. The durable checkpoint stays there, so that a restart finds it.
    before: Option<Position>,
}

/// Runs until it is asked to stop.
pub async fn run(app: Arc<App>, health: Arc<Health>, mut stop: Stop) {
    let clock = Arc::clone(app.recorder.clock());
    let (checkpoint, at) = Checkpoint::load(&app, NOTE).await;
    let mut state = Loop {
        app,
        at,
        transit: BTreeMap::new(),
        checkpoint,
        retried: clock.monotonic(),
    };
    while !stop.asked() {
        match state.turn().await {
            Ok(more) => {
                state.report(&health);
                if more {
                    continue;
                }
            }
            Err(error) => {
                tracing::warn!(error = %error, "transfers.outage");
                health.fails(NAME, clock.now(), error.to_string());
                if stop.sleeps(&*clock, AFTER_OUTAGE).await {
                    return;
                }
                continue;
            }
        }
        let store = Arc::clone(state.app.recorder.store());
        tokio::select! {
            biased;
            () = stop.wait() => return,
            () = store.wake_up(state.at) => {}
            () = clock.sleep(POLL) => {}
        }
    }
}

impl Loop {
    /// One page. True when there may be more right away.
    async fn turn(&mut self) -> Result<bool, AppError> {
        let filter = Filter::categories(&[Category::PaymentRequest, Category::Unmatched]);
        let store = Arc::clone(self.app.recorder.store());
        let page = store.read_all(self.at, &filter, PAGE).await?;
        let more = page.next != page.head;
        for recorded in page.events {
            let position = recorded.position;
            if matches!(
                &*recorded.record.event_type,
                "CaptureReassigned" | "UnmatchedPaymentResolved"
            ) {
                let before = self.at;
                self.bring(recorded, before).await?;
            }
            self.at = Some(position);
        }
        self.at = page.next.or(self.at);
        let now = self.app.recorder.clock().monotonic();
        if !self.transit.is_empty() && now.saturating_sub(self.retried) >= RETRY {
            self.retried = now;
            let waiting: Vec<(Recorded, Option<Position>)> = self
                .transit
                .values()
                .map(|waiting| (waiting.left.clone(), waiting.before))
                .collect();
            for (left, before) in waiting {
                self.bring(left, before).await?;
            }
        }
        self.save().await;
        Ok(more)
    }

    /// An outage ends the turn; what cannot arrive otherwise stays in transit, is listed, and never holds
    /// up the others.
    async fn bring(&mut self, left: Recorded, before: Option<Position>) -> Result<(), AppError> {
        match self.app.complete_transfer(&left).await {
            Ok(arrived) => {
                if let Some(to) = arrived {
                    tracing::info!(payment_request_id = %to, from = %left.stream, "transfer.arrived");
                    metrics::counter!("counterfoil_transfers_total").increment(1);
                }
                self.transit.remove(&left.position);
                Ok(())
            }
            Err(error @ (AppError::StoreUnavailable { .. } | AppError::StoreFull)) => Err(error),
            Err(error) => {
                tracing::error!(from = %left.stream, error = %error, "transfer.stuck");
                let now = self.app.recorder.now();
                let since = left.envelope().map_or(now, |envelope| envelope.recorded_at);
                let waiting = InTransit {
                    left,
                    since,
                    before,
                };
                self.transit.insert(waiting.left.position, waiting);
                Ok(())
            }
        }
    }

    fn report(&self, health: &Health) {
        let now = self.app.recorder.now();
        let oldest = self.transit.values().min_by_key(|waiting| waiting.since);
        let age = oldest.map_or(Duration::ZERO, |oldest| now.since(oldest.since));
        metrics::gauge!("counterfoil_transfers_in_transit").set(self.transit.len() as f64);
        metrics::gauge!("counterfoil_transfers_oldest_seconds").set(age.as_secs_f64());
        match oldest {
            None => health.works(NAME, now, None),
            Some(oldest) => {
                let count = self.transit.len();
                let note = format!("{count} in transit, the oldest since {}", oldest.since);
                if age > ALARM_AFTER {
                    health.alarms(NAME, now, note);
                } else {
                    health.works(NAME, now, Some(note));
                }
            }
        }
    }

    async fn save(&mut self) {
        let before = self.transit.values().map(|waiting| waiting.before).min();
        let safe = before.unwrap_or(self.at);
        self.checkpoint.save(&self.app, safe).await;
    }
}
