//! Exceptions at the terminal: the review list, one case in full, assign, resolve.

use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};
use domain::ids::{
    CaseId, MerchantId, OperatorId, OrderId, PaymentRequestId, ProviderRef, ReasonCode,
};
use domain::payment::exception::{ExceptionKind, Severity};
use domain::time::Timestamp;
use projections::views::exceptions::CaseState;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::admin::{read_secret, send};
use super::args::Global;
use super::out::{Failure, Out};
use super::serve::settings;
use crate::admin::AdminCommand;
use crate::admin::exceptions::ExceptionCommand;
use crate::app::case_decisions::{How, WORDS_MAX};
use crate::app::cases::CaseFilter;

#[derive(Subcommand)]
pub(super) enum Exceptions {
    /// What a person must decide, the most urgent first.
    #[command(after_help = "Examples:
  counterfoil exceptions list --merchant shop
  counterfoil exceptions list --merchant shop --severity critical --severity high --assignee -
  counterfoil exceptions list --merchant shop --kind late_payment --older-than 3600 --json")]
    List(Box<List>),
    /// One case: its history, the money that it holds, and how it can be decided now.
    #[command(
        after_help = "Example: counterfoil exceptions show payment_request-pr_...~1 --merchant shop"
    )]
    Show {
        /// Which.
        id: CaseId,
        /// Whose.
        #[arg(long)]
        merchant: MerchantId,
    },
    /// Give a case to a person, or to nobody.
    #[command(after_help = "Examples:
  counterfoil exceptions assign payment_request-pr_...~1 --merchant shop --to op-7
  counterfoil exceptions assign payment_request-pr_...~1 --merchant shop --to -")]
    Assign {
        /// Which.
        id: CaseId,
        /// Whose.
        #[arg(long)]
        merchant: MerchantId,
        /// A person; - for nobody.
        #[arg(long, allow_hyphen_values = true, value_parser = person)]
        to: Person,
    },
    /// Decide a case.
    #[command(after_help = "Examples:
  counterfoil exceptions resolve payment_request-pr_...~1 --merchant shop --as accept --reason payer_called --text wanted
  counterfoil exceptions resolve payment_request-pr_...~1 --merchant shop --as reassign --to pr_aaaaaaaaaaaaaaaaaaaaaaaaaa --reason old_link --text -
  counterfoil exceptions resolve payment_request-pr_...~1 --merchant shop --as refund --reason order_gone --text -  < why.txt")]
    Resolve(Box<Resolve>),
}

