//! Deliveries: the failed list, one in full, its exact request, redrive and abandon.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::access::scope::Scope;
use domain::delivery::event::FailureClass;
use domain::delivery::{Command, FailedWhy};
use domain::ids::{DeliveryId, ReasonCode, SubscriberId};
use domain::time::Timestamp;
use projections::views::delivery_queue::{DeliveryRow, QueueState};
use serde_json::{Value, json};

use super::super::body;
use super::super::call::Call;
use super::super::fields;
use super::super::problem::{self, Problem};
use super::super::state::{HttpState, query};
use super::events::{limit, parameter};
use super::requests::{cursor, request_id};
use crate::app::deliveries::DeliveryFilter;

/// `GET /v1/deliveries?state=&subscriber=&class=&reason=&payment_request_id=&since=&until=&cursor=&limit=`
pub async fn list(
    request: HttpRequest,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let query = query(&request);
    let filter = filter(&query)?;
    page(&query, &filter, &call, &state).await
}

/// `GET /v1/payment-requests/{id}/deliveries`: the same for one payment request, which must exist.
pub async fn of_request(
    request: HttpRequest,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = request_id(path)?;
    state.app.visible_request(&call.caller, &id).await?;
    let query = query(&request);
    let filter = DeliveryFilter {
        subject: Some(id.to_string()),
        ..filter(&query)?
    };
    page(&query, &filter, &call, &state).await
}

async fn page(
    query: &BTreeMap<String, String>,
    filter: &DeliveryFilter,
    call: &Call,
    state: &HttpState,
) -> Result<HttpResponse, Problem> {
    let (after, limit) = (cursor(query.get("cursor"))?, limit(query.get("limit"))?);
    let merchant = &call.caller.merchant;
    let page = state.app.list_deliveries(merchant, filter, after, limit);
    let page = page.await?;
    let rows: Vec<Value> = page.rows.iter().map(shown).collect();
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(HttpResponse::Ok().json(json!({ "deliveries": rows, "next": next })))
}

fn filter(query: &BTreeMap<String, String>) -> Result<DeliveryFilter, Problem> {
    let subscriber = match query.get("subscriber") {
        Some(name) => Some(
            SubscriberId::parse(name.as_str())
                .map_err(|error| parameter("subscriber", &error.to_string()))?,
        ),
        None => None,
    };
    Ok(DeliveryFilter {
        states: words(query, "state", QueueState::parse)?,
        subscriber,
        subject: query.get("payment_request_id").cloned(),
        classes: words(query, "class", FailureClass::parse)?,
        reasons: words(query, "reason", FailedWhy::parse)?,
        since: time(query, "since")?,
        until: time(query, "until")?,
    })
}

/// One word, or several with commas between them.
fn words<T: Ord>(
    query: &BTreeMap<String, String>,
    name: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<BTreeSet<T>, Problem> {
    let words = query.get(name).into_iter().flat_map(|all| all.split(','));
    let read = |word| {
        parse(word).ok_or_else(|| parameter(name, &format!("is not a {name} of deliveries")))
    };
    words.map(read).collect()
}

fn time(query: &BTreeMap<String, String>, name: &str) -> Result<Option<Timestamp>, Problem> {
    let read =
        |text: &String| Timestamp::parse(text).map_err(|error| parameter(name, &error.to_string()));
    query.get(name).map(read).transpose()
}

/// `GET /v1/deliveries/{id}`: the exact body, every try with what came back, and who decided what.
pub async fn read(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let detail = state
        .app
        .delivery(&call.caller.merchant, &id(path)?)
        .await?;
    let mut shown = shown(&detail.row);
    shown["body"] = json!(detail.body);
    shown["body_sha256"] = json!(detail.row.body_sha256);
    shown["attempts"] = json!(detail.tries);
    shown["history"] = Value::Array(detail.history);
    Ok(HttpResponse::Ok().json(shown))
}

/// `GET /v1/deliveries/{id}/request?signed=`: the exact request. One that can be sent needs the scope
/// to operate, since whoever has it can send it.
pub async fn exact_request(
    request: HttpRequest,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = id(path)?;
    let signed = match query(&request).get("signed").map(String::as_str) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(parameter("signed", "must be true or false")),
    };
    if signed {
        call.needs(&state, Scope::DeliveriesOperate).await?;
        tracing::info!(delivery = %id, by = %call.caller.actor().display(), "delivery.request_signed");
    }
    let shown = state
        .app
        .exact_request(&call.caller.merchant, &id, signed)
        .await?;
    Ok(HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .json(shown))
}

/// `POST /v1/deliveries/{id}/redrive`
pub async fn redrive(
    request: HttpRequest,
    payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let command = Command::Redrive { batch: None };
    order(request, payload, path, call, state, command).await
}

/// `POST /v1/deliveries/{id}/abandon`
pub async fn abandon(
    request: HttpRequest,
    payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let command = Command::Abandon { batch: None };
    order(request, payload, path, call, state, command).await
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

pub(super) fn shown(row: &DeliveryRow) -> Value {
    json!({
        "id": row.id, "subscriber": row.subscriber, "event": row.name, "event_id": row.event_id,
        "subject": row.subject, "state": row.state, "generation": row.generation, "attempts": row.attempts,
        "next_try_at": matches!(row.state, QueueState::Due).then_some(row.next_try_at),
        "class": row.class, "reason": row.reason, "last_failure": row.last_failure(), "batch": row.batch, "last_status": row.last_status, "created_at": row.created_at,
        "delivered_at": row.delivered_at,
    })
}
