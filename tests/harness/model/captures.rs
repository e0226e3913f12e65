//! What providers say, and where new money goes: rows A12, A13, B, C4 to C8, D, E2 to E15, G, H1, H5.
use crate::sim::bank::Registers;
use crate::sim::books::{Request, World};
use crate::sim::words::{Account, Answer, Closure, Fact, Money, Proof, Said, Stage, Twist};

impl World {
    /// A statement of a provider about attempt `n` of request `r`.
    pub fn hear(&mut self, r: usize, n: usize, fact: &Fact, proof: Proof, now: i64) {
        let request = &mut self.requests[r];
        let account = request.attempts[n].account;
        let enough = proof == Proof::LookedUp || account != Account::Strict;
        match (fact.twist, &fact.said) {
            (Twist::ForeignAttempt, Said::Captured(..)) => {
                request.case("foreign_attempt", if enough { "-99" } else { account.name() }, None); // row G3
            }
            _ if !enough || fact.twist == Twist::ForeignAttempt => {} // rows A13 and C8
            (Twist::LiveMoney, said) => request.case("mode_mismatch", said.about(), None), // row G7
            (Twist::OtherOrder, said) => request.case("identity_mismatch", said.about(), None), // row G5
            (_, Said::Captured(txn, minor)) => self.captured(r, n, fact, proof, now, Money { account, txn: *txn }, *minor),
            (_, said) if said.txn().is_none() => request.progressed(n, said, proof),
            (_, said) => if !request.went_back(account, said) && proof == Proof::Notified {
                request.parked.push((n, fact.clone(), now)); // row C6
            },
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one sentence of a provider")]
    fn captured(&mut self, r: usize, n: usize, fact: &Fact, proof: Proof, now: i64, money: Money, minor: i64) {
        let request = &mut self.requests[r];
        let sure = proof == Proof::LookedUp || money.account == Account::Blind;
        let came = (minor, fact.twist == Twist::OtherCurrency);
        let known = request.at(money).map(|money| (request.captures[&money].came, request.captures[&money].foreign));
        let first = match fact.twist {
            Twist::AliasOf(txn) if proof == Proof::LookedUp => request.at(Money { txn, ..money }),
            _ => None,
        };
        let closed = request.verified.is_none() && (request.closure != Closure::Open || now > request.expires_at);
        match known {
            None if fact.twist == Twist::NoAmount && sure => request.case("unprovable_amount", fact.said.about(), None), // D8
            _ if fact.twist == Twist::NoAmount || known == Some(came) => {} // rows B1 and C7
            Some(_) => request.case("provider_contradiction", money, Some(money)), // row B2
            None if first.is_none() && closed && !sure => {} // rows E2, E6 and E11: the provider is asked first
            None if self.owner.contains_key(&money) => for r in [r, self.owner[&money]] {
                self.requests[r].case("txn_reused", money, None); // row G4
            },
            None => {
                self.owner.insert(money, r);
                if let Some(first) = first { request.aliases.insert(money, first); return; } // row B4
                request.attempts[n].stage = Stage::Captured;
                let alone = !self.replaced(r);
                self.requests[r].place(money, minor, fact, now, alone);
            }
        }
    }

    /// An answer about attempt `n`, and what it means for a customer's word (row H1).
    pub fn looked_up(&mut self, r: usize, n: usize, answer: &Answer, now: i64) {
        let denies = |fact: &Fact| !matches!(fact.said, Said::Captured(..) | Said::Unknown);
        let denied = match answer {
            Answer::NotFound => { self.requests[r].registered(n, Registers::Refuses); true }
            Answer::Silent => { self.requests[r].progressed(n, &Said::Unknown, Proof::LookedUp); false }
            Answer::Facts(facts) => {
                facts.iter().for_each(|fact| self.hear(r, n, fact, Proof::LookedUp, now));
                facts.iter().all(denies)
            }
        };
        self.requests[r].denied(denied);
    }
}

impl Request {
    /// New money: rows A12, B3, C4, D1 to D7, E2, E3, E6, E7, E11, E15, H5 and H5b.
    pub(super) fn place(&mut self, money: Money, minor: i64, fact: &Fact, now: i64, alone: bool) {
        let in_time = fact.when.is_some_and(|when| when <= self.expires_at);
        let (stray, foreign) = (fact.twist == Twist::OtherPayee, fact.twist == Twist::OtherCurrency);
        let closes = self.payable() && now > self.expires_at && !in_time && !stray && !foreign;
        if closes { self.close_as(Closure::Expired); } // row E3
        let (missing, tolerance) = (self.due - self.net(), self.scenario.tolerance());
        let exact = (minor - missing).abs() <= tolerance;
        let part = self.captures.values().filter(|c| c.applied > 0).count() < 20;
        let decided = self.unproven();
        let (applied, why) = match self.closure {
            _ if stray => (0, "account_mismatch"), // row D7
            _ if foreign => (0, "currency_mismatch"), // row D6
            _ if decided && exact => (minor, ""), // row H5
            _ if decided => (0, if minor < missing { "underpaid" } else { "overpaid" }), // row H5b
            _ if self.verified.is_some() => (0, "duplicate_payment"), // rows B3 and B6
            Closure::Expired if in_time && exact && alone && self.scenario.accepts_late() => (minor, ""), // row E7
            Closure::Expired => (0, if in_time { "late_notification" } else { "late_payment" }), // rows E6 and E7
            Closure::Cancelled | Closure::Revoked => (0, "paid_after_cancel"), // row E11
            Closure::Superseded => (0, "paid_superseded"), // row E15
            Closure::Open if exact => (minor, ""), // rows A12, C4, D3, D5 and E2
            Closure::Open if minor > missing => (missing, "overpaid"), // row D4
            Closure::Open if self.scenario.accumulates() && part => (minor, ""), // row D2
            Closure::Open => (0, "underpaid"), // row D1
        };
        self.came(money, minor, applied, fact);
        if !why.is_empty() { self.case(why, money, Some(money)); }
        let paid = applied > 0 && self.verified.is_none() && self.net() >= self.due - tolerance;
        if paid { self.verify(self.net()); }
        if decided && applied > 0 { self.proved(); }
    }

    pub fn give_up(&mut self, now: i64) { // row C6, after 15 minutes
        let over: Vec<_> = self.parked.extract_if(.., |(.., since)| now - *since >= 900).collect();
        over.iter().for_each(|(_, fact, _)| self.case("reversal_without_capture", fact.said.about(), None));
    }
}
