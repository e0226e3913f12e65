//! The arguments, with examples in the help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use domain::ids::{ClientId, KeyId, MerchantId, OperatorId, ScenarioId, SubscriberId};

/// Counterfoil: the one place that decides whether an order is paid.
#[derive(Parser)]
#[command(name = "counterfoil", version, long_about = None, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "Examples:
  counterfoil demo                                   see it work, in a temporary folder
  counterfoil init                                   make the data folder and the keys
  counterfoil serve                                  run the ledger
  counterfoil clients create shop-bot --merchant shop --role bot --scenario telegram
  counterfoil events replay --stream payment_request-pr_...

Exit codes: 0 done, 1 failed, 2 usage or configuration, 69 unavailable.";

/// Flags of every command.
#[derive(Args)]
pub(super) struct Global {
    /// The configuration file; without it ./counterfoil.toml, then /etc/counterfoil/counterfoil.toml.
    #[arg(long, global = true, env = "COUNTERFOIL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// JSON instead of tables.
    #[arg(long, global = true)]
    pub json: bool,
    /// No talk on standard error.
    #[arg(long, global = true)]
    pub quiet: bool,
    /// Who is at the terminal; stands in the events as the actor.
    #[arg(
        long,
        global = true,
        env = "COUNTERFOIL_OPERATOR",
        default_value = "local",
        value_name = "ID"
    )]
    pub operator: OperatorId,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make the data folder, the keys and the instance. What exists is kept.
    Init(Nothing),
    /// Run the ledger.
    Serve(Nothing),
    /// Play six orders against a ledger of its own, and check every promise.
    #[command(after_help = "Exit code 0 only when every promise that it shows held.")]
    Demo(Nothing),
    /// Run a bank to try the ledger with: payment page, signed notifications, look-ups, scripts.
    #[command(after_help = "Examples:
  counterfoil sim-provider --secret-file sim.secret --api-key-file sim.key
  counterfoil sim-provider --secret-file sim.secret --api-key-file sim.key --script pay

Steps of a script, separated by `;`: pay, decline, leave, notify, lose, reorder, late, slow, register, lookup, refund
(with after 2s, again x3, amount=100.00, currency=USD, account=other, status=declined ...).")]
    SimProvider(super::sim::Sim),
    /// API clients and their tokens.
    #[command(subcommand)]
    Clients(Clients),
    /// Persons who operate the ledger.
    #[command(subcommand)]
    Operators(super::operators::Operators),
    /// Shared secrets of providers and subscribers.
    #[command(subcommand)]
    Secrets(Secrets),
    /// Receivers of events.
    #[command(subcommand)]
    Subscribers(super::subscribers::Subscribers),
    /// Deliveries: the failed list, redrive, abandon.
    #[command(subcommand)]
    Deliveries(super::deliveries::Deliveries),
    /// Exceptions: the review list, one in full, assign, resolve.
    #[command(subcommand)]
    Exceptions(super::exceptions::Exceptions),
    /// Alerts: who hears that something waits for a person.
    #[command(subcommand)]
    Alerts(super::alerts::Alerts),
    /// Sealed evidence: what there is about a payment request, and opening it.
    #[command(subcommand)]
    Evidence(super::evidence::Evidence),
    /// The configuration: check it, show it, apply it.
    #[command(subcommand)]
    Config(Config),
    /// Replay events.
    #[command(subcommand)]
    Events(Events),
    /// Views: how they stand, rebuild, verify. While no server runs.
    #[command(subcommand)]
    Projections(Projections),
    /// Measure this machine: figures beside the least that the same work costs here. Asserts nothing.
    #[command(after_help = "Examples:
  counterfoil bench
  counterfoil bench creates --seconds 10 --data /srv/disk --json")]
    Bench(Bench),
    /// Print the completion script of a shell.
    #[command(
        after_help = "Example: counterfoil completions bash > /etc/bash_completion.d/counterfoil"
    )]
    Completions {
        /// bash, zsh, fish, elvish or powershell.
        shell: clap_complete::Shell,
    },
}

/// No arguments.
#[derive(Args)]
pub(super) struct Nothing {}

