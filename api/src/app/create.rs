//! Creating a payment request: who fixed the amount, may this caller sell this way, and is there
//! an open request for the order already.

use std::time::Duration;

use domain::access::scope::Scope;
use domain::catalogue;
use domain::idempotency::Replay;
use domain::ids::{CorrelationId, CustomerRef, OrderId, PaymentRequestId, QuoteId, ScenarioId};
use domain::money::Money;
use domain::payment::claims::quote_key;
use domain::payment::event::CancelledBy;
use domain::payment::request::Closure;
use domain::payment::terms::CatalogueLine;
use domain::payment::{Command, PricedBy, Terms};
use domain::ports::ClaimSpace;
use domain::quote;
use domain::stream::StreamId;

use super::App;
use super::caller::Caller;
use super::context::Context;
use super::error::AppError;
use super::recorder::Folded;
use super::requests::{Executed, FoundClaim, Once, Order, Taken};

/// How often a create looks again because the order's claim changed hands meanwhile.
const CLAIM_AGAIN_MAX: u32 = 8;

/// What a caller asks for.
#[derive(Debug, Clone)]
pub struct NewPaymentRequest {
    /// Who fixes the amount.
    pub pricing: Pricing,
    /// Shortens the scenario's longest life, in seconds.
    pub expires_in_s: Option<u32>,
    /// Replace an open request of the same order (row A4).
    pub supersede: bool,
    /// The cart or conversation.
    pub correlation_id: Option<CorrelationId>,
}

/// Who fixes the amount.
#[derive(Debug, Clone)]
pub enum Pricing {
    /// This caller, by scope `amount:set`.
    Amount {
        /// What is due.
        amount: Money,
        /// What is sold.
        order: NewOrder,
    },
    /// A backend did, in a quote that also names the order.
    Quote(QuoteId),
    /// The catalogue does.
    Items {
        /// What is ordered.
        lines: Vec<CatalogueLine>,
        /// What is sold.
        order: NewOrder,
    },
}

/// The order that a request is for.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// The shop's order.
    pub order_id: OrderId,
    /// The way of selling.
    pub scenario: ScenarioId,
    /// The customer, opaque.
    pub customer_ref: Option<CustomerRef>,
}

impl App {
    /// Creates a request, or gives the first answer again.
    ///
    /// # Errors
    /// [`AppError`]: forbidden amounts and scenarios, rules of the scenario, rows A1b, A3, A4, A5.
    pub async fn create_payment_request(
        &self,
        caller: &Caller,
        context: &Context,
        new: NewPaymentRequest,
    ) -> Result<Executed, AppError> {
        let command = context
            .idempotency
            .ok_or_else(|| AppError::bug("a create without a key"))?;
        let id = PaymentRequestId::parse(format!("pr_{}", command.key_hmac.short()))
            .map_err(AppError::bug)?;
        match self.price(caller, &id, &new).await {
            Ok(terms) => self.create_with(caller, context, &id, &new, terms).await,
            // What was accepted once is answered again, whatever would be said today.
            Err(refusal) => self.earlier_answer(context, &id).await?.ok_or(refusal),
        }
    }

    async fn create_with(
        &self,
        caller: &Caller,
        context: &Context,
        id: &PaymentRequestId,
        new: &NewPaymentRequest,
        terms: Terms,
    ) -> Result<Executed, AppError> {
        let command = Command::Create(Box::new(terms));
        let mut order = Order::of(&command);
        for again in (0..CLAIM_AGAIN_MAX).rev() {
            let fresh = Folded {
                state: None,
                version: None,
                position: None,
                replays: Default::default(),
            };
            match self.decide_once(id, context, &order, fresh).await? {
                Once::Done(executed) => return Ok(*executed),
                Once::Conflict => {
                    let earlier = self.earlier_answer(context, id).await?;
                    return earlier.ok_or_else(|| AppError::bug("a conflict on an empty stream"));
                }
                // Without another try nothing may be cancelled: the order would be left without a request.
                Once::Taken(_) if again == 0 => break,
                Once::Taken(taken) => {
                    let generation = self.may_take_over(caller, context, id, new, &taken).await?;
                    order.order_claim = Some(FoundClaim {
                        owner: taken.owner,
                        generation,
                    });
                }
            }
        }
        Err(AppError::Contended)
    }

    /// Rows A2 and A3.
    async fn earlier_answer(
        &self,
        context: &Context,
        id: &PaymentRequestId,
    ) -> Result<Option<Executed>, AppError> {
        let folded = self.fold_request(id, None).await?;
        let Some(command) = &context.idempotency else {
            return Ok(None);
        };
        match folded.replays.check(command) {
            Replay::Same(version) => self.first_answer(id, version).await.map(Some),
            Replay::Different => Err(AppError::IdempotencyMismatch),
            Replay::Fresh => Ok(None),
        }
    }

