//! The settings tree. Every field has its unit, its default, and the reason for it.
//! `counterfoil.example.toml` shows the same, and a test holds the two together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use domain::config::MerchantConfig;
use domain::payment::evidence::Mode;
use serde::{Deserialize, Serialize};

use crate::app::pace::PER_MIN;

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where it listens.
    pub server: Server,
    /// Where it keeps its data.
    pub store: Store,
    /// Which log this is.
    pub ledger: Ledger,
    /// What it takes at most.
    pub limits: Limits,
    /// The page that payers see.
    pub checkout: Checkout,
    /// How deliveries go out.
    pub delivery: Delivery,
    /// Who hears that something waits for a person.
    pub alerts: Alerts,
    /// How it logs.
    pub log: Log,
    /// How each provider account is reached, by its slug.
    pub connections: BTreeMap<String, Connection>,
    /// Whose money, through which accounts, by which rules.
    pub merchants: Vec<MerchantConfig>,
}

/// Where it listens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port. Loopback by default: TLS and the public address belong to a proxy.
    pub listen: SocketAddr,
    /// How others reach it; stands in links and events.
    pub public_url: String,
    /// Name of this node in the source of events.
    pub node: String,
    /// Worker threads of the HTTP server; 0 means one per core.
    pub workers: usize,
    /// Longest wait for requests under way when it stops, in seconds.
    pub shutdown_timeout_s: u64,
    /// Listen on a public address without TLS.
    pub danger_public_plaintext: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: "http://127.0.0.1:8080".to_owned(),
            node: "node-1".to_owned(),
            workers: 0,
            shutdown_timeout_s: 30,
            danger_public_plaintext: false,
        }
    }
}

/// Where it keeps its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// The data folder. `counterfoil init` makes it.
    pub data: PathBuf,
    /// The file of the key-encryption key: 64 hexadecimal digits, readable by its owner only.
    /// Keep it and its backup apart from the data folder.
    pub kek_file: PathBuf,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            data: PathBuf::from("counterfoil-data"),
            kek_file: PathBuf::from("counterfoil.kek"),
        }
    }
}

/// Which log this is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ledger {
    /// Name of the log; stands in every record and cannot change after `init`.
    pub origin: String,
    /// `test` until you mean it: tokens and provider accounts of the other mode are refused.
    pub mode: Mode,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            origin: "localhost/counterfoil/1".to_owned(),
            mode: Mode::Test,
        }
    }
}

/// What it takes at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests per second and client; a burst of the same size is allowed.
    pub client_requests_per_s: u32,
    /// Requests per second and network address without credentials (notifications among them).
    pub address_requests_per_s: u32,
    /// Tries to sign in per minute and person, right or wrong; a burst of the same size is allowed.
    pub operator_sign_ins_per_min: u32,
    /// Tries to sign in per minute and network address.
    pub address_sign_ins_per_min: u32,
    /// Connections per worker thread.
    pub connections: usize,
    /// Calls that wait for news of one payment request or one queue: status streams and waiting pulls.
    pub streams_per_request: usize,
    /// Such calls of one client.
    pub streams_per_client: usize,
    /// Requests per second to the page of one payer's link; a burst of twice that is allowed.
    pub checkout_requests_per_s: u32,
    /// Payments that one payer's link may start within a minute.
    pub checkout_starts_per_min: u32,
    /// Payments that one network address may start within a minute, over all links.
    pub checkout_address_starts_per_min: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            client_requests_per_s: 500,
            address_requests_per_s: 200,
            operator_sign_ins_per_min: 10,
            address_sign_ins_per_min: 30,
            connections: 2000,
            streams_per_request: 4,
            streams_per_client: 200,
            checkout_requests_per_s: 5,
            checkout_starts_per_min: 6,
            checkout_address_starts_per_min: 60,
        }
    }
}

/// The page that payers see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checkout {
    /// For payers whose browser asks for none of them: `en`, `hy` (Armenian) or `ru`.
    pub language: Language,
    /// Time zone of the times that payers read, as in the IANA database (`Asia/Yerevan`).
    pub time_zone: String,
}

impl Default for Checkout {
    fn default() -> Self {
        Self {
            language: Language::En,
            time_zone: "UTC".to_owned(),
        }
    }
}

/// A language that payers may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[serde(rename = "en")]
    En,
    /// Armenian.
    #[serde(rename = "hy")]
    Hy,
    /// Russian.
    #[serde(rename = "ru")]
    Ru,
}

/// How deliveries go out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// Off: nothing is sent, everything queues.
    pub enabled: bool,
    /// Private networks that subscribers may live in, as CIDR (`10.1.0.0/16`).
    pub allow_networks: Vec<String>,
    /// Send to `http://` addresses. Only for loopback and development.
    pub danger_allow_http: bool,
    /// Send through this HTTP proxy (`http://proxy.example:3128`); empty: straight.
    pub proxy: String,
    /// Let the proxy resolve names, so that it alone judges where they lead.
    pub danger_proxy_resolves: bool,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            enabled: true,
            allow_networks: vec![],
            danger_allow_http: false,
            proxy: String::new(),
            danger_proxy_resolves: false,
        }
    }
}

/// Who hears that something waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// Gets each alert as JSON in a POST. Nobody when it is empty.
    pub url: String,
    /// A program and its arguments; gets each alert as a line of JSON on its standard input. None
    /// when the list is empty.
    pub command: Vec<String>,
    /// A delivery that is open so long is late, in seconds.
    pub late_after_s: u64,
    /// A subscriber that has not answered for so long is away, in seconds.
    pub away_after_s: u64,
    /// A part of the ledger that has not worked for so long fails, in seconds.
    pub part_after_s: u64,
    /// What lasts is told again after so many seconds.
    pub again_after_s: u64,
    /// Private networks that `url` may point into, as CIDR.
    pub allow_networks: Vec<String>,
    /// `url` may be `http://`.
    pub danger_allow_http: bool,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            url: String::new(),
            command: vec![],
            late_after_s: 900,
            away_after_s: 300,
            part_after_s: 60,
            again_after_s: 86_400,
            allow_networks: vec![],
            danger_allow_http: false,
        }
    }
}

/// How it logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `tracing` filter (`info`, `warn,api=debug`).
    pub filter: String,
    /// `json` for machines, `text` for a terminal.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Json,
        }
    }
}

/// Shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFormat {
    /// One JSON object per line.
    #[serde(rename = "json")]
    Json,
    /// One line of text.
    #[serde(rename = "text")]
    Text,
}

/// How a provider account is reached. Secrets are not here: `counterfoil secrets set` keeps them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Base URL of the provider's API, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Origins that its payment page may have (`https://pay.example`), every one that a payer passes
    /// on the way there; that of `url` where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pay_origins: Vec<String>,
    /// Private networks that the provider may live in, as CIDR.
    #[serde(default)]
    pub allow_networks: Vec<String>,
    /// Talk to it without TLS. Only for the simulated provider and development.
    #[serde(default)]
    pub danger_allow_http: bool,
    /// Calls to it within a minute at most: registrations, questions and refunds together.
    #[serde(default = "calls_per_min")]
    pub calls_per_min: u32,
    /// The profile of a `generic` provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<toml::Table>,
}

fn calls_per_min() -> u32 {
    PER_MIN
}
