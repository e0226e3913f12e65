//! What the tests of Counterfoil share: contract suites that every adapter of a port must pass, and
//! a world (clock, chance) that does as it is told.
//!
//! It holds no test itself; the tests stand in `it/`.

#![allow(
    clippy::unwrap_used,
    reason = "this is test code, and a failed unwrap is a failed test"
)]

pub mod binary;
pub mod browser;
pub mod canaries;
pub mod contract;
pub mod delivery_world;
#[rustfmt::skip] // A row of the table is a line there.
pub mod model;
pub mod money_world;
pub mod node;
pub mod others;
pub mod payer;
pub mod people;
pub mod plain_http;
pub mod process_ledger;
pub mod proxy;
pub mod puller;
pub mod quiet_provider;
pub mod receiver;
pub mod refund_bank;
pub mod refund_shop;
pub mod shop;
pub mod shop_deliveries;
pub mod sim;
pub mod whole_log;
pub mod world;
