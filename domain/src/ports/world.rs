//! Time and chance, as arguments of the application and never of the domain.

use std::time::Duration;

use async_trait::async_trait;

use crate::ids::EventId;
use crate::time::Timestamp;

/// Wall time for stamps, monotonic time for deadlines.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock. It may jump; it decides stamps and expiry only.
    fn now(&self) -> Timestamp;

    /// Time since some start; never goes back.
    fn monotonic(&self) -> Duration;

    /// Returns after `duration` of monotonic time.
    async fn sleep(&self, duration: Duration);
}

/// Random bytes fit for keys and nonces.
pub trait Entropy: Send + Sync {
    /// Fills `buffer`.
    fn fill(&self, buffer: &mut [u8]);

    /// A new event id (UUIDv7) for `now`.
    fn event_id(&self, now: Timestamp) -> EventId {
        let mut random = [0; 10];
        self.fill(&mut random);
        EventId::from_parts(u64::try_from(now.millis()).unwrap_or(0), random)
    }
}
