//! What the figures were measured on: how many cores, and what one safe write costs on this disk.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;

use domain::ports::Clock;
use serde_json::{Value, json};

use super::BenchError;
use super::scratch::Scratch;
use super::timing::Measured;

/// How often the file is written and synced.
const SYNCS: u64 = 100;
/// One page.
const PAGE: [u8; 4096] = [0x5a; 4096];

/// Cores, build, and the time of 100 syncs of one page.
pub(super) async fn facts(scratch: &Scratch) -> Result<Value, BenchError> {
    let opened = scratch.ledger("machine").await?;
    let clock = Arc::clone(opened.app.recorder.clock());
    let path = scratch.path("fsync");
    let syncs = tokio::task::spawn_blocking(move || sync_pages(&path, &*clock));
    let syncs = syncs
        .await
        .map_err(BenchError::at("fsync"))?
        .map_err(BenchError::at("fsync"))?;
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    Ok(json!({
        "cores": cores,
        "optimised_build": !cfg!(debug_assertions),
        "fsyncs_of_4_kib": SYNCS,
        "fsyncs_took_us": super::timing::micros(syncs.took),
        "fsync_p50_us": syncs.percentile_us(50),
        "fsync_p99_us": syncs.percentile_us(99),
    }))
}

fn sync_pages(path: &std::path::Path, clock: &dyn Clock) -> std::io::Result<Measured> {
    let mut file = OpenOptions::new().create_new(true).write(true).open(path)?;
    file.write_all(&PAGE)?;
    file.sync_all()?;
    let (mut measured, started) = (Measured::default(), clock.monotonic());
    for _ in 0..SYNCS {
        let began = clock.monotonic();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&PAGE)?;
        file.sync_all()?;
        measured.each.push(clock.monotonic().saturating_sub(began));
        measured.done += 1;
    }
    measured.took = clock.monotonic().saturating_sub(started);
    Ok(measured)
}
