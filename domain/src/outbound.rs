//! What others hear: one normalised CloudEvents 1.0 body (structured JSON mode) per ledger event,
//! the same bytes for every subscriber and every try.
//!
//! The body is a pure function of the request's stream up to that event, so a rebuild renders the
//! same bytes again. Structured mode, because in binary mode the attributes would travel as headers
//! that the Standard Webhooks signature does not cover.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::codec::{CodecError, decode};
use crate::digest::Digest32;
use crate::ids::{CaseId, EventId, ReasonCode, ScenarioId};
use crate::money::Sum;
use crate::payment::event::{CancelledBy, DisputeOutcome, RefundKind, VerificationMethod};
use crate::payment::evidence::Mode;
use crate::payment::exception::{ExceptionKind, Severity};
use crate::payment::{CaptureKey, Event, Label, Request, evolve};
use crate::record::Envelope;
use crate::time::Timestamp;

mod name;
mod others;
pub mod schema;

pub use name::EventName;
pub use others::{test_event, unmatched_event};

/// A rendered event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// Which event.
    pub name: EventName,
    /// What it is about; the order of deliveries is kept per subject.
    pub subject: String,
    /// The scenario of the payment request that it is about; `None` where it is about none.
    pub scenario: Option<ScenarioId>,
    /// The canonical JSON body.
    pub body: Vec<u8>,
}

/// A request's stream so far, as far as bodies need it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    request: Option<Request>,
    created_at: Option<Timestamp>,
    /// What subscribers were told is paid, in minor units.
    paid: i64,
    /// What they were told went back of it.
    reversed: i64,
    /// Why the newest proposal was made. Only one waits at a time, so it is the one that is approved.
    proposed_because: Option<ReasonCode>,
    /// The newest approval.
    approved: Option<EventId>,
}

