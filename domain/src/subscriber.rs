//! A subscriber: who hears of events, where, and since when. Stream `subscriber-<id>`. Which events
//! it gets follows from the log alone: it was registered before them, and it wants their type.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::codec::DomainEvent;
use crate::ids::{KeyId, MerchantId, SubscriberId};
use crate::time::Timestamp;

/// The events of a subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// It exists, and gets what happens from here on.
    #[serde(rename = "SubscriberRegistered")]
    Registered {
        /// The subscriber.
        id: SubscriberId,
        /// Its merchant.
        merchant: MerchantId,
        /// Where events are sent.
        url: String,
        /// Opt-in event types besides those that everybody gets.
        #[serde(default)]
        opt_in: BTreeSet<String>,
    },
    /// It moved.
    #[serde(rename = "EndpointChanged")]
    EndpointChanged {
        /// Where events are sent from here on.
        url: String,
    },
    /// It wants other opt-in types from here on.
    #[serde(rename = "SubscriptionChanged")]
    SubscriptionChanged {
        /// The types.
        opt_in: BTreeSet<String>,
    },
    /// A signing key is in use. The key itself is in the keyring.
    #[serde(rename = "SigningKeyAdded")]
    SigningKeyAdded {
        /// Its name.
        key_id: KeyId,
    },
    /// A signing key is being exchanged for another.
    #[serde(rename = "SigningKeyRetired")]
    SigningKeyRetired {
        /// Its name.
        key_id: KeyId,
        /// It signs beside the new one until then.
        valid_until: Timestamp,
    },
    /// Deliveries wait.
    #[serde(rename = "SubscriberPaused")]
    Paused {
        /// Who or what: `operator`, `gone` (it answered 410).
        why: PausedWhy,
    },
    /// Deliveries go on.
    #[serde(rename = "SubscriberResumed")]
    Resumed {},
    /// Somebody wants to see a test event arrive.
    #[serde(rename = "SubscriberTestRequested")]
    TestRequested {},
    /// It gets nothing any more.
    #[serde(rename = "SubscriberRemoved")]
    Removed {},
}

/// Why deliveries wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PausedWhy {
    /// A person said so.
    #[serde(rename = "operator")]
    Operator,
    /// It answered 410 Gone.
    #[serde(rename = "gone")]
    Gone,
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("SubscriberRegistered", 1),
        ("EndpointChanged", 1),
        ("SubscriptionChanged", 1),
        ("SigningKeyAdded", 1),
        ("SigningKeyRetired", 1),
        ("SubscriberPaused", 1),
        ("SubscriberResumed", 1),
        ("SubscriberTestRequested", 1),
        ("SubscriberRemoved", 1),
    ];
}

/// An order to a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make it.
    Register {
        /// The subscriber.
        id: SubscriberId,
        /// Its merchant.
        merchant: MerchantId,
        /// Where events are sent.
        url: String,
        /// Opt-in event types.
        opt_in: BTreeSet<String>,
        /// Name of its first signing key.
        key_id: KeyId,
    },
    /// Move it.
    ChangeEndpoint {
        /// Where events are sent from here on.
        url: String,
    },
    /// Use a further signing key.
    AddKey {
        /// Its name.
        key_id: KeyId,
    },
    /// Stop using a signing key when another has taken its place.
    RetireKey {
        /// Its name.
        key_id: KeyId,
        /// It signs beside the new one until then.
        valid_until: Timestamp,
    },
    /// Let deliveries wait.
    Pause(PausedWhy),
    /// Let them go on.
    Resume,
    /// Send a test event.
    Test,
    /// End it.
    Remove,
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
}

/// A subscriber, folded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriber {
    /// The subscriber.
    pub id: SubscriberId,
    /// Its merchant.
    pub merchant: MerchantId,
    /// Where events are sent.
    pub url: String,
    /// Opt-in event types.
    pub opt_in: BTreeSet<String>,
    /// Names of its signing keys; one that is being exchanged has left.
    pub keys: BTreeSet<KeyId>,
    /// Deliveries wait.
    pub paused: Option<PausedWhy>,
    /// It gets nothing any more.
    pub removed: bool,
}

/// Folds one event.
pub fn evolve(subscriber: Option<Subscriber>, event: &Event) -> Option<Subscriber> {
    let Some(mut known) = subscriber else {
        return match event {
            Event::Registered {
                id,
                merchant,
                url,
                opt_in,
            } => Some(Subscriber {
                id: id.clone(),
                merchant: merchant.clone(),
                url: url.clone(),
                opt_in: opt_in.clone(),
                keys: BTreeSet::new(),
                paused: None,
                removed: false,
            }),
            Event::EndpointChanged { .. }
            | Event::SubscriptionChanged { .. }
            | Event::SigningKeyAdded { .. }
            | Event::SigningKeyRetired { .. }
            | Event::Paused { .. }
            | Event::Resumed {}
            | Event::TestRequested {}
            | Event::Removed {} => None,
        };
    };
    match event {
        Event::Registered { .. } | Event::TestRequested {} => {}
        Event::EndpointChanged { url } => known.url = url.clone(),
        Event::SubscriptionChanged { opt_in } => known.opt_in = opt_in.clone(),
        Event::SigningKeyAdded { key_id } => {
            known.keys.insert(key_id.clone());
        }
        Event::SigningKeyRetired { key_id, .. } => {
            known.keys.remove(key_id);
        }
        Event::Paused { why } => known.paused = Some(*why),
        Event::Resumed {} => known.paused = None,
        Event::Removed {} => known.removed = true,
    }
    Some(known)
}

