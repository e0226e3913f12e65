//! Feeds one generation of a view from the log, one page at a time.
//!
//! Shared by the runner (live generation) and the rebuild (new generation), so that both fold in
//! the very same way.

use std::sync::Arc;

use domain::ports::{Clock, EventStore, Filter, Position, ReadError};
use domain::record::Recorded;
use domain::time::Timestamp;

use super::batch::Batch;
use crate::ports::{
    At, Checkpoint, RowsError, Standing, ViewSpec, ViewStore, ViewStoreError, WorkError,
};
use crate::view::View;

/// A page was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The log did not give it.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// The view store did not take it.
    #[error(transparent)]
    Store(#[from] ViewStoreError),
    /// The event that the view stands at is not in this log. Rows of another history must not be
    /// carried on: rebuild the view, after making sure that this is the right log.
    #[error("view {view}: log forked or restored: {why}")]
    OtherLog {
        /// The view.
        view: &'static str,
        /// What differs.
        why: &'static str,
    },
}

impl FeedError {
    /// True when trying again may help.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Log(ReadError::Unavailable(_)) => true,
            Self::Log(ReadError::OtherLog | ReadError::Corrupt { .. }) | Self::OtherLog { .. } => {
                false
            }
            Self::Store(error) => match error {
                ViewStoreError::Unavailable(_)
                | ViewStoreError::Work(WorkError::Rows(RowsError::Store(_))) => true,
                ViewStoreError::Spec(_)
                | ViewStoreError::Fenced { .. }
                | ViewStoreError::NoGeneration { .. }
                | ViewStoreError::OtherVersion { .. }
                | ViewStoreError::NotNow { .. }
                | ViewStoreError::Behind { .. }
                | ViewStoreError::Work(
                    WorkError::Rows(RowsError::Spec(_)) | WorkError::Poison { .. },
                ) => false,
            },
        }
    }
}

/// What a page gave.
pub(crate) struct Fed {
    /// Where the generation stands now.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// End of the log when the page was read.
    pub(crate) head: Option<Position>,
    /// Events of the page, whether the view reads them or not.
    pub(crate) events: u64,
    /// When the last of them was recorded, if it can be read.
    pub(crate) recorded_at: Option<Timestamp>,
}

/// A view with its log and its store.
#[derive(Clone)]
pub(crate) struct Feed {
    pub(crate) view: Arc<dyn View>,
    pub(crate) log: Arc<dyn EventStore>,
    pub(crate) store: Arc<dyn ViewStore>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Feed {
    pub(crate) fn spec(&self) -> ViewSpec {
        self.view.spec()
    }

    /// Where a generation stands; refuses one that was not filled from this log.
    pub(crate) async fn standing(&self, at: At) -> Result<Standing, FeedError> {
        let standing = self.store.standing(&self.spec(), at).await?;
        self.check_origin(standing.checkpoint.as_ref()).await?;
        Ok(standing)
    }

    /// Takes in the next page, up to and including `until` where it is given.
    ///
    /// All events are read and those of other categories passed over here, so that a checkpoint is
    /// always a real event with a hash, and the page after a quiet time is no special case.
    pub(crate) async fn page(
        &self,
        standing: &Standing,
        limit: usize,
        until: Option<Position>,
    ) -> Result<Fed, FeedError> {
        let after = standing
            .checkpoint
            .as_ref()
            .map(|checkpoint| checkpoint.position);
        let page = self.log.read_all(after, &Filter::all(), limit).await?;
        let mut events = page.events;
        events.retain(|event| until.is_none_or(|until| event.position <= until));
        let Some(last) = events.last() else {
            let checkpoint = standing.checkpoint.clone();
            return Ok(Fed {
                checkpoint,
                head: page.head,
                events: 0,
                recorded_at: None,
            });
        };
        let recorded_at = last.envelope().ok().map(|envelope| envelope.recorded_at);
        let checkpoint = self.checkpoint_at(last);
        let count = events.len() as u64;
        let batch = Batch {
            view: Arc::clone(&self.view),
            events,
            checkpoint,
            now: self.clock.now(),
        };
        let work = Box::new(move |transaction: &mut dyn crate::ports::ViewTransaction| {
            batch.run(transaction)
        });
        let expected = standing.checkpoint.clone();
        let checkpoint = self
            .store
            .transact(&self.spec(), standing.generation, expected, work)
            .await?;
        Ok(Fed {
            checkpoint,
            head: page.head,
            events: count,
            recorded_at,
        })
    }

    fn checkpoint_at(&self, event: &Recorded) -> Checkpoint {
        let identity = self.log.identity();
        Checkpoint {
            position: event.position,
            stream: event.stream.clone(),
            version: event.record.version,
            leaf: event.record.leaf_hash(),
            store: identity.store,
            epoch: identity.epoch,
        }
    }

    async fn check_origin(&self, checkpoint: Option<&Checkpoint>) -> Result<(), FeedError> {
        let Some(checkpoint) = checkpoint else {
            return Ok(());
        };
        let other = |why| FeedError::OtherLog {
            view: self.spec().name,
            why,
        };
        let identity = self.log.identity();
        if checkpoint.store != identity.store {
            return Err(other("it is another store"));
        }
        if checkpoint.epoch != identity.epoch {
            return Err(other("it is another epoch"));
        }
        let found = self
            .log
            .read_stream(&checkpoint.stream, checkpoint.version, 1)
            .await?;
        match found.first() {
            None => Err(other("the event of the checkpoint is missing")),
            Some(event) if event.position != checkpoint.position => {
                Err(other("the event stands elsewhere"))
            }
            Some(event) if event.record.leaf_hash() != checkpoint.leaf => {
                Err(other("the event is another"))
            }
            Some(_) => Ok(()),
        }
    }
}
