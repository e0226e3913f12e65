//! A quote: an amount that a trusted backend fixed for an order, which a bot may turn into one
//! payment request. Stream `quote-<id>`; its one event never changes.

use serde::{Deserialize, Serialize};

use crate::codec::DomainEvent;
use crate::digest::Digest32;
use crate::ids::{ClientId, CorrelationId, CustomerRef, MerchantId, OrderId, QuoteId, ScenarioId};
use crate::money::Money;
use crate::time::Timestamp;

/// What was quoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The quote.
    pub id: QuoteId,
    /// Whose money.
    pub merchant: MerchantId,
    /// Who priced it.
    pub client: ClientId,
    /// The shop's order.
    pub order_id: OrderId,
    /// The customer, opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_ref: Option<CustomerRef>,
    /// The way of selling.
    pub scenario: ScenarioId,
    /// What is due.
    pub amount: Money,
    /// No request is made from it at or after this time.
    pub valid_until: Timestamp,
    /// The cart or conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<CorrelationId>,
}

/// The event of `quote-<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// The amount is fixed.
    #[serde(rename = "QuoteIssued")]
    Issued(Quote),
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[("QuoteIssued", 1)];
}

/// A quote cannot be issued or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its validity lies in the past.
    #[error("the quote would be invalid from the start")]
    ValidityInThePast,
    /// Its validity is over (row A1b).
    #[error("the quote was valid until {valid_until}")]
    Expired {
        /// Until when it was valid.
        valid_until: Timestamp,
    },
}

/// Id of the quote that this command makes; a repeated command meets the same stream.
pub fn id_of(command: &Digest32) -> QuoteId {
    QuoteId::parse(format!("qt_{}", command.short())).expect("a prefix and 26 characters")
}

/// Issues a quote.
///
/// # Errors
/// [`Refusal::ValidityInThePast`].
pub fn issue(quote: Quote, now: Timestamp) -> Result<Event, Refusal> {
    if quote.valid_until > now {
        Ok(Event::Issued(quote))
    } else {
        Err(Refusal::ValidityInThePast)
    }
}

impl Quote {
    /// The quote of a stream.
    pub fn of(event: &Event) -> Self {
        match event {
            Event::Issued(quote) => quote.clone(),
        }
    }

    /// May it still be used?
    ///
    /// # Errors
    /// [`Refusal::Expired`].
    pub fn usable(&self, now: Timestamp) -> Result<(), Refusal> {
        if now < self.valid_until {
            Ok(())
        } else {
            Err(Refusal::Expired {
                valid_until: self.valid_until,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn quote(valid_until: Timestamp) -> Quote {
        Quote {
            id: id_of(&Digest32([1; 32])),
            merchant: MerchantId::parse("shop").unwrap(),
            client: ClientId::parse("backend").unwrap(),
            order_id: OrderId::parse("1001").unwrap(),
            customer_ref: None,
            scenario: ScenarioId::parse("telegram").unwrap(),
            amount: Money::new(150_000, Currency::from_code("AMD").unwrap()).unwrap(),
            valid_until,
            correlation_id: None,
        }
    }

    #[test]
    fn an_expired_quote_makes_no_request_a1b() {
        let end = Timestamp::from_seconds(100);
        assert!(quote(end).usable(Timestamp::from_millis(99_999)).is_ok());
        assert_eq!(
            quote(end).usable(end),
            Err(Refusal::Expired { valid_until: end })
        );
        assert_eq!(issue(quote(end), end), Err(Refusal::ValidityInThePast));
    }
}
