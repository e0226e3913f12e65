//! Quotes: a trusted backend fixes an amount for an order.

use std::time::Duration;

use domain::idempotency::{Idempotency, Replay};
use domain::ids::{CorrelationId, QuoteId};
use domain::money::Money;
use domain::ports::{AppendError, Expect, Position};
use domain::quote::{self, Quote};
use domain::stream::StreamId;

use super::App;
use super::caller::Caller;
use super::context::Context;
use super::create::NewOrder;
use super::error::AppError;
use super::recorder::{Decision, Draft, RecordFailure};

/// What a backend quotes.
#[derive(Debug, Clone)]
pub struct NewQuote {
    /// What is sold.
    pub order: NewOrder,
    /// What is due.
    pub amount: Money,
    /// How long it may be used, in seconds.
    pub valid_for_s: u32,
    /// The cart or conversation.
    pub correlation_id: Option<CorrelationId>,
}

/// A quote with its place in the log.
#[derive(Debug, Clone)]
pub struct IssuedQuote {
    /// The quote.
    pub quote: Quote,
    /// Where it was written.
    pub position: Option<Position>,
    /// True when it was issued before and this is the first answer again.
    pub replayed: bool,
}

impl App {
    /// Issues a quote, or gives the first answer again.
    ///
    /// # Errors
    /// [`AppError`]: scenario and amount are checked now, so that a bot never meets a quote that
    /// cannot be used.
    pub async fn issue_quote(
        &self,
        caller: &Caller,
        context: &Context,
        new: NewQuote,
    ) -> Result<IssuedQuote, AppError> {
        let command = context
            .idempotency
            .ok_or_else(|| AppError::bug("a quote without a key"))?;
        match self.issue_new_quote(caller, context, &command, new).await {
            Ok(issued) => Ok(issued),
            // What was issued once is answered again, whatever would be said today.
            Err(refusal) => self.earlier_quote(&command).await?.ok_or(refusal),
        }
    }

    async fn issue_new_quote(
        &self,
        caller: &Caller,
        context: &Context,
        command: &Idempotency,
        new: NewQuote,
    ) -> Result<IssuedQuote, AppError> {
        let id: QuoteId = quote::id_of(&command.key_hmac);
        let stream = StreamId::quote(&id);
        let now = self.recorder.now();
        caller.use_scenario(&new.order.scenario)?;
        self.scenario(&caller.merchant, &new.order.scenario)?
            .admit(new.amount, 1)?;
        let quote = Quote {
            id: id.clone(),
            merchant: caller.merchant.clone(),
            client: caller.client()?.clone(),
            order_id: new.order.order_id,
            customer_ref: new.order.customer_ref,
            scenario: new.order.scenario,
            amount: new.amount,
            valid_until: now.plus(Duration::from_secs(u64::from(new.valid_for_s))),
            correlation_id: new.correlation_id,
        };
        let event = quote::issue(quote.clone(), now)?;
        let decision = Decision {
            stream: &stream,
            expect: Expect::NoStream,
            merchant: Some(&caller.merchant),
            command: "issue_quote",
            context,
            drafts: vec![Draft::of(&event)],
            claims: vec![],
        };
        match self.recorder.append(decision).await {
            Ok(receipt) => Ok(IssuedQuote {
                quote,
                position: Some(receipt.appended.position),
                replayed: false,
            }),
            Err(RecordFailure::Append(AppendError::Conflict { .. })) => {
                let earlier = self.earlier_quote(command).await?;
                earlier.ok_or_else(|| AppError::bug("a conflict on an empty stream"))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Rows A2 and A3, for quotes.
    async fn earlier_quote(&self, command: &Idempotency) -> Result<Option<IssuedQuote>, AppError> {
        let stream = StreamId::quote(&quote::id_of(&command.key_hmac));
        let evolve =
            |known: Option<Quote>, event: &quote::Event| known.or_else(|| Some(Quote::of(event)));
        let folded = self.recorder.fold(&stream, None, evolve).await?;
        match (folded.replays.check(command), folded.state) {
            (Replay::Same(_), Some(quote)) => Ok(Some(IssuedQuote {
                quote,
                position: folded.position,
                replayed: true,
            })),
            (Replay::Fresh, _) => Ok(None),
            (Replay::Same(_) | Replay::Different, _) => Err(AppError::IdempotencyMismatch),
        }
    }
}
