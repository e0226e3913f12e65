//! Payments at a steady rate: to one subscriber, and to ten of whom one hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use super::receiver::Running;
use super::{empty, row, settings, start, subscribe};
use crate::bench::scratch::Scratch;
use crate::bench::timing::Measured;
use crate::bench::{BenchError, synthetic};
use crate::compose::Node;

/// Payments per second to one subscriber, one row each.
const RATES: [u64; 2] = [50, 200];
/// Subscribers, of whom one hangs at last.
const MANY: usize = 10;
/// Payments per second while there are so many; each is told to all of them.
const RATE_OF_MANY: u64 = 20;
/// Requests at once to each, which is what subscribers have who say nothing else.
const AT_ONCE: u16 = 4;
/// An event that takes longer is lost, and the figures with it.
const LONGEST: Duration = Duration::from_secs(30);

pub(super) async fn measure(scratch: &Scratch, time: Duration) -> Result<Vec<Value>, BenchError> {
    let mut rows = vec![];
    let next = Arc::new(AtomicU64::new(0));
    {
        let (receiver, node) = world(scratch, "steady", 1).await?;
        // Once without the clock: the first delivery opens the connection that the others use.
        pour(&node, &receiver, &next, &[0], 1, Duration::from_millis(10)).await?;
        let quiet = empty(&receiver, 1, time).await?;
        for rate in RATES {
            let told = pour(&node, &receiver, &next, &[0], rate, time).await?;
            rows.push(row(&format!("{rate} payments/s"), &told, &quiet));
        }
        node.stop().await;
        end(receiver).await?;
    }
    let (receiver, node) = world(scratch, "many", MANY).await?;
    let all: Vec<usize> = (0..MANY).collect();
    let healthy = &all[..MANY - 1];
    pour(&node, &receiver, &next, &all, 1, Duration::from_millis(10)).await?;
    let quiet = empty(&receiver, 1, time).await?;
    let told = pour(&node, &receiver, &next, healthy, RATE_OF_MANY, time).await?;
    rows.push(row("9 of 10, all answer", &told, &quiet));
    receiver.hang(MANY - 1);
    let told = pour(&node, &receiver, &next, healthy, RATE_OF_MANY, time).await?;
    rows.push(row("9 of 10, the last hangs", &told, &quiet));
    // The dispatcher waits for what is under way, and what hangs is under way until its deadline.
    node.stop().await;
    end(receiver).await?;
    Ok(rows)
}

async fn world(
    scratch: &Scratch,
    name: &str,
    subscribers: usize,
) -> Result<(Arc<Running>, Node), BenchError> {
    let settings = settings(scratch, name)?;
    let opened = scratch.ledger(name).await?;
    let clock = Arc::clone(opened.app.recorder.clock());
    drop(opened);
    let receiver = Running::start(clock)?;
    subscribe(scratch, name, &receiver, subscribers, AT_ONCE).await?;
    Ok((Arc::new(receiver), start(&settings).await?))
}

async fn end(receiver: Arc<Running>) -> Result<(), BenchError> {
    match Arc::into_inner(receiver) {
        Some(receiver) => receiver.stop().await,
        None => Ok(()),
    }
}

/// Payments at `rate` per second for `time`; each is waited for at every one of `at`.
async fn pour(
    node: &Node,
    receiver: &Arc<Running>,
    next: &Arc<AtomicU64>,
    at: &[usize],
    rate: u64,
    time: Duration,
) -> Result<Measured, BenchError> {
    let clock = &receiver.clock;
    let started = clock.monotonic();
    let mut tasks = JoinSet::new();
    for turn in 0.. {
        let due = Duration::from_micros(turn * 1_000_000 / rate);
        if due >= time {
            break;
        }
        let now = clock.monotonic().saturating_sub(started);
        clock.sleep(due.saturating_sub(now)).await;
        let (app, receiver) = (Arc::clone(&node.app), Arc::clone(receiver));
        let (number, at) = (next.fetch_add(1, Ordering::Relaxed), at.to_vec());
        tasks.spawn(async move {
            let payment = synthetic::history(number, &app.recorder)?;
            let subject = payment.stream.key().to_owned();
            let arrivals: Vec<_> = at.iter().map(|at| receiver.expect(*at, &subject)).collect();
            let appended = app.recorder.store().append(payment).await;
            appended.map_err(BenchError::at("payments"))?;
            let committed = receiver.clock.monotonic();
            let mut times = vec![];
            for arrival in arrivals {
                let arrived = tokio::time::timeout(LONGEST, arrival)
                    .await
                    .map_err(BenchError::at("an event did not arrive"))?
                    .map_err(BenchError::at("receiver"))?;
                times.push(arrived.saturating_sub(committed));
            }
            Ok::<_, BenchError>(times)
        });
    }
    let mut all = Measured::default();
    while let Some(ended) = tasks.join_next().await {
        let times = ended.map_err(BenchError::at("payments"))??;
        all.done += times.len() as u64;
        all.each.extend(times);
    }
    all.took = clock.monotonic().saturating_sub(started);
    Ok(all)
}
