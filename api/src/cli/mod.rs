//! The command line. Data goes to standard output, talk to standard error.
//!
//! Exit codes: 0 done, 1 failed, 2 usage or configuration, 69 unavailable.

mod admin;
mod alerts;
mod args;
mod batches;
mod bench;
mod config;
mod deliveries;
mod demo;
mod events;
mod evidence;
mod exceptions;
mod operators;
mod out;
mod projections;
mod pull;
pub mod reference;
mod serve;
mod sim;
mod subscribers;

use std::process::ExitCode;

use clap::Parser;

pub use args::Cli;
use args::Command;
pub use out::{Failure, Out};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = Out {
        json: cli.global.json,
        quiet: cli.global.quiet,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return out.fail(&Failure::unavailable(format!("cannot start: {error}"))),
    };
    match runtime.block_on(run(cli, &out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => out.fail(&failure),
    }
}

async fn run(cli: Cli, out: &Out) -> Result<(), Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Init(_) => serve::init(global, out).await,
        Command::Serve(_) => serve::serve(global, out).await,
        Command::Demo(_) => demo::run(out).await,
        Command::SimProvider(sim) => sim::run(out, sim).await,
        Command::Clients(command) => admin::clients(global, out, command).await,
        Command::Operators(command) => operators::run(global, out, command).await,
        Command::Secrets(command) => admin::secrets(global, out, command).await,
        Command::Subscribers(command) => subscribers::run(global, out, command).await,
        Command::Deliveries(command) => deliveries::run(global, out, command).await,
        Command::Alerts(command) => alerts::run(global, out, command).await,
        Command::Evidence(command) => evidence::run(global, out, command).await,
        Command::Exceptions(command) => exceptions::run(global, out, command).await,
        Command::Config(command) => config::run(global, out, command).await,
        Command::Events(command) => events::run(global, out, command).await,
        Command::Projections(command) => projections::run(global, out, command).await,
        Command::Bench(command) => bench::bench(out, command).await,
        Command::Completions { shell } => {
            out.completions(shell);
            Ok(())
        }
    }
}
