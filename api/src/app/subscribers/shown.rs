//! A subscriber as people and programs see it, over HTTP and on the command line, and how its queue does.

use domain::delivery::breaker::{Breaker, FAILURES_MAX};
use domain::subscriber::{KeyScheme, Subscriber};
use domain::time::Timestamp;
use projections::views::delivery_queue::{self, SubscriberRow};
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::app::error::AppError;

/// What is counted is counted up to this many.
const COUNT_MAX: usize = 1000;

/// How a subscriber's queue does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct QueueHealth {
    /// Deliveries that are still to be sent or fetched, counted up to [`COUNT_MAX`].
    waiting: usize,
    /// Since when the longest of them waits.
    oldest_waiting_since: Option<Timestamp>,
    /// Deliveries that ended without success and wait for a person, counted up to [`COUNT_MAX`].
    failed: usize,
    /// Failed tries in a row.
    failures_in_a_row: u32,
    /// So many in a row, of two deliveries at least, and it is left alone for a while.
    left_alone_after: u32,
    /// When it is tried again, while it is left alone.
    next_probe_at: Option<Timestamp>,
}

impl App {
    /// A subscriber with how its queue does.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn shown_with_queue(&self, subscriber: &Subscriber) -> Result<Value, AppError> {
        let id = &subscriber.id;
        let reader = self.reader::<SubscriberRow>(delivery_queue::SPEC);
        // A moment after its registration there is no row yet.
        let breaker = reader.get(id.as_str()).await?;
        let breaker = breaker.map_or_else(Breaker::default, |row| row.breaker);
        let oldest = self.oldest_open_delivery(id).await?;
        let health = QueueHealth {
            waiting: self.open_deliveries(id, COUNT_MAX).await?,
            oldest_waiting_since: oldest.map(|row| row.queued_at),
            failed: self.failed_deliveries(id, COUNT_MAX).await?,
            failures_in_a_row: breaker.failures(),
            left_alone_after: FAILURES_MAX,
            next_probe_at: breaker.probe_at(),
        };
        let mut shown = shown(subscriber);
        shown["queue"] = serde_json::to_value(health).map_err(AppError::bug)?;
        Ok(shown)
    }
}

/// A subscriber without its secrets.
pub fn shown(subscriber: &Subscriber) -> Value {
    let keys = subscriber.keys.iter().map(|(key_id, key)| {
        let mut shown = json!({ "id": key_id, "valid_until": key.valid_until });
        match &key.scheme {
            KeyScheme::V1 {} => shown["scheme"] = json!("v1"),
            KeyScheme::V1a { public_key } => {
                shown["scheme"] = json!("v1a");
                shown["public_key"] = json!(public_key);
            }
        }
        shown
    });
    let state = match (subscriber.removed, subscriber.paused) {
        (true, _) => "removed",
        (false, Some(_)) => "paused",
        (false, None) => "active",
    };
    let delivery = if subscriber.url.is_some() {
        "push"
    } else {
        "pull"
    };
    json!({
        "id": subscriber.id, "merchant": subscriber.merchant, "url": subscriber.url, "delivery": delivery, "state": state, "paused": subscriber.paused,
        "left_alone_since": subscriber.circuit_open_since, "events": subscriber.wants.events,
        "scenarios": subscriber.wants.scenarios, "policy": subscriber.policy, "headers": subscriber.headers,
        "keys": keys.collect::<Vec<_>>(),
    })
}