/// Events that follow from `command`; none when it is already so.
///
/// # Errors
/// [`Refusal`].
pub fn decide(subscriber: Option<&Subscriber>, command: &Command) -> Result<Vec<Event>, Refusal> {
    let Some(known) = subscriber else {
        return match command {
            Command::Register {
                id,
                merchant,
                url,
                opt_in,
                key_id,
            } => Ok(vec![
                Event::Registered {
                    id: id.clone(),
                    merchant: merchant.clone(),
                    url: url.clone(),
                    opt_in: opt_in.clone(),
                },
                Event::SigningKeyAdded {
                    key_id: key_id.clone(),
                },
            ]),
            Command::ChangeEndpoint { .. }
            | Command::AddKey { .. }
            | Command::RetireKey { .. }
            | Command::Pause(_)
            | Command::Resume
            | Command::Test
            | Command::Remove => Err(Refusal::Unknown),
        };
    };
    let once = |needed: bool, event: Event| Ok(if needed { vec![event] } else { vec![] });
    match command {
        Command::Register { .. } => Err(Refusal::Exists),
        Command::Remove => once(!known.removed, Event::Removed {}),
        Command::ChangeEndpoint { .. }
        | Command::AddKey { .. }
        | Command::RetireKey { .. }
        | Command::Pause(_)
        | Command::Resume
        | Command::Test
            if known.removed =>
        {
            Err(Refusal::Removed)
        }
        Command::ChangeEndpoint { url } => once(
            known.url != *url,
            Event::EndpointChanged { url: url.clone() },
        ),
        Command::AddKey { key_id } => once(
            !known.keys.contains(key_id),
            Event::SigningKeyAdded {
                key_id: key_id.clone(),
            },
        ),
        Command::RetireKey {
            key_id,
            valid_until,
        } => once(
            known.keys.contains(key_id),
            Event::SigningKeyRetired {
                key_id: key_id.clone(),
                valid_until: *valid_until,
            },
        ),
        Command::Pause(why) => once(known.paused.is_none(), Event::Paused { why: *why }),
        Command::Resume => once(known.paused.is_some(), Event::Resumed {}),
        Command::Test => Ok(vec![Event::TestRequested {}]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register() -> Command {
        Command::Register {
            id: SubscriberId::parse("crm").unwrap(),
            merchant: MerchantId::parse("shop").unwrap(),
            url: "https://crm.example/hook".into(),
            opt_in: BTreeSet::new(),
            key_id: KeyId::parse("k1").unwrap(),
        }
    }

    fn given(commands: &[Command]) -> Option<Subscriber> {
        commands.iter().fold(None, |state, command| {
            decide(state.as_ref(), command)
                .unwrap()
                .iter()
                .fold(state, evolve)
        })
    }

    #[test]
    fn a_pause_is_one_event_and_resuming_ends_it() {
        let paused = [register(), Command::Pause(PausedWhy::Gone)];
        assert_eq!(
            decide(
                given(&paused).as_ref(),
                &Command::Pause(PausedWhy::Operator)
            ),
            Ok(vec![])
        );
        assert_eq!(
            decide(given(&paused).as_ref(), &Command::Resume)
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            decide(given(&[register()]).as_ref(), &Command::Resume),
            Ok(vec![])
        );
    }

    #[test]
    fn a_key_is_added_and_retired_once() {
        let key_id = KeyId::parse("k2").unwrap();
        let add = Command::AddKey { key_id };
        let valid_until = Timestamp::from_seconds(9);
        let key_id = KeyId::parse("k1").unwrap();
        let retire = Command::RetireKey {
            key_id,
            valid_until,
        };
        let exchanged = given(&[register(), add.clone(), retire.clone()]);
        assert_eq!(decide(exchanged.as_ref(), &add), Ok(vec![]));
        assert_eq!(decide(exchanged.as_ref(), &retire), Ok(vec![]));
        let keys = exchanged.unwrap().keys;
        assert_eq!(
            keys.into_iter().collect::<Vec<_>>(),
            [KeyId::parse("k2").unwrap()]
        );
    }

    #[test]
    fn a_removed_subscriber_is_gone_for_good() {
        let gone = given(&[register(), Command::Remove]);
        assert_eq!(decide(gone.as_ref(), &Command::Test), Err(Refusal::Removed));
        assert_eq!(decide(gone.as_ref(), &Command::Remove), Ok(vec![]));
        assert_eq!(decide(gone.as_ref(), &register()), Err(Refusal::Exists));
        assert_eq!(decide(None, &Command::Test), Err(Refusal::Unknown));
    }
}
