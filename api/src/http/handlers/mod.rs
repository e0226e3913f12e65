//! Handlers: parse, one use-case call, present.

pub mod callbacks;
pub mod deliveries;
pub mod delivery_batches;
pub mod events;
pub mod evidence;
pub mod exceptions;
pub mod operations;
pub mod overrides;
pub mod pull;
pub mod refunds;
pub mod requests;
pub mod sessions;
pub mod stream;
pub mod subscribers;
pub mod telegram;
