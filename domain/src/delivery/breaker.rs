//! When a subscriber is left alone for a while: a fold over the outcomes of its tries, so that it
//! survives a restart and comes out of a rebuild as it went in.
//!
//! While it is open, one delivery probes at a time and the others wait without burning steps of
//! their schedules. The view of deliveries keeps it per subscriber; the dispatcher only reads it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{DeadReason, Event, FailureClass};
use crate::ids::DeliveryId;
use crate::time::Timestamp;

/// So many failed tries in a row, of two deliveries at least, open it. One message that a receiver
/// cannot digest never does.
pub const FAILURES_MAX: u32 = 5;
/// The first probe comes so long after the last failure.
pub const PROBE_FIRST: Duration = Duration::from_secs(30);
/// Later ones come in twice the time each, up to this.
pub const PROBE_MAX: Duration = Duration::from_secs(300);

/// The breaker of one subscriber. Closed at first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Failed tries since the last success, while it is closed.
    failures: u32,
    /// Whose the first of them was.
    first: Option<DeliveryId>,
    /// True when another delivery failed as well.
    several: bool,
    open: Option<Open>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    since: Timestamp,
    /// Failed probes so far.
    probes: u32,
    failed_at: Timestamp,
}

impl Breaker {
    /// When the next probe is due; `None` while it is closed and every delivery may go out.
    pub fn probe_at(&self) -> Option<Timestamp> {
        let open = self.open.as_ref()?;
        let doubled = PROBE_FIRST.saturating_mul(1 << open.probes.min(16));
        Some(open.failed_at.plus(doubled.min(PROBE_MAX)))
    }

    /// Since when it is open.
    pub fn open_since(&self) -> Option<Timestamp> {
        self.open.as_ref().map(|open| open.since)
    }

    /// Failed tries since the last success; 0 once it is open.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Takes in what became of `delivery`, recorded at `at`. What is our own fault (no key, an
    /// address that may not be called) says nothing about the receiver.
    #[must_use]
    pub fn after(self, delivery: &DeliveryId, event: &Event, at: Timestamp) -> Self {
        match event {
            Event::Succeeded { .. } => Self::default(),
            Event::AttemptFailed {
                class: FailureClass::NoKey,
                ..
            }
            | Event::DeadLettered {
                reason: DeadReason::Gone | DeadReason::Blocked | DeadReason::MaxAge,
                ..
            }
            | Event::Quarantined { .. }
            | Event::Redriven { .. }
            | Event::Abandoned { .. }
            | Event::AcknowledgedByPull { .. } => self,
            Event::AttemptFailed {
                class:
                    FailureClass::Timeout
                    | FailureClass::Connect
                    | FailureClass::Dns
                    | FailureClass::Tls
                    | FailureClass::Refused
                    | FailureClass::ServerError
                    | FailureClass::Throttled
                    | FailureClass::Redirect,
                ..
            }
            | Event::DeadLettered {
                reason: DeadReason::ScheduleExhausted | DeadReason::Rejected,
                ..
            } => self.failed(delivery, at),
        }
    }

