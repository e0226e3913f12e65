//! When a provider is asked about an attempt: times that follow from the attempt's start, from the
//! end of its session and from the end of its request. No step is stored; a loop only remembers when
//! it asked last.

use std::time::Duration;

use crate::digest::Digest32;
use crate::ids::ProviderRef;
use crate::time::Timestamp;

/// After the start, in seconds, as far as the session reaches.
const EARLY_S: [u64; 5] = [15, 30, 60, 120, 300];
/// Then as often as this, to the end of the session.
const EVERY_S: u64 = 600;
/// After the end of the session, and again after the end of the request, in seconds.
const LATE_S: [u64; 6] = [0, 15 * 60, 3600, 6 * 3600, 24 * 3600, 72 * 3600];
/// A step comes later than its time by up to a tenth of its distance, and by no more than this.
const JITTER_MAX: Duration = Duration::from_secs(300);
/// The same of a step that is at the end itself.
const JITTER_AT_END: Duration = Duration::from_secs(5);
/// Room after the last step, so that it is asked even where the account is at its limit.
const ROOM: Duration = Duration::from_secs(600);

/// The times of one attempt.
#[derive(Debug, Clone, Copy)]
pub struct Schedule<'a> {
    /// Draws the jitter: attempts of one moment are not asked about in one moment.
    pub our_reference: &'a ProviderRef,
    /// When it was started.
    pub started_at: Timestamp,
    /// End of the provider's session.
    pub session_expires_at: Timestamp,
    /// The request is not payable afterwards.
    pub expires_at: Timestamp,
}

impl Schedule<'_> {
    /// The first step after `since`, if it is due by `now`.
    pub fn due(&self, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let due = self.steps().filter(|step| *step > since && *step <= now);
        due.min()
    }

    /// Every step is over then. What is still in doubt is told to a person.
    pub fn over_at(&self) -> Timestamp {
        self.session_expires_at
            .max(self.expires_at)
            .plus(Duration::from_secs(LATE_S[LATE_S.len() - 1]))
            .plus(JITTER_MAX + ROOM)
    }

    fn steps(&self) -> impl Iterator<Item = Timestamp> {
        let session_s = self.session_expires_at.since(self.started_at).as_secs();
        let early = EARLY_S.into_iter().filter(move |step| *step < session_s);
        let middle = (1..).map(|step| step * EVERY_S);
        let middle = middle.take_while(move |step| *step < session_s);
        let of_start = early.chain(middle).map(|step| (self.started_at, step));
        let session =
            (self.session_expires_at < self.expires_at).then_some(self.session_expires_at);
        let ends = [session, Some(self.expires_at.max(self.session_expires_at))];
        let of_ends = ends.into_iter().flatten();
        let late = of_ends.flat_map(|end| LATE_S.into_iter().map(move |step| (end, step)));
        of_start
            .chain(late)
            .map(|(from, step)| self.late(from, step))
    }

    /// Always the same for one step of one attempt.
    fn late(&self, from: Timestamp, step_s: u64) -> Timestamp {
        let spread = match step_s {
            0 => JITTER_AT_END,
            _ => (Duration::from_secs(step_s) / 10).min(JITTER_MAX),
        };
        let digest = Digest32::sha256(&[
            self.our_reference.as_str().as_bytes(),
            &step_s.to_be_bytes(),
        ]);
        let draw = u32::from(u16::from_be_bytes([digest.0[0], digest.0[1]]));
        from.plus(Duration::from_secs(step_s) + spread * draw / u32::from(u16::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    /// Started at 0 with a session of twenty minutes.
    fn of(our_reference: &ProviderRef, expires_at: i64) -> Schedule<'_> {
        Schedule {
            our_reference,
            started_at: at(0),
            session_expires_at: at(1200),
            expires_at: at(expires_at),
        }
    }

    fn reference(text: &str) -> ProviderRef {
        ProviderRef::parse(text).unwrap()
    }

    /// Each step that is asked in a life of its own, in seconds.
    fn steps(schedule: &Schedule<'_>) -> Vec<i64> {
        let (mut found, mut since) = (vec![], schedule.started_at);
        while let Some(step) = schedule.due(since, at(i64::from(i32::MAX))) {
            found.push(step.seconds());
            since = step;
        }
        found
    }

    #[test]
    fn it_is_asked_often_at_first_at_both_ends_and_ever_later_afterwards() {
        let reference = reference("pr_x-1");
        let expected = [
            15,
            30,
            60,
            120,
            300,
            600, // to the end of the session
            1200,
            2100, // after it
            3600,
            4500,
            4800,
            7200, // expires_at, and the two series side by side
            1200 + 6 * HOUR,
            7 * HOUR,
            1200 + 24 * HOUR,
            25 * HOUR,
            1200 + 72 * HOUR,
            73 * HOUR,
        ];
        let steps = steps(&of(&reference, 3600));
        assert_eq!(steps.len(), expected.len(), "{steps:?}");
        for (step, expected) in steps.iter().zip(expected) {
            let late = step - expected;
            assert!((0..=300).contains(&late), "{expected}: {late} s late");
        }
    }

    #[test]
    fn a_session_that_ends_with_its_request_has_one_end() {
        let reference = reference("pr_x-1");
        assert_eq!(steps(&of(&reference, 1200)).len(), 6 + 6);
        assert_eq!(steps(&of(&reference, 60)).len(), 6 + 6);
    }

    #[test]
    fn the_jitter_is_a_tenth_at_most_differs_and_stays() {
        let (one, other) = (reference("pr_x-1"), reference("pr_y-1"));
        let [one, again, other] =
            [&one, &one, &other].map(|reference| steps(&of(reference, 2 * HOUR)));
        assert_eq!(one, again);
        assert_ne!(one, other);
        for seconds in [15, 600] {
            let in_time = |step: &&i64| (seconds..=seconds + seconds / 10).contains(*step);
            assert!(one.iter().any(|step| in_time(&step)), "{one:?}");
        }
    }

    #[test]
    fn nothing_is_due_after_it_is_over() {
        let reference = reference("pr_x-1");
        let schedule = of(&reference, 3600);
        let last = *steps(&schedule).last().unwrap();
        assert!(schedule.over_at() > at(last));
        assert_eq!(schedule.due(schedule.over_at(), at(i64::MAX / 2_000)), None);
    }
}
