//! Virtual time and repeatable chance, for tests and simulations.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use domain::digest::Digest32;
use domain::ports::{Clock, Entropy};
use domain::time::Timestamp;
use tokio::sync::watch;

/// A clock that moves only when it is told to. Sleepers wake when their time is reached.
#[derive(Debug)]
pub struct ManualClock {
    start: Timestamp,
    elapsed: watch::Sender<Duration>,
}

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self {
            start,
            elapsed: watch::channel(Duration::ZERO).0,
        }
    }

    /// Moves on.
    pub fn advance(&self, by: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += by);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.start.plus(*self.elapsed.borrow())
    }

    fn monotonic(&self) -> Duration {
        *self.elapsed.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.monotonic() + duration;
        let mut elapsed = self.elapsed.subscribe();
        // The sender lives as long as the clock, which the caller holds.
        let _ = elapsed.wait_for(|now| *now >= until).await;
    }
}

/// Bytes that follow from a seed: SHA-256 over seed and counter. Equal seeds give equal bytes.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: [u8; 32],
    counter: Mutex<u64>,
}

impl SeededEntropy {
    /// One stream per component, so that a draw in one does not shift another.
    #[must_use]
    pub fn new(seed: u64, component: &str) -> Self {
        let seed = Digest32::sha256(&[&seed.to_be_bytes(), component.as_bytes()]).0;
        Self {
            seed,
            counter: Mutex::new(0),
        }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let mut counter = self
            .counter
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in buffer.chunks_mut(32) {
            let block = Digest32::sha256(&[&self.seed, &counter.to_be_bytes()]).0;
            chunk.copy_from_slice(&block[..chunk.len()]);
            *counter += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn sleepers_wake_when_their_time_is_reached() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(0)));
        let sleeper = tokio::spawn({
            let clock = Arc::clone(&clock);
            async move { clock.sleep(Duration::from_secs(5)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(4));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.now(), Timestamp::from_seconds(5));
    }

    #[test]
    fn equal_seeds_give_equal_bytes() {
        let draw = |seed, component| {
            let entropy = SeededEntropy::new(seed, component);
            let mut bytes = [0; 70];
            entropy.fill(&mut bytes);
            bytes
        };
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
    }
}
