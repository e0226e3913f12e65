//! What the model keeps of each request, and how an entry is made: plain numbers and sets. Which entry
//! is made when is in `crate::model`.

#![allow(missing_docs, reason = "the fields are the words of the table")]

use std::collections::BTreeMap;

use super::words::{Account, Asked, Closure, Dispute, Fact, How, Money, Said, Scenario, Stage};
use super::words::{Stray, Told, Twist};

/// Cases that close when nothing of their money is left, and not before.
pub const HOLDS_MONEY: [&str; 12] = [
    "underpaid",
    "underpaid_at_expiry",
    "overpaid",
    "currency_mismatch",
    "account_mismatch",
    "duplicate_payment",
    "late_payment",
    "late_notification",
    "paid_after_cancel",
    "paid_superseded",
    "refund_reversed",
    "verification_revoked",
];

/// Everything that the ledger should know.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct World {
    pub requests: Vec<Request>,
    /// Which request a movement of money came to first.
    pub owner: BTreeMap<Money, usize>,
    /// Money that nothing explained when it came.
    pub suspense: BTreeMap<Money, Suspense>,
    /// Money that left and has not arrived.
    pub transit: Vec<(Money, Transit)>,
    pub quotes: Vec<Quote>,
    /// Messages that nothing explains, and since when they wait.
    pub strays: Vec<(Stray, i64)>,
}

/// Money of no request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suspense {
    pub kind: &'static str,
    pub minor: i64,
    pub when: Option<i64>,
    /// What a person found that it is.
    pub found: Option<How>,
}

/// Money between two streams, with what is known about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Transit {
    pub to: usize,
    pub minor: i64,
    pub when: Option<i64>,
    pub refunded: i64,
    pub reversals: Vec<String>,
}

/// What a bot may make a request from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quote {
    pub order: u8,
    pub scenario: Scenario,
    pub minor: i64,
    pub until: i64,
    pub used: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    pub order: u8,
    pub scenario: Scenario,
    pub due: i64,
    pub expires_at: i64,
    pub deferred_until: i64,
    pub closure: Closure,
    /// What counted as paid when it was verified.
    pub verified: Option<i64>,
    /// What subscribers heard went back of that.
    pub reversed: i64,
    pub decided: Option<Decided>,
    pub proposal: Option<Proposal>,
    pub attempts: Vec<Attempt>,
    pub captures: BTreeMap<Money, Capture>,
    /// Second names of money (row B4).
    pub aliases: BTreeMap<Money, Money>,
    pub refunds: BTreeMap<u8, Refund>,
    /// By the number of the transaction that the provider names.
    pub disputes: BTreeMap<u8, Disputed>,
    /// Reversals that wait for their money, and since when (row C6).
    pub parked: Vec<(Money, Said, i64)>,
    pub notices: u32,
    /// By kind, what it is about and the money that it names; whether it is open.
    pub cases: BTreeMap<Case, bool>,
    /// What subscribers heard, with the amount of each reversal, and how often.
    pub told: BTreeMap<(&'static str, i64), u32>,
}

/// Kind, what it is about, and the money that it names.
pub type Case = (&'static str, String, Option<Money>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    pub account: Account,
    pub amount: i64,
    pub session_end: i64,
    pub stage: Stage,
    /// The provider's name for it is known.
    pub named: bool,
    /// A precheck allowed it.
    pub allowed: bool,
    /// The provider was asked to end it.
    pub ending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Disputed {
    pub money: Money,
    pub minor: i64,
    pub how: Dispute,
}

/// One movement of money; what is neither applied, unapplied, back nor moved was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capture {
    pub came: i64,
    pub foreign: bool,
    /// It came to another merchant account.
    pub stray: bool,
    pub applied: i64,
    pub unapplied: i64,
    /// What went back of each part.
    pub back: (i64, i64),
    /// What left, and where the last of it went.
    pub moved: i64,
    pub moved_to: Option<usize>,
    pub when: Option<i64>,
    /// What refunds and voids gave back, as providers count; and how much that was when it last came
    /// or left.
    pub refunded: i64,
    pub refunded_before: i64,
    /// What each reversal took of each part; nothing once it came back.
    pub reversals: BTreeMap<String, (i64, i64)>,
}

