//! Overrides and revocations: one person proposes, another decides.

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::ids::{PaymentRequestId, ProposalId, ReasonCode};
use domain::payment::event::{NoticeKind, Proposed};
use domain::sealed::Commitment;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::body;
use super::super::call::Call;
use super::super::fields::{self, Fields};
use super::super::present::shown_proposal;
use super::super::problem::{self, Problem};
use super::super::state::HttpState;
use super::exceptions::words;
use super::requests::{answer, position, request_id};
use crate::app::notices::NewNotice;
use crate::app::overrides::{Made, NewProposal, Piece, Verdict, Why};
use crate::app::proposals::{Ended, ProposalDetail};

/// Most pieces of evidence of one proposal.
const PIECES_MAX: usize = 5;

/// A piece of evidence as it is written: one of the three.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    commitment: Option<Commitment>,
    text: Option<String>,
    image_base64: Option<String>,
}

/// `POST /v1/payment-requests/{id}/overrides`
pub async fn propose(
    request: HttpRequest,
    payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    make(request, payload, path, call, state, Proposed::Pay).await
}

/// `POST /v1/payment-requests/{id}/revocations`
pub async fn propose_revocation(
    request: HttpRequest,
    payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    make(request, payload, path, call, state, Proposed::Revoke).await
}

async fn make(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
    decision: Proposed,
) -> Result<HttpResponse, Problem> {
    let id = request_id(path)?;
    let command = body::json(&request, &mut payload).await?;
    let (why, evidence) = fields::read(command, |fields| {
        let why = why(fields, true);
        let evidence = evidence(fields);
        Some((why?, evidence?))
    })?;
    let context = call.context(&state, id.as_str(), &outline(&why.0, &evidence))?;
    let new = NewProposal {
        decision,
        why,
        evidence,
    };
    let Made {
        proposal,
        detail,
        executed,
    } = state.app.propose(&call.caller, &context, &id, new).await?;
    let location = format!("/v1/payment-requests/{id}/overrides/{proposal}");
    let mut response = HttpResponse::Created();
    response.insert_header((LOCATION, location));
    let at = executed.position.map(|position| position.to_string());
    position(&mut response, at, executed.replayed);
    Ok(response.json(shown(&id, &proposal, &detail)))
}

/// `GET /v1/payment-requests/{id}/overrides/{proposal_id}`
pub async fn read(
    path: Path<(String, String)>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let (id, proposal) = ids(path)?;
    let detail = state.app.proposal(&call.caller, &id, &proposal).await?;
    Ok(HttpResponse::Ok().json(shown(&id, &proposal, &detail)))
}

/// `POST /v1/payment-requests/{id}/overrides/{proposal_id}/approve`
pub async fn approve(
    request: HttpRequest,
    payload: Payload,
    path: Path<(String, String)>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    decide(request, payload, path, call, state, Verdict::Approve).await
}

/// `POST /v1/payment-requests/{id}/overrides/{proposal_id}/reject`
pub async fn reject(
    request: HttpRequest,
    payload: Payload,
    path: Path<(String, String)>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    decide(request, payload, path, call, state, Verdict::Reject).await
}

async fn decide(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<(String, String)>,
    call: Call,
    state: Data<HttpState>,
    verdict: Verdict,
) -> Result<HttpResponse, Problem> {
    let (id, proposal) = ids(path)?;
    let command = body::json(&request, &mut payload).await?;
    let (ticket, why) = fields::read(command, |fields| {
        let ticket: Option<String> = fields.required("ticket");
        let why = why(fields, false);
        Some((ticket?, why?))
    })?;
    // The same decision with a newer ticket is the same command.
    let target = format!("{id}/{proposal}");
    let context = call.context(&state, &target, &json!({ "reason": why.0 }))?;
    let executed = state
        .app
        .decide_proposal(
            &call.caller,
            &context,
            (&id, &proposal),
            verdict,
            &ticket,
            why,
        )
        .await?;
    Ok(answer(HttpResponse::Ok(), &call, &state, &executed))
}

