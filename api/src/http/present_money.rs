//! How the money of a payment request is shown: what came, and what was asked to go back.

use domain::ids::RefundId;
use domain::money::Sum;
use domain::payment::event::Part;
use domain::payment::refund::{Refund, RefundState};
use domain::payment::request::Capture;
use domain::payment::{CaptureKey, Request};
use serde::Serialize;

/// One movement of money to us.
#[derive(Debug, Serialize)]
pub(super) struct ShownCapture {
    capture: String,
    amount: Sum,
    applied: Sum,
    unapplied: Sum,
    returned: Sum,
    /// What a refund may still ask for, out of each part.
    refundable_applied: Sum,
    refundable_unapplied: Sum,
}

/// One refund that was asked for.
#[derive(Debug, Serialize)]
pub(super) struct ShownRefund {
    refund: String,
    capture: String,
    part: Part,
    amount: Option<Sum>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reversal: Option<String>,
}

/// Every capture, in the order of their keys.
pub(super) fn captures(request: &Request) -> Vec<ShownCapture> {
    let all = request.captures().iter();
    all.map(|(key, capture)| shown_capture(request, key, capture))
        .collect()
}

fn shown_capture(request: &Request, key: &CaptureKey, capture: &Capture) -> ShownCapture {
    let sum = |minor| Sum::new(minor, capture.amount.currency());
    let applied = match request.verified() {
        Some(_) => request.available(key, Part::Applied),
        None => 0,
    };
    ShownCapture {
        capture: key.to_string(),
        amount: sum(capture.amount.minor()),
        applied: sum(capture.applied),
        unapplied: sum(capture.unapplied),
        returned: sum(capture.returned()),
        refundable_applied: sum(applied),
        refundable_unapplied: sum(request.available(key, Part::Unapplied)),
    }
}

/// Every refund, the first that was asked for first.
pub(super) fn refunds(request: &Request) -> Vec<ShownRefund> {
    let mut all: Vec<(&RefundId, &Refund)> = request.refunds().iter().collect();
    all.sort_by_key(|(_, refund)| refund.number);
    let shown = all.into_iter().map(|(id, refund)| {
        let capture = request.captures().get(&refund.capture);
        let sum = |capture: &Capture| Sum::new(refund.minor, capture.amount.currency());
        ShownRefund {
            refund: id.to_string(),
            capture: refund.capture.to_string(),
            part: refund.part,
            amount: capture.map(sum),
            state: word(&refund.state),
            reversal: refund.reversal.as_ref().map(ToString::to_string),
        }
    });
    shown.collect()
}

fn word(state: &RefundState) -> &'static str {
    match state {
        RefundState::Requested => "requested",
        RefundState::Submitted => "submitted",
        RefundState::Accepted(_) => "accepted",
        RefundState::Uncertain => "uncertain",
        RefundState::Settled => "settled",
        RefundState::Failed => "failed",
    }
}
