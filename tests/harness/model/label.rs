//! The label is a function of amounts and closure.
use crate::sim::books::Request;
use crate::sim::words::{Closure, Dispute};

impl Request {
    pub fn label(&self) -> &'static str {
        let (net, gone) = (self.net(), self.sum(|capture| capture.back.0));
        let all = gone > 0 && net <= 0;
        let disputed = |how| self.captures.values().any(|capture| capture.disputed(how));
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
}
