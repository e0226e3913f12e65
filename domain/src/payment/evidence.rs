//! How much an observation proves.

use serde::{Deserialize, Serialize};

/// Class of evidence, from worthless to certain. An override is a decision of people, not evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EvidenceClass {
    /// Screenshot, chat text, success page, redirect. Starts a look-up, never pays.
    #[serde(rename = "payer_notice")]
    PayerNotice,
    /// A callback without a signature.
    #[serde(rename = "unsigned")]
    Unsigned,
    /// A keyed MD5 or the like.
    #[serde(rename = "weakly_signed")]
    WeaklySigned,
    /// An HMAC or signature over the whole message.
    #[serde(rename = "signed")]
    Signed,
    /// Our own authenticated question to the provider.
    #[serde(rename = "looked_up")]
    LookedUp,
    /// A provider's or bank's settlement file.
    #[serde(rename = "settlement")]
    Settlement,
}

impl EvidenceClass {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PayerNotice => "payer_notice",
            Self::Unsigned => "unsigned",
            Self::WeaklySigned => "weakly_signed",
            Self::Signed => "signed",
            Self::LookedUp => "looked_up",
            Self::Settlement => "settlement",
        }
    }
}

/// What the ledger demands of one provider account, from configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRules {
    /// The least class that verifies.
    pub minimum: EvidenceClass,
    /// True when the provider can be asked for the real status.
    pub look_up: bool,
    /// Live money or test money.
    pub mode: Mode,
    /// How the provider names our merchant account in its messages, where it does. A fact that
    /// names another one is row D7.
    pub payee: Option<String>,
    /// True when the provider asks about every attempt before it takes money, so that its message
    /// about one that was never allowed proves nothing.
    pub asks_first: bool,
    /// True when the provider only captures at once, so that a hold is unexpected (row A14).
    pub one_phase: bool,
}

impl AccountRules {
    /// True when `class` is enough to act on for a request that is still open.
    pub fn sufficient(&self, class: EvidenceClass) -> bool {
        class >= self.minimum
    }

    /// True when `class` is enough to act on for a request that is closed: the provider's real
    /// status, or as much as an account without look-up can ever give (rows E6, E11).
    pub fn confirmed(&self, class: EvidenceClass) -> bool {
        let least = if self.look_up {
            EvidenceClass::LookedUp.max(self.minimum)
        } else {
            self.minimum
        };
        class >= least
    }
}

/// Live or test money. They never mix (row G7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Real money.
    #[serde(rename = "live")]
    Live,
    /// A provider's sandbox.
    #[serde(rename = "test")]
    Test,
}
