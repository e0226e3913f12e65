//! Paying what closed already: it gave its order free, so another request may stand for the order by
//! now. Whoever pays late must own the order's claim, in the same append.

use domain::ids::PaymentRequestId;
use domain::payment::claims::order_key;
use domain::payment::request::Closure;
use domain::payment::{Command, Request};
use domain::ports::ClaimSpace;
use domain::stream::StreamId;

use super::App;
use super::context::Context;
use super::error::AppError;
use super::observations::request_of;
use super::requests::{Executed, FoundClaim, Order};

/// How often it is looked again because the order's claim changed hands meanwhile.
const CLAIM_AGAIN_MAX: u32 = 8;

/// Who stands for an order.
pub(super) enum Stand {
    /// This request, or a closed one that it may take over from.
    Free(FoundClaim),
    /// Another request that is open.
    Open(PaymentRequestId),
    /// Another request that is paid.
    Paid(PaymentRequestId),
}

impl App {
    /// Who stands for the order of a closed request.
    pub(super) async fn stand_of_order(&self, request: &Request) -> Result<Stand, AppError> {
        let terms = request.terms();
        let key = order_key(self.recorder.key(), &terms.merchant, &terms.order_id);
        let found = self
            .recorder
            .store()
            .find_claim(ClaimSpace::Order, &key)
            .await?;
        let owner = found.ok_or_else(|| AppError::bug("a request without its order's claim"))?;
        let free = |ours| {
            Stand::Free(FoundClaim {
                generation: owner.generation,
                ours,
            })
        };
        if owner.owner == StreamId::payment_request(&terms.id) {
            return Ok(free(true));
        }
        let id = request_of(&owner.owner)
            .ok_or_else(|| AppError::bug("an order claim of no request"))?;
        Ok(match self.fold_request(&id, None).await?.state {
            Some(other) if other.verified().is_some() => Stand::Paid(id),
            Some(other) if *other.closure() == Closure::Open => Stand::Open(id),
            Some(_) | None => free(false),
        })
    }

    /// Executes a command that may pay a closed request.
    ///
    /// # Errors
    /// As [`App::execute`], and [`AppError::OpenRequestExists`] or [`AppError::OrderAlreadyPaid`]
    /// where another request stands for the order.
    pub async fn execute_late(
        &self,
        id: &PaymentRequestId,
        context: &Context,
        command: &Command,
    ) -> Result<Executed, AppError> {
        for _ in 0..CLAIM_AGAIN_MAX {
            let mut order = Order::of(command);
            let request = self.fold_request(id, None).await?.state;
            let closed = request.filter(|request| {
                *request.closure() != Closure::Open && request.verified().is_none()
            });
            if let Some(request) = closed {
                match self.stand_of_order(&request).await? {
                    Stand::Free(found) => order.order_claim = Some(found),
                    Stand::Open(id) => return Err(AppError::OpenRequestExists { id: Some(id) }),
                    Stand::Paid(id) => return Err(AppError::OrderAlreadyPaid { id: Some(id) }),
                }
            }
            // A taken claim means that another request was created meanwhile.
            if let Ok(executed) = self.execute_order(id, context, order).await? {
                return Ok(executed);
            }
        }
        Err(AppError::Contended)
    }
}
