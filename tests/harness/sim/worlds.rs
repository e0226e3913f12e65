//! What a world may become without a command: time passes, money arrives, what waits is tried again.
//! Where more than one thing may have happened, each is a world of its own.

#![allow(missing_docs, reason = "the words are those of the table")]

use super::books::{Proposal, Request, Suspense, World};
use super::words::{Account, Answer, Asked, Closure, Fact, How, Money, Said, Stage, Stray};
use super::words::{Told, Twist};

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

    /// Messages that nothing explained are looked at again: their money may be a request's by now.
    pub fn explained(&self, now: i64) -> Self {
        let mut world = self.clone();
        for (stray, since) in std::mem::take(&mut world.strays) {
            world.stray(&stray, since.min(now));
        }
        world
    }

    /// What waited is tried again, in every order that may be (row C6).
    pub fn retried(&self, r: usize) -> Vec<Self> {
        let mut worlds = vec![];
        for place in 0..self.requests[r].parked.len() {
            let mut world = self.clone();
            let (money, said, _) = world.requests[r].parked.remove(place);
            if world.went_back(r, money, &said, &[]) {
                worlds.extend(world.retried(r));
            }
        }
        if worlds.is_empty() {
            worlds.push(self.clone());
        }
        worlds
    }

    /// What time and news end has ended, as far as somebody looked (rows H6 and H8).
    pub fn lapsed(&self, looked: i64) -> Self {
        let mut world = self.clone();
        let requests = world.requests.iter_mut();
        requests.for_each(|request| request.lapse(looked));
        world
    }

    /// It died in the middle of a registration or of the call for a refund, and wrote that down.
    pub fn doubts(&self, died: bool) -> Self {
        let mut world = self.clone();
        for request in &mut world.requests {
            let doubt = request.attempts.iter().any(|a| a.stage == Stage::Doubtful);
            if doubt && request.proposal.as_ref().is_some_and(Proposal::open) {
                request.reject(None);
            }
            let called = |asked: &Asked| matches!(asked, Asked::Nobody | Asked::Called);
            let refunds = request.refunds.iter();
            let lost = refunds.filter(|(_, refund)| died && called(&refund.asked));
            let lost: Vec<u8> = lost.map(|(id, _)| *id).collect();
            lost.into_iter()
                .for_each(|id| request.answered(id, &Told::Silent));
        }
        world
    }

    /// What waited for long enough is given up, now or a little later, the oldest or the newest first;
    /// at the end nothing waits.
    pub fn waited(&self, now: i64, last: bool) -> Vec<Self> {
        let mut over = self.clone();
        over.requests.iter_mut().for_each(|r| r.give_up(now));
        let strays = std::mem::take(&mut over.strays);
        let (given_up, wait): (Vec<_>, Vec<_>) = strays.into_iter().partition(|(stray, since)| {
            let nobody = stray.account == Account::Blind;
            let money = matches!(stray.said, Said::Captured(..));
            (nobody || !money) && now - since >= 900
        });
        over.strays = wait;
        let mut other = over.clone();
        let facts = given_up.into_iter().map(|(stray, _)| {
            let (said, twist, when) = (stray.said.clone(), Twist::Plain, stray.when);
            (stray, Fact { said, twist, when })
        });
        let facts: Vec<(Stray, Fact)> = facts.collect();
        facts.iter().for_each(|(s, f)| over.unexplained(s, f));
        facts
            .iter()
            .rev()
            .for_each(|(s, f)| other.unexplained(s, f));
        let mut worlds = vec![self.clone()];
        for world in [over, other] {
            let mut told = world.clone();
            let requests = told.requests.iter_mut();
            requests.for_each(|r| r.silence(now, usize::MAX));
            worlds.extend([world, told]);
        }
        worlds.retain(|world| !last || world.strays.iter().all(|(_, since)| now - since < 900));
        worlds
    }

    /// The provider was asked about an order that no attempt of ours made.
    pub fn asked_about(&mut self, stray: &Stray, answer: &Answer) {
        if *answer == Answer::Silent {
            return;
        }
        let of_order = |(waits, _): &(Stray, i64)| waits.order == stray.order;
        if let Some(place) = self.strays.iter().position(of_order) {
            self.strays.remove(place);
        }
        let facts = answer.facts().iter();
        facts.for_each(|fact| self.unexplained(stray, fact));
    }

    /// What is in transit has not arrived, or some of it, or all of it.
    pub fn arrived(&self, now: i64) -> Vec<Self> {
        let mut worlds = vec![self.clone()];
        for _ in 0..self.transit.len() {
            let mut world = worlds.last().cloned().unwrap_or_default();
            world.arrives(now);
            worlds.push(world);
        }
        worlds
    }

    /// A message that names no attempt of ours. Where it names nothing but money of ours that goes
    /// back, it is told where that is.
    pub fn stray(&mut self, stray: &Stray, now: i64) {
        let txn = stray.said.txn().unwrap_or_default();
        let money = Money {
            account: stray.account,
            txn,
        };
        let came = matches!(stray.said, Said::Captured(..));
        match self.first_holder(money).filter(|_| !came) {
            Some(r) if self.went_back(r, money, &stray.said, &[]) => {}
            Some(r) => {
                let waits = (money, stray.said.clone(), now);
                self.requests[r].parked.push(waits);
            }
            None => self.strays.push((stray.clone(), now)),
        }
    }

    /// Money of no request that was not known before.
    pub fn observe(&mut self, money: Money, new: Suspense) {
        self.suspense.entry(money).or_insert(new);
    }

    /// What became of the one call for a refund, or of a question about it.
    pub fn refund_told(&mut self, r: usize, id: u8, told: &Told) {
        let request = &mut self.requests[r];
        let money = request.refunds[&id].money;
        request.answered(id, told);
        if let Told::Known(_, facts) = told {
            for said in facts {
                self.went_back(r, money, said, &[]);
            }
        }
    }

    /// What requests of an order hold that waits for a person (row E16).
    pub fn unapplied_funds(&self, order: u8) -> Vec<(usize, i64)> {
        let requests = self.requests.iter().enumerate();
        let of_order = requests.filter(|(_, old)| old.order == order);
        let held = of_order.flat_map(|(r, old)| {
            let captures = old.captures.values();
            captures.map(move |capture| (r, capture.unapplied))
        });
        held.filter(|(_, minor)| *minor > 0).collect()
    }

    /// Somebody has this money.
    pub fn claimed(&self, money: Money) -> bool {
        self.owner.contains_key(&money) || self.suspense.contains_key(&money)
    }

    /// The request that had it first: the one that it came to, or the one that a person named.
    pub fn first_holder(&self, money: Money) -> Option<usize> {
        let named = |known: &Suspense| match known.found {
            Some(How::Reassign(to)) => Some(usize::from(to)),
            _ => None,
        };
        let owner = self.owner.get(&money).copied();
        owner.or_else(|| self.suspense.get(&money).and_then(named))
    }

    /// The request that has it now, or is about to.
    pub fn holder(&self, money: Money) -> Option<usize> {
        let mut at = self.first_holder(money)?;
        let mut passed = vec![];
        while !passed.contains(&at) {
            passed.push(at);
            at = self.requests[at].gone(money).map_or(at, |gone| gone.1);
        }
        Some(at)
    }
}
