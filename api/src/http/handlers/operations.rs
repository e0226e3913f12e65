//! Health, figures, views: for those who run the ledger.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::outbound::schema;
use serde_json::{Value, json};

use super::super::call::Call;
use super::super::guard::AsIs;
use super::super::problem::{self, Problem};
use super::super::state::HttpState;
use crate::app::error::AppError;

/// `GET /health/live`: the process runs. Touches no store.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live", "version": env!("CARGO_PKG_VERSION") }))
}

/// `GET /health/ready`: every part works, or which does not.
pub async fn ready(state: Data<HttpState>) -> HttpResponse {
    let parts = state.health.parts();
    let mut response = if state.health.ready() {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    let status = if state.health.ready() {
        "ready"
    } else {
        "not_ready"
    };
    let mut response = response.json(json!({ "status": status, "parts": parts }));
    response.extensions_mut().insert(AsIs);
    response
}

/// `GET /metrics`
pub async fn metrics(state: Data<HttpState>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4")
        .body(state.metrics.render())
}

/// `GET /openapi.json`
pub async fn openapi(_: HttpRequest) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(super::super::openapi::document().to_string())
}

/// `GET /asyncapi.json`
pub async fn asyncapi() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(super::super::asyncapi::document().to_string())
}

/// `GET /schemas/{file}`
pub async fn event_schema(path: Path<String>) -> Result<HttpResponse, Problem> {
    let name = schema::of_file(&path).ok_or_else(|| Problem::new(&problem::NOT_FOUND))?;
    Ok(HttpResponse::Ok()
        .content_type("application/schema+json")
        .insert_header(("cache-control", "public, max-age=86400"))
        .body(schema::schema(name).to_string()))
}

/// `GET /v1/projections`
pub async fn projections(_: Call, state: Data<HttpState>) -> Result<HttpResponse, Problem> {
    let standings = state.app.view_standings().await?;
    let shown: Result<Vec<Value>, _> = standings.iter().map(serde_json::to_value).collect();
    Ok(HttpResponse::Ok().json(json!({ "projections": shown.map_err(AppError::bug)? })))
}
