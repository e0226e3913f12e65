//! The adapter of each provider account, from the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use adapters::providers::generic::{GenericApi, GenericInbound, Profile};
use adapters::providers::idram::{self, IdramApi, IdramInbound};
use adapters::providers::sim::{SimApi, SimInbound};
use adapters::providers::stripe::StripeInbound;
use adapters::providers::stripe::refunds::{self, StripeRefunds};
use domain::config::ProviderAccount;
use domain::ids::AccountSlug;
use domain::ports::{Clock, ProviderApi, RefundApi, Secrets};
use url::Url;

use super::outgoing::http_out;
use super::{StartError, part};
use crate::app::pace::{PER_MIN, Pace};
use crate::app::registry::Provider;
use crate::config::Settings;
use crate::config::settings::Connection;

pub(super) fn providers(
    settings: &Settings,
    secrets: &Arc<dyn Secrets>,
    clock: &Arc<dyn Clock>,
) -> Result<BTreeMap<AccountSlug, Provider>, StartError> {
    let mut providers = BTreeMap::new();
    for config in &settings.merchants {
        for account in &config.accounts {
            let provider = provider(settings, config, account, secrets, clock)?;
            providers.insert(account.account.clone(), provider);
        }
    }
    Ok(providers)
}

/// Every mistake of a `generic` provider's profile.
pub fn profile_mistakes(profile: &toml::Table) -> Vec<String> {
    match profile.clone().try_into::<Profile>() {
        Ok(profile) => profile.mistakes(),
        Err(error) => vec![error.message().to_owned()],
    }
}

fn provider(
    settings: &Settings,
    config: &domain::config::MerchantConfig,
    account: &ProviderAccount,
    secrets: &Arc<dyn Secrets>,
    clock: &Arc<dyn Clock>,
) -> Result<Provider, StartError> {
    let connection = settings.connections.get(account.account.as_str());
    let unusable =
        |what: &str| part("provider account")(format!("{}: {what}", account.account).into());
    let pay_origins = pay_origins(connection);
    let per_min = connection.map_or(PER_MIN, |connection| connection.calls_per_min);
    let pace = Arc::new(Pace::per_min(per_min));
    match account.provider.as_str() {
        "sim" => {
            let connection = connection.ok_or_else(|| unusable("has no connection"))?;
            let url = connection
                .url
                .as_deref()
                .ok_or_else(|| unusable("has no url"))?;
            let http = http_out(&connection.allow_networks, connection.danger_allow_http)?;
            let (merchant, slug) = (config.merchant.clone(), account.account.clone());
            let api = Arc::new(SimApi::new(
                url,
                merchant,
                slug,
                http,
                Arc::clone(secrets),
                Arc::clone(clock),
            ));
            Ok(Provider {
                inbound: Arc::new(SimInbound),
                api: Some(Arc::clone(&api) as Arc<dyn ProviderApi>),
                pace,
                refunds: Some(api as Arc<dyn RefundApi>),
                pay_origins,
            })
        }
        "stripe" => {
            let http = http_out(
                connection.map_or(&[], |c| &c.allow_networks),
                connection.is_some_and(|c| c.danger_allow_http),
            )?;
            let url = connection.and_then(|connection| connection.url.as_deref());
            let (merchant, slug) = (config.merchant.clone(), account.account.clone());
            let refunds = StripeRefunds::new(
                url.unwrap_or(refunds::URL),
                merchant,
                slug,
                http,
                Arc::clone(secrets),
                Arc::clone(clock),
            );
            Ok(Provider {
                inbound: Arc::new(StripeInbound),
                api: None,
                pace,
                refunds: Some(Arc::new(refunds)),
                pay_origins,
            })
        }
        "idram" => {
            let payee = account.payee.as_deref();
            let payee = payee.ok_or_else(|| unusable("has no payee"))?;
            let page = connection.and_then(|connection| connection.url.as_deref());
            let page = page.unwrap_or(idram::PAGE);
            let pay_origins = match pay_origins {
                origins if origins.is_empty() => origins_of(&[page.to_owned()]),
                origins => origins,
            };
            Ok(Provider {
                inbound: Arc::new(IdramInbound),
                api: Some(Arc::new(IdramApi::new(page, payee)) as Arc<dyn ProviderApi>),
                pace,
                refunds: None,
                pay_origins,
            })
        }
        "generic" => {
            let profile = connection.and_then(|connection| connection.profile.clone());
            let profile = profile.ok_or_else(|| unusable("has no profile"))?;
            let profile: Profile = profile
                .try_into()
                .map_err(|e: toml::de::Error| unusable(e.message()))?;
            let mistakes = profile.mistakes();
            if !mistakes.is_empty() {
                return Err(unusable(&mistakes.join("; ")));
            }
            if account.look_up != profile.look_up.is_some() {
                return Err(unusable(
                    "look_up of the account and [look_up] of its profile belong together",
                ));
            }
            let http = http_out(
                connection.map_or(&[], |c| &c.allow_networks),
                connection.is_some_and(|c| c.danger_allow_http),
            )?;
            let (merchant, slug) = (config.merchant.clone(), account.account.clone());
            let api = GenericApi::new(
                profile.clone(),
                merchant,
                slug,
                http,
                Arc::clone(secrets),
                Arc::clone(clock),
            );
            let api = api.map(|api| Arc::new(api) as Arc<dyn ProviderApi>);
            Ok(Provider {
                inbound: Arc::new(GenericInbound::new(profile)),
                api,
                pace,
                refunds: None,
                pay_origins,
            })
        }
        _ => Err(unusable("has no adapter")),
    }
}

/// Where a provider's payment page may be: what is configured, else where its API is.
fn pay_origins(connection: Option<&Connection>) -> Vec<String> {
    let Some(connection) = connection else {
        return vec![];
    };
    let urls = match (connection.pay_origins.as_slice(), &connection.url) {
        ([], Some(url)) => std::slice::from_ref(url),
        (origins, _) => origins,
    };
    origins_of(urls)
}

fn origins_of(urls: &[String]) -> Vec<String> {
    let parsed = urls.iter().filter_map(|url| Url::parse(url).ok());
    parsed
        .map(|url| url.origin().ascii_serialization())
        .collect()
}
