//! The runner: keeps the live generation of one view up to date until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use domain::ports::{Clock, EventStore, Position};
use tokio::sync::watch;

use super::feed::{Fed, Feed, FeedError};
use super::status::{RunnerState, ViewStatus, events_between};
use crate::ports::{At, Standing, ViewStore, ViewStoreError};
use crate::view::View;
use crate::wait::Progress;

/// Turns true when everything should stop; a dropped sender means the same.
pub type Stop = watch::Receiver<bool>;

/// How a runner paces itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunnerSettings {
    /// Events per page and transaction, 1 to 10,000.
    pub page: usize,
    /// Looks for new events at least so often, since a wake-up may be lost.
    pub poll: Duration,
    /// Waits so long after an outage.
    pub retry: Duration,
}

impl Default for RunnerSettings {
    /// 500 events, 1 s, 1 s.
    fn default() -> Self {
        Self {
            page: 500,
            poll: Duration::from_secs(1),
            retry: Duration::from_secs(1),
        }
    }
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It took in a page.
    Moved,
    /// There was nothing new.
    Idle,
}

/// What others may see of a runner. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    /// State and lag.
    pub status: watch::Receiver<ViewStatus>,
    /// The position, to wait for.
    pub progress: Progress,
}

/// Keeps one view. At most one per view is at work: a second one finds the fence and stops.
pub struct Runner {
    feed: Feed,
    settings: RunnerSettings,
    /// What it wrote last; `None` when it must look at the store first.
    standing: Option<Standing>,
    status: watch::Sender<ViewStatus>,
    position: watch::Sender<Option<Position>>,
}

impl Runner {
    /// A runner for `view`, whose live generation exists already (see
    /// [`crate::rebuild::Rebuild::ensure_live`]).
    pub fn new(
        view: Arc<dyn View>,
        log: Arc<dyn EventStore>,
        store: Arc<dyn ViewStore>,
        clock: Arc<dyn Clock>,
        settings: RunnerSettings,
    ) -> (Self, Handle) {
        let (status, status_seen) = watch::channel(ViewStatus::starting(view.spec().name));
        let (position, progress) = Progress::channel();
        let feed = Feed {
            view,
            log,
            store,
            clock,
        };
        let runner = Self {
            feed,
            settings,
            standing: None,
            status,
            position,
        };
        (
            runner,
            Handle {
                status: status_seen,
                progress,
            },
        )
    }

    /// Runs until `stop`. Outages are waited for; anything else ends it.
    ///
    /// # Errors
    /// [`FeedError`]: another runner is at work, the log is another, the view was rebuilt by other
    /// code, or an event cannot be taken in by a view that must not go on without it.
    pub async fn run(mut self, mut stop: Stop) -> Result<(), FeedError> {
        loop {
            if *stop.borrow() || stop.has_changed().is_err() {
                self.publish(|status| status.state = RunnerState::Stopped);
                return Ok(());
            }
            let pause = match self.step().await {
                Ok(Step::Moved) => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(Step::Idle) => None,
                Err(error) if error.is_outage() => Some(self.settings.retry),
                Err(error) => {
                    tracing::error!(view = self.feed.spec().name, %error, "view stopped");
                    return Err(error);
                }
            };
            let after = self
                .standing
                .as_ref()
                .and_then(|at| at.checkpoint.as_ref())
                .map(|at| at.position);
            let clock = Arc::clone(&self.feed.clock);
            let log = Arc::clone(&self.feed.log);
            let settings = self.settings;
            let next = async move {
                match pause {
                    Some(retry) => clock.sleep(retry).await,
                    None => tokio::select! {
                        biased;
                        () = log.wake_up(after) => {}
                        () = clock.sleep(settings.poll) => {}
                    },
                }
            };
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                () = next => {}
            }
        }
    }

    /// Takes in one page and tells about it. For those who drive the engine themselves.
    ///
    /// # Errors
    /// As [`Runner::run`], and outages.
    pub async fn step(&mut self) -> Result<Step, FeedError> {
        match self.try_step().await {
            Ok(step) => Ok(step),
            Err(error) => {
                // After an outage nobody knows whether the page was kept: look again.
                self.standing = None;
                let state = if error.is_outage() {
                    RunnerState::Waiting
                } else {
                    RunnerState::Failed
                };
                let text = error.to_string();
                self.publish(|status| {
                    status.state = state;
                    status.last_error = Some(text);
                });
                Err(error)
            }
        }
    }

    async fn try_step(&mut self) -> Result<Step, FeedError> {
        let standing = self.stand().await?;
        let fed = self.feed.page(&standing, self.settings.page, None).await?;
        let standing = Standing {
            generation: standing.generation,
            checkpoint: fed.checkpoint.clone(),
        };
        let step = if fed.events == 0 {
            Step::Idle
        } else {
            Step::Moved
        };
        self.tell(&standing, &fed).await?;
        self.standing = Some(standing);
        Ok(step)
    }

    /// Where the live generation stands. Anything but what this runner wrote last is somebody
    /// else's work, unless another generation became live.
    async fn stand(&mut self) -> Result<Standing, FeedError> {
        let spec = self.feed.spec();
        let found = self.feed.store.standing(&spec, At::Live).await?;
        match &self.standing {
            Some(mine) if *mine == found => Ok(found),
            Some(mine) if mine.generation == found.generation => Err(ViewStoreError::Fenced {
                view: spec.name.to_owned(),
            }
            .into()),
            Some(_) | None => self.feed.standing(At::Generation(found.generation)).await,
        }
    }

    async fn tell(&self, standing: &Standing, fed: &Fed) -> Result<(), FeedError> {
        let parked = self
            .feed
            .store
            .parked(&self.feed.spec(), At::Generation(standing.generation))
            .await?
            .len();
        let position = standing
            .checkpoint
            .as_ref()
            .map(|checkpoint| checkpoint.position);
        let behind = events_between(self.feed.log.identity(), position, fed.head);
        let up_to_date = fed.events == 0 || position >= fed.head;
        let now = self.feed.clock.now();
        self.publish(|status| {
            status.generation = standing.generation;
            status.state = if up_to_date {
                RunnerState::UpToDate
            } else {
                RunnerState::CatchingUp
            };
            status.position = position;
            status.head = fed.head;
            status.behind = behind;
            status.parked = parked as u64;
            status.events += fed.events;
            status.last_error = None;
            let age = fed.recorded_at.map(|at| now.since(at));
            status.lag = if up_to_date {
                Duration::ZERO
            } else {
                age.unwrap_or(status.lag)
            };
        });
        self.position.send_if_modified(|told| {
            let moved = *told != position;
            *told = position;
            moved
        });
        Ok(())
    }

    fn publish(&self, change: impl FnOnce(&mut ViewStatus)) {
        self.status.send_modify(change);
    }
}
