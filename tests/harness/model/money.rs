//! Money: where it comes from, where it goes, and what goes back: rows A12, A13, B, C4 to C8, D, E2 to E15, F, G and H5.
use crate::sim::{bank::Registers, books::*, words::*};

impl World {
    /// A statement of a provider about attempt `n` of request `r`.
    pub fn hear(&mut self, (r, n): (usize, usize), fact: &Fact, proof: Proof, now: i64) {
        let (request, said) = (&mut self.requests[r], &fact.said);
        let account = request.attempts[n].account;
        let money = Money { account, txn: said.txn().unwrap_or_default() };
        let enough = proof == Proof::LookedUp || account != Account::Strict;
        match (fact.twist, said) {
            (Twist::ForeignAttempt, Said::Captured(..)) => {
                request.case("foreign_attempt", if enough { "-99" } else { account.name() }, None); // row G3
            }
            (twist, _) if !enough || twist == Twist::ForeignAttempt => {} // rows A13 and C8
            (Twist::LiveMoney, _) => request.case("mode_mismatch", said.about(), None), // row G7
            (Twist::OtherOrder, _) => request.case("identity_mismatch", said.about(), None), // row G5
            (_, Said::Captured(_, minor)) => self.captured((r, n), fact, proof, now, (money, *minor)),
            _ if said.txn().is_none() => request.progressed(n, said, proof),
            _ if self.went_back(r, money, said, &[]) || proof == Proof::LookedUp => {}
            _ => self.requests[r].parked.push((money, said.clone(), now)), // row C6
        }
    }

    fn captured(&mut self, (r, n): (usize, usize), fact: &Fact, proof: Proof, now: i64, (money, minor): (Money, i64)) {
        let (claimed, holder, alone) = (self.claimed(money), self.holder(money), !self.replaced(r));
        let request = &mut self.requests[r];
        let sure = proof == Proof::LookedUp || money.account == Account::Blind;
        let came = (minor, fact.twist == Twist::OtherCurrency);
        let known = request.at(money).map(|money| (self.owner.get(&money), &request.captures[&money]));
        // How much it was as a whole is known where it came first.
        let same = known.map(|(first, known)| first != Some(&r) || (known.came, known.foreign) == came);
        let alias = fact.twist.alias().filter(|_| proof == Proof::LookedUp).and_then(|txn| request.at(Money { txn, ..money }));
        let closed = request.verified.is_none() && (request.closure != Closure::Open || now > request.expires_at);
        match same {
            None if fact.twist == Twist::NoAmount && sure => request.case("unprovable_amount", fact.said.about(), None), // row D8
            _ if fact.twist == Twist::NoAmount || same == Some(true) => {} // rows B1 and C7
            Some(_) => request.case("provider_contradiction", money, Some(money)), // row B2
            None if alias.is_none() && closed && !sure => {} // rows E2, E6 and E11: the provider is asked first
            None if holder == Some(r) => {} // row E15: it is on its way here
            None if claimed => for r in [Some(r), holder].into_iter().flatten() {
                self.requests[r].case("txn_reused", money, None); // row G4
            },
            None => {
                self.owner.insert(money, r);
                if let Some(alias) = alias { request.aliases.insert(money, alias); return; } // row B4
                request.attempts[n].stage = Stage::Captured;
                request.place(money, minor, fact, now, alone);
            }
        }
    }

    /// An answer about attempt `n`, and what it means for a customer's word (row H1).
    pub fn looked_up(&mut self, (r, n): (usize, usize), answer: &Answer, now: i64) {
        match answer {
            Answer::NotFound => self.requests[r].registered(n, Registers::Refuses),
            Answer::Silent => return self.requests[r].progressed(n, &Said::Unknown, Proof::LookedUp), // row A17
            Answer::Facts(facts) => facts.iter().for_each(|fact| self.hear((r, n), fact, Proof::LookedUp, now)),
        }
        let request = &mut self.requests[r];
        if !answer.facts().iter().any(|fact| request.admits(n, &fact.said)) { request.denied(); } // row H1
    }

    /// Row E15: it leaves first. What a refund holds or a dispute is open about stays; so does what no order here takes.
    pub(super) fn reassign(&mut self, r: usize, money: Money, to: usize) -> bool {
        let request = &mut self.requests[r];
        let (there, foreign) = (request.captures[&money].unapplied, request.captures[&money].foreign);
        let stays = there == 0 || there != request.free(money, false) || request.disputed(money, Dispute::Open);
        if to == r || foreign || stays { return false; }
        self.transit.push((money, request.leaves(money, to)));
        true
    }

