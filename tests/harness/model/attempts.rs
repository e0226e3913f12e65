//! Trying to pay, and closing: rows A6 to A17, C1 to C3, E1 to E14 and H1. False means refused.
use crate::sim::bank::Registers;
use crate::sim::books::{Attempt, Request};
use crate::sim::words::{Account, Closure, Proof, Said, Stage};

impl Request {
    pub fn start(&mut self, account: Account, session_end: i64, now: i64) -> bool { // rows A6, A6b, A6c
        let busy = self.in_flight() || self.attempts.iter().any(|a| a.stage == Stage::Doubtful);
        if !self.payable() || now >= self.expires_at || busy { return false; }
        let amount = self.due - self.net();
        let newest = self.attempts.iter().rfind(|a| !a.over() && now < a.session_end);
        let again = newest.is_some_and(|a| (a.account, a.amount) == (account, amount));
        if !again { self.attempts.push(Attempt::new(account, amount, session_end)); }
        true
    }

    pub fn registered(&mut self, n: usize, how: Registers) { // rows A6 and A7
        let attempt = &mut self.attempts[n];
        attempt.named |= how == Registers::Well;
        attempt.stage = match (attempt.stage, how) {
            (Stage::Doubtful, Registers::Well) => Stage::Registered,
            (Stage::Doubtful | Stage::Unknown, Registers::Refuses) => Stage::Failed,
            (stage, _) => stage,
        };
    }

    pub fn precheck(&mut self, n: usize, amount: i64, now: i64) -> bool { // rows A8 to A10
        let rest = self.net() > 0 && self.attempts[n].amount == self.due - self.net();
        let busy = |a: &Attempt| a.in_flight() || (a.stage == Stage::Captured && !rest);
        let busy = self.attempts.iter().enumerate().any(|(other, a)| other != n && busy(a));
        if !self.payable() || now >= self.expires_at || self.attempts[n].over() { return false; }
        let tampered = amount != self.attempts[n].amount;
        if tampered { self.case("tampered_terms", format!("attempt {}", n + 1), None); }
        self.attempts[n].allowed |= !tampered && !busy;
        !tampered && !busy
    }

    pub fn notice(&mut self) { // row H1
        self.notices += 1;
        let askable = self.attempts.iter().any(|a| a.account != Account::Blind);
        self.denied(!askable);
    }

    pub(super) fn denied(&mut self, no: bool) { // row H1: nobody can be asked, or the provider says no
        let told = no && self.notices > 0 && self.verified.is_none();
        if told { self.case("payer_notice", format!("notice {}", self.notices), None); }
    }

    pub fn cancel(&mut self, how: Closure) -> bool { // rows A4 and E12 to E14, after the provider was asked
        let idle = self.payable() && !self.in_flight();
        let already = self.verified.is_none() && !matches!(self.closure, Closure::Open | Closure::Expired);
        if idle { self.close_as(how); }
        idle || already
    }

    /// Rows E1 to E5 and D9, after every attempt was asked; `silent` when nobody could say.
    pub fn tick(&mut self, silent: bool, now: i64) {
        if !self.payable() || now < self.expiry_due() { return; }
        let vague = |a: &Attempt| silent || a.stage == Stage::Unknown;
        let open = || self.attempts.iter().filter(|a| !a.over());
        let asked = || open().filter(|a| a.account != Account::Blind);
        let processing = asked().any(|a| a.in_flight() && !vague(a));
        let unasked = asked().any(vague);
        let untold = open().any(|a| a.account == Account::Blind && (a.allowed || a.in_flight()));
        let end = self.expires_at + if unasked { 60 * 60 } else { 30 * 60 };
        if processing {
            self.deferred_until = now + ((now - self.expires_at) / 2).clamp(300, 86_400); // row E4
        } else if (unasked || untold) && now < end {
            self.deferred_until = end.min(now + 300); // row E5
        } else {
            self.close_as(Closure::Expired);
            if unasked || untold { self.case("status_unknown", "expiry", None); }
        }
    }

    /// Rows A7 and A17, three days after the end, of the attempts whose bit is set.
    pub fn silence(&mut self, now: i64, which: usize) {
        let told = self.cases.contains_key(&("status_unknown", "expiry".to_owned(), None));
        for n in (0..self.attempts.len()).filter(|n| !told && which >> n & 1 == 1) {
            let kind = match self.attempts[n].stage {
                Stage::Doubtful => "registration_uncertain",
                Stage::Processing | Stage::Authorised | Stage::Unknown => "status_unknown",
                Stage::Registered | Stage::Failed | Stage::Captured => continue,
            };
            let over = now >= self.attempts[n].session_end.max(self.expires_at) + 72 * 3600;
            if over { self.case(kind, format!("attempt {}", n + 1), None); }
        }
    }

    /// Rows A11, A14 to A17, C1 to C3 and E8.
    pub(super) fn progressed(&mut self, n: usize, said: &Said, proof: Proof) {
        let (stage, about, asked) = (self.attempts[n].stage, format!("attempt {}", n + 1), proof == Proof::LookedUp);
        let failed = matches!(said, Said::Declined | Said::SessionExpired);
        if failed && asked && stage == Stage::Captured { self.case("provider_contradiction", &about, None); } // C3
        self.attempts[n].stage = match said {
            _ if self.attempts[n].over() => stage, // rows C1 to C3
            Said::Declined | Said::SessionExpired => Stage::Failed, // rows A15, A16, C2 and E8
            Said::Registered if stage == Stage::Doubtful => Stage::Registered, // row A7
            Said::Registered if stage == Stage::Unknown && asked => Stage::Registered, // A17: only our question ends it
            _ if !self.payable() => stage,
            Said::Processing => Stage::Processing,
            Said::Authorised => Stage::Authorised,
            Said::Unknown => Stage::Unknown,
            _ => stage,
        };
        let held = self.attempts[n].stage == Stage::Authorised && stage != Stage::Authorised;
        if held { self.case("unexpected_hold", about, None); } // row A14
    }
}
