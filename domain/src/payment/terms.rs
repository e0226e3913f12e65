//! The commercial terms of a payment request. They never change; a change supersedes.

use serde::{Deserialize, Serialize};

use super::evidence::Mode;
use crate::ids::{
    AccountSlug, ClientId, CorrelationId, CustomerRef, ItemCode, MerchantId, OrderId,
    PaymentRequestId, QuoteId, ScenarioId,
};
use crate::money::{MinorText, Money};
use crate::time::Timestamp;

/// Everything that is fixed when a request is created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The request.
    pub id: PaymentRequestId,
    /// Whose money.
    pub merchant: MerchantId,
    /// Who created it. A bot sees only its own.
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
    /// Who fixed the amount.
    pub priced_by: PricedBy,
    /// Live or test money.
    pub mode: Mode,
    /// Not payable afterwards.
    pub expires_at: Timestamp,
    /// The scenario's rules as they stood at creation.
    pub rules: Rules,
    /// The request that this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<PaymentRequestId>,
    /// The cart or conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<CorrelationId>,
}

/// Who fixed the amount. A bot never does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by")]
pub enum PricedBy {
    /// A backend with scope `amount:set`.
    #[serde(rename = "amount")]
    Amount {},
    /// A backend, earlier, in a quote.
    #[serde(rename = "quote")]
    Quote {
        /// Which quote.
        quote_id: QuoteId,
    },
    /// The configured catalogue.
    #[serde(rename = "catalogue")]
    Catalogue {
        /// What was ordered.
        lines: Vec<CatalogueLine>,
    },
}

/// One line of a catalogue order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueLine {
    /// The item.
    pub item: ItemCode,
    /// How many; at least one.
    pub quantity: u32,
}

/// The scenario's rules that decide what becomes of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// What happens to less than what is due.
    pub partial: PartialPolicy,
    /// A difference of at most this many minor units still pays (row D5).
    pub tolerance_minor: MinorText,
    /// Provider accounts that may be used, in order of preference.
    pub accounts: Vec<AccountSlug>,
    /// Money that came provably in time and is told after expiry pays, without a person (row E7).
    #[serde(default)]
    pub auto_accept_on_time: bool,
    /// Who may decide that it is paid without money.
    #[serde(default)]
    pub overrides: OverrideRules,
}

/// Who may decide against the evidence (rows H2 to H7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OverrideRules {
    /// False where nobody may.
    pub allowed: bool,
    /// From this many minor units on, the person who approves is not the one who proposed; 0 for
    /// always.
    pub four_eyes_from_minor: MinorText,
    /// Business days (Monday to Friday, UTC) in which money must prove it.
    pub prove_within_days: u8,
}

impl Default for OverrideRules {
    fn default() -> Self {
        Self {
            allowed: true,
            four_eyes_from_minor: MinorText(0),
            prove_within_days: 5,
        }
    }
}

impl OverrideRules {
    /// True when one person is not enough for this amount.
    pub fn four_eyes(&self, amount: Money) -> bool {
        amount.minor() >= self.four_eyes_from_minor.0
    }
}

/// What happens to less than what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartialPolicy {
    /// It is not applied; a person decides (row D1).
    #[serde(rename = "reject_to_review")]
    RejectToReview,
    /// It is applied; the rest stays due (rows D2, D3).
    #[serde(rename = "accumulate")]
    Accumulate,
}
