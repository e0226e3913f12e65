//! How a payment request is shown. Backends and bots have types of their own, so that a field for
//! one cannot slip to the other.

use domain::digest::Digest32;
use domain::ids::ProposalId;
use domain::money::{Money, Sum};
use domain::payment::event::{CancelledBy, Proposed, RejectedWhy};
use domain::payment::proposal::{OverrideStanding, Proposal, ProposalState};
use domain::payment::request::{Attempt, AttemptState};
use domain::payment::{BotLabel, Label, PricedBy, Request};
use domain::stream::Version;
use domain::time::Timestamp;
use projections::views::order_status::OrderStatus;
use serde::Serialize;

use crate::app::caller::Caller;
use crate::app::links::Links;

use super::present_money::{ShownCapture, ShownRefund, captures, refunds};

/// A payment request as the caller may see it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Shown {
    /// For the shop's own systems.
    Full(Box<Full>),
    /// For a bot.
    Bot(Box<ForBot>),
}

/// Everything of a request that is not personal.
#[derive(Debug, Serialize)]
pub struct Full {
    id: String,
    order_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_ref: Option<String>,
    scenario: String,
    client: String,
    status: Label,
    bot_status: BotLabel,
    in_review: bool,
    cancel_pending: bool,
    amount: Money,
    applied: Sum,
    unapplied: Vec<Sum>,
    returned: Sum,
    priced_by: PricedBy,
    expires_at: Timestamp,
    checkout_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pay_url: Option<String>,
    attempts: Vec<ShownAttempt>,
    captures: Vec<ShownCapture>,
    refunds: Vec<ShownRefund>,
    refund_pending: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<ShownVerification>,
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    decided: Option<OverrideStanding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_by: Option<CancelledBy>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proposals: Vec<ShownProposal>,
    version: Version,
}

#[derive(Debug, Serialize)]
struct ShownAttempt {
    attempt_no: u32,
    provider: String,
    account: String,
    our_reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_order_ref: Option<String>,
    state: &'static str,
    amount: Money,
    session_expires_at: Timestamp,
}

#[derive(Debug, Serialize)]
struct ShownVerification {
    method: &'static str,
    late: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_at: Option<Timestamp>,
}

/// An override or a revocation that somebody proposed.
#[derive(Debug, Serialize)]
pub struct ShownProposal {
    id: String,
    decision: Proposed,
    state: &'static str,
    proposed_by: String,
    based_on: Digest32,
    lapses_at: Timestamp,
}

/// What a bot needs to show, and nothing else.
#[derive(Debug, Serialize)]
pub struct ForBot {
    id: String,
    order_id: String,
    status: BotLabel,
    amount: Money,
    expires_at: Timestamp,
    checkout_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pay_url: Option<String>,
    version: Version,
}

/// The caller's view of a request.
pub fn shown(
    caller: &Caller,
    links: &Links,
    request: &Request,
    version: Version,
    now: Timestamp,
) -> Shown {
    let terms = request.terms();
    let checkout_url = links.url(&terms.id);
    let pay_url = request
        .live_attempt(now)
        .and_then(|(_, attempt)| attempt.pay_url.clone());
    if caller.own_only {
        return Shown::Bot(Box::new(ForBot {
            id: terms.id.to_string(),
            order_id: terms.order_id.to_string(),
            status: request.bot_label(),
            amount: terms.amount,
            expires_at: terms.expires_at,
            checkout_url,
            pay_url,
            version,
        }));
    }
    Shown::Full(Box::new(Full {
        id: terms.id.to_string(),
        order_id: terms.order_id.to_string(),
        customer_ref: terms.customer_ref.as_ref().map(ToString::to_string),
        scenario: terms.scenario.to_string(),
        client: terms.client.to_string(),
        status: request.label(),
        bot_status: request.bot_label(),
        in_review: request.in_review(),
        cancel_pending: request.cancel_pending(),
        amount: terms.amount,
        applied: request.applied(),
        unapplied: request.unapplied(),
        returned: Sum::new(request.returned_applied(), terms.amount.currency()),
        priced_by: terms.priced_by.clone(),
        expires_at: terms.expires_at,
        checkout_url,
        pay_url,
        attempts: request
            .attempts()
            .iter()
            .map(|(number, attempt)| shown_attempt(*number, attempt))
            .collect(),
        captures: captures(request),
        refunds: refunds(request),
        refund_pending: request.refund_pending(),
        verification: request.verified().map(|verification| ShownVerification {
            method: verification.method.as_str(),
            late: verification.late,
            paid_at: verification.paid_at,
        }),
        decided: request.override_standing(),
        cancelled_by: request.cancelled_by(),
        proposals: request
            .proposals()
            .iter()
            .map(|(id, proposal)| shown_proposal(id, proposal))
            .collect(),
        version,
    }))
}

/// A row of a list, as the caller may see it.
pub fn shown_row(
    caller: &Caller,
    links: &Links,
    row: &OrderStatus,
    now: Timestamp,
) -> serde_json::Value {
    let checkout_url = links.url(&row.id);
    let pay_url = row
        .live_attempt(now)
        .and_then(|attempt| attempt.pay_url.clone());
    if caller.own_only {
        return serde_json::json!({
            "id": row.id, "order_id": row.order_id, "status": row.bot_label, "amount": row.amount,
            "expires_at": row.expires_at, "checkout_url": checkout_url, "pay_url": pay_url, "version": row.version,
        });
    }
    serde_json::json!({
        "id": row.id, "order_id": row.order_id, "customer_ref": row.customer_ref, "scenario": row.scenario,
        "client": row.client, "status": row.label, "bot_status": row.bot_label, "in_review": row.in_review,
        "cancel_pending": row.cancel_pending,
        "amount": row.amount, "applied": row.applied, "unapplied": row.unapplied, "returned": row.returned,
        "expires_at": row.expires_at, "checkout_url": checkout_url, "pay_url": pay_url, "created_at": row.created_at,
        "refund_pending": row.refund_pending,
        "updated_at": row.updated_at, "verification": row.verification, "override": row.decided,
        "cancelled_by": row.cancelled_by, "version": row.version,
    })
}

/// A proposal without what stands beside it.
pub fn shown_proposal(id: &ProposalId, proposal: &Proposal) -> ShownProposal {
    ShownProposal {
        id: id.to_string(),
        decision: proposal.decision,
        state: match proposal.state {
            ProposalState::Open => "open",
            ProposalState::Approved => "approved",
            ProposalState::Rejected(RejectedWhy::Rejected) => "rejected",
            ProposalState::Rejected(RejectedWhy::Lapsed) => "lapsed",
        },
        proposed_by: proposal.by.to_string(),
        based_on: proposal.based_on,
        lapses_at: proposal.lapses_at,
    }
}

fn shown_attempt(attempt_no: u32, attempt: &Attempt) -> ShownAttempt {
    ShownAttempt {
        attempt_no,
        provider: attempt.provider.to_string(),
        account: attempt.account.to_string(),
        our_reference: attempt.our_reference.to_string(),
        provider_order_ref: attempt.provider_order_ref.as_ref().map(ToString::to_string),
        state: match attempt.state {
            AttemptState::Started => "started",
            AttemptState::Uncertain => "uncertain",
            AttemptState::Registered => "registered",
            AttemptState::InFlight(_) => "in_flight",
            AttemptState::Failed(_) => "failed",
            AttemptState::Captured => "captured",
        },
        amount: attempt.amount,
        session_expires_at: attempt.session_expires_at,
    }
}
