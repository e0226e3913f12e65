//! Subscribers from the command line.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::actor::Actor;
use domain::delivery::{Consumer, PullCursor};
use domain::ids::{MerchantId, SubscriberId};
use domain::subscriber::{Backfill, Command, DeliveryPolicy, PausedWhy, StaticHeaders, Wants};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminError;
use crate::app::App;
use crate::app::context::Context;
use crate::app::pull::Start;
use crate::app::subscribers::{
    Destination, NewKey, NewSubscriber, PolicyChange, SubscriberChange, shown,
};

/// A subscriber of a merchant, and what shall be done with it.
#[derive(Serialize, Deserialize)]
pub struct SubscriberCommand {
    /// Whose.
    pub merchant: MerchantId,
    /// Its name.
    pub id: SubscriberId,
    /// What.
    pub action: SubscriberAction,
}

/// What shall be done with a subscriber.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriberAction {
    /// Make it and show its signing secret.
    Add {
        /// How it gets its events.
        to: Destination,
        /// What it hears.
        wants: Wants,
        /// How it is served, where otherwise than usual.
        policy: PolicyChange,
        /// What its requests carry besides.
        headers: StaticHeaders,
        /// Send what was recorded from then on, too.
        history_from: Option<Timestamp>,
    },
    /// Its settings.
    Show,
    /// Make it different.
    Change(SubscriberChange),
    /// Let its deliveries wait.
    Pause,
    /// Let them go on.
    Resume,
    /// Send a test event.
    Test,
    /// Make a signing key; the others of its scheme sign on for so many seconds.
    NewKey {
        /// True for Ed25519.
        public: bool,
        /// Seconds.
        overlap_s: u32,
    },
    /// Send what happened before.
    Backfill {
        /// What was recorded at this time or later ...
        from: Timestamp,
        /// ... and before this one; until now without.
        to: Option<Timestamp>,
        /// Only these subjects.
        subjects: BTreeSet<String>,
    },
    /// A page of its events, as its receiver would fetch them.
    Pull {
        /// After this place.
        after: Option<PullCursor>,
        /// From the first event that was recorded at this time or later.
        since: Option<Timestamp>,
        /// How many.
        limit: u32,
    },
    /// Say that everything up to a place has arrived.
    Acknowledge(PullCursor),
    /// End it for good.
    Remove,
}

pub(super) async fn execute(
    app: &App,
    context: &Context,
    command: SubscriberCommand,
) -> Result<Value, AdminError> {
    let SubscriberCommand {
        merchant,
        id,
        action,
    } = command;
    app.merchant(&merchant)?;
    let order = match action {
        SubscriberAction::Add {
            to,
            wants,
            policy,
            headers,
            history_from,
        } => {
            let history = history_from.map(|from| Backfill {
                from,
                to: app.recorder.now(),
                subjects: BTreeSet::new(),
            });
            let new = NewSubscriber {
                id,
                to,
                wants,
                policy: policy.applied_to(DeliveryPolicy::default()),
                headers,
                history,
            };
            sound(new.mistakes(&*app.destinations))?;
            let (subscriber, secret) = app.add_subscriber(&merchant, context, new).await?;
            let mut shown = shown(&subscriber);
            shown["signing_secret"] = json!(secret);
            return Ok(shown);
        }
        SubscriberAction::Show => {
            let known = app.subscriber(&merchant, &id).await?;
            return Ok(app.shown_with_queue(&known).await?);
        }
        SubscriberAction::Change(change) => {
            sound(change.mistakes(&*app.destinations))?;
            let changed = app.change_subscriber(&merchant, &id, context, &change);
            return Ok(shown(&changed.await?));
        }
        SubscriberAction::NewKey { public, overlap_s } => {
            let new = if public { NewKey::V1a } else { NewKey::V1 };
            let overlap = Duration::from_secs(overlap_s.into());
            let added = app.add_signing_key(&merchant, &id, context, new, overlap);
            let (subscriber, key) = added.await?;
            let mut shown = shown(&subscriber);
            let name = if public {
                "public_key"
            } else {
                "signing_secret"
            };
            shown[name] = json!(key);
            return Ok(shown);
        }
        SubscriberAction::Pause => Command::Pause(PausedWhy::Operator),
        SubscriberAction::Resume => Command::Resume,
        SubscriberAction::Test => Command::Test,
        SubscriberAction::Backfill { from, to, subjects } => Command::Backfill(Backfill {
            from,
            to: to.unwrap_or_else(|| app.recorder.now()),
            subjects,
        }),
        SubscriberAction::Pull {
            after,
            since,
            limit,
        } => {
            let start = match (after, since) {
                (Some(after), _) => Start::After(after),
                (None, Some(since)) => Start::Since(since),
                (None, None) => Start::Open,
            };
            let page = app.pull_events(&merchant, &id, &start, limit as usize);
            let page = page.await?;
            let events: Vec<String> = page.events.into_iter().map(|event| event.body).collect();
            return Ok(json!({ "events": events, "cursor": page.cursor, "done": page.done }));
        }
        SubscriberAction::Acknowledge(cursor) => {
            let consumer = consumer(context)?;
            let ended = app.acknowledge_events(&merchant, &id, context, &cursor, consumer);
            let ended = ended.await?;
            return Ok(json!({ "acknowledged": ended.acknowledged, "done": ended.done }));
        }
        SubscriberAction::Remove => Command::Remove,
    };
    let after = app
        .command_subscriber(&merchant, &id, context, &[order])
        .await?;
    Ok(shown(&after))
}

/// The person at the terminal.
fn consumer(context: &Context) -> Result<Consumer, AdminError> {
    match &context.actor {
        Actor::Operator { id, .. } => Ok(Consumer::Operator(id.clone())),
        Actor::Client { id, .. } => Ok(Consumer::Client(id.clone())),
        Actor::Provider { .. } | Actor::Payer { .. } | Actor::Job { .. } => Err(AdminError(
            "only a person or a client fetches events".to_owned(),
        )),
    }
}

fn sound(mistakes: Vec<(&'static str, String)>) -> Result<(), AdminError> {
    match mistakes.into_iter().next() {
        Some((field, what)) => Err(AdminError(format!("{field} {what}"))),
        None => Ok(()),
    }
}
