//! Carries batches of failed deliveries out, each at its own rate.
//!
//! What is left to do is read off the queue, and each step is one event of a delivery's own stream, so
//! a crash between two steps loses nothing and repeats nothing: what was done stands in the log, and no
//! batch decides a delivery twice. Only the pace is lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::BatchId;
use projections::views::delivery_queue::BatchRow;

use super::health::Health;
use super::supervise::Stop;
use crate::app::App;
use crate::app::error::AppError;

/// Name of the loop.
pub const NAME: &str = "batches";
/// How often it looks for batches.
const POLL: Duration = Duration::from_millis(500);
/// The shortest rest between two looks.
const REST: Duration = Duration::from_millis(20);
/// Deliveries of one batch decided between two looks.
const STEPS_MAX: usize = 200;
/// One delivery, as the pace counts: a rate per second earns as many every nanosecond.
const STEP: u64 = 1_000_000_000;

struct Loop {
    app: Arc<App>,
    under_way: BTreeMap<BatchId, UnderWay>,
}

/// What is remembered of a batch. Lost at a restart without harm.
struct UnderWay {
    pace: Pace,
    /// The place of the last delivery that was decided; the queue may not have heard of it yet.
    at: i64,
    /// A delivery could not be decided.
    trouble: Option<String>,
}

/// Steps that may be taken, in shares of [`STEP`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    level: u64,
    at: Duration,
}

impl Pace {
    /// One step may be taken at once.
    fn new(now: Duration) -> Self {
        Self {
            level: STEP,
            at: now,
        }
    }

    /// How many steps may be taken now. What is saved up is a quarter of a second, or one step.
    fn steps(&mut self, per_second: u32, now: Duration) -> usize {
        let nanos = u64::try_from(now.saturating_sub(self.at).as_nanos()).unwrap_or(u64::MAX);
        let most = STEP.max(u64::from(per_second) * (STEP / 4));
        let earned = nanos.saturating_mul(per_second.into());
        self.level = self.level.saturating_add(earned).min(most);
        self.at = now;
        usize::try_from(self.level / STEP).unwrap_or(usize::MAX)
    }

    fn took(&mut self, steps: usize) {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        self.level = self.level.saturating_sub(steps.saturating_mul(STEP));
    }

    /// When the next step may be taken.
    fn wait(&self, per_second: u32) -> Duration {
        let lacking = STEP.saturating_sub(self.level);
        Duration::from_nanos(lacking.div_ceil(u64::from(per_second.max(1))))
    }
}

/// Runs until it is asked to stop.
pub async fn run(app: Arc<App>, health: Arc<Health>, mut stop: Stop) {
    let clock = Arc::clone(app.recorder.clock());
    let mut state = Loop {
        app,
        under_way: BTreeMap::new(),
    };
    while !stop.asked() {
        let rest = match state.turn(&stop).await {
            Ok((rest, note)) => {
                match (state.trouble(), note) {
                    (Some(trouble), _) => health.alarms(NAME, clock.now(), trouble),
                    (None, note) => health.works(NAME, clock.now(), note),
                }
                rest
            }
            Err(error) => {
                tracing::warn!(error = %error, "batches.outage");
                health.fails(NAME, clock.now(), error.to_string());
                POLL
            }
        };
        if stop.sleeps(&*clock, rest).await {
            return;
        }
    }
}

impl Loop {
    /// One look at every batch. Gives how long to rest, and what to say of it.
    async fn turn(&mut self, stop: &Stop) -> Result<(Duration, Option<String>), AppError> {
        let running = self.app.running_batches().await?;
        self.under_way
            .retain(|id, _| running.iter().any(|batch| batch.id == *id));
        let mut rest = POLL;
        for batch in &running {
            if stop.asked() {
                break;
            }
            rest = rest.min(self.step(batch).await?);
        }
        let told = |batch: &BatchRow| {
            let (id, total) = (&batch.id, batch.total);
            format!("{id}: {} of {total}", total - batch.left())
        };
        let told: Vec<_> = running.iter().map(told).collect();
        let note = (!told.is_empty()).then(|| told.join(", "));
        Ok((rest.max(REST), note))
    }

    async fn step(&mut self, batch: &BatchRow) -> Result<Duration, AppError> {
        let now = self.app.recorder.clock().monotonic();
        let known = self
            .under_way
            .entry(batch.id.clone())
            .or_insert_with(|| UnderWay {
                pace: Pace::new(now),
                at: 0,
                trouble: None,
            });
        let steps = known.pace.steps(batch.per_second, now).min(STEPS_MAX);
        if batch.left() == 0 {
            self.app.finish_batch(batch).await?;
            return Ok(POLL);
        }
        // The row is a hint: whether it was cancelled, the subscriber's stream knows first.
        if steps == 0 || !self.app.batch_runs(batch).await? {
            return Ok(known.pace.wait(batch.per_second));
        }
        let members = self.app.batch_members(&batch.id, known.at, steps).await?;
        if members.is_empty() {
            // Either the queue has not heard of the last ones, or some could not be decided: once more
            // from the start.
            known.at = 0;
            return Ok(POLL);
        }
        for row in members {
            match self.app.carry_out(batch, &row).await {
                Ok(done) => {
                    known.pace.took(usize::from(done));
                    known.trouble = known.trouble.take().filter(|_| !done);
                }
                Err(error @ (AppError::StoreUnavailable { .. } | AppError::StoreFull)) => {
                    return Err(error);
                }
                // One delivery in trouble holds up no other; its turn comes again.
                Err(error) => {
                    tracing::error!(delivery = %row.id, batch = %batch.id, error = %error, "batch.stuck");
                    known.trouble = Some(format!("{} of {}: {error}", row.id, batch.id));
                }
            }
            known.at = row.ordinal;
        }
        Ok(known.pace.wait(batch.per_second))
    }

    fn trouble(&self) -> Option<String> {
        let mut told = self.under_way.values();
        told.find_map(|known| known.trouble.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_pace_is_kept_and_little_is_saved_up() {
        let mut pace = Pace::new(ms(0));
        assert_eq!(pace.steps(2, ms(0)), 1);
        pace.took(1);
        assert_eq!((pace.steps(2, ms(0)), pace.wait(2)), (0, ms(500)));
        assert_eq!(pace.steps(2, ms(499)), 0);
        assert_eq!(pace.steps(2, ms(500)), 1);
        assert_eq!(pace.steps(2, ms(60_000)), 1, "a quiet minute is no burst");
        assert_eq!(pace.steps(100, ms(120_000)), 25);
        pace.took(25);
        assert_eq!(pace.wait(100), ms(10));
    }

    #[test]
    fn in_a_second_there_are_as_many_steps_as_the_rate_says() {
        for rate in [1, 3, 10, 250] {
            let (mut pace, mut taken) = (Pace::new(ms(0)), 0);
            for now in (0..10_000).step_by(20) {
                let steps = pace.steps(rate, ms(now));
                pace.took(steps);
                taken += steps;
            }
            let expected = usize::try_from(rate).unwrap() * 10;
            assert!(
                taken <= expected + 1 && taken + 25 >= expected,
                "{rate}: {taken}"
            );
        }
    }
}
