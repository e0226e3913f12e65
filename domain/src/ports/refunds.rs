//! Giving money back through a provider: the one call that moves it, and the question what became of
//! it. An adapter declares what it can do, and nothing else is relied on.

use async_trait::async_trait;

use crate::ids::{ProviderRef, RefundId};
use crate::money::Money;
use crate::payment::fact::Fact;

/// A refund of ours, as a provider is asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundOrder {
    /// Our id of it. Where the provider keys on one, it is this.
    pub refund: RefundId,
    /// The provider's movement of money that is given back.
    pub transaction: ProviderRef,
    /// How much of it.
    pub amount: Money,
    /// The reference of the attempt that it came through; none where the money came from another
    /// request.
    pub our_reference: Option<ProviderRef>,
    /// What the provider calls the refund, once it is known.
    pub reversal: Option<ProviderRef>,
}

/// What a provider says about a refund, after the call or when it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundOutcome {
    /// The provider has it.
    Known {
        /// What it calls it.
        reversal: ProviderRef,
        /// That the money went back, or did not; none while it is under way.
        facts: Vec<Fact>,
        /// Its raw answer, for the evidence.
        raw: Vec<u8>,
        /// Media type of that.
        media: String,
    },
    /// The provider said no; no money moves.
    Declined {
        /// The provider's own word.
        provider_status: String,
    },
    /// The provider was asked and has never heard of it. No answer to a call.
    NotFound,
    /// No answer that says either. The money may have gone back.
    Unknown {
        /// `timeout`, `connect`, `http_502` ...
        why: String,
        /// Not before so many seconds, where the provider says so.
        retry_after_s: Option<u32>,
    },
}

/// The part of a provider's adapter that gives money back.
#[async_trait]
pub trait RefundApi: Send + Sync {
    /// True when the provider keys on our refund id, so that a second call with the same one moves no
    /// more money than the first.
    fn keyed(&self) -> bool;

    /// True when the provider can be asked what became of a refund.
    fn can_look_up(&self) -> bool;

    /// Gives money back. Called once per refund after `RefundSubmitted` is durable, and again only
    /// where the adapter is [keyed](RefundApi::keyed).
    async fn refund(&self, order: &RefundOrder) -> RefundOutcome;

    /// Asks what became of a refund. Moves nothing.
    async fn look_up_refund(&self, order: &RefundOrder) -> RefundOutcome;
}
