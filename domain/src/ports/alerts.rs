//! Alerts: what waits for a person, told on a channel that is none of the subscribers'.

use async_trait::async_trait;
use serde::Serialize;

use super::BoxError;
use crate::ids::MerchantId;
use crate::time::Timestamp;

/// What is wrong. Names are for machines and stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum AlertKind {
    /// A part of the ledger does not work.
    #[serde(rename = "part_fails")]
    PartFails,
    /// A part works, and something in it waits for a person.
    #[serde(rename = "part_alarms")]
    PartAlarms,
    /// A subscriber answered 410 and was paused.
    #[serde(rename = "subscriber_gone")]
    SubscriberGone,
    /// A subscriber has not answered for a while and is left alone.
    #[serde(rename = "subscriber_away")]
    SubscriberAway,
    /// A subscriber's oldest open delivery waits too long.
    #[serde(rename = "deliveries_late")]
    DeliveriesLate,
    /// Deliveries ended without success and wait to be redriven or abandoned.
    #[serde(rename = "deliveries_failed")]
    DeliveriesFailed,
    /// Cases are open beyond their time.
    #[serde(rename = "cases_overdue")]
    CasesOverdue,
    /// Nothing is wrong: somebody tries the channel.
    #[serde(rename = "test")]
    Test,
}

impl AlertKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::PartFails,
        Self::PartAlarms,
        Self::SubscriberGone,
        Self::SubscriberAway,
        Self::DeliveriesLate,
        Self::DeliveriesFailed,
        Self::CasesOverdue,
        Self::Test,
    ];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PartFails => "part_fails",
            Self::PartAlarms => "part_alarms",
            Self::SubscriberGone => "subscriber_gone",
            Self::SubscriberAway => "subscriber_away",
            Self::DeliveriesLate => "deliveries_late",
            Self::DeliveriesFailed => "deliveries_failed",
            Self::CasesOverdue => "cases_overdue",
            Self::Test => "test",
        }
    }
}

/// Whether it is still so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum AlertState {
    /// It is so.
    #[serde(rename = "raised")]
    Raised,
    /// It is over.
    #[serde(rename = "cleared")]
    Cleared,
}

/// One message. It holds ids, counts and times, and nothing about payers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// What is wrong.
    pub alert: AlertKind,
    /// Whether it is still so.
    pub state: AlertState,
    /// What it is about: a part, a subscriber, a merchant. Together with `alert` it names the trouble,
    /// and `raised` and `cleared` of the same trouble have the same pair.
    pub subject: String,
    /// Whose, where it is somebody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<MerchantId>,
    /// A sentence for people. Chat systems that show a member `text` show this.
    pub text: String,
    /// What to do next, as a command where there is one.
    pub to_do: String,
    /// Since when it is so, as far as is known.
    pub since: Timestamp,
    /// When this was said.
    pub at: Timestamp,
    /// The log.
    pub ledger: String,
    /// The node that says it.
    pub node: String,
}

/// Nobody was told, or it is unknown whether somebody was.
#[derive(Debug, thiserror::Error)]
#[error("{channel}: {cause}")]
pub struct AlertError {
    /// Which channel.
    pub channel: &'static str,
    /// Why.
    #[source]
    pub cause: BoxError,
}

/// Tells people.
#[async_trait]
pub trait AlertChannel: Send + Sync {
    /// Tells one alert. After an error it is told again, so receivers may hear the same twice.
    ///
    /// # Errors
    /// [`AlertError`].
    async fn tell(&self, alert: &Alert) -> Result<(), AlertError>;
}
