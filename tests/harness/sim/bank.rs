//! A provider with its own truth: what it says when it is asked follows from what happened there,
//! and every answer that it gives is noted for the model.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use adapters::providers::sim::SimInbound;
use async_trait::async_trait;
use domain::ids::{ProviderRef, RefundId};
use domain::money::{Currency, Money, Sum};
use domain::payment::evidence::Mode;
use domain::payment::fact::{self, FactKind, RefundAmount};
use domain::ports::{
    Acknowledge, Authentic, Clock, EventStore, Filter, InboundProvider, InboundRequest, LookUp,
    LookUpOutcome, NotUnderstood, ProviderAnswer, ProviderApi, RefundApi, RefundOrder,
    RefundOutcome, RegisterOutcome, Registration, Rejected, Secret, SessionEnd,
};
use domain::record::Recorded;
use domain::time::{Precision, ProviderTime, Timestamp};
use serde::{Deserialize, Serialize};

use super::fuse::Fuse;
use super::plan::Call;
use super::words::{Account, Answer, Fact, Said, Stray, Told, Twist};

/// What happens to registrations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Registers {
    /// They succeed.
    #[default]
    Well,
    /// The provider says no.
    Refuses,
    /// The provider makes it, and its answer is lost.
    AnswerLost,
    /// The provider never hears of it.
    RequestLost,
}

/// Something that the ledger was told, in the order of its happening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A registration was answered.
    Registered(String, Registers),
    /// A question was answered.
    LookedUp(String, Answer, i64),
    /// It was asked to end an attempt.
    Ended(String),
    /// A call for a refund, or a question about it, was answered.
    Refund(RefundId, Told, i64),
    /// A notification was written down.
    Received(i64),
}

/// The truth of all providers.
#[derive(Debug, Default)]
pub struct Bank {
    orders: BTreeMap<String, Vec<Fact>>,
    /// Nobody answers questions.
    pub silent: bool,
    /// What happens to the next registrations.
    pub registers: Registers,
    /// It ends what it is asked to end, where no money is held.
    pub ends: bool,
    /// What happens to the next calls for refunds.
    pub refunds: Call,
    /// What it made of the refunds that it heard of: a number, or no.
    given: BTreeMap<RefundId, Option<u8>>,
    /// Attempts that it was asked to end, and refunds that it was called for.
    calls: Vec<(Account, String)>,
    /// What the ledger was told since the last look.
    pub heard: Vec<Heard>,
    /// A promise about calls that was broken.
    pub broken: Option<(&'static str, String)>,
}

impl Bank {
    /// Something happened to an order. One that nobody registered is made by it.
    pub fn happen(&mut self, our_reference: &str, fact: Fact) {
        let told = self.orders.entry(our_reference.to_owned()).or_default();
        let same = |known: &Fact| known.said == fact.said;
        if !told.iter().any(same) {
            told.push(fact);
        }
    }

    /// It hears of a refund of ours, perhaps late. What it thought of it first, it thinks for ever.
    pub fn hears_of(&mut self, refund: &RefundId, call: Call) {
        let thinks = match call {
            Call::Named(number) | Call::AnswerLost(number) => Some(number),
            Call::Declined => None,
            Call::Lost => return,
        };
        self.given.entry(refund.clone()).or_insert(thinks);
    }

    /// What became of a refund of money: its name, and what happened under that name.
    fn of_refund(&self, order: &RefundOrder) -> Told {
        let number = match self.given.get(&order.refund) {
            None => return Told::NotFound,
            Some(None) => return Told::Declined,
            Some(Some(number)) => number,
        };
        let name = format!("r{}-{number}", &order.transaction.as_str()[1..]);
        let facts = self.orders.values().flatten();
        let of_it = facts.filter(|fact| fact.said.id().as_ref() == Some(&name));
        let told = of_it.map(|fact| fact.said.clone()).collect();
        Told::Known(name, told)
    }

    /// A call outside that nobody wrote down before, or that nobody may make twice.
    fn called(&mut self, account: Account, what: String, written: bool, may_repeat: bool) {
        let call = (account, what.clone());
        if !written {
            self.broken = Some(("a call is written down before it is made", what));
        } else if self.calls.contains(&call) && !may_repeat {
            self.broken = Some(("no call is made again blindly", what));
        }
        self.calls.push(call);
    }

    /// It knows the order.
    pub fn knows(&self, our_reference: &str) -> bool {
        self.orders.contains_key(our_reference)
    }

