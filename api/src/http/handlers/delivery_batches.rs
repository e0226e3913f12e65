//! Batches: many failed deliveries redriven or abandoned in one go, and how far that is.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::ids::{BatchId, ReasonCode, SubscriberId};
use domain::subscriber::{BatchOrder, FailedFilter, PER_SECOND_MAX};
use serde_json::{Value, json};

use super::super::body;
use super::super::call::Call;
use super::super::fields;
use super::super::problem::{self, Problem};
use super::super::state::{HttpState, query};
use super::deliveries;
use super::events::{limit, parameter};
use super::requests::cursor;
use crate::app::deliveries::{BATCH_PER_SECOND, NewBatch, shown_batch};

/// `POST /v1/deliveries/redrive`
pub async fn redrive(
    request: HttpRequest,
    payload: Payload,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    start(request, payload, call, state, BatchOrder::Redrive).await
}

/// `POST /v1/deliveries/abandon`
pub async fn abandon(
    request: HttpRequest,
    payload: Payload,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    start(request, payload, call, state, BatchOrder::Abandon).await
}

/// What a command to start one says.
struct Asked {
    new: NewBatch,
    dry_run: bool,
    reason: Option<ReasonCode>,
    text: Option<String>,
}

async fn start(
    request: HttpRequest,
    mut payload: Payload,
    call: Call,
    state: Data<HttpState>,
    order: BatchOrder,
) -> Result<HttpResponse, Problem> {
    let command = body::json(&request, &mut payload).await?;
    let asked = fields::read(command, |fields| {
        let subscriber: Option<SubscriberId> = fields.required("subscriber");
        let which: FailedFilter = fields.optional("which").unwrap_or_default();
        if which.is_empty() {
            fields.complain("which", "`until` must be after `since`");
        }
        let per_second = fields.within("per_second", 1..=PER_SECOND_MAX);
        let dry_run: bool = fields.optional("dry_run").unwrap_or_default();
        // What changes nothing needs no reason.
        let reason = if dry_run {
            fields.optional("reason")
        } else {
            fields.required("reason")
        };
        let text: Option<String> = fields.optional("text");
        let new = NewBatch {
            subscriber: subscriber?,
            order,
            which,
            per_second: per_second.unwrap_or(BATCH_PER_SECOND),
        };
        Some(Asked {
            new,
            dry_run,
            reason,
            text,
        })
    })?;
    let merchant = &call.caller.merchant;
    let (Some(reason), false) = (asked.reason, asked.dry_run) else {
        let found = state.app.dry_run(merchant, &asked.new).await?;
        let sample: Vec<Value> = found.sample.iter().map(deliveries::shown).collect();
        return Ok(HttpResponse::Ok().json(json!({
            "dry_run": true, "subscriber": asked.new.subscriber, "order": order, "which": asked.new.which,
            "total": found.total, "elsewhere": found.elsewhere, "sample": sample,
        })));
    };
    // Words of a person never go into a fingerprint.
    let told = json!({
        "which": asked.new.which, "per_second": asked.new.per_second, "reason": reason,
    });
    let context = call.context(&state, asked.new.subscriber.as_str(), &told)?;
    let subscriber = asked.new.subscriber.clone();
    let started = state
        .app
        .start_batch(merchant, &context, asked.new, (reason, asked.text));
    let (id, row) = started.await?;
    let shown = match &row {
        Some(row) => shown_batch(row),
        None => json!({ "id": id, "subscriber": subscriber, "order": order, "state": "running" }),
    };
    Ok(HttpResponse::Accepted()
        .insert_header(("location", format!("/v1/delivery-batches/{id}")))
        .json(shown))
}

/// `GET /v1/delivery-batches?subscriber=&cursor=&limit=`
pub async fn list(
    request: HttpRequest,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let query = query(&request);
    let named = query.get("subscriber").map(|name| {
        SubscriberId::parse(name.as_str())
            .map_err(|error| parameter("subscriber", &error.to_string()))
    });
    let (after, limit) = (cursor(query.get("cursor"))?, limit(query.get("limit"))?);
    let (merchant, named) = (&call.caller.merchant, named.transpose()?);
    let page = state
        .app
        .list_batches(merchant, named.as_ref(), after, limit);
    let page = page.await?;
    let rows: Vec<Value> = page.rows.iter().map(shown_batch).collect();
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(HttpResponse::Ok().json(json!({ "delivery_batches": rows, "next": next })))
}

/// `GET /v1/delivery-batches/{id}`
pub async fn read(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let batch = state.app.batch(&call.caller.merchant, &id(path)?).await?;
    Ok(HttpResponse::Ok().json(shown_batch(&batch)))
}

/// `POST /v1/delivery-batches/{id}/cancel`
pub async fn cancel(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = id(path)?;
    let body = body::json(&request, &mut payload).await?;
    let (code, text): (ReasonCode, Option<String>) = fields::read(body, |fields| {
        let code = fields.required("reason");
        let text: Option<String> = fields.optional("text");
        Some((code?, text))
    })?;
    let context = call.context(&state, id.as_str(), &json!({ "reason": code }))?;
    let cancelled = state
        .app
        .cancel_batch(&call.caller.merchant, &id, &context, (code, text));
    Ok(HttpResponse::Ok().json(shown_batch(&cancelled.await?)))
}

fn id(path: Path<String>) -> Result<BatchId, Problem> {
    BatchId::parse(path.into_inner()).map_err(|_| Problem::new(&problem::NOT_FOUND))
}
