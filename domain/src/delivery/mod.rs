//! One event for one subscriber: its id, its tries, its end. Stream `delivery-<id>`.

pub mod breaker;
mod decide;
pub mod event;
mod failed;
pub mod id;
mod pull;
pub mod schedule;
pub mod signature;

pub use decide::{Answer, Command, Delivery, Failure, Refusal, State, decide, evolve};
pub use event::Event;
pub use failed::FailedWhy;
pub use pull::{Consumer, PullCursor};