/// A refund that we asked for; it holds its money until it is over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refund {
    pub money: Money,
    pub applied: bool,
    pub minor: i64,
    pub asked: Asked,
    /// When it was asked for.
    pub since: i64,
    /// The provider's name for it.
    pub name: Option<String>,
}

/// A proposal, and everything that it was made on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proposal {
    pub id: u8,
    pub pay: bool,
    pub by: u8,
    pub lapses_at: i64,
    /// Nothing while it waits; else whether it was approved, and by whom unless it lapsed.
    pub verdict: Option<(bool, Option<u8>)>,
    pub on: Basis,
}

/// What a proposal rests on (row H8).
pub type Basis = (
    BTreeMap<Money, Capture>,
    BTreeMap<u8, Refund>,
    BTreeMap<u8, Disputed>,
    Closure,
    bool,
    Vec<Stage>,
);

/// The override that a request is paid by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decided {
    pub id: u8,
    pub prove_by: i64,
    /// That time is over, and it was told (row H6).
    pub overdue: bool,
}

impl Attempt {
    pub fn new(account: Account, amount: i64, session_end: i64) -> Self {
        let stage = Stage::Doubtful;
        let (named, allowed, ending) = (false, false, false);
        Self {
            account,
            amount,
            session_end,
            stage,
            named,
            allowed,
            ending,
        }
    }
}

impl Refund {
    /// Asked for, and no more.
    pub fn new(money: Money, applied: bool, minor: i64, since: i64) -> Self {
        let (asked, name) = (Asked::Nobody, None);
        Self {
            money,
            applied,
            minor,
            asked,
            since,
            name,
        }
    }

    /// It went back, or never will.
    pub fn over(&self) -> bool {
        self.asked == Asked::Over
    }
}

impl Proposal {
    /// It waits for its decision.
    pub fn open(&self) -> bool {
        self.verdict.is_none()
    }
}

impl Attempt {
    pub fn in_flight(&self) -> bool {
        self.stage.in_flight()
    }

    pub fn over(&self) -> bool {
        matches!(self.stage, Stage::Failed | Stage::Captured)
    }
}

impl Capture {
    /// Some of it counts or counted.
    pub fn counts(&self) -> bool {
        self.applied > 0 || self.back.0 > 0
    }

    /// What providers counted since it last came or left.
    pub fn counted(&self) -> i64 {
        self.refunded - self.refunded_before
    }

    /// This reversal was told before.
    pub fn knows(&self, said: &Said) -> bool {
        said.id().is_some_and(|id| self.reversals.contains_key(&id))
    }
}

impl Request {
    pub fn new(order: u8, scenario: Scenario, due: i64, expires_at: i64) -> Self {
        Self {
            order,
            scenario,
            due,
            expires_at,
            ..Self::default()
        }
    }

    pub fn sum(&self, part: impl Fn(&Capture) -> i64) -> i64 {
        self.captures.values().map(part).sum()
    }

    /// When its expiry is looked at next.
    pub fn expiry_due(&self) -> i64 {
        self.expires_at.max(self.deferred_until)
    }

    /// Applied money that is still here.
    pub fn net(&self) -> i64 {
        self.sum(|capture| capture.applied)
    }

    pub fn payable(&self) -> bool {
        self.closure == Closure::Open && self.verified.is_none()
    }

    pub fn in_flight(&self) -> bool {
        self.attempts.iter().any(Attempt::in_flight)
    }

    /// Known money by any of its names.
    pub fn at(&self, money: Money) -> Option<Money> {
        let first = self.aliases.get(&money).copied().unwrap_or(money);
        self.captures.contains_key(&first).then_some(first)
    }

    /// Money of which nothing is left here, and where it went.
    pub fn gone(&self, money: Money) -> Option<(Money, usize)> {
        let money = self.at(money)?;
        let capture = &self.captures[&money];
        let left = capture.moved_to?;
        (capture.applied == 0 && capture.unapplied == 0).then_some((money, left))
    }

