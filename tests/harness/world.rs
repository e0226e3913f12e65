//! Time and chance that tests decide.

use std::sync::Mutex;
use std::time::Duration;

use adapters::system::SystemClock;
use async_trait::async_trait;
use tokio::sync::watch;

use domain::ports::{Clock, Entropy};
use domain::time::Timestamp;

/// A clock that stands until a test moves it.
#[derive(Debug)]
pub struct TestClock {
    wall: Mutex<Timestamp>,
    monotonic: watch::Sender<Duration>,
}

impl TestClock {
    /// Stands at `wall`.
    pub fn at(wall: Timestamp) -> Self {
        Self {
            wall: Mutex::new(wall),
            monotonic: watch::Sender::new(Duration::ZERO),
        }
    }

    /// Lets time pass on both clocks and wakes who slept so long.
    pub fn advance(&self, duration: Duration) {
        let mut wall = self.wall.lock().unwrap();
        *wall = wall.plus(duration);
        self.monotonic.send_modify(|now| *now += duration);
    }

    /// Sets the wall clock, also back. Nobody wakes by it.
    pub fn set_wall(&self, wall: Timestamp) {
        *self.wall.lock().unwrap() = wall;
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.wall.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        *self.monotonic.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let mut monotonic = self.monotonic.subscribe();
        let until = *monotonic.borrow() + duration;
        monotonic.wait_for(|now| *now >= until).await.unwrap();
    }
}

/// The system's clock, which a test may let leap ahead: whoever sleeps until then wakes at once.
#[derive(Debug)]
pub struct LeapingClock {
    system: SystemClock,
    ahead: watch::Sender<Duration>,
}

impl LeapingClock {
    /// Goes with the system's.
    #[allow(
        clippy::new_without_default,
        reason = "a clock is started, not defaulted"
    )]
    pub fn new() -> Self {
        Self {
            system: SystemClock::new(),
            ahead: watch::Sender::new(Duration::ZERO),
        }
    }

    /// Lets it be later by so much.
    pub fn leap(&self, by: Duration) {
        self.ahead.send_modify(|ahead| *ahead += by);
    }
}

#[async_trait]
impl Clock for LeapingClock {
    fn now(&self) -> Timestamp {
        self.system.now().plus(*self.ahead.borrow())
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic() + *self.ahead.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let mut ahead = self.ahead.subscribe();
        let until = self.monotonic() + duration;
        while let Some(left) = until.checked_sub(self.monotonic()) {
            tokio::select! {
                biased;
                _ = ahead.changed() => {}
                () = self.system.sleep(left) => {}
            }
        }
    }
}

/// Chance that is the same for the same seed (splitmix64, Vigna 2015). Not fit for keys.
#[derive(Debug)]
pub struct Dice(Mutex<u64>);

impl Dice {
    /// The dice of one seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `sides - 1`.
    pub fn below(&self, sides: u64) -> u64 {
        self.next() % sides
    }
}

impl Entropy for Dice {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}
