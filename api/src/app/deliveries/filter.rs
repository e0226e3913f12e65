//! What a list of deliveries is narrowed down to.

use std::collections::BTreeSet;

use domain::delivery::FailedWhy;
use domain::delivery::event::FailureClass;
use domain::ids::{MerchantId, SubscriberId};
use domain::time::Timestamp;
use projections::ports::{Cell, Test, ViewQuery};
use projections::views::delivery_queue::QueueState;
use serde::{Deserialize, Serialize};

/// What a list of deliveries is narrowed down to. An empty set, like an absent member, narrows
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliveryFilter {
    /// In one of these states.
    pub states: BTreeSet<QueueState>,
    /// For this subscriber.
    pub subscriber: Option<SubscriberId>,
    /// About this payment request, or another subject.
    pub subject: Option<String>,
    /// The last try failed like this.
    pub classes: BTreeSet<FailureClass>,
    /// There are no more tries because of this.
    pub reasons: BTreeSet<FailedWhy>,
    /// Of events that the ledger recorded at this time or later ...
    pub since: Option<Timestamp>,
    /// ... and before this one.
    pub until: Option<Timestamp>,
}

impl DeliveryFilter {
    /// The rows of `merchant` that pass, newest first.
    pub(super) fn query(&self, merchant: &MerchantId, limit: usize) -> ViewQuery {
        let mut query = ViewQuery::first(limit).equal("merchant", merchant.as_str());
        let states = words(&self.states, |state| state.as_str());
        let classes = words(&self.classes, |class| class.as_str());
        let reasons = words(&self.reasons, |reason| reason.as_str());
        for (column, test) in [("state", states), ("class", classes), ("reason", reasons)] {
            if let Some(test) = test {
                query = query.with(column, test);
            }
        }
        if let Some(subscriber) = &self.subscriber {
            query = query.equal("subscriber", subscriber.as_str());
        }
        if let Some(subject) = &self.subject {
            query = query.equal("subject", subject.as_str());
        }
        if let Some(since) = self.since {
            query = query.with("created_at", Test::Ge(since.into()));
        }
        if let Some(until) = self.until {
            query = query.with("created_at", Test::Lt(until.into()));
        }
        query.order_by("created_at").descending()
    }
}

/// One word is asked for by itself, so that an index with more columns serves it.
fn words<T: Copy>(set: &BTreeSet<T>, word: impl Fn(T) -> &'static str) -> Option<Test> {
    let mut cells: Vec<Cell> = set.iter().map(|one| word(*one).into()).collect();
    match cells.len() {
        0 => None,
        1 => cells.pop().map(Test::Eq),
        _ => Some(Test::In(cells)),
    }
}
