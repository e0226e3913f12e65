//! Facts: what a provider says, in one vocabulary for callbacks, look-ups and settlement files.
//!
//! An adapter turns authenticated bytes into an [`Observation`]. It never guesses: a status that it
//! does not recognise is [`FactKind::Unknown`], a field that the provider does not state is `None`.

use serde::{Deserialize, Serialize};

use super::evidence::{EvidenceClass, Mode};
use crate::ids::{AccountSlug, ProviderCode, ProviderRef};
use crate::money::{Money, Sum};
use crate::sealed::Commitment;
use crate::time::{ProviderTime, Timestamp};

/// What happened, as one provider tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum FactKind {
    /// The order is known to the provider; nothing was tried.
    #[serde(rename = "registered")]
    Registered,
    /// The payer is at it.
    #[serde(rename = "processing")]
    Processing,
    /// Money is held, not taken.
    #[serde(rename = "authorised")]
    Authorised,
    /// Money was taken. Needs [`Fact::transaction`].
    #[serde(rename = "captured")]
    Captured,
    /// This attempt failed.
    #[serde(rename = "declined")]
    Declined,
    /// The provider's session ended unpaid.
    #[serde(rename = "session_expired")]
    SessionExpired,
    /// The provider could not say, or said something that the adapter does not know.
    #[serde(rename = "unknown")]
    Unknown,
    /// The capture was taken back before settlement.
    #[serde(rename = "voided")]
    Voided {
        /// The provider's id of the reversal.
        reversal: Option<ProviderRef>,
    },
    /// Money of the capture was given back.
    #[serde(rename = "refunded")]
    Refunded {
        /// One refund, or all refunds of the capture so far.
        #[serde(rename = "refunded")] // `amount` is the fact's own, beside it.
        amount: RefundAmount,
        /// The provider's id of the reversal.
        reversal: Option<ProviderRef>,
    },
    /// A refund did not happen.
    #[serde(rename = "refund_failed")]
    RefundFailed {
        /// The provider's id of the reversal.
        reversal: Option<ProviderRef>,
    },
    /// The payer's bank disputes the capture.
    #[serde(rename = "dispute_opened")]
    DisputeOpened {
        /// The provider's id of the dispute.
        dispute: ProviderRef,
        /// How much is disputed.
        #[serde(rename = "disputed")]
        amount: Option<Money>,
        /// The provider's reason code.
        reason: Option<String>,
        /// Answer it before.
        due_by: Option<Timestamp>,
    },
    /// The dispute ended for us.
    #[serde(rename = "dispute_won")]
    DisputeWon {
        /// The provider's id of the dispute.
        dispute: ProviderRef,
    },
    /// The dispute ended against us.
    #[serde(rename = "dispute_lost")]
    DisputeLost {
        /// The provider's id of the dispute.
        dispute: ProviderRef,
    },
}

impl FactKind {
    /// The wire name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Processing => "processing",
            Self::Authorised => "authorised",
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::SessionExpired => "session_expired",
            Self::Unknown => "unknown",
            Self::Voided { .. } => "voided",
            Self::Refunded { .. } => "refunded",
            Self::RefundFailed { .. } => "refund_failed",
            Self::DisputeOpened { .. } => "dispute_opened",
            Self::DisputeWon { .. } => "dispute_won",
            Self::DisputeLost { .. } => "dispute_lost",
        }
    }

    /// True when it says that money goes back, or may.
    pub fn takes_back(&self) -> bool {
        match self {
            Self::Voided { .. }
            | Self::Refunded { .. }
            | Self::RefundFailed { .. }
            | Self::DisputeOpened { .. }
            | Self::DisputeWon { .. }
            | Self::DisputeLost { .. } => true,
            Self::Registered
            | Self::Processing
            | Self::Authorised
            | Self::Captured
            | Self::Declined
            | Self::SessionExpired
            | Self::Unknown => false,
        }
    }
}

/// How a provider counts refunds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "counted", content = "amount")]
pub enum RefundAmount {
    /// This refund alone.
    #[serde(rename = "delta")]
    Delta(Money),
    /// All refunds of this capture so far.
    #[serde(rename = "cumulative")]
    Cumulative(Sum),
}

