//! Attempts: written ahead, registered or doubted, and prechecked.

use std::time::Duration;

use super::close::ABOUT_EXPIRY;
use super::command::{Precheck, Refusal, StartAttempt};
use super::event::{Event, PrecheckRefusal, PrecheckVerdict, Progress};
use super::exception::ExceptionKind;
use super::label::Label;
use super::recording::Recording;
use super::request::{Attempt, AttemptState, Case, Closure, Request};
use crate::ids::ProviderRef;
use crate::money::Sum;
use crate::time::Timestamp;

/// Refuses what is paid or closed.
pub(super) fn payable(request: &Request, now: Timestamp) -> Result<(), Refusal> {
    if request.verified().is_some() {
        return Err(Refusal::AlreadyPaid);
    }
    let open = *request.closure() == Closure::Open;
    if open && now < request.terms().expires_at {
        return Ok(());
    }
    // Its time is over and nothing closed it yet: how far it was is not the caller's business.
    let label = if open {
        Label::Expired
    } else {
        request.label()
    };
    Err(Refusal::NotPayable { label })
}

/// Rows A6, A6b and A6c. A live attempt at the same account for what is still due is used again: no
/// event.
pub(super) fn start(
    request: &Request,
    command: &StartAttempt,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    payable(request, now)?;
    let terms = request.terms();
    if !terms.rules.accounts.contains(&command.account) {
        return Err(Refusal::AccountNotAllowed {
            account: command.account.clone(),
        });
    }
    let doubtful = |attempt: &Attempt| {
        matches!(
            attempt.state,
            AttemptState::Started | AttemptState::Uncertain
        )
    };
    if request
        .attempts()
        .values()
        .any(|attempt| attempt.in_flight() || doubtful(attempt))
    {
        return Err(Refusal::PaymentInFlight);
    }
    let missing = request.missing_minor();
    let reusable =
        |live: &Attempt| live.account == command.account && live.amount.minor() == missing;
    if request
        .live_attempt(now)
        .is_some_and(|(_, live)| reusable(live))
    {
        return Ok(vec![]);
    }
    let attempt_no = request
        .attempts()
        .keys()
        .next_back()
        .map_or(1, |last| last.saturating_add(1));
    if attempt_no > Refusal::ATTEMPTS_MAX {
        return Err(Refusal::TooManyAttempts {
            max: Refusal::ATTEMPTS_MAX,
        });
    }
    let session_end = now.plus(Duration::from_secs(u64::from(command.session_s_max)));
    Ok(vec![Event::AttemptStarted {
        attempt_no,
        provider: command.provider.clone(),
        account: command.account.clone(),
        our_reference: our_reference(request, attempt_no),
        amount: Sum::new(missing, terms.amount.currency())
            .money()
            .unwrap_or(terms.amount),
        session_expires_at: session_end.min(terms.expires_at),
    }])
}

/// `<request>-<n>`: order numbers cannot be used twice at some providers.
fn our_reference(request: &Request, attempt_no: u32) -> ProviderRef {
    ProviderRef::parse(format!("{}-{attempt_no}", request.terms().id))
        .expect("an id, '-' and a number")
}

/// The result of a registration. Only an attempt whose fate nobody knows takes it; a repeat leaves no
/// event.
pub(super) fn settle(
    request: &Request,
    attempt_no: u32,
    event: Event,
) -> Result<Vec<Event>, Refusal> {
    let attempt = known(request, attempt_no)?;
    match (&attempt.state, &event) {
        (AttemptState::Uncertain, Event::AttemptUncertain { .. }) => Ok(vec![]),
        (AttemptState::Started | AttemptState::Uncertain, _) => Ok(vec![event]),
        // A look-up could not say; the provider's own refusal can.
        (AttemptState::InFlight(Progress::Unknown), Event::AttemptFailed { .. }) => Ok(vec![event]),
        // A notification or look-up was faster than the register answer; what that tells is still
        // worth keeping.
        (
            AttemptState::Registered | AttemptState::InFlight(_),
            Event::AttemptRegistered {
                provider_order_ref,
                pay_url,
                ..
            },
        ) if (attempt.provider_order_ref.is_none() && provider_order_ref.is_some())
            || (attempt.pay_url.is_none() && pay_url.is_some()) =>
        {
            Ok(vec![event])
        }
        (
            AttemptState::Registered
            | AttemptState::InFlight(_)
            | AttemptState::Failed(_)
            | AttemptState::Captured,
            _,
        ) => Ok(vec![]),
    }
}

