//! Money moves between two streams: it leaves its source first, and this brings it to the request that
//! gets it. Called by a loop, safe to repeat, from zero, after any crash.

use domain::codec::decode;
use domain::ids::{MerchantId, PaymentRequestId};
use domain::money::Currency;
use domain::payment::evidence::Mode;
use domain::payment::{CaptureKey, Command, Event, Transfer};
use domain::record::{Envelope, Recorded};
use domain::sealed::EvidenceRef;
use domain::stream::{Category, StreamId, Version};
use domain::unmatched;

use super::App;
use super::case_decisions::CaseRefusal;
use super::context::Context;
use super::error::AppError;
use super::requests::Order;

/// Name of the loop; it is the actor of what arrives.
pub const ENTRY: &str = "work::transfers";
/// Events read in one go.
const PAGE: usize = 1000;

/// Whose money it is, as both ends of a transfer must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The merchant.
    pub merchant: &'a MerchantId,
    /// Live or test money.
    pub mode: Mode,
    /// Its currency.
    pub currency: Currency,
}

impl App {
    /// The request that shall get the money, when it is of the same owner.
    ///
    /// # Errors
    /// [`CaseRefusal`]; another merchant's request does not exist.
    pub async fn may_receive(
        &self,
        to: &PaymentRequestId,
        owner: Owner<'_>,
    ) -> Result<(), AppError> {
        let found = self.fold_request(to, None).await?.state;
        let target = found
            .filter(|request| request.terms().merchant == *owner.merchant)
            .ok_or(CaseRefusal::NoSuchTarget)?;
        let terms = target.terms();
        if terms.amount.currency() != owner.currency {
            return Err(CaseRefusal::OtherCurrency.into());
        }
        if terms.mode != owner.mode {
            return Err(CaseRefusal::OtherMode.into());
        }
        Ok(())
    }

    /// Brings what an event sent away to the request that gets it. Gives the request, when something
    /// arrived there now; a repeat changes nothing.
    ///
    /// # Errors
    /// [`AppError`]. Until it succeeds, the money is in transit.
    pub async fn complete_transfer(
        &self,
        left: &Recorded,
    ) -> Result<Option<PaymentRequestId>, AppError> {
        let envelope = left.envelope().map_err(AppError::bug)?;
        let Some((to, transfer)) = self.sent_by(&left.stream, &envelope).await? else {
            return Ok(None);
        };
        let target = self.fold_request(&to, None).await?.state;
        let target = target.ok_or(AppError::NotFound {
            what: "payment request",
        })?;
        if envelope.merchant.as_ref() != Some(&target.terms().merchant) {
            return Err(AppError::bug("a transfer to another merchant"));
        }
        let evidence = self
            .evidence_of_money(&left.stream, &transfer.capture)
            .await?;
        let mut context = Context::job(ENTRY).caused_by(envelope.event_id);
        context.correlation_id = target.terms().correlation_id.clone();
        let command = Command::ReceiveTransfer(transfer);
        let order = Order {
            evidence,
            ..Order::of(&command)
        };
        let done = self.execute_order(&to, &context, order).await?;
        let done = done.map_err(|_| AppError::bug("a transfer that claims something"))?;
        Ok((!done.events.is_empty()).then_some(to))
    }

    /// What an event sent away, and to whom. `None` where it sent nothing.
    async fn sent_by(
        &self,
        from: &StreamId,
        envelope: &Envelope,
    ) -> Result<Option<(PaymentRequestId, Transfer)>, AppError> {
        if from.category() != Category::Unmatched {
            let event: Event = decode(envelope).map_err(AppError::bug)?;
            return Ok(Transfer::sent_by(from, &event));
        }
        let folded = self.fold_suspense(from).await?;
        Ok(folded.state.and_then(|known| known.sent(from)))
    }

    /// On what the money is known: the evidence of the event that brought it to this stream.
    async fn evidence_of_money(
        &self,
        stream: &StreamId,
        capture: &CaptureKey,
    ) -> Result<Vec<EvidenceRef>, AppError> {
        let (store, mut found) = (self.recorder.store(), vec![]);
        let mut from = Version::FIRST;
        loop {
            let page = store.read_stream(stream, from, PAGE).await?;
            let full = page.len() == PAGE;
            for recorded in page {
                from = recorded.record.version.next();
                let envelope = recorded.envelope().map_err(AppError::bug)?;
                if brought_by(stream, &envelope)?.as_ref() == Some(capture) {
                    found = envelope.evidence;
                }
            }
            if !full {
                return Ok(found);
            }
        }
    }
}

/// The money that an event brought to its stream.
fn brought_by(stream: &StreamId, envelope: &Envelope) -> Result<Option<CaptureKey>, AppError> {
    if stream.category() == Category::Unmatched {
        let event: unmatched::Event = decode(envelope).map_err(AppError::bug)?;
        return Ok(match event {
            unmatched::Event::Observed(money) => Some(money.capture),
            unmatched::Event::Resolved(_)
            | unmatched::Event::ExceptionOpened { .. }
            | unmatched::Event::ExceptionAssigned { .. }
            | unmatched::Event::ExceptionResolved { .. } => None,
        });
    }
    let event: Event = decode(envelope).map_err(AppError::bug)?;
    let (Event::PaymentCaptured { capture, .. }
    | Event::OverrideSubstantiated { capture, .. }
    | Event::CaptureReceived { capture, .. }) = event
    else {
        return Ok(None);
    };
    Ok(Some(capture))
}
