//! Calling a request off. The provider is asked first, and ends what a payer could still use before
//! the request is closed, so that money on its way is not overlooked.

use domain::ids::PaymentRequestId;
use domain::payment::Command;
use domain::payment::event::CancelledBy;
use domain::ports::SessionEnd;

use super::App;
use super::attempts::question;
use super::caller::Caller;
use super::context::Context;
use super::error::AppError;
use super::look_ups::open_attempts;
use super::requests::Executed;

impl App {
    /// Cancels (rows E12 to E14).
    ///
    /// # Errors
    /// [`AppError`]: paid meanwhile, or a payment may be under way;
    /// [`AppError::ProviderUnavailable`] where nobody can be asked, and then nothing is changed.
    pub async fn cancel(
        &self,
        caller: &Caller,
        context: &Context,
        id: &PaymentRequestId,
    ) -> Result<Executed, AppError> {
        self.visible_request(caller, id).await?;
        if let Some(earlier) = self.replay_of(context, id).await? {
            return Ok(earlier);
        }
        self.end_open_attempts(id, context).await?;
        let command = Command::Cancel {
            by: CancelledBy::Client,
            superseded_by: None,
        };
        self.execute(id, context, &command).await
    }

    /// Of a payable request: asks about every attempt that may still pay, has the provider end it
    /// where it can, and asks again. Gives the attempts that were asked about in vain.
    ///
    /// # Errors
    /// [`AppError`]; [`Refusal::AlreadyPaid`](domain::payment::Refusal::AlreadyPaid) where the money
    /// came meanwhile.
    pub(super) async fn end_open_attempts(
        &self,
        id: &PaymentRequestId,
        context: &Context,
    ) -> Result<Vec<u32>, AppError> {
        let unanswered = self.look_up_open_attempts(id, context).await?;
        self.end_known_attempts(id, context, unanswered).await
    }

    /// The second half of [`App::end_open_attempts`], after a look-up that left some unanswered.
    ///
    /// # Errors
    /// As [`App::end_open_attempts`].
    pub(super) async fn end_known_attempts(
        &self,
        id: &PaymentRequestId,
        context: &Context,
        mut unanswered: Vec<u32>,
    ) -> Result<Vec<u32>, AppError> {
        let request = self.fold_request(id, None).await?.state;
        let Some(request) = request.filter(|request| request.payable()) else {
            return Ok(unanswered);
        };
        for attempt_no in open_attempts(&request) {
            // What nobody can tell about may be paid at this moment.
            if !unanswered.contains(&attempt_no)
                && !self.end_attempt(id, attempt_no, context).await?
            {
                unanswered.push(attempt_no);
            }
        }
        Ok(unanswered)
    }

    /// Row E13: written ahead, then one call, then a look-up, which alone tells what it came to. False
    /// when it was in vain. A call that was written down before is made again only where the
    /// provider lets it be, so this is also how a call that a crash interrupted is finished.
    ///
    /// # Errors
    /// As [`App::end_open_attempts`].
    pub async fn end_attempt(
        &self,
        id: &PaymentRequestId,
        attempt_no: u32,
        context: &Context,
    ) -> Result<bool, AppError> {
        let request = self.payers_request(id).await?.request;
        let attempt = request.attempts().get(&attempt_no);
        let Some(attempt) = attempt.filter(|attempt| attempt.may_still_pay()) else {
            return Ok(true);
        };
        let Ok((_, _, provider)) = self.account(&attempt.account) else {
            return Ok(true);
        };
        let api = provider.api.as_ref();
        let Some(api) = api.filter(|api| api.session_end() != SessionEnd::Never) else {
            return Ok(true);
        };
        // The caller's key belongs to the command that needs this, which follows.
        let keyless = Context {
            idempotency: None,
            ..context.clone()
        };
        let command = Command::RequestAttemptCancel { attempt_no };
        let asked = self.execute(id, &keyless, &command).await?;
        if !asked.events.is_empty() || api.session_end() == SessionEnd::Repeatable {
            provider.pace.follows(self.recorder.clock().monotonic());
            api.cancel(&question(attempt)).await;
        }
        provider.pace.follows(self.recorder.clock().monotonic());
        let told = self.look_up_attempt(id, attempt_no, &keyless).await?;
        Ok(!told.in_vain())
    }
}
