//! The words in which plans speak of payments: plain numbers, so that a plan survives any change of
//! the ledger's own types.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An account at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Account {
    /// Signed messages suffice, and it can be asked.
    Main,
    /// Only its own answer suffices.
    Strict,
    /// Signed messages suffice, and it cannot be asked.
    Blind,
    /// Another merchant's, and otherwise like the first.
    Stall,
}

impl Account {
    /// Every account, those of the shop first.
    pub const ALL: [Self; 4] = [Self::Main, Self::Strict, Self::Blind, Self::Stall];
    /// The accounts of the shop.
    pub const OF_SHOP: [Self; 3] = [Self::Main, Self::Strict, Self::Blind];

    /// Whose it is.
    pub fn merchant(self) -> &'static str {
        match self {
            Self::Main | Self::Strict | Self::Blind => "shop",
            Self::Stall => "stall",
        }
    }

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "sim-main",
            Self::Strict => "sim-strict",
            Self::Blind => "sim-blind",
            Self::Stall => "sim-stall",
        }
    }
}

/// How a scenario sells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scenario {
    /// Less than what is due goes to a person.
    #[default]
    Whole,
    /// Parts add up.
    Parts,
    /// Parts add up, two units more or less still pay, money in time that is told late pays, and one
    /// person is enough for an override.
    Lenient,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Self; 3] = [Self::Whole, Self::Parts, Self::Lenient];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Parts => "parts",
            Self::Lenient => "lenient",
        }
    }

    /// Parts add up.
    pub fn accumulates(self) -> bool {
        self != Self::Whole
    }

    /// A difference that still pays.
    pub fn tolerance(self) -> i64 {
        match self {
            Self::Whole | Self::Parts => 0,
            Self::Lenient => 2,
        }
    }

    /// Money in time that is told after the end pays without a person.
    pub fn accepts_late(self) -> bool {
        self == Self::Lenient
    }

    /// The person who approves is not the one who proposed.
    pub fn four_eyes(self) -> bool {
        self != Self::Lenient
    }

    /// Business days in which money must prove an override.
    pub fn proof_days(self) -> u8 {
        match self {
            Self::Whole => 1,
            Self::Parts => 2,
            Self::Lenient => 5,
        }
    }

    /// Until when money must prove an override. 1 January 1970 was a Thursday.
    pub fn prove_by(self, from: i64) -> i64 {
        let works = |at: &i64| !matches!((at / 86_400 + 4) % 7, 0 | 6);
        let days = (1..).map(|day| from + day * 86_400).filter(works);
        days.take(usize::from(self.proof_days()))
            .last()
            .unwrap_or(from)
    }
}

/// The name of a movement of money: an account and a number of a transaction there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money {
    /// Where it arrived.
    pub account: Account,
    /// Which transaction.
    pub txn: u8,
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/t{}", self.account.name(), self.txn)
    }
}

/// What a provider says of one attempt. Money and reversals have numbers of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Said {
    /// It knows the order.
    Registered,
    /// The payer is at it.
    Processing,
    /// Money is held.
    Authorised,
    /// A word that nobody knows.
    Unknown,
    /// It was declined.
    Declined,
    /// The session ended.
    SessionExpired,
    /// Money was taken: which, and how much.
    Captured(u8, i64),
    /// Money went back: which, how much, and the reversal's number where it has one.
    Refunded(u8, i64, Option<u8>),
    /// The whole of what went back so far.
    RefundedInAll(u8, i64),
    /// All of it went back: which, and the reversal's number.
    Voided(u8, u8),
    /// What went back came again, or what was to go back did not.
    RefundFailed(u8, u8),
    /// The payer's bank disputes it: which, and how much or all of it.
    DisputeOpened(u8, Option<i64>),
    /// We keep it.
    DisputeWon(u8),
    /// We lose it.
    DisputeLost(u8),
}

impl Said {
    /// The money that it is about.
    pub fn txn(&self) -> Option<u8> {
        match self {
            Self::Captured(txn, _)
            | Self::Refunded(txn, ..)
            | Self::RefundedInAll(txn, _)
            | Self::Voided(txn, _)
            | Self::RefundFailed(txn, _)
            | Self::DisputeOpened(txn, _)
            | Self::DisputeWon(txn)
            | Self::DisputeLost(txn) => Some(*txn),
            Self::Registered
            | Self::Processing
            | Self::Authorised
            | Self::Unknown
            | Self::Declined
            | Self::SessionExpired => None,
        }
    }

    /// It is of a dispute.
    pub fn disputes(&self) -> bool {
        matches!(
            self,
            Self::DisputeOpened(..) | Self::DisputeWon(_) | Self::DisputeLost(_)
        )
    }

    /// The same of a total, without what is counted already.
    pub fn beyond(&self, counted: i64) -> Self {
        match self {
            Self::RefundedInAll(txn, all) => Self::RefundedInAll(*txn, all - counted),
            other => other.clone(),
        }
    }

