//! A receiver that fetches its events by itself: up to where it has them, and who says so.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{ClientId, DeliveryId, OperatorId};

/// A place in a subscriber's queue: this delivery, and what came to be before it.
///
/// Its text is opaque to receivers, and no secret: it names a delivery of their own queue. The place
/// alone would do until the queue is made anew in another order, which happens where a stream could not
/// be read at first; the delivery beside it shows that the place is still the same, and so are all before
/// it. Whoever comes with one that does not fit begins again, and acknowledges nothing unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullCursor {
    /// The place, from 1.
    pub ordinal: i64,
    /// The delivery at that place.
    pub delivery: DeliveryId,
}

impl PullCursor {
    /// From its text; `None` when it is no cursor.
    pub fn parse(text: &str) -> Option<Self> {
        let (ordinal, delivery) = text.split_once('-')?;
        let cursor = Self {
            ordinal: ordinal.parse().ok().filter(|place| *place >= 1)?,
            delivery: DeliveryId::parse(delivery).ok()?,
        };
        (cursor.to_string() == text).then_some(cursor)
    }
}

impl fmt::Display for PullCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ordinal, self.delivery)
    }
}

impl Serialize for PullCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PullCursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom("must be the cursor of an earlier answer"))
    }
}

/// Who fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id")]
pub enum Consumer {
    /// A machine with a token.
    #[serde(rename = "client")]
    Client(ClientId),
    /// A person at the terminal of the ledger.
    #[serde(rename = "operator")]
    Operator(OperatorId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_one_text() {
        let delivery = DeliveryId::parse(format!("dlv_{}", "a".repeat(32))).unwrap();
        let cursor = PullCursor {
            ordinal: 17,
            delivery: delivery.clone(),
        };
        let text = cursor.to_string();
        assert_eq!(text, format!("17-{delivery}"));
        assert_eq!(PullCursor::parse(&text), Some(cursor));
        for bad in [
            "",
            "17",
            &format!("0-{delivery}"),
            &format!("-1-{delivery}"),
            &format!("+17-{delivery}"),
            &format!("017-{delivery}"),
            &format!("17-{delivery}a"),
            &format!("99999999999999999999-{delivery}"),
        ] {
            assert_eq!(PullCursor::parse(bad), None, "{bad}");
        }
    }
}
