//! One-event appends through the event store, beside bare inserts of the same bytes in batches as
//! large as there are appenders.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::ports::{AppendRequest, Clock, EventStore};
use domain::record::Record;
use serde_json::{Value, json};

use super::scratch::Scratch;
use super::synthetic;
use super::timing::{Measured, percent};
use super::{BenchError, LEVELS};
use crate::compose::RawBaseline;

/// Appends that are made ready per millisecond, more than a disk takes; and at most. A disk that
/// takes them all ends before its time.
const READY_PER_MS: u64 = 20;
/// What fits well into memory.
const READY_MAX: u64 = 40_000;

/// One row per level.
pub(super) async fn measure(scratch: &Scratch, time: Duration) -> Result<Value, BenchError> {
    let opened = scratch.ledger("appends").await?;
    let recorder = &opened.app.recorder;
    let (store, clock) = (recorder.store(), recorder.clock());
    let mut raw =
        RawBaseline::open(&scratch.path("raw.db")).map_err(BenchError::at("bare inserts"))?;
    let ready = u64::try_from(time.as_millis())
        .map_or(READY_MAX, |ms| (ms * READY_PER_MS).clamp(1, READY_MAX));
    let (mut rows, mut number) = (vec![], 0);
    for appenders in LEVELS {
        let mut requests = Vec::new();
        for _ in 0..ready {
            requests.push(synthetic::create_only(number, recorder)?);
            number += 1;
        }
        let records: Vec<Record> = requests
            .iter()
            .flat_map(|request| request.events.clone())
            .collect();
        let bytes: u64 = records.iter().map(|record| record.bytes.len() as u64).sum();
        let bare;
        (raw, bare) = insert(raw, records, appenders, Arc::clone(clock), time).await?;
        let appended = append(store, clock, requests, appenders, time).await?;
        rows.push(json!({
            "appenders": appenders,
            "record_bytes": bytes / ready,
            "appends_per_s": appended.per_second(),
            "p50_us": appended.percentile_us(50),
            "p99_us": appended.percentile_us(99),
            "bare_inserts_per_s": bare.per_second(),
            "percent_of_bare": percent(appended.per_second(), bare.per_second()),
        }));
    }
    Ok(Value::Array(rows))
}

/// Appenders take the next request each until the time is over or none is left.
async fn append(
    store: &Arc<dyn EventStore>,
    clock: &Arc<dyn Clock>,
    requests: Vec<AppendRequest>,
    appenders: usize,
    time: Duration,
) -> Result<Measured, BenchError> {
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let started = clock.monotonic();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..appenders {
        let (store, clock) = (Arc::clone(store), Arc::clone(clock));
        let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
        tasks.spawn(async move {
            let mut times = vec![];
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let began = clock.monotonic();
                if began >= started + time {
                    break;
                }
                store.append(request.clone()).await?;
                times.push(clock.monotonic().saturating_sub(began));
            }
            Ok::<_, domain::ports::AppendError>(times)
        });
    }
    let mut all = Measured::default();
    while let Some(ended) = tasks.join_next().await {
        let times = ended
            .map_err(BenchError::at("appends"))?
            .map_err(BenchError::at("appends"))?;
        all.done += times.len() as u64;
        all.each.extend(times);
    }
    all.took = clock.monotonic().saturating_sub(started);
    Ok(all)
}

/// The same bytes without a ledger, on a thread of its own as the store's writer has one.
async fn insert(
    mut raw: RawBaseline,
    records: Vec<Record>,
    batch: usize,
    clock: Arc<dyn Clock>,
    time: Duration,
) -> Result<(RawBaseline, Measured), BenchError> {
    let work = tokio::task::spawn_blocking(move || {
        let (mut all, started) = (Measured::default(), clock.monotonic());
        for records in records.chunks(batch) {
            if clock.monotonic().saturating_sub(started) >= time {
                break;
            }
            raw.append(records)
                .map_err(BenchError::at("bare inserts"))?;
            all.done += records.len() as u64;
        }
        all.took = clock.monotonic().saturating_sub(started);
        Ok((raw, all))
    });
    work.await.map_err(BenchError::at("bare inserts"))?
}
