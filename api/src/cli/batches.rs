//! Many failed deliveries in one go: start a batch, see how far it is, cancel it.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use domain::delivery::FailedWhy;
use domain::delivery::event::FailureClass;
use domain::ids::{BatchId, MerchantId, ReasonCode, SubscriberId};
use domain::subscriber::{BatchOrder, FailedFilter, PER_SECOND_MAX};
use domain::time::Timestamp;
use serde_json::{Value, json};

use super::admin::{send, server_runs};
use super::args::Global;
use super::deliveries::{one_of, rows, time};
use super::out::{Failure, Out};
use crate::admin::AdminCommand;
use crate::admin::deliveries::{DeliveryAction, DeliveryCommand};
use crate::app::deliveries::BATCH_PER_SECOND;
use crate::config::Settings;

/// How often a batch is looked at while somebody watches.
const LOOK: Duration = Duration::from_millis(250);
/// Characters of the bar.
const WIDTH: u64 = 30;

/// A batch to be started.
#[derive(Args)]
pub(super) struct Start {
    /// Whose.
    #[arg(long)]
    merchant: MerchantId,
    /// Of this subscriber.
    #[arg(long)]
    subscriber: SubscriberId,
    /// Those whose last try failed like this; may be repeated.
    #[arg(long = "class", value_name = "CLASS", value_parser = one_of(FailureClass::ALL, FailureClass::as_str))]
    classes: Vec<FailureClass>,
    /// Those that ended because of this; may be repeated.
    #[arg(long = "ended", value_name = "REASON", value_parser = one_of(FailedWhy::all(), FailedWhy::as_str))]
    reasons: Vec<FailedWhy>,
    /// Of events recorded at this time or later ...
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// ... and before this one.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// How many of them per second.
    #[arg(long, default_value_t = BATCH_PER_SECOND, value_parser = clap::value_parser!(u32).range(1..=i64::from(PER_SECOND_MAX)))]
    per_second: u32,
    /// A short code for why.
    #[arg(long, required_unless_present = "dry_run")]
    reason: Option<ReasonCode>,
    /// Only count them.
    #[arg(long, conflicts_with = "watch")]
    dry_run: bool,
    /// Wait until it is over, and show how far it is.
    #[arg(long)]
    watch: bool,
}

/// Which batch.
#[derive(Args)]
pub(super) struct WhichBatch {
    /// Its id.
    pub(super) id: BatchId,
    /// Whose.
    #[arg(long)]
    pub(super) merchant: MerchantId,
}

/// Starts one, or counts what it would take in.
pub(super) async fn start(
    global: &Global,
    out: &Out,
    settings: &Settings,
    order: BatchOrder,
    asked: Start,
) -> Result<(), Failure> {
    let which = FailedFilter {
        classes: asked.classes.into_iter().collect(),
        reasons: asked.reasons.into_iter().collect(),
        since: asked.since,
        until: asked.until,
    };
    if which.is_empty() {
        return Err(Failure::usage("--until must be after --since"));
    }
    let action = DeliveryAction::StartBatch {
        subscriber: asked.subscriber,
        order,
        which,
        per_second: asked.per_second,
        reason: asked.reason.filter(|_| !asked.dry_run),
    };
    let answer = ask(global, settings, &asked.merchant, action).await?;
    if asked.dry_run {
        counted(out, &answer);
        return Ok(());
    }
    if asked.watch {
        let id = answer["id"].as_str().unwrap_or_default();
        let id = BatchId::parse(id).map_err(|error| Failure::failed(error.to_string()))?;
        let merchant = asked.merchant;
        return watch(global, out, settings, WhichBatch { id, merchant }).await;
    }
    out.one(&answer);
    if !server_runs(settings).await {
        out.talk("No server runs; the batch is carried out when one does.");
    }
    Ok(())
}

fn counted(out: &Out, answer: &Value) {
    if out.json {
        return out.one(answer);
    }
    let mut told = answer.clone();
    let sample = told.as_object_mut().and_then(|told| told.remove("sample"));
    out.one(&told);
    rows(out, &sample.unwrap_or_else(|| json!([])));
    let shown = answer["sample"].as_array().map_or(0, Vec::len);
    out.talk(&format!(
        "Nothing was changed. Shown are the newest {shown} of {}.",
        answer["total"]
    ));
}

/// Shows how far it is until it is over: a bar on a terminal, else a line for each change.
pub(super) async fn watch(
    global: &Global,
    out: &Out,
    settings: &Settings,
    WhichBatch { id, merchant }: WhichBatch,
) -> Result<(), Failure> {
    let bar = std::io::stderr().is_terminal() && !out.json && !out.quiet;
    let mut before = String::new();
    loop {
        let action = DeliveryAction::Batch { id: id.clone() };
        let answer = ask(global, settings, &merchant, action).await?;
        let told = progress(&answer);
        if told != before {
            if bar {
                // A terminal that is gone is the watcher's choice.
                let _ = write!(std::io::stderr().lock(), "\r\x1b[K{told}");
            } else {
                out.talk(&told);
            }
        }
        before = told;
        let over = answer["state"] != "running";
        let waits = !over && !server_runs(settings).await;
        if over || waits {
            if bar {
                let _ = writeln!(std::io::stderr().lock());
            }
            out.one(&answer);
            if waits {
                out.talk("No server runs; the batch goes on when one does.");
            }
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// `[######........] 120 of 500 redriven, 3 skipped`
fn progress(answer: &Value) -> String {
    let number = |name: &str| answer[name].as_u64().unwrap_or_default();
    let (total, done, skipped) = (number("total"), number("done"), number("skipped"));
    let full = (WIDTH * (done + skipped))
        .checked_div(total)
        .unwrap_or(WIDTH);
    let bar: String = (0..WIDTH)
        .map(|place| if place < full { '#' } else { '.' })
        .collect();
    let verb = match answer["order"].as_str() {
        Some("abandon") => "abandoned",
        Some(_) | None => "redriven",
    };
    let state = answer["state"].as_str().unwrap_or_default();
    format!("[{bar}] {done} of {total} {verb}, {skipped} skipped, {state}")
}

/// A list of batches.
pub(super) fn list(out: &Out, answer: &Value) {
    if out.json {
        return out.one(answer);
    }
    let columns = [
        "id",
        "subscriber",
        "order",
        "state",
        "total",
        "done",
        "skipped",
        "left",
        "requested_at",
        "requested_by",
        "reason",
    ];
    out.list(&columns, &answer["delivery_batches"]);
    if let Some(next) = answer["next"].as_str() {
        out.talk(&format!("There are more: add --after {next}"));
    }
}

async fn ask(
    global: &Global,
    settings: &Settings,
    merchant: &MerchantId,
    action: DeliveryAction,
) -> Result<Value, Failure> {
    let merchant = merchant.clone();
    let command = AdminCommand::Delivery(DeliveryCommand { merchant, action });
    send(global, settings, command).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_long_as_what_is_over() {
        let shown = |total: u64, done: u64, skipped: u64| {
            let batch = json!({
                "order": "redrive", "state": "running", "total": total, "done": done, "skipped": skipped
            });
            progress(&batch)
        };
        assert_eq!(
            shown(30, 9, 1),
            "[##########....................] 9 of 30 redriven, 1 skipped, running"
        );
        assert!(shown(0, 0, 0).starts_with(&format!("[{}]", "#".repeat(30))));
        assert!(shown(1_000_000, 999_999, 0).contains("#.]"));
    }
}