    /// A dispute about money stands like this.
    pub fn disputed(&self, money: Money, how: Dispute) -> bool {
        let mut all = self.disputes.values();
        all.any(|dispute| dispute.money == money && dispute.how == how)
    }

    /// A capture that is known to be there.
    pub fn capture(&mut self, money: Money) -> &mut Capture {
        self.captures.get_mut(&money).expect("a known capture")
    }

    /// Opens a case, once for what it is about; money that waits again gets a new one.
    pub fn case(&mut self, kind: &'static str, about: impl ToString, money: Option<Money>) {
        let case = self.cases.entry((kind, about.to_string(), money));
        case.and_modify(|open| *open |= HOLDS_MONEY.contains(&kind))
            .or_insert(true);
    }

    /// Closes a case, if it is there.
    pub fn close(&mut self, kind: &str, about: &str) {
        for (case, open) in &mut self.cases {
            *open &= case.0 != kind || case.1 != about;
        }
    }

    /// Money left its capture: the cases that held it close with the last of it.
    pub fn emptied(&mut self, money: Money) {
        let empty = self.captures[&money].unapplied == 0;
        for (case, open) in self.cases.iter_mut().filter(|_| empty) {
            *open &= case.2 != Some(money) || !HOLDS_MONEY.contains(&case.0);
        }
    }

    pub fn tell(&mut self, what: &'static str, minor: i64) {
        *self.told.entry((what, minor)).or_default() += 1;
    }

    /// Subscribers hear of what goes back of a verified payment.
    pub fn tell_reversed(&mut self, minor: i64) {
        if self.verified.is_some() && minor != 0 {
            self.reversed += minor;
            self.tell("payment.reversed", minor);
        }
    }

    /// What counted waits for a person, with a case for each capture.
    pub fn set_aside(&mut self, why: &'static str) {
        for money in self.captures.keys().copied().collect::<Vec<_>>() {
            let capture = self.capture(money);
            let applied = std::mem::take(&mut capture.applied);
            capture.unapplied += applied;
            if applied > 0 {
                self.case(why, money, Some(money));
            }
        }
    }

    /// What no refund holds of a part of a capture.
    pub fn free(&self, money: Money, applied: bool) -> i64 {
        let part = |c: &Capture| if applied { c.applied } else { c.unapplied };
        let holds = |f: &&Refund| (f.money, f.applied, f.over()) == (money, applied, false);
        let held: i64 = self.refunds.values().filter(holds).map(|f| f.minor).sum();
        (self.captures.get(&money).map_or(0, part) - held).max(0)
    }

    /// New money, or money that had left, or more of money that is known.
    pub fn came(&mut self, money: Money, minor: i64, applied: i64, fact: &Fact) {
        let capture = self.captures.entry(money).or_default();
        capture.foreign |= fact.twist == Twist::OtherCurrency;
        capture.stray |= fact.twist == Twist::OtherPayee;
        capture.when = capture.when.or(fact.when);
        let returns = minor.min(capture.moved);
        capture.moved -= returns;
        capture.came += minor - returns;
        capture.applied += applied;
        capture.unapplied += minor - applied;
        capture.moved_to = None;
    }

    /// All that waits of a movement of money leaves, with what is known about it.
    pub fn leaves(&mut self, money: Money, to: usize) -> Transit {
        let capture = self.capture(money);
        let minor = std::mem::take(&mut capture.unapplied);
        capture.moved += minor;
        capture.moved_to = Some(to);
        capture.refunded_before = capture.refunded;
        let (when, refunded) = (capture.when, capture.refunded);
        let reversals = capture.reversals.keys().cloned().collect();
        self.emptied(money);
        Transit {
            to,
            minor,
            when,
            refunded,
            reversals,
        }
    }

    /// What was known about money that came from elsewhere.
    pub fn learns(&mut self, money: Money, told: Transit) {
        let capture = self.capture(money);
        let meanwhile = (told.refunded - capture.refunded_before).max(0);
        capture.refunded += meanwhile;
        capture.refunded_before = told.refunded;
        for name in told.reversals {
            capture.reversals.entry(name).or_default();
        }
    }

