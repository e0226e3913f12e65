//! A subscriber: who hears of events, where, and since when. Stream `subscriber-<id>`. Which events
//! it gets follows from the log alone: it was registered before them, and it wanted them when they
//! happened. A later change neither makes nor deletes history; a backfill does so on purpose.

mod batch;
mod decide;
mod event;
mod headers;
mod policy;
mod wants;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::batch::{BatchOrder, DeliveryBatch, FailedFilter};
pub use self::decide::{Backfill, Command, KEYS_MAX, Refusal, Registration, decide};
pub use self::event::{Event, KeyScheme, PausedWhy};
pub use self::headers::{BadHeader, StaticHeaders};
pub use self::policy::{DeliveryPolicy, IN_FLIGHT_MAX, PER_SECOND_MAX};
pub use self::wants::{Wants, Wish};
use crate::ids::{BatchId, KeyId, MerchantId, SubscriberId};
use crate::time::Timestamp;

/// A subscriber, folded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriber {
    /// The subscriber.
    pub id: SubscriberId,
    /// Its merchant.
    pub merchant: MerchantId,
    /// Where events are sent; absent where they are only fetched.
    pub url: Option<String>,
    /// What it hears.
    pub wants: Wants,
    /// How it is served.
    pub policy: DeliveryPolicy,
    /// What its requests carry besides.
    pub headers: StaticHeaders,
    /// Its signing keys, also those that are being exchanged.
    pub keys: BTreeMap<KeyId, SigningKey>,
    /// Deliveries wait.
    pub paused: Option<PausedWhy>,
    /// It is left alone since then.
    pub circuit_open_since: Option<Timestamp>,
    /// What people ordered about its failed deliveries, and is under way.
    pub batches: BTreeMap<BatchId, DeliveryBatch>,
    /// It gets nothing any more.
    pub removed: bool,
}

/// One signing key, as far as the log knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// How it signs.
    pub scheme: KeyScheme,
    /// It signs until then; absent while it is not being exchanged.
    pub valid_until: Option<Timestamp>,
}

impl Subscriber {
    /// Whether its receiver may fetch events now. One that answered 410 is still welcome to; a pause by
    /// a person holds in both directions.
    ///
    /// # Errors
    /// [`Refusal::Paused`].
    pub fn may_pull(&self) -> Result<(), Refusal> {
        match self.paused {
            Some(PausedWhy::Operator) => Err(Refusal::Paused),
            Some(PausedWhy::Gone) | None => Ok(()),
        }
    }

    /// Keys of this kind that are not being exchanged, and those that still sign after `at`.
    fn signing_keys(&self, scheme: &KeyScheme, at: Option<Timestamp>) -> usize {
        let signs = |key: &&SigningKey| match (key.valid_until, at) {
            (None, _) => true,
            (Some(until), Some(at)) => until > at,
            (Some(_), None) => false,
        };
        let kind = std::mem::discriminant(scheme);
        let same = |key: &&SigningKey| std::mem::discriminant(&key.scheme) == kind;
        self.keys.values().filter(signs).filter(same).count()
    }
}

/// Folds one event.
pub fn evolve(subscriber: Option<Subscriber>, event: &Event) -> Option<Subscriber> {
    let Some(mut known) = subscriber else {
        return born(event);
    };
    match event {
        // A part of history is queued by the view, a test event as well.
        Event::Registered { .. } | Event::TestRequested {} | Event::BackfillRequested { .. } => {}
        Event::EndpointChanged { url } => known.url = url.clone(),
        Event::SubscriptionChanged { wants } => known.wants = wants.clone(),
        Event::DeliveryPolicyChanged { policy } => known.policy = *policy,
        Event::StaticHeadersChanged { headers } => known.headers = headers.clone(),
        Event::SigningKeyAdded { key_id, scheme } => {
            let key = SigningKey {
                scheme: scheme.clone(),
                valid_until: None,
            };
            known.keys.insert(key_id.clone(), key);
        }
        Event::SigningKeyRetired {
            key_id,
            valid_until,
        } => {
            if let Some(key) = known.keys.get_mut(key_id) {
                key.valid_until = Some(*valid_until);
            }
        }
        Event::Paused { why } => known.paused = Some(*why),
        Event::Resumed {} => known.paused = None,
        Event::CircuitOpened { since } => known.circuit_open_since = Some(*since),
        Event::CircuitClosed {} => known.circuit_open_since = None,
        Event::BatchRequested { batch } => {
            known.batches.insert(batch.id.clone(), batch.clone());
        }
        Event::BatchFinished { batch, .. } | Event::BatchCancelled { batch } => {
            known.batches.remove(batch);
        }
        Event::Removed {} => known.removed = true,
    }
    Some(known)
}

fn born(event: &Event) -> Option<Subscriber> {
    match event {
        Event::Registered {
            id,
            merchant,
            url,
            wants,
        } => Some(Subscriber {
            id: id.clone(),
            merchant: merchant.clone(),
            url: url.clone(),
            wants: wants.clone(),
            policy: DeliveryPolicy::default(),
            headers: StaticHeaders::default(),
            keys: BTreeMap::new(),
            paused: None,
            circuit_open_since: None,
            batches: BTreeMap::new(),
            removed: false,
        }),
        Event::EndpointChanged { .. }
        | Event::SubscriptionChanged { .. }
        | Event::DeliveryPolicyChanged { .. }
        | Event::StaticHeadersChanged { .. }
        | Event::SigningKeyAdded { .. }
        | Event::SigningKeyRetired { .. }
        | Event::BackfillRequested { .. }
        | Event::Paused { .. }
        | Event::Resumed {}
        | Event::CircuitOpened { .. }
        | Event::CircuitClosed {}
        | Event::TestRequested {}
        | Event::BatchRequested { .. }
        | Event::BatchFinished { .. }
        | Event::BatchCancelled { .. }
        | Event::Removed {} => None,
    }
}
