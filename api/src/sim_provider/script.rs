//! What a script is: what the payer does, what the provider tells about it, and how it answers.
//! The words stand in the documentation of [`super`]; the parser is in `parse.rs`.

use std::fmt;
use std::time::Duration;

use domain::ids::ProviderRef;
use domain::money::{Currency, Money, MoneyError};
use domain::payment::evidence::Mode;

use super::refunds::Fate;

/// The behaviour of the provider towards one order. The default is an honest provider whose payer
/// uses the page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// What is told about a choice that the payer makes on the page.
    pub page: Plan,
    /// What the payer does without the page, one after the other.
    pub acts: Vec<Act>,
    /// *processing* is told as well, and all messages of an act are sent last first.
    pub reorder: bool,
    /// Messages are held back until the session has ended.
    pub late: bool,
    /// Every answer of the API takes so long.
    pub slow: Duration,
    /// How registration is answered.
    pub register: Answering,
    /// How a look-up of an order or a refund is answered.
    pub look_up: Answering,
    /// How the call of a refund is answered.
    pub refund: Answering,
    /// What becomes of a refund.
    pub refund_fate: Fate,
    /// What a look-up states instead of the truth.
    pub look_up_changes: Changes,
}

/// One thing that the payer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// What.
    pub choice: Choice,
    /// When, counted from the step before.
    pub when: When,
    /// What is really paid instead of what is due.
    pub changes: Changes,
    /// What is told about it.
    pub plan: Plan,
}

/// What a payer can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Money is taken.
    Pay,
    /// The payer's bank says no; the session stays open.
    Decline,
    /// Nothing.
    Leave,
}

impl Choice {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Decline => "decline",
            Self::Leave => "leave",
        }
    }
}

/// When a step happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum When {
    /// At once.
    #[default]
    Now,
    /// So long after the step before.
    After(Duration),
    /// A second after the session has ended, by time or by cancelling.
    Late,
}

/// What is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Plan {
    /// One honest message.
    #[default]
    Honest,
    /// No message at all.
    Lost,
    /// These.
    Told(Vec<Message>),
}

/// One step `notify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A message of its own.
    New {
        /// When.
        when: When,
        /// What it states instead of the truth.
        changes: Changes,
        /// Signed wrongly.
        forged: bool,
        /// Signed ten minutes ago.
        old: bool,
    },
    /// The message before, byte for byte and with its id.
    Again {
        /// When; between several as well.
        when: When,
        /// How often.
        times: u32,
    },
}

/// How one call of the API is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Answering {
    /// As it should be.
    #[default]
    Well,
    /// 503, and nothing is done.
    Down,
    /// It is done, and the answer is lost (504).
    Lost,
    /// As it should be, after so long.
    Slow(Duration),
}

/// Fields that are stated otherwise than they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Amount in major units, as text, until the currency is known.
    pub amount: Option<String>,
    /// Currency; the minor units stay when no amount is given.
    pub currency: Option<Currency>,
    /// Merchant account.
    pub account: Option<String>,
    /// Status, known or not.
    pub status: Option<String>,
    /// Our reference.
    pub reference: Option<ProviderRef>,
    /// The provider's order.
    pub order: Option<ProviderRef>,
    /// The transaction.
    pub transaction: Option<ProviderRef>,
    /// Live or test money.
    pub mode: Option<Mode>,
}

impl Changes {
    /// `amount` with these changes.
    ///
    /// # Errors
    /// [`MoneyError`] when the text has more decimals than the currency.
    pub fn money(&self, amount: Money) -> Result<Money, MoneyError> {
        let currency = self.currency.unwrap_or(amount.currency());
        match &self.amount {
            Some(text) => Money::from_major(text, currency),
            None => Money::new(amount.minor(), currency),
        }
    }
}

