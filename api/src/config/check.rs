//! What must hold between settings. Every mistake is listed; none hides another.

use std::collections::BTreeSet;
use std::net::IpAddr;

use domain::config::{MerchantConfig, ProviderAccount, Scenario};
use domain::money::Currency;
use domain::payment::evidence::EvidenceClass;
use url::Url;

use super::settings::{Alerts, Connection, Delivery, Settings};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Section, field or name.
    pub place: String,
    /// A sentence about it, and what to do.
    pub what: String,
}

/// Kinds of provider that have an adapter, and the least class of evidence that each calls for.
pub const PROVIDERS: [(&str, EvidenceClass); 4] = [
    ("sim", EvidenceClass::Signed),
    ("stripe", EvidenceClass::Signed),
    ("idram", EvidenceClass::WeaklySigned),
    ("generic", EvidenceClass::Signed),
];

/// Finds every mistake in a `generic` provider's profile. The configuration knows no adapter.
pub type ProfileMistakes = fn(&toml::Table) -> Vec<String>;

/// Adds every mistake to the list. Without `merchants_whole`, nothing is said about what they
/// should have.
pub fn check(
    settings: &Settings,
    merchants_whole: bool,
    profile_mistakes: ProfileMistakes,
    mistakes: &mut Vec<Mistake>,
) {
    let mut complain = |place: &str, what: String| {
        mistakes.push(Mistake {
            place: place.to_owned(),
            what,
        })
    };
    let server = &settings.server;
    if !server.listen.ip().is_loopback() && !server.danger_public_plaintext {
        let what = "is a public address without TLS; put a proxy in front and listen on loopback, or set \
                    danger_public_plaintext = true";
        complain("server.listen", what.to_owned());
    }
    match Url::parse(&server.public_url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => {
            if !url.username().is_empty() || url.password().is_some() {
                complain("server.public_url", "must not hold credentials".to_owned());
            }
        }
        Ok(_) | Err(_) => complain(
            "server.public_url",
            "must be an http or https URL".to_owned(),
        ),
    }
    if !plain(&server.node) {
        complain(
            "server.node",
            "must be 1 to 40 characters of a-z, 0-9, '_' and '-'".to_owned(),
        );
    }
    if !(1..=600).contains(&server.shutdown_timeout_s) {
        complain(
            "server.shutdown_timeout_s",
            "must be from 1 to 600".to_owned(),
        );
    }
    if server.workers > 256 {
        complain("server.workers", "must be at most 256".to_owned());
    }
    let origin = &settings.ledger.origin;
    let origin_ok = (3..=100).contains(&origin.len())
        && origin
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"./-_:".contains(&b));
    if !origin_ok {
        complain(
            "ledger.origin",
            "must look like ledger.example/prod/1 (3 to 100 characters)".to_owned(),
        );
    }
    let limits = &settings.limits;
    for (name, value) in [
        (
            "limits.client_requests_per_s",
            limits.client_requests_per_s as usize,
        ),
        (
            "limits.address_requests_per_s",
            limits.address_requests_per_s as usize,
        ),
        (
            "limits.operator_sign_ins_per_min",
            limits.operator_sign_ins_per_min as usize,
        ),
        (
            "limits.address_sign_ins_per_min",
            limits.address_sign_ins_per_min as usize,
        ),
        ("limits.connections", limits.connections),
        ("limits.streams_per_request", limits.streams_per_request),
        ("limits.streams_per_client", limits.streams_per_client),
        (
            "limits.checkout_requests_per_s",
            limits.checkout_requests_per_s as usize,
        ),
        (
            "limits.checkout_starts_per_min",
            limits.checkout_starts_per_min as usize,
        ),
        (
            "limits.checkout_address_starts_per_min",
            limits.checkout_address_starts_per_min as usize,
        ),
    ] {
        if value == 0 || value > 1_000_000 {
            complain(name, "must be from 1 to 1000000".to_owned());
        }
    }
    let checkout = &settings.checkout;
    if jiff::tz::TimeZone::get(&checkout.time_zone).is_err() {
        let what = "must be a name of the IANA database, such as Asia/Yerevan";
        complain("checkout.time_zone", what.to_owned());
    }
    for (place, networks) in [
        ("delivery.allow_networks", &settings.delivery.allow_networks),
        ("alerts.allow_networks", &settings.alerts.allow_networks),
    ] {
        for network in networks {
            if !is_network(network) {
                complain(place, format!("{network:?} is no CIDR like 10.1.0.0/16"));
            }
        }
    }
    alerts(&settings.alerts, &mut complain);
    if let Some(what) = proxy_mistake(&settings.delivery) {
        complain("delivery.proxy", what.to_owned());
    }
    if tracing_subscriber::EnvFilter::try_new(&settings.log.filter).is_err() {
        complain(
            "log.filter",
            "is no `tracing` filter like info or warn,api=debug".to_owned(),
        );
    }
    if merchants_whole {
        merchants(settings, &mut complain);
    }
    for (name, connection) in &settings.connections {
        connection_of(name, connection, &mut complain);
        for what in connection.profile.iter().flat_map(profile_mistakes) {
            complain(&format!("connections.{name}.profile"), what);
        }
    }
}

