//! Expires requests whose time is over. The provider is asked before.

use std::sync::Arc;
use std::time::Duration;

use domain::ids::PaymentRequestId;
use tokio::task::JoinSet;

use super::health::Health;
use super::supervise::Stop;
use crate::app::App;
use crate::app::error::AppError;

/// Name of the loop.
pub const NAME: &str = "expire";
/// Requests looked at in one go.
const PAGE: usize = 100;
/// Requests looked at side by side.
const AT_ONCE: usize = 16;
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

/// Requests are looked at side by side, so that a provider that does not answer holds up no other.
async fn turn(app: &Arc<App>, stop: &Stop) -> Result<(), AppError> {
    let (now, mut after) = (app.recorder.now(), None);
    let mut under_way = JoinSet::new();
    loop {
        let page = app.due_expiries(now, after, PAGE).await?;
        for due in page.rows {
            if stop.asked() {
                break;
            }
            if under_way.len() >= AT_ONCE
                && let Some(ended) = under_way.join_next().await
            {
                ended.map_err(AppError::bug)??;
            }
            under_way.spawn(look_at(Arc::clone(app), due.request));
        }
        after = page.next;
        if after.is_none() || stop.asked() {
            break;
        }
    }
    while let Some(ended) = under_way.join_next().await {
        ended.map_err(AppError::bug)??;
    }
    Ok(())
}

/// Requests in trouble, however many, never hold up the others; they are looked at again in the next
/// turn.
async fn look_at(app: Arc<App>, request: PaymentRequestId) -> Result<(), AppError> {
    match app.expire_request(&request).await {
        Ok(_) => Ok(()),
        Err(error @ (AppError::StoreUnavailable { .. } | AppError::StoreFull)) => Err(error),
        Err(error) => {
            tracing::error!(payment_request_id = %request, error = %error, "expire.stuck");
            Ok(())
        }
    }
}
