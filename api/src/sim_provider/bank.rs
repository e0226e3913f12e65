//! What was really paid. The bank's own truth: look-ups read it, and no lie of a script changes it.
//! Pure: time and new ids come in as arguments. Kept in memory; a restarted bank knows nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::ids::ProviderRef;
use domain::money::Money;
use domain::time::Timestamp;

use super::refunds::Refund;
use super::script::{Changes, Script};

/// More orders than these are refused.
const ORDERS_MAX: usize = 100_000;
/// Longest session.
pub(super) const SESSION_MAX: Duration = Duration::from_secs(24 * 3600);

/// Money that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The bank's id of the movement.
    pub transaction: ProviderRef,
    /// How much was really taken.
    pub amount: Money,
    /// By which merchant account.
    pub payee: String,
    /// When.
    pub at: Timestamp,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Registered, nothing tried.
    Open,
    /// The last try was declined; the session is open.
    Declined,
    /// Money was taken, once or more.
    Captured,
    /// The session ended unpaid, by time.
    Expired,
    /// The session ended unpaid, because the merchant closed it.
    Cancelled,
}

impl Standing {
    /// The status on the wire. The wire has one word for both ends of a session.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "registered",
            Self::Declined => "declined",
            Self::Captured => "captured",
            Self::Expired | Self::Cancelled => "session_expired",
        }
    }
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The bank's id.
    pub id: ProviderRef,
    /// The merchant's.
    pub our_reference: ProviderRef,
    /// What is due.
    pub amount: Money,
    /// What the payer reads.
    pub description: String,
    /// Where the payer goes back to.
    pub return_url: Option<String>,
    /// Registered.
    pub made_at: Timestamp,
    /// The session ends.
    pub expires_at: Timestamp,
    /// How the bank behaves.
    pub script: Script,
    /// Raised when the script is replaced, so that older steps stop.
    pub script_no: u32,
    /// Closed by the merchant.
    pub cancelled_at: Option<Timestamp>,
    /// Declined last.
    pub declined_at: Option<Timestamp>,
    /// What was taken.
    pub captures: Vec<Capture>,
    /// What the merchant asked to be given back.
    pub refunds: Vec<Refund>,
}

impl Order {
    /// Where it stands at `now`.
    pub fn standing(&self, now: Timestamp) -> Standing {
        if !self.captures.is_empty() {
            Standing::Captured
        } else if self.cancelled_at.is_some() {
            Standing::Cancelled
        } else if now >= self.expires_at {
            Standing::Expired
        } else if self.declined_at.is_some() {
            Standing::Declined
        } else {
            Standing::Open
        }
    }

    /// True while a payer may pay on the page.
    pub fn payable(&self, now: Timestamp) -> bool {
        match self.standing(now) {
            Standing::Open | Standing::Declined => true,
            Standing::Captured | Standing::Expired | Standing::Cancelled => false,
        }
    }

    /// True when the session is over, paid or not.
    pub fn session_ended(&self, now: Timestamp) -> bool {
        self.cancelled_at.is_some() || now >= self.expires_at
    }

    /// When it came to stand where it stands.
    pub fn since(&self, now: Timestamp) -> Timestamp {
        let of_capture = self.captures.last().map(|capture| capture.at);
        match self.standing(now) {
            Standing::Captured => of_capture.unwrap_or(self.made_at),
            Standing::Cancelled => self.cancelled_at.unwrap_or(self.made_at),
            Standing::Expired => self.expires_at,
            Standing::Declined => self.declined_at.unwrap_or(self.made_at),
            Standing::Open => self.made_at,
        }
    }
}

/// What somebody asks to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewOrder {
    /// The merchant's reference; one order per reference.
    pub our_reference: ProviderRef,
    /// What is due.
    pub amount: Money,
    /// What the payer reads.
    pub description: String,
    /// Where the payer goes back to.
    pub return_url: Option<String>,
    /// Length of the session.
    pub session: Duration,
    /// How the bank shall behave.
    pub script: Script,
}

/// Why the bank says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BankRefusal {
    /// The reference stands for another order.
    #[error("the reference is used for an order with other terms")]
    ReferenceUsed,
    /// Too many orders.
    #[error("the bank keeps no more orders")]
    Full,
    /// There is none.
    #[error("there is no such order")]
    Unknown,
    /// Paid, or its session is over.
    #[error("the order can no longer be paid or cancelled")]
    Closed,
    /// More than was taken and did not go back.
    #[error("so much was not taken")]
    OverRefund,
    /// The script says so.
    #[error("the refund is declined")]
    Declined,
}

/// All orders.
#[derive(Debug, Default)]
pub(super) struct Bank {
    orders: BTreeMap<ProviderRef, Order>,
    by_reference: BTreeMap<ProviderRef, ProviderRef>,
}

