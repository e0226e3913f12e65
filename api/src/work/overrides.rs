//! Looks after the time of people's decisions: proposals lapse, and overrides that no money proved are
//! told to a person.

use std::sync::Arc;
use std::time::Duration;

use super::health::Health;
use super::supervise::Stop;
use crate::app::App;
use crate::app::error::AppError;

/// Name of the loop.
pub const NAME: &str = "overrides";
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
                tracing::warn!(error = %error, "overrides.outage");
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
        let page = app.due_overrides(now, after, PAGE).await?;
        for due in page.rows {
            if stop.asked() {
                return Ok(());
            }
            match app.check_overrides(&due.request).await {
                Ok(_) => {}
                Err(error @ (AppError::StoreUnavailable { .. } | AppError::StoreFull)) => {
                    return Err(error);
                }
                // A request in trouble holds up no other; it is looked at again in the next turn.
                Err(error) => {
                    tracing::error!(payment_request_id = %due.request, error = %error, "overrides.stuck")
                }
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
