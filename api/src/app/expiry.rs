//! Expiry: before a request expires, the provider's real status is asked.

use domain::ids::PaymentRequestId;
use domain::payment::event::{PrecheckVerdict, Progress};
use domain::payment::request::{Attempt, AttemptState, Closure};
use domain::payment::{Command, ExpiryCheck, Refusal, Request};

use super::App;
use super::context::Context;
use super::error::AppError;

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
        let unanswered = self.look_up_open_attempts(id, &context).await?;
        let Some(request) = self.fold_request(id, None).await?.state else {
            return Ok(false);
        };
        if *request.closure() != Closure::Open || request.verified().is_some() {
            return Ok(true); // The look-up found money: rows E2 and E3.
        }
        let check = self.check_of(&request, &unanswered);
        match self.execute(id, &context, &Command::Expire(check)).await {
            Ok(executed) => {
                if *executed.request.closure() == Closure::Expired {
                    self.close_sessions(&executed).await;
                }
                Ok(true)
            }
            // Somebody paid, or the clock went back, between look-up and decision.
            Err(AppError::Payment(Refusal::AlreadyPaid | Refusal::NotYetDue { .. })) => Ok(false),
            Err(other) => Err(other),
        }
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