#[derive(Args)]
pub(super) struct List {
    /// Whose.
    #[arg(long)]
    merchant: MerchantId,
    /// Open ones, or resolved ones.
    #[arg(long, value_parser = ["open", "resolved"], default_value = "open")]
    state: String,
    /// Of this kind; may be repeated.
    #[arg(long = "kind", value_parser = named::<ExceptionKind>)]
    kinds: Vec<ExceptionKind>,
    /// critical, high, medium or low; may be repeated.
    #[arg(long = "severity", value_parser = named::<Severity>)]
    severities: Vec<Severity>,
    /// Opened at least so long ago.
    #[arg(long, value_name = "SECONDS")]
    older_than: Option<u32>,
    /// To be decided before this time (RFC 3339).
    #[arg(long, value_parser = named::<Timestamp>)]
    due_before: Option<Timestamp>,
    /// Those only whose time is over.
    #[arg(long)]
    overdue: bool,
    /// Looked after by this person; - for those that nobody looks after.
    #[arg(long, allow_hyphen_values = true, value_parser = person)]
    assignee: Option<Person>,
    /// Of this payment request.
    #[arg(long)]
    request: Option<PaymentRequestId>,
    /// Of this order.
    #[arg(long)]
    order: Option<OrderId>,
    /// How many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

#[derive(Args)]
pub(super) struct Resolve {
    /// Which.
    id: CaseId,
    /// Whose.
    #[arg(long)]
    merchant: MerchantId,
    /// How.
    #[arg(long = "as", value_enum)]
    how: Chosen,
    /// Of accept: another case of the request whose money counts as well; may be repeated.
    #[arg(long)]
    with: Vec<CaseId>,
    /// Of reassign: the payment request that gets the money.
    #[arg(long)]
    to: Option<PaymentRequestId>,
    /// Of refund_answer: whether the money went back.
    #[arg(long)]
    settled: Option<bool>,
    /// Of refund_answer: the provider's id of the reversal.
    #[arg(long)]
    reversal: Option<ProviderRef>,
    /// A short code for why.
    #[arg(long)]
    reason: ReasonCode,
    /// Why, in words that are kept sealed; - for standard input, which no other user of the machine sees.
    #[arg(long, allow_hyphen_values = true)]
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Chosen {
    /// The money counts towards the order.
    Accept,
    /// The money goes back.
    Refund,
    /// The money pays another request.
    Reassign,
    /// The money is the shop's income.
    KeepAsIncome,
    /// Money that no request explains went back, outside of the ledger.
    GivenBack,
    /// There is nothing to do.
    Dismiss,
    /// What was found out about a refund whose answer is not known.
    RefundAnswer,
}

/// A person, or nobody.
#[derive(Clone)]
pub(super) struct Person(Option<OperatorId>);

fn person(text: &str) -> Result<Person, String> {
    if text == "-" {
        return Ok(Person(None));
    }
    let id = OperatorId::parse(text).map_err(|rule| rule.to_string())?;
    Ok(Person(Some(id)))
}

/// A value by the name that it has on every wire.
fn named<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(json!(text)).map_err(|error| error.to_string())
}

pub(super) async fn run(global: &Global, out: &Out, command: Exceptions) -> Result<(), Failure> {
    let settings = settings(global, out)?.settings;
    let ask = async |command| send(global, &settings, AdminCommand::Exception(command)).await;
    match command {
        Exceptions::List(wanted) => {
            let (merchant, limit, filter) = wanted.read();
            let list = ExceptionCommand::List {
                merchant,
                filter,
                limit,
            };
            let columns = [
                "id", "severity", "kind", "money", "order_id", "due", "overdue", "assignee",
            ];
            out.list(&columns, &for_people(out, ask(list).await?));
        }
        Exceptions::Show { id, merchant } => {
            let shown = ask(ExceptionCommand::Show { merchant, id }).await?;
            if out.json {
                out.one(&shown);
            } else {
                tell(out, shown);
            }
        }
        Exceptions::Assign { id, merchant, to } => {
            let to = to.0;
            out.one(&ask(ExceptionCommand::Assign { merchant, id, to }).await?);
        }
        Exceptions::Resolve(wanted) => out.one(&ask(wanted.read()?).await?),
    }
    Ok(())
}

impl List {
    fn read(self) -> (MerchantId, u32, CaseFilter) {
        let state = if self.state == "resolved" {
            CaseState::Resolved
        } else {
            CaseState::Open
        };
        let filter = CaseFilter {
            state,
            kinds: self.kinds,
            severities: self.severities,
            older_than_s: self.older_than,
            due_before: self.due_before,
            overdue: self.overdue,
            assignee: self.assignee.map(|person| person.0),
            request: self.request,
            order: self.order,
        };
        (self.merchant, self.limit, filter)
    }
}

impl Resolve {
    fn read(self) -> Result<ExceptionCommand, Failure> {
        let text = match self.text.as_str() {
            "-" => read_secret(Path::new("-"))?.trim_end().to_owned(),
            _ => self.text,
        };
        if text.trim().is_empty() || text.chars().count() > WORDS_MAX {
            return Err(Failure::usage("--text must be 1 to 2,000 characters"));
        }
        let stray = [
            (!self.with.is_empty(), Chosen::Accept, "--with"),
            (self.to.is_some(), Chosen::Reassign, "--to"),
            (self.settled.is_some(), Chosen::RefundAnswer, "--settled"),
            (self.reversal.is_some(), Chosen::RefundAnswer, "--reversal"),
        ];
        if let Some((.., name)) = stray
            .iter()
            .find(|(given, way, _)| *given && *way != self.how)
        {
            return Err(Failure::usage(format!(
                "{name} is of another way to decide"
            )));
        }
        let how = match self.how {
            Chosen::Accept => How::Accept { with: self.with },
            Chosen::Refund => How::Refund,
            Chosen::Reassign => How::Reassign {
                to: self.to.ok_or_else(|| Failure::usage("--to is needed"))?,
            },
            Chosen::KeepAsIncome => How::KeepAsIncome,
            Chosen::GivenBack => How::GivenBack,
            Chosen::Dismiss => How::Dismiss,
            Chosen::RefundAnswer => How::RefundAnswer {
                settled: self
                    .settled
                    .ok_or_else(|| Failure::usage("--settled true or false is needed"))?,
                reversal: self.reversal,
            },
        };
        Ok(ExceptionCommand::Resolve {
            merchant: self.merchant,
            id: self.id,
            how,
            reason: self.reason,
            text,
        })
    }
}

/// A case for people: its fields, then what was done, then what can be done.
fn tell(out: &Out, mut shown: Value) {
    let parts = ["history", "resolutions"].map(|name| shown[name].take());
    if let Value::Object(fields) = &mut shown {
        fields.remove("history");
        fields.remove("resolutions");
        for name in ["money", "holds", "held_by_refunds"] {
            fields.insert(name.to_owned(), json!(amount(&fields[name])));
        }
    }
    out.one(&shown);
    let [history, resolutions] = parts;
    let columns = ["at", "what", "event", "actor", "reason", "text"];
    out.list(&columns, &history);
    if resolutions.as_array().is_some_and(|ways| !ways.is_empty()) {
        out.list(&["resolution", "possible", "why_not"], &resolutions);
    }
}

/// Amounts in one word, where no program reads them.
fn for_people(out: &Out, mut rows: Value) -> Value {
    if !out.json {
        for row in rows.as_array_mut().into_iter().flatten() {
            row["money"] = json!(amount(&row["money"]));
        }
    }
    rows
}

/// `150000 AMD`, in minor units.
fn amount(sum: &Value) -> Option<String> {
    Some(format!(
        "{} {}",
        sum["minor"].as_str()?,
        sum["currency"].as_str()?
    ))
}
