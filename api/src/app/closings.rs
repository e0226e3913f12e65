//! How a case that is closed was closed: what a repeat of the decision is told, and whether it is one.

use domain::ids::{CaseId, MerchantId, ReasonCode, RefundId, TransferId};
use domain::payment::Refusal;
use serde_json::Value;

use super::App;
use super::cases::{names_case, no_such_case, stream_of};
use super::error::AppError;

/// How a case was closed, and what became of its money in the same moment.
pub(super) struct Closing {
    /// Why, where a person decided.
    reason: Option<ReasonCode>,
    /// The refund that it went back by.
    pub refund: Option<RefundId>,
    /// The transfer that it left by.
    pub transfer: Option<TransferId>,
}

impl Closing {
    /// Whether somebody who decides the same for this reason says nothing new. Another reason would
    /// stand nowhere, so it is refused.
    ///
    /// # Errors
    /// [`Refusal::CaseClosed`].
    pub(super) fn repeated_because(&self, why: Option<&ReasonCode>) -> Result<(), Refusal> {
        match (&self.reason, why) {
            (Some(known), Some(why)) if known != why => Err(Refusal::CaseClosed),
            (Some(_) | None, _) => Ok(()),
        }
    }
}

impl App {
    /// How a case that is closed was closed.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; outages.
    pub(super) async fn closing_of(
        &self,
        merchant: &MerchantId,
        id: &CaseId,
    ) -> Result<Closing, AppError> {
        let events = self.records_of(merchant, &stream_of(id)?).await?;
        let closed = events
            .iter()
            .rfind(|event| event.event_type == "ExceptionResolved" && names_case(event, id))
            .ok_or_else(no_such_case)?;
        let at_once = events
            .iter()
            .filter(|event| event.cause.command_id == closed.cause.command_id);
        let told: Vec<&Value> = at_once.map(|event| &event.data).collect();
        let named = |name: &str| told.iter().find_map(|data| data.get(name)?.as_str());
        Ok(Closing {
            reason: closed.reason.as_ref().map(|why| why.code.clone()),
            refund: named("refund").and_then(|id| RefundId::parse(id).ok()),
            transfer: named("transfer").and_then(|id| TransferId::parse(id).ok()),
        })
    }
}
