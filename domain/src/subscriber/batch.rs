//! Many failed deliveries of one subscriber, decided in one go.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::delivery::FailedWhy;
use crate::delivery::event::FailureClass;
use crate::ids::BatchId;
use crate::time::Timestamp;

/// A person's order about failed deliveries. It takes in those that are on the failed list as of its
/// place in the log, and no later ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryBatch {
    /// Its id.
    pub id: BatchId,
    /// What becomes of them.
    pub order: BatchOrder,
    /// Which of them.
    #[serde(default, skip_serializing_if = "FailedFilter::takes_all")]
    pub which: FailedFilter,
    /// How many of them per second, 1 to [`PER_SECOND_MAX`](super::PER_SECOND_MAX).
    pub per_second: u32,
}

/// What becomes of deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BatchOrder {
    /// Their schedules start again.
    #[serde(rename = "redrive")]
    Redrive,
    /// They are given up.
    #[serde(rename = "abandon")]
    Abandon,
}

impl BatchOrder {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Abandon => "abandon",
        }
    }
}

/// Which failed deliveries. An empty set, like an absent member, takes in all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FailedFilter {
    /// Those whose last try failed like this.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub classes: BTreeSet<FailureClass>,
    /// Those that ended because of this.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub reasons: BTreeSet<FailedWhy>,
    /// Of events that the ledger recorded at this time or later ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// ... and before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl FailedFilter {
    /// True when it narrows nothing.
    pub fn takes_all(&self) -> bool {
        *self == Self::default()
    }

    /// True when nothing can be in its span.
    pub fn is_empty(&self) -> bool {
        matches!((self.since, self.until), (Some(since), Some(until)) if since >= until)
    }

    /// True for a failed delivery of this class and reason, of an event recorded at `at`.
    pub fn takes(
        &self,
        class: Option<FailureClass>,
        why: Option<FailedWhy>,
        at: Timestamp,
    ) -> bool {
        let class = class.is_some_and(|class| self.classes.contains(&class));
        let why = why.is_some_and(|why| self.reasons.contains(&why));
        (self.classes.is_empty() || class)
            && (self.reasons.is_empty() || why)
            && self.since.is_none_or(|since| at >= since)
            && self.until.is_none_or(|until| at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::event::DeadReason;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_filter_takes_in_what_all_of_its_members_take_in() {
        let (class, why) = (FailureClass::Timeout, FailedWhy::Dead(DeadReason::MaxAge));
        let all = FailedFilter::default();
        assert!(all.takes(None, None, at(5)) && all.takes(Some(class), Some(why), at(5)));
        let narrow = FailedFilter {
            classes: [class].into(),
            reasons: [why].into(),
            since: Some(at(5)),
            until: Some(at(7)),
        };
        assert!(narrow.takes(Some(class), Some(why), at(5)));
        assert!(narrow.takes(Some(class), Some(why), at(6)));
        for (other_class, other_why, when) in [
            (None, Some(why), at(5)),
            (Some(FailureClass::Dns), Some(why), at(5)),
            (Some(class), None, at(5)),
            (Some(class), Some(FailedWhy::Dead(DeadReason::Gone)), at(5)),
            (Some(class), Some(why), at(4)),
            (Some(class), Some(why), at(7)),
        ] {
            assert!(!narrow.takes(other_class, other_why, when));
        }
    }

    #[test]
    fn a_span_that_ends_before_it_begins_is_seen() {
        let span = |since, until| FailedFilter {
            since,
            until,
            ..FailedFilter::default()
        };
        assert!(span(Some(at(5)), Some(at(5))).is_empty());
        assert!(!span(Some(at(5)), Some(at(6))).is_empty());
        assert!(!span(Some(at(5)), None).is_empty());
        assert!(!span(None, None).is_empty());
    }
}
