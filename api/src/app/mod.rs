//! The use-cases: load, decide, append. No HTTP status, no SQL, no concrete adapter is known here.
//!
//! Called by the routes, the command line and the work loops alike.

pub mod attempts;
pub mod caller;
pub mod cancel;
pub mod case_decisions;
pub mod cases;
pub mod clients;
mod closings;
pub mod configuration;
pub mod context;
pub mod create;
pub mod deliveries;
pub mod denied;
pub mod directory;
pub mod error;
pub mod evidence;
pub mod expiry;
mod late;
pub mod links;
pub mod look_ups;
mod moved;
pub mod notices;
pub mod notifications;
pub mod observations;
pub mod operators;
pub mod overrides;
pub mod pace;
pub mod proposals;
pub mod pull;
mod questions;
pub mod quotes;
pub mod receive;
pub mod recorder;
pub mod refund_calls;
pub mod refunds;
pub mod registry;
pub mod requests;
pub mod sessions;
pub mod subscribers;
mod suspense;
pub mod tickets;
pub mod transfers;
pub mod unapplied_funds;
pub mod unmatched_cases;
pub mod views;

use std::sync::Arc;

use domain::config::{MerchantConfig, ProviderAccount, Scenario, ScenarioRefusal};
use domain::ids::{AccountSlug, MerchantId, ScenarioId};
use domain::ports::{Destinations, EvidenceStore, Passwords, Secrets};
use projections::ports::{OpsStore, ViewStore};

use self::error::AppError;
use self::links::Links;
use self::recorder::Recorder;
use self::registry::{Provider, Registry};

/// Everything that use-cases need. Cheap to share.
pub struct App {
    /// Writes events.
    pub recorder: Recorder,
    /// Keeps raw bytes sealed.
    pub evidence: Arc<dyn EvidenceStore>,
    /// Shared secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Slow hashes of persons' passwords.
    pub passwords: Arc<dyn Passwords>,
    /// Views, for lists. Decisions never read them.
    pub views: Arc<dyn ViewStore>,
    /// Leases, notes, excerpts.
    pub ops: Arc<dyn OpsStore>,
    /// Merchants, accounts and their adapters.
    pub registry: Registry,
    /// Where payers find their requests.
    pub links: Links,
    /// Where subscribers may be.
    pub destinations: Arc<dyn Destinations>,
}

impl App {
    /// A merchant's configuration.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub fn merchant(&self, merchant: &MerchantId) -> Result<&MerchantConfig, AppError> {
        self.registry
            .merchant(merchant)
            .ok_or(AppError::NotFound { what: "merchant" })
    }

    /// A way of selling.
    ///
    /// # Errors
    /// [`ScenarioRefusal::Unknown`].
    pub fn scenario(
        &self,
        merchant: &MerchantId,
        scenario: &ScenarioId,
    ) -> Result<&Scenario, AppError> {
        let found = self
            .merchant(merchant)?
            .scenarios
            .iter()
            .find(|known| known.id == *scenario);
        Ok(found.ok_or(ScenarioRefusal::Unknown)?)
    }

    /// A provider account, its merchant, and its adapter.
    ///
    /// # Errors
    /// [`AppError::UnknownAccount`].
    pub fn account(
        &self,
        account: &AccountSlug,
    ) -> Result<(&MerchantId, &ProviderAccount, &Provider), AppError> {
        self.registry
            .account(account)
            .ok_or(AppError::UnknownAccount)
    }
}
