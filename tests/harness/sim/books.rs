//! What the model keeps of each request, and how an entry is made: plain numbers and sets. Which entry
//! is made when is in `crate::model`.

#![allow(missing_docs, reason = "the fields are the words of the table")]

use std::collections::BTreeMap;

use super::words::{Account, Asked, Closure, Dispute, Fact, Money, Said, Scenario, Stage, Twist};

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
    /// Reversals that wait for their money, and since when (row C6).
    pub parked: Vec<(usize, Fact, i64)>,
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
}

/// One movement of money; what is neither applied, unapplied nor back was kept.
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
    /// What refunds and voids gave back, as providers count.
    pub refunded: i64,
    /// What each reversal took of each part; nothing once it came back.
    pub reversals: BTreeMap<String, (i64, i64)>,
    pub dispute: Option<(i64, Dispute)>,
}

/// A refund that we asked for; it holds its money until it is over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refund {
    pub money: Money,
    pub applied: bool,
    pub minor: i64,
    pub asked: Asked,
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
    /// Nothing while it waits; else whether it was approved.
    pub approved: Option<bool>,
    pub on: Basis,
}

/// What a proposal rests on (row H8).
pub type Basis = (
    BTreeMap<Money, Capture>,
    BTreeMap<u8, Refund>,
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
        let (named, allowed) = (false, false);
        Self {
            account,
            amount,
            session_end,
            stage,
            named,
            allowed,
        }
    }
}

impl World {
    /// What may have become of a request's end: the loop looked when it was due or somewhat later, and
    /// after days each silence may have been told before the end or is told after it.
    pub fn ends(
        &self,
        r: usize,
        (before, now): (i64, i64),
        (silent, rests): (bool, bool),
    ) -> Vec<Self> {
        let request = &self.requests[r];
        let due = request.expiry_due().clamp(before, now);
        let days = now >= request.expires_at + 72 * 3600;
        let doubts = 1 << (request.attempts.len() * usize::from(days));
        let mut ends = vec![];
        for at in [before, due, now] {
            for (silent, told) in
                (0..doubts).flat_map(|told| [(silent, told), (silent || rests, told)])
            {
                let mut world = self.clone();
                world.requests[r].silence(now, told);
                world.requests[r].tick(silent, at);
                ends.push(world);
            }
        }
        ends
    }

    /// Attempt `n` of request `r` is known.
    pub fn knows(&self, r: usize, n: usize) -> bool {
        self.requests
            .get(r)
            .is_some_and(|request| n < request.attempts.len())
    }

    /// Request `r` is closed, and another stands for its order.
    pub fn replaced(&self, r: usize) -> bool {
        let stands = |(other, it): (usize, &Request)| {
            let open = it.closure == Closure::Open || it.verified.is_some();
            other != r && open && it.order == self.requests[r].order
        };
        let closed = self.requests[r].closure != Closure::Open;
        closed && self.requests.iter().enumerate().any(stands)
    }

    /// What waited is tried again, in every order that may be (row C6).
    pub fn retried(&self, r: usize) -> Vec<Self> {
        let mut worlds = vec![];
        for place in 0..self.requests[r].parked.len() {
            let mut world = self.clone();
            let (n, fact, _) = world.requests[r].parked.remove(place);
            let account = world.requests[r].attempts[n].account;
            if world.requests[r].went_back(account, &fact.said) {
                worlds.extend(world.retried(r));
            }
        }
        if worlds.is_empty() {
            worlds.push(self.clone());
        }
        worlds
    }
}

impl Refund {
    /// It went back, or never will.
    pub fn over(&self) -> bool {
        self.asked == Asked::Over
    }
}

impl Proposal {
    /// It waits for its decision.
    pub fn open(&self) -> bool {
        self.approved.is_none()
    }
}

impl Attempt {
    pub fn in_flight(&self) -> bool {
        matches!(
            self.stage,
            Stage::Processing | Stage::Authorised | Stage::Unknown
        )
    }

    pub fn over(&self) -> bool {
        matches!(self.stage, Stage::Failed | Stage::Captured)
    }
}

impl Capture {
    /// Its dispute stands like this, and some of it counts or counted.
    pub fn disputed(&self, how: Dispute) -> bool {
        let counts = self.applied > 0 || self.back.0 > 0;
        counts && self.dispute.is_some_and(|dispute| dispute.1 == how)
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

    /// New money, or more of money that is known.
    pub fn came(&mut self, money: Money, minor: i64, applied: i64, fact: &Fact) {
        let capture = self.captures.entry(money).or_default();
        capture.foreign = fact.twist == Twist::OtherCurrency;
        capture.stray = fact.twist == Twist::OtherPayee;
        capture.came += minor;
        capture.applied += applied;
        capture.unapplied += minor - applied;
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
        if let Some(name) = name.filter(|_| parts != (0, 0)) {
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

    /// How far a refund is; what was in doubt is so no more.
    pub fn set_refund(&mut self, id: u8, asked: Asked) {
        if asked != Asked::Doubtful {
            self.close("refund_uncertain", &format!("f{id}"));
        }
        self.refunds.get_mut(&id).expect("asked for").asked = asked;
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
            self.closure,
            self.verified.is_some(),
            stages,
        )
    }
}
