//! What the bank gives back: once per refund id of the merchant, and never more than it took. What
//! becomes of a refund, and how its call is answered, is in the script of its order.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::ids::ProviderRef;
use domain::money::{Currency, MinorText, Money};
use domain::time::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::bank::{Bank, BankRefusal, Order};
use super::happening::What;
use super::routes::{State, authentic, down, lost, refused_by, unauthorized, unprocessable};
use super::script::{Answering, Plan};
use super::teller::{Teller, locked};

/// What becomes of a refund.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fate {
    /// The money goes back at once.
    #[default]
    Done,
    /// The bank says no, and keeps nothing of it.
    Declined,
    /// It is accepted, and the money goes back so much later.
    DoneAfter(Duration),
    /// It is accepted, and fails so much later.
    FailsAfter(Duration),
}

/// How far a refund is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundStanding {
    /// Accepted; no money moved.
    Pending,
    /// The money went back.
    Done,
    /// It did not.
    Failed,
}

/// A refund that the bank has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The merchant's id of it, which is the bank's as well.
    pub id: ProviderRef,
    /// Of which movement of money.
    pub transaction: ProviderRef,
    /// How much.
    pub amount: Money,
    /// How far it is.
    pub standing: RefundStanding,
    /// Since when.
    pub since: Timestamp,
}

impl Order {
    /// What really went back of it.
    pub fn given_back(&self) -> Vec<Money> {
        let done = |refund: &&Refund| refund.standing == RefundStanding::Done;
        let done = self.refunds.iter().filter(done);
        done.map(|refund| refund.amount).collect()
    }
}

impl Bank {
    /// The order that holds this refund.
    pub(super) fn order_of_refund(&self, id: &str) -> Option<(&Order, &Refund)> {
        self.orders().find_map(|order| {
            let found = order.refunds.iter().find(|known| known.id.as_str() == id);
            found.map(|refund| (order, refund))
        })
    }

    /// The order whose money this is.
    pub(super) fn order_of_money(&self, transaction: &ProviderRef) -> Option<&Order> {
        let has = |order: &&Order| {
            let mut taken = order.captures.iter();
            taken.any(|capture| capture.transaction == *transaction)
        };
        self.orders().find(has)
    }

    /// Gives money back. The same id and terms again: the same refund again, and `false`.
    ///
    /// # Errors
    /// [`BankRefusal`]: unknown money, an id that stands for another refund, more than was taken, and
    /// what the script declines.
    pub(super) fn refund(
        &mut self,
        (id, transaction, amount): (ProviderRef, ProviderRef, Money),
        now: Timestamp,
    ) -> Result<(Order, Refund, bool), BankRefusal> {
        if let Some((order, known)) = self.order_of_refund(id.as_str()) {
            let same = known.transaction == transaction && known.amount == amount;
            return if same {
                Ok((order.clone(), known.clone(), false))
            } else {
                Err(BankRefusal::ReferenceUsed)
            };
        }
        let order = self.order_of_money(&transaction);
        let name = order.map(|order| order.id.to_string());
        let order = self.find_mut(&name.ok_or(BankRefusal::Unknown)?)?;
        let standing = match order.script.refund_fate {
            Fate::Done => RefundStanding::Done,
            Fate::DoneAfter(_) | Fate::FailsAfter(_) => RefundStanding::Pending,
            Fate::Declined => return Err(BankRefusal::Declined),
        };
        if amount.minor() > left(order, &transaction, amount.currency()) {
            return Err(BankRefusal::OverRefund);
        }
        let refund = Refund {
            id,
            transaction,
            amount,
            standing,
            since: now,
        };
        order.refunds.push(refund.clone());
        Ok((order.clone(), refund, true))
    }

    fn end_refund(
        &mut self,
        id: &ProviderRef,
        standing: RefundStanding,
        now: Timestamp,
    ) -> Option<(Order, Refund)> {
        let name = self.order_of_refund(id.as_str())?.0.id.to_string();
        let order = self.find_mut(&name).ok()?;
        let refund = order.refunds.iter_mut().find(|known| known.id == *id)?;
        (refund.standing, refund.since) = (standing, now);
        let refund = refund.clone();
        Some((order.clone(), refund))
    }
}

/// What is left of the money, in minor units of this currency.
fn left(order: &Order, transaction: &ProviderRef, currency: Currency) -> i64 {
    let of_it = |known: &ProviderRef, money: Money| {
        (known == transaction && money.currency() == currency).then(|| money.minor())
    };
    let mut taken = order.captures.iter();
    let taken = taken.find_map(|capture| of_it(&capture.transaction, capture.amount));
    let held = order
        .refunds
        .iter()
        .filter(|refund| refund.standing != RefundStanding::Failed);
    let held = held.filter_map(|refund| of_it(&refund.transaction, refund.amount));
    taken.unwrap_or(0).saturating_sub(held.sum())
}