impl Story {
    /// Takes in one event of `payment_request-*` and gives what others hear of it.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn tell(
        &mut self,
        envelope: &Envelope,
        leaf_hash: Digest32,
    ) -> Result<Option<Outbound>, CodecError> {
        let event: Event = decode(envelope)?;
        if self.request.is_none() {
            self.created_at = Some(envelope.recorded_at);
        }
        self.request = evolve(self.request.take(), &event);
        let Some(request) = &self.request else {
            return Ok(None);
        };
        if let Event::OverrideProposed { .. } = &event {
            let reason = envelope.reason.as_ref();
            self.proposed_because = reason.map(|reason| reason.code.clone());
        }
        if let Event::OverrideApproved { .. } = &event {
            self.approved = Some(envelope.event_id);
        }
        let verified = request.verified().is_some();
        let told = match &event {
            Event::PaymentVerified { amount, method, .. } => {
                self.reversed = 0;
                self.paid = match method {
                    VerificationMethod::Override => request.terms().amount.minor(),
                    VerificationMethod::SignedNotification
                    | VerificationMethod::StatusLookup
                    | VerificationMethod::Settlement => amount.minor(),
                };
                Some((
                    EventName::PaymentVerified,
                    self.verified(request, envelope, &event),
                ))
            }
            Event::RefundSettled {
                applied,
                kind,
                capture,
                requested,
                ..
            } if verified && applied.0 > 0 => {
                self.reversed += applied.0;
                let kind = match kind {
                    RefundKind::Refund => "refund",
                    RefundKind::Void => "void",
                };
                let data = reversal(request, kind, applied.0, self.reversed, *requested, capture);
                Some((EventName::PaymentReversed, data))
            }
            Event::RefundReversed {
                applied, capture, ..
            } if verified && applied.0 > 0 => {
                self.reversed -= applied.0;
                let data = reversal(request, "refund", -applied.0, self.reversed, false, capture);
                Some((EventName::PaymentReversed, data))
            }
            Event::DisputeClosed {
                outcome: DisputeOutcome::Lost,
                applied,
                capture,
                ..
            } if verified && applied.0 > 0 => {
                self.reversed += applied.0;
                let data = reversal(
                    request,
                    "chargeback",
                    applied.0,
                    self.reversed,
                    false,
                    capture,
                );
                Some((EventName::PaymentReversed, data))
            }
            Event::VerificationRevoked { .. } => {
                let delta = self.paid - self.reversed;
                self.reversed = self.paid;
                let currency = request.terms().amount.currency();
                let data = json!({
                    "provider": Value::Null,
                    "reversal": {
                        "kind": "revoked",
                        "delta": Sum::new(delta, currency),
                        "cumulative": Sum::new(self.reversed, currency),
                        "requested": true,
                    },
                });
                Some((EventName::PaymentReversed, data))
            }
            Event::DisputeOpened {
                dispute,
                amount,
                reason,
                due_by,
                ..
            } if verified => {
                let data = json!({ "dispute": { "id": dispute, "amount": amount, "reason": reason, "due_by": due_by } });
                Some((EventName::PaymentDisputed, data))
            }
            Event::DisputeClosed {
                outcome: DisputeOutcome::Won,
                dispute,
                ..
            } if verified => {
                let data = json!({ "dispute": { "id": dispute, "outcome": "won" } });
                Some((EventName::PaymentDisputeClosed, data))
            }
            Event::Expired { confirmed } => {
                Some((EventName::RequestExpired, json!({ "confirmed": confirmed })))
            }
            Event::Cancelled { by, superseded_by } => {
                let by = match by {
                    CancelledBy::Client => "client",
                    CancelledBy::Superseded => "superseded",
                    CancelledBy::Revoked => "revoked",
                };
                let data = json!({ "by": by, "superseded_by": superseded_by });
                Some((EventName::RequestCancelled, data))
            }
            // A capture that completes the amount comes before its PaymentVerified and is no part.
            Event::PaymentCaptured { applied, .. } | Event::CaptureReceived { applied, .. }
                if applied.0 > 0
                    && request.label() == Label::PartiallyPaid
                    && request.missing_minor() > request.terms().rules.tolerance_minor.0 =>
            {
                let data = json!({ "applied": request.applied() });
                Some((EventName::PartiallyPaid, data))
            }
            Event::ExceptionOpened {
                case,
                kind,
                severity,
                due,
                ..
            } => Some((
                EventName::ExceptionOpened,
                exception(case, *kind, *severity, *due),
            )),
            Event::ExceptionResolved { case, resolution } => {
                let data = json!({ "case": case, "resolution": resolution });
                Some((EventName::ExceptionResolved, data))
            }
            Event::Created(_)
            | Event::AttemptStarted { .. }
            | Event::AttemptRegistered { .. }
            | Event::AttemptUncertain { .. }
            | Event::AttemptPrechecked { .. }
            | Event::AttemptProgressed { .. }
            | Event::AttemptCancelRequested { .. }
            | Event::AttemptFailed { .. }
            | Event::PaymentCaptured { .. }
            | Event::CaptureAliasRecorded { .. }
            | Event::UnappliedMoneyAccepted { .. }
            | Event::UnappliedMoneyKept { .. }
            | Event::CaptureReassigned { .. }
            | Event::CaptureReceived { .. }
            | Event::CaptureUnapplied { .. }
            | Event::ExpiryDeferred { .. }
            | Event::RefundRequested { .. }
            | Event::RefundSubmitted { .. }
            | Event::RefundAccepted { .. }
            | Event::RefundUncertain { .. }
            | Event::RefundFailed { .. }
            | Event::RefundSettled { .. }
            | Event::RefundReversed { .. }
            | Event::DisputeOpened { .. }
            | Event::DisputeClosed { .. }
            | Event::PayerNoticeRecorded { .. }
            | Event::EvidenceOpened { .. }
            | Event::OverrideProposed { .. }
            | Event::OverrideApproved { .. }
            | Event::OverrideRejected { .. }
            | Event::OverrideSubstantiated { .. }
            | Event::OverrideUnsubstantiated { .. }
            | Event::ExceptionAssigned { .. } => None,
        };
        let Some((name, data)) = told else {
            return Ok(None);
        };
        let subject = request.terms().id.to_string();
        let data = with_common(request, data, &envelope.origin, leaf_hash);
        let body = cloud_event(envelope, name, &subject, data)?;
        Ok(Some(Outbound {
            name,
            subject,
            scenario: Some(request.terms().scenario.clone()),
            body,
        }))
    }

    fn verified(&self, request: &Request, envelope: &Envelope, event: &Event) -> Value {
        let terms = request.terms();
        let Event::PaymentVerified {
            method,
            capture,
            amount,
            paid_at,
            late,
            ..
        } = event
        else {
            return Value::Null;
        };
        let evidence: Vec<String> = envelope
            .evidence
            .iter()
            .map(|piece| piece.commitment.0.to_string())
            .collect();
        // Paid by decision: whose, why, and how much of it money has proved so far.
        let decided = match (method, request.override_()) {
            (VerificationMethod::Override, Some(known)) => json!({
                "proposal": known.proposal,
                "actor_id": request.proposals().get(&known.proposal).map(|proposal| &proposal.by),
                "reason_code": self.proposed_because,
                "approved_by": known.approved_by,
                "audit_event_id": self.approved,
                "proven": amount,
                "prove_by": known.prove_by,
            }),
            (VerificationMethod::Override, None)
            | (
                VerificationMethod::SignedNotification
                | VerificationMethod::StatusLookup
                | VerificationMethod::Settlement,
                _,
            ) => Value::Null,
        };
        json!({
            "status": "paid",
            "scenario": terms.scenario,
            "amount": Sum::new(self.paid, amount.currency()),
            "amount_requested": terms.amount,
            "provider": provider(request, capture.as_ref()),
            "verification": { "method": method, "verified_at": envelope.recorded_at, "evidence_ids": evidence },
            "timeline": {
                "requested_at": self.created_at,
                "expires_at": terms.expires_at,
                "paid_at": paid_at,
                "verified_at": envelope.recorded_at,
                "late": late,
            },
            "override": decided,
        })
    }
}