    /// Money and what became of it; without any, the last word about the order.
    fn answer(&self, our_reference: &str) -> Answer {
        if self.silent {
            return Answer::Silent;
        }
        let Some(told) = self.orders.get(our_reference) else {
            return Answer::NotFound;
        };
        let money: Vec<Fact> = told
            .iter()
            .filter(|fact| fact.said.txn().is_some())
            .cloned()
            .collect();
        if !money.is_empty() {
            return Answer::Facts(money);
        }
        let registered = Fact {
            said: Said::Registered,
            twist: Twist::Plain,
            when: None,
        };
        Answer::Facts(vec![told.last().cloned().unwrap_or(registered)])
    }
}

/// One account at the provider, as one process of the ledger calls it.
pub struct Desk {
    /// Which.
    pub account: Account,
    /// The truth.
    pub bank: Arc<Mutex<Bank>>,
    /// The calling process.
    pub fuse: Arc<Fuse>,
    /// Everybody's clock.
    pub clock: Arc<dyn Clock>,
    /// The log, to see what was written before a call.
    pub log: Arc<dyn EventStore>,
}

impl Desk {
    fn bank(&self) -> MutexGuard<'_, Bank> {
        self.bank.lock().unwrap()
    }

    /// An event of this name, with this in it, stands in the log.
    async fn written(&self, name: &str, member: &str, value: &str, stream: &str) -> bool {
        let is_it = |recorded: &Recorded| {
            let of_it = recorded.stream.key().contains(stream);
            let data = || recorded.envelope().unwrap().data[member].clone();
            of_it && *recorded.record.event_type == *name && data().to_string().contains(value)
        };
        let mut after = None;
        loop {
            let page = self.log.read_all(after, &Filter::all(), 1_000).await;
            let page = page.unwrap();
            if page.events.iter().any(is_it) {
                return true;
            }
            if page.next == page.head {
                return false;
            }
            after = page.next;
        }
    }
}

#[async_trait]
impl RefundApi for Desk {
    fn keyed(&self) -> bool {
        self.account == Account::Strict
    }

    fn can_look_up(&self) -> bool {
        self.account != Account::Blind
    }

    async fn refund(&self, order: &RefundOrder) -> RefundOutcome {
        self.fuse.pass().await;
        let id = order.refund.as_str();
        let written = self.written("RefundSubmitted", "refund", id, "").await;
        let call = {
            let mut bank = self.bank();
            bank.called(self.account, id.to_owned(), written, self.keyed());
            let call = bank.refunds;
            bank.hears_of(&order.refund, call);
            call
        };
        self.fuse.pass().await;
        let lost = matches!(call, Call::Lost | Call::AnswerLost(_));
        self.told(order, lost)
    }

    async fn look_up_refund(&self, order: &RefundOrder) -> RefundOutcome {
        self.fuse.pass().await;
        let silent = self.bank().silent;
        let told = self.told(order, silent);
        self.fuse.pass().await;
        told
    }
}

impl Desk {
    fn told(&self, order: &RefundOrder, lost: bool) -> RefundOutcome {
        let mut bank = self.bank();
        let told = match lost {
            true => Told::Silent,
            false => bank.of_refund(order),
        };
        let now = self.clock.now().seconds();
        let heard = Heard::Refund(order.refund.clone(), told.clone(), now);
        bank.heard.push(heard);
        match told {
            Told::Known(name, facts) => RefundOutcome::Known {
                reversal: reference(&name),
                facts: facts.iter().map(anonymous).collect(),
                raw: b"{}".to_vec(),
                media: "application/json".to_owned(),
            },
            Told::Declined => RefundOutcome::Declined {
                provider_status: "limit".to_owned(),
            },
            Told::NotFound => RefundOutcome::NotFound,
            Told::Silent => RefundOutcome::Unknown {
                why: "timeout".to_owned(),
                retry_after_s: None,
            },
        }
    }
}

#[async_trait]
impl ProviderApi for Desk {
    async fn register(&self, registration: &Registration) -> RegisterOutcome {
        self.fuse.pass().await;
        let name = registration.our_reference.to_string();
        let how = {
            let mut bank = self.bank();
            let how = bank.registers;
            if matches!(how, Registers::Well | Registers::AnswerLost) {
                bank.orders.entry(name.clone()).or_default();
            }
            how
        };
        self.fuse.pass().await;
        self.bank().heard.push(Heard::Registered(name.clone(), how));
        match how {
            Registers::Well => RegisterOutcome::Registered {
                provider_order_ref: Some(reference(&order_of(&name))),
                pay_url: Some(format!("https://pay.example/{name}")),
                session_expires_at: None,
            },
            Registers::Refuses => RegisterOutcome::Refused {
                provider_status: "no".to_owned(),
            },
            Registers::AnswerLost | Registers::RequestLost => RegisterOutcome::Unknown {
                why: "timeout".to_owned(),
                retry_after: None,
            },
        }
    }

