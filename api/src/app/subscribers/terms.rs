//! What may be said of a subscriber when it is made or changed.

use std::collections::BTreeSet;

use domain::ids::{ScenarioId, SubscriberId};
use domain::ports::Destinations;
use domain::subscriber::{
    Backfill, Command, DeliveryPolicy, StaticHeaders, Subscriber, Wants, Wish,
};
use serde::{Deserialize, Deserializer, Serialize};

/// How it gets its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// They are sent to this URL, and it may fetch them as well.
    Push(String),
    /// It fetches them, and nothing is sent.
    Pull,
}

impl Destination {
    pub(super) fn url(&self) -> Option<String> {
        match self {
            Self::Push(url) => Some(url.clone()),
            Self::Pull => None,
        }
    }

    fn mistakes(&self, may: &dyn Destinations) -> Vec<(&'static str, String)> {
        match self {
            Self::Push(url) => url_mistake(may, url),
            Self::Pull => vec![],
        }
    }
}

/// A subscriber to be made.
#[derive(Debug, Clone)]
pub struct NewSubscriber {
    /// Its name.
    pub id: SubscriberId,
    /// How it gets its events.
    pub to: Destination,
    /// What it hears.
    pub wants: Wants,
    /// How it is served.
    pub policy: DeliveryPolicy,
    /// What its requests carry besides.
    pub headers: StaticHeaders,
    /// What happened before and shall be sent too.
    pub history: Option<Backfill>,
}

impl NewSubscriber {
    /// One with the usual settings to which events are sent.
    pub fn usual(id: SubscriberId, url: impl Into<String>) -> Self {
        Self::to(id, Destination::Push(url.into()))
    }

    /// One with the usual settings.
    pub fn to(id: SubscriberId, to: Destination) -> Self {
        Self {
            id,
            to,
            wants: Wants::default(),
            policy: DeliveryPolicy::default(),
            headers: StaticHeaders::default(),
            history: None,
        }
    }

    /// What is wrong with it, by field.
    pub fn mistakes(&self, may: &dyn Destinations) -> Vec<(&'static str, String)> {
        let mut found = self.to.mistakes(may);
        found.extend(wants_mistakes(&self.wants));
        found.extend(self.policy.mistakes());
        found
    }
}

/// What is to be different; what is `None` stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SubscriberChange {
    /// How it gets its events.
    pub to: Option<Destination>,
    /// Which events it hears.
    pub events: Option<BTreeSet<Wish>>,
    /// Which scenarios; inside, `None` for all.
    #[serde(
        default,
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    pub scenarios: Option<Option<BTreeSet<ScenarioId>>>,
    /// How it is served.
    pub policy: PolicyChange,
    /// All the headers that it wants.
    pub headers: Option<StaticHeaders>,
}

/// A member that is there, were it null: of all scenarios is not the same as of those before.
fn named<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// The members of a policy that are to be different.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyChange {
    /// As [`DeliveryPolicy::max_in_flight`].
    pub max_in_flight: Option<u16>,
    /// As [`DeliveryPolicy::per_second`].
    pub per_second: Option<u32>,
    /// As [`DeliveryPolicy::burst`].
    pub burst: Option<u32>,
    /// As [`DeliveryPolicy::strict_fifo`].
    pub strict_fifo: Option<bool>,
    /// As [`DeliveryPolicy::refused_tries`].
    pub refused_tries: Option<u32>,
}

impl PolicyChange {
    /// The policy with these members in it.
    #[must_use]
    pub fn applied_to(self, policy: DeliveryPolicy) -> DeliveryPolicy {
        DeliveryPolicy {
            max_in_flight: self.max_in_flight.unwrap_or(policy.max_in_flight),
            per_second: self.per_second.unwrap_or(policy.per_second),
            burst: self.burst.unwrap_or(policy.burst),
            strict_fifo: self.strict_fifo.unwrap_or(policy.strict_fifo),
            refused_tries: self.refused_tries.unwrap_or(policy.refused_tries),
        }
    }
}

impl SubscriberChange {
    /// What is wrong with it, by field, whatever the subscriber is like now.
    pub fn mistakes(&self, may: &dyn Destinations) -> Vec<(&'static str, String)> {
        let to = self.to.as_ref();
        let mut found = to.map(|to| to.mistakes(may)).unwrap_or_default();
        found.extend(wants_mistakes(&Wants {
            events: self.events.clone().unwrap_or(Wants::default().events),
            scenarios: self.scenarios.clone().flatten(),
        }));
        found.extend(self.policy.applied_to(DeliveryPolicy::default()).mistakes());
        found
    }

    /// The orders that make `known` so.
    pub(super) fn commands(&self, known: &Subscriber) -> Vec<Command> {
        let wants = Wants {
            events: self
                .events
                .clone()
                .unwrap_or_else(|| known.wants.events.clone()),
            scenarios: self
                .scenarios
                .clone()
                .unwrap_or_else(|| known.wants.scenarios.clone()),
        };
        let policy = self.policy.applied_to(known.policy);
        let to = self.to.as_ref().map(Destination::url);
        let headers = self.headers.clone();
        to.map(|url| Command::ChangeEndpoint { url })
            .into_iter()
            .chain([
                Command::ChangeSubscription { wants },
                Command::ChangePolicy { policy },
            ])
            .chain(headers.map(|headers| Command::ChangeHeaders { headers }))
            .collect()
    }
}

fn url_mistake(may: &dyn Destinations, url: &str) -> Vec<(&'static str, String)> {
    let judged = may.receiver(url);
    judged
        .err()
        .map(|why| ("url", why.to_string()))
        .into_iter()
        .collect()
}

fn wants_mistakes(wants: &Wants) -> Vec<(&'static str, String)> {
    let mut found = vec![];
    if wants.events.is_empty() {
        let known = Wish::words().join(", ");
        found.push(("events", format!("must name one at least of {known}")));
    }
    if wants.scenarios.as_ref().is_some_and(BTreeSet::is_empty) {
        let what = "must name one at least; leave it out for all".to_owned();
        found.push(("scenarios", what));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_the_same_after_its_way_to_the_server() {
        let telegram = BTreeSet::from([ScenarioId::parse("telegram").unwrap()]);
        for scenarios in [None, Some(None), Some(Some(telegram))] {
            let change = SubscriberChange {
                scenarios: scenarios.clone(),
                to: Some(Destination::Pull),
                ..SubscriberChange::default()
            };
            let text = serde_json::to_string(&change).unwrap();
            let read: SubscriberChange = serde_json::from_str(&text).unwrap();
            assert_eq!((read.scenarios, read.to), (scenarios, change.to), "{text}");
        }
    }
}