    /// The provider's name for the reversal.
    pub fn id(&self) -> Option<String> {
        match self {
            Self::Refunded(txn, _, Some(id))
            | Self::Voided(txn, id)
            | Self::RefundFailed(txn, id) => Some(format!("r{txn}-{id}")),
            _ => None,
        }
    }

    /// What a case about it names: the reversal, the dispute, or the money.
    pub fn about(&self) -> String {
        let txn = self.txn().unwrap_or_default();
        match self {
            _ if self.disputes() => format!("d{txn}"),
            _ => self.id().unwrap_or(format!("t{txn}")),
        }
    }
}

/// What is odd about a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Twist {
    /// Nothing.
    Plain,
    /// It came to another merchant account.
    OtherPayee,
    /// It is in another currency than the request's.
    OtherCurrency,
    /// It is a second name of other money.
    AliasOf(u8),
    /// It names another order of the provider.
    OtherOrder,
    /// It is of live money.
    LiveMoney,
    /// It does not say how much.
    NoAmount,
    /// It names an attempt that was never started.
    ForeignAttempt,
}

impl Twist {
    /// Of which other money it is a name.
    pub fn alias(self) -> Option<u8> {
        match self {
            Self::AliasOf(txn) => Some(txn),
            _ => None,
        }
    }
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fact {
    /// What happened.
    pub said: Said,
    /// What is odd about it.
    pub twist: Twist,
    /// When it happened there, in seconds, where the provider says so.
    pub when: Option<i64>,
}

/// What a provider answers when it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It knows.
    Facts(Vec<Fact>),
    /// It knows no such order.
    NotFound,
    /// It could not say.
    Silent,
}

/// What became of the one call for a refund, or of a question about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The provider has it, under this name, and says how far it is.
    Known(String, Vec<Said>),
    /// It says no.
    Declined,
    /// It never heard of it.
    NotFound,
    /// Nobody knows.
    Silent,
}

/// A message that names no attempt of ours: of which order there, what it says, when that happened,
/// and whose request it names, if any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stray {
    /// The provider's order.
    pub order: u8,
    /// Where it came from.
    pub account: Account,
    /// What it says.
    pub said: Said,
    /// When that was.
    pub when: Option<i64>,
    /// It names a request of another merchant.
    pub names: Option<u8>,
}

impl Answer {
    /// What it knows.
    pub fn facts(&self) -> &[Fact] {
        match self {
            Self::Facts(facts) => facts,
            Self::NotFound | Self::Silent => &[],
        }
    }
}

/// How a statement came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// In a message.
    Notified,
    /// In an answer to our question.
    LookedUp,
}

/// Whether a request may be paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closure {
    /// It may.
    #[default]
    Open,
    /// Its time is over.
    Expired,
    /// It was called off.
    Cancelled,
    /// Another one stands for it.
    Superseded,
    /// People took back that it was paid.
    Revoked,
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nobody wrote down whether the provider knows it.
    Doubtful,
    /// The provider knows it.
    Registered,
    /// The payer is at it.
    Processing,
    /// Money is held.
    Authorised,
    /// The provider could not say.
    Unknown,
    /// It ended unpaid.
    Failed,
    /// Money came through it.
    Captured,
}

impl Stage {
    /// A payment may be under way.
    pub fn in_flight(self) -> bool {
        matches!(self, Self::Processing | Self::Authorised | Self::Unknown)
    }

    /// The word for it that callers are shown.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Doubtful => "started",
            Self::Registered => "registered",
            Self::Processing | Self::Authorised | Self::Unknown => "in_flight",
            Self::Failed => "failed",
            Self::Captured => "captured",
        }
    }
}

/// How a dispute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dispute {
    /// It is open.
    Open,
    /// We keep it.
    Won,
    /// It is gone.
    Lost,
}

/// How far a refund of ours is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// The provider was not called.
    Nobody,
    /// It was.
    Called,
    /// It has the refund.
    Accepted,
    /// Nobody knows.
    Doubtful,
    /// It went back, or never will.
    Over,
}

impl Asked {
    /// The provider may have it.
    pub fn called(&self) -> bool {
        !matches!(self, Self::Nobody | Self::Over)
    }
}

/// How a person decides a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum How {
    /// Its money counts.
    Accept,
    /// Its money goes back, by this refund.
    Refund(u8),
    /// Its money is income.
    Keep,
    /// There is nothing to do.
    Dismiss,
    /// Its money is this request's.
    Reassign(u8),
    /// It went back to where it came from, outside of the ledger.
    GivenBack,
    /// The refund that nobody knew about went back, or did not.
    Answered(bool),
}

/// True for the answer that nothing was done, since the provider is not called now: an account that is
/// left alone is no row of the table.
pub fn held_back((status, answer): &(u16, serde_json::Value)) -> bool {
    *status == 503 && answer["code"] == "provider_unavailable"
}
