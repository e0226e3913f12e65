//! Persons sign in, sign out, and show their credentials once more.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::access::operator::SESSION_IDLE_MAX;
use domain::access::password::Password;
use domain::ids::{OperatorId, ProposalId};
use serde_json::{Value, json};

use super::super::body;
use super::super::call::{Call, prefix};
use super::super::fields::{self, Fields};
use super::super::problem::Problem;
use super::super::state::HttpState;
use crate::app::sessions::Credentials;

/// `POST /v1/sessions`: the token stands in this one answer.
pub async fn sign_in(
    request: HttpRequest,
    mut payload: Payload,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let body = body::json(&request, &mut payload).await?;
    let (operator, credentials) = fields::read(body, |fields| {
        let operator: Option<OperatorId> = fields.required("operator");
        let credentials = credentials(fields);
        Some((operator?, credentials?))
    })?;
    let address = request.peer_addr().map(|peer| peer.ip());
    state.limit_sign_in(address, &operator)?;
    let signed_in = state
        .app
        .sign_in(
            &operator,
            &credentials,
            "POST /v1/sessions",
            address.map(prefix),
        )
        .await
        .inspect_err(|_| {
            metrics::counter!("counterfoil_sign_ins_refused_total").increment(1);
        })?;
    known_now(&state).await;
    let person = &signed_in.operator;
    Ok(HttpResponse::Created().json(json!({
        "token": signed_in.token.reveal(), "operator": person.id, "merchant": person.merchant,
        "role": person.role, "scopes": person.scopes, "expires_at": signed_in.expires_at,
        "idle_s_max": SESSION_IDLE_MAX.as_secs(),
    })))
}

/// `DELETE /v1/sessions/current`
pub async fn sign_out(call: Call, state: Data<HttpState>) -> Result<HttpResponse, Problem> {
    let context = call.context(&state, "", &Value::Null)?;
    state.app.sign_out(&call.caller, &context).await?;
    known_now(&state).await;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /v1/sessions/confirm`: the ticket stands in this one answer.
pub async fn confirm(
    request: HttpRequest,
    mut payload: Payload,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let body = body::json(&request, &mut payload).await?;
    let (proposal, credentials) = fields::read(body, |fields| {
        let proposal: Option<ProposalId> = fields.required("proposal");
        let credentials = credentials(fields);
        Some((proposal?, credentials?))
    })?;
    let address = request.peer_addr().map(|peer| peer.ip());
    state.limit_sign_in(address, call.caller.operator()?)?;
    let context = call.context(&state, proposal.as_str(), &Value::Null)?;
    let ticket = state
        .app
        .confirm(&call.caller, &context, &credentials, &proposal)
        .await?;
    Ok(HttpResponse::Ok().json(json!({
        "ticket": ticket.reveal(), "proposal": proposal, "expires_at": ticket.expires_at,
    })))
}

fn credentials(fields: &mut Fields<'_>) -> Option<Credentials> {
    let password: Option<String> = fields.required("password");
    let totp = fields.optional("totp");
    Some(Credentials {
        password: Password::shown(password?),
        totp,
    })
}

/// The next call may follow at once, so the directory hears of it now and not a moment later. Where
/// the log is away, it hears of it when the log is back.
async fn known_now(state: &HttpState) {
    if let Err(error) = state.directory.catch_up().await {
        tracing::warn!(error = %error, "callers.behind");
    }
}
