//! `counterfoil demo`: a ledger, a simulated provider and two subscribers in one process. One order
//! goes well and five go wrong; the story is told as it happens, and every promise is checked.

mod receiver;
mod stories;
mod world;

use std::time::Duration;

use serde::Serialize;

pub use world::DemoError;
use world::World;

/// Where the story goes.
pub trait Teller: Sync {
    /// A heading.
    fn chapter(&self, title: &str);
    /// Who sees or does what.
    fn line(&self, who: &str, what: &str);
    /// A promise and whether it held.
    fn promise(&self, promise: &Promise);
}

/// Something that the demo shows to be true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Promise {
    /// In words.
    pub promise: String,
    /// True when it held.
    pub held: bool,
}

/// What the demo came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Every promise that was checked.
    pub promises: Vec<Promise>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Report {
    /// True when every promise held.
    pub fn all_held(&self) -> bool {
        !self.promises.is_empty() && self.promises.iter().all(|promise| promise.held)
    }
}

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Plays all orders on a temporary folder, which is removed afterwards.
///
/// # Errors
/// [`DemoError`] when a part cannot start or answers what it should not.
pub async fn play(teller: &dyn Teller) -> Result<Report, DemoError> {
    let mut world = World::build(teller).await?;
    let started = world.monotonic();
    let played = stories::play_all(&mut world, teller).await;
    let took = world.monotonic().saturating_sub(started);
    let promises = std::mem::take(&mut world.promises);
    world.end().await;
    played?;
    Ok(Report {
        promises,
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    })
}
