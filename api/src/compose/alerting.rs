//! Who hears alerts, from the configuration.

use std::sync::Arc;
use std::time::Duration;

use adapters::alerts::{CommandAlerts, WebhookAlerts};
use domain::ports::AlertChannel;

use super::StartError;
use super::outgoing::http_out;
use crate::config::Settings;
use crate::work::alerts::{Alerts, Patience};

/// Where alerts go, and when; the list of channels is empty where nobody wants any.
///
/// # Errors
/// [`StartError`].
pub fn alerts(settings: &Settings) -> Result<Alerts, StartError> {
    let said = &settings.alerts;
    let mut channels: Vec<Arc<dyn AlertChannel>> = vec![];
    if !said.url.is_empty() {
        let http = http_out(&said.allow_networks, said.danger_allow_http)?;
        channels.push(Arc::new(WebhookAlerts::new(http, said.url.clone())));
    }
    if let Some((program, arguments)) = said.command.split_first() {
        let command = CommandAlerts::new(program.clone(), arguments.to_vec());
        channels.push(Arc::new(command));
    }
    Ok(Alerts {
        channels,
        patience: Patience {
            late: Duration::from_secs(said.late_after_s),
            away: Duration::from_secs(said.away_after_s),
            part: Duration::from_secs(said.part_after_s),
        },
        again: Duration::from_secs(said.again_after_s),
    })
}