    /// Money goes back out of both parts.
    pub fn go_back(&mut self, money: Money, (applied, unapplied): (i64, i64)) {
        let capture = self.capture(money);
        capture.applied -= applied;
        capture.unapplied -= unapplied;
        capture.back = (capture.back.0 + applied, capture.back.1 + unapplied);
        self.tell_reversed(applied);
        self.emptied(money);
    }

    /// A reversal of this name was what made it go back.
    pub fn by_reversal(&mut self, money: Money, name: Option<String>, parts: (i64, i64)) {
        let capture = self.capture(money);
        capture.refunded += parts.0 + parts.1;
        if let Some(name) = name {
            let told = capture.reversals.entry(name).or_default();
            *told = (told.0 + parts.0, told.1 + parts.1);
        }
    }

    /// What went back is here again; `surplus` of what counted waits for a person.
    pub fn come_back(&mut self, money: Money, (applied, unapplied): (i64, i64), surplus: i64) {
        let capture = self.capture(money);
        capture.back = (capture.back.0 - applied, capture.back.1 - unapplied);
        capture.refunded -= applied + unapplied;
        capture.applied += applied - surplus;
        capture.unapplied += unapplied + surplus;
        self.tell_reversed(-applied);
    }

    /// The shop keeps money. False when a refund holds some of it, or none is there.
    pub fn keep(&mut self, money: Money) -> bool {
        let (free, capture) = (self.free(money, false), self.capture(money));
        let kept = capture.unapplied > 0 && capture.unapplied == free;
        if kept {
            capture.unapplied = 0;
            self.emptied(money);
        }
        kept
    }

    /// How far a refund is, and what the provider calls it; what was in doubt is so no more.
    pub fn set_refund(&mut self, id: u8, asked: Asked, name: Option<&String>) {
        if asked != Asked::Doubtful {
            self.close("refund_uncertain", &format!("f{id}"));
        }
        let refund = self.refunds.get_mut(&id).expect("asked for");
        refund.asked = asked;
        refund.name = name.cloned().or(refund.name.take());
    }

    /// Money goes back, never more than is there; what a refund of ours asks for out of its part first,
    /// the rest out of the unapplied part.
    pub fn take(&mut self, money: Money, minor: i64, applied_first: bool) -> (i64, i64) {
        let capture = self.capture(money);
        let first = match applied_first {
            true => minor.min(capture.applied),
            false => 0,
        };
        let unapplied = (minor - first).min(capture.unapplied);
        let applied = match applied_first {
            true => first,
            false => (minor - unapplied).min(capture.applied),
        };
        self.go_back(money, (applied, unapplied));
        (applied, unapplied)
    }

    /// A refund of ours went back, with `part` of its money.
    pub fn ours_went(&mut self, id: u8, part: i64, name: Option<String>) -> i64 {
        let refund = self.refunds[&id].clone();
        let (applied, unapplied) = self.take(refund.money, part, refund.applied);
        self.by_reversal(refund.money, name.or(refund.name), (applied, unapplied));
        self.set_refund(id, Asked::Over, None);
        if applied + unapplied != refund.minor {
            self.contradicts(refund.money);
        }
        applied + unapplied
    }

    /// Money went back that nobody here asked for.
    pub fn unasked_went(&mut self, money: Money, minor: i64, name: Option<String>) -> i64 {
        let parts = self.take(money, minor, false);
        self.by_reversal(money, name.filter(|_| parts != (0, 0)), parts);
        parts.0 + parts.1
    }

    /// A person found out what nobody knew about a refund.
    pub fn found(&mut self, about: &str, went: bool) -> bool {
        let mut ids = self.refunds.keys().copied();
        let id = ids.find(|id| format!("f{id}") == about);
        let id = id.expect("a known refund");
        let minor = self.refunds[&id].minor;
        match went {
            true => drop(self.ours_went(id, minor, None)),
            false => self.answered(id, &Told::Declined),
        }
        true
    }

    /// What waited of a movement of money counts.
    pub fn apply(&mut self, money: Money, minor: i64) {
        let capture = self.capture(money);
        capture.applied += minor;
        capture.unapplied -= minor;
    }

