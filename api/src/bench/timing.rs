//! Times and what is told of them: whole microseconds, no averages where a tail matters.

use std::time::Duration;

use serde_json::{Value, json};

/// What was done in which time.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// How much.
    pub done: u64,
    /// How long it took altogether.
    pub took: Duration,
    /// How long each took.
    pub each: Vec<Duration>,
}

impl Measured {
    /// Per second, rounded down; 0 when nothing could be told.
    pub(super) fn per_second(&self) -> u64 {
        per_second(self.done, self.took)
    }

    /// The time in microseconds that `percent` of the single times do not exceed.
    pub(super) fn percentile_us(&self, percent: usize) -> Value {
        let mut sorted = self.each.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted
            .get(place)
            .map_or(Value::Null, |time| json!(micros(*time)))
    }
}

/// Whole things per second.
pub(super) fn per_second(done: u64, took: Duration) -> u64 {
    done.saturating_mul(1_000_000)
        .checked_div(micros(took))
        .unwrap_or(0)
}

/// Whole microseconds.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// `part` of `whole` in percent, or nothing where there is no whole.
pub(super) fn percent(part: u64, whole: u64) -> Value {
    part.saturating_mul(100)
        .checked_div(whole)
        .map_or(Value::Null, |percent| json!(percent))
}
