//! The counterfoil binary as a library: use-cases, HTTP API, command line, work loops.

pub mod admin;
pub mod app;
pub mod bench;
pub mod cli;
pub mod compose;
pub mod config;
pub mod demo;
pub mod http;
pub mod sim_provider;
pub mod telemetry;
pub mod work;
