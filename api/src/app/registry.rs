//! Merchants, their provider accounts, and the adapter of each account.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::config::{MerchantConfig, ProviderAccount};
use domain::ids::{AccountSlug, MerchantId, ProviderRef};
use domain::ports::{InboundProvider, LookUpOutcome, ProviderApi, RefundApi, RegisterOutcome};

use super::pace::Pace;

/// The parts of an account's adapter.
#[derive(Clone)]
pub struct Provider {
    /// Authenticates and reads notifications.
    pub inbound: Arc<dyn InboundProvider>,
    /// Registers and looks up, where the provider can be called.
    pub api: Option<Arc<dyn ProviderApi>>,
    /// Gives money back, where the provider does so on call.
    pub refunds: Option<Arc<dyn RefundApi>>,
    /// How fast it is called. One for all copies of an account.
    pub pace: Arc<Pace>,
    /// Origins (`https://pay.example`) that its payment page may have. Payers are sent nowhere else.
    pub pay_origins: Vec<String>,
}

impl Provider {
    /// Takes in how it answered a question, for its pace.
    pub fn heard(&self, about: &ProviderRef, told: &LookUpOutcome, now: Duration) {
        match told {
            LookUpOutcome::Answered { .. } | LookUpOutcome::NotFound => self.pace.answered(),
            LookUpOutcome::Unknown { retry_after, .. } => {
                self.pace.silent(about, *retry_after, now);
            }
        }
    }

    /// Takes in how it answered a registration, for its pace.
    pub fn heard_of(&self, attempt: &ProviderRef, told: &RegisterOutcome, now: Duration) {
        match told {
            RegisterOutcome::Registered { .. } | RegisterOutcome::Refused { .. } => {
                self.pace.answered();
            }
            RegisterOutcome::NotSent { .. } => self.pace.silent(attempt, None, now),
            RegisterOutcome::Unknown { retry_after, .. } => {
                self.pace.silent(attempt, *retry_after, now);
            }
        }
    }
}

/// What is configured.
pub struct Registry {
    merchants: BTreeMap<MerchantId, MerchantConfig>,
    accounts: BTreeMap<AccountSlug, (MerchantId, ProviderAccount, Provider)>,
}

impl Registry {
    /// Puts merchants and adapters together. Accounts without an adapter are left out; the
    /// configuration check names them before.
    pub fn new(
        merchants: Vec<MerchantConfig>,
        mut providers: BTreeMap<AccountSlug, Provider>,
    ) -> Self {
        let mut accounts = BTreeMap::new();
        for config in &merchants {
            for account in &config.accounts {
                if let Some(provider) = providers.remove(&account.account) {
                    let entry = (config.merchant.clone(), account.clone(), provider);
                    accounts.insert(account.account.clone(), entry);
                }
            }
        }
        let merchants = merchants
            .into_iter()
            .map(|config| (config.merchant.clone(), config))
            .collect();
        Self {
            merchants,
            accounts,
        }
    }

    /// A merchant's configuration.
    pub fn merchant(&self, merchant: &MerchantId) -> Option<&MerchantConfig> {
        self.merchants.get(merchant)
    }

    /// Every merchant.
    pub fn merchants(&self) -> impl Iterator<Item = &MerchantConfig> {
        self.merchants.values()
    }

    /// Every account with its adapter.
    pub fn providers(&self) -> impl Iterator<Item = (&AccountSlug, &Provider)> {
        let accounts = self.accounts.iter();
        accounts.map(|(account, (_, _, provider))| (account, provider))
    }

    /// A provider account.
    pub fn account(
        &self,
        account: &AccountSlug,
    ) -> Option<(&MerchantId, &ProviderAccount, &Provider)> {
        self.accounts
            .get(account)
            .map(|(merchant, config, provider)| (merchant, config, provider))
    }
}
