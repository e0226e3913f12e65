//! How fast what has gathered goes out, and that a rebuild of the queue sends nothing.

use std::sync::Arc;
use std::time::Duration;

use domain::subscriber::IN_FLIGHT_MAX;
use projections::ports::At;
use projections::rebuild::{Rebuild, Rebuilt};
use projections::views::delivery_queue::{self, DeliveryQueueView};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::receiver::Running;
use super::{EMPTY_CONNECTIONS, empty, row, settings, start, subscribe};
use crate::app::App;
use crate::bench::scratch::Scratch;
use crate::bench::timing::{Measured, per_second};
use crate::bench::{BenchError, rebuild};

/// How often it is looked how far it is.
const LOOK: Duration = Duration::from_millis(5);
/// A backlog that stands still so long is stuck.
const STUCK: Duration = Duration::from_secs(60);

pub(super) async fn measure(
    scratch: &Scratch,
    time: Duration,
    payments: u64,
) -> Result<Vec<Value>, BenchError> {
    const NAME: &str = "backlog";
    let mut settings = settings(scratch, NAME)?;
    let clock = {
        let opened = scratch.ledger(NAME).await?;
        Arc::clone(opened.app.recorder.clock())
    };
    let receiver = Running::start(clock)?;
    subscribe(scratch, NAME, &receiver, 1, IN_FLIGHT_MAX).await?;
    // Gathered while nothing is sent, and queued before the clock starts.
    settings.delivery.enabled = false;
    let node = start(&settings).await?;
    rebuild::fill(&node.app.recorder, payments).await?;
    queued(&node.app).await?;
    node.stop().await;
    let bare = empty(&receiver, EMPTY_CONNECTIONS, time).await?;
    settings.delivery.enabled = true;
    let started = receiver.clock.monotonic();
    let node = start(&settings).await?;
    let done = drained(&receiver, payments).await?;
    let took = receiver.clock.monotonic().saturating_sub(started);
    let drained = Measured {
        done,
        took,
        each: vec![],
    };
    let mut rows = vec![row("a backlog, start included", &drained, &bare)];
    rows.push(rebuilt(&node.app, &receiver).await?);
    node.stop().await;
    receiver.stop().await?;
    Ok(rows)
}

/// Waits until the queue holds everything that the log has.
async fn queued(app: &App) -> Result<(), BenchError> {
    loop {
        let head = app.recorder.store().head().await;
        let head = head.map_err(BenchError::at("queue"))?;
        let standing = app.views.standing(&delivery_queue::SPEC, At::Live).await;
        let seen = standing.map_err(BenchError::at("queue"))?.checkpoint;
        if seen.map(|checkpoint| checkpoint.position) >= head {
            return Ok(());
        }
        app.recorder.clock().sleep(LOOK).await;
    }
}

async fn drained(receiver: &Running, payments: u64) -> Result<u64, BenchError> {
    let (mut seen, mut moved) = (0, receiver.clock.monotonic());
    while seen < payments {
        receiver.clock.sleep(LOOK).await;
        let now = receiver.clock.monotonic();
        if receiver.requests() > seen {
            (seen, moved) = (receiver.requests(), now);
        } else if now.saturating_sub(moved) > STUCK {
            return Err(BenchError {
                part: "a backlog",
                cause: format!("{seen} of {payments} arrived, and then no more").into(),
            });
        }
    }
    Ok(seen)
}

/// Rebuilds the queue beside the running dispatcher, and counts what reaches the receiver.
async fn rebuilt(app: &App, receiver: &Running) -> Result<Value, BenchError> {
    queued(app).await?;
    let before = receiver.requests();
    let rebuild = Rebuild::new(
        Arc::new(DeliveryQueueView),
        Arc::clone(app.recorder.store()),
        Arc::clone(&app.views),
        Arc::clone(app.recorder.clock()),
    );
    let (_go_on, stop) = watch::channel(false);
    let started = receiver.clock.monotonic();
    let done = rebuild.rebuild(&|_| {}, &stop).await;
    let Rebuilt::Switched { events, .. } = done.map_err(BenchError::at("rebuild"))? else {
        return Err(BenchError {
            part: "rebuild",
            cause: "it stopped".into(),
        });
    };
    let took = receiver.clock.monotonic().saturating_sub(started);
    Ok(json!({
        "what": format!("a rebuild of {events} events"),
        "deliveries": receiver.requests() - before,
        "per_s": per_second(events, took),
        "p50_us": null, "p95_us": null, "p99_us": null,
        "empty_p50_us": null, "empty_p95_us": null, "empty_per_s": null,
    }))
}
