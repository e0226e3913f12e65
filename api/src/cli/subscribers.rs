//! Receivers of events: who they are, what they hear, how they are served.

use clap::{Args, Subcommand};
use domain::ids::{MerchantId, ScenarioId, SubscriberId};
use domain::subscriber::{StaticHeaders, Wants, Wish};
use domain::time::Timestamp;
use serde_json::Value;

use super::admin::send;
use super::args::Global;
use super::out::{Failure, Out};
use super::serve::settings;
use crate::admin::AdminCommand;
use crate::admin::subscribers::{SubscriberAction, SubscriberCommand};
use crate::app::subscribers::{Destination, PolicyChange, SubscriberChange};

#[derive(Subcommand)]
pub(super) enum Subscribers {
    /// Add a receiver and show its signing secret, once. It gets what happens from here on.
    #[command(after_help = "Examples:
  counterfoil subscribers add crm --merchant shop --url https://crm.example/hook
  counterfoil subscribers add desk --merchant shop --url https://desk.example/in --event ordinary --event exception_opened
  counterfoil subscribers add erp --merchant shop --url https://erp.example/in --history-from 2026-11-01T00:00:00Z --strict-fifo true
  counterfoil subscribers add box --merchant shop --pull")]
    Add {
        #[command(flatten)]
        which: Which,
        /// Where events are sent.
        #[arg(long, required_unless_present = "pull", conflicts_with = "pull")]
        url: Option<String>,
        /// Send it nothing: it fetches its events by itself.
        #[arg(long)]
        pull: bool,
        /// Send what was recorded from this time on, too.
        #[arg(long, value_name = "TIME", value_parser = time)]
        history_from: Option<Timestamp>,
        #[command(flatten)]
        terms: Terms,
    },
    /// List subscribers.
    List,
    /// One subscriber with its settings and the names of its keys.
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Change what is named, and nothing else.
    #[command(after_help = "Examples:
  counterfoil subscribers set crm --merchant shop --url https://new.crm.example/hook
  counterfoil subscribers set erp --merchant shop --max-in-flight 1 --per-second 2
  counterfoil subscribers set crm --merchant shop --all-scenarios")]
    Set {
        #[command(flatten)]
        which: Which,
        /// Where events are sent.
        #[arg(long, conflicts_with = "pull")]
        url: Option<String>,
        /// Send it nothing any more: it fetches its events by itself.
        #[arg(long)]
        pull: bool,
        /// Send no header besides the usual ones.
        #[arg(long, conflicts_with = "headers")]
        no_headers: bool,
        /// Of all scenarios again.
        #[arg(long, conflicts_with = "scenarios")]
        all_scenarios: bool,
        #[command(flatten)]
        terms: Terms,
    },
    /// Let its deliveries wait.
    Pause {
        #[command(flatten)]
        which: Which,
    },
    /// Let them go on.
    Resume {
        #[command(flatten)]
        which: Which,
    },
    /// Send a test event.
    Test {
        #[command(flatten)]
        which: Which,
    },
    /// Make a signing key; the others of its scheme sign beside it for a while.
    #[command(after_help = "Examples:
  counterfoil subscribers new-key crm --merchant shop                 a new secret, shown once
  counterfoil subscribers new-key crm --merchant shop --public        a key pair; shows the public half")]
    NewKey {
        #[command(flatten)]
        which: Which,
        /// A key pair (Ed25519, scheme v1a) instead of a shared secret (scheme v1).
        #[arg(long)]
        public: bool,
        /// Seconds for which the others sign on.
        #[arg(long, default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(0..=604_800))]
        overlap_s: u32,
    },
    /// Send what happened before, as far as it was not sent. The ids are the same as ever.
    #[command(
        after_help = "Example: counterfoil subscribers backfill erp --merchant shop --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z"
    )]
    Backfill {
        #[command(flatten)]
        which: Which,
        /// What was recorded at this time or later ...
        #[arg(long, value_name = "TIME", value_parser = time)]
        from: Timestamp,
        /// ... and before this one; until now without.
        #[arg(long, value_name = "TIME", value_parser = time)]
        to: Option<Timestamp>,
        /// Only this payment request; may be repeated.
        #[arg(long = "subject", value_name = "ID")]
        subjects: Vec<String>,
    },
    /// Print its events as its receiver would fetch them, one line of JSON each: an example of a consumer.
    #[command(after_help = "Examples:
  counterfoil subscribers pull erp --merchant shop                what it has not acknowledged
  counterfoil subscribers pull erp --merchant shop --ack          the same, and say that it has arrived
  counterfoil subscribers pull erp --merchant shop --since 2026-11-01T00:00:00Z")]
    Pull(super::pull::Pull),
    /// End it, for good. What waits for it is sent no more.
    Remove {
        #[command(flatten)]
        which: Which,
    },
}

