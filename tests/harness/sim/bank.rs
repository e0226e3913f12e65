//! A provider with its own truth: what it says when it is asked follows from what happened there,
//! and every answer that it gives is noted for the model.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use adapters::providers::sim::SimInbound;
use async_trait::async_trait;
use domain::ids::ProviderRef;
use domain::money::{Currency, Money, Sum};
use domain::payment::evidence::Mode;
use domain::payment::fact::{self, FactKind, RefundAmount};
use domain::ports::{
    Acknowledge, Authentic, Clock, InboundProvider, InboundRequest, LookUp, LookUpOutcome,
    NotUnderstood, ProviderAnswer, ProviderApi, RegisterOutcome, Registration, Rejected, Secret,
};
use domain::time::{Precision, ProviderTime, Timestamp};
use serde::{Deserialize, Serialize};

use super::fuse::Fuse;
use super::words::{Account, Answer, Fact, Said, Twist};

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
    /// What the ledger was told since the last look.
    pub heard: Vec<Heard>,
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
}

impl Desk {
    fn bank(&self) -> MutexGuard<'_, Bank> {
        self.bank.lock().unwrap()
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
        let name = look_up.our_reference.to_string();
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
                let facts: Vec<_> = facts.iter().map(|fact| translated(fact, &name)).collect();
                let raw = serde_json::to_vec(&facts).unwrap();
                LookUpOutcome::Answered {
                    facts,
                    raw,
                    media: "application/json".to_owned(),
                }
            }
        }
    }

    async fn cancel(&self, _: &LookUp) {
        self.fuse.pass().await;
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
