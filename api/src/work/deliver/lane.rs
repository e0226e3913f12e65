//! What the dispatcher remembers of one subscriber: what is under way, and what must wait. Lost at
//! a restart without harm; what must outlive one is in the log (the breaker) or in the leases.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use domain::delivery::breaker::Breaker;
use domain::ids::DeliveryId;
use domain::subscriber::DeliveryPolicy;
use domain::time::Timestamp;
use projections::views::delivery_queue::DeliveryRow;

use super::attempt::Attempted;

/// One request, as the bucket counts: a rate per second fills it by as many every nanosecond.
const TOKEN: u64 = 1_000_000_000;
/// A delivery that could not be tried (another worker holds it, or its row was old) is left out so
/// long, so that others of its subscriber get their turn.
const SKIPPED_REST: Duration = Duration::from_secs(1);
/// A delivery whose outcome is recorded is due in the view until the view has read that; so long it is
/// left out. Much shorter than the first pause between two tries.
const ENDED_REST: Duration = Duration::from_secs(1);
/// What was found due is not looked for again before, as long as some of it is left.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
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
    /// What was due when the queue was last looked at, the longest due first.
    due: VecDeque<DeliveryRow>,
    looked_at: Option<Duration>,
    cools_until: Duration,
    bucket: Option<Bucket>,
}

/// Requests that may go out, in shares of [`TOKEN`].
#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: u64,
    at: Duration,
}

impl Bucket {
    fn filled(self, policy: &DeliveryPolicy, at: Duration) -> Self {
        let nanos = u64::try_from(at.saturating_sub(self.at).as_nanos()).unwrap_or(u64::MAX);
        let more = nanos.saturating_mul(policy.per_second.into());
        let most = u64::from(policy.burst) * TOKEN;
        let level = self.level.saturating_add(more).min(most);
        Self { level, at }
    }
}

impl Lane {
    /// How many more deliveries may start: none while the receiver wants to be left alone, one at a
    /// time to probe a receiver in trouble, and no more than its policy says.
    pub(super) fn free(
        &mut self,
        policy: &DeliveryPolicy,
        breaker: &Breaker,
        now: Timestamp,
        monotonic: Duration,
    ) -> usize {
        self.resting.retain(|_, until| *until > monotonic);
        if monotonic < self.cools_until {
            return 0;
        }
        let full = Bucket {
            level: u64::from(policy.burst) * TOKEN,
            at: monotonic,
        };
        let bucket = self
            .bucket
            .map_or(full, |bucket| bucket.filled(policy, monotonic));
        self.bucket = Some(bucket);
        let places = match breaker.probe_at() {
            None => policy.places(),
            Some(at) if at <= now => 1,
            Some(_) => 0,
        };
        let tokens = usize::try_from(bucket.level / TOKEN).unwrap_or(usize::MAX);
        places.saturating_sub(self.under_way.len()).min(tokens)
    }

    /// How long until the next request may go out, where the rate alone holds it up.
    pub(super) fn refill(&self, policy: &DeliveryPolicy) -> Option<Duration> {
        let missing = TOKEN
            .checked_sub(self.bucket?.level)
            .filter(|missing| *missing > 0)?;
        Some(Duration::from_nanos(
            missing.div_ceil(policy.per_second.max(1).into()),
        ))
    }

    /// True when the queue must be looked at to start `free` more: what was found is used up, or old.
    pub(super) fn looks_again(&self, free: usize, monotonic: Duration) -> bool {
        let old = |at| monotonic >= at + LOOK_AGAIN;
        self.due.len() < free || self.looked_at.is_none_or(old)
    }

    /// What is due now, the longest due first. What is under way or rests is left out.
    pub(super) fn found(&mut self, due: Vec<DeliveryRow>, monotonic: Duration) {
        let mut due = VecDeque::from(due);
        due.retain(|row| self.may_start(&row.id));
        (self.due, self.looked_at) = (due, Some(monotonic));
    }

    /// Takes the next `free` of what was found; they are under way now.
    pub(super) fn start(&mut self, free: usize) -> Vec<DeliveryRow> {
        let next: Vec<_> = self.due.drain(..free.min(self.due.len())).collect();
        for row in &next {
            self.started(row.id.clone());
        }
        next
    }

    fn may_start(&self, delivery: &DeliveryId) -> bool {
        !self.under_way.contains(delivery) && !self.resting.contains_key(delivery)
    }

    fn started(&mut self, delivery: DeliveryId) {
        self.under_way.insert(delivery);
        if let Some(bucket) = &mut self.bucket {
            bucket.level = bucket.level.saturating_sub(TOKEN);
        }
    }

