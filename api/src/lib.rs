//! The counterfoil binary as a library: use-cases, HTTP API, command line, work loops.

pub mod app;
pub mod http;
pub mod work;
pub mod config;
pub mod telemetry;
pub mod compose;
pub mod admin;
pub mod cli;
pub mod sim_provider;
pub mod bench;
pub mod demo;