fn provider(request: &Request, capture: Option<&CaptureKey>) -> Value {
    let Some(key) = capture else {
        return Value::Null;
    };
    let attempt = request
        .captures()
        .get(key)
        .and_then(|capture| request.attempts().get(&capture.attempt_no?));
    json!({
        "code": key.provider,
        "transaction_id": key.transaction,
        "order_ref": attempt.and_then(|attempt| attempt.provider_order_ref.clone()),
        "method": "other",
    })
}

fn reversal(
    request: &Request,
    kind: &str,
    delta: i64,
    cumulative: i64,
    requested: bool,
    capture: &CaptureKey,
) -> Value {
    let currency = request.terms().amount.currency();
    json!({
        "provider": provider(request, Some(capture)),
        "reversal": {
            "kind": kind,
            "delta": Sum::new(delta, currency),
            "cumulative": Sum::new(cumulative, currency),
            "requested": requested,
        },
    })
}

/// Ids, mode and proof stand in every body.
fn with_common(request: &Request, data: Value, origin: &str, leaf_hash: Digest32) -> Value {
    let terms = request.terms();
    let mut members = match data {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    };
    members.insert("payment_request_id".into(), json!(terms.id));
    members.insert("order_id".into(), json!(terms.order_id));
    members.insert("merchant_id".into(), json!(terms.merchant));
    if let Some(customer) = &terms.customer_ref {
        members.insert("customer_ref".into(), json!(customer));
    }
    members.insert("is_test".into(), json!(terms.mode == Mode::Test));
    members.insert(
        "log".into(),
        json!({ "origin": origin, "leaf_hash": leaf_hash }),
    );
    Value::Object(members)
}

fn exception(case: &CaseId, kind: ExceptionKind, severity: Severity, due: Timestamp) -> Value {
    json!({ "case": case, "kind": kind, "severity": severity, "due": due })
}

fn cloud_event(
    envelope: &Envelope,
    name: EventName,
    subject: &str,
    data: Value,
) -> Result<Vec<u8>, CodecError> {
    let mut event = json!({
        "specversion": "1.0",
        "id": envelope.event_id,
        "source": format!("//{}", envelope.origin),
        "type": name.ce_type(),
        "subject": subject,
        "time": envelope.occurred_at,
        "recordedtime": envelope.recorded_at,
        "sequence": format!("{:010}", envelope.stream_version.0),
        "partitionkey": subject,
        "dataclassification": "confidential",
        "datacontenttype": "application/json",
        "data": data,
    });
    if let Some(correlation) = &envelope.cause.correlation_id {
        event["correlationid"] = json!(correlation);
    }
    if let Some(cause) = &envelope.cause.causation_id {
        event["causationid"] = json!(cause);
    }
    crate::canonical_json(&event).map_err(|cause| CodecError::Unreadable {
        event_type: envelope.event_type.clone(),
        cause,
    })
}

#[cfg(test)]
#[path = "outbound_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "outbound_golden_tests.rs"]
mod golden_tests;
