//! The one word people see. It is a function of amounts and closure, so it cannot contradict the
//! money; there is no status field.

use serde::{Deserialize, Serialize};

/// State of a payment request, for the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Label {
    /// Nothing happened yet.
    #[serde(rename = "pending")]
    Pending,
    /// The payer is at it, or the provider could not say.
    #[serde(rename = "processing")]
    Processing,
    /// A part is there (scenarios that accumulate).
    #[serde(rename = "partially_paid")]
    PartiallyPaid,
    /// Paid.
    #[serde(rename = "paid")]
    Paid,
    /// Not payable any more.
    #[serde(rename = "expired")]
    Expired,
    /// Called off.
    #[serde(rename = "cancelled")]
    Cancelled,
    /// Paid, and a part went back.
    #[serde(rename = "partially_refunded")]
    PartiallyRefunded,
    /// Paid, and all of it went back.
    #[serde(rename = "refunded")]
    Refunded,
    /// Paid, and a dispute is open.
    #[serde(rename = "disputed")]
    Disputed,
    /// Paid, and a dispute took it back.
    #[serde(rename = "charged_back")]
    ChargedBack,
}

impl Label {
    /// Every label.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Processing,
        Self::PartiallyPaid,
        Self::Paid,
        Self::Expired,
        Self::Cancelled,
        Self::PartiallyRefunded,
        Self::Refunded,
        Self::Disputed,
        Self::ChargedBack,
    ];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::PartiallyPaid => "partially_paid",
            Self::Paid => "paid",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
            Self::ChargedBack => "charged_back",
        }
    }

    /// True when payers cannot change it any more, so that nobody needs to wait.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Processing | Self::PartiallyPaid)
    }

    /// What a bot may show.
    pub fn for_bot(self, in_review: bool) -> BotLabel {
        match self {
            Self::Paid | Self::PartiallyRefunded | Self::Disputed => BotLabel::Paid,
            Self::Refunded | Self::ChargedBack => BotLabel::Refunded,
            Self::Pending
            | Self::Processing
            | Self::PartiallyPaid
            | Self::Expired
            | Self::Cancelled
                if in_review =>
            {
                BotLabel::InReview
            }
            Self::Pending | Self::Processing | Self::PartiallyPaid => BotLabel::Pending,
            Self::Expired => BotLabel::Expired,
            Self::Cancelled => BotLabel::Cancelled,
        }
    }
}

/// The only words that a bot ever shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BotLabel {
    /// Not paid yet.
    #[serde(rename = "pending")]
    Pending,
    /// A person is looking at it.
    #[serde(rename = "in_review")]
    InReview,
    /// Paid.
    #[serde(rename = "paid")]
    Paid,
    /// Not payable any more.
    #[serde(rename = "expired")]
    Expired,
    /// Called off.
    #[serde(rename = "cancelled")]
    Cancelled,
    /// Given back.
    #[serde(rename = "refunded")]
    Refunded,
}

impl BotLabel {
    /// Every word.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::InReview,
        Self::Paid,
        Self::Expired,
        Self::Cancelled,
        Self::Refunded,
    ];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InReview => "in_review",
            Self::Paid => "paid",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
        }
    }
}
