//! Stores in memory: the reference that the contract suite reads by, and the ground of simulations.
//! Nothing here survives the process.

mod event_store;
mod faults;

pub use event_store::MemoryEventStore;
pub use faults::{AppendFault, FaultyEventStore};