    /// The claim is another request's: rows A1b, A4, A5, E16. Gives the generation to take over
    /// from a closed one.
    async fn may_take_over(
        &self,
        caller: &Caller,
        context: &Context,
        id: &PaymentRequestId,
        new: &NewPaymentRequest,
        taken: &Taken,
    ) -> Result<u64, AppError> {
        match taken.ns {
            ClaimSpace::Quote => return Err(AppError::QuoteUsed),
            ClaimSpace::Ptx | ClaimSpace::Ref => {
                return Err(AppError::bug("a create claims no money"));
            }
            ClaimSpace::Order => {}
        }
        // What is refused in the end must not cancel anything before.
        if self.is_used(&new.pricing).await? {
            return Err(AppError::QuoteUsed);
        }
        let owner_id = PaymentRequestId::parse(taken.owner.key()).map_err(AppError::bug)?;
        let folded = self.fold_request(&owner_id, None).await?;
        let Some(owner) = folded.state else {
            return Ok(taken.generation);
        };
        // A bot is told no foreign id and replaces no foreign request.
        let visible = caller.sees(&owner);
        if owner.verified().is_some() {
            return Err(AppError::OrderAlreadyPaid {
                id: visible.then_some(owner_id),
            });
        }
        if *owner.closure() == Closure::Open {
            if !new.supersede || !visible {
                return Err(AppError::OpenRequestExists {
                    id: visible.then_some(owner_id),
                });
            }
            self.end_open_attempts(&owner_id, context).await?;
            let by = CancelledBy::Superseded;
            let cancel = Command::Cancel {
                by,
                superseded_by: Some(id.clone()),
            };
            let context = Context {
                idempotency: None,
                ..context.clone()
            };
            self.execute(&owner_id, &context, &cancel).await?;
        }
        Ok(taken.generation)
    }

    /// Row A1b: a request was made from the quote.
    async fn is_used(&self, pricing: &Pricing) -> Result<bool, AppError> {
        let Pricing::Quote(quote) = pricing else {
            return Ok(false);
        };
        let key = quote_key(self.recorder.key(), quote);
        let store = self.recorder.store();
        let claim = store.find_claim(ClaimSpace::Quote, &key).await?;
        Ok(claim.is_some())
    }

    /// Fixes the terms. The amount is never taken from a caller who may not set it.
    async fn price(
        &self,
        caller: &Caller,
        id: &PaymentRequestId,
        new: &NewPaymentRequest,
    ) -> Result<Terms, AppError> {
        let now = self.recorder.now();
        let (order, amount, priced_by) = match &new.pricing {
            Pricing::Amount { amount, order } => {
                if !caller.may(Scope::AmountSet) {
                    return Err(AppError::Forbidden {
                        why: "this client may not set an amount; use a quote",
                    });
                }
                (order.clone(), *amount, PricedBy::Amount {})
            }
            Pricing::Quote(quote_id) => {
                let quote = self.quote(caller, quote_id).await?;
                quote.usable(now)?;
                let order = NewOrder {
                    order_id: quote.order_id,
                    scenario: quote.scenario,
                    customer_ref: quote.customer_ref,
                };
                (
                    order,
                    quote.amount,
                    PricedBy::Quote {
                        quote_id: quote_id.clone(),
                    },
                )
            }
            Pricing::Items { lines, order } => {
                let items = &self.merchant(&caller.merchant)?.catalogue;
                let amount = catalogue::price(items, lines)?;
                (
                    order.clone(),
                    amount,
                    PricedBy::Catalogue {
                        lines: lines.clone(),
                    },
                )
            }
        };
        caller.use_scenario(&order.scenario)?;
        let scenario = self.scenario(&caller.merchant, &order.scenario)?;
        let life_s = new.expires_in_s.unwrap_or(scenario.life_s_max);
        scenario.admit(amount, life_s)?;
        Ok(Terms {
            id: id.clone(),
            merchant: caller.merchant.clone(),
            client: caller.client()?.clone(),
            order_id: order.order_id,
            customer_ref: order.customer_ref,
            scenario: order.scenario,
            amount,
            priced_by,
            mode: caller.mode,
            expires_at: now.plus(Duration::from_secs(u64::from(life_s))),
            rules: scenario.rules(),
            supersedes: None,
            correlation_id: new.correlation_id.clone(),
        })
    }

    /// A quote of the caller's merchant.
    ///
    /// # Errors
    /// [`AppError::NotFound`] also for another merchant's.
    pub async fn quote(&self, caller: &Caller, id: &QuoteId) -> Result<quote::Quote, AppError> {
        let evolve = |known: Option<quote::Quote>, event: &quote::Event| {
            known.or_else(|| Some(quote::Quote::of(event)))
        };
        let folded = self
            .recorder
            .fold(&StreamId::quote(id), None, evolve)
            .await?;
        let quote = folded
            .state
            .filter(|quote| quote.merchant == caller.merchant);
        quote.ok_or(AppError::NotFound { what: "quote" })
    }
}
