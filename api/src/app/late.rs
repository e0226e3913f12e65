//! Paying what closed already: it gave its order free, so another request may stand for the order by
//! now. Whoever pays late must own the order's claim, in the same append.

use domain::payment::Request;
use domain::payment::claims::order_key;
use domain::payment::request::Closure;
use domain::ports::ClaimSpace;
use domain::stream::StreamId;

use super::App;
use super::error::AppError;
use super::observations::request_of;
use super::requests::FoundClaim;

impl App {
    /// The claim on the order of a closed request: its own, or one that it may take over from a
    /// request that closed unpaid. `None` while another request stands for the order.
    pub(super) async fn claim_of_order(
        &self,
        request: &Request,
    ) -> Result<Option<FoundClaim>, AppError> {
        let terms = request.terms();
        let key = order_key(self.recorder.key(), &terms.merchant, &terms.order_id);
        let found = self
            .recorder
            .store()
            .find_claim(ClaimSpace::Order, &key)
            .await?;
        let claim = found.ok_or_else(|| AppError::bug("a request without its order's claim"))?;
        let ours = claim.owner == StreamId::payment_request(&terms.id);
        let free = FoundClaim {
            generation: claim.generation,
            ours,
        };
        if ours {
            return Ok(Some(free));
        }
        let owner = request_of(&claim.owner)
            .ok_or_else(|| AppError::bug("an order claim of no request"))?;
        let stands = self
            .fold_request(&owner, None)
            .await?
            .state
            .is_some_and(|other| other.verified().is_some() || *other.closure() == Closure::Open);
        Ok((!stands).then_some(free))
    }
}
