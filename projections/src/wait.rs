//! How far a view is, for those who wait for it: read-your-writes of the API, and streams of
//! status changes.
//!
//! It watches one process's runner and never reads the store.

use std::time::Duration;

use domain::ports::{Clock, Position};
use tokio::sync::watch;

/// What a runner tells about its position. Cheap to clone; each clone sees every change for itself.
#[derive(Debug, Clone)]
pub struct Progress {
    position: watch::Receiver<Option<Position>>,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// The view has taken in the position.
    Reached,
    /// Not yet; the answer of the view may be older.
    TimedOut,
    /// The runner has stopped.
    Stopped,
    /// The position is of another store or epoch; no view will ever reach it.
    OtherLog,
}

impl Progress {
    /// For the runner: the side that tells, and the side that listens.
    pub fn channel() -> (watch::Sender<Option<Position>>, Self) {
        let (sender, position) = watch::channel(None);
        (sender, Self { position })
    }

    /// Where the view stands now.
    pub fn position(&self) -> Option<Position> {
        *self.position.borrow()
    }

    /// Returns when the view has taken in `wanted`, or when `timeout` is over.
    pub async fn wait_for(&self, wanted: Position, timeout: Duration, clock: &dyn Clock) -> Waited {
        let mut position = self.position.clone();
        let reached =
            position.wait_for(|at| at.is_some_and(|at| !at.same_log(wanted) || at >= wanted));
        tokio::select! {
            biased;
            at = reached => match at.as_deref() {
                Ok(Some(at)) if at.same_log(wanted) => Waited::Reached,
                Ok(_) => Waited::OtherLog,
                Err(_) => Waited::Stopped,
            },
            () = clock.sleep(timeout) => Waited::TimedOut,
        }
    }

    /// Returns after the next change that this clone has not seen, with the position; `None` when
    /// the runner has stopped.
    pub async fn changed(&mut self) -> Option<Position> {
        self.position.changed().await.ok()?;
        *self.position.borrow_and_update()
    }
}
