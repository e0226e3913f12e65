//! The outside of Counterfoil: stores, providers, subscribers, keys, clock.
//!
//! Each module here fulfils a port that an inner crate declares. Nothing here decides about money,
//! and nothing here knows an HTTP status of the ledger's own API.

pub mod alerts;
mod append_rules;
pub mod http_out;
pub mod keys;
pub mod memory;
pub mod providers;
pub mod sqlite;
pub mod system;