    async fn look_up(&self, look_up: &LookUp) -> LookUpOutcome {
        self.fuse.pass().await;
        let name = self.order_asked_about(look_up);
        let answer = {
            let mut bank = self.bank();
            let answer = bank.answer(&name);
            let now = self.clock.now().seconds();
            bank.heard
                .push(Heard::LookedUp(name.clone(), answer.clone(), now));
            answer
        };
        self.fuse.pass().await;
        match answer {
            Answer::Silent => LookUpOutcome::Unknown {
                why: "timeout".to_owned(),
                retry_after: None,
            },
            Answer::NotFound => LookUpOutcome::NotFound,
            Answer::Facts(facts) => {
                let told = |fact: &Fact| match stray_of(&name) {
                    Some(_) => anonymous_of(fact, &name),
                    None => translated(fact, &name),
                };
                let facts: Vec<_> = facts.iter().map(told).collect();
                let raw = serde_json::to_vec(&facts).unwrap();
                LookUpOutcome::Answered {
                    facts,
                    raw,
                    media: "application/json".to_owned(),
                }
            }
        }
    }

    fn session_end(&self) -> SessionEnd {
        match self.account {
            Account::Main | Account::Stall => SessionEnd::Once,
            Account::Strict => SessionEnd::Repeatable,
            Account::Blind => SessionEnd::Never,
        }
    }

    async fn cancel(&self, look_up: &LookUp) {
        self.fuse.pass().await;
        let name = look_up.our_reference.to_string();
        let (request, number) = name.rsplit_once('-').unwrap();
        let event = "AttemptCancelRequested";
        let written = self.written(event, "attempt_no", number, request).await;
        {
            let mut bank = self.bank();
            let may_repeat = self.session_end() == SessionEnd::Repeatable;
            bank.called(self.account, name.clone(), written, may_repeat);
            let ends = bank.ends;
            if let Some(told) = bank.orders.get_mut(&name).filter(|_| ends) {
                let holds =
                    |fact: &Fact| fact.said.txn().is_some() || fact.said == Said::Authorised;
                if !told.iter().any(holds) {
                    let (said, twist, when) = (Said::SessionExpired, Twist::Plain, None);
                    told.retain(|fact| fact.said != said);
                    told.push(Fact { said, twist, when });
                }
            }
            bank.heard.push(Heard::Ended(name));
        }
        self.fuse.pass().await;
    }
}

impl Desk {
    /// Orders that no attempt of ours made have names of their own.
    fn order_asked_about(&self, look_up: &LookUp) -> String {
        let order = look_up.provider_order_ref.as_ref().map(ToString::to_string);
        let stray = order.filter(|order| stray_of(order).is_some());
        stray.unwrap_or_else(|| look_up.our_reference.to_string())
    }
}

/// Reads notifications that are lists of facts, with the signature of the simulated provider.
pub struct FactsInbound;

impl InboundProvider for FactsInbound {
    fn authenticate(
        &self,
        request: &InboundRequest,
        secrets: &[Secret],
        now: Timestamp,
    ) -> Result<Authentic, Rejected> {
        SimInbound.authenticate(request, secrets, now)
    }

    fn facts(&self, request: &InboundRequest) -> Result<Vec<fact::Fact>, NotUnderstood> {
        serde_json::from_slice(&request.body).map_err(|_| NotUnderstood { why: "no facts" })
    }

    fn answer(&self, acknowledge: Acknowledge) -> ProviderAnswer {
        SimInbound.answer(acknowledge)
    }
}

fn reference(text: &str) -> ProviderRef {
    ProviderRef::parse(text).unwrap()
}

fn order_of(our_reference: &str) -> String {
    format!("o_{our_reference}")
}

fn money(minor: i64, foreign: bool) -> Money {
    let code = if foreign { "USD" } else { "AMD" };
    Money::new(minor, Currency::from_code(code).unwrap()).unwrap()
}

/// The provider's name for an order that no attempt of ours made.
pub fn stray_order(order: u8) -> String {
    format!("o_stray_{order}")
}

/// Which of those orders it is.
pub fn stray_of(name: &str) -> Option<u8> {
    name.strip_prefix("o_stray_")?.parse().ok()
}