/// One normalised statement of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What happened.
    #[serde(flatten)]
    pub kind: FactKind,
    /// Our reference, as the provider repeats it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub our_reference: Option<ProviderRef>,
    /// The provider's order or session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_order_ref: Option<ProviderRef>,
    /// Third part of the capture's identity, canonicalised by the adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<ProviderRef>,
    /// Another id of the same movement of money, where the provider gives it two (row B4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_of: Option<ProviderRef>,
    /// The captured or authorised amount; `None` when the provider does not state it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The merchant account that the provider names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payee: Option<String>,
    /// Live or test, where the provider says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// When it happened there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_time: Option<ProviderTime>,
    /// The provider's own word for the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_status: Option<String>,
}

impl Fact {
    /// A fact that states nothing but its kind.
    pub fn bare(kind: FactKind) -> Self {
        Self {
            kind,
            our_reference: None,
            provider_order_ref: None,
            transaction: None,
            alias_of: None,
            amount: None,
            payee: None,
            mode: None,
            provider_time: None,
            provider_status: None,
        }
    }

    /// Every identifier that the provider's message holds and this fact repeats.
    pub fn references(&self) -> Vec<&str> {
        let of_kind = match &self.kind {
            FactKind::Registered
            | FactKind::Processing
            | FactKind::Authorised
            | FactKind::Captured
            | FactKind::Declined
            | FactKind::SessionExpired
            | FactKind::Unknown => None,
            FactKind::Voided { reversal }
            | FactKind::Refunded { reversal, .. }
            | FactKind::RefundFailed { reversal } => reversal.as_ref(),
            FactKind::DisputeOpened { dispute, .. }
            | FactKind::DisputeWon { dispute }
            | FactKind::DisputeLost { dispute } => Some(dispute),
        };
        let ids = [
            self.our_reference.as_ref(),
            self.provider_order_ref.as_ref(),
            self.transaction.as_ref(),
            self.alias_of.as_ref(),
            of_kind,
        ];
        ids.into_iter()
            .flatten()
            .map(ProviderRef::as_str)
            .chain(self.payee.as_deref())
            .collect()
    }
}

/// What one notification, look-up or statement row says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The provider.
    pub provider: ProviderCode,
    /// The account whose secret authenticated it, or that was asked.
    pub account: AccountSlug,
    /// How much it proves.
    pub class: EvidenceClass,
    /// The statements, in the order of the source.
    pub facts: Vec<Fact>,
    /// The sealed source bytes.
    pub commitment: Commitment,
    /// When we received it.
    pub received_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_identifier_of_a_fact_is_told_once() {
        let id = |text: &str| ProviderRef::parse(text).unwrap();
        let fact = |kind| Fact {
            our_reference: Some(id("ours")),
            provider_order_ref: Some(id("order")),
            transaction: Some(id("tx")),
            payee: Some("shop".into()),
            ..Fact::bare(kind)
        };
        let reversal = Some(id("more"));
        let delta =
            RefundAmount::Cumulative(Sum::zero(crate::money::Currency::from_code("AMD").unwrap()));
        let opened = FactKind::DisputeOpened {
            dispute: id("more"),
            amount: None,
            reason: None,
            due_by: None,
        };
        for kind in [
            FactKind::Voided {
                reversal: reversal.clone(),
            },
            FactKind::Refunded {
                amount: delta,
                reversal: reversal.clone(),
            },
            FactKind::RefundFailed { reversal },
            FactKind::DisputeWon {
                dispute: id("more"),
            },
            FactKind::DisputeLost {
                dispute: id("more"),
            },
            opened,
        ] {
            assert_eq!(
                fact(kind).references(),
                ["ours", "order", "tx", "more", "shop"]
            );
        }
        assert_eq!(
            fact(FactKind::Captured).references(),
            ["ours", "order", "tx", "shop"]
        );
        assert_eq!(
            Fact::bare(FactKind::Captured).references(),
            Vec::<&str>::new()
        );
    }
}
