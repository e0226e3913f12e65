//! Requests and their attempts, from making one to closing it: rows A, C1 to C3, E1 to E14, H1, and the label.
use crate::sim::{bank::Registers, books::*, words::*};

impl World {
    /// Rows A1 to A5: what the caller is answered. `sees` tells which requests they may know; a bot uses a quote.
    pub fn create(&mut self, new: Request, supersede: bool, sees: &[bool], quote: Option<usize>, now: i64) -> u16 {
        let quoted = quote.map(|place| self.quotes[place]);
        if quoted.is_some_and(|quote| now >= quote.until) { return 422; } // row A1b
        if quoted.is_some_and(|quote| quote.used) { return 409; } // row A1b
        for (old, seen) in self.requests.iter_mut().zip(sees).filter(|(old, _)| old.order == new.order) {
            let stands = old.payable() && !(supersede && *seen && old.cancel(Closure::Superseded));
            if stands || old.verified.is_some() { return 409; } // rows A4 and A5
        }
        quote.into_iter().for_each(|place| self.quotes[place].used = true);
        self.requests.push(new);
        201
    }
}

impl Request {
    /// The label is a function of amounts and closure.
    pub fn label(&self) -> &'static str {
        let (net, gone) = (self.net(), self.sum(|capture| capture.back.0));
        let all = gone > 0 && net <= 0;
        let disputed = |how| self.captures.iter().any(|(money, c)| c.counts() && self.disputed(*money, how));
        match (self.verified, self.closure) {
            (Some(_), _) if disputed(Dispute::Open) => "disputed",
            (Some(_), _) if all && disputed(Dispute::Lost) => "charged_back",
            (Some(_), _) if all => "refunded",
            (Some(paid), _) if gone > 0 && net < paid => "partially_refunded",
            (Some(_), _) => "paid",
            (None, Closure::Expired) => "expired",
            (None, Closure::Open) if net > 0 => "partially_paid",
            (None, Closure::Open) if self.in_flight() => "processing",
            (None, Closure::Open) => "pending",
            (None, Closure::Cancelled | Closure::Superseded | Closure::Revoked) => "cancelled",
        }
    }

    pub fn bot_label(&self) -> &'static str {
        let answer = ("payer_notice", format!("notice {}", self.notices), None);
        let waits = self.notices > 0 && !self.cases.contains_key(&answer); // row H1
        match self.label() {
            "paid" | "partially_refunded" | "disputed" => "paid",
            "refunded" | "charged_back" => "refunded",
            _ if self.in_review() || waits => "in_review",
            closed @ ("expired" | "cancelled") => closed,
            _ => "pending",
        }
    }

    pub fn start(&mut self, account: Account, session_end: i64, now: i64) -> bool { // rows A6, A6b and A6c
        let busy = self.attempts.iter().any(|a| a.in_flight() || a.stage == Stage::Doubtful);
        if !self.payable() || now >= self.expires_at || busy { return false; }
        let amount = self.due - self.net();
        let live = self.attempts.iter().rfind(|a| !a.over() && now < a.session_end);
        let again = live.is_some_and(|a| (a.account, a.amount) == (account, amount));
        if !again { self.attempts.push(Attempt::new(account, amount, session_end)); }
        true
    }

    pub fn registered(&mut self, n: usize, how: Registers) { // rows A6 and A7
        let attempt = &mut self.attempts[n];
        attempt.named |= how == Registers::Well;
        let (doubtful, unknown) = (attempt.stage == Stage::Doubtful, attempt.stage == Stage::Unknown);
        if how == Registers::Well && doubtful { attempt.stage = Stage::Registered; }
        if how == Registers::Refuses && (doubtful || unknown) { attempt.stage = Stage::Failed; }
    }

    pub fn precheck(&mut self, n: usize, amount: i64, now: i64) -> bool { // rows A8 to A10
        let asked = self.attempts[n].clone();
        if !self.payable() || now >= self.expires_at || asked.over() { return false; }
        if amount != asked.amount { self.case("tampered_terms", format!("attempt {}", n + 1), None); return false; }
        let rest = self.net() > 0 && amount == self.due - self.net();
        let pays = |a: &Attempt| a.in_flight() || (a.stage == Stage::Captured && !rest);
        let allowed = !self.attempts.iter().enumerate().any(|(other, a)| other != n && pays(a));
        self.attempts[n].allowed |= allowed;
        allowed
    }

    pub fn notice(&mut self) { // row H1: nobody may be there to be asked
        self.notices += 1;
        if self.attempts.iter().all(|a| a.account == Account::Blind) { self.denied(); }
    }

    pub(super) fn denied(&mut self) { // row H1
        if self.notices > 0 && self.verified.is_none() { self.case("payer_notice", format!("notice {}", self.notices), None); }
    }

    pub fn cancel(&mut self, how: Closure) -> bool { // rows A4 and E12 to E14, after the provider was asked
        if self.payable() && !self.in_flight() { self.close_as(how); }
        self.verified.is_none() && !matches!(self.closure, Closure::Open | Closure::Expired)
    }

    /// Rows E1 to E5 and D9, after every attempt was asked, `silent` in vain. What speaks most against an end counts.
    pub fn tick(&mut self, silent: bool, now: i64) {
        if !self.payable() || now < self.expiry_due() { return; }
        let against = |a: &Attempt| match a.stage {
            _ if a.account == Account::Blind => usize::from(a.allowed || a.in_flight()),
            Stage::Processing | Stage::Authorised if !silent => 3,
            stage => if silent || stage == Stage::Unknown { 2 } else { 0 },
        };
        let most = self.attempts.iter().filter(|a| !a.over()).map(against).max().unwrap_or(0);
        let end = self.expires_at + [0, 30, 60, 0][most] * 60;
        match most {
            3 => self.deferred_until = now + ((now - self.expires_at) / 2).clamp(300, 86_400), // row E4
            1 | 2 if now < end => self.deferred_until = end.min(now + 300), // row E5
            _ => self.close_as(Closure::Expired),
        }
        if self.closure == Closure::Expired && most > 0 { self.case("status_unknown", "expiry", None); } // row E5
    }

    /// Rows A7 and A17, three days after the end, of the attempts whose bit is set.
    pub fn silence(&mut self, now: i64, which: usize) {
        let told = self.cases.contains_key(&("status_unknown", "expiry".to_owned(), None));
        for (n, a) in self.attempts.clone().iter().enumerate().filter(|(n, _)| !told && which >> n & 1 == 1) {
            let kind = if a.in_flight() { "status_unknown" } else { "registration_uncertain" };
            let over = now >= a.session_end.max(self.expires_at) + 72 * 3600 && (a.in_flight() || a.stage == Stage::Doubtful);
            if over { self.case(kind, format!("attempt {}", n + 1), None); }
        }
    }

    /// Rows A11, A14 to A17, C1 to C3 and E8.
    pub(super) fn progressed(&mut self, n: usize, said: &Said, proof: Proof) {
        let (stage, about, asked) = (self.attempts[n].stage, format!("attempt {}", n + 1), proof == Proof::LookedUp);
        let failed = matches!(said, Said::Declined | Said::SessionExpired);
        self.attempts[n].stage = match said {
            _ if failed && asked && stage == Stage::Captured => return self.case("provider_contradiction", about, None), // row C3
            _ if self.attempts[n].over() => return, // rows C1 to C3
            _ if failed => Stage::Failed, // rows A15, A16, C2 and E8
            Said::Registered if stage == Stage::Doubtful => Stage::Registered, // row A7
            Said::Registered if stage == Stage::Unknown && asked => Stage::Registered, // row A17: only our question ends it
            Said::Processing if self.payable() => Stage::Processing,
            Said::Authorised if self.payable() => Stage::Authorised,
            Said::Unknown if self.payable() => Stage::Unknown,
            _ => return,
        };
        let held = self.attempts[n].stage == Stage::Authorised && stage != Stage::Authorised;
        if held { self.case("unexpected_hold", about, None); } // row A14
    }
}
