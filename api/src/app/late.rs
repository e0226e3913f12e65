//! Paying what closed already: it gave its order free, so another request may stand for the order by
//! now. Whoever pays late must own the order's claim, in the same append; every decision asks here
//! when it needs it.
//!
//! The claim is made anew by each late payment, so that two requests of one order that are paid at
//! once cannot both rely on what they found.

use domain::ids::PaymentRequestId;
use domain::payment::Request;
use domain::payment::claims::order_key;
use domain::payment::request::Closure;
use domain::ports::ClaimSpace;
use domain::stream::StreamId;

use super::App;
use super::error::AppError;
use super::observations::request_of;
use super::requests::FoundClaim;

/// Who stands for the order of a closed request.
pub(super) enum Stand {
    /// This request, or another that closed unpaid: it may be taken over.
    Free(FoundClaim),
    /// Another request that is open.
    Open(PaymentRequestId),
    /// Another request that is paid.
    Paid(PaymentRequestId),
}

impl App {
    /// The claim that a late payment of this request makes anew.
    ///
    /// # Errors
    /// [`AppError::OpenRequestExists`] or [`AppError::OrderAlreadyPaid`] where another request stands
    /// for the order. Both name it: whoever decides about late money sees all of the merchant's.
    pub(super) async fn order_to_pay(&self, request: &Request) -> Result<FoundClaim, AppError> {
        match self.stand_of_order(request).await? {
            Stand::Free(found) => Ok(found),
            Stand::Open(id) => Err(AppError::OpenRequestExists { id: Some(id) }),
            Stand::Paid(id) => Err(AppError::OrderAlreadyPaid { id: Some(id) }),
        }
    }

    /// Who stands for the order of a closed request.
    pub(super) async fn stand_of_order(&self, request: &Request) -> Result<Stand, AppError> {
        let terms = request.terms();
        let key = order_key(self.recorder.key(), &terms.merchant, &terms.order_id);
        let found = self
            .recorder
            .store()
            .find_claim(ClaimSpace::Order, &key)
            .await?;
        let claim = found.ok_or_else(|| AppError::bug("a request without its order's claim"))?;
        let free = Stand::Free(FoundClaim {
            owner: claim.owner.clone(),
            generation: claim.generation,
        });
        if claim.owner == StreamId::payment_request(&terms.id) {
            return Ok(free);
        }
        let id = request_of(&claim.owner)
            .ok_or_else(|| AppError::bug("an order claim of no request"))?;
        Ok(match self.fold_request(&id, None).await?.state {
            Some(other) if other.verified().is_some() => Stand::Paid(id),
            Some(other) if *other.closure() == Closure::Open => Stand::Open(id),
            Some(_) | None => free,
        })
    }
}
