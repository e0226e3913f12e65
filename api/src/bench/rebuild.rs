//! Rebuilds of every view over a log of synthetic events, beside reading and parsing the same log.

use std::sync::Arc;

use domain::ports::{EventStore, Filter};
use futures::StreamExt;
use projections::rebuild::{REBUILD_PAGE, Rebuild, Rebuilt};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::scratch::Scratch;
use super::timing::{per_second, percent};
use super::{BenchError, synthetic};
use crate::app::recorder::Recorder;

/// Appends under way while the log is filled.
const AT_ONCE: usize = 64;

/// One row per view, and one for reading alone.
pub(super) async fn measure(scratch: &Scratch, events: u64) -> Result<Value, BenchError> {
    let opened = scratch.ledger("rebuild").await?;
    let app = &opened.app;
    let (store, clock) = (app.recorder.store(), app.recorder.clock());
    fill(
        &app.recorder,
        events.div_ceil(synthetic::EVENTS_PER_HISTORY),
    )
    .await?;
    // Once without the clock, so that what is measured finds the same warm pages every time.
    read(store).await?;
    let started = clock.monotonic();
    let parsed = read(store).await?;
    let reading = per_second(parsed, clock.monotonic().saturating_sub(started));
    let mut rows = vec![json!({
        "what": "read and parse", "events": parsed, "events_per_s": reading, "percent_of_reading": 100,
    })];
    let (_go_on, stop) = watch::channel(false);
    for view in projections::views::all() {
        let name = view.spec().name;
        let rebuild = Rebuild::new(
            view,
            Arc::clone(store),
            Arc::clone(&app.views),
            Arc::clone(clock),
        );
        let started = clock.monotonic();
        let rebuilt = rebuild
            .rebuild(&|_| {}, &stop)
            .await
            .map_err(BenchError::at("rebuild"))?;
        let took = clock.monotonic().saturating_sub(started);
        let Rebuilt::Switched { events, .. } = rebuilt else {
            return Err(BenchError {
                part: "rebuild",
                cause: "it stopped".into(),
            });
        };
        let pace = per_second(events, took);
        rows.push(json!({
            "what": name, "events": events, "events_per_s": pace, "percent_of_reading": percent(pace, reading),
        }));
    }
    Ok(Value::Array(rows))
}

/// Appends the whole histories of so many payments.
pub(super) async fn fill(recorder: &Recorder, histories: u64) -> Result<(), BenchError> {
    let appends = futures::stream::iter(0..histories).map(|number| async move {
        let request = synthetic::history(number, recorder)?;
        recorder
            .store()
            .append(request)
            .await
            .map_err(BenchError::at("synthetic log"))
    });
    let mut appends = appends.buffer_unordered(AT_ONCE);
    while let Some(appended) = appends.next().await {
        appended?;
    }
    Ok(())
}

/// Reads every page and every envelope.
async fn read(store: &Arc<dyn EventStore>) -> Result<u64, BenchError> {
    let (mut at, mut parsed) = (None, 0);
    loop {
        let page = store
            .read_all(at, &Filter::all(), REBUILD_PAGE)
            .await
            .map_err(BenchError::at("read"))?;
        for recorded in &page.events {
            let envelope = recorded.envelope().map_err(BenchError::at("read"))?;
            std::hint::black_box(&envelope);
            parsed += 1;
        }
        if page.next == at || page.next == page.head {
            return Ok(parsed);
        }
        at = page.next;
    }
}
