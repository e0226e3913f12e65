//! One authenticated provider notification and what became of it. Stream
//! `notification-<HMAC of the signed bytes>`, so a byte-identical repeat meets its own stream. A
//! notification that is not authentic is never an event: anybody could fill the log.

use serde::{Deserialize, Serialize};

use crate::codec::DomainEvent;
use crate::digest::InstanceKey;
use crate::ids::{AccountSlug, KeyId, PaymentRequestId, ProviderCode};
use crate::payment::Outcome;
use crate::payment::fact::Observation;
use crate::stream::StreamId;
use crate::time::Timestamp;

/// The events of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// It came, was authentic, and its bytes are sealed.
    #[serde(rename = "NotificationReceived")]
    Received {
        /// What it says.
        observation: Observation,
        /// How it was authenticated.
        scheme: String,
        /// With which key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<KeyId>,
    },
    /// It was looked at. *Parked* and *look_up* may be followed by another.
    #[serde(rename = "NotificationApplied")]
    Applied {
        /// What became of it.
        outcome: Outcome,
        /// About which request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<PaymentRequestId>,
        /// A word on why, where the outcome does not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] =
        &[("NotificationReceived", 1), ("NotificationApplied", 1)];
}

/// The stream of the notification with these signed bytes.
pub fn stream_of(
    key: &InstanceKey,
    provider: &ProviderCode,
    account: &AccountSlug,
    signed_bytes: &[u8],
) -> StreamId {
    let parts = [
        provider.as_str().as_bytes(),
        account.as_str().as_bytes(),
        signed_bytes,
    ];
    StreamId::notification(&key.digest("notification", &parts))
}

/// A notification, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// What it says.
    pub observation: Observation,
    /// What became of it so far.
    pub outcome: Option<Outcome>,
}

impl Notification {
    /// True when nothing more is to be done.
    pub fn settled(&self) -> bool {
        match self.outcome {
            None | Some(Outcome::Parked) => false,
            Some(
                Outcome::Applied
                | Outcome::Duplicate
                | Outcome::Stale
                | Outcome::Refused
                | Outcome::Unmatched
                | Outcome::LookUp,
            ) => true,
        }
    }
}

/// Folds one event. `None` only before the first one.
pub fn evolve(notification: Option<Notification>, event: &Event) -> Option<Notification> {
    match (notification, event) {
        (None, Event::Received { observation, .. }) => Some(Notification {
            observation: observation.clone(),
            outcome: None,
        }),
        (None, Event::Applied { .. }) => None,
        (Some(known), Event::Received { .. }) => Some(known),
        (Some(known), Event::Applied { outcome, .. }) => Some(Notification {
            outcome: Some(*outcome),
            ..known
        }),
    }
}

/// What to append after looking at a notification: nothing when it is settled, or when it is still
/// parked.
pub fn settle(
    notification: &Notification,
    outcome: Outcome,
    request: Option<PaymentRequestId>,
    why: Option<String>,
) -> Option<Event> {
    let news = !notification.settled() && notification.outcome != Some(outcome);
    news.then_some(Event::Applied {
        outcome,
        request,
        why,
    })
}

/// How long a notification that nothing explains waits before it counts as unmatched (row C5).
pub const PARKED_FOR: std::time::Duration = std::time::Duration::from_secs(15 * 60);

/// True when a parked notification has waited long enough.
pub fn waited_long_enough(notification: &Notification, now: Timestamp) -> bool {
    now.since(notification.observation.received_at) >= PARKED_FOR
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest32;
    use crate::payment::evidence::EvidenceClass;
    use crate::sealed::Commitment;

    fn received() -> Notification {
        let observation = Observation {
            provider: ProviderCode::parse("sim").unwrap(),
            account: AccountSlug::parse("sim-main").unwrap(),
            class: EvidenceClass::Signed,
            facts: vec![],
            commitment: Commitment(Digest32([0; 32])),
            received_at: Timestamp::from_seconds(1000),
        };
        let event = Event::Received {
            observation,
            scheme: "standard-webhooks".into(),
            key_id: None,
        };
        evolve(None, &event).unwrap()
    }

    #[test]
    fn a_parked_notification_may_be_applied_later_c5() {
        let parked = settle(&received(), Outcome::Parked, None, None).unwrap();
        let parked = evolve(Some(received()), &parked).unwrap();
        assert!(!parked.settled());
        assert_eq!(settle(&parked, Outcome::Parked, None, None), None);
        let applied = evolve(
            Some(parked.clone()),
            &settle(&parked, Outcome::Applied, None, None).unwrap(),
        )
        .unwrap();
        assert!(applied.settled());
        assert_eq!(settle(&applied, Outcome::Stale, None, None), None);
    }

    #[test]
    fn a_parked_notification_waits_fifteen_minutes_g1() {
        assert!(!waited_long_enough(
            &received(),
            Timestamp::from_seconds(1899)
        ));
        assert!(waited_long_enough(
            &received(),
            Timestamp::from_seconds(1900)
        ));
    }

    #[test]
    fn equal_bytes_meet_their_own_stream_g8() {
        let key = InstanceKey::new([1; 32]);
        let name = |provider: &str, bytes: &[u8]| {
            let (provider, account) = (
                ProviderCode::parse(provider).unwrap(),
                AccountSlug::parse("a").unwrap(),
            );
            stream_of(&key, &provider, &account, bytes)
        };
        assert_eq!(name("sim", b"x"), name("sim", b"x"));
        assert_ne!(name("sim", b"x"), name("sim", b"y"));
        assert_ne!(name("sim", b"x"), name("other", b"x"));
    }
}
