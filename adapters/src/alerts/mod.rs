//! Channels that alerts go out on: an address that takes JSON, and a command of the machine.

mod command;
mod webhook;

pub use self::command::CommandAlerts;
pub use self::webhook::WebhookAlerts;
