//! Leaves a subscriber in trouble alone. Its deliveries wait without burning steps of their
//! schedules.

use std::time::Duration;

/// Failures in a row that open it.
const FAILURES_MAX: u32 = 5;
/// First rest; doubled each time.
const REST: Duration = Duration::from_secs(30);
/// Longest rest.
const REST_MAX: Duration = Duration::from_secs(300);

/// One subscriber's breaker.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    rests: u32,
    until: Option<Duration>,
}

impl Breaker {
    /// How many deliveries may be under way: none while it rests, one as a probe afterwards.
    pub(super) fn places(&self, now: Duration, all: usize) -> usize {
        match self.until {
            Some(until) if now < until => 0,
            Some(_) if self.failures >= FAILURES_MAX => 1,
            Some(_) | None => all,
        }
    }

    pub(super) fn is_open(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// `cool_down` is the receiver's own wish (429 and 503 with Retry-After).
    pub(super) fn failed(&mut self, now: Duration, cool_down: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        if let Some(wish) = cool_down {
            self.until = Some(now + wish.min(REST_MAX));
        }
        if self.failures >= FAILURES_MAX {
            let rest = REST.saturating_mul(1 << self.rests.min(4)).min(REST_MAX);
            self.rests = self.rests.saturating_add(1);
            self.until = self.until.max(Some(now + rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn five_failures_open_it_and_one_probe_closes_it() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            breaker.failed(at(0), None);
            assert_eq!(breaker.places(at(0), 4), 4);
        }
        breaker.failed(at(0), None);
        assert_eq!((breaker.places(at(29), 4), breaker.places(at(30), 4)), (0, 1));
        breaker.failed(at(30), None);
        assert_eq!((breaker.places(at(89), 4), breaker.places(at(90), 4)), (0, 1));
        breaker.succeeded();
        assert_eq!(breaker.places(at(90), 4), 4);
    }

    #[test]
    fn the_receivers_own_wish_is_honoured() {
        let mut breaker = Breaker::default();
        breaker.failed(at(0), Some(at(60)));
        assert!(breaker.is_open(at(59)));
        assert_eq!(breaker.places(at(60), 4), 4);
    }
}
