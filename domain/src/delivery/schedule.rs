//! When the next try is due: thirteen steps over three days, with a jitter that follows from the
//! delivery's id, so that a rebuild gives the same times. Whole milliseconds only.

use std::time::Duration;

use crate::digest::Digest32;
use crate::ids::DeliveryId;
use crate::time::Timestamp;

/// Waits before tries 1 to 13, in seconds. Close to the example of Standard Webhooks (75:35:05).
pub const STEPS_S: [u64; 13] = [
    0, 5, 30, 120, 600, 1800, 3600, 7200, 18_000, 36_000, 50_400, 72_000, 86_400,
];
/// Tries of a delivery that the receiver refuses (4xx): a bad mapping should reach the failed list
/// in minutes.
pub const REFUSED_TRIES: u32 = 4;
/// Longest `Retry-After` that is honoured.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// The step's wait with a jitter of 20 % up or down.
pub fn wait(delivery: &DeliveryId, generation: u32, step: u32) -> Duration {
    let seconds = STEPS_S.get(step as usize).copied().unwrap_or(STEPS_S[12]);
    let text = format!("{delivery}|{generation}|{step}");
    let digest = Digest32::sha256(&[text.as_bytes()]).0;
    let draw = u64::from(u16::from_be_bytes([digest[0], digest[1]])) % 401;
    // 800 to 1200 thousandths of the step.
    Duration::from_millis(seconds * (800 + draw))
}

/// When the try of `step` is due after a failure, `retry_after` being the receiver's wish.
pub fn next_try(
    failed_at: Timestamp,
    delivery: &DeliveryId,
    generation: u32,
    step: u32,
    retry_after: Option<Duration>,
) -> Timestamp {
    let wish = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
    failed_at.plus(wait(delivery, generation, step).max(wish))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DeliveryId {
        DeliveryId::parse(format!("dlv_{}", text.repeat(32))).unwrap()
    }

    #[test]
    fn the_schedule_ends_after_three_days() {
        let sums: Vec<u64> = STEPS_S
            .iter()
            .scan(0, |sum, step| {
                *sum += step;
                Some(*sum)
            })
            .collect();
        assert_eq!(sums[1..7], [5, 35, 155, 755, 2555, 6155]);
        assert_eq!(sums[12], 76 * 3600 + 42 * 60 + 35);
    }

    #[test]
    fn the_jitter_is_a_fifth_and_always_the_same() {
        for step in 0..13 {
            let base = STEPS_S[step as usize] * 1000;
            let waited = u64::try_from(wait(&id("a"), 1, step).as_millis()).unwrap();
            assert!((base * 8 / 10..=base * 12 / 10).contains(&waited));
            assert_eq!(wait(&id("a"), 1, step), wait(&id("a"), 1, step));
        }
        assert_ne!(wait(&id("a"), 1, 6), wait(&id("b"), 1, 6));
        assert_ne!(wait(&id("a"), 1, 6), wait(&id("a"), 2, 6));
    }

    #[test]
    fn the_later_of_schedule_and_wish_stands() {
        let at = Timestamp::from_seconds(0);
        let day = Timestamp::from_seconds(86_400);
        assert_eq!(
            next_try(at, &id("a"), 1, 1, Some(Duration::from_secs(999_999))),
            day
        );
        assert_eq!(
            next_try(at, &id("a"), 1, 1, None),
            at.plus(wait(&id("a"), 1, 1))
        );
    }
}
