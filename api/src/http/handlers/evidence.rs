//! Sealed evidence: what there is about a request, and its raw bytes for a person who says why.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::digest::Digest32;
use domain::ids::PaymentRequestId;
use domain::sealed::Commitment;
use serde_json::json;

use super::super::body;
use super::super::call::Call;
use super::super::fields;
use super::super::problem::{self, Problem};
use super::super::state::HttpState;
use super::overrides::why;
use super::requests::{position, request_id};

/// Nothing in it may run, load or be framed, wherever a browser is made to show it after all.
const POLICY: &str =
    "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// `GET /v1/payment-requests/{id}/evidence`
pub async fn list(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = request_id(path)?;
    let kept = state.app.kept_evidence(&call.caller.merchant, &id).await?;
    Ok(HttpResponse::Ok().json(json!({ "payment_request_id": id, "evidence": kept })))
}

/// `POST /v1/payment-requests/{id}/evidence/{commitment}/open`
pub async fn open(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<(String, String)>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let (id, commitment) = ids(path)?;
    let command = body::json(&request, &mut payload).await?;
    let why = fields::read(command, |fields| why(fields, false))?;
    let target = format!("{id}/{}", commitment.0);
    let context = call.context(&state, &target, &json!({ "reason": why.0 }))?;
    let merchant = &call.caller.merchant;
    let opened = state
        .app
        .open_evidence(merchant, &context, &id, commitment, why)
        .await?;
    let name = format!("attachment; filename=\"{}\"", opened.file_name());
    let mut response = HttpResponse::Ok();
    response
        .content_type(opened.media)
        .insert_header((CONTENT_DISPOSITION, name))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY));
    let executed = &opened.executed;
    let at = executed.position.map(|position| position.to_string());
    position(&mut response, at, executed.replayed);
    Ok(response.body(opened.bytes))
}

fn ids(path: Path<(String, String)>) -> Result<(PaymentRequestId, Commitment), Problem> {
    let (id, commitment) = path.into_inner();
    let not_found = || Problem::new(&problem::NOT_FOUND);
    let id = PaymentRequestId::parse(id).map_err(|_| not_found())?;
    let commitment = Digest32::from_hex(&commitment).ok_or_else(not_found)?;
    Ok((id, Commitment(commitment)))
}
