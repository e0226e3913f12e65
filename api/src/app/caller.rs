//! An authenticated API caller, as the use-cases see it.

use std::collections::BTreeSet;

use domain::access::scope::Scope;
use domain::actor::Actor;
use domain::ids::{ClientId, MerchantId, OperatorId, ScenarioId, SubscriberId};
use domain::payment::Request;
use domain::payment::evidence::Mode;

use super::error::AppError;

/// Who calls, and what they may do.
#[derive(Debug, Clone)]
pub struct Caller {
    /// A client or a person.
    pub who: Who,
    /// Their merchant. Nothing of another merchant exists for them.
    pub merchant: MerchantId,
    /// Live or test money.
    pub mode: Mode,
    /// Key id of the token, or of the session.
    pub key_id: String,
    /// What they may do.
    pub scopes: BTreeSet<Scope>,
    /// Which ways of selling they may use.
    pub scenarios: BTreeSet<ScenarioId>,
    /// The one subscriber whose events they fetch.
    pub subscriber: Option<SubscriberId>,
    /// True for bots: they see only what they created themselves, and only the words that a bot
    /// may show.
    pub own_only: bool,
}

/// A machine with a token, or a person with a session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// A client.
    Client(ClientId),
    /// A person.
    Operator(OperatorId),
}

impl Who {
    /// A text that no other caller has: a client's id as it is, a person's as `operator:<id>`,
    /// which is no client's id.
    pub fn key(&self) -> String {
        match self {
            Self::Client(id) => id.to_string(),
            Self::Operator(id) => format!("operator:{id}"),
        }
    }
}

impl Caller {
    /// The actor of events.
    pub fn actor(&self) -> Actor {
        let auth = self.key_id.clone();
        match &self.who {
            Who::Client(id) => Actor::Client {
                id: id.clone(),
                auth,
            },
            Who::Operator(id) => Actor::Operator {
                id: id.clone(),
                auth,
            },
        }
    }

    /// The client, for what only machines do: creating and pricing.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for a person.
    pub fn client(&self) -> Result<&ClientId, AppError> {
        match &self.who {
            Who::Client(id) => Ok(id),
            Who::Operator(_) => Err(AppError::Forbidden {
                why: "only a client may do this",
            }),
        }
    }

    /// The person, for what only persons do: deciding. A client's token never approves.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for a client.
    pub fn operator(&self) -> Result<&OperatorId, AppError> {
        match &self.who {
            Who::Operator(id) => Ok(id),
            Who::Client(_) => Err(AppError::Forbidden {
                why: "only a person who signed in may do this",
            }),
        }
    }

    /// True with this scope.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// # Errors
    /// [`AppError::Forbidden`] without access to the scenario.
    pub fn use_scenario(&self, scenario: &ScenarioId) -> Result<(), AppError> {
        if self.scenarios.contains(scenario) {
            Ok(())
        } else {
            Err(AppError::Forbidden {
                why: "this client may not use this scenario",
            })
        }
    }

    /// True when the request exists for this caller: its own merchant's, and for a bot its own.
    pub fn sees(&self, request: &Request) -> bool {
        let terms = request.terms();
        let own = || self.who == Who::Client(terms.client.clone());
        terms.merchant == self.merchant && (!self.own_only || own())
    }
}
