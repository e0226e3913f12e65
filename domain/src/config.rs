//! The configuration that was in force, as events: scenarios, provider accounts and the catalogue
//! of one merchant. Stream `config-<merchant>`, so that a lowered demand on evidence or a raised
//! tolerance is visible to the auditor.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::codec::DomainEvent;
use crate::digest::Digest32;
use crate::ids::{AccountSlug, ItemCode, MerchantId, ProviderCode, ScenarioId};
use crate::money::{Currency, MinorText, Money};
use crate::payment::evidence::{AccountRules, EvidenceClass, Mode};
use crate::payment::{OverrideRules, PartialPolicy, Rules};

/// All of one merchant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MerchantConfig {
    /// The merchant.
    pub merchant: MerchantId,
    /// What payers read; the merchant's id where nothing is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Ways of selling.
    #[serde(default)]
    pub scenarios: Vec<Scenario>,
    /// Accounts at providers.
    #[serde(default)]
    pub accounts: Vec<ProviderAccount>,
    /// Priced items.
    #[serde(default)]
    pub catalogue: Vec<CatalogueItem>,
}

/// A way of selling, with its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name.
    pub id: ScenarioId,
    /// Currencies that may be asked for.
    pub currencies: Vec<Currency>,
    /// Least amount in minor units, in any of the currencies.
    pub amount_minor_min: MinorText,
    /// Largest amount in minor units.
    pub amount_minor_max: MinorText,
    /// Longest life of a request in seconds; also the default.
    pub life_s_max: u32,
    /// Provider accounts, in order of preference.
    pub accounts: Vec<AccountSlug>,
    /// What happens to less than what is due.
    #[serde(default = "reject")]
    pub partial: PartialPolicy,
    /// A difference of at most this many minor units still pays.
    #[serde(default)]
    pub tolerance_minor: MinorText,
    /// Only whole major units (drams, since luma are out of use).
    #[serde(default)]
    pub whole_units: bool,
    /// Money that came provably in time and is told after expiry pays, without a person.
    #[serde(default)]
    pub auto_accept_on_time: bool,
    /// Who may decide that it is paid without money.
    #[serde(default)]
    pub overrides: OverrideRules,
}

fn reject() -> PartialPolicy {
    PartialPolicy::RejectToReview
}

/// An account at a provider. Its slug is unique in the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderAccount {
    /// Its name here; stands in the callback's path.
    pub account: AccountSlug,
    /// The kind of provider.
    pub provider: ProviderCode,
    /// What payers read where they choose; the provider's code where nothing is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The least class of evidence that pays.
    pub minimum: EvidenceClass,
    /// True when the provider can be asked for the real status.
    pub look_up: bool,
    /// Live or test money.
    pub mode: Mode,
    /// How the provider names our merchant account in its messages, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payee: Option<String>,
    /// True when the provider captures at once, so that a hold is unexpected.
    #[serde(default = "yes")]
    pub one_phase: bool,
    /// Longest payment session in seconds that the provider takes.
    #[serde(default = "twenty_minutes")]
    pub session_s_max: u32,
    /// Accept less evidence than the kind of provider calls for.
    #[serde(default)]
    pub danger_lower_minimum: bool,
}

fn yes() -> bool {
    true
}

fn twenty_minutes() -> u32 {
    1200
}

impl ProviderAccount {
    /// What decisions need of it.
    pub fn rules(&self) -> AccountRules {
        AccountRules {
            minimum: self.minimum,
            look_up: self.look_up,
            mode: self.mode,
            payee: self.payee.clone(),
            asks_first: false,
            one_phase: self.one_phase,
        }
    }
}

/// A priced item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueItem {
    /// What callers order.
    pub code: ItemCode,
    /// What people read.
    pub title: String,
    /// Of one piece.
    pub price: Money,
}

/// The scenario does not allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioRefusal {
    /// There is none of this name.
    #[error("there is no scenario of this name")]
    Unknown,
    /// Another currency.
    #[error("the scenario takes {}", list(allowed))]
    Currency {
        /// What it takes.
        allowed: Vec<Currency>,
    },
    /// Too little or too much.
    #[error("the scenario takes from {} to {} minor units", min.0, max.0)]
    Amount {
        /// Least.
        min: MinorText,
        /// Most.
        max: MinorText,
    },
    /// Not a whole number of major units.
    #[error("the scenario takes whole units only")]
    NotWhole,
    /// Too long.
    #[error("the scenario's requests live at most {max_s} seconds")]
    TooLong {
        /// Longest life.
        max_s: u32,
    },
}

fn list(currencies: &[Currency]) -> String {
    currencies
        .iter()
        .map(|currency| currency.code())
        .collect::<Vec<_>>()
        .join(", ")
}

impl Scenario {
    /// May a request of this amount and life be made?
    ///
    /// # Errors
    /// [`ScenarioRefusal`].
    pub fn admit(&self, amount: Money, life_s: u32) -> Result<(), ScenarioRefusal> {
        if !self.currencies.contains(&amount.currency()) {
            return Err(ScenarioRefusal::Currency {
                allowed: self.currencies.clone(),
            });
        }
        let (min, max) = (self.amount_minor_min, self.amount_minor_max);
        if !(min.0..=max.0).contains(&amount.minor()) {
            return Err(ScenarioRefusal::Amount { min, max });
        }
        let unit = 10_i64.pow(u32::from(amount.currency().exponent()));
        if self.whole_units && amount.minor() % unit != 0 {
            return Err(ScenarioRefusal::NotWhole);
        }
        if life_s == 0 || life_s > self.life_s_max {
            return Err(ScenarioRefusal::TooLong {
                max_s: self.life_s_max,
            });
        }
        Ok(())
    }

