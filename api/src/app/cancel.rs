//! Calling a request off: the provider is asked first, so that money on its way is not overlooked.

use domain::ids::PaymentRequestId;
use domain::payment::Command;
use domain::payment::event::CancelledBy;

use super::App;
use super::attempts::question;
use super::caller::Caller;
use super::context::Context;
use super::error::AppError;
use super::requests::Executed;

impl App {
    /// Cancels (rows E12 to E14). Provider sessions are closed where the provider can.
    ///
    /// # Errors
    /// [`AppError`].
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
        self.look_up_open_attempts(id, context).await?;
        let command = Command::Cancel {
            by: CancelledBy::Client,
            superseded_by: None,
        };
        let executed = self.execute(id, context, &command).await?;
        self.close_sessions(&executed).await;
        Ok(executed)
    }

    /// A courtesy to the payer: a cancelled order should not be payable at the provider either.
    /// Money that still comes is recorded (row E11).
    pub(super) async fn close_sessions(&self, executed: &Executed) {
        for attempt in executed
            .request
            .attempts()
            .values()
            .filter(|attempt| attempt.may_still_pay())
        {
            if let Ok((_, _, provider)) = self.account(&attempt.account)
                && let Some(api) = &provider.api
            {
                api.cancel(&question(attempt)).await;
            }
        }
    }
}