/// A message that names no attempt of ours, in the ledger's own types.
pub fn of_stray(stray: &Stray, names: Option<&str>) -> fact::Fact {
    let told = Fact {
        said: stray.said.clone(),
        twist: Twist::Plain,
        when: stray.when,
    };
    let our_reference = names.map(|request| reference(&format!("{request}-1")));
    fact::Fact {
        our_reference,
        ..anonymous_of(&told, &stray_order(stray.order))
    }
}

/// What it says of an order of its own.
fn anonymous_of(told: &Fact, order: &str) -> fact::Fact {
    let fact = translated(told, order);
    fact::Fact {
        our_reference: None,
        provider_order_ref: Some(reference(order)),
        ..fact
    }
}

/// What it says of money, and nothing of the order.
fn anonymous(said: &Said) -> fact::Fact {
    let told = Fact {
        said: said.clone(),
        twist: Twist::Plain,
        when: None,
    };
    fact::Fact {
        provider_order_ref: None,
        ..anonymous_of(&told, "o")
    }
}

/// A statement about one attempt in the ledger's own types.
pub fn translated(told: &Fact, our_reference: &str) -> fact::Fact {
    let txn = told.said.txn().unwrap_or_default();
    let id = |id: u8| reference(&format!("r{txn}-{id}"));
    let dispute = |txn: u8| reference(&format!("d{txn}"));
    let kind = match told.said {
        Said::Registered => FactKind::Registered,
        Said::Processing => FactKind::Processing,
        Said::Authorised => FactKind::Authorised,
        Said::Unknown => FactKind::Unknown,
        Said::Declined => FactKind::Declined,
        Said::SessionExpired => FactKind::SessionExpired,
        Said::Captured(..) => FactKind::Captured,
        Said::Refunded(_, minor, name) => FactKind::Refunded {
            amount: RefundAmount::Delta(money(minor, false)),
            reversal: name.map(id),
        },
        Said::RefundedInAll(_, minor) => FactKind::Refunded {
            amount: RefundAmount::Cumulative(Sum::new(minor, Currency::from_code("AMD").unwrap())),
            reversal: None,
        },
        Said::Voided(_, name) => FactKind::Voided {
            reversal: Some(id(name)),
        },
        Said::RefundFailed(_, name) => FactKind::RefundFailed {
            reversal: Some(id(name)),
        },
        Said::DisputeOpened(txn, minor) => FactKind::DisputeOpened {
            dispute: dispute(txn),
            amount: minor.map(|minor| money(minor, false)),
            reason: None,
            due_by: None,
        },
        Said::DisputeWon(txn) => FactKind::DisputeWon {
            dispute: dispute(txn),
        },
        Said::DisputeLost(txn) => FactKind::DisputeLost {
            dispute: dispute(txn),
        },
    };
    let ours = match told.twist {
        Twist::ForeignAttempt => {
            let request = our_reference
                .rsplit_once('-')
                .map_or(our_reference, |(request, _)| request);
            format!("{request}-99")
        }
        Twist::Plain
        | Twist::OtherPayee
        | Twist::OtherCurrency
        | Twist::AliasOf(_)
        | Twist::OtherOrder
        | Twist::LiveMoney
        | Twist::NoAmount => our_reference.to_owned(),
    };
    let order = match told.twist {
        Twist::OtherOrder => "o_of_somebody_else".to_owned(),
        _ => order_of(&ours),
    };
    let amount = match told.said {
        Said::Captured(_, minor) if told.twist != Twist::NoAmount => {
            Some(money(minor, told.twist == Twist::OtherCurrency))
        }
        _ => None,
    };
    let alias_of = match told.twist {
        Twist::AliasOf(txn) => Some(reference(&format!("t{txn}"))),
        _ => None,
    };
    fact::Fact {
        our_reference: Some(reference(&ours)),
        provider_order_ref: Some(reference(&order)),
        transaction: told.said.txn().map(|txn| reference(&format!("t{txn}"))),
        amount,
        alias_of,
        payee: Some(
            if told.twist == Twist::OtherPayee {
                "somebody"
            } else {
                "shop"
            }
            .to_owned(),
        ),
        mode: Some(if told.twist == Twist::LiveMoney {
            Mode::Live
        } else {
            Mode::Test
        }),
        provider_time: told.when.map(|when| ProviderTime {
            at: Timestamp::from_seconds(when),
            precision: Precision::Second,
        }),
        ..fact::Fact::bare(kind)
    }
}
