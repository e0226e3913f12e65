//! Virtual time and repeatable chance, for tests and simulations.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use domain::digest::Digest32;
use domain::ports::{Clock, Entropy};
use domain::time::Timestamp;
use tokio::sync::oneshot;

/// A clock that moves only when it is told to. Sleepers wake in the order of their deadlines, and
/// in the order in which they lay down where those are equal.
///
/// Tasks see the time at the end of an advance; a simulation that wants each of them to see its own
/// deadline goes from one to the next with [`ManualClock::next_deadline`].
#[derive(Debug)]
pub struct ManualClock(Mutex<State>);

#[derive(Debug)]
struct State {
    wall: Timestamp,
    elapsed: Duration,
    /// By deadline and number.
    sleepers: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
    next_number: u64,
}

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self(Mutex::new(State {
            wall: start,
            elapsed: Duration::ZERO,
            sleepers: BTreeMap::new(),
            next_number: 0,
        }))
    }

    /// Moves on, wall and monotonic time alike.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.elapsed += by;
        state.wall = state.wall.plus(by);
        let elapsed = state.elapsed;
        while let Some(first) = state.sleepers.first_entry() {
            if first.key().0 > elapsed {
                break;
            }
            // A sleeper that was dropped wakes nobody.
            let _ = first.remove().send(());
        }
    }

    /// Sets the wall clock, as an administrator or a time server does; it may go back. Deadlines
    /// are of monotonic time, so nobody wakes.
    pub fn set_wall(&self, to: Timestamp) {
        self.state().wall = to;
    }

    /// How long until the next sleeper is due; `None` when nobody sleeps.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let state = self.state();
        let mut waiting = state
            .sleepers
            .iter()
            .filter(|(_, sleeper)| !sleeper.is_closed());
        waiting
            .next()
            .map(|((deadline, _), _)| deadline.saturating_sub(state.elapsed))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state().wall
    }

    fn monotonic(&self) -> Duration {
        self.state().elapsed
    }

    async fn sleep(&self, duration: Duration) {
        let due = {
            let mut state = self.state();
            if duration.is_zero() {
                return;
            }
            let (wake, due) = oneshot::channel();
            let key = (state.elapsed + duration, state.next_number);
            state.next_number += 1;
            state.sleepers.insert(key, wake);
            due
        };
        // The clock lives as long as this borrow of it, so it wakes us or nobody.
        let _ = due.await;
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
        let mut counter = self.counter.lock().unwrap_or_else(PoisonError::into_inner);
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

    #[tokio::test]
    async fn sleepers_wake_in_the_order_of_their_deadlines() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(0)));
        let woken = Arc::new(Mutex::new(vec![]));
        let sleepers: Vec<_> = [(3, 'c'), (1, 'a'), (3, 'd'), (2, 'b'), (9, 'z')]
            .into_iter()
            .map(|(seconds, name)| {
                let (clock, woken) = (Arc::clone(&clock), Arc::clone(&woken));
                tokio::spawn(async move {
                    clock.sleep(Duration::from_secs(seconds)).await;
                    woken.lock().unwrap().push(name);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(clock.next_deadline(), Some(Duration::from_secs(1)));
        clock.advance(Duration::from_secs(5));
        for sleeper in sleepers.into_iter().take(4) {
            sleeper.await.unwrap();
        }
        assert_eq!(*woken.lock().unwrap(), ['a', 'b', 'c', 'd']);
        assert_eq!(clock.next_deadline(), Some(Duration::from_secs(4)));
    }

    #[tokio::test]
    async fn a_jump_of_the_wall_clock_wakes_nobody() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(100)));
        let sleeper = tokio::spawn({
            let clock = Arc::clone(&clock);
            async move { clock.sleep(Duration::from_secs(5)).await }
        });
        tokio::task::yield_now().await;
        for seconds in [1_000_000, 0] {
            clock.set_wall(Timestamp::from_seconds(seconds));
            tokio::task::yield_now().await;
            assert_eq!(clock.now(), Timestamp::from_seconds(seconds));
            assert_eq!(clock.monotonic(), Duration::ZERO);
            assert!(!sleeper.is_finished());
        }
        sleeper.abort();
        assert!(sleeper.await.unwrap_err().is_cancelled());
        assert_eq!(
            clock.next_deadline(),
            None,
            "nobody waits for a sleeper that is gone"
        );
        clock.sleep(Duration::ZERO).await;
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
