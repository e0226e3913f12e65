//! Who did something, on whose behalf, from where, and what it followed from.

use serde::{Deserialize, Serialize};

use crate::digest::Digest32;
use crate::ids::{
    AccountSlug, ClientId, CorrelationId, EventId, OperatorId, ProviderCode, ReasonCode,
};
use crate::sealed::Sealed;

/// Who caused an event. Every event has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Actor {
    /// An API caller, with the id of the token it used.
    #[serde(rename = "client")]
    Client {
        /// The client.
        id: ClientId,
        /// Key id of the token; never the token.
        auth: String,
    },
    /// A person.
    #[serde(rename = "operator")]
    Operator {
        /// The person, opaque.
        id: OperatorId,
        /// Id of the session they signed in to; `cli` at the terminal of the machine.
        auth: String,
    },
    /// A provider whose bytes were authenticated.
    #[serde(rename = "provider")]
    Provider {
        /// `<provider>/<account>`.
        id: String,
        /// Signature scheme or `look_up`.
        auth: String,
    },
    /// Whoever holds the payer's link of a request.
    #[serde(rename = "payer")]
    Payer {
        /// Always `link`: nothing else is known of them.
        auth: String,
    },
    /// A loop of the ledger itself (`work::expire`).
    #[serde(rename = "job")]
    Job {
        /// The loop's name.
        id: String,
        /// Always `internal`.
        auth: String,
    },
}

impl Actor {
    /// A loop of the ledger.
    pub fn job(name: &str) -> Self {
        Self::Job {
            id: name.to_owned(),
            auth: "internal".to_owned(),
        }
    }

    /// A provider account and the scheme that authenticated it.
    pub fn provider(provider: &ProviderCode, account: &AccountSlug, scheme: &str) -> Self {
        Self::Provider {
            id: format!("{provider}/{account}"),
            auth: scheme.to_owned(),
        }
    }

    /// Whoever holds the payer's link.
    pub fn payer() -> Self {
        Self::Payer {
            auth: "link".to_owned(),
        }
    }

    /// `client:shop-bot`, for tables and logs.
    pub fn display(&self) -> String {
        match self {
            Self::Client { id, .. } => format!("client:{id}"),
            Self::Operator { id, .. } => format!("operator:{id}"),
            Self::Provider { id, .. } => format!("provider:{id}"),
            Self::Payer { .. } => "payer".to_owned(),
            Self::Job { id, .. } => format!("job:{id}"),
        }
    }
}

/// Where a command came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// `POST /v1/payment-requests`, `cli subscribers add`, `work::expire`.
    pub entry: String,
    /// Name of the node.
    pub node: String,
    /// The caller's network, cut to /24 or /48. Never a whole address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_prefix: Option<String>,
}

/// What an event followed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The command's name (`create`, `record_facts`).
    pub command: String,
    /// Drawn once per decision; equal on all events of one decision.
    pub command_id: EventId,
    /// HMAC over the idempotency scope, where the command had a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_hmac: Option<Digest32>,
    /// HMAC over the parsed command, where it had a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Digest32>,
    /// The event that this one follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<EventId>,
    /// The cart or conversation it all belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<CorrelationId>,
}

/// Why somebody decided something: a code in clear, free text only sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Short code.
    pub code: ReasonCode,
    /// Free text, sealed with the merchant's notes key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Sealed>,
}
