//! Stores in memory: the reference that the contract suite reads by, and the ground of simulations.
//! Nothing here survives the process.

mod event_store;
mod faults;
mod ops;
mod view_store;
mod world;

pub use event_store::MemoryEventStore;
pub use faults::{AppendFault, FaultyEventStore};
pub use ops::MemoryOps;
pub use view_store::MemoryViewStore;
pub use world::{ManualClock, SeededEntropy};
