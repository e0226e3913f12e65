//! One suite per port. Every adapter of the port runs the whole suite.

pub mod event_store;
pub mod ops_store;
pub mod view_store;
