//! Plans: lists of steps, drawn from a seed (`draw`), written as JSON, and the only input of a history.

use serde::{Deserialize, Serialize};

use super::bank::Registers;
use super::words::{Account, How, Said, Scenario, Twist};

/// A whole history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where the ledger's own chance comes from.
    pub seed: u64,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One thing that happens, and what goes wrong meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What happens.
    pub act: Act,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// The process dies at the nth point between two effects: before or after an append, or before
    /// or after a call to somebody else.
    Crash(u32),
    /// The next appends fail, one after the other.
    Store(Vec<Fault>),
}

/// What befalls one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// It is written, and the answer is lost.
    ReplyLost,
    /// It never arrives, and nobody knows.
    RequestLost,
    /// It is refused.
    NotApplied,
    /// The disk is full.
    Full,
    /// Nothing.
    Passes,
}

/// When the provider says it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// So many seconds ago.
    Ago(u32),
    /// It does not say.
    Unsaid,
}

/// What happens. Requests, attempts and messages are counted from zero; what does not exist makes a
/// step do nothing, so that any part of a plan is a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// A client creates a request; a bot does so from a quote.
    Create {
        /// Its idempotency key.
        key: u16,
        /// The shop's order.
        order: u8,
        /// The way of selling.
        scenario: Scenario,
        /// What is due.
        minor: i64,
        /// How long it may be paid.
        life_s: u32,
        /// Replace an open one.
        supersede: bool,
        /// By a bot.
        by_bot: bool,
    },
    /// Its client starts an attempt.
    Attempt {
        /// Of which request.
        request: u8,
        /// Where.
        account: Account,
        /// What becomes of the registration.
        registers: Registers,
    },
    /// Its client asks whether an attempt may be paid; without an amount, with the right one.
    Precheck {
        /// Of which request.
        request: u8,
        /// Which attempt.
        attempt: u8,
        /// The amount.
        minor: Option<i64>,
    },
    /// Its client calls it off.
    Cancel {
        /// Which.
        request: u8,
        /// The provider ends what it is asked to end, from here on.
        #[serde(default)]
        ends: bool,
    },
    /// A bot makes another request from a quote.
    Requote {
        /// Which of the quotes.
        quote: u8,
        /// Replace an open request.
        supersede: bool,
    },
    /// A provider tells of an order that no attempt of ours made.
    Stray {
        /// Which order.
        order: u8,
        /// Where.
        account: Account,
        /// What it says.
        said: Said,
        /// When.
        when: When,
        /// It names a request of another merchant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        names: Option<u8>,
        /// The provider says so when it is asked.
        kept: bool,
    },
    /// A person finds what money of no request is.
    Find {
        /// Which of that money.
        money: u8,
        /// What it is.
        how: How,
    },
    /// Its client passes on a customer's message.
    Notice {
        /// About which.
        request: u8,
    },
    /// An earlier command arrives again.
    Again {
        /// Which of the commands.
        command: u16,
    },
    /// Something happens at the provider.
    Happen {
        /// To which request.
        request: u8,
        /// And which attempt.
        attempt: u8,
        /// What.
        said: Said,
        /// What is odd about it.
        twist: Twist,
        /// When.
        when: When,
        /// The provider sends a message.
        told: bool,
        /// The provider says so when it is asked.
        kept: bool,
    },
    /// An earlier message arrives again, with the same bytes or signed anew.
    Deliver {
        /// Which.
        message: u16,
        /// Signed anew.
        anew: bool,
    },
    /// A person wants money back, and the provider is called for it.
    Refund {
        /// Of which request.
        request: u8,
        /// Which of its captures.
        capture: u8,
        /// Out of the part that counts.
        applied: bool,
        /// How much; all that is free where it is not said.
        minor: Option<i64>,
        /// What becomes of the call.
        call: Call,
    },
    /// The provider answers a refund of ours later.
    Answer {
        /// Which of the refunds.
        refund: u8,
        /// What.
        call: Call,
    },
    /// A person decides a case.
    Resolve {
        /// Of which request.
        request: u8,
        /// Which of its open cases.
        case: u8,
        /// How.
        how: How,
    },
    /// A person proposes that it counts as paid, or that it does not any more.
    Propose {
        /// Which.
        request: u8,
        /// Paid.
        pay: bool,
        /// Who.
        by: u8,
    },
    /// A person agrees with the last proposal, or does not.
    Decide {
        /// Which.
        request: u8,
        /// Agrees.
        approve: bool,
        /// Who.
        by: u8,
    },
    /// Time passes.
    Wait {
        /// So much.
        seconds: u32,
    },
    /// From now on providers answer no question, or answer again.
    Silence {
        /// They do not answer.
        silent: bool,
    },
}

/// What becomes of the one call for a refund.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// The provider has it, as its reversal of this number.
    Named(u8),
    /// It says no.
    Declined,
    /// It never hears of it, and nobody knows.
    #[default]
    Lost,
    /// It has it, under this number, and its answer is lost.
    AnswerLost(u8),
}
