//! One page of events, folded inside one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::record::Recorded;
use domain::stream::{Category, StreamId};
use domain::time::Timestamp;

use super::cache::Cache;
use crate::ports::{Checkpoint, Parked, RowsError, ViewTransaction, WorkError};
use crate::view::{ApplyError, View};

/// What a page is, and where the view stands after it.
pub(crate) struct Batch {
    pub(crate) view: Arc<dyn View>,
    pub(crate) events: Vec<Recorded>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) now: Timestamp,
}

impl Batch {
    /// Folds the page and returns its checkpoint.
    pub(crate) fn run(
        self,
        transaction: &mut dyn ViewTransaction,
    ) -> Result<Option<Checkpoint>, WorkError> {
        let mut waiting: BTreeMap<StreamId, Parked> = transaction
            .parked()?
            .into_iter()
            .map(|parked| (parked.stream.clone(), parked))
            .collect();
        let mut cache = Cache::new(transaction, self.view.spec());
        for event in &self.events {
            if !reads(self.view.as_ref(), event.stream.category())
                || waiting.contains_key(&event.stream)
            {
                continue;
            }
            if let Some(parked) = take_in(self.view.as_ref(), event, self.now, &mut cache)? {
                waiting.insert(parked.stream.clone(), parked);
            }
        }
        cache.flush()?;
        Ok(Some(self.checkpoint))
    }
}

fn reads(view: &dyn View, category: Category) -> bool {
    view.reads().is_empty() || view.reads().contains(&category)
}

/// Takes in one event, or parks its stream and says so.
pub(super) fn take_in(
    view: &dyn View,
    event: &Recorded,
    now: Timestamp,
    cache: &mut Cache<'_>,
) -> Result<Option<Parked>, WorkError> {
    let taken = event
        .envelope()
        .map_err(ApplyError::from)
        .and_then(|envelope| view.apply(event, &envelope, cache));
    let error = match taken {
        Ok(()) => {
            cache.settle();
            return Ok(None);
        }
        Err(ApplyError::Rows(outage @ RowsError::Store(_))) => return Err(outage.into()),
        Err(error) => error.redacted(),
    };
    cache.undo();
    let (stream, version, position) = (event.stream.clone(), event.record.version, event.position);
    if !view.stream_local() {
        return Err(WorkError::Poison {
            stream,
            version,
            position,
            error,
        });
    }
    tracing::error!(view = view.spec().name, %stream, %version, %position, error, "stream parked");
    let parked = Parked {
        stream,
        position,
        version,
        error,
        since: now,
    };
    cache.inner().park(parked.clone())?;
    Ok(Some(parked))
}
