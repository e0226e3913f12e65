//! The policy of every route, applied before its handler: who may call, how often, and what a
//! refusal leaves behind.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, ResponseError};
use domain::access::scope::Scope;

use super::call::{Call, text};
use super::checkout::{self, Payer};
use super::ops::{Access, Op, Spec};
use super::problem::{self, Problem};
use super::state::HttpState;
use crate::app::caller::Caller;
use crate::app::directory::AuthError;

/// Runs in front of the handler of `op`.
///
/// # Errors
/// Those of the handler.
pub async fn enforce(
    op: Op,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match admit(op, &request).await {
        Ok(()) => next.call(request).await,
        Err(problem) if op.spec().access == Access::Link => {
            let page = checkout::refused(request.request(), &problem);
            Ok(request.into_response(page))
        }
        Err(problem) => Ok(request.into_response(problem.error_response())),
    }
}

async fn admit(op: Op, request: &ServiceRequest) -> Result<(), Problem> {
    let state = request
        .app_data::<Data<HttpState>>()
        .cloned()
        .ok_or_else(|| Problem::new(&problem::INTERNAL))?;
    let spec = op.spec();
    match spec.access {
        Access::Public => {}
        Access::Provider => state.limit_address(request.peer_addr().map(|peer| peer.ip()))?,
        // The handler limits them, once it knows whose password is tried.
        Access::Credentials => {}
        Access::Session => {
            let caller = known(&state, request).await?;
            caller.operator()?;
            let call = Call::new(caller, spec, request.request())?;
            request.extensions_mut().insert(call);
        }
        Access::Link => {
            state.limit_address(request.peer_addr().map(|peer| peer.ip()))?;
            let payer = Payer::of(&state, request.request())?;
            request.extensions_mut().insert(payer);
        }
        Access::Scope(scope) => {
            let caller = with_scope(&state, request, &spec, scope).await?;
            let call = Call::new(caller, spec, request.request())?;
            request.extensions_mut().insert(call);
        }
        Access::Person(scope) => {
            let caller = with_scope(&state, request, &spec, scope).await?;
            if let Err(error) = caller.operator() {
                state
                    .app
                    .note_denied(&caller, &route(&spec), "session")
                    .await;
                return Err(error.into());
            }
            let call = Call::new(caller, spec, request.request())?;
            request.extensions_mut().insert(call);
        }
    }
    Ok(())
}

/// A known caller who has this scope. Who lacks it leaves a trace.
async fn with_scope(
    state: &HttpState,
    request: &ServiceRequest,
    spec: &Spec,
    scope: Scope,
) -> Result<Caller, Problem> {
    let caller = known(state, request).await?;
    if caller.may(scope) {
        return Ok(caller);
    }
    let lacking = scope.as_str();
    state.app.note_denied(&caller, &route(spec), lacking).await;
    let detail = format!("this caller lacks the scope {lacking}");
    Err(Problem::new(&problem::FORBIDDEN).detail(detail))
}

fn route(spec: &Spec) -> String {
    format!("{} {}", spec.method, spec.path)
}

/// The caller, within their limit; who is nobody is limited by address.
async fn known(state: &HttpState, request: &ServiceRequest) -> Result<Caller, Problem> {
    match authenticate(state, request).await {
        Ok(caller) => {
            state.limit_caller(&caller.who)?;
            Ok(caller)
        }
        Err(problem) => {
            state.limit_address(request.peer_addr().map(|peer| peer.ip()))?;
            Err(problem)
        }
    }
}

async fn authenticate(state: &HttpState, request: &ServiceRequest) -> Result<Caller, Problem> {
    let unauthenticated = || Problem::new(&problem::UNAUTHENTICATED);
    let header = text(request.headers(), "authorization").ok_or_else(unauthenticated)?;
    let (scheme, token) = header.split_once(' ').ok_or_else(unauthenticated)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(unauthenticated());
    }
    let now = state.app.recorder.now();
    match state.directory.authenticate(token.trim(), now) {
        Ok(caller) => Ok(caller),
        Err(AuthError::Behind) => {
            Err(Problem::new(&problem::STORE_UNAVAILABLE).detail("the callers are not known yet"))
        }
        Err(refused) => {
            if let AuthError::Idle { operator, key_id } = refused {
                state.app.leave_idle(&operator, key_id).await;
            }
            metrics::counter!("counterfoil_http_unauthenticated_total").increment(1);
            Err(unauthenticated())
        }
    }
}
