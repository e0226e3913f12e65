//! How fast one provider account is called, and when it is left alone: questions, registrations and
//! refunds together. In memory: after a restart an account that was left alone is called early, and its
//! silence is soon noticed again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ids::ProviderRef;

/// Calls in a minute, where nothing is configured.
pub const PER_MIN: u32 = 300;
/// What was not used is kept for so long: a burst of questions is no longer than this.
const BURST: Duration = Duration::from_secs(1);
/// Calls that a payer waits for may be ahead of the pace by so much; the others wait for it then.
const AHEAD: Duration = Duration::from_secs(2);
/// So many calls without an answer, about two attempts at least, and the account is left alone.
/// One order that a provider cannot digest never does that.
const SILENCES_MAX: u32 = 5;
/// It is left alone for so long, and after each probe in vain for twice the time.
const REST_FIRST: Duration = Duration::from_secs(30);
/// The longest time between two probes.
const REST_MAX: Duration = Duration::from_secs(300);
/// Nobody else asks while a probe has no answer; longer than a call can take.
const PROBE: Duration = Duration::from_secs(30);
/// Longest `Retry-After` that is honoured: a slip of the provider must not hide money for a day.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// May a question be asked now?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes, and it is counted.
    Go,
    /// The account is asked as often as it may be; in a moment.
    Later,
    /// The account is left alone.
    Resting,
}

/// A call that may not be made now. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// True when the account is left alone, because it did not answer or wished so; false when it is
    /// called as often as it may be.
    pub resting: bool,
    /// How long.
    pub left: Duration,
}

impl Held {
    /// How long in whole seconds, at least one.
    pub fn seconds(self) -> u32 {
        let whole = self.left.as_secs() + u64::from(self.left.subsec_nanos() > 0);
        u32::try_from(whole).unwrap_or(u32::MAX).max(1)
    }
}

/// The pace of one account. Times are monotonic.
#[derive(Debug)]
pub struct Pace {
    every: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the next question would come if all came evenly.
    next: Duration,
    /// Questions without an answer since the last answer.
    silences: u32,
    /// Which attempt the first of them was about.
    first: Option<ProviderRef>,
    /// True when another attempt was among them.
    several: bool,
    rest: Option<Rest>,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Duration,
    /// Probes in vain so far.
    probes: u32,
    probing: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self::per_min(PER_MIN)
    }
}

impl Pace {
    /// So many questions in a minute; at least one.
    pub fn per_min(questions: u32) -> Self {
        Self {
            every: Duration::from_secs(60) / questions.max(1),
            state: Mutex::default(),
        }
    }

    /// Asks for leave to make a call that nobody waits for.
    pub fn admit(&self, now: Duration) -> Admission {
        match self.take(now, BURST) {
            Ok(()) => Admission::Go,
            Err(Held { resting: true, .. }) => Admission::Resting,
            Err(Held { resting: false, .. }) => Admission::Later,
        }
    }

    /// Asks for leave to make a call that a payer waits for. It goes before the others, and no further
    /// ahead of the pace than a moment, or one call.
    ///
    /// # Errors
    /// [`Held`]: not now.
    pub fn admit_payers(&self, now: Duration) -> Result<(), Held> {
        self.take(now, AHEAD.max(self.every.saturating_mul(2)))
    }

    fn take(&self, now: Duration, burst: Duration) -> Result<(), Held> {
        let mut state = self.state();
        let held = |resting, left| Err(Held { resting, left });
        if let Some(rest) = state.rest.filter(|rest| now < rest.until) {
            return held(true, rest.until - now);
        }
        let latest = now + burst.saturating_sub(self.every);
        if state.next > latest {
            return held(false, state.next - latest);
        }
        if let Some(rest) = &mut state.rest {
            rest.probing = true;
            rest.until = now + PROBE;
        }
        self.count(&mut state, now);
        Ok(())
    }