/// Rows A7 and A17, when every look-up of the schedule was in vain.
pub(super) fn report_silence(
    request: &Request,
    attempt_no: u32,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    known(request, attempt_no)?;
    let mut recording = Recording::of(request, now);
    if let Some(kind) = request.silence_of(attempt_no) {
        recording.open_case(kind, about_attempt(attempt_no), None);
    }
    Ok(recording.events)
}

fn about_attempt(attempt_no: u32) -> String {
    format!("attempt {attempt_no}")
}

impl Request {
    /// The case that a person is told of when the provider stays silent about an attempt. `None` when
    /// it is in no doubt, or was told already, by this case or by that of an expiry nobody could
    /// confirm.
    pub fn silence_of(&self, attempt_no: u32) -> Option<ExceptionKind> {
        let kind = match self.attempts().get(&attempt_no)?.state {
            AttemptState::Started | AttemptState::Uncertain => ExceptionKind::RegistrationUncertain,
            AttemptState::InFlight(_) => ExceptionKind::StatusUnknown,
            AttemptState::Registered | AttemptState::Failed(_) | AttemptState::Captured => {
                return None;
            }
        };
        let about = about_attempt(attempt_no);
        let told = |case: &Case| {
            let status = case.kind == ExceptionKind::StatusUnknown && case.about == ABOUT_EXPIRY;
            status || (case.kind == kind && case.about == about)
        };
        (!self.cases().values().any(told)).then_some(kind)
    }
}

/// Rows A8 to A10: `allowed` once per attempt, `refused` once per attempt and reason.
pub(super) fn precheck(
    request: &Request,
    command: &Precheck,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    let attempt_no = command.attempt_no;
    let attempt = known(request, attempt_no)?;
    let verdict = verdict(request, command, now)?;
    let mut recording = Recording::of(request, now);
    if !attempt.prechecks.contains(&verdict) {
        recording.push(Event::AttemptPrechecked {
            attempt_no,
            verdict: verdict.clone(),
        });
    }
    let tampered = matches!(
        verdict,
        PrecheckVerdict::Refused {
            reason: PrecheckRefusal::Amount | PrecheckRefusal::Currency | PrecheckRefusal::Account
        }
    );
    if tampered {
        recording.open_case(
            ExceptionKind::TamperedTerms,
            about_attempt(attempt_no),
            None,
        );
    }
    Ok(recording.events)
}

/// May this attempt be paid now? From the stream alone.
///
/// # Errors
/// [`Refusal::UnknownAttempt`].
pub fn verdict(
    request: &Request,
    command: &Precheck,
    now: Timestamp,
) -> Result<PrecheckVerdict, Refusal> {
    let attempt = known(request, command.attempt_no)?;
    let refused = |reason| Ok(PrecheckVerdict::Refused { reason });
    let others = request
        .attempts()
        .iter()
        .filter(|(number, _)| **number != command.attempt_no);
    // A part that came through another attempt is no second payment of what is still missing (D3).
    let rest = request.label() == Label::PartiallyPaid
        && attempt.amount.minor() == request.missing_minor();
    let other_paying =
        |other: &Attempt| other.in_flight() || (other.state == AttemptState::Captured && !rest);
    if payable(request, now).is_err() || !attempt.may_still_pay() {
        refused(PrecheckRefusal::NotPayable)
    } else if attempt.account != command.account || command.other_payee {
        refused(PrecheckRefusal::Account)
    } else if !attempt.amount.same_currency(command.amount) {
        refused(PrecheckRefusal::Currency)
    } else if attempt.amount != command.amount {
        refused(PrecheckRefusal::Amount)
    } else if others.map(|(_, other)| other).any(other_paying) {
        refused(PrecheckRefusal::OtherAttempt)
    } else {
        Ok(PrecheckVerdict::Allowed {})
    }
}

fn known(request: &Request, attempt_no: u32) -> Result<&Attempt, Refusal> {
    request
        .attempts()
        .get(&attempt_no)
        .ok_or(Refusal::UnknownAttempt { attempt_no })
}
