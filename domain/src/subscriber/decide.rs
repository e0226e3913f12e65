//! What follows from an order to a subscriber.

use std::collections::BTreeSet;

use super::Subscriber;
use super::batch::DeliveryBatch;
use super::event::{Event, KeyScheme, PausedWhy};
use super::headers::StaticHeaders;
use super::policy::DeliveryPolicy;
use super::wants::Wants;
use crate::ids::{BatchId, KeyId, MerchantId, SubscriberId};
use crate::time::Timestamp;

/// Keys of one scheme that sign side by side: the old one, the new one, and one to spare. The
/// sources of receivers' libraries try each in turn.
pub const KEYS_MAX: usize = 3;

/// An order to a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make it.
    Register(Registration),
    /// Move it.
    ChangeEndpoint {
        /// Where events are sent from here on; `None` where they are only fetched.
        url: Option<String>,
    },
    /// Let it hear something else.
    ChangeSubscription {
        /// What it hears.
        wants: Wants,
    },
    /// Serve it otherwise.
    ChangePolicy {
        /// How.
        policy: DeliveryPolicy,
    },
    /// Send other headers.
    ChangeHeaders {
        /// Which.
        headers: StaticHeaders,
    },
    /// Use a further signing key.
    AddKey {
        /// Its name.
        key_id: KeyId,
        /// How it signs.
        scheme: KeyScheme,
        /// Now: keys that end later sign as well.
        at: Timestamp,
    },
    /// Stop using a signing key when another has taken its place.
    RetireKey {
        /// Its name.
        key_id: KeyId,
        /// It signs beside the new one until then.
        valid_until: Timestamp,
    },
    /// Send what happened before.
    Backfill(Backfill),
    /// Let deliveries wait.
    Pause(PausedWhy),
    /// Let them go on.
    Resume,
    /// Note that it is left alone.
    OpenCircuit {
        /// Since when.
        since: Timestamp,
    },
    /// Note that it answers again.
    CloseCircuit,
    /// Send a test event.
    Test,
    /// Decide many failed deliveries in one go.
    StartBatch(DeliveryBatch),
    /// Note that nothing of a batch is left.
    FinishBatch {
        /// Which.
        batch: BatchId,
        /// Carried out.
        done: u64,
        /// Decided before their turn came.
        skipped: u64,
    },
    /// Leave what is left of a batch as it is.
    CancelBatch {
        /// Which.
        batch: BatchId,
    },
    /// End it.
    Remove,
}

/// A subscriber to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The subscriber.
    pub id: SubscriberId,
    /// Its merchant.
    pub merchant: MerchantId,
    /// Where events are sent; `None` where they are only fetched.
    pub url: Option<String>,
    /// What it hears.
    pub wants: Wants,
    /// How it is served.
    pub policy: DeliveryPolicy,
    /// What its requests carry.
    pub headers: StaticHeaders,
    /// Name of its first signing key, of scheme `v1`.
    pub key_id: KeyId,
    /// What happened before and shall be sent too.
    pub history: Option<Backfill>,
}

/// A part of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// What the ledger recorded at this time or later ...
    pub from: Timestamp,
    /// ... and before this one.
    pub to: Timestamp,
    /// Only these subjects; empty for all.
    pub subjects: BTreeSet<String>,
}

/// A rule says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such subscriber.
    #[error("there is no such subscriber")]
    Unknown,
    /// There is one of this name already.
    #[error("a subscriber of this name exists already")]
    Exists,
    /// It was removed for good.
    #[error("the subscriber was removed; make one of another name")]
    Removed,
    /// [`KEYS_MAX`] keys of this scheme sign already.
    #[error("{KEYS_MAX} keys of this scheme sign already; wait until one of them ends")]
    TooManyKeys,
    /// Without it nothing could be signed so that every library can check it.
    #[error("it is the only key of scheme v1; add another first")]
    LastKey,
    /// A person let its deliveries wait.
    #[error("the subscriber is paused")]
    Paused,
    /// A part of history that ends before it begins.
    #[error("`to` must be after `from`")]
    EmptySpan,
    /// Failed deliveries of a time that ends before it begins.
    #[error("`until` must be after `since`")]
    EmptyWindow,
    /// Nothing of it is under way.
    #[error("the batch has ended")]
    BatchOver,
}

/// Events that follow from `command`; none when it is already so.
///
/// # Errors
/// [`Refusal`].
pub fn decide(subscriber: Option<&Subscriber>, command: &Command) -> Result<Vec<Event>, Refusal> {
    let Some(known) = subscriber else {
        return match command {
            Command::Register(new) => registered(new),
            Command::ChangeEndpoint { .. }
            | Command::ChangeSubscription { .. }
            | Command::ChangePolicy { .. }
            | Command::ChangeHeaders { .. }
            | Command::AddKey { .. }
            | Command::RetireKey { .. }
            | Command::Backfill(_)
            | Command::Pause(_)
            | Command::Resume
            | Command::OpenCircuit { .. }
            | Command::CloseCircuit
            | Command::Test
            | Command::StartBatch(_)
            | Command::FinishBatch { .. }
            | Command::CancelBatch { .. }
            | Command::Remove => Err(Refusal::Unknown),
        };
    };
    changed(known, command)
}

