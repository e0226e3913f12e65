//! Deliveries from the command line.

use domain::delivery::Command;
use domain::ids::{DeliveryId, MerchantId, ReasonCode};
use projections::ports::Cursor;
use projections::views::delivery_queue::DeliveryRow;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminError;
use crate::app::App;
use crate::app::context::Context;
use crate::app::deliveries::DeliveryFilter;

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
            let bad = || AdminError("--after is what a page said was next".to_owned());
            let after = after.map(|text| Cursor::parse(&text).ok_or_else(bad));
            let page = app
                .list_deliveries(&merchant, &filter, after.transpose()?, limit as usize)
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
        DeliveryAction::Redrive { id, reason } => {
            let after = app
                .command_delivery(&merchant, &id, context, &Command::Redrive, (reason, None))
                .await?;
            Ok(json!({ "id": id, "generation": after.generation, "state": "due" }))
        }
        DeliveryAction::Abandon { id, reason } => {
            let after = app
                .command_delivery(&merchant, &id, context, &Command::Abandon, (reason, None))
                .await?;
            Ok(json!({ "id": id, "generation": after.generation, "state": "abandoned" }))
        }
    }
}

fn row(row: &DeliveryRow) -> Value {
    json!({
        "id": row.id, "subscriber": row.subscriber, "event": row.name, "subject": row.subject, "state": row.state,
        "attempts": row.attempts, "generation": row.generation, "class": row.class, "reason": row.reason, "last_failure": row.last_failure(),
        "last_status": row.last_status, "next_try_at": row.next_try_at, "created_at": row.created_at,
    })
}
