//! Who asks, from where, and following from what. Every use-case takes one.

use domain::actor::{Actor, Source};
use domain::idempotency::Idempotency;
use domain::ids::{CorrelationId, EventId};

/// The circumstances of one command.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who.
    pub actor: Actor,
    /// Route, command line or loop (`POST /v1/payment-requests`).
    pub entry: String,
    /// The caller's network, cut to /24 or /48.
    pub ip_prefix: Option<String>,
    /// For whom, where somebody acts for another.
    pub on_behalf_of: Option<String>,
    /// Key and content of the command, where it has a key.
    pub idempotency: Option<Idempotency>,
    /// The event it follows from.
    pub causation_id: Option<EventId>,
    /// The cart or conversation.
    pub correlation_id: Option<CorrelationId>,
}

impl Context {
    /// A loop of the ledger.
    pub fn job(name: &str) -> Self {
        Self::of(Actor::job(name), name)
    }

    /// Anybody, at an entry.
    pub fn of(actor: Actor, entry: &str) -> Self {
        Self {
            actor,
            entry: entry.to_owned(),
            ip_prefix: None,
            on_behalf_of: None,
            idempotency: None,
            causation_id: None,
            correlation_id: None,
        }
    }

    /// The same, following from an event.
    #[must_use]
    pub fn caused_by(mut self, event: EventId) -> Self {
        self.causation_id = Some(event);
        self
    }

    pub(crate) fn source(&self, node: &str) -> Source {
        Source {
            entry: self.entry.clone(),
            node: node.to_owned(),
            ip_prefix: self.ip_prefix.clone(),
        }
    }
}
