//! `alerts`: try the channels that tell people.

use clap::Subcommand;
use domain::ports::Clock as _;
use serde_json::json;

use super::args::Global;
use super::out::{Failure, Out};
use super::serve::{of_start, settings};
use crate::compose;
use crate::work::alerts::try_out;

#[derive(Subcommand)]
pub(super) enum Alerts {
    /// Send an alert that says that nothing is wrong, over every channel of the configuration. No
    /// server is needed.
    #[command(after_help = "Example: counterfoil alerts test")]
    Test,
}

pub(super) async fn run(global: &Global, out: &Out, command: Alerts) -> Result<(), Failure> {
    let settings = settings(global, out)?.settings;
    match command {
        Alerts::Test => {
            let heard = compose::alerts_of(&settings).map_err(|error| of_start(&error))?;
            if heard.channels.is_empty() {
                return Err(Failure::usage(
                    "nobody hears alerts; set url or command in [alerts] of the configuration"
                        .to_owned(),
                ));
            }
            let from = (&*settings.ledger.origin, &*settings.server.node);
            try_out(&heard.channels, from, compose::clock().now())
                .await
                .map_err(|error| Failure::failed(error.to_string()))?;
            out.one(&json!({ "told": heard.channels.len() }));
            Ok(())
        }
    }
}
