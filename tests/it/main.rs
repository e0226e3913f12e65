//! The tests that need more than one crate. Each file is one promise or one suite; names of tests
//! are sentences.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod contract;
mod disk_faults;
mod view_engine;
mod view_stores;
