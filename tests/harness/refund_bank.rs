//! A provider that gives money back, in memory: with its own truth of what went, and with answers
//! that get lost as a test says.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use domain::ids::{ProviderRef, RefundId};
use domain::money::Money;
use domain::payment::fact::{Fact, FactKind, RefundAmount};
use domain::ports::{RefundApi, RefundOrder, RefundOutcome};

/// What befalls one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The money goes back, and the answer arrives.
    Answered,
    /// The money goes back, and the answer is lost.
    AnswerLost,
    /// The bank never hears of it, and the caller cannot know.
    CallLost,
    /// The bank says no.
    Declined,
}

/// The bank. Without a word every call is answered.
#[derive(Debug)]
pub struct RefundBank {
    keyed: AtomicBool,
    can_look_up: AtomicBool,
    calls: Mutex<VecDeque<Call>>,
    heard: Mutex<Vec<(RefundId, ProviderRef, Money)>>,
    called: Mutex<Vec<RefundId>>,
}

impl Default for RefundBank {
    fn default() -> Self {
        Self {
            keyed: AtomicBool::new(true),
            can_look_up: AtomicBool::new(true),
            calls: Mutex::default(),
            heard: Mutex::default(),
            called: Mutex::default(),
        }
    }
}

impl RefundBank {
    /// What it can do.
    pub fn can(&self, keyed: bool, look_up: bool) {
        self.keyed.store(keyed, Ordering::SeqCst);
        self.can_look_up.store(look_up, Ordering::SeqCst);
    }

    /// What befalls the next call.
    pub fn next_call(&self, call: Call) {
        self.calls.lock().unwrap().push_back(call);
    }

    /// Minor units that really went back, in the order in which they went.
    pub fn given_back(&self) -> Vec<i64> {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|(_, _, money)| money.minor()).collect()
    }

    /// How often it was called, whether it heard it or not.
    pub fn called(&self) -> usize {
        self.called.lock().unwrap().len()
    }

    fn give(&self, order: &RefundOrder) -> RefundOutcome {
        let mut heard = self.heard.lock().unwrap();
        let known = heard.iter().any(|(id, _, _)| *id == order.refund);
        if !(known && self.keyed()) {
            let name = ProviderRef::parse(format!("bank-{}", heard.len() + 1)).unwrap();
            heard.push((order.refund.clone(), name, order.amount));
        }
        let found = heard.iter().find(|(id, _, _)| *id == order.refund);
        let (_, reversal, amount) = found.unwrap();
        told(order, reversal, *amount)
    }
}

fn told(order: &RefundOrder, reversal: &ProviderRef, amount: Money) -> RefundOutcome {
    let fact = Fact {
        transaction: Some(order.transaction.clone()),
        ..Fact::bare(FactKind::Refunded {
            amount: RefundAmount::Delta(amount),
            reversal: Some(reversal.clone()),
        })
    };
    RefundOutcome::Known {
        reversal: reversal.clone(),
        facts: vec![fact],
        raw: b"{}".to_vec(),
        media: "application/json".to_owned(),
    }
}

fn nothing_heard() -> RefundOutcome {
    RefundOutcome::Unknown {
        why: "timeout".to_owned(),
        retry_after_s: None,
    }
}

#[async_trait]
impl RefundApi for RefundBank {
    fn keyed(&self) -> bool {
        self.keyed.load(Ordering::SeqCst)
    }

    fn can_look_up(&self) -> bool {
        self.can_look_up.load(Ordering::SeqCst)
    }

    async fn refund(&self, order: &RefundOrder) -> RefundOutcome {
        self.called.lock().unwrap().push(order.refund.clone());
        let call = self.calls.lock().unwrap().pop_front();
        match call.unwrap_or(Call::Answered) {
            Call::Answered => self.give(order),
            Call::AnswerLost => {
                self.give(order);
                nothing_heard()
            }
            Call::CallLost => nothing_heard(),
            Call::Declined => RefundOutcome::Declined {
                provider_status: "limit".to_owned(),
            },
        }
    }

    async fn look_up_refund(&self, order: &RefundOrder) -> RefundOutcome {
        assert!(self.can_look_up(), "nobody may ask this bank");
        let heard = self.heard.lock().unwrap();
        let known = heard.iter().find(|(id, _, _)| *id == order.refund);
        match known {
            Some((_, reversal, amount)) => told(order, reversal, *amount),
            None => RefundOutcome::NotFound,
        }
    }
}
