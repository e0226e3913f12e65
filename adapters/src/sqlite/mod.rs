//! SQLite, the embedded default: one file for the events, one for the views, one for the keyring.
//!
//! SQL stands in `.sql` files beside the module that runs it.

pub mod events;
pub mod keyring;
pub mod open;
pub mod ops;
pub mod views;
