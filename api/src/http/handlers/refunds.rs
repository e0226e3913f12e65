//! Refunds: parse, one use-case, present.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::payment::event::Part;

use super::super::body;
use super::super::call::Call;
use super::super::fields;
use super::super::problem::Problem;
use super::super::state::HttpState;
use super::requests::{answer, request_id};
use crate::app::refunds::NewRefund;

/// `POST /v1/payment-requests/{id}/refunds`
pub async fn request(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = request_id(path)?;
    let mut command = body::json(&request, &mut payload).await?;
    let new = fields::read(command.clone(), |fields| {
        let capture = fields.optional("capture");
        let part = fields.optional("part").unwrap_or(Part::Applied);
        let amount = fields.required("amount");
        let code = fields.required("reason");
        let text = fields.optional("text");
        Some(NewRefund {
            capture,
            part,
            amount: amount?,
            reason: (code?, text),
        })
    })?;
    // Words of a person never go into a fingerprint.
    if let Some(members) = command.as_object_mut() {
        members.remove("text");
    }
    let context = call.context(&state, id.as_str(), &command)?;
    let executed = state
        .app
        .request_refund(&call.caller, &context, &id, new)
        .await?;
    Ok(answer(HttpResponse::Accepted(), &call, &state, &executed))
}
