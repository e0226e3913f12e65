//! What a subscriber wants to hear: which events, and of which scenarios.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::ScenarioId;
use crate::outbound::EventName;

/// One word of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wish {
    /// `ordinary`: everything that needs no naming, also what later versions add to it.
    Ordinary,
    /// This event.
    Named(EventName),
}

impl Wish {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Named(name) => name.as_str(),
        }
    }

    /// From the word. A test event is nobody's wish: it comes when it is asked for.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "ordinary" {
            return Some(Self::Ordinary);
        }
        EventName::parse(text)
            .filter(|name| *name != EventName::DeliveryTest)
            .map(Self::Named)
    }

    /// Every word, for messages.
    pub fn words() -> Vec<&'static str> {
        let names = EventName::ALL.iter().map(|name| name.as_str());
        std::iter::once("ordinary")
            .chain(names)
            .filter(|word| Self::parse(word).is_some())
            .collect()
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Wish {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Wish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("known are {}", Self::words().join(", ")))
        })
    }
}

/// What a subscriber wants to hear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wants {
    /// Which events; never empty.
    pub events: BTreeSet<Wish>,
    /// Only payment requests of these scenarios; absent for all. What belongs to no payment
    /// request is of no scenario, and passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenarios: Option<BTreeSet<ScenarioId>>,
}

impl Default for Wants {
    fn default() -> Self {
        Self {
            events: [Wish::Ordinary].into(),
            scenarios: None,
        }
    }
}

impl Wants {
    /// True when an event of this name and scenario is for this subscriber.
    pub fn takes(&self, name: EventName, scenario: Option<&ScenarioId>) -> bool {
        let named = self.events.contains(&Wish::Named(name))
            || (name.ordinary() && self.events.contains(&Wish::Ordinary));
        let passes = match (&self.scenarios, scenario) {
            (None, _) | (_, None) => true,
            (Some(wanted), Some(scenario)) => wanted.contains(scenario),
        };
        named && passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(words: &[&str]) -> Wants {
        let events = words.iter().map(|word| Wish::parse(word).unwrap());
        Wants {
            events: events.collect(),
            scenarios: None,
        }
    }

    #[test]
    fn ordinary_events_come_unasked_and_the_others_by_name() {
        let usual = Wants::default();
        for name in EventName::ALL {
            assert_eq!(usual.takes(*name, None), name.ordinary(), "{name:?}");
        }
        let both = wants(&["ordinary", "exception_opened"]);
        assert!(both.takes(EventName::PaymentVerified, None));
        assert!(both.takes(EventName::ExceptionOpened, None));
        assert!(!both.takes(EventName::ExceptionResolved, None));
        let one = wants(&["payment_verified"]);
        assert!(one.takes(EventName::PaymentVerified, None));
        assert!(!one.takes(EventName::PaymentReversed, None));
    }

    #[test]
    fn a_scenario_narrows_requests_and_nothing_else() {
        let scenario = |text| ScenarioId::parse(text).unwrap();
        let narrow = Wants {
            scenarios: Some([scenario("web")].into()),
            ..Wants::default()
        };
        let takes = |of: Option<&ScenarioId>| narrow.takes(EventName::PaymentVerified, of);
        assert!(takes(Some(&scenario("web"))) && takes(None));
        assert!(!takes(Some(&scenario("telegram"))));
    }

    #[test]
    fn an_unknown_word_names_the_known_ones() {
        assert_eq!(Wish::parse("payment.verified"), None);
        assert_eq!(Wish::parse("delivery_test"), None);
        let error = serde_json::from_str::<Wish>("\"all\"").unwrap_err();
        assert!(
            error.to_string().contains("ordinary, payment_verified"),
            "{error}"
        );
        for word in Wish::words() {
            assert_eq!(Wish::parse(word).unwrap().as_str(), word);
        }
    }
}
