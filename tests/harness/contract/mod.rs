//! One suite per port. Every adapter of the port runs the whole suite.

pub mod event_store;