impl Bank {
    /// Registers an order under `id`. The same reference and terms again: the same order again, and
    /// `false`.
    ///
    /// # Errors
    /// [`BankRefusal::ReferenceUsed`], [`BankRefusal::Full`].
    pub(super) fn register(
        &mut self,
        new: NewOrder,
        id: ProviderRef,
        now: Timestamp,
    ) -> Result<(Order, bool), BankRefusal> {
        if let Some(known) = self.find(new.our_reference.as_str()) {
            let same = known.amount == new.amount && known.description == new.description;
            return if same {
                Ok((known.clone(), false))
            } else {
                Err(BankRefusal::ReferenceUsed)
            };
        }
        if self.orders.len() >= ORDERS_MAX {
            return Err(BankRefusal::Full);
        }
        let order = Order {
            id: id.clone(),
            our_reference: new.our_reference.clone(),
            amount: new.amount,
            description: new.description,
            return_url: new.return_url,
            made_at: now,
            expires_at: now.plus(new.session.min(SESSION_MAX)),
            script: new.script,
            script_no: 0,
            cancelled_at: None,
            declined_at: None,
            captures: vec![],
            refunds: vec![],
        };
        self.by_reference.insert(new.our_reference, id.clone());
        self.orders.insert(id, order.clone());
        Ok((order, true))
    }

    /// An order by the bank's id or by the merchant's reference.
    pub(super) fn find(&self, name: &str) -> Option<&Order> {
        let name = ProviderRef::parse(name).ok()?;
        self.orders
            .get(&name)
            .or_else(|| self.orders.get(self.by_reference.get(&name)?))
    }

    pub(super) fn find_mut(&mut self, name: &str) -> Result<&mut Order, BankRefusal> {
        let id = self
            .find(name)
            .map(|order| order.id.clone())
            .ok_or(BankRefusal::Unknown)?;
        self.orders.get_mut(&id).ok_or(BankRefusal::Unknown)
    }

    /// Every order, oldest id first.
    pub(super) fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.values()
    }

    /// Takes the payer's money on the page: once, and only while the session is open.
    ///
    /// # Errors
    /// [`BankRefusal::Unknown`], [`BankRefusal::Closed`].
    pub(super) fn pay(
        &mut self,
        name: &str,
        transaction: ProviderRef,
        payee: &str,
        now: Timestamp,
    ) -> Result<Order, BankRefusal> {
        if !self.find_mut(name)?.payable(now) {
            return Err(BankRefusal::Closed);
        }
        self.pay_as_told(name, transaction, &Changes::default(), payee, now)
    }

    /// Takes money because a script says so: also twice, also late, also other money.
    ///
    /// # Errors
    /// [`BankRefusal::Unknown`].
    pub(super) fn pay_as_told(
        &mut self,
        name: &str,
        transaction: ProviderRef,
        changes: &Changes,
        payee: &str,
        now: Timestamp,
    ) -> Result<Order, BankRefusal> {
        let order = self.find_mut(name)?;
        order.captures.push(Capture {
            transaction: changes.transaction.clone().unwrap_or(transaction),
            // The script was checked against the order when both met.
            amount: changes.money(order.amount).unwrap_or(order.amount),
            payee: changes.account.clone().unwrap_or_else(|| payee.to_owned()),
            at: now,
        });
        Ok(order.clone())
    }

    /// The payer's bank says no. The payer may try again.
    ///
    /// # Errors
    /// [`BankRefusal::Unknown`], [`BankRefusal::Closed`].
    pub(super) fn decline(&mut self, name: &str, now: Timestamp) -> Result<Order, BankRefusal> {
        let order = self.find_mut(name)?;
        if !order.payable(now) {
            return Err(BankRefusal::Closed);
        }
        order.declined_at = Some(now);
        Ok(order.clone())
    }

    /// Closes the session. Repeating it is fine.
    ///
    /// # Errors
    /// [`BankRefusal::Unknown`], [`BankRefusal::Closed`] when money was taken.
    pub(super) fn cancel(&mut self, name: &str, now: Timestamp) -> Result<Order, BankRefusal> {
        let order = self.find_mut(name)?;
        if !order.captures.is_empty() {
            return Err(BankRefusal::Closed);
        }
        if order.payable(now) {
            order.cancelled_at = Some(now);
        }
        Ok(order.clone())
    }

    /// Replaces an order's script.
    ///
    /// # Errors
    /// [`BankRefusal::Unknown`].
    pub(super) fn set_script(&mut self, name: &str, script: Script) -> Result<Order, BankRefusal> {
        let order = self.find_mut(name)?;
        order.script = script;
        order.script_no = order.script_no.wrapping_add(1);
        Ok(order.clone())
    }
}

#[cfg(test)]
#[path = "bank_tests.rs"]
mod tests;