    pub(super) fn ended(
        &mut self,
        delivery: DeliveryId,
        attempted: &Attempted,
        monotonic: Duration,
    ) {
        self.under_way.remove(&delivery);
        let rest = match attempted {
            Attempted::Arrived => ENDED_REST,
            Attempted::Failed { cool_down } => {
                if let Some(wish) = cool_down {
                    self.cools_until = self.cools_until.max(monotonic + (*wish).min(COOL_DOWN_MAX));
                }
                ENDED_REST
            }
            Attempted::Skipped => SKIPPED_REST,
            Attempted::Unrecorded => UNRECORDED_REST,
        };
        self.resting.insert(delivery, monotonic + rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(letter: &str) -> DeliveryId {
        DeliveryId::parse(format!("dlv_{}", letter.repeat(32))).unwrap()
    }

    fn due(letter: &str) -> DeliveryRow {
        let name = domain::outbound::EventName::ALL[0];
        DeliveryRow {
            id: id(letter),
            subscriber: domain::ids::SubscriberId::parse("crm").unwrap(),
            merchant: domain::ids::MerchantId::parse("shop").unwrap(),
            event_id: domain::ids::EventId::from_parts(1, [7; 10]),
            name,
            subject: "pr_1".to_owned(),
            sequence: domain::stream::Version(1),
            ordinal: 1,
            state: projections::views::delivery_queue::QueueState::Due,
            generation: 1,
            attempts: 0,
            next_try_at: Timestamp::from_seconds(0),
            outcome_version: None,
            class: None,
            reason: None,
            batch: None,
            last_status: None,
            body_sha256: domain::digest::Digest32::sha256(&[b"body"]),
            created_at: Timestamp::from_seconds(0),
            queued_at: Timestamp::from_seconds(0),
            delivered_at: None,
        }
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn served(lane: &mut Lane, policy: &DeliveryPolicy, at: Duration) -> usize {
        lane.free(policy, &Breaker::default(), Timestamp::from_seconds(0), at)
    }

    fn free(lane: &mut Lane, seconds: u64) -> usize {
        served(lane, &DeliveryPolicy::default(), at(seconds))
    }

    #[test]
    fn a_burst_goes_out_at_once_and_then_the_rate_holds() {
        let policy = DeliveryPolicy {
            max_in_flight: 64,
            per_second: 4,
            burst: 2,
            ..DeliveryPolicy::default()
        };
        let mut lane = Lane::default();
        let mut sent = vec![];
        for step in 0..40 {
            let now = Duration::from_millis(50 * step);
            for _ in 0..served(&mut lane, &policy, now) {
                lane.started(id(
                    &char::from(b'a' + u8::try_from(sent.len()).unwrap()).to_string()
                ));
                sent.push(now.as_millis());
            }
        }
        assert_eq!(sent, [0, 0, 250, 500, 750, 1000, 1250, 1500, 1750]);
        assert_eq!(lane.refill(&policy), Some(Duration::from_millis(50)));
        assert_eq!(
            served(&mut lane, &policy, at(100)),
            2,
            "no more than the burst"
        );
        assert_eq!(lane.refill(&policy), None);
    }

    #[test]
    fn strict_order_is_one_at_a_time() {
        let policy = DeliveryPolicy {
            strict_fifo: true,
            ..DeliveryPolicy::default()
        };
        let mut lane = Lane::default();
        assert_eq!(served(&mut lane, &policy, at(0)), 1);
        lane.started(id("a"));
        assert_eq!(served(&mut lane, &policy, at(1)), 0);
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
        assert_eq!((free(&mut lane, 0), lane.may_start(&id("a"))), (4, false));
        assert_eq!((free(&mut lane, 1), lane.may_start(&id("a"))), (4, true));
    }

    #[test]
    fn what_was_found_due_starts_once_while_the_view_is_behind() {
        let rows = || vec![due("a"), due("b"), due("c")];
        let ids = |rows: Vec<DeliveryRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
        let mut lane = Lane::default();
        assert!(lane.looks_again(1, at(0)));
        lane.found(rows(), at(0));
        assert_eq!(ids(lane.start(2)), [id("a"), id("b")]);
        assert!(!lane.looks_again(1, at(0)), "one is left");
        assert!(lane.looks_again(2, at(0)), "two are not");
        assert!(lane.looks_again(1, at(1)), "it may be old");
        lane.ended(id("a"), &Attempted::Arrived, at(0));
        lane.ended(id("b"), &Attempted::Failed { cool_down: None }, at(0));
        lane.found(rows(), at(0));
        assert_eq!(ids(lane.start(9)), [id("c")]);
        // A second later the view has read it, or it is asked again.
        assert_eq!(free(&mut lane, 1), 3);
        lane.found(rows(), at(1));
        assert_eq!(ids(lane.start(9)), [id("a"), id("b")]);
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
