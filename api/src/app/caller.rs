//! An authenticated API caller, as the use-cases see it.

use std::collections::BTreeSet;

use domain::access::scope::Scope;
use domain::actor::Actor;
use domain::ids::{ClientId, MerchantId, ScenarioId};
use domain::payment::Request;
use domain::payment::evidence::Mode;

use super::error::AppError;

/// Who calls, and what they may do.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The client.
    pub client: ClientId,
    /// Its merchant. Nothing of another merchant exists for it.
    pub merchant: MerchantId,
    /// Live or test money.
    pub mode: Mode,
    /// Key id of the token.
    pub key_id: String,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// Which ways of selling it may use.
    pub scenarios: BTreeSet<ScenarioId>,
    /// True for bots: they see only what they created themselves, and only the words that a bot
    /// may show.
    pub own_only: bool,
}

impl Caller {
    /// The actor of events.
    pub fn actor(&self) -> Actor {
        Actor::Client {
            id: self.client.clone(),
            auth: self.key_id.clone(),
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
        terms.merchant == self.merchant && (!self.own_only || terms.client == self.client)
    }
}