#[derive(Subcommand)]
pub(super) enum Clients {
    /// Make a client and show its first token, once.
    #[command(after_help = "Examples:
  counterfoil clients create shop-bot --merchant shop --role bot --scenario telegram
  counterfoil clients create erp-box --merchant shop --role receiver --subscriber erp")]
    Create {
        /// Its name.
        id: ClientId,
        /// Its merchant.
        #[arg(long)]
        merchant: MerchantId,
        /// bot, backend, operator, finance, auditor, admin or receiver.
        #[arg(long, value_parser = role)]
        role: domain::access::role::Role,
        /// A way of selling that it may use; may be repeated.
        #[arg(long = "scenario")]
        scenarios: Vec<ScenarioId>,
        /// The subscriber whose events a receiver fetches.
        #[arg(long, required_if_eq("role", "receiver"))]
        subscriber: Option<SubscriberId>,
        /// Days until the token expires.
        #[arg(long, default_value_t = 365)]
        token_days: u32,
    },
    /// Change what a client may do.
    Grant {
        /// Its name.
        id: ClientId,
        /// bot, backend, operator, finance, auditor, admin or receiver.
        #[arg(long, value_parser = role)]
        role: domain::access::role::Role,
        /// A way of selling that it may use; may be repeated.
        #[arg(long = "scenario")]
        scenarios: Vec<ScenarioId>,
        /// The subscriber whose events a receiver fetches.
        #[arg(long, required_if_eq("role", "receiver"))]
        subscriber: Option<SubscriberId>,
    },
    /// Show a further token, once; two may live side by side.
    Rotate {
        /// Its name.
        id: ClientId,
        /// Days until the token expires.
        #[arg(long, default_value_t = 365)]
        token_days: u32,
    },
    /// End one token, or the client with all of them.
    Revoke {
        /// Its name.
        id: ClientId,
        /// Key id of the token; all without.
        #[arg(long)]
        key_id: Option<String>,
    },
    /// List clients.
    List,
}

#[derive(Subcommand)]
pub(super) enum Secrets {
    /// Keep a secret out of a file; never on the command line.
    #[command(
        after_help = "Example: counterfoil secrets set provider-inbound:sim-main --merchant shop --key-id sim-1 --from-file secret.txt"
    )]
    Set {
        /// provider-inbound:<account>, provider-api:<account> or subscriber:<id>.
        purpose: String,
        /// Whose.
        #[arg(long)]
        merchant: MerchantId,
        /// Its name; stands in events and logs.
        #[arg(long)]
        key_id: KeyId,
        /// The file that holds it; - for standard input.
        #[arg(long, value_name = "FILE")]
        from_file: PathBuf,
        /// Older secrets of this purpose stay valid this many seconds; for ever without.
        #[arg(long, value_name = "SECONDS")]
        retire_others_in: Option<u32>,
    },
    /// Names and validity; never the values.
    List {
        /// Whose.
        #[arg(long)]
        merchant: MerchantId,
    },
}

#[derive(Subcommand)]
pub(super) enum Config {
    /// List every mistake; exit code 2 when there is one.
    Check,
    /// Print what is in force, defaults and environment included. Secrets never stand in it.
    Show,
    /// Record the configuration of every merchant, where it changed.
    Apply,
}

#[derive(Subcommand)]
pub(super) enum Events {
    /// Print events in the order of the log, or of one stream, as one JSON record per line.
    #[command(after_help = "Examples:
  counterfoil events replay
  counterfoil events replay --stream payment_request-pr_... --until-version 3
  counterfoil events replay --until 2026-11-25T12:00:00Z --type PaymentVerified")]
    Replay {
        /// One stream.
        #[arg(long)]
        stream: Option<String>,
        /// Up to this version of the stream.
        #[arg(long, requires = "stream")]
        until_version: Option<u64>,
        /// As it was recorded by this time (RFC 3339).
        #[arg(long)]
        until: Option<String>,
        /// After this position.
        #[arg(long)]
        after: Option<String>,
        /// Only events of this type.
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
    },
}

#[derive(Subcommand)]
pub(super) enum Projections {
    /// Every generation of every view.
    Status,
    /// Build a view again beside the live one and switch. Sends nothing.
    Rebuild {
        /// The view; all without.
        name: Option<String>,
    },
    /// Rebuild into a shadow and compare byte by byte.
    Verify {
        /// The view; all without.
        name: Option<String>,
    },
}

#[derive(Args)]
pub(super) struct Bench {
    /// What to measure.
    #[arg(value_enum, default_value_t = BenchPart::All)]
    pub part: BenchPart,
    /// How long one figure is measured, at most.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600), value_name = "SECONDS")]
    pub seconds: u32,
    /// Events of the log that the views are rebuilt from; their payments are the backlog of deliveries.
    #[arg(long, default_value_t = 30_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000), value_name = "N")]
    pub events: u32,
    /// Folder on the disk to measure; a folder is made inside and removed again. The current one without.
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum BenchPart {
    /// Creates over HTTP beside an empty handler.
    Creates,
    /// Appends to the event store beside bare inserts.
    Appends,
    /// Payments from the durable append to receivers, beside empty POSTs to them.
    Deliveries,
    /// Answers to a provider that asks before money moves, beside an empty handler.
    Prechecks,
    /// Rebuilds of the views beside reading the log.
    Rebuild,
    /// All of it.
    All,
}

fn role(text: &str) -> Result<domain::access::role::Role, String> {
    let role = domain::access::role::Role::parse(text).filter(|role| role.fits_a_client());
    role.ok_or_else(|| {
        "one of bot, backend, operator, finance, auditor, admin, receiver".to_owned()
    })
}