fn once(needed: bool, event: Event) -> Vec<Event> {
    if needed { vec![event] } else { vec![] }
}

fn registered(new: &Registration) -> Result<Vec<Event>, Refusal> {
    let mut events = vec![
        Event::Registered {
            id: new.id.clone(),
            merchant: new.merchant.clone(),
            url: new.url.clone(),
            wants: new.wants.clone(),
        },
        Event::SigningKeyAdded {
            key_id: new.key_id.clone(),
            scheme: KeyScheme::V1 {},
        },
    ];
    let policy = new.policy;
    if policy != DeliveryPolicy::default() {
        events.push(Event::DeliveryPolicyChanged { policy });
    }
    if !new.headers.is_empty() {
        let headers = new.headers.clone();
        events.push(Event::StaticHeadersChanged { headers });
    }
    if let Some(history) = &new.history {
        events.push(backfill(history)?);
    }
    Ok(events)
}

fn backfill(wanted: &Backfill) -> Result<Event, Refusal> {
    if wanted.to <= wanted.from {
        return Err(Refusal::EmptySpan);
    }
    Ok(Event::BackfillRequested {
        from: wanted.from,
        to: wanted.to,
        subjects: wanted.subjects.clone(),
    })
}

fn changed(known: &Subscriber, command: &Command) -> Result<Vec<Event>, Refusal> {
    Ok(match command {
        Command::Register(_) => return Err(Refusal::Exists),
        Command::Remove if known.removed => vec![],
        // What would be redriven now could not be sent any more.
        Command::Remove => {
            let cancelled = |batch: &BatchId| Event::BatchCancelled {
                batch: batch.clone(),
            };
            let running = known.batches.keys().map(cancelled);
            running.chain([Event::Removed {}]).collect()
        }
        Command::ChangeEndpoint { .. }
        | Command::ChangeSubscription { .. }
        | Command::ChangePolicy { .. }
        | Command::ChangeHeaders { .. }
        | Command::AddKey { .. }
        | Command::RetireKey { .. }
        | Command::Backfill(_)
        | Command::Pause(_)
        | Command::Resume
        | Command::OpenCircuit { .. }
        | Command::CloseCircuit
        | Command::Test
        | Command::StartBatch(_)
        | Command::FinishBatch { .. }
        | Command::CancelBatch { .. }
            if known.removed =>
        {
            return Err(Refusal::Removed);
        }
        Command::ChangeEndpoint { url } => {
            let event = Event::EndpointChanged { url: url.clone() };
            once(known.url != *url, event)
        }
        Command::ChangeSubscription { wants } => {
            let event = Event::SubscriptionChanged {
                wants: wants.clone(),
            };
            once(known.wants != *wants, event)
        }
        Command::ChangePolicy { policy } => {
            let event = Event::DeliveryPolicyChanged { policy: *policy };
            once(known.policy != *policy, event)
        }
        Command::ChangeHeaders { headers } => {
            let event = Event::StaticHeadersChanged {
                headers: headers.clone(),
            };
            once(known.headers != *headers, event)
        }
        Command::AddKey { key_id, scheme, at } => {
            if known.keys.contains_key(key_id) {
                return Ok(vec![]);
            }
            if known.signing_keys(scheme, Some(*at)) >= KEYS_MAX {
                return Err(Refusal::TooManyKeys);
            }
            vec![Event::SigningKeyAdded {
                key_id: key_id.clone(),
                scheme: scheme.clone(),
            }]
        }
        Command::RetireKey {
            key_id,
            valid_until,
        } => match known.keys.get(key_id) {
            Some(key) if key.valid_until.is_none() => {
                let v1 = KeyScheme::V1 {};
                if key.scheme == v1 && known.signing_keys(&v1, None) == 1 {
                    return Err(Refusal::LastKey);
                }
                vec![Event::SigningKeyRetired {
                    key_id: key_id.clone(),
                    valid_until: *valid_until,
                }]
            }
            Some(_) | None => vec![],
        },
        Command::Backfill(wanted) => vec![backfill(wanted)?],
        Command::Pause(why) => once(known.paused.is_none(), Event::Paused { why: *why }),
        Command::Resume => once(known.paused.is_some(), Event::Resumed {}),
        Command::OpenCircuit { since } => {
            let event = Event::CircuitOpened { since: *since };
            once(known.circuit_open_since.is_none(), event)
        }
        Command::CloseCircuit => once(known.circuit_open_since.is_some(), Event::CircuitClosed {}),
        Command::Test => vec![Event::TestRequested {}],
        Command::StartBatch(batch) => {
            if batch.which.is_empty() {
                return Err(Refusal::EmptyWindow);
            }
            let batch = batch.clone();
            once(
                !known.batches.contains_key(&batch.id),
                Event::BatchRequested { batch },
            )
        }
        Command::FinishBatch {
            batch,
            done,
            skipped,
        } => {
            let event = Event::BatchFinished {
                batch: batch.clone(),
                done: *done,
                skipped: *skipped,
            };
            once(known.batches.contains_key(batch), event)
        }
        Command::CancelBatch { batch } => {
            if !known.batches.contains_key(batch) {
                return Err(Refusal::BatchOver);
            }
            vec![Event::BatchCancelled {
                batch: batch.clone(),
            }]
        }
    })
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
