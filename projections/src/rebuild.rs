//! Builds a view again beside the live one, and compares.
//!
//! A rebuild fills a new generation from the first event, catches up, and makes it live in one
//! transaction; the old one is kept until it is retired. It can be stopped and goes on where it
//! was. It only reads the log and writes the view store: nothing can be sent from here.

use std::sync::Arc;
use std::time::Duration;

use domain::ports::{Clock, EventStore, Position};

use crate::engine::{Feed, FeedError, Stop, events_between};
use crate::ports::{
    At, Checkpoint, Generation, GenerationState, Standing, ViewDigest, ViewStore, ViewStoreError,
};
use crate::view::View;

/// Events per transaction of a rebuild.
pub const REBUILD_PAGE: usize = 5_000;

/// How far a rebuild is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildProgress {
    /// The view.
    pub view: &'static str,
    /// The generation that is being filled.
    pub generation: u32,
    /// The last event taken in.
    pub position: Option<Position>,
    /// The end of the log, or where the comparison ends.
    pub head: Option<Position>,
    /// Events taken in since this call began.
    pub events: u64,
    /// Events that are left, where positions can be counted.
    pub left: Option<u64>,
    /// Events taken in per second since this call began; `None` before that can be told.
    pub events_per_second: Option<u64>,
    /// When it will be done at this pace.
    pub eta: Option<Duration>,
}

/// How a rebuild ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebuilt {
    /// The new generation is live.
    Switched {
        /// Its number.
        generation: u32,
        /// The generation that was live before, if any. It is kept.
        previous: Option<u32>,
        /// Events taken in by this call.
        events: u64,
    },
    /// It was told to stop. The next call goes on from here.
    Stopped {
        /// Number of the unfinished generation.
        generation: u32,
    },
}

/// How a comparison ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// Both hold the same, byte for byte.
    Equal(ViewDigest),
    /// They differ: the live rows are not what the log says.
    Different {
        /// What is live.
        live: ViewDigest,
        /// What the log gives.
        rebuilt: ViewDigest,
    },
    /// It was told to stop.
    Stopped,
}

/// Rebuilds and compares one view.
pub struct Rebuild {
    feed: Feed,
    page: usize,
}

