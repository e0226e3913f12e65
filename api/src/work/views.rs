//! Runs one runner per view and tells how they do.

use std::sync::Arc;
use std::time::Duration;

use domain::ports::{Clock, EventStore};
use projections::engine::{Runner, RunnerSettings, RunnerState, ViewStatus};
use projections::ports::ViewStore;
use projections::rebuild::Rebuild;
use projections::view::View;
use tokio::sync::watch;

use super::health::Health;

/// Makes the view's first generation, or rebuilds one of another version, then follows the log.
/// Returns when it is asked to stop, or when the view cannot go on. The part counts as not ready from
/// the call on, not only from the first poll of the future.
pub fn run(
    view: Arc<dyn View>,
    store: Arc<dyn EventStore>,
    views: Arc<dyn ViewStore>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    stop: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send {
    let name = format!("view:{}", view.spec().name);
    health.starts(&name, clock.now());
    async move {
        let rebuild = Rebuild::new(
            Arc::clone(&view),
            Arc::clone(&store),
            Arc::clone(&views),
            Arc::clone(&clock),
        );
        let quiet = |_: &projections::rebuild::RebuildProgress| {};
        if let Err(error) = rebuild.ensure_live(&quiet, &stop).await {
            tracing::error!(view = %name, error = %error, "view.cannot_start");
            health.fails(&name, clock.now(), error.to_string());
            return;
        }
        let (runner, handle) = Runner::new(
            view,
            store,
            views,
            Arc::clone(&clock),
            RunnerSettings::default(),
        );
        let watcher = tokio::spawn(watch_status(
            name.clone(),
            handle.status,
            Arc::clone(&clock),
            Arc::clone(&health),
        ));
        if let Err(error) = runner.run(stop).await {
            tracing::error!(view = %name, error = %error, "view.stopped");
            health.fails(&name, clock.now(), error.to_string());
        }
        watcher.abort();
    }
}

async fn watch_status(
    name: String,
    mut changes: watch::Receiver<ViewStatus>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
) {
    loop {
        let status = changes.borrow_and_update().clone();
        let label = name.clone();
        if let Some(behind) = status.behind {
            metrics::gauge!("counterfoil_projection_lag_events", "view" => label.clone())
                .set(behind as f64);
        }
        metrics::gauge!("counterfoil_projection_lag_seconds", "view" => label.clone())
            .set(status.lag.as_secs_f64());
        metrics::gauge!("counterfoil_projection_parked", "view" => label).set(status.parked as f64);
        match status.state {
            RunnerState::Failed | RunnerState::Waiting => {
                health.fails(&name, clock.now(), status.last_error.unwrap_or_default());
            }
            _ if status.parked > 0 => {
                let note = format!("{} streams are held back", status.parked);
                health.alarms(&name, clock.now(), note);
            }
            _ => health.works(&name, clock.now(), None),
        }
        if changes.changed().await.is_err() {
            return;
        }
        // A busy log changes the status with every page; once in a while is enough.
        clock.sleep(Duration::from_millis(200)).await;
    }
}

#[cfg(test)]
mod tests {
    use adapters::memory::ManualClock;
    use domain::time::Timestamp;

    use super::*;

    fn status(parked: u64) -> ViewStatus {
        ViewStatus {
            view: "order_status",
            generation: 1,
            state: RunnerState::UpToDate,
            position: None,
            head: None,
            behind: None,
            lag: Duration::ZERO,
            parked,
            events: 7,
            last_error: None,
        }
    }

    #[tokio::test]
    async fn a_stream_that_is_held_back_asks_for_a_person_and_the_ledger_stays_ready() {
        for (parked, alarm, note) in [(0, false, None), (2, true, Some("2 streams are held back"))]
        {
            let (sender, changes) = watch::channel(status(parked));
            let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(0)));
            let health = Arc::new(Health::default());
            drop(sender);
            watch_status("view:x".to_owned(), changes, clock, Arc::clone(&health)).await;
            let part = health.parts().remove("view:x").unwrap();
            assert_eq!((part.alarm, part.note.as_deref()), (alarm, note));
            assert!(health.ready());
        }
    }
}
