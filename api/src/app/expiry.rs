//! Expiry: before a request expires, the provider's real status is asked.

use domain::ids::PaymentRequestId;
use domain::payment::event::PrecheckVerdict;
use domain::payment::request::{Attempt, Closure};
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
        let answered = self.look_up_open_attempts(id, &context).await?;
        let Some(request) = self.fold_request(id, None).await?.state else {
            return Ok(false);
        };
        if *request.closure() != Closure::Open || request.verified().is_some() {
            return Ok(true); // The look-up found money: rows E2 and E3.
        }
        let check = self.check_of(&request, answered);
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

    fn check_of(&self, request: &Request, answered: bool) -> ExpiryCheck {
        let open = || {
            request
                .attempts()
                .values()
                .filter(|attempt| attempt.may_still_pay())
        };
        let can_ask = |attempt: &Attempt| {
            self.account(&attempt.account)
                .is_ok_and(|(_, config, provider)| config.look_up && provider.api.is_some())
        };
        let allowed = |attempt: &Attempt| attempt.prechecks.contains(&PrecheckVerdict::Allowed {});
        if open().next().is_none() {
            ExpiryCheck::Confirmed
        } else if open().all(can_ask) {
            match (answered, open().any(Attempt::in_flight)) {
                (true, true) => ExpiryCheck::Processing,
                (true, false) => ExpiryCheck::Confirmed,
                (false, _) => ExpiryCheck::Unknown { look_up: true },
            }
        } else if open().any(allowed) {
            ExpiryCheck::Unknown { look_up: false }
        } else {
            ExpiryCheck::Confirmed
        }
    }
}
