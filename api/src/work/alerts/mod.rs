//! Tells people of what waits for them, on a channel that is none of the subscribers': a subscriber
//! that is away cannot be told that it is.
//!
//! Each trouble is told when it begins, again after a while if it lasts, and when it is over. What
//! was told is kept as a note, so a restart does not tell everything anew; losing the note costs a
//! repetition.

mod conditions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ports::{Alert, AlertChannel, AlertError, AlertKind, AlertState};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::conditions::Patience;
use self::conditions::{Condition, of_parts, of_work};
use super::health::Health;
use super::supervise::Stop;
use crate::app::App;
use crate::app::error::AppError;

/// Name of the loop.
pub const NAME: &str = "alerts";
/// How often it looks.
const EVERY: Duration = Duration::from_secs(2);
/// Where what was told is kept.
const NOTE: &str = "alerts";

/// Who is told, and when.
pub struct Alerts {
    /// Every channel hears every alert.
    pub channels: Vec<Arc<dyn AlertChannel>>,
    /// When waiting becomes trouble.
    pub patience: Patience,
    /// What lasts is told again after this time.
    pub again: Duration,
}

/// A trouble that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    since: Timestamp,
    /// The last alert, to say later that it is over; `None` until it was told.
    told: Option<Told>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    at: Timestamp,
    text: String,
    to_do: String,
    merchant: Option<domain::ids::MerchantId>,
}

/// Tells the channels that somebody tries them.
///
/// # Errors
/// [`AlertError`] of the first that fails.
pub async fn try_out(
    channels: &[Arc<dyn AlertChannel>],
    (ledger, node): (&str, &str),
    now: Timestamp,
) -> Result<(), AlertError> {
    let alert = Alert {
        alert: AlertKind::Test,
        state: AlertState::Raised,
        subject: "test".to_owned(),
        merchant: None,
        text: "Nothing is wrong: somebody tries how alerts are told.".to_owned(),
        to_do: "nothing".to_owned(),
        since: now,
        at: now,
        ledger: ledger.to_owned(),
        node: node.to_owned(),
    };
    tell(channels, &alert).await
}

async fn tell(channels: &[Arc<dyn AlertChannel>], alert: &Alert) -> Result<(), AlertError> {
    for channel in channels {
        channel.tell(alert).await?;
    }
    Ok(())
}

/// Looks and tells until it is asked to stop.
pub async fn run(app: Arc<App>, alerts: Arc<Alerts>, health: Arc<Health>, mut stop: Stop) {
    let clock = Arc::clone(app.recorder.clock());
    let mut known = read(&app).await;
    while !stop.asked() {
        match turn(&app, &alerts, &health, &mut known).await {
            Ok(()) => health.works(NAME, clock.now(), None),
            Err(error) => {
                tracing::warn!(error = %error, "alerts.not_told");
                health.fails(NAME, clock.now(), error.to_string());
            }
        }
        if stop.sleeps(&*clock, EVERY).await {
            return;
        }
    }
}

