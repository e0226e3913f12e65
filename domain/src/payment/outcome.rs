//! What became of an observation.

use serde::{Deserialize, Serialize};

/// What became of an observation. Where several facts of one observation end differently, the
/// highest stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Said before; nothing changed.
    #[serde(rename = "duplicate")]
    Duplicate,
    /// Overtaken by what is known already; nothing changed.
    #[serde(rename = "stale")]
    Stale,
    /// Not acted on; a case may have been opened.
    #[serde(rename = "refused")]
    Refused,
    /// No request explains it; booked as unmatched where it is money.
    #[serde(rename = "unmatched")]
    Unmatched,
    /// Recorded.
    #[serde(rename = "applied")]
    Applied,
    /// Nothing here explains it yet; tried again when something does. It stands above *applied*, so
    /// that the rest of an observation is not forgotten; what was applied is then a duplicate.
    #[serde(rename = "parked")]
    Parked,
    /// Not proof enough: the provider is to be asked now.
    #[serde(rename = "look_up")]
    LookUp,
}

impl Outcome {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Refused => "refused",
            Self::Parked => "parked",
            Self::Unmatched => "unmatched",
            Self::Applied => "applied",
            Self::LookUp => "look_up",
        }
    }
}
