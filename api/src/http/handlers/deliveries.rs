//! Deliveries: the failed list, one in full, redrive and abandon.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::delivery::Command;
use domain::ids::{DeliveryId, ReasonCode};
use projections::views::delivery_queue::{DeliveryRow, QueueState};
use serde_json::{Value, json};

use super::super::body;
use super::super::call::Call;
use super::super::fields;
use super::super::problem::{self, Problem};
use super::super::state::{HttpState, query};
use super::events::{limit, parameter};
use super::requests::cursor;
use crate::app::deliveries::DeliveryFilter;

/// `GET /v1/deliveries?state=&subscriber=&payment_request_id=&cursor=&limit=`
pub async fn list(
    request: HttpRequest,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let query = query(&request);
    if let Some(wanted) = query.get("state")
        && !QueueState::ALL.iter().any(|known| known.as_str() == wanted)
    {
        return Err(parameter("state", "is not a state of deliveries"));
    }
    let filter = DeliveryFilter {
        state: query.get("state").cloned(),
        subscriber: query.get("subscriber").cloned(),
        subject: query.get("payment_request_id").cloned(),
    };
    let after = cursor(query.get("cursor"))?;
    let page = state
        .app
        .list_deliveries(
            &call.caller.merchant,
            &filter,
            after,
            limit(query.get("limit"))?,
        )
        .await?;
    let rows: Vec<Value> = page.rows.iter().map(shown).collect();
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(HttpResponse::Ok().json(json!({ "deliveries": rows, "next": next })))
}

/// `GET /v1/deliveries/{id}`: the exact body, the outcomes, and what the receiver answered.
pub async fn read(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let detail = state
        .app
        .delivery(&call.caller.merchant, &id(path)?)
        .await?;
    let answers: Vec<Value> = detail
        .answers
        .iter()
        .map(|(generation, attempt_no, text)| json!({ "generation": generation, "attempt_no": attempt_no, "text": text }))
        .collect();
    let mut shown = shown(&detail.row);
    shown["request"] = json!({
        "headers": { "content-type": "application/cloudevents+json; charset=utf-8", "webhook-id": detail.row.id },
        "body": detail.body,
        "body_sha256": detail.row.body_sha256,
    });
    shown["attempts"] = Value::Array(detail.outcomes);
    shown["answers"] = Value::Array(answers);
    Ok(HttpResponse::Ok().json(shown))
}

/// `POST /v1/deliveries/{id}/redrive`
pub async fn redrive(
    request: HttpRequest,
    payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    order(request, payload, path, call, state, Command::Redrive).await
}

/// `POST /v1/deliveries/{id}/abandon`
pub async fn abandon(
    request: HttpRequest,
    payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    order(request, payload, path, call, state, Command::Abandon).await
}

async fn order(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
    command: Command,
) -> Result<HttpResponse, Problem> {
    let id = id(path)?;
    let body = body::json(&request, &mut payload).await?;
    let (code, text): (ReasonCode, Option<String>) = fields::read(body.clone(), |fields| {
        let code = fields.required("reason");
        let text: Option<String> = fields.optional("text");
        Some((code?, text))
    })?;
    // Words of a person never go into a fingerprint.
    let context = call.context(&state, id.as_str(), &json!({ "reason": code }))?;
    let after = state
        .app
        .command_delivery(&call.caller.merchant, &id, &context, &command, (code, text))
        .await?;
    let told = match after.state {
        domain::delivery::State::Open => "due",
        domain::delivery::State::Delivered => "delivered",
        domain::delivery::State::DeadLettered => "dead_lettered",
        domain::delivery::State::Quarantined => "quarantined",
        domain::delivery::State::Abandoned => "abandoned",
        domain::delivery::State::Acknowledged => "acknowledged",
    };
    Ok(HttpResponse::Ok().json(json!({ "id": id, "state": told, "generation": after.generation })))
}

fn id(path: Path<String>) -> Result<DeliveryId, Problem> {
    DeliveryId::parse(path.into_inner()).map_err(|_| Problem::new(&problem::NOT_FOUND))
}

fn shown(row: &DeliveryRow) -> Value {
    json!({
        "id": row.id, "subscriber": row.subscriber, "event": row.name, "event_id": row.event_id,
        "subject": row.subject, "state": row.state, "generation": row.generation, "attempts": row.attempts,
        "next_try_at": matches!(row.state, QueueState::Due).then_some(row.next_try_at),
        "last_failure": row.last_failure, "last_status": row.last_status, "created_at": row.created_at,
        "delivered_at": row.delivered_at,
    })
}
