//! A consumer at the terminal: prints what a receiver would fetch, and acknowledges it when that is asked
//! for. What could not be printed is not acknowledged.

use std::io::Write;

use clap::Args;
use domain::delivery::PullCursor;
use domain::time::Timestamp;
use serde_json::Value;

use super::admin::send;
use super::args::Global;
use super::out::{Failure, Out};
use super::subscribers::{Which, time};
use crate::admin::AdminCommand;
use crate::admin::subscribers::{SubscriberAction, SubscriberCommand};
use crate::config::Settings;

#[derive(Args)]
pub(super) struct Pull {
    #[command(flatten)]
    which: Which,
    /// Say that it has arrived, page by page, once the page is printed.
    #[arg(long)]
    ack: bool,
    /// From the first event that was recorded at this time or later, whatever became of it.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "after")]
    since: Option<Timestamp>,
    /// After this place, as an earlier call named it.
    #[arg(long, value_name = "CURSOR", value_parser = cursor)]
    after: Option<PullCursor>,
    /// Events of one page.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

fn cursor(text: &str) -> Result<PullCursor, String> {
    PullCursor::parse(text).ok_or_else(|| "must be the cursor of an earlier call".to_owned())
}

/// Page after page, until nothing follows.
pub(super) async fn run(
    global: &Global,
    out: &Out,
    settings: &Settings,
    pull: Pull,
) -> Result<(), Failure> {
    let Pull {
        which: Which { id, merchant },
        ack,
        mut since,
        mut after,
        limit,
    } = pull;
    let ask = async |action| {
        let (merchant, id) = (merchant.clone(), id.clone());
        let command = SubscriberCommand {
            merchant,
            id,
            action,
        };
        send(global, settings, AdminCommand::Subscriber(command)).await
    };
    loop {
        let page = SubscriberAction::Pull {
            after: after.clone(),
            since,
            limit,
        };
        let page = ask(page).await?;
        print(&page["events"])?;
        let end = page["cursor"].as_str().and_then(PullCursor::parse);
        if let (true, Some(end)) = (ack, &end) {
            let mut ended = Value::Null;
            while ended["done"] != true {
                ended = ask(SubscriberAction::Acknowledge(end.clone())).await?;
            }
        }
        if let (true, Some(end)) = (page["done"] == true, &end) {
            out.talk(&format!("the end is at {end}"));
        }
        if page["done"] == true || end.is_none() {
            return Ok(());
        }
        (after, since) = (end, None);
    }
}

/// All lines or a failure: a pipe that was closed has not taken them.
fn print(events: &Value) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let lines = events.as_array().into_iter().flatten();
    let mut lines = lines.filter_map(Value::as_str);
    lines
        .try_for_each(|line| writeln!(stdout, "{line}"))
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::failed(format!("what was fetched could not be printed: {error}")))
}