    /// Counts a call that somebody waits for and that is made whatever the pace, unless the account is
    /// left alone.
    ///
    /// # Errors
    /// [`Held`], and nothing is counted.
    pub fn urgent(&self, now: Duration) -> Result<(), Held> {
        let mut state = self.state();
        let rest = state.rest.filter(|rest| !rest.probing && now < rest.until);
        if let Some(rest) = rest {
            let (resting, left) = (true, rest.until - now);
            return Err(Held { resting, left });
        }
        self.count(&mut state, now);
        Ok(())
    }

    /// Counts a call that follows from one that was admitted.
    pub fn follows(&self, now: Duration) {
        self.count(&mut self.state(), now);
    }

    fn count(&self, state: &mut State, now: Duration) {
        state.next = state.next.max(now) + self.every;
    }

    /// The provider answered.
    pub fn answered(&self) {
        let mut state = self.state();
        *state = State {
            next: state.next,
            ..State::default()
        };
    }

    /// The provider could not say, and perhaps when it wants to be asked again.
    pub fn silent(&self, about: &ProviderRef, retry_after: Option<Duration>, now: Duration) {
        let mut state = self.state();
        if let Some(rest) = &mut state.rest {
            // What was under way when the rest began is no probe.
            if rest.probing {
                let doubled = REST_FIRST.saturating_mul(2 << rest.probes.min(16));
                rest.until = now + doubled.min(REST_MAX);
                rest.probes += 1;
                rest.probing = false;
            }
        } else {
            state.silences += 1;
            state.several |= state.first.as_ref().is_some_and(|first| first != about);
            state.first.get_or_insert_with(|| about.clone());
            if state.silences >= SILENCES_MAX && state.several {
                state.rest = Some(Rest::until(now + REST_FIRST));
            }
        }
        if let Some(wish) = retry_after.filter(|wish| !wish.is_zero()) {
            let until = now + wish.min(RETRY_AFTER_MAX);
            let rest = state.rest.get_or_insert(Rest::until(until));
            rest.until = rest.until.max(until);
        }
    }

