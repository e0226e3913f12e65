//! Why a delivery is on the failed list, in one word: the receiver's doing or our own.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::event::{DeadReason, FailureClass, OurFault};

/// Why there are no more tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailedWhy {
    /// It was given up.
    Dead(DeadReason),
    /// We cannot send it.
    Ours(OurFault),
}

impl FailedWhy {
    /// Every word.
    pub fn all() -> impl Iterator<Item = Self> {
        let dead = DeadReason::ALL.into_iter().map(Self::Dead);
        dead.chain(OurFault::ALL.into_iter().map(Self::Ours))
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dead(reason) => reason.as_str(),
            Self::Ours(fault) => fault.as_str(),
        }
    }

    /// From the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::all().find(|known| known.as_str() == text)
    }
}

impl FailureClass {
    /// From the wire name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

impl fmt::Display for FailedWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FailedWhy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FailedWhy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            let known: Vec<_> = Self::all().map(Self::as_str).collect();
            serde::de::Error::custom(format!("known are {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back_and_means_one_thing() {
        let words: Vec<_> = FailedWhy::all().map(FailedWhy::as_str).collect();
        let distinct: std::collections::BTreeSet<_> = words.iter().collect();
        assert_eq!((words.len(), distinct.len()), (7, 7));
        for why in FailedWhy::all() {
            let wire = serde_json::to_string(&why).unwrap();
            assert_eq!(serde_json::from_str::<FailedWhy>(&wire).unwrap(), why);
        }
        for class in FailureClass::ALL {
            assert_eq!(FailureClass::parse(class.as_str()), Some(class));
            assert_eq!(FailedWhy::parse(class.as_str()), None);
        }
        let error = serde_json::from_str::<FailedWhy>("\"lost\"").unwrap_err();
        assert!(error.to_string().contains("known are schedule_exhausted"));
    }
}
