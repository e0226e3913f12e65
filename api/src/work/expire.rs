//! Expires requests whose time is over. The provider is asked before.

use std::sync::Arc;
use std::time::Duration;

use super::health::Health;
use super::supervise::Stop;
use crate::app::App;
use crate::app::error::AppError;

/// Name of the loop.
pub const NAME: &str = "expire";
/// Requests looked at in one go.
const PAGE: usize = 100;
/// How often the timers are looked at.
const POLL: Duration = Duration::from_secs(1);

/// Runs until it is asked to stop.
pub async fn run(app: Arc<App>, health: Arc<Health>, mut stop: Stop) {
    while !stop.asked() {
        let clock = Arc::clone(app.recorder.clock());
        match turn(&app, &stop).await {
            Ok(()) => health.works(NAME, clock.now(), None),
            Err(error) => {
                tracing::warn!(error = %error, "expire.outage");
                health.fails(NAME, clock.now(), error.to_string());
            }
        }
        if stop.sleeps(&*clock, POLL).await {
            return;
        }
    }
}

async fn turn(app: &App, stop: &Stop) -> Result<(), AppError> {
    for due in app.due_expiries(app.recorder.now(), PAGE).await? {
        if stop.asked() {
            return Ok(());
        }
        match app.expire_request(&due.request).await {
            Ok(_) => {}
            Err(error @ (AppError::StoreUnavailable { .. } | AppError::StoreFull)) => {
                return Err(error);
            }
            // One request in trouble never holds up the others; it is looked at again.
            Err(error) => {
                tracing::error!(payment_request_id = %due.request, error = %error, "expire.stuck")
            }
        }
    }
    Ok(())
}
