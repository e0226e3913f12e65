//! Follows the log and applies received notifications. A process, not a view: it has its own
//! checkpoint and is safe from zero, because each notification's stream and the request's fold tell
//! what was done already.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::payment::Outcome;
use domain::ports::{Filter, Position};
use domain::stream::{Category, StreamId};

use super::checkpoint::Checkpoint;
use super::health::Health;
use super::supervise::Stop;
use crate::app::App;
use crate::app::error::AppError;

/// Name of the loop.
pub const NAME: &str = "apply_notifications";
/// Where its checkpoint stands.
const NOTE: &str = "follow:apply_notifications";
/// Events looked at in one go.
const PAGE: usize = 500;
/// Wake-ups are hints; the log is looked at this often in any case.
const POLL: Duration = Duration::from_secs(1);
/// Parked ones are tried again this often, besides when something new may explain them.
const RETRY_PARKED: Duration = Duration::from_secs(15);
/// After an outage.
const AFTER_OUTAGE: Duration = Duration::from_secs(1);

struct Loop {
    app: Arc<App>,
    health: Arc<Health>,
    /// Everything up to here was looked at.
    at: Option<Position>,
    /// Not settled yet, with the place just before them. The durable checkpoint stays before the
    /// oldest, so that a restart finds them again.
    parked: BTreeMap<StreamId, Option<Position>>,
    checkpoint: Checkpoint,
    retried: Duration,
}

/// Runs until it is asked to stop.
pub async fn run(app: Arc<App>, health: Arc<Health>, mut stop: Stop) {
    let retried = app.recorder.clock().monotonic();
    let (checkpoint, at) = Checkpoint::load(&app, NOTE).await;
    let mut state = Loop {
        app,
        health,
        at,
        parked: BTreeMap::new(),
        checkpoint,
        retried,
    };
    while !stop.asked() {
        let clock = Arc::clone(state.app.recorder.clock());
        match state.turn().await {
            Ok(more) => {
                let note =
                    (!state.parked.is_empty()).then(|| format!("{} parked", state.parked.len()));
                state.health.works(NAME, clock.now(), note);
                if more {
                    continue;
                }
            }
            Err(error) => {
                tracing::warn!(error = %error, "apply_notifications.outage");
                state.health.fails(NAME, clock.now(), error.to_string());
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
        let filter = Filter::categories(&[Category::Notification, Category::PaymentRequest]);
        let page = self
            .app
            .recorder
            .store()
            .read_all(self.at, &filter, PAGE)
            .await?;
        let more = page.next != page.head;
        let mut news = false;
        for recorded in page.events {
            match &*recorded.record.event_type {
                "NotificationReceived" => self.apply(&recorded.stream).await?,
                "AttemptStarted" | "AttemptRegistered" | "PaymentCaptured" | "CaptureReceived"
                | "RefundAccepted" | "RefundSettled" | "RefundUncertain" => news = true,
                _ => {}
            }
            self.at = Some(recorded.position);
        }
        self.at = page.next.or(self.at);
        let now = self.app.recorder.clock().monotonic();
        if news || now.saturating_sub(self.retried) >= RETRY_PARKED {
            self.retried = now;
            let parked: Vec<StreamId> = self.parked.keys().cloned().collect();
            for stream in parked {
                self.apply(&stream).await?;
            }
        }
        self.save().await;
        Ok(more)
    }

    /// An outage ends the turn; what is our own mistake is parked and listed, and never stops the
    /// others.
    async fn apply(&mut self, stream: &StreamId) -> Result<(), AppError> {
        match self.app.apply_notification(stream).await {
            Ok(Some(Outcome::Parked)) => {
                self.parked.entry(stream.clone()).or_insert(self.at);
            }
            Ok(outcome) => {
                self.parked.remove(stream);
                if let Some(outcome) = outcome {
                    metrics::counter!("counterfoil_notifications_total", "outcome" => outcome.as_str()).increment(1);
                }
            }
            Err(error @ (AppError::StoreUnavailable { .. } | AppError::StoreFull)) => {
                return Err(error);
            }
            Err(error) => {
                tracing::error!(%stream, error = %error, "notification.stuck");
                self.parked.entry(stream.clone()).or_insert(self.at);
            }
        }
        Ok(())
    }

    async fn save(&mut self) {
        let safe = self.parked.values().min().copied().unwrap_or(self.at);
        self.checkpoint.save(&self.app, safe).await;
    }
}
