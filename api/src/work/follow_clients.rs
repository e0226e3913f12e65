//! Keeps the directory of callers up with the log: a revoked token is refused within a second.

use std::sync::Arc;

use super::health::Health;
use super::supervise::Stop;
use crate::app::directory::{CallerDirectory, POLL};
use domain::ports::{Clock, EventStore};

/// Name of the loop.
pub const NAME: &str = "clients";

/// Runs until it is asked to stop.
pub async fn run(
    directory: Arc<CallerDirectory>,
    store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    mut stop: Stop,
) {
    while !stop.asked() {
        match directory.catch_up().await {
            Ok(()) => health.works(NAME, clock.now(), None),
            Err(error) => {
                tracing::warn!(error = %error, "clients.behind");
                health.fails(NAME, clock.now(), error.to_string());
            }
        }
        tokio::select! {
            biased;
            () = stop.wait() => return,
            () = store.wake_up(directory.position()) => {}
            () = clock.sleep(POLL) => {}
        }
    }
}
