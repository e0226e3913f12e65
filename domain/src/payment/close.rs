//! Closing: expiry and cancel. Closing never blocks recording money.

use std::time::Duration;

use super::command::{ExpiryCheck, Refusal};
use super::event::{CancelledBy, DeferredWhy, Event};
use super::exception::{ExceptionKind, Severity};
use super::recording::Recording;
use super::request::{Attempt, Closure, Request};
use crate::ids::PaymentRequestId;
use crate::time::Timestamp;

/// How long an unknown status keeps a request open, where the provider can be asked (row E5).
pub const GRACE_WITH_LOOK_UP: Duration = Duration::from_secs(60 * 60);
/// The same for providers without a look-up.
pub const GRACE_WITHOUT_LOOK_UP: Duration = Duration::from_secs(30 * 60);
/// How long a postponed expiry waits at least before it is looked at again.
pub const DEFERRED_FOR: Duration = Duration::from_secs(5 * 60);
/// How long at most, however long a provider goes on saying *processing*.
const DEFERRED_AT_MOST: Duration = Duration::from_secs(24 * 3600);

/// What a case about an expiry that nobody could confirm is about (row E5).
pub(super) const ABOUT_EXPIRY: &str = "expiry";

/// Rows E1, E4, E5, D9 and E14. On a closed request it is already so: no event.
pub(super) fn expire(
    request: &Request,
    check: ExpiryCheck,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    if request.verified().is_some() {
        return Err(Refusal::AlreadyPaid);
    }
    if *request.closure() != Closure::Open {
        return Ok(vec![]);
    }
    let expires_at = request.terms().expires_at;
    if now < expires_at {
        return Err(Refusal::NotYetDue { due: expires_at });
    }
    let mut recording = Recording::of(request, now);
    match check {
        ExpiryCheck::Confirmed => recording.close_as_expired(true),
        ExpiryCheck::Processing => {
            // Each wait is half as long as it lasts already, so that the log stays small.
            let wait = (now.since(expires_at) / 2).clamp(DEFERRED_FOR, DEFERRED_AT_MOST);
            recording.defer(now.plus(wait), DeferredWhy::Processing);
        }
        ExpiryCheck::Unknown { look_up } => {
            let (grace, severity) = if look_up {
                (GRACE_WITH_LOOK_UP, Severity::High)
            } else {
                (GRACE_WITHOUT_LOOK_UP, Severity::Medium)
            };
            let end = expires_at.plus(grace);
            if now < end {
                let until = now.plus(DEFERRED_FOR).min(end);
                recording.defer(until, DeferredWhy::Unknown);
            } else {
                recording.close_as_expired(false);
                recording.open_case_as(
                    ExceptionKind::StatusUnknown,
                    severity,
                    ABOUT_EXPIRY.to_owned(),
                    None,
                );
            }
        }
    }
    Ok(recording.events)
}

/// Row E13: written before the provider is asked to end an attempt. An empty answer means that it was
/// asked already, or that nothing is under way.
pub(super) fn request_attempt_cancel(
    request: &Request,
    attempt_no: u32,
) -> Result<Vec<Event>, Refusal> {
    let attempt = request
        .attempts()
        .get(&attempt_no)
        .ok_or(Refusal::UnknownAttempt { attempt_no })?;
    if request.verified().is_some() {
        return Err(Refusal::AlreadyPaid);
    }
    if attempt.cancel_requested || !attempt.may_still_pay() {
        return Ok(vec![]);
    }
    Ok(vec![Event::AttemptCancelRequested { attempt_no }])
}

/// Rows E12, E13 and E14. The provider was asked before, so that "in flight" is what it says now.
pub(super) fn cancel(
    request: &Request,
    by: CancelledBy,
    superseded_by: Option<&PaymentRequestId>,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    if request.verified().is_some() {
        return Err(Refusal::AlreadyPaid);
    }
    match request.closure() {
        Closure::Cancelled(_) => return Ok(vec![]),
        Closure::Expired => {
            return Err(Refusal::NotPayable {
                label: request.label(),
            });
        }
        Closure::Open => {}
    }
    if request.attempts().values().any(Attempt::in_flight) {
        return Err(Refusal::PaymentInFlight);
    }
    let mut recording = Recording::of(request, now);
    recording.set_applied_aside(ExceptionKind::UnderpaidAtExpiry);
    recording.push(Event::Cancelled {
        by,
        superseded_by: superseded_by.cloned(),
    });
    Ok(recording.events)
}

impl Recording {
    /// Closes as expired; parts that were applied become unapplied first (row D9).
    pub(super) fn close_as_expired(&mut self, confirmed: bool) {
        self.set_applied_aside(ExceptionKind::UnderpaidAtExpiry);
        self.push(Event::Expired { confirmed });
    }

    /// Postpones the expiry, unless it is postponed already for the same reason.
    fn defer(&mut self, until: Timestamp, why: DeferredWhy) {
        let waits = self
            .request
            .deferred()
            .is_some_and(|known| known.why == why && self.now < known.until);
        if !waits {
            self.push(Event::ExpiryDeferred { until, why });
        }
    }
}