fn alerts(alerts: &Alerts, complain: &mut impl FnMut(&str, String)) {
    if !alerts.url.is_empty() {
        let url = Url::parse(&alerts.url).ok();
        let scheme = url.map(|url| url.scheme().to_owned());
        match scheme.as_deref() {
            Some("https") => {}
            Some("http") if alerts.danger_allow_http => {}
            _ => {
                let what = "must be an https URL, or an http one with danger_allow_http = true";
                complain("alerts.url", what.to_owned());
            }
        }
    }
    if alerts.command.first().is_some_and(String::is_empty) {
        complain("alerts.command", "begins with a program".to_owned());
    }
    for (place, seconds) in [
        ("alerts.late_after_s", alerts.late_after_s),
        ("alerts.away_after_s", alerts.away_after_s),
        ("alerts.part_after_s", alerts.part_after_s),
        ("alerts.again_after_s", alerts.again_after_s),
    ] {
        if !(1..=2_592_000).contains(&seconds) {
            complain(place, "must be from 1 to 2592000 (30 days)".to_owned());
        }
    }
}

fn merchants(settings: &Settings, complain: &mut impl FnMut(&str, String)) {
    let (mut names, mut accounts) = (BTreeSet::new(), BTreeSet::new());
    for config in &settings.merchants {
        let merchant = format!("merchant {}", config.merchant);
        if !names.insert(&config.merchant) {
            complain(&merchant, "stands twice".to_owned());
        }
        for (place, what) in config.mistakes() {
            complain(&format!("{merchant}, {place}"), what);
        }
        for account in &config.accounts {
            let place = format!("{merchant}, account {}", account.account);
            if !accounts.insert(account.account.as_str()) {
                complain(
                    &place,
                    "belongs to two merchants; account names are unique in an instance".to_owned(),
                );
            }
            if account.mode != settings.ledger.mode {
                complain(
                    &place,
                    "has another mode than the ledger; test and live money never mix".to_owned(),
                );
            }
            match PROVIDERS
                .iter()
                .find(|(name, _)| *name == account.provider.as_str())
            {
                None => {
                    let known: Vec<_> = PROVIDERS.iter().map(|(name, _)| *name).collect();
                    let what = format!(
                        "has no adapter for provider {}; known: {}",
                        account.provider,
                        known.join(", ")
                    );
                    complain(&place, what);
                }
                Some((_, least)) if account.minimum < *least && !account.danger_lower_minimum => {
                    let what = format!(
                        "asks for less than {}; set danger_lower_minimum if you mean it",
                        least.as_str()
                    );
                    complain(&place, what);
                }
                Some(_) => {}
            }
            let connection = settings.connections.get(account.account.as_str());
            let has_url = connection.is_some_and(|connection| connection.url.is_some());
            if account.provider.as_str() == "sim" && !has_url {
                complain(
                    &place,
                    format!("needs [connections.{}] with a url", account.account),
                );
            }
            if account.provider.as_str() == "idram" {
                idram(config, account, &place, complain);
            }
            let profile = connection.and_then(|connection| connection.profile.as_ref());
            match profile {
                None if account.provider.as_str() == "generic" => complain(
                    &place,
                    format!("needs [connections.{}.profile]", account.account),
                ),
                Some(profile) if profile.contains_key("look_up") != account.look_up => complain(
                    &place,
                    "look_up of the account and look_up of its profile belong together".to_owned(),
                ),
                None | Some(_) => {}
            }
        }
    }
    for name in settings.connections.keys() {
        if !accounts.contains(name.as_str()) {
            complain(
                &format!("connections.{name}"),
                "belongs to no configured account".to_owned(),
            );
        }
    }
}