impl Script {
    /// Every amount of the script must be one in the order's currency.
    ///
    /// # Errors
    /// The first that is none.
    pub fn fits(&self, amount: Money) -> Result<(), MoneyError> {
        let of_plan = |plan: &Plan| match plan {
            Plan::Honest | Plan::Lost => vec![],
            Plan::Told(messages) => messages
                .iter()
                .filter_map(Message::changes)
                .cloned()
                .collect(),
        };
        let mut all = vec![self.look_up_changes.clone()];
        all.extend(of_plan(&self.page));
        for act in &self.acts {
            all.push(act.changes.clone());
            all.extend(of_plan(&act.plan));
        }
        all.iter()
            .try_for_each(|changes| changes.money(amount).map(|_| ()))
    }
}

impl Message {
    fn changes(&self) -> Option<&Changes> {
        match self {
            Self::New { changes, .. } => Some(changes),
            Self::Again { .. } => None,
        }
    }
}

/// The script in its own words; parsing them gives the same script.
impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = plan_steps(&self.page);
        for act in &self.acts {
            steps.push(format!(
                "{}{}{}",
                act.choice.as_str(),
                Words(act.when),
                act.changes
            ));
            steps.extend(plan_steps(&act.plan));
        }
        if self.reorder {
            steps.push("reorder".to_owned());
        }
        if self.late {
            steps.push("late".to_owned());
        }
        if !self.slow.is_zero() {
            steps.push(format!("slow {}", length(self.slow)));
        }
        steps.extend(answering_step("register", self.register));
        steps.extend(answering_step("lookup", self.look_up));
        steps.extend(answering_step("refund", self.refund));
        match self.refund_fate {
            Fate::Done => {}
            Fate::Declined => steps.push("refund declined".to_owned()),
            Fate::DoneAfter(duration) => steps.push(format!("refund after {}", length(duration))),
            Fate::FailsAfter(duration) => {
                steps.push(format!("refund fails after {}", length(duration)));
            }
        }
        if self.look_up_changes != Changes::default() {
            steps.push(format!("lookup{}", self.look_up_changes));
        }
        f.write_str(&steps.join("; "))
    }
}

fn plan_steps(plan: &Plan) -> Vec<String> {
    match plan {
        Plan::Honest => vec![],
        Plan::Lost => vec!["lose".to_owned()],
        Plan::Told(messages) => messages.iter().map(ToString::to_string).collect(),
    }
}

fn answering_step(call: &str, answering: Answering) -> Option<String> {
    match answering {
        Answering::Well => None,
        Answering::Down => Some(format!("{call} down")),
        Answering::Lost => Some(format!("{call} lost")),
        Answering::Slow(duration) => Some(format!("{call} slow {}", length(duration))),
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New {
                when,
                changes,
                forged,
                old,
            } => {
                let (forged, old) = (
                    if *forged { " forged" } else { "" },
                    if *old { " old" } else { "" },
                );
                write!(f, "notify{}{forged}{old}{changes}", Words(*when))
            }
            Self::Again { when, times } => write!(f, "notify again x{times}{}", Words(*when)),
        }
    }
}

struct Words(When);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            When::Now => Ok(()),
            When::After(duration) => write!(f, " after {}", length(duration)),
            When::Late => f.write_str(" late"),
        }
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = self.mode.map(|mode| match mode {
            Mode::Live => "live".to_owned(),
            Mode::Test => "test".to_owned(),
        });
        let fields = [
            ("amount", self.amount.clone()),
            (
                "currency",
                self.currency.map(|currency| currency.code().to_owned()),
            ),
            ("account", self.account.clone()),
            ("status", self.status.clone()),
            (
                "reference",
                self.reference.as_ref().map(ToString::to_string),
            ),
            ("order", self.order.as_ref().map(ToString::to_string)),
            (
                "transaction",
                self.transaction.as_ref().map(ToString::to_string),
            ),
            ("mode", mode),
        ];
        fields.iter().try_for_each(|(name, value)| match value {
            Some(value) => write!(f, " {name}={value}"),
            None => Ok(()),
        })
    }
}

/// The shortest exact form: whole hours, minutes, seconds, else milliseconds.
fn length(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis > 0 && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}
