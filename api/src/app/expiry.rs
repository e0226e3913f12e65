//! Expiry: before a request expires, the provider's real status is asked.

use domain::ids::PaymentRequestId;
use domain::payment::event::{PrecheckVerdict, Progress};
use domain::payment::request::{Attempt, AttemptState};
use domain::payment::{Command, ExpiryCheck, Refusal, Request};

use super::App;
use super::context::Context;
use super::error::AppError;
use super::pace::Admission;

/// Name of the loop.
pub const ENTRY: &str = "work::expire";

impl App {
    /// Expires a request whose time is over, or postpones it (rows E1 to E5). False when there was
    /// nothing to do.
    ///
    /// # Errors
    /// [`AppError`]: outages; the loop tries again.
    pub async fn expire_request(&self, id: &PaymentRequestId) -> Result<bool, AppError> {
        let context = Context::job(ENTRY);
        let now = self.recorder.now();
        let Some(request) = self.fold_request(id, None).await?.state else {
            return Ok(false);
        };
        if !request.payable() || now < request.expiry_due() {
            return Ok(false);
        }
        for attempt_no in super::look_ups::open_attempts(&request) {
            self.doubt_interrupted(id, attempt_no, &context).await?;
        }
        match self.close_or_defer(id, &request, &context).await {
            // Somebody paid, or the clock went back, between look-up and decision.
            Err(AppError::Payment(Refusal::AlreadyPaid | Refusal::NotYetDue { .. })) => Ok(false),
            other => other,
        }
    }

    async fn close_or_defer(
        &self,
        id: &PaymentRequestId,
        request: &Request,
        context: &Context,
    ) -> Result<bool, AppError> {
        let Some(unanswered) = self.ask_at_expiry(id, request, context).await? else {
            return Ok(false);
        };
        let Some(mut check) = self.check_now(id, &unanswered).await? else {
            return Ok(true);
        };
        if check == ExpiryCheck::Confirmed {
            // An idle session that outlives the request is ended before the request is, so that nobody
            // pays what is closed.
            let unanswered = self.end_known_attempts(id, context, unanswered).await?;
            let Some(then) = self.check_now(id, &unanswered).await? else {
                return Ok(true);
            };
            check = then;
        }
        self.execute(id, context, &Command::Expire(check)).await?;
        Ok(true)
    }

    /// Asks about every attempt that may still pay, at the pace of its account. Gives those that
    /// nobody could tell about, the ones at accounts that are left alone among them; `None` where an
    /// account is at its limit, so that the request waits for its turn.
    async fn ask_at_expiry(
        &self,
        id: &PaymentRequestId,
        request: &Request,
        context: &Context,
    ) -> Result<Option<Vec<u32>>, AppError> {
        let mut unanswered = vec![];
        let attempts = request.attempts().iter();
        for (attempt_no, attempt) in attempts.filter(|(_, attempt)| attempt.may_still_pay()) {
            let in_vain = match self.admission(&attempt.account) {
                Admission::Later => return Ok(None),
                Admission::Resting => true,
                Admission::Go => {
                    let told = self.look_up_attempt(id, *attempt_no, context).await?;
                    told.in_vain()
                }
            };
            if in_vain {
                unanswered.push(*attempt_no);
            }
        }
        Ok(Some(unanswered))
    }

    /// `None` when the look-ups found money, and so ended or paid it: rows E2 and E3.
    async fn check_now(
        &self,
        id: &PaymentRequestId,
        unanswered: &[u32],
    ) -> Result<Option<ExpiryCheck>, AppError> {
        let request = self.fold_request(id, None).await?.state;
        let payable = request.filter(|request| request.payable());
        Ok(payable.map(|request| self.check_of(&request, unanswered)))
    }

    /// What all attempts together mean; the most that speaks against expiring counts.
    fn check_of(&self, request: &Request, unanswered: &[u32]) -> ExpiryCheck {
        let open = request
            .attempts()
            .iter()
            .filter(|(_, attempt)| attempt.may_still_pay());
        let checks: Vec<_> = open
            .map(|(number, attempt)| self.check_of_one(attempt, unanswered.contains(number)))
            .collect();
        [
            ExpiryCheck::Processing,
            ExpiryCheck::Unknown { look_up: true },
            ExpiryCheck::Unknown { look_up: false },
        ]
        .into_iter()
        .find(|check| checks.contains(check))
        .unwrap_or(ExpiryCheck::Confirmed)
    }

    fn check_of_one(&self, attempt: &Attempt, unanswered: bool) -> ExpiryCheck {
        if !self.can_ask(&attempt.account) {
            let allowed = attempt.prechecks.contains(&PrecheckVerdict::Allowed {});
            return if allowed || attempt.in_flight() {
                ExpiryCheck::Unknown { look_up: false }
            } else {
                ExpiryCheck::Confirmed
            };
        }
        match attempt.state {
            _ if unanswered => ExpiryCheck::Unknown { look_up: true },
            AttemptState::InFlight(Progress::Unknown) => ExpiryCheck::Unknown { look_up: true },
            AttemptState::InFlight(Progress::Processing | Progress::Authorised) => {
                ExpiryCheck::Processing
            }
            AttemptState::Started
            | AttemptState::Uncertain
            | AttemptState::Registered
            | AttemptState::Failed(_)
            | AttemptState::Captured => ExpiryCheck::Confirmed,
        }
    }
}