impl Teller {
    /// Gives money back, and tells of it when it went or failed, unless the script loses messages.
    fn refund(
        self: &Arc<Self>,
        (id, transaction, amount): (ProviderRef, ProviderRef, Money),
    ) -> Result<(Order, Refund, bool), BankRefusal> {
        let now = self.clock.now();
        let made = locked(&self.bank).refund((id.clone(), transaction, amount), now)?;
        if !made.2 {
            return Ok(made);
        }
        let end = match made.0.script.refund_fate {
            Fate::Done => None,
            Fate::DoneAfter(length) => Some((length, RefundStanding::Done)),
            Fate::FailsAfter(length) => Some((length, RefundStanding::Failed)),
            Fate::Declined => return Ok(made),
        };
        let (teller, order, refund) = (Arc::clone(self), made.0.clone(), made.1.clone());
        self.spawn(async move {
            let mut ended = Some((order, refund));
            if let Some((length, standing)) = end {
                teller.clock.sleep(length).await;
                let now = teller.clock.now();
                ended = locked(&teller.bank).end_refund(&id, standing, now);
            }
            if let Some((order, refund)) = ended {
                teller.tell_refund(&order, &refund).await;
            }
        });
        Ok(made)
    }

    async fn tell_refund(self: &Arc<Self>, order: &Order, refund: &Refund) {
        if refund.standing == RefundStanding::Done {
            let amount = refund.amount.to_string();
            self.happened(order, What::Refunded { amount });
        }
        if order.script.page == Plan::Lost {
            return;
        }
        if let Some(statement) = self.identity.of_refund(order, refund) {
            self.send(order, self.letter(&statement, false, false))
                .await;
        }
    }
}

/// Body of a refund. `amount` is minor units as text or a whole number.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRefund {
    refund: ProviderRef,
    transaction: ProviderRef,
    amount: MinorText,
    currency: Currency,
}

/// `POST /refunds`
pub(super) async fn give_back(
    request: HttpRequest,
    state: Data<State>,
    body: Json<NewRefund>,
) -> HttpResponse {
    if !authentic(&request, &state) {
        return unauthorized();
    }
    let body = body.into_inner();
    let Ok(amount) = Money::new(body.amount.0, body.currency) else {
        return unprocessable("bad_amount", "the amount must be above zero");
    };
    let order = locked(&state.teller.bank)
        .order_of_money(&body.transaction)
        .cloned();
    let Some(order) = order else {
        return refused_by(BankRefusal::Unknown);
    };
    state.teller.clock.sleep(order.script.slow).await;
    if order.script.refund == Answering::Down {
        return down();
    }
    let wanted = (body.refund, body.transaction, amount);
    let (order, refund, made) = match state.teller.refund(wanted) {
        Ok(refunded) => refunded,
        Err(refused) => return refused_by(refused),
    };
    match order.script.refund {
        Answering::Lost => return lost(),
        Answering::Slow(length) => state.teller.clock.sleep(length).await,
        Answering::Well | Answering::Down => {}
    }
    shown(&state, &order, &refund, made)
}

/// `GET /refunds/{refund}`
pub(super) async fn look_up(
    request: HttpRequest,
    state: Data<State>,
    id: Path<String>,
) -> HttpResponse {
    if !authentic(&request, &state) {
        return unauthorized();
    }
    let found = || {
        let bank = locked(&state.teller.bank);
        let found = bank.order_of_refund(&id);
        found.map(|(order, refund)| (order.clone(), refund.clone()))
    };
    let Some((order, _)) = found() else {
        return refused_by(BankRefusal::Unknown);
    };
    state.teller.happened(&order, What::LookedUp);
    state.teller.clock.sleep(order.script.slow).await;
    match order.script.look_up {
        Answering::Down => return down(),
        Answering::Lost => return lost(),
        Answering::Slow(length) => state.teller.clock.sleep(length).await,
        Answering::Well => {}
    }
    // Read again: it may have ended while the answer took its time.
    match found() {
        Some((order, refund)) => shown(&state, &order, &refund, false),
        None => refused_by(BankRefusal::Unknown),
    }
}

fn shown(state: &State, order: &Order, refund: &Refund, made: bool) -> HttpResponse {
    let mut answer = if made {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    let statement = state.teller.identity.of_refund(order, refund);
    let statements: Vec<_> = statement.into_iter().collect();
    answer.json(json!({ "refund": refund.id, "statements": statements }))
}
