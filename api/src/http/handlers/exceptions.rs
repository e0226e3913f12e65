//! The review list.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::super::call::Call;
use super::super::problem::Problem;
use super::super::state::{HttpState, query};
use super::events::{limit, parameter};
use super::requests::cursor;

/// `GET /v1/exceptions?state=open&cursor=&limit=`: the most urgent first.
pub async fn list(
    request: HttpRequest,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let query = query(&request);
    let wanted = query.get("state").map_or("open", String::as_str);
    if !matches!(wanted, "open" | "resolved") {
        return Err(parameter("state", "must be open or resolved"));
    }
    let after = cursor(query.get("cursor"))?;
    let page = state
        .app
        .list_exceptions(&call.caller, wanted, after, limit(query.get("limit"))?)
        .await?;
    let now = state.app.recorder.now();
    let rows: Vec<_> = page
        .rows
        .iter()
        .map(|case| {
            json!({
                "id": case.id, "payment_request_id": case.request, "order_id": case.order_id, "kind": case.kind,
                "severity": case.severity, "state": case.state, "about": case.about, "capture": case.capture,
                "money": case.money, "opened_at": case.opened_at, "age_s": now.since(case.opened_at).as_secs(),
                "due": case.due, "overdue": now > case.due, "resolution": case.resolution,
            })
        })
        .collect();
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(HttpResponse::Ok().json(json!({ "exceptions": rows, "next": next })))
}
