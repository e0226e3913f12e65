//! Subscribers and deliveries from the command line.

use domain::delivery;
use domain::subscriber::{Command, PausedWhy, Subscriber};
use projections::views::delivery_queue::DeliveryRow;
use serde_json::{Value, json};

use super::{AdminCommand, AdminError};
use crate::app::App;
use crate::app::context::Context;
use crate::app::deliveries::DeliveryFilter;
use crate::app::subscribers::NewSubscriber;

pub(super) async fn execute(
    app: &App,
    context: &Context,
    command: AdminCommand,
) -> Result<Value, AdminError> {
    match command {
        AdminCommand::SubscriberAdd {
            merchant,
            id,
            url,
            opt_in,
        } => {
            app.merchant(&merchant)?;
            let new = NewSubscriber { id, url, opt_in };
            if let Some((field, what)) = new.mistakes().into_iter().next() {
                return Err(AdminError(format!("{field} {what}")));
            }
            let (subscriber, secret) = app.add_subscriber(&merchant, context, new).await?;
            let mut shown = shown(&subscriber);
            shown["signing_secret"] = json!(secret);
            Ok(shown)
        }
        AdminCommand::SubscriberList => Ok(app
            .list_subscribers(None)
            .await?
            .iter()
            .map(shown)
            .collect()),
        AdminCommand::SubscriberPause { merchant, id } => Ok(shown(
            &app.command_subscriber(
                &merchant,
                &id,
                context,
                &Command::Pause(PausedWhy::Operator),
            )
            .await?,
        )),
        AdminCommand::SubscriberResume { merchant, id } => Ok(shown(
            &app.command_subscriber(&merchant, &id, context, &Command::Resume)
                .await?,
        )),
        AdminCommand::SubscriberTest { merchant, id } => Ok(shown(
            &app.command_subscriber(&merchant, &id, context, &Command::Test)
                .await?,
        )),
        AdminCommand::DeliveryList {
            merchant,
            state,
            subscriber,
            limit,
        } => {
            let filter = DeliveryFilter {
                state,
                subscriber,
                subject: None,
            };
            let page = app
                .list_deliveries(&merchant, &filter, None, limit as usize)
                .await?;
            Ok(page.rows.iter().map(row).collect())
        }
        AdminCommand::DeliveryShow { merchant, id } => {
            let detail = app.delivery(&merchant, &id).await?;
            let mut shown = row(&detail.row);
            shown["body"] = json!(detail.body);
            shown["outcomes"] = Value::Array(detail.outcomes);
            shown["answers"] = json!(detail.answers);
            Ok(shown)
        }
        AdminCommand::DeliveryRedrive {
            merchant,
            id,
            reason,
        } => {
            let command = delivery::Command::Redrive;
            let after = app
                .command_delivery(&merchant, &id, context, &command, (reason, None))
                .await?;
            Ok(json!({ "id": id, "generation": after.generation, "state": "due" }))
        }
        AdminCommand::DeliveryAbandon {
            merchant,
            id,
            reason,
        } => {
            let command = delivery::Command::Abandon;
            let after = app
                .command_delivery(&merchant, &id, context, &command, (reason, None))
                .await?;
            Ok(json!({ "id": id, "generation": after.generation, "state": "abandoned" }))
        }
        AdminCommand::ClientCreate { .. }
        | AdminCommand::ClientGrant { .. }
        | AdminCommand::ClientRotate { .. }
        | AdminCommand::ClientRevoke { .. }
        | AdminCommand::ClientList
        | AdminCommand::Operator(_)
        | AdminCommand::Exception(_)
        | AdminCommand::SecretSet { .. }
        | AdminCommand::SecretList { .. } => {
            Err(AdminError("not a command about deliveries".to_owned()))
        }
    }
}

fn shown(subscriber: &Subscriber) -> Value {
    json!({
        "id": subscriber.id, "merchant": subscriber.merchant, "url": subscriber.url, "opt_in": subscriber.opt_in,
        "keys": subscriber.keys, "state": if subscriber.paused.is_some() { "paused" } else { "active" },
    })
}

fn row(row: &DeliveryRow) -> Value {
    json!({
        "id": row.id, "subscriber": row.subscriber, "event": row.name, "subject": row.subject, "state": row.state,
        "attempts": row.attempts, "generation": row.generation, "last_failure": row.last_failure,
        "last_status": row.last_status, "next_try_at": row.next_try_at, "created_at": row.created_at,
    })
}
