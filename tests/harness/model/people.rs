//! What people decide: rows E9, E10, F1, F2, F5, F6 and H2 to H8. False means refused.
use crate::sim::{books::*, words::*};

impl Request {
    pub fn refund(&mut self, id: u8, refund: Refund) -> bool { // rows E10, F1 and F2
        let there = (1..=self.free(refund.money, refund.applied)).contains(&refund.minor);
        let granted = there && (!refund.applied || self.verified.is_some());
        if granted { self.refunds.insert(id, refund); }
        granted
    }

    /// The provider has it under a name, or declined, or nobody knows.
    pub fn answered(&mut self, id: u8, answer: &Told) {
        let (money, about) = (self.refunds[&id].money, format!("f{id}"));
        match (answer, &self.refunds[&id].asked) {
            (_, Asked::Over) | (Told::NotFound | Told::Silent, Asked::Accepted) => {}
            (Told::Known(name, _), _) => self.set_refund(id, Asked::Accepted, Some(name)),
            (Told::Declined, _) => { self.set_refund(id, Asked::Over, None); self.case("refund_failed", about, Some(money)); } // row F5
            _ => { self.set_refund(id, Asked::Doubtful, None); self.case("refund_uncertain", about, Some(money)); } // row F6
        }
    }

    /// Rows E9 and H5b: only money that completes the order is accepted.
    fn accept(&mut self, money: Money) -> bool {
        let (decided, tolerance, missing) = (self.unproven(), self.scenario.tolerance(), self.due - self.net());
        let (capture, there) = (&self.captures[&money], self.captures[&money].unapplied);
        let minor = if there - missing <= tolerance { there } else { missing };
        let held = there == 0 || there != self.free(money, false);
        let odd = held || capture.stray || capture.foreign || self.closure == Closure::Superseded;
        if odd || missing - minor > tolerance || (self.verified.is_some() && !decided) { return false; }
        self.apply(money, minor);
        if decided { self.proved() } else { self.verify(self.net()) }
        self.emptied(money);
        true
    }

    pub fn propose(&mut self, id: u8, pay: bool, by: u8, now: i64) -> bool { // rows H2 and H7
        let granted = pay != self.verified.is_some() && !self.proposal.as_ref().is_some_and(Proposal::open);
        if granted { self.proposal = Some(Proposal { id, pay, by, lapses_at: now + 86_400, verdict: None, on: self.basis() }); }
        granted
    }

    pub fn reject(&mut self, by: Option<u8>) -> bool { // by nobody where it lapses; a verdict stands
        self.proposal.as_mut().is_some_and(|proposal| *proposal.verdict.get_or_insert((false, by)) == (false, by))
    }

    pub fn lapse(&mut self, now: i64) { // rows H6 and H8: what time or news end
        let (basis, waits) = (self.basis(), self.proposal.as_ref().filter(|proposal| proposal.open()));
        let gone = waits.is_some_and(|proposal| now >= proposal.lapses_at || proposal.on != basis);
        if gone { self.reject(None); }
        let Some(decided) = self.decided.as_mut().filter(|decided| !decided.overdue && now >= decided.prove_by) else { return };
        decided.overdue = true;
        let about = format!("p{}", decided.id);
        if self.asks("override_unproven", &about) { self.case("override_unsubstantiated", about, None); }
    }
}

impl World {
    pub fn approve(&mut self, r: usize, by: u8, now: i64) -> bool { // rows H3, H4, H7 and H8
        let (replaced, request) = (self.replaced(r), &mut self.requests[r]);
        request.lapse(now);
        let Some(proposal) = request.proposal.as_mut() else { return false };
        let (id, pay, prove_by) = (proposal.id, proposal.pay, request.scenario.prove_by(now));
        let refused = (request.scenario.four_eyes() && proposal.by == by) || (pay && replaced);
        if proposal.verdict.is_some() || refused { return proposal.verdict == Some((true, Some(by))); }
        proposal.verdict = Some((true, Some(by)));
        if !pay { request.revoke(); return true; } // row H7
        request.decided = Some(Decided { id, prove_by, overdue: false });
        request.verify(request.due);
        request.case("override_unproven", format!("p{id}"), None);
        true
    }

    /// Rows E9, E10, E15 and F6: a case that holds money closes only with the event that moves it.
    pub fn resolve(&mut self, r: usize, case: &Case, how: How, now: i64) -> bool {
        let (replaced, request) = (self.replaced(r), &mut self.requests[r]);
        let expects = matches!(case.0, "override_unproven" | "override_unsubstantiated");
        let elsewhere = matches!(case.0, "dispute" | "refund_uncertain") || expects;
        let closes = match (how, case.2.filter(|_| HOLDS_MONEY.contains(&case.0))) {
            (How::Accept, None) => expects, // row H6: nobody does any more
            (How::Dismiss, None) => !elsewhere,
            (How::Dismiss, Some(money)) => request.captures[&money].unapplied == 0,
            (How::Accept, Some(money)) => return !replaced && request.accept(money),
            (How::Refund(id), Some(money)) => return request.refund(id, Refund::new(money, false, request.free(money, false), now)),
            (How::Keep, Some(money)) => return request.keep(money),
            (How::Reassign(to), Some(money)) => return self.reassign(r, money, to.into()),
            (How::Answered(went), None) if case.0 == "refund_uncertain" => return request.found(&case.1, went), // row F6
            _ => false,
        };
        if closes { request.close(case.0, &case.1); }
        closes
    }
}
