//! Releases a parked stream: its waiting events are taken in, in order, up to where the view
//! stands. Called by operators, after a fix.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::ports::{Clock, EventStore};
use domain::record::Recorded;
use domain::stream::StreamId;

use super::batch::take_in;
use super::cache::Cache;
use super::feed::{Feed, FeedError};
use crate::ports::{At, Parked, ViewStore, ViewStoreError, ViewTransaction};
use crate::view::View;

/// How a release ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// The stream is not parked.
    NotParked,
    /// It flows again.
    Flowing {
        /// How many events were waiting.
        events: u64,
    },
    /// It stopped again, at the same event or a later one.
    ParkedAgain(Parked),
}

/// Tries the waiting events of a parked stream again. What can be taken in is kept. The live
/// runner may be at work meanwhile.
///
/// # Errors
/// [`FeedError`].
pub async fn release(
    view: Arc<dyn View>,
    log: Arc<dyn EventStore>,
    store: Arc<dyn ViewStore>,
    clock: Arc<dyn Clock>,
    stream: &StreamId,
) -> Result<Released, FeedError> {
    let feed = Feed {
        view,
        log,
        store,
        clock,
    };
    loop {
        match try_release(&feed, stream).await {
            // The runner took in a page in between; what waits may have grown.
            Err(FeedError::Store(ViewStoreError::Fenced { .. })) => tokio::task::yield_now().await,
            other => return other,
        }
    }
}

async fn try_release(feed: &Feed, stream: &StreamId) -> Result<Released, FeedError> {
    let spec = feed.spec();
    let standing = feed.standing(At::Live).await?;
    let at = At::Generation(standing.generation);
    let parked = |list: Vec<Parked>| list.into_iter().find(|parked| parked.stream == *stream);
    let Some(before) = parked(feed.store.parked(&spec, at).await?) else {
        return Ok(Released::NotParked);
    };
    let waiting = waiting_events(
        feed,
        &before,
        standing.checkpoint.as_ref().map(|at| at.position),
    )
    .await?;

    let taken = Arc::new(AtomicU64::new(0));
    let (count, view, now) = (Arc::clone(&taken), Arc::clone(&feed.view), feed.clock.now());
    let work = Box::new(move |transaction: &mut dyn ViewTransaction| {
        // Two releases at once: the second one must not take in the same events again.
        if !transaction.parked()?.contains(&before) {
            return Ok(None);
        }
        transaction.unpark(&before.stream)?;
        let mut cache = Cache::new(transaction, view.spec());
        for event in &waiting {
            if take_in(view.as_ref(), event, now, &mut cache)?.is_some() {
                break;
            }
            count.fetch_add(1, Ordering::Relaxed);
        }
        cache.flush()?;
        Ok(None)
    });
    feed.store
        .transact(&spec, standing.generation, standing.checkpoint, work)
        .await?;

    Ok(match parked(feed.store.parked(&spec, at).await?) {
        Some(again) => Released::ParkedAgain(again),
        None => Released::Flowing {
            events: taken.load(Ordering::Relaxed),
        },
    })
}

async fn waiting_events(
    feed: &Feed,
    parked: &Parked,
    until: Option<domain::ports::Position>,
) -> Result<Vec<Recorded>, FeedError> {
    const PAGE: usize = 1_000;
    let mut waiting = vec![];
    let mut from = parked.version;
    loop {
        let page = feed.log.read_stream(&parked.stream, from, PAGE).await?;
        let full = page.len() == PAGE;
        if let Some(last) = page.last() {
            from = last.record.version.next();
        }
        waiting.extend(
            page.into_iter()
                .filter(|event| Some(event.position) <= until),
        );
        if !full {
            return Ok(waiting);
        }
    }
}
