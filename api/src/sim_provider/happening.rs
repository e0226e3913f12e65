//! What happens at the bank, for those who watch: a demo that tells its story, a test that waits.

use domain::ids::ProviderRef;
use domain::time::Timestamp;

/// Something that happened at the bank, for those who watch.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// The bank's order.
    pub order: ProviderRef,
    /// The merchant's reference.
    pub our_reference: ProviderRef,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// An order was made.
    Registered,
    /// Money was taken.
    Captured {
        /// How much, for people.
        amount: String,
    },
    /// The payer's bank said no.
    Declined,
    /// The session ended unpaid.
    Expired,
    /// The merchant closed it.
    Cancelled,
    /// Money went back.
    Refunded {
        /// How much, for people.
        amount: String,
    },
    /// The ledger asked.
    LookedUp,
    /// A message was sent.
    Told {
        /// The status that it states.
        status: String,
        /// Its `webhook-id`.
        id: String,
        /// Which try, from 1.
        attempt: usize,
        /// The status of the answer, or the kind of failure.
        answer: String,
    },
}