fn ids(path: Path<(String, String)>) -> Result<(PaymentRequestId, ProposalId), Problem> {
    let (id, proposal) = path.into_inner();
    let not_found = || Problem::new(&problem::NOT_FOUND);
    let id = PaymentRequestId::parse(id).map_err(|_| not_found())?;
    let proposal = ProposalId::parse(proposal).map_err(|_| not_found())?;
    Ok((id, proposal))
}

/// Why a person does something: a code, and words where they are needed or wanted.
pub(super) fn why(fields: &mut Fields<'_>, in_words: bool) -> Option<Why> {
    let code: Option<ReasonCode> = fields.required("reason");
    let text = words(fields, in_words);
    Some((code?, text))
}

fn evidence(fields: &mut Fields<'_>) -> Option<Vec<Piece>> {
    let written: Value = fields.required("evidence")?;
    if written == json!("none") {
        return Some(vec![]);
    }
    let pieces: Result<Vec<Written>, _> = serde_json::from_value(written);
    let pieces = pieces
        .ok()
        .filter(|pieces| (1..=PIECES_MAX).contains(&pieces.len()));
    let Some(pieces) = pieces else {
        fields.complain("evidence", "must be \"none\" or a list of 1 to 5 pieces");
        return None;
    };
    let read = pieces.into_iter().map(piece).collect::<Result<Vec<_>, _>>();
    read.map_err(|complaint| fields.complain("evidence", complaint))
        .ok()
}

fn piece(written: Written) -> Result<Piece, &'static str> {
    match written {
        Written {
            commitment: Some(commitment),
            text: None,
            image_base64: None,
        } => Ok(Piece::Known(commitment)),
        Written {
            commitment: None,
            text,
            image_base64,
        } if text.is_some() != image_base64.is_some() => {
            let read = NewNotice::parse(NoticeKind::Message, text, image_base64);
            let (media, bytes) = read.map_err(|(_, complaint)| complaint)?.into_content();
            Ok(Piece::New { media, bytes })
        }
        Written { .. } => Err("each piece has one of commitment, text and image_base64"),
    }
}

/// What may be fingerprinted: nothing that a person wrote or photographed.
fn outline(code: &ReasonCode, evidence: &[Piece]) -> Value {
    let pieces = evidence.iter().map(|piece| match piece {
        Piece::Known(commitment) => json!({ "commitment": commitment }),
        Piece::New { media, bytes } => json!({ "media": media, "bytes": bytes.len() }),
    });
    json!({ "reason": code, "evidence": pieces.collect::<Vec<_>>() })
}

fn shown(id: &PaymentRequestId, proposal: &ProposalId, detail: &ProposalDetail) -> Value {
    let made = &detail.made;
    let evidence = if made.evidence.is_empty() {
        json!("none")
    } else {
        json!(made.evidence)
    };
    let mut shown = json!(shown_proposal(proposal, &detail.proposal));
    shown["payment_request_id"] = json!(id);
    shown["proposed_at"] = json!(made.recorded_at);
    shown["reason"] = json!(made.reason.as_ref().map(|reason| &reason.code));
    shown["evidence"] = evidence;
    if let Some(words) = &detail.words {
        shown["text"] = json!(words);
    }
    if let Some(ended) = &detail.ended {
        shown["ended"] = shown_end(ended);
    }
    shown
}

fn shown_end(ended: &Ended) -> Value {
    let record = &ended.record;
    let mut shown = json!({
        "by": record.actor.display(),
        "at": record.recorded_at,
        "changed": ended.changed,
    });
    if let Some(reason) = &record.reason {
        shown["reason"] = json!(reason.code);
    }
    if let Some(words) = &ended.words {
        shown["text"] = json!(words);
    }
    shown
}
