//! Asking for money to go back. The provider is called by a loop, after this is durable.

use domain::digest::base32;
use domain::ids::{PaymentRequestId, ReasonCode, RefundId};
use domain::money::Money;
use domain::payment::event::Part;
use domain::payment::{CaptureKey, Command, Refusal, Request, RequestRefund};

use super::App;
use super::caller::Caller;
use super::context::Context;
use super::error::AppError;
use super::requests::{Executed, Order};

/// What somebody wants to be given back.
#[derive(Debug, Clone)]
pub struct NewRefund {
    /// Of which capture; the only one without.
    pub capture: Option<CaptureKey>,
    /// Out of which part of it.
    pub part: Part,
    /// How much.
    pub amount: Money,
    /// Why: a code, and words that will be sealed.
    pub reason: (ReasonCode, Option<String>),
}

impl App {
    /// Asks for a refund (rows F1 and F2). The same command again gives the first answer again.
    ///
    /// # Errors
    /// [`AppError`]: unknown money, another currency, more than is there, a provider that gives
    /// nothing back on call.
    pub async fn request_refund(
        &self,
        caller: &Caller,
        context: &Context,
        id: &PaymentRequestId,
        new: NewRefund,
    ) -> Result<Executed, AppError> {
        let visible = self.visible_request(caller, id).await?;
        if let Some(earlier) = self.replay_of(context, id).await? {
            return Ok(earlier);
        }
        let capture = money_meant(&visible.request, new.capture.as_ref())?;
        let Some((_, captured)) = visible.request.capture(&capture) else {
            return Err(Refusal::UnknownCapture.into());
        };
        if !new.amount.same_currency(captured.amount) {
            let of = captured.amount.currency();
            return Err(AppError::RefundCurrency { of });
        }
        if self.refunds_at(&capture).is_none() {
            return Err(AppError::RefundsUnsupported);
        }
        let command = Command::RequestRefund(RequestRefund {
            refund: self.refund_id(id, context)?,
            capture,
            part: new.part,
            minor: new.amount.minor(),
        });
        let order = Order {
            reason: Some(new.reason),
            ..Order::of(&command)
        };
        let executed = self.execute_order(id, context, order).await?;
        executed.map_err(|_| AppError::Contended)
    }

    /// Derived from the request and the caller's key, so that a repeat is about the same refund.
    fn refund_id(&self, id: &PaymentRequestId, context: &Context) -> Result<RefundId, AppError> {
        let Some(command) = &context.idempotency else {
            return Err(AppError::bug("a refund is asked for with a key"));
        };
        let parts = [id.as_str().as_bytes(), &command.key_hmac.0];
        let mut text = base32(&self.recorder.key().digest("refund", &parts).0);
        text.truncate(26);
        RefundId::parse(format!("rf_{text}")).map_err(AppError::bug)
    }
}

/// The capture that is named, or the only one. What never was paid has none.
fn money_meant(request: &Request, named: Option<&CaptureKey>) -> Result<CaptureKey, AppError> {
    if let Some(named) = named {
        let known = request.capture(named).map(|(key, _)| key.clone());
        return known.ok_or_else(|| Refusal::UnknownCapture.into());
    }
    let mut all = request.captures().keys();
    match (all.next(), all.next()) {
        (None, _) => Err(Refusal::NotPaid.into()),
        (Some(only), None) => Ok(only.clone()),
        (Some(_), Some(_)) => Err(Refusal::UnknownCapture.into()),
    }
}