    fn failed(mut self, delivery: &DeliveryId, at: Timestamp) -> Self {
        let due = self.probe_at();
        if let (Some(open), Some(due)) = (&mut self.open, due) {
            // What was under way when it opened is no probe.
            open.probes += u32::from(at >= due);
            open.failed_at = open.failed_at.max(at);
            return self;
        }
        self.failures += 1;
        self.several |= self.first.as_ref().is_some_and(|first| first != delivery);
        self.first.get_or_insert_with(|| delivery.clone());
        if self.failures >= FAILURES_MAX && self.several {
            return Self {
                open: Some(Open {
                    since: at,
                    probes: 0,
                    failed_at: at,
                }),
                ..Self::default()
            };
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delivery::event::Pair;
    use crate::delivery::id::delivery_id;
    use crate::digest::Digest32;
    use crate::ids::{EventId, SubscriberId};

    fn pair(number: u8) -> Pair {
        Pair {
            subscriber: SubscriberId::parse("crm").unwrap(),
            event_id: EventId::from_parts(1, [number; 10]),
        }
    }

    fn failure(number: u8, class: FailureClass) -> Event {
        let next_try_at = Timestamp::from_seconds(0);
        Event::AttemptFailed {
            of: pair(number),
            attempt_no: 1,
            generation: 1,
            class,
            http_status: None,
            next_try_at,
            tried: None,
        }
    }

    fn success(number: u8) -> Event {
        Event::Succeeded {
            of: pair(number),
            attempt_no: 1,
            generation: 1,
            http_status: 200,
            latency_ms: 1,
            body_sha256: Digest32([0; 32]),
            key_ids: vec![],
            sent_at: Timestamp::from_seconds(0),
            receiver_ref: None,
            endpoint_url_sha256: None,
        }
    }

    fn after(breaker: Breaker, number: u8, event: &Event, seconds: i64) -> Breaker {
        let pair = pair(number);
        breaker.after(
            &delivery_id(&pair.subscriber, pair.event_id),
            event,
            Timestamp::from_seconds(seconds),
        )
    }

    fn fails(breaker: Breaker, numbers: &[u8], seconds: i64) -> Breaker {
        numbers.iter().fold(breaker, |breaker, number| {
            after(
                breaker,
                *number,
                &failure(*number, FailureClass::ServerError),
                seconds,
            )
        })
    }

    #[test]
    fn five_failures_of_two_deliveries_open_it_and_one_success_closes_it() {
        assert_eq!(
            fails(Breaker::default(), &[1, 2, 1, 2], 100).probe_at(),
            None
        );
        let open = fails(Breaker::default(), &[1, 2, 1, 2, 1], 100);
        assert_eq!(open.open_since(), Some(Timestamp::from_seconds(100)));
        assert_eq!(open.probe_at(), Some(Timestamp::from_seconds(130)));
        assert_eq!(after(open, 2, &success(2), 131), Breaker::default());
    }

    #[test]
    fn one_bad_message_never_opens_it() {
        assert_eq!(fails(Breaker::default(), &[1; 40], 100).probe_at(), None);
    }

    #[test]
    fn probes_come_ever_later_up_to_five_minutes() {
        let mut breaker = fails(Breaker::default(), &[1, 2, 1, 2, 1], 0);
        let mut waits = vec![];
        for _ in 0..6 {
            let due = breaker.probe_at().unwrap();
            let failed = due.seconds();
            breaker = fails(breaker, &[1], failed);
            waits.push(breaker.probe_at().unwrap().seconds() - failed);
        }
        assert_eq!(waits, [60, 120, 240, 300, 300, 300]);
    }

    #[test]
    fn what_was_under_way_when_it_opened_is_no_probe() {
        let open = fails(Breaker::default(), &[1, 2, 3, 4, 5], 100);
        let later = fails(open, &[6, 7, 8], 110);
        assert_eq!(later.probe_at(), Some(Timestamp::from_seconds(140)));
    }

    #[test]
    fn our_own_faults_say_nothing_about_the_receiver() {
        let mut breaker = Breaker::default();
        for number in 0..20 {
            breaker = after(breaker, number, &failure(number, FailureClass::NoKey), 100);
        }
        assert_eq!(breaker, Breaker::default());
    }

    proptest! {
        #[test]
        fn a_success_closes_it_after_any_history(history in prop::collection::vec((0u8..4, any::<bool>()), 0..60)) {
            let mut breaker = Breaker::default();
            let mut in_a_row = vec![];
            for (second, (number, fine)) in history.into_iter().enumerate() {
                let event = if fine { success(number) } else { failure(number, FailureClass::Timeout) };
                breaker = after(breaker, number, &event, i64::try_from(second).unwrap());
                if fine { in_a_row.clear() } else { in_a_row.push(number) }
                let several = in_a_row.iter().any(|other| other != &in_a_row[0]);
                let expected = in_a_row.len() >= 5 && several;
                prop_assert_eq!(breaker.probe_at().is_some(), expected);
            }
            prop_assert_eq!(after(breaker, 0, &success(0), 100), Breaker::default());
        }
    }
}