    /// Row E15: it arrives, once, and is never refused; it pays nothing late by itself.
    pub fn arrives(&mut self, now: i64) {
        let (money, it) = self.transit.remove(0);
        let fact = Fact { said: Said::Captured(money.txn, it.minor), twist: Twist::Plain, when: it.when };
        self.requests[it.to].place(money, it.minor, &fact, now, false);
        self.requests[it.to].learns(money, it);
    }

    /// Rows G1 and G6, after the provider was asked where it can be: nobody's, whatever the amount; or a request's.
    pub fn unexplained(&mut self, stray: &Stray, fact: &Fact) {
        let Said::Captured(txn, minor) = fact.said else { return };
        let money = Money { account: stray.account, txn };
        let kind = if stray.names.is_some() { "tenant_mismatch" } else { "orphan_payment" };
        match self.holder(money).filter(|_| !self.suspense.contains_key(&money)) {
            Some(r) => self.requests[r].case("txn_reused", money, None), // row G4
            None => self.observe(money, Suspense { kind, minor, when: fact.when, found: None }),
        }
    }

    /// Row G1: a person finds what money of no request is, once. Another merchant's is no request's of the shop.
    pub fn find(&mut self, money: Money, how: How) -> bool {
        let known = self.suspense.get_mut(&money).expect("a known case");
        let fits = matches!(how, How::GivenBack | How::Keep) || (matches!(how, How::Reassign(_)) && money.account.merchant() == "shop");
        if known.found.is_some() || !fits { return known.found == Some(how); }
        known.found = Some(how);
        let left = Transit { minor: known.minor, when: known.when, ..Transit::default() };
        if let How::Reassign(to) = how { self.transit.push((money, Transit { to: to.into(), ..left })); }
        true
    }

    /// It is told where the money is, unless it was told here before (row E15); `passed` is who was asked before.
    /// False when its money, or its refund, is not known yet (row C6).
    pub fn went_back(&mut self, r: usize, money: Money, said: &Said, passed: &[usize]) -> bool {
        let request = &mut self.requests[r];
        let Some(money) = request.at(money) else { return false };
        let left = request.gone(money).filter(|_| !request.heard(money, said));
        let Some((_, to)) = left else { return request.went_back(money, said) };
        let there = said.beyond(request.captures[&money].counted());
        to != r && !passed.contains(&to) && self.went_back(to, money, &there, &[passed, &[r]].concat())
    }
}

impl Request {
    /// New money: rows A12, B3, C4, D1 to D7, E2, E3, E6, E7, E11, E15, H5 and H5b.
    fn place(&mut self, money: Money, minor: i64, fact: &Fact, now: i64, alone: bool) {
        let in_time = fact.when.is_some_and(|when| when <= self.expires_at);
        let (stray, foreign) = (fact.twist == Twist::OtherPayee, fact.twist == Twist::OtherCurrency);
        if self.payable() && now > self.expires_at && !in_time && !stray && !foreign { self.close_as(Closure::Expired); } // row E3
        let (missing, tolerance) = (self.due - self.net(), self.scenario.tolerance());
        let (exact, decided) = ((minor - missing).abs() <= tolerance, self.unproven());
        let part = self.captures.values().filter(|c| c.applied > 0).count() < 20;
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
        if applied > 0 && self.verified.is_none() && self.net() >= self.due - tolerance { self.verify(self.net()); }
        if decided && applied > 0 { self.proved(); }
    }

