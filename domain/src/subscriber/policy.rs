//! How fast and how strictly a subscriber is served.

use serde::{Deserialize, Serialize};

use crate::delivery::schedule::{REFUSED_TRIES, STEPS_S};

/// Most requests at once that a subscriber may be set to.
pub const IN_FLIGHT_MAX: u16 = 64;
/// Most requests per second that a subscriber may be set to.
pub const PER_SECOND_MAX: u32 = 10_000;

/// How a subscriber is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryPolicy {
    /// Requests at once, 1 to [`IN_FLIGHT_MAX`].
    pub max_in_flight: u16,
    /// Requests per second on average, 1 to [`PER_SECOND_MAX`].
    pub per_second: u32,
    /// Requests that may go out at once after a quiet time, 1 to [`PER_SECOND_MAX`].
    pub burst: u32,
    /// Everything in the order of the log, one at a time: one delivery that does not arrive holds
    /// up all that follow. For receivers that can do nothing else.
    pub strict_fifo: bool,
    /// Tries of what the receiver refuses (4xx other than 408, 410, 425, 429), 1 to 13.
    pub refused_tries: u32,
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self {
            max_in_flight: 4,
            per_second: 50,
            burst: 50,
            strict_fifo: false,
            refused_tries: REFUSED_TRIES,
        }
    }
}

impl DeliveryPolicy {
    /// What is wrong with it, by field.
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let tries_max = u32::try_from(STEPS_S.len()).unwrap_or(u32::MAX);
        let mut found = vec![];
        let mut within = |field, value: u32, most: u32| {
            if value < 1 || value > most {
                found.push((field, format!("must be 1 to {most}")));
            }
        };
        within(
            "max_in_flight",
            self.max_in_flight.into(),
            IN_FLIGHT_MAX.into(),
        );
        within("per_second", self.per_second, PER_SECOND_MAX);
        within("burst", self.burst, PER_SECOND_MAX);
        within("refused_tries", self.refused_tries, tries_max);
        found
    }

    /// Requests at once, with strict order taken into account.
    pub fn places(&self) -> usize {
        if self.strict_fifo {
            1
        } else {
            self.max_in_flight.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_within_its_bounds() {
        assert!(DeliveryPolicy::default().mistakes().is_empty());
        let nothing = DeliveryPolicy {
            max_in_flight: 0,
            per_second: 0,
            burst: 0,
            refused_tries: 14,
            ..DeliveryPolicy::default()
        };
        let fields: Vec<_> = nothing
            .mistakes()
            .into_iter()
            .map(|(field, _)| field)
            .collect();
        assert_eq!(
            fields,
            ["max_in_flight", "per_second", "burst", "refused_tries"]
        );
    }

    #[test]
    fn strict_order_leaves_one_place() {
        let strict = DeliveryPolicy {
            strict_fifo: true,
            ..DeliveryPolicy::default()
        };
        assert_eq!(
            (strict.places(), DeliveryPolicy::default().places()),
            (1, 4)
        );
    }

    #[test]
    fn members_that_are_left_out_have_their_usual_values() {
        let read: DeliveryPolicy = serde_json::from_str(r#"{"per_second": 2}"#).unwrap();
        assert_eq!(read.per_second, 2);
        assert_eq!(read.max_in_flight, DeliveryPolicy::default().max_in_flight);
        assert!(serde_json::from_str::<DeliveryPolicy>(r#"{"per_minute": 2}"#).is_err());
    }
}