impl Rebuild {
    /// Of `view`.
    pub fn new(
        view: Arc<dyn View>,
        log: Arc<dyn EventStore>,
        store: Arc<dyn ViewStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            feed: Feed {
                view,
                log,
                store,
                clock,
            },
            page: REBUILD_PAGE,
        }
    }

    /// With other pages than [`REBUILD_PAGE`]; 1 to 10,000.
    #[must_use]
    pub fn with_page(mut self, page: usize) -> Self {
        self.page = page;
        self
    }

    /// Called before the view's runner starts: makes the first generation, or rebuilds when the
    /// live one was filled by another version of the view. `None` when nothing was to do.
    ///
    /// # Errors
    /// [`FeedError`].
    pub async fn ensure_live(
        &self,
        progress: &(dyn Fn(&RebuildProgress) + Send + Sync),
        stop: &Stop,
    ) -> Result<Option<Rebuilt>, FeedError> {
        let spec = self.feed.spec();
        match self
            .generations()
            .await?
            .into_iter()
            .find(|known| known.state == GenerationState::Live)
        {
            Some(live) if live.version == spec.version => Ok(None),
            Some(_) => self.rebuild(progress, stop).await.map(Some),
            None => {
                self.feed.store.create(&spec, GenerationState::Live).await?;
                Ok(None)
            }
        }
    }

    /// Fills a new generation, or goes on with an unfinished one of the same version, and makes it
    /// live.
    ///
    /// # Errors
    /// [`FeedError`]; what was filled is kept, so that the next call goes on.
    pub async fn rebuild(
        &self,
        progress: &(dyn Fn(&RebuildProgress) + Send + Sync),
        stop: &Stop,
    ) -> Result<Rebuilt, FeedError> {
        let name = self.feed.spec().name;
        let mut standing = self.unfinished().await?;
        let generation = standing.generation;
        let mut pace = Pace::start(&self.feed);
        loop {
            if stopped(stop) {
                return Ok(Rebuilt::Stopped { generation });
            }
            let fed = self.feed.page(&standing, self.page, None).await?;
            standing.checkpoint = fed.checkpoint;
            pace.report(&self.feed, &standing, fed.events, fed.head, progress);
            tokio::task::yield_now().await;
            if fed.events > 0 && position(&standing) < fed.head {
                continue;
            }
            let previous = self.live().await?;
            match self.feed.store.switch(name, previous, generation).await {
                Ok(()) => {
                    return Ok(Rebuilt::Switched {
                        generation,
                        previous,
                        events: pace.events,
                    });
                }
                // The live one moved on meanwhile: catch up.
                Err(ViewStoreError::Behind { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Fills a shadow up to where the live generation stands, compares, and drops the shadow.
    ///
    /// # Errors
    /// [`FeedError`]; a shadow that is left is dropped by the next call.
    pub async fn verify(
        &self,
        progress: &(dyn Fn(&RebuildProgress) + Send + Sync),
        stop: &Stop,
    ) -> Result<Verified, FeedError> {
        let spec = self.feed.spec();
        for left in self
            .generations()
            .await?
            .iter()
            .filter(|known| known.state == GenerationState::Shadow)
        {
            self.feed.store.retire(spec.name, left.number).await?;
        }
        self.feed.standing(At::Live).await?;
        let live = self.feed.store.digest(&spec, At::Live).await?;
        let generation = self
            .feed
            .store
            .create(&spec, GenerationState::Shadow)
            .await?;
        let filled = self
            .fill_shadow(generation, live.checkpoint.as_ref(), progress, stop)
            .await;
        let compared = match filled {
            Ok(true) => {
                let rebuilt = self
                    .feed
                    .store
                    .digest(&spec, At::Generation(generation))
                    .await?;
                if rebuilt == live {
                    Ok(Verified::Equal(live))
                } else {
                    Ok(Verified::Different { live, rebuilt })
                }
            }
            Ok(false) => Ok(Verified::Stopped),
            Err(error) => Err(error),
        };
        self.feed.store.retire(spec.name, generation).await?;
        compared
    }

    /// True when it is filled, false when it was told to stop.
    async fn fill_shadow(
        &self,
        generation: u32,
        until: Option<&Checkpoint>,
        progress: &(dyn Fn(&RebuildProgress) + Send + Sync),
        stop: &Stop,
    ) -> Result<bool, FeedError> {
        let Some(until) = until.map(|checkpoint| checkpoint.position) else {
            return Ok(true);
        };
        let mut standing = Standing {
            generation,
            checkpoint: None,
        };
        let mut pace = Pace::start(&self.feed);
        while position(&standing) < Some(until) {
            if stopped(stop) {
                return Ok(false);
            }
            let fed = self.feed.page(&standing, self.page, Some(until)).await?;
            if fed.events == 0 {
                let why = "it ends before the checkpoint";
                return Err(FeedError::OtherLog {
                    view: self.feed.spec().name,
                    why,
                });
            }
            standing.checkpoint = fed.checkpoint;
            pace.report(&self.feed, &standing, fed.events, Some(until), progress);
            tokio::task::yield_now().await;
        }
        Ok(true)
    }

    async fn unfinished(&self) -> Result<Standing, FeedError> {
        let spec = self.feed.spec();
        for known in self.generations().await?.iter().rev() {
            if known.state != GenerationState::Building {
                continue;
            }
            if known.version == spec.version {
                match self.feed.standing(At::Generation(known.number)).await {
                    Ok(standing) => return Ok(standing),
                    // It was begun on another history; begin again below.
                    Err(FeedError::OtherLog { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            self.feed.store.retire(spec.name, known.number).await?;
        }
        let generation = self
            .feed
            .store
            .create(&spec, GenerationState::Building)
            .await?;
        Ok(Standing {
            generation,
            checkpoint: None,
        })
    }

    async fn live(&self) -> Result<Option<u32>, FeedError> {
        let live = self
            .generations()
            .await?
            .into_iter()
            .find(|known| known.state == GenerationState::Live);
        Ok(live.map(|known| known.number))
    }

    async fn generations(&self) -> Result<Vec<Generation>, FeedError> {
        let mut all = self.feed.store.generations().await?;
        all.retain(|known| known.view == self.feed.spec().name);
        Ok(all)
    }
}

fn position(standing: &Standing) -> Option<Position> {
    standing
        .checkpoint
        .as_ref()
        .map(|checkpoint| checkpoint.position)
}

fn stopped(stop: &Stop) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

struct Pace {
    started: Duration,
    events: u64,
}

impl Pace {
    fn start(feed: &Feed) -> Self {
        Self {
            started: feed.clock.monotonic(),
            events: 0,
        }
    }

    fn report(
        &mut self,
        feed: &Feed,
        standing: &Standing,
        events: u64,
        head: Option<Position>,
        progress: &(dyn Fn(&RebuildProgress) + Send + Sync),
    ) {
        self.events += events;
        let millis = u64::try_from(
            feed.clock
                .monotonic()
                .saturating_sub(self.started)
                .as_millis(),
        )
        .unwrap_or(u64::MAX);
        let per_second = self.events.saturating_mul(1_000).checked_div(millis);
        let left = events_between(feed.log.identity(), position(standing), head);
        let eta = left
            .zip(per_second)
            .and_then(|(left, pace)| left.checked_div(pace))
            .map(Duration::from_secs);
        progress(&RebuildProgress {
            view: feed.spec().name,
            generation: standing.generation,
            position: position(standing),
            head,
            events: self.events,
            left,
            events_per_second: per_second,
            eta,
        });
    }
}