    fn went_back(&mut self, money: Money, said: &Said) -> bool {
        let (label, about, capture) = (self.label(), said.about(), self.captures[&money].clone());
        let (txn, twice) = (said.txn().unwrap_or_default(), capture.knows(said));
        match (said, self.disputes.get(&txn).copied()) {
            (Said::RefundFailed(..), _) => return self.came_back(money, &about),
            (Said::Refunded(_, _, None), _) => self.contradicts(money), // row F8
            (Said::Refunded(..) | Said::RefundedInAll(..), _) if capture.foreign => self.contradicts(money), // row F8
            (Said::Refunded(_, minor, _), _) if !twice => self.settled(money, said, *minor),
            (Said::RefundedInAll(_, all), _) => self.settled(money, said, all - capture.refunded), // row F16
            (Said::Voided(..), _) if !twice => self.settled(money, said, capture.applied + capture.unapplied),
            (Said::DisputeOpened(_, minor), None) => { // rows F11 and F14
                let stated = minor.filter(|_| !capture.foreign);
                self.disputes.insert(txn, Disputed { money, minor: stated.unwrap_or(capture.came), how: Dispute::Open });
                if stated != *minor { self.case("provider_contradiction", format!("dispute {about}"), Some(money)); }
                self.case(if label == "refunded" { "refund_and_dispute" } else { "dispute" }, about, Some(money));
                if self.verified.is_some() { self.tell("payment.disputed", 0); }
            }
            (Said::DisputeWon(_) | Said::DisputeLost(_), Some(it)) if it.how == Dispute::Open => { // rows F12 and F13
                let how = if matches!(said, Said::DisputeLost(_)) { Dispute::Lost } else { Dispute::Won };
                self.disputes.insert(txn, Disputed { how, ..it });
                self.close("dispute", &about);
                if how == Dispute::Lost { self.take(it.money, it.minor, false); return true; }
                self.close("refund_and_dispute", &about);
                if self.verified.is_some() { self.tell("payment.dispute_closed", 0); }
            }
            (Said::DisputeWon(_) | Said::DisputeLost(_), None) => return false,
            _ => {} // row F8
        }
        true
    }

    /// Rows F3, F4, F7, F8, F10, F14 and F15: what refunds of ours explain is theirs, the rest nobody asked for.
    fn settled(&mut self, money: Money, said: &Said, minor: i64) {
        if minor <= 0 { return; } // row F8
        let about = said.id().unwrap_or(format!("{money} {}", self.captures[&money].refunded + minor));
        let (mut rest, mut went, mut name) = (minor, 0, said.id());
        for (id, part) in self.explained(money, said, minor) {
            (rest, went) = (rest - part, went + self.ours_went(id, part, name.take()));
        }
        let unasked = self.unasked_went(money, rest, said.id());
        let kind = if matches!(said, Said::Voided(..)) { "unrequested_void" } else { "unrequested_refund" };
        let twice = [Dispute::Open, Dispute::Lost].into_iter().any(|how| self.disputed(money, how));
        if twice { return self.case("refund_and_dispute", about, Some(money)); } // row F14
        if went + unasked < minor { self.contradicts(money); } // row F8
        if unasked > 0 { self.case(kind, about, Some(money)); } // rows F7 and F10
    }

    /// Refunds of ours in a report: by the provider's name, else the exact amount; then the oldest that fit a total.
    fn explained(&self, money: Money, said: &Said, minor: i64) -> Vec<(u8, i64)> {
        let (name, total) = (said.id(), !matches!(said, Said::Refunded(..)));
        let open = self.refunds.iter().filter(|(_, f)| f.money == money && f.asked.called());
        let named = open.clone().find(|(_, f)| name.is_some() && f.name == name);
        let others = open.filter(|(_, f)| if named.is_some() { f.name != name } else { total || f.name.is_none() });
        let exact = others.clone().find(|(_, f)| named.is_none() && f.minor == minor);
        let first = named.or(exact).map(|(id, f)| (*id, if total { minor.min(f.minor) } else { minor }));
        let mut rest = if total && exact.is_none() { minor - first.map_or(0, |first| first.1) } else { 0 };
        let mut parts = Vec::from_iter(first);
        for (id, f) in others { if f.minor <= rest { rest -= f.minor; parts.push((*id, f.minor)); } }
        parts
    }

    /// Row F5 for a refund of ours, row F9 for what settled before: that never pays by itself.
    fn came_back(&mut self, money: Money, name: &String) -> bool {
        let ours = self.refunds.iter().find(|(_, f)| f.money == money && f.name.as_ref() == Some(name)).map(|(id, _)| *id);
        let Some((applied, unapplied)) = self.capture(money).reversals.get_mut(name).map(std::mem::take) else {
            ours.into_iter().for_each(|id| self.answered(id, &Told::Declined));
            return ours.is_some(); // Else it waits for its refund, like row C6.
        };
        let surplus = self.verified.map_or(applied, |paid| (self.net() + applied - paid).clamp(0, applied));
        self.come_back(money, (applied, unapplied), surplus);
        if applied + unapplied > 0 { self.case("refund_reversed", name, Some(money)); }
        true
    }
}
