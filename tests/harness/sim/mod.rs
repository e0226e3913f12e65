//! Whole histories of the ledger in one process without threads, files or sockets: commands,
//! messages of providers, time, crashes and failing stores, as plans that can be written down,
//! shrunk and run again.

mod acts;
pub mod bank;
pub mod books;
pub mod check;
mod creates;
mod draw;
pub mod fuse;
pub mod ledger;
mod people;
pub mod plan;
#[allow(clippy::print_stdout, reason = "a trace is for whoever asked for it")]
pub mod run;
pub mod shrink;
pub mod words;
mod worlds;
