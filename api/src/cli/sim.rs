//! `sim-provider`: a bank to try the ledger with, as a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::out::{Failure, Out};
use crate::compose;
use crate::sim_provider::{Script, SimError, SimOptions, run as run_bank};

/// Arguments of `sim-provider`.
#[derive(Args)]
pub(super) struct Sim {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// The ledger's callback of the account.
    #[arg(
        long,
        default_value = "http://127.0.0.1:8080/v1/callbacks/sim/sim-main",
        value_name = "URL"
    )]
    notify_url: String,
    /// How it names the merchant account.
    #[arg(long, default_value = "acc-shop")]
    payee: String,
    /// File of the secret that signs notifications (`whsec_...`).
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// File of the key that merchants call it with.
    #[arg(long, value_name = "FILE")]
    api_key_file: PathBuf,
    /// What orders do that bring no script of their own.
    #[arg(long, default_value = "")]
    script: String,
}

pub(super) async fn run(out: &Out, sim: Sim) -> Result<(), Failure> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path);
        text.map(|text| text.trim().to_owned())
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
    };
    let script: Script = sim
        .script
        .parse()
        .map_err(|error| Failure::usage(format!("--script: {error}")))?;
    let hands = compose::sim_hands(&read(&sim.secret_file)?)
        .map_err(|error| Failure::unavailable(error.to_string()))?;
    let hands = hands
        .ok_or_else(|| Failure::usage("the secret is whsec_ and the base64 of 24 to 64 bytes"))?;
    let options = SimOptions {
        listen: sim.listen,
        public_url: None,
        notify_url: sim.notify_url,
        payee: sim.payee,
        mode: domain::payment::evidence::Mode::Test,
        api_key: read(&sim.api_key_file)?,
        script,
    };
    let bank = run_bank(options, hands).map_err(|error| match &error {
        SimError::NoKey => Failure::usage(error.to_string()),
        SimError::Listen { cause, .. } => Failure::unavailable(format!(
            "{error}: {cause}; stop what listens there, or choose another --listen"
        )),
    })?;
    out.talk(&format!("the simulated provider listens on {}", bank.url()));
    super::serve::until_told_to_stop().await?;
    bank.stop().await;
    Ok(())
}
