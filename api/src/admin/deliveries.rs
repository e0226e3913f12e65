//! Deliveries from the command line.

use domain::delivery::Command;
use domain::ids::{BatchId, DeliveryId, MerchantId, ReasonCode, SubscriberId};
use domain::subscriber::{BatchOrder, FailedFilter};
use projections::ports::Cursor;
use projections::views::delivery_queue::DeliveryRow;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminError;
use crate::app::App;
use crate::app::context::Context;
use crate::app::deliveries::{DeliveryFilter, NewBatch, shown_batch};

/// A merchant's deliveries, and what shall be done with them.
#[derive(Serialize, Deserialize)]
pub struct DeliveryCommand {
    /// Whose.
    pub merchant: MerchantId,
    /// What.
    pub action: DeliveryAction,
}

/// What shall be done with deliveries.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryAction {
    /// List them, newest first.
    List {
        /// What the list is narrowed down to.
        filter: DeliveryFilter,
        /// The cursor of the page before.
        after: Option<String>,
        /// How many.
        limit: u32,
    },
    /// One with its body, its tries and its history.
    Show {
        /// Which.
        id: DeliveryId,
    },
    /// The exact request of one.
    Request {
        /// Which.
        id: DeliveryId,
        /// Signed afresh.
        signed: bool,
    },
    /// Decide many failed ones in one go, or only count them.
    StartBatch {
        /// Whose.
        subscriber: SubscriberId,
        /// What becomes of them.
        order: BatchOrder,
        /// Which of them.
        which: FailedFilter,
        /// How many of them per second.
        per_second: u32,
        /// Why; only counts without.
        reason: Option<ReasonCode>,
    },
    /// Batches, the newest first.
    Batches {
        /// For this subscriber.
        subscriber: Option<SubscriberId>,
        /// The cursor of the page before.
        after: Option<String>,
        /// How many.
        limit: u32,
    },
    /// One batch.
    Batch {
        /// Which.
        id: BatchId,
    },
    /// Leave what is left of a batch as it is.
    CancelBatch {
        /// Which.
        id: BatchId,
        /// Why.
        reason: ReasonCode,
    },
    /// Start its schedule again.
    Redrive {
        /// Which.
        id: DeliveryId,
        /// Why.
        reason: ReasonCode,
    },
    /// Give it up.
    Abandon {
        /// Which.
        id: DeliveryId,
        /// Why.
        reason: ReasonCode,
    },
}

pub(super) async fn execute(
    app: &App,
    context: &Context,
    command: DeliveryCommand,
) -> Result<Value, AdminError> {
    let DeliveryCommand { merchant, action } = command;
    match action {
        DeliveryAction::List {
            filter,
            after,
            limit,
        } => {
            let after = cursor(after)?;
            let page = app
                .list_deliveries(&merchant, &filter, after, limit as usize)
                .await?;
            let rows: Vec<Value> = page.rows.iter().map(row).collect();
            Ok(json!({ "deliveries": rows, "next": page.next.map(|next| next.to_string()) }))
        }
        DeliveryAction::Show { id } => {
            let detail = app.delivery(&merchant, &id).await?;
            let mut shown = row(&detail.row);
            shown["body"] = json!(detail.body);
            shown["attempts"] = json!(detail.tries);
            shown["history"] = Value::Array(detail.history);
            Ok(shown)
        }
        DeliveryAction::Request { id, signed } => {
            let request = app.exact_request(&merchant, &id, signed).await?;
            Ok(json!(request))
        }
        DeliveryAction::StartBatch {
            subscriber,
            order,
            which,
            per_second,
            reason,
        } => {
            let new = NewBatch {
                subscriber: subscriber.clone(),
                order,
                which,
                per_second,
            };
            let Some(reason) = reason else {
                let found = app.dry_run(&merchant, &new).await?;
                let sample: Vec<Value> = found.sample.iter().map(row).collect();
                return Ok(json!({
                    "dry_run": true, "subscriber": subscriber, "order": order, "which": new.which,
                    "total": found.total, "elsewhere": found.elsewhere, "sample": sample,
                }));
            };
            let started = app.start_batch(&merchant, context, new, (reason, None));
            let (id, begun) = started.await?;
            Ok(begun.map_or_else(
                || json!({ "id": id, "subscriber": subscriber, "order": order, "state": "running" }),
                |begun| shown_batch(&begun),
            ))
        }
        DeliveryAction::Batches {
            subscriber,
            after,
            limit,
        } => {
            let after = cursor(after)?;
            let page = app
                .list_batches(&merchant, subscriber.as_ref(), after, limit as usize)
                .await?;
            let rows: Vec<Value> = page.rows.iter().map(shown_batch).collect();
            Ok(json!({ "delivery_batches": rows, "next": page.next.map(|next| next.to_string()) }))
        }
        DeliveryAction::Batch { id } => Ok(shown_batch(&app.batch(&merchant, &id).await?)),
        DeliveryAction::CancelBatch { id, reason } => {
            let cancelled = app.cancel_batch(&merchant, &id, context, (reason, None));
            Ok(shown_batch(&cancelled.await?))
        }
        DeliveryAction::Redrive { id, reason } => {
            let after = app
                .command_delivery(
                    &merchant,
                    &id,
                    context,
                    &Command::Redrive { batch: None },
                    (reason, None),
                )
                .await?;
            Ok(json!({ "id": id, "generation": after.generation, "state": "due" }))
        }
        DeliveryAction::Abandon { id, reason } => {
            let after = app
                .command_delivery(
                    &merchant,
                    &id,
                    context,
                    &Command::Abandon { batch: None },
                    (reason, None),
                )
                .await?;
            Ok(json!({ "id": id, "generation": after.generation, "state": "abandoned" }))
        }
    }
}

fn cursor(text: Option<String>) -> Result<Option<Cursor>, AdminError> {
    let bad = || AdminError("--after is what a page said was next".to_owned());
    let read = |text: String| Cursor::parse(&text).ok_or_else(bad);
    text.map(read).transpose()
}

fn row(row: &DeliveryRow) -> Value {
    json!({
        "id": row.id, "subscriber": row.subscriber, "event": row.name, "subject": row.subject, "state": row.state,
        "attempts": row.attempts, "generation": row.generation, "class": row.class, "reason": row.reason, "last_failure": row.last_failure(),
        "last_status": row.last_status, "next_try_at": row.next_try_at, "created_at": row.created_at,
    })
}