    /// It does not count as paid any more, and what counted waits for a person.
    pub fn revoke(&mut self) {
        self.proved();
        self.tell(
            "payment.reversed",
            self.verified.unwrap_or(0) - self.reversed,
        );
        (self.verified, self.decided, self.closure) = (None, None, Closure::Revoked);
        let held = self.refunds.values_mut().filter(|refund| !refund.over());
        held.for_each(|refund| refund.applied = false);
        self.set_aside("verification_revoked");
    }

    /// What waited for its money for 15 minutes is told to a person (row C6).
    pub fn give_up(&mut self, now: i64) {
        let old = |(.., since): &mut (Money, Said, i64)| now - *since >= 900;
        let over: Vec<_> = self.parked.extract_if(.., old).collect();
        for (_, said, _) in over {
            self.case("reversal_without_capture", said.about(), None);
        }
    }

    /// A provider told this of money here before.
    pub fn heard(&self, money: Money, said: &Said) -> bool {
        let capture = &self.captures[&money];
        let txn = said.txn().filter(|_| said.disputes());
        let counted = matches!(said, Said::RefundedInAll(_, all) if *all <= capture.refunded);
        let disputed = txn.is_some_and(|txn| self.disputes.contains_key(&txn));
        capture.knows(said) || disputed || counted
    }

    /// What a provider says of an attempt denies no payment: money came, or it could not say, or money
    /// that came goes back.
    pub fn admits(&self, n: usize, said: &Said) -> bool {
        let account = self.attempts[n].account;
        let known = |txn| self.at(Money { account, txn }).is_some();
        let money = matches!(said, Said::Captured(..) | Said::Unknown);
        money || said.txn().is_some_and(known)
    }

    /// A case is open.
    pub fn asks(&self, kind: &'static str, about: &str) -> bool {
        let case = (kind, about.to_owned(), None);
        self.cases.get(&case).is_some_and(|open| *open)
    }

    /// It is paid.
    pub fn verify(&mut self, paid: i64) {
        (self.verified, self.reversed) = (Some(paid), 0);
        self.tell("payment.verified", 0);
    }

    /// It is closed, and what counted waits for a person.
    pub fn close_as(&mut self, closure: Closure) {
        self.set_aside("underpaid_at_expiry");
        self.closure = closure;
        let expired = closure == Closure::Expired;
        let told = ["payment_request.cancelled", "payment_request.expired"];
        self.tell(told[usize::from(expired)], 0);
    }

    /// A provider states a reversal that cannot be.
    pub fn contradicts(&mut self, money: Money) {
        let about = format!("refund of {money}");
        self.case("provider_contradiction", about, Some(money));
    }

    /// Paid by decision, and money has not proved all of it.
    pub fn unproven(&self) -> bool {
        let came = self.sum(|capture| capture.applied + capture.back.0);
        self.decided.is_some() && came + self.scenario.tolerance() < self.due
    }

    /// Money or people ended what was unproven.
    pub fn proved(&mut self) {
        let about = format!("p{}", self.decided.map_or(0, |decided| decided.id));
        self.close("override_unproven", &about);
        self.close("override_unsubstantiated", &about);
    }

    /// The provider was asked to end an attempt, and has not.
    pub fn cancel_pending(&self) -> bool {
        self.attempts.iter().any(|a| a.ending && !a.over())
    }

    /// A refund of ours has no answer.
    pub fn refund_pending(&self) -> bool {
        self.refunds.values().any(|refund| !refund.over())
    }

    /// Somebody must decide something.
    pub fn in_review(&self) -> bool {
        let proposed = self.proposal.as_ref().is_some_and(Proposal::open);
        proposed || self.cases.values().any(|open| *open)
    }

    /// What a proposal rests on.
    pub fn basis(&self) -> Basis {
        let stages = self.attempts.iter().map(|a| a.stage).collect();
        (
            self.captures.clone(),
            self.refunds.clone(),
            self.disputes.clone(),
            self.closure,
            self.verified.is_some(),
            stages,
        )
    }
}