    /// The rules that a request keeps a copy of.
    pub fn rules(&self) -> Rules {
        Rules {
            partial: self.partial,
            tolerance_minor: self.tolerance_minor,
            accounts: self.accounts.clone(),
            auto_accept_on_time: self.auto_accept_on_time,
            overrides: self.overrides.clone(),
        }
    }
}

/// The events of `config-<merchant>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// This is in force from here on.
    #[serde(rename = "ConfigurationApplied")]
    Applied {
        /// The whole configuration of the merchant.
        config: Box<MerchantConfig>,
        /// SHA-256 over its canonical JSON.
        digest: Digest32,
        /// Accounts that take less evidence than before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lowered: Vec<AccountSlug>,
    },
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[("ConfigurationApplied", 1)];
}

impl MerchantConfig {
    /// SHA-256 over the canonical JSON; equal on every node that is configured alike.
    pub fn digest(&self) -> Digest32 {
        let bytes = serde_json_canonicalizer::to_vec(self).unwrap_or_default();
        Digest32::sha256(&[&bytes])
    }

    /// Every mistake, each with its place.
    pub fn mistakes(&self) -> Vec<(String, String)> {
        let mut found = vec![];
        let mut complain = |place: String, what: &str| found.push((place, what.to_owned()));
        let accounts: Vec<_> = self
            .accounts
            .iter()
            .map(|account| &account.account)
            .collect();
        for scenario in &self.scenarios {
            let place = || format!("scenario {}", scenario.id);
            if scenario.currencies.is_empty() {
                complain(place(), "needs at least one currency");
            }
            if scenario.amount_minor_min.0 < 1
                || scenario.amount_minor_max.0 < scenario.amount_minor_min.0
            {
                complain(place(), "needs 1 <= amount_minor_min <= amount_minor_max");
            }
            if scenario.life_s_max == 0 {
                complain(place(), "needs a life_s_max above zero");
            }
            if scenario.tolerance_minor.0 < 0 {
                complain(place(), "has a negative tolerance");
            }
            if scenario.tolerance_minor.0 >= scenario.amount_minor_min.0.max(1) {
                let what =
                    "tolerates as much as its least amount, so that next to nothing would pay";
                complain(place(), what);
            }
            if scenario.accounts.is_empty() {
                complain(place(), "needs at least one provider account");
            }
            for account in scenario
                .accounts
                .iter()
                .filter(|account| !accounts.contains(account))
            {
                complain(
                    place(),
                    &format!("names account {account}, which is not configured"),
                );
            }
        }
        for name in twice(self.scenarios.iter().map(|scenario| scenario.id.as_str())) {
            complain(format!("scenario {name}"), "stands twice");
        }
        for name in twice(self.accounts.iter().map(|account| account.account.as_str())) {
            complain(format!("account {name}"), "stands twice");
        }
        for name in twice(self.catalogue.iter().map(|item| item.code.as_str())) {
            complain(format!("catalogue item {name}"), "stands twice");
        }
        let unreadable = |name: &Option<String>| {
            name.as_ref().is_some_and(|name| {
                name.trim().is_empty()
                    || name.chars().count() > 80
                    || name.contains(char::is_control)
            })
        };
        const NAME_RULE: &str = "needs a display_name of 1 to 80 characters on one line";
        if unreadable(&self.display_name) {
            complain("display_name".to_owned(), NAME_RULE);
        }
        for account in &self.accounts {
            if unreadable(&account.display_name) {
                complain(format!("account {}", account.account), NAME_RULE);
            }
            if account.minimum > EvidenceClass::Signed && !account.look_up {
                let what = "asks for more than a signature but has no look-up, so that nothing could ever pay";
                complain(format!("account {}", account.account), what);
            }
            if account.minimum < EvidenceClass::WeaklySigned && !account.danger_lower_minimum {
                let what =
                    "would pay on unsigned evidence; set danger_lower_minimum if you mean it";
                complain(format!("account {}", account.account), what);
            }
        }
        found
    }
}

fn twice<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for name in names {
        *seen.entry(name).or_default() += 1;
    }
    seen.into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(name, _)| name)
        .collect()
}

/// Folds one event: what is in force.
pub fn evolve(_: Option<MerchantConfig>, event: &Event) -> Option<MerchantConfig> {
    match event {
        Event::Applied { config, .. } => Some((**config).clone()),
    }
}

/// Applies a configuration; the one in force already gives no event.
pub fn apply(in_force: Option<&MerchantConfig>, new: &MerchantConfig) -> Vec<Event> {
    if in_force == Some(new) {
        return vec![];
    }
    let before = |account: &ProviderAccount| {
        in_force?
            .accounts
            .iter()
            .find(|known| known.account == account.account)
    };
    // Without look-up, a closed request is content with less than the provider's real status.
    let lower = |account: &&ProviderAccount| {
        before(account).is_some_and(|known| {
            account.minimum < known.minimum || known.look_up && !account.look_up
        })
    };
    let lowered = new
        .accounts
        .iter()
        .filter(lower)
        .map(|account| account.account.clone())
        .collect();
    vec![Event::Applied {
        config: Box::new(new.clone()),
        digest: new.digest(),
        lowered,
    }]
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
