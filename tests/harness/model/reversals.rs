//! Money that went back, and disputes: rows C6 and F3 to F16.
use crate::sim::books::{Refund, Request};
use crate::sim::words::{Account, Asked, Dispute, Money, Said};

impl Request {
    /// False when its money, or its refund, is not known yet (row C6).
    pub fn went_back(&mut self, account: Account, said: &Said) -> bool {
        let Some(txn) = said.txn() else { return true };
        let Some(money) = self.at(Money { account, txn }) else { return false };
        let (label, about, capture) = (self.label(), format!("d{}", money.txn), self.captures[&money].clone());
        match (said, capture.dispute) {
            (Said::RefundFailed(..), _) => return self.came_back(money, &said.about()),
            (Said::Refunded(_, _, None), _) => self.contradicts(money), // row F8
            (Said::Refunded(..) | Said::RefundedInAll(..), _) if capture.foreign => self.contradicts(money), // row F8
            (Said::Refunded(..) | Said::Voided(..), _) if capture.knows(said) => {} // row F8
            (Said::Refunded(_, minor, _), _) => self.settled(money, said, *minor),
            (Said::RefundedInAll(_, all), _) => self.settled(money, said, all - capture.refunded), // row F16
            (Said::Voided(..), _) => self.settled(money, said, capture.applied + capture.unapplied),
            (Said::DisputeOpened(_, minor), None) => { // rows F11 and F14
                let stated = minor.filter(|_| !capture.foreign);
                self.capture(money).dispute = Some((stated.unwrap_or(capture.came), Dispute::Open));
                if stated != *minor { self.case("provider_contradiction", format!("dispute {about}"), Some(money)); }
                self.case(if label == "refunded" { "refund_and_dispute" } else { "dispute" }, about, Some(money));
                if self.verified.is_some() { self.tell("payment.disputed", 0); }
            }
            (Said::DisputeWon(_) | Said::DisputeLost(_), Some((minor, Dispute::Open))) => { // rows F12 and F13
                let lost = matches!(said, Said::DisputeLost(_));
                self.capture(money).dispute = Some((minor, if lost { Dispute::Lost } else { Dispute::Won }));
                self.close("dispute", &about);
                if lost { self.take(money, minor, false); return true; }
                self.close("refund_and_dispute", &about);
                if self.verified.is_some() { self.tell("payment.dispute_closed", 0); }
            }
            (Said::DisputeWon(_) | Said::DisputeLost(_), None) => return false,
            _ => {}
        }
        true
    }

    /// Never more than is there; a refund of ours out of its part first, the rest out of the unapplied part.
    fn take(&mut self, money: Money, minor: i64, applied_first: bool) -> (i64, i64) {
        let capture = self.capture(money);
        let first = if applied_first { minor.min(capture.applied) } else { 0 };
        let unapplied = (minor - first).min(capture.unapplied);
        let applied = if applied_first { first } else { (minor - unapplied).min(capture.applied) };
        self.go_back(money, (applied, unapplied));
        (applied, unapplied)
    }

    /// Rows F3, F4, F7, F8, F10, F14 and F15: what refunds of ours explain is theirs, the rest nobody asked for.
    fn settled(&mut self, money: Money, said: &Said, minor: i64) {
        if minor <= 0 { return; } // row F8
        let about = said.id().unwrap_or(format!("{money} {}", self.captures[&money].refunded + minor));
        let (mut rest, mut went, mut name) = (minor, 0, said.id());
        for (id, part) in self.explained(money, said, minor) {
            let refund = self.refunds[&id].clone();
            let (applied, unapplied) = self.take(money, part, refund.applied);
            self.by_reversal(money, name.take().or(refund.name), (applied, unapplied));
            self.set_refund(id, Asked::Over);
            if applied + unapplied != refund.minor { self.contradicts(money); }
            (rest, went) = (rest - part, went + applied + unapplied);
        }
        let unasked = self.take(money, rest, false);
        self.by_reversal(money, name.or(said.id()), unasked);
        let dispute = self.captures[&money].dispute.map(|dispute| dispute.1);
        let twice = matches!(dispute, Some(Dispute::Open | Dispute::Lost));
        let kind = if matches!(said, Said::Voided(..)) { "unrequested_void" } else { "unrequested_refund" };
        if twice { return self.case("refund_and_dispute", about, Some(money)); } // row F14
        if went + unasked.0 + unasked.1 < minor { self.contradicts(money); }
        if unasked != (0, 0) { self.case(kind, about, Some(money)); }
    }

    /// Refunds of ours in a report: by the provider's name, else the exact amount; then the oldest that fit a total.
    fn explained(&self, money: Money, said: &Said, minor: i64) -> Vec<(u8, i64)> {
        let (name, total) = (said.id(), !matches!(said, Said::Refunded(..)));
        let open = self.refunds.iter().filter(|(_, f)| f.money == money && f.asked.called());
        let named = open.clone().find(|(_, f)| name.is_some() && f.name == name);
        let other = |f: &Refund| if named.is_some() { f.name != name } else { total || f.name.is_none() };
        let mut open = open.filter(|(_, f)| other(f));
        let exact = open.clone().find(|(_, f)| named.is_none() && f.minor == minor);
        let first = named.or(exact).map(|(id, f)| (*id, if total { minor.min(f.minor) } else { minor }));
        let mut rest = if exact.is_some() || !total { 0 } else { minor - first.map_or(0, |first| first.1) };
        let mut fits = vec![];
        while let Some((id, f)) = open.find(|(_, f)| f.minor <= rest) { rest -= f.minor; fits.push((*id, f.minor)); }
        first.into_iter().chain(fits).collect()
    }

    /// Row F5 for a refund of ours, row F9 for what settled before: that never pays by itself.
    fn came_back(&mut self, money: Money, name: &String) -> bool {
        let ours = self.refunds.iter().find(|(_, f)| f.money == money && f.name.as_ref() == Some(name));
        let ours = ours.map(|(id, _)| *id);
        let Some((applied, unapplied)) = self.capture(money).reversals.get_mut(name).map(std::mem::take) else {
            ours.into_iter().for_each(|id| self.answered(id, Some(None)));
            return ours.is_some(); // Else it waits for its refund, like row C6.
        };
        let surplus = self.verified.map_or(applied, |paid| (self.net() + applied - paid).clamp(0, applied));
        self.come_back(money, (applied, unapplied), surplus);
        if applied + unapplied > 0 { self.case("refund_reversed", name, Some(money)); }
        true
    }
}
