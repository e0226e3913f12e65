//! What people decide: rows E9, E10, F1, F2, F5, F6 and H2 to H8. False means refused.
use crate::sim::books::{Case, Decided, HOLDS_MONEY, Proposal, Refund, Request, World};
use crate::sim::words::{Asked, Closure, How, Money};

impl Request {
    pub fn refund(&mut self, id: u8, money: Money, applied: bool, minor: i64) -> bool { // rows E10, F1 and F2
        let granted = (!applied || self.verified.is_some()) && minor > 0 && minor <= self.free(money, applied);
        if granted { self.refunds.insert(id, Refund { money, applied, minor, asked: Asked::Nobody, name: None }); }
        granted
    }

    /// Rows F5 and F6: the provider has it under a name, or declined, or nobody knows.
    pub fn answered(&mut self, id: u8, answer: Option<Option<String>>) {
        let (asked, case) = match (&answer, &self.refunds[&id].asked) {
            (_, Asked::Nobody | Asked::Over) | (None, Asked::Accepted) => return,
            (Some(Some(_)), _) => (Asked::Accepted, None),
            (Some(None), _) => (Asked::Over, Some("refund_failed")),
            (None, _) => (Asked::Doubtful, Some("refund_uncertain")),
        };
        self.set_refund(id, asked);
        let (refund, about) = (self.refunds.get_mut(&id).expect("asked for"), format!("f{id}"));
        refund.name = answer.flatten().or(refund.name.take());
        let money = refund.money;
        if let Some(kind) = case { self.case(kind, about, Some(money)); }
    }

    /// Rows E9 and H5b: only money that completes the order is accepted.
    fn accept(&mut self, money: Money) -> bool {
        let (decided, tolerance, missing) = (self.unproven(), self.scenario.tolerance(), self.due - self.net());
        let (capture, free) = (&self.captures[&money], self.free(money, false));
        let there = capture.unapplied;
        let minor = if there - missing <= tolerance { there } else { missing };
        let odd = capture.stray || capture.foreign || self.closure == Closure::Superseded || there == 0 || there != free;
        if odd || missing - minor > tolerance || (self.verified.is_some() && !decided) { return false; }
        self.capture(money).applied += minor;
        self.capture(money).unapplied -= minor;
        if decided { self.proved() } else { self.verify(self.net()) }
        self.emptied(money);
        true
    }

    pub fn propose(&mut self, id: u8, pay: bool, by: u8, now: i64) -> bool { // rows H2 and H7
        let granted = pay != self.verified.is_some() && !self.proposal.as_ref().is_some_and(Proposal::open);
        let (lapses_at, approved, on) = (now + 86_400, None, self.basis());
        if granted { self.proposal = Some(Proposal { id, pay, by, lapses_at, approved, on }); }
        granted
    }

    pub fn reject(&mut self) -> bool {
        let known = self.proposal.as_mut().filter(|proposal| proposal.approved != Some(true));
        known.map(|proposal| proposal.approved = Some(false)).is_some()
    }

    pub fn lapse(&mut self, now: i64) { // rows H6 and H8: what time or news end
        let (basis, waits) = (self.basis(), self.proposal.as_ref().filter(|proposal| proposal.open()));
        let gone = waits.is_some_and(|proposal| now >= proposal.lapses_at || proposal.on != basis);
        if gone { self.reject(); }
        let overdue = self.decided.filter(|d| !d.overdue && now >= d.prove_by && self.unproven());
        let Some(decided) = overdue else { return };
        self.decided = Some(Decided { overdue: true, ..decided });
        self.case("override_unsubstantiated", format!("p{}", decided.id), None);
    }

    fn revoke(&mut self) { // row H7
        self.proved();
        self.tell("payment.reversed", self.verified.unwrap_or(0) - self.reversed);
        (self.verified, self.decided, self.closure) = (None, None, Closure::Revoked);
        self.refunds.values_mut().filter(|f| !f.over()).for_each(|f| f.applied = false);
        self.set_aside("verification_revoked");
    }
}

impl World {
    pub fn approve(&mut self, r: usize, by: u8, now: i64) -> bool { // rows H3, H4, H7 and H8
        let (replaced, request) = (self.replaced(r), &mut self.requests[r]);
        request.lapse(now);
        let (four_eyes, prove_by) = (request.scenario.four_eyes(), request.scenario.prove_by(now));
        let Some(proposal) = request.proposal.as_mut() else { return false };
        let (id, pay) = (proposal.id, proposal.pay);
        let refused = (four_eyes && proposal.by == by) || (pay && replaced);
        if proposal.approved.is_some() || refused { return proposal.approved == Some(true); }
        proposal.approved = Some(true);
        if !pay { request.revoke(); return true; }
        request.decided = Some(Decided { id, prove_by, overdue: false });
        request.verify(request.due);
        request.case("override_unproven", format!("p{id}"), None);
        true
    }

    /// Rows E9 and E10: a case that holds money closes only with the event that moves it.
    pub fn resolve(&mut self, r: usize, case: &Case, how: How) -> bool {
        let (replaced, request) = (self.replaced(r), &mut self.requests[r]);
        let written_off = matches!(case.0, "override_unproven" | "override_unsubstantiated");
        let elsewhere = matches!(case.0, "dispute" | "refund_uncertain") || written_off;
        let closes = match (how, case.2.filter(|_| HOLDS_MONEY.contains(&case.0))) {
            (How::Accept, None) => written_off,
            (How::Dismiss, None) => !elsewhere,
            (How::Dismiss, Some(money)) => request.captures[&money].unapplied == 0,
            (How::Accept, Some(money)) => return !replaced && request.accept(money),
            (How::Refund(id), Some(money)) => return request.refund(id, money, false, request.free(money, false)),
            (How::Keep, Some(money)) => return request.keep(money),
            (How::Refund(_) | How::Keep, None) => false,
        };
        if closes { request.close(case.0, &case.1); }
        let expected = request.decided.as_mut().filter(|_| closes && written_off);
        if let Some(decided) = expected { decided.overdue = true; } // Nobody expects its money any more.
        closes
    }
}