/// Idram names the payee in every message, cannot be asked, and knows one currency.
fn idram(
    config: &MerchantConfig,
    account: &ProviderAccount,
    place: &str,
    complain: &mut impl FnMut(&str, String),
) {
    if account.payee.is_none() {
        let what = "needs a payee: the merchant's number at Idram (EDP_REC_ACCOUNT)";
        complain(place, what.to_owned());
    }
    if account.look_up {
        complain(place, "has look_up, and Idram cannot be asked".to_owned());
    }
    let uses = |scenario: &&Scenario| scenario.accounts.contains(&account.account);
    for scenario in config.scenarios.iter().filter(uses) {
        let foreign = |currency: &Currency| currency.code() != "AMD";
        if scenario.currencies.iter().any(foreign) {
            let what = format!(
                "is used by scenario {} for more than AMD, which Idram does not take",
                scenario.id
            );
            complain(place, what);
        }
    }
}

fn connection_of(name: &str, connection: &Connection, complain: &mut impl FnMut(&str, String)) {
    let place = format!("connections.{name}");
    match connection.url.as_deref().map(Url::parse) {
        None => {}
        Some(Ok(url)) => {
            let plain_allowed = connection.danger_allow_http && url.scheme() == "http";
            if url.scheme() != "https" && !plain_allowed {
                complain(
                    &place,
                    "must be https; set danger_allow_http = true for the simulated provider"
                        .to_owned(),
                );
            }
            if !url.username().is_empty() || url.password().is_some() {
                complain(
                    &place,
                    "must not hold credentials; use counterfoil secrets set".to_owned(),
                );
            }
        }
        Some(Err(_)) => complain(&place, "has a url that is none".to_owned()),
    }
    for origin in &connection.pay_origins {
        let plain = |url: &Url| match url.scheme() {
            "https" => true,
            "http" => connection.danger_allow_http,
            _ => false,
        };
        let fits = Url::parse(origin).is_ok_and(|url| {
            plain(&url) && url.origin().ascii_serialization() == origin.trim_end_matches('/')
        });
        if !fits {
            let what = format!("{origin:?} in pay_origins is no origin like https://pay.example");
            complain(&place, what);
        }
    }
    if !(1..=60_000).contains(&connection.calls_per_min) {
        let what = "needs calls_per_min from 1 to 60000";
        complain(&place, what.to_owned());
    }
    for network in &connection.allow_networks {
        if !is_network(network) {
            complain(&place, format!("{network:?} is no CIDR like 10.1.0.0/16"));
        }
    }
}

fn plain(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

fn proxy_mistake(delivery: &Delivery) -> Option<&'static str> {
    if delivery.proxy.is_empty() {
        let nothing = "is empty, so danger_proxy_resolves has nothing to say";
        return delivery.danger_proxy_resolves.then_some(nothing);
    }
    let wrong = "is no HTTP proxy like http://proxy.example:3128";
    match Url::parse(&delivery.proxy) {
        Ok(url) if url.scheme() == "http" && url.host().is_some() => {
            if !url.username().is_empty() || url.password().is_some() {
                Some("must not hold credentials; admit the ledger by its address")
            } else {
                (url.path() != "/" || url.query().is_some() || url.fragment().is_some())
                    .then_some(wrong)
            }
        }
        Ok(_) | Err(_) => Some(wrong),
    }
}

/// `address/bits`.
/// An address and the length of its prefix, with nothing set behind the prefix: `10.0.0.1/8` may be meant
/// as one machine, and would open a network.
fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    match (address.parse::<IpAddr>(), bits.parse::<u32>()) {
        (Ok(IpAddr::V4(base)), Ok(bits)) => {
            bits <= 32 && u32::from(base).checked_shl(bits).unwrap_or(0) == 0
        }
        (Ok(IpAddr::V6(base)), Ok(bits)) => {
            bits <= 128 && u128::from(base).checked_shl(bits).unwrap_or(0) == 0
        }
        (Ok(_) | Err(_), _) => false,
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
