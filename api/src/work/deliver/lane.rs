//! What the dispatcher remembers of one subscriber: what is under way, and what must wait. Lost at
//! a restart without harm; what must outlive one is in the log (the breaker) or in the leases.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::delivery::breaker::Breaker;
use domain::ids::DeliveryId;
use domain::time::Timestamp;

use super::attempt::Attempted;

/// Deliveries of one subscriber under way at once.
pub(super) const PLACES: usize = 4;
/// A delivery that could not be tried (another worker holds it, or its row was old) is left out so
/// long, so that others of its subscriber get their turn.
const SKIPPED_REST: Duration = Duration::from_secs(1);
/// A delivery that was sent and whose outcome could not be recorded is not sent again before. As
/// long as the lease of a worker that died in the same place.
const UNRECORDED_REST: Duration = Duration::from_secs(60);
/// Longest wish of a receiver that holds up all of its deliveries.
const COOL_DOWN_MAX: Duration = Duration::from_secs(3600);

/// One subscriber's lane. Times are monotonic.
#[derive(Debug, Default)]
pub(super) struct Lane {
    under_way: BTreeSet<DeliveryId>,
    resting: BTreeMap<DeliveryId, Duration>,
    cools_until: Duration,
}

impl Lane {
    /// How many more deliveries may start: none while the receiver wants to be left alone, and one
    /// at a time to probe a receiver in trouble.
    pub(super) fn free(&mut self, breaker: &Breaker, now: Timestamp, monotonic: Duration) -> usize {
        self.resting.retain(|_, until| *until > monotonic);
        if monotonic < self.cools_until {
            return 0;
        }
        let places = match breaker.probe_at() {
            None => PLACES,
            Some(at) if at <= now => 1,
            Some(_) => 0,
        };
        places.saturating_sub(self.under_way.len())
    }

    /// How many due rows may have to be passed over to find one that can start.
    pub(super) fn passed_over(&self) -> usize {
        self.under_way.len() + self.resting.len()
    }

    pub(super) fn may_start(&self, delivery: &DeliveryId) -> bool {
        !self.under_way.contains(delivery) && !self.resting.contains_key(delivery)
    }

    pub(super) fn started(&mut self, delivery: DeliveryId) {
        self.under_way.insert(delivery);
    }

    pub(super) fn ended(
        &mut self,
        delivery: DeliveryId,
        attempted: &Attempted,
        monotonic: Duration,
    ) {
        self.under_way.remove(&delivery);
        match attempted {
            Attempted::Arrived => {}
            Attempted::Failed { cool_down } => {
                if let Some(wish) = cool_down {
                    self.cools_until = self.cools_until.max(monotonic + (*wish).min(COOL_DOWN_MAX));
                }
            }
            Attempted::Skipped => {
                self.resting.insert(delivery, monotonic + SKIPPED_REST);
            }
            Attempted::Unrecorded => {
                self.resting.insert(delivery, monotonic + UNRECORDED_REST);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(letter: &str) -> DeliveryId {
        DeliveryId::parse(format!("dlv_{}", letter.repeat(32))).unwrap()
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn free(lane: &mut Lane, seconds: u64) -> usize {
        lane.free(&Breaker::default(), Timestamp::from_seconds(0), at(seconds))
    }

    #[test]
    fn one_subscriber_never_has_more_than_its_places() {
        let mut lane = Lane::default();
        for letter in ["a", "b", "c", "d"] {
            assert!(free(&mut lane, 0) > 0 && lane.may_start(&id(letter)));
            lane.started(id(letter));
        }
        assert_eq!(free(&mut lane, 0), 0);
        lane.ended(id("a"), &Attempted::Arrived, at(0));
        assert_eq!(free(&mut lane, 0), 1);
    }

    #[test]
    fn what_another_worker_holds_makes_room_for_others() {
        let mut lane = Lane::default();
        lane.started(id("a"));
        lane.ended(id("a"), &Attempted::Skipped, at(0));
        assert_eq!(
            (
                free(&mut lane, 0),
                lane.may_start(&id("a")),
                lane.passed_over()
            ),
            (4, false, 1)
        );
        assert_eq!(
            (
                free(&mut lane, 1),
                lane.may_start(&id("a")),
                lane.passed_over()
            ),
            (4, true, 0)
        );
    }

    #[test]
    fn what_could_not_be_recorded_is_not_sent_again_at_once() {
        let mut lane = Lane::default();
        lane.started(id("a"));
        lane.ended(id("a"), &Attempted::Unrecorded, at(0));
        assert_eq!((free(&mut lane, 59), lane.may_start(&id("a"))), (4, false));
        assert_eq!((free(&mut lane, 60), lane.may_start(&id("a"))), (4, true));
    }

    #[test]
    fn the_receivers_own_wish_is_honoured_up_to_an_hour() {
        let mut lane = Lane::default();
        lane.ended(
            id("a"),
            &Attempted::Failed {
                cool_down: Some(at(60)),
            },
            at(0),
        );
        lane.ended(
            id("b"),
            &Attempted::Failed {
                cool_down: Some(at(5)),
            },
            at(0),
        );
        lane.ended(id("c"), &Attempted::Failed { cool_down: None }, at(0));
        assert_eq!((free(&mut lane, 59), free(&mut lane, 60)), (0, 4));
        lane.ended(
            id("a"),
            &Attempted::Failed {
                cool_down: Some(at(1_000_000)),
            },
            at(0),
        );
        assert_eq!(free(&mut lane, 3600), 4);
    }
}