    /// How long it is still left alone, where it is.
    pub fn rests(&self, now: Duration) -> Option<Duration> {
        let rest = self.state().rest.filter(|rest| !rest.probing)?;
        rest.until.checked_sub(now).filter(|left| !left.is_zero())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rest {
    fn until(until: Duration) -> Self {
        Self {
            until,
            probes: 0,
            probing: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn about(number: u32) -> ProviderRef {
        ProviderRef::parse(format!("pr_{number}-1")).unwrap()
    }

    /// So many questions in vain about attempts in turn.
    fn in_vain(pace: &Pace, attempts: u32, times: u32, now: Duration) {
        for time in 0..times {
            pace.silent(&about(time % attempts), None, now);
        }
    }

    fn admitted(pace: &Pace, now: Duration) -> usize {
        (0..1000)
            .take_while(|_| pace.admit(now) == Admission::Go)
            .count()
    }

    #[test]
    fn an_account_is_asked_no_more_often_than_it_may_be() {
        let pace = Pace::per_min(300);
        assert_eq!(admitted(&pace, at(100)), 5);
        assert_eq!(pace.admit(at(100)), Admission::Later);
        let in_a_minute: usize = (101..161).map(|second| admitted(&pace, at(second))).sum();
        assert_eq!(in_a_minute, 300);
    }

    #[test]
    fn a_slow_account_is_asked_one_by_one() {
        let pace = Pace::per_min(1);
        let asked = (0..600).filter(|second| pace.admit(at(*second)) == Admission::Go);
        assert_eq!(
            asked.collect::<Vec<_>>(),
            [0, 60, 120, 180, 240, 300, 360, 420, 480, 540]
        );
    }

    #[test]
    fn what_somebody_waits_for_is_counted_as_well() {
        let pace = Pace::per_min(300);
        for _ in 0..5 {
            pace.urgent(at(100)).unwrap();
        }
        assert_eq!(pace.admit(at(100)), Admission::Later);
    }

    #[test]
    fn payers_go_before_questions_and_a_moment_ahead_at_most() {
        let pace = Pace::per_min(300);
        assert_eq!(admitted(&pace, at(100)), 5);
        let payers = (0..100).take_while(|_| pace.admit_payers(at(100)).is_ok());
        assert_eq!(payers.count(), 5);
        let held = pace.admit_payers(at(100)).unwrap_err();
        let left = Duration::from_millis(200);
        assert_eq!(
            (held, held.seconds()),
            (
                Held {
                    resting: false,
                    left
                },
                1
            )
        );
        assert_eq!(admitted(&pace, at(101)), 0);
        // In a minute it is no more all the same.
        let in_a_minute: usize = (101..161)
            .map(|second| {
                let payers = (0..100).take_while(|_| pace.admit_payers(at(second)).is_ok());
                payers.count() + admitted(&pace, at(second))
            })
            .sum();
        assert_eq!(in_a_minute, 300);
    }

    #[test]
    fn a_slow_account_registers_one_ahead() {
        let pace = Pace::per_min(1);
        let started = (0..2).map(|_| pace.admit_payers(at(0)));
        assert!(started.into_iter().all(|admitted| admitted.is_ok()));
        assert_eq!(pace.admit_payers(at(0)).unwrap_err().seconds(), 60);
    }

    #[test]
    fn nothing_is_sent_to_an_account_that_is_left_alone() {
        let pace = Pace::default();
        in_vain(&pace, 2, 5, at(100));
        let held = pace.admit_payers(at(101)).unwrap_err();
        assert_eq!((held.resting, held.seconds()), (true, 29));
        assert_eq!(pace.urgent(at(101)), Err(held));
        // A payer's call probes like any other.
        pace.admit_payers(at(130)).unwrap();
        assert!(pace.admit_payers(at(130)).unwrap_err().resting);
        assert_eq!(pace.urgent(at(130)), Ok(()));
        pace.answered();
        pace.admit_payers(at(131)).unwrap();
    }

    #[test]
    fn five_questions_in_vain_open_it_and_one_answer_closes_it() {
        let pace = Pace::default();
        in_vain(&pace, 2, 4, at(100));
        assert_eq!(pace.admit(at(100)), Admission::Go);
        in_vain(&pace, 2, 5, at(100));
        assert_eq!(pace.admit(at(129)), Admission::Resting);
        assert_eq!(pace.rests(at(129)), Some(at(1)));
        assert_eq!(pace.admit(at(130)), Admission::Go);
        pace.answered();
        assert_eq!(pace.rests(at(131)), None);
        assert_eq!(pace.admit(at(131)), Admission::Go);
        assert_eq!(pace.admit(at(131)), Admission::Go);
    }

    #[test]
    fn one_attempt_that_it_cannot_digest_never_opens_it() {
        let pace = Pace::default();
        in_vain(&pace, 1, 40, at(100));
        assert_eq!(pace.admit(at(100)), Admission::Go);
    }

    #[test]
    fn one_question_probes_and_probes_come_ever_later() {
        let pace = Pace::default();
        in_vain(&pace, 2, 5, at(0));
        let mut now = at(30);
        let mut waits = vec![];
        for _ in 0..5 {
            assert_eq!(pace.admit(now), Admission::Go);
            assert_eq!(pace.admit(now), Admission::Resting, "one probe at a time");
            pace.silent(&about(1), None, now);
            let wait = pace.rests(now).unwrap();
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(waits, [60, 120, 240, 300, 300]);
    }

    #[test]
    fn a_wish_is_honoured_for_an_hour_at_most() {
        for (wish, rest) in [(90, 90), (7 * 86_400, 3600)] {
            let pace = Pace::default();
            pace.silent(&about(1), Some(at(wish)), at(10));
            assert_eq!(pace.admit(at(10 + rest - 1)), Admission::Resting);
            assert_eq!(pace.admit(at(10 + rest)), Admission::Go);
        }
    }
}
