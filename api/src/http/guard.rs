//! What stands round every route: a request id, the last word on panics and foreign errors,
//! security headers, metrics, and one log line.

use std::panic::AssertUnwindSafe;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError};
use futures::FutureExt;

use super::problem::{self, Problem};
use super::state::HttpState;

/// The id of one request, in the answer's `x-request-id` and in the log.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Marks an error answer that is not a problem on purpose (a provider's own words, readiness).
#[derive(Debug, Clone, Copy)]
pub struct AsIs;

/// Headers of every answer. Pages loosen the content policy by setting their own.
const ALWAYS: [(&str, &str); 7] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
];

/// Wraps a request. A panic becomes a 500 with the request id and nothing else; errors that
/// actix made itself (unknown path, wrong method, broken head) get the shape of all others.
pub async fn round(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let state = request
        .app_data::<actix_web::web::Data<HttpState>>()
        .cloned();
    let id = state
        .as_ref()
        .map_or_else(String::new, |state| state.request_id());
    request.extensions_mut().insert(RequestId(id.clone()));
    let started = state
        .as_ref()
        .map(|state| state.app.recorder.clock().monotonic());
    let method = request.method().to_string();

    let answer = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    let (mut result, pattern) = match answer {
        Ok(Ok(response)) => {
            let pattern = response.request().match_pattern();
            (Ok(shaped(response.map_into_boxed_body())), pattern)
        }
        Ok(Err(error)) => {
            let known = error
                .as_error::<Problem>()
                .map(ResponseError::error_response);
            let response = known
                .unwrap_or_else(|| of_status(error.as_response_error().status_code().as_u16()));
            (Err(response), None)
        }
        Err(_) => {
            metrics::counter!("counterfoil_http_panics_total").increment(1);
            (Err(Problem::new(&problem::INTERNAL).error_response()), None)
        }
    };
    let (status, headers) = match &mut result {
        Ok(response) => (response.status().as_u16(), response.headers_mut()),
        Err(response) => (response.status().as_u16(), response.headers_mut()),
    };
    for (name, value) in ALWAYS {
        set_if_absent(headers, name, value);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
    let pattern = pattern.unwrap_or_else(|| "unmatched".to_owned());
    if let (Some(state), Some(started)) = (state, started) {
        let took = state
            .app
            .recorder
            .clock()
            .monotonic()
            .saturating_sub(started);
        metrics::counter!(
            "counterfoil_http_requests_total",
            "method" => method.clone(), "route" => pattern.clone(), "status" => status.to_string()
        )
        .increment(1);
        metrics::histogram!("counterfoil_http_request_seconds", "route" => pattern.clone())
            .record(took);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(request_id = %id, %method, route = %pattern, status, took_us, "http.request");
    }
    // The request went into the handler and is gone with it: only its answer is left.
    result.map_err(|response| InternalError::from_response("answered", response).into())
}

fn set_if_absent(headers: &mut HeaderMap, name: &'static str, value: &'static str) {
    let name = HeaderName::from_static(name);
    if !headers.contains_key(&name) {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// An error answer that is no problem yet becomes one, so that no foreign text reaches a caller.
fn shaped(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let media = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let problem = media.is_some_and(|media| media.starts_with("application/problem+json"));
    let as_is = response.response().extensions().get::<AsIs>().is_some();
    if !(status.is_client_error() || status.is_server_error()) || problem || as_is {
        return response;
    }
    let (http, _) = response.into_parts();
    ServiceResponse::new(http, of_status(status.as_u16()))
}

fn of_status(status: u16) -> actix_web::HttpResponse<BoxBody> {
    let code = match status {
        401 => &problem::UNAUTHENTICATED,
        403 => &problem::FORBIDDEN,
        404 => &problem::NOT_FOUND,
        405 => &problem::METHOD_NOT_ALLOWED,
        408 => &problem::BODY_TIMEOUT,
        413 => &problem::BODY_TOO_LARGE,
        415 => &problem::UNSUPPORTED_MEDIA_TYPE,
        429 => &problem::RATE_LIMITED,
        400..=499 => &problem::MALFORMED,
        _ => &problem::INTERNAL,
    };
    Problem::new(code).error_response()
}