/// Why a turn did not do all of it.
#[derive(Debug, thiserror::Error)]
enum TurnError {
    #[error(transparent)]
    Channel(#[from] AlertError),
    #[error(transparent)]
    Views(#[from] AppError),
}

async fn turn(
    app: &App,
    alerts: &Alerts,
    health: &Health,
    known: &mut BTreeMap<String, Known>,
) -> Result<(), TurnError> {
    let mut found = of_parts(health, NAME, alerts.patience);
    let of_parts: Vec<String> = found.iter().map(Condition::key).collect();
    // What is known of the work stays as it was while nothing can be read.
    let of_work = of_work(app, alerts.patience).await;
    let part_kinds = [AlertKind::PartFails, AlertKind::PartAlarms].map(AlertKind::as_str);
    let is_of_part = |key: &str| part_kinds.iter().any(|kind| key.starts_with(kind));
    let mut over: Vec<String> = known
        .keys()
        .filter(|key| is_of_part(key) && !of_parts.contains(key))
        .cloned()
        .collect();
    let unread = match of_work {
        Ok(work) => {
            let gone = |key: &&String| !work.iter().any(|condition| condition.key() == **key);
            over.extend(
                known
                    .keys()
                    .filter(|key| !is_of_part(key))
                    .filter(gone)
                    .cloned(),
            );
            found.extend(work);
            None
        }
        Err(error) => Some(error),
    };
    let before = known.clone();
    let told = say(app, alerts, &found, &over, known).await;
    if *known != before {
        keep(app, known).await;
    }
    told?;
    unread.map_or(Ok(()), |error| Err(error.into()))
}

/// Tells what is new, what lasts, and what is over.
async fn say(
    app: &App,
    alerts: &Alerts,
    found: &[Condition],
    over: &[String],
    known: &mut BTreeMap<String, Known>,
) -> Result<(), AlertError> {
    let now = app.recorder.now();
    for condition in found {
        let trouble = known.entry(condition.key()).or_insert_with(|| Known {
            since: condition.since.unwrap_or(now),
            told: None,
        });
        if let Some(told) = &mut trouble.told {
            // Counts change while it lasts; what is told at the end is the last of them.
            told.text.clone_from(&condition.text);
        }
        let again = |told: &Told| now.since(told.at) >= alerts.again;
        let settled = now.since(trouble.since) >= condition.settles;
        if !settled || !trouble.told.as_ref().is_none_or(again) {
            continue;
        }
        let told = Told {
            at: now,
            text: condition.text.clone(),
            to_do: condition.to_do.clone(),
            merchant: condition.merchant.clone(),
        };
        let (kind, subject) = (condition.kind, &condition.subject);
        let alert = alert(app, kind, AlertState::Raised, subject, trouble.since, &told);
        tracing::warn!(alert = kind.as_str(), %subject, text = %told.text, "alert.raised");
        tell(&alerts.channels, &alert).await?;
        trouble.told = Some(told);
    }
    for key in over {
        if let Some(Known {
            since,
            told: Some(told),
        }) = known.get(key)
            && let Some((kind, subject)) = named(key)
        {
            let alert = alert(app, kind, AlertState::Cleared, subject, *since, told);
            tracing::info!(alert = kind.as_str(), %subject, "alert.cleared");
            tell(&alerts.channels, &alert).await?;
        }
        known.remove(key);
    }
    Ok(())
}

fn alert(
    app: &App,
    kind: AlertKind,
    state: AlertState,
    subject: &str,
    since: Timestamp,
    told: &Told,
) -> Alert {
    Alert {
        alert: kind,
        state,
        subject: subject.to_owned(),
        merchant: told.merchant.clone(),
        text: match state {
            AlertState::Raised => told.text.clone(),
            AlertState::Cleared => format!("It is over: {}", told.text),
        },
        to_do: match state {
            AlertState::Raised => told.to_do.clone(),
            AlertState::Cleared => "nothing".to_owned(),
        },
        since,
        at: app.recorder.now(),
        ledger: app.recorder.origin().to_owned(),
        node: app.recorder.node().to_owned(),
    }
}

/// Kind and subject of a key.
fn named(key: &str) -> Option<(AlertKind, &str)> {
    let (kind, subject) = key.split_once('|')?;
    let kind = AlertKind::ALL
        .into_iter()
        .find(|known| known.as_str() == kind)?;
    Some((kind, subject))
}

async fn read(app: &App) -> BTreeMap<String, Known> {
    let note = app.ops.note(NOTE).await.ok().flatten();
    note.and_then(|note| serde_json::from_slice(&note).ok())
        .unwrap_or_default()
}

async fn keep(app: &App, known: &BTreeMap<String, Known>) {
    let Ok(note) = serde_json::to_vec(known) else {
        return;
    };
    if let Err(error) = app.ops.put_note(NOTE, &note).await {
        tracing::warn!(error = %error, "alerts.note_lost");
    }
}