/// Which subscriber.
#[derive(Args)]
pub(super) struct Which {
    /// Its name.
    pub id: SubscriberId,
    /// Whose.
    #[arg(long)]
    pub merchant: MerchantId,
}

/// What it hears and how it is served.
#[derive(Args)]
pub(super) struct Terms {
    /// What it hears: `ordinary` (what needs no naming) or the name of an event; may be repeated.
    #[arg(long = "event", value_name = "NAME", value_parser = wish)]
    events: Vec<Wish>,
    /// Only payment requests of this scenario; may be repeated.
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<ScenarioId>,
    /// A header of every request; may be repeated. It stands in the log: no secrets.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Requests at once.
    #[arg(long)]
    max_in_flight: Option<u16>,
    /// Requests per second.
    #[arg(long)]
    per_second: Option<u32>,
    /// Requests that may go out at once after a quiet time.
    #[arg(long)]
    burst: Option<u32>,
    /// Everything in the order of the log, one at a time: what does not arrive holds up the rest.
    #[arg(long, value_name = "true|false")]
    strict_fifo: Option<bool>,
    /// Tries of what it refuses (4xx).
    #[arg(long)]
    refused_tries: Option<u32>,
}

impl Terms {
    fn policy(&self) -> PolicyChange {
        PolicyChange {
            max_in_flight: self.max_in_flight,
            per_second: self.per_second,
            burst: self.burst,
            strict_fifo: self.strict_fifo,
            refused_tries: self.refused_tries,
        }
    }

    fn headers(&self) -> Result<StaticHeaders, Failure> {
        let headers = self.headers.iter().cloned().collect();
        StaticHeaders::new(headers).map_err(|error| Failure::usage(error.to_string()))
    }
}

fn wish(text: &str) -> Result<Wish, String> {
    Wish::parse(text).ok_or_else(|| format!("known are {}", Wish::words().join(", ")))
}

pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as `name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Carries a command out and shows what came of it.
pub(super) async fn run(global: &Global, out: &Out, command: Subscribers) -> Result<(), Failure> {
    let settings = settings(global, out)?.settings;
    let (which, action) = match command {
        Subscribers::List => {
            let answer = send(global, &settings, AdminCommand::SubscriberList).await?;
            out.list(
                &["id", "merchant", "delivery", "url", "state", "events"],
                &answer,
            );
            return Ok(());
        }
        Subscribers::Add {
            which,
            url,
            pull: _,
            history_from,
            terms,
        } => {
            let usual = Wants::default();
            let (policy, headers) = (terms.policy(), terms.headers()?);
            let wants = Wants {
                events: some(terms.events).unwrap_or(usual.events),
                scenarios: some(terms.scenarios),
            };
            let add = SubscriberAction::Add {
                to: url.map_or(Destination::Pull, Destination::Push),
                wants,
                policy,
                headers,
                history_from,
            };
            (which, add)
        }
        Subscribers::Set {
            which,
            url,
            pull,
            no_headers,
            all_scenarios,
            terms,
        } => {
            let (policy, headers) = (terms.policy(), terms.headers()?);
            let change = SubscriberChange {
                to: url
                    .map(Destination::Push)
                    .or(pull.then_some(Destination::Pull)),
                policy,
                headers: (no_headers || !headers.is_empty()).then_some(headers),
                events: some(terms.events),
                scenarios: match some(terms.scenarios) {
                    Some(scenarios) => Some(Some(scenarios)),
                    None => all_scenarios.then_some(None),
                },
            };
            (which, SubscriberAction::Change(change))
        }
        Subscribers::Pull(pull) => return super::pull::run(global, out, &settings, pull).await,
        Subscribers::Show { which } => (which, SubscriberAction::Show),
        Subscribers::Pause { which } => (which, SubscriberAction::Pause),
        Subscribers::Resume { which } => (which, SubscriberAction::Resume),
        Subscribers::Test { which } => (which, SubscriberAction::Test),
        Subscribers::NewKey {
            which,
            public,
            overlap_s,
        } => (which, SubscriberAction::NewKey { public, overlap_s }),
        Subscribers::Backfill {
            which,
            from,
            to,
            subjects,
        } => {
            let subjects = subjects.into_iter().collect();
            (which, SubscriberAction::Backfill { from, to, subjects })
        }
        Subscribers::Remove { which } => (which, SubscriberAction::Remove),
    };
    let Which { id, merchant } = which;
    let command = SubscriberCommand {
        merchant,
        id,
        action,
    };
    let answer = send(global, &settings, AdminCommand::Subscriber(command)).await?;
    out.one(&answer);
    if answer.get("signing_secret").is_some_and(Value::is_string) {
        out.talk("The signing secret is shown this once.");
    }
    Ok(())
}

fn some<T: Ord>(list: Vec<T>) -> Option<std::collections::BTreeSet<T>> {
    (!list.is_empty()).then(|| list.into_iter().collect())
}
