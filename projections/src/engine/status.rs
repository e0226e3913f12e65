//! How a view is doing, for health pages, metrics and operators.

use std::time::Duration;

use domain::ports::{Position, StoreIdentity};

/// What a runner is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunnerState {
    /// It has not read anything yet.
    Starting,
    /// There is more to read.
    CatchingUp,
    /// It has taken in everything that there was.
    UpToDate,
    /// The log or the view store does not answer; it tries again.
    Waiting,
    /// It was told to stop.
    Stopped,
    /// It gave up. A person must look at the error.
    Failed,
}

impl RunnerState {
    /// As metrics and JSON name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::CatchingUp => "catching_up",
            Self::UpToDate => "up_to_date",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// One view's state and lag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewStatus {
    /// The view.
    pub view: &'static str,
    /// Its live generation; 0 before the first look.
    pub generation: u32,
    /// What the runner is at.
    pub state: RunnerState,
    /// The last event taken in.
    pub position: Option<Position>,
    /// The end of the log when it was last read.
    pub head: Option<Position>,
    /// How many events are not taken in yet, where positions can be counted.
    pub behind: Option<u64>,
    /// Zero when nothing is left; otherwise the age of the last event that was taken in, which is
    /// at least the age of the next one.
    pub lag: Duration,
    /// Streams that wait for a fix.
    pub parked: u64,
    /// Events taken in by this runner.
    pub events: u64,
    /// The last error; `None` after the next success.
    pub last_error: Option<String>,
}

impl ViewStatus {
    pub(crate) fn starting(view: &'static str) -> Self {
        Self {
            view,
            generation: 0,
            state: RunnerState::Starting,
            position: None,
            head: None,
            behind: None,
            lag: Duration::ZERO,
            parked: 0,
            events: 0,
            last_error: None,
        }
    }
}

/// How many events lie after `from` up to `to`, for stores whose positions are 1, 2, 3 ... without
/// gaps; `None` for others and across logs.
pub fn events_between(
    identity: &StoreIdentity,
    from: Option<Position>,
    to: Option<Position>,
) -> Option<u64> {
    let dense = matches!(identity.backend, "memory" | "sqlite" | "postgres");
    let place = |position: Option<Position>| position.map_or(0, |position| position.parts().0);
    let comparable = match (from, to) {
        (Some(from), Some(to)) => from.same_log(to),
        (None, _) | (_, None) => true,
    };
    (dense && comparable).then(|| place(to).saturating_sub(place(from)))
}
