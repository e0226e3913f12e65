//! Deliveries: the failed list, one in full or as a request, redrive, abandon, one or many.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use domain::delivery::FailedWhy;
use domain::delivery::event::FailureClass;
use domain::ids::{DeliveryId, MerchantId, PaymentRequestId, ReasonCode, SubscriberId};
use domain::subscriber::BatchOrder;
use domain::time::Timestamp;
use projections::views::delivery_queue::QueueState;
use serde_json::Value;

use super::admin::{known_merchant, send};
use super::args::Global;
use super::batches::{self, Start, WhichBatch};
use super::out::{Failure, Out};
use super::serve::settings;
use crate::admin::AdminCommand;
use crate::admin::deliveries::{DeliveryAction, DeliveryCommand};
use crate::app::deliveries::DeliveryFilter;

#[derive(Subcommand)]
pub(super) enum Deliveries {
    /// List deliveries, newest first.
    #[command(after_help = "Examples:
  counterfoil deliveries list --merchant shop --state dead_lettered --state quarantined
  counterfoil deliveries list --merchant shop --subscriber crm --class timeout --since 2026-11-25T00:00:00Z
  counterfoil deliveries list --merchant shop --payment-request pr_aaaaaaaaaaaaaaaaaaaaaaaaaa")]
    List {
        /// Whose.
        #[arg(long)]
        merchant: MerchantId,
        #[command(flatten)]
        narrow: Narrow,
        /// How many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Go on after a page: what it said was next.
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
    },
    /// One delivery with its exact body, its tries with what came back, and its history.
    #[command(after_help = "Examples:
  counterfoil deliveries show dlv_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa --merchant shop
  counterfoil deliveries show dlv_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa --merchant shop --request
  counterfoil deliveries show dlv_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa --merchant shop --request --signed")]
    Show {
        #[command(flatten)]
        which: Which,
        /// As a request: headers, body, and a line for curl.
        #[arg(long)]
        request: bool,
        /// Signed afresh, so that it can be sent within five minutes. Whoever has it can send it.
        #[arg(long, requires = "request")]
        signed: bool,
    },
    /// Start the schedules of a subscriber's failed deliveries again, so many per second.
    #[command(after_help = "Examples:
  counterfoil deliveries redrive-many --merchant shop --subscriber crm --dry-run
  counterfoil deliveries redrive-many --merchant shop --subscriber crm --reason receiver_fixed --watch
  counterfoil deliveries redrive-many --merchant shop --subscriber crm --class timeout --class http_5xx --since 2026-11-25T00:00:00Z --per-second 50 --reason receiver_fixed")]
    RedriveMany(Start),
    /// Give a subscriber's failed deliveries up, so many per second.
    #[command(
        after_help = "Example: counterfoil deliveries abandon-many --merchant shop --subscriber crm --ended rejected_4xx --until 2026-11-01T00:00:00Z --reason entered_by_hand"
    )]
    AbandonMany(Start),
    /// List batches, newest first.
    Batches {
        /// Whose.
        #[arg(long)]
        merchant: MerchantId,
        /// For this subscriber.
        #[arg(long)]
        subscriber: Option<SubscriberId>,
        /// How many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Go on after a page: what it said was next.
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
    },
    /// One batch and how far it is.
    #[command(
        after_help = "Example: counterfoil deliveries batch bat_aaaaaaaaaaaaaaaaaaaaaaaaaa --merchant shop --watch"
    )]
    Batch {
        #[command(flatten)]
        which: WhichBatch,
        /// Wait until it is over, and show how far it is.
        #[arg(long)]
        watch: bool,
    },
    /// Leave what is left of a batch as it is.
    CancelBatch {
        #[command(flatten)]
        which: WhichBatch,
        /// A short code for why.
        #[arg(long)]
        reason: ReasonCode,
    },
    /// Start a failed delivery's schedule again.
    Redrive {
        #[command(flatten)]
        which: Which,
        /// A short code for why.
        #[arg(long)]
        reason: ReasonCode,
    },
    /// Give a delivery up.
    Abandon {
        #[command(flatten)]
        which: Which,
        /// A short code for why.
        #[arg(long)]
        reason: ReasonCode,
    },
}

/// Which delivery.
#[derive(Args)]
pub(super) struct Which {
    /// Its id.
    id: DeliveryId,
    /// Whose.
    #[arg(long)]
    merchant: MerchantId,
}

/// What a list is narrowed down to.
#[derive(Args)]
pub(super) struct Narrow {
    /// How it stands; may be repeated.
    #[arg(long = "state", value_name = "STATE", value_parser = one_of(QueueState::ALL, QueueState::as_str))]
    states: Vec<QueueState>,
    /// For this subscriber.
    #[arg(long)]
    subscriber: Option<SubscriberId>,
    /// How the last try failed (timeout, http_5xx, ...); may be repeated.
    #[arg(long = "class", value_name = "CLASS", value_parser = one_of(FailureClass::ALL, FailureClass::as_str))]
    classes: Vec<FailureClass>,
    /// Why there are no more tries (rejected_4xx, max_age, ...); may be repeated.
    #[arg(long = "ended", value_name = "REASON", value_parser = one_of(FailedWhy::all(), FailedWhy::as_str))]
    reasons: Vec<FailedWhy>,
    /// About this payment request.
    #[arg(long, value_name = "ID")]
    payment_request: Option<PaymentRequestId>,
    /// Of events recorded at this time or later ...
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// ... and before this one.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

impl Narrow {
    fn filter(self) -> DeliveryFilter {
        DeliveryFilter {
            states: self.states.into_iter().collect(),
            subscriber: self.subscriber,
            subject: self.payment_request.map(|id| id.to_string()),
            classes: self.classes.into_iter().collect(),
            reasons: self.reasons.into_iter().collect(),
            since: self.since,
            until: self.until,
        }
    }
}

/// One of a few words; the shell completes them, and a message names them.
pub(super) fn one_of<T: Copy + Send + Sync + 'static>(
    known: impl IntoIterator<Item = T>,
    word: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let known: Vec<T> = known.into_iter().collect();
    let words: Vec<&'static str> = known.iter().map(|one| word(*one)).collect();
    PossibleValuesParser::new(words).try_map(move |text| {
        let found = known.iter().find(|one| word(**one) == text);
        found.copied().ok_or("is none of them")
    })
}

pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

/// Carries a command out and shows what came of it.
pub(super) async fn run(global: &Global, out: &Out, command: Deliveries) -> Result<(), Failure> {
    let settings = settings(global, out)?.settings;
    let (merchant, action) = match command {
        Deliveries::List {
            merchant,
            narrow,
            limit,
            after,
        } => {
            known_merchant(&settings, &merchant)?;
            let filter = narrow.filter();
            let list = DeliveryAction::List {
                filter,
                after,
                limit,
            };
            (merchant, list)
        }
        Deliveries::Show {
            which: Which { id, merchant },
            request: false,
            ..
        } => (merchant, DeliveryAction::Show { id }),
        Deliveries::Show {
            which: Which { id, merchant },
            request: true,
            signed,
        } => (merchant, DeliveryAction::Request { id, signed }),
        Deliveries::RedriveMany(asked) => {
            return batches::start(global, out, &settings, BatchOrder::Redrive, asked).await;
        }
        Deliveries::AbandonMany(asked) => {
            return batches::start(global, out, &settings, BatchOrder::Abandon, asked).await;
        }
        Deliveries::Batch { which, watch: true } => {
            return batches::watch(global, out, &settings, which).await;
        }
        Deliveries::Batch {
            which: WhichBatch { id, merchant },
            watch: false,
        } => (merchant, DeliveryAction::Batch { id }),
        Deliveries::Batches {
            merchant,
            subscriber,
            limit,
            after,
        } => {
            known_merchant(&settings, &merchant)?;
            let list = DeliveryAction::Batches {
                subscriber,
                after,
                limit,
            };
            (merchant, list)
        }
        Deliveries::CancelBatch {
            which: WhichBatch { id, merchant },
            reason,
        } => (merchant, DeliveryAction::CancelBatch { id, reason }),
        Deliveries::Redrive {
            which: Which { id, merchant },
            reason,
        } => (merchant, DeliveryAction::Redrive { id, reason }),
        Deliveries::Abandon {
            which: Which { id, merchant },
            reason,
        } => (merchant, DeliveryAction::Abandon { id, reason }),
    };
    let show: fn(&Out, &Value) = match &action {
        DeliveryAction::List { .. } => list,
        DeliveryAction::Show { .. } => detail,
        DeliveryAction::Request { .. } => request,
        DeliveryAction::Batches { .. } => batches::list,
        DeliveryAction::StartBatch { .. }
        | DeliveryAction::Batch { .. }
        | DeliveryAction::CancelBatch { .. }
        | DeliveryAction::Redrive { .. }
        | DeliveryAction::Abandon { .. } => Out::one,
    };
    let command = AdminCommand::Delivery(DeliveryCommand { merchant, action });
    show(out, &send(global, &settings, command).await?);
    Ok(())
}

fn list(out: &Out, answer: &Value) {
    if out.json {
        return out.one(answer);
    }
    rows(out, &answer["deliveries"]);
    if let Some(next) = answer["next"].as_str() {
        out.talk(&format!("There are more: add --after {next}"));
    }
}

/// A table of deliveries.
pub(super) fn rows(out: &Out, deliveries: &Value) {
    let columns = [
        "id",
        "subscriber",
        "event",
        "subject",
        "state",
        "attempts",
        "last_failure",
        "created_at",
    ];
    out.list(&columns, deliveries);
}

fn detail(out: &Out, answer: &Value) {
    let (true, Some(fields)) = (!out.json, answer.as_object()) else {
        return out.one(answer);
    };
    let mut fields = fields.clone();
    let (tries, history) = (fields.remove("attempts"), fields.remove("history"));
    out.one(&Value::Object(fields));
    let columns = [
        "generation",
        "attempt_no",
        "sent_at",
        "http_status",
        "class",
        "latency_ms",
        "key_ids",
        "ended",
        "answer",
    ];
    out.list(&columns, &tries.unwrap_or_default());
    out.list(
        &["when", "what", "who", "why"],
        &history.unwrap_or_default(),
    );
}

fn request(out: &Out, answer: &Value) {
    if out.json {
        return out.one(answer);
    }
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    out.line(&format!("{} {}", text("method"), text("url")));
    for header in answer["headers"].as_array().into_iter().flatten() {
        let part = |name: &str| header[name].as_str().unwrap_or_default();
        out.line(&format!("{}: {}", part("name"), part("value")));
    }
    out.line(&format!("\n{}\n", text("body")));
    out.line(&format!("sha256 of the body: {}", text("body_sha256")));
    let columns = [
        "generation",
        "attempt_no",
        "sent_at",
        "key_ids",
        "body_sha256",
        "same_body",
        "same_url",
    ];
    out.list(&columns, &answer["tries"]);
    out.line(text("curl"));
    if answer["signed"] == true {
        out.talk("It can be sent within five minutes, by whoever has it.");
    }
}
