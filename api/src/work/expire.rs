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
    let (now, mut after) = (app.recorder.now(), None);
    loop {
        let page = app.due_expiries(now, after, PAGE).await?;
        for due in page.rows {
            if stop.asked() {
                return Ok(());
            }
            match app.expire_request(&due.request).await {
                Ok(_) => {}
                Err(error @ (AppError::StoreUnavailable { .. } | AppError::StoreFull)) => {
                    return Err(error);
                }
                // Requests in trouble, however many, never hold up the others; they are looked at
                // again in the next turn.
                Err(error) => {
                    tracing::error!(payment_request_id = %due.request, error = %error, "expire.stuck")
                }
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
