//! Uniqueness that the events of a payment request rely on. Keys are HMACs, so that neither order
//! numbers nor transaction ids can be read from them.

use super::event::{CaptureKey, Event};
use super::request::{Closure, Request};
use super::terms::PricedBy;
use crate::digest::{Digest32, InstanceKey};
use crate::ids::{AccountSlug, MerchantId, OrderId, ProviderCode, ProviderRef, QuoteId};
use crate::ports::ClaimSpace;

/// A claim that an event needs; the use-case adds the owner and what must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNeed {
    /// Namespace.
    pub ns: ClaimSpace,
    /// HMAC of what is claimed.
    pub key: Digest32,
    /// Attempt number of a `ref` claim; 0 otherwise.
    pub detail: u32,
}

/// The payable request of an order.
pub fn order_key(key: &InstanceKey, merchant: &MerchantId, order: &OrderId) -> Digest32 {
    key.digest(
        "claim/order",
        &[merchant.as_str().as_bytes(), order.as_str().as_bytes()],
    )
}

/// The one request made from a quote.
pub fn quote_key(key: &InstanceKey, quote: &QuoteId) -> Digest32 {
    key.digest("claim/quote", &[quote.as_str().as_bytes()])
}

/// The attempt that our reference names at an account.
pub fn ref_key(
    key: &InstanceKey,
    provider: &ProviderCode,
    account: &AccountSlug,
    our_reference: &ProviderRef,
) -> Digest32 {
    let parts = [provider.as_str(), account.as_str(), our_reference.as_str()].map(str::as_bytes);
    key.digest("claim/ref", &parts)
}

/// The attempt that the provider's own order or session belongs to, for messages that do not repeat
/// our reference (row C5).
pub fn order_ref_key(
    key: &InstanceKey,
    provider: &ProviderCode,
    account: &AccountSlug,
    provider_order_ref: &ProviderRef,
) -> Digest32 {
    let parts = [
        provider.as_str(),
        account.as_str(),
        "order",
        provider_order_ref.as_str(),
    ]
    .map(str::as_bytes);
    key.digest("claim/ref", &parts)
}

/// The one request that a movement of money pays.
pub fn ptx_key(key: &InstanceKey, capture: &CaptureKey) -> Digest32 {
    let parts = [
        capture.provider.as_str(),
        capture.account.as_str(),
        capture.transaction.as_str(),
    ];
    key.digest("claim/ptx", &parts.map(str::as_bytes))
}

/// What an event claims, in the order in which it is listed in its record. `request` is the state
/// that the event is decided on.
pub fn needs_of(key: &InstanceKey, request: Option<&Request>, event: &Event) -> Vec<ClaimNeed> {
    #[cfg(feature = "planted")]
    if let Some(wrong) = super::planted::needs_of(key, request, event) {
        return wrong;
    }
    let need = |ns, key, detail| ClaimNeed { ns, key, detail };
    match event {
        Event::Created(terms) => {
            let mut needs = vec![need(
                ClaimSpace::Order,
                order_key(key, &terms.merchant, &terms.order_id),
                0,
            )];
            match &terms.priced_by {
                PricedBy::Quote { quote_id } => {
                    needs.push(need(ClaimSpace::Quote, quote_key(key, quote_id), 0))
                }
                PricedBy::Amount {} | PricedBy::Catalogue { .. } => {}
            }
            needs
        }
        // What closed gave its order free; it is paid for only while no other request stands for it.
        Event::PaymentVerified { .. } => request
            .filter(|request| *request.closure() != Closure::Open)
            .map(|request| order_key(key, &request.terms().merchant, &request.terms().order_id))
            .map(|order| need(ClaimSpace::Order, order, 0))
            .into_iter()
            .collect(),
        Event::AttemptStarted {
            attempt_no,
            provider,
            account,
            our_reference,
            ..
        } => {
            vec![need(
                ClaimSpace::Ref,
                ref_key(key, provider, account, our_reference),
                *attempt_no,
            )]
        }
        Event::PaymentCaptured { capture, .. }
        | Event::OverrideSubstantiated { capture, .. }
        | Event::CaptureAliasRecorded { alias: capture, .. } => {
            vec![need(ClaimSpace::Ptx, ptx_key(key, capture), 0)]
        }
        Event::AttemptRegistered {
            attempt_no,
            provider_order_ref: Some(order),
            ..
        } => {
            let attempt = request.and_then(|request| request.attempts().get(attempt_no));
            attempt.map_or_else(Vec::new, |attempt| {
                let claimed = order_ref_key(key, &attempt.provider, &attempt.account, order);
                vec![need(ClaimSpace::Ref, claimed, *attempt_no)]
            })
        }
        Event::AttemptRegistered {
            provider_order_ref: None,
            ..
        }
        | Event::AttemptUncertain { .. }
        | Event::AttemptPrechecked { .. }
        | Event::AttemptProgressed { .. }
        | Event::AttemptCancelRequested { .. }
        | Event::AttemptFailed { .. }
        | Event::UnappliedMoneyAccepted { .. }
        | Event::UnappliedMoneyKept { .. }
        | Event::CaptureReassigned { .. }
        | Event::CaptureReceived { .. }
        | Event::CaptureUnapplied { .. }
        | Event::VerificationRevoked { .. }
        | Event::Expired { .. }
        | Event::ExpiryDeferred { .. }
        | Event::Cancelled { .. }
        | Event::RefundRequested { .. }
        | Event::RefundSubmitted { .. }
        | Event::RefundAccepted { .. }
        | Event::RefundUncertain { .. }
        | Event::RefundFailed { .. }
        | Event::RefundSettled { .. }
        | Event::RefundReversed { .. }
        | Event::DisputeOpened { .. }
        | Event::DisputeClosed { .. }
        | Event::PayerNoticeRecorded { .. }
        | Event::EvidenceOpened { .. }
        | Event::OverrideProposed { .. }
        | Event::OverrideApproved { .. }
        | Event::OverrideRejected { .. }
        | Event::OverrideUnsubstantiated { .. }
        | Event::ExceptionOpened { .. }
        | Event::ExceptionAssigned { .. }
        | Event::ExceptionResolved { .. } => vec![],
    }
}
