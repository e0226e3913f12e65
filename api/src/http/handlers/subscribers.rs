//! Subscribers: parse, one use-case call, present.

use std::collections::BTreeSet;

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::ids::SubscriberId;
use domain::subscriber::{Command, PausedWhy, Subscriber};
use serde_json::{Value, json};

use super::super::body;
use super::super::call::Call;
use super::super::fields;
use super::super::problem::{self, Problem};
use super::super::state::HttpState;
use crate::app::subscribers::NewSubscriber;

/// `POST /v1/subscribers`: the signing secret stands in this one answer.
pub async fn add(
    request: HttpRequest,
    mut payload: Payload,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let command = body::json(&request, &mut payload).await?;
    let new = fields::read(command.clone(), |fields| {
        let id = fields.required("id");
        let url = fields.required("url");
        let opt_in: BTreeSet<String> = fields.optional("opt_in").unwrap_or_default();
        let new = NewSubscriber {
            id: id?,
            url: url?,
            opt_in,
        };
        for (field, what) in new.mistakes() {
            fields.complain(field, &what);
        }
        Some(new)
    })?;
    let context = call.context(&state, "", &command)?;
    let (subscriber, secret) = state
        .app
        .add_subscriber(&call.caller.merchant, &context, new)
        .await?;
    let mut shown = shown(&subscriber);
    shown["signing_secret"] = json!(secret);
    let location = format!("/v1/subscribers/{}", subscriber.id);
    Ok(HttpResponse::Created()
        .insert_header(("location", location))
        .json(shown))
}

/// `GET /v1/subscribers`
pub async fn list(call: Call, state: Data<HttpState>) -> Result<HttpResponse, Problem> {
    let subscribers = state
        .app
        .list_subscribers(Some(&call.caller.merchant))
        .await?;
    let rows: Vec<Value> = subscribers.iter().map(shown).collect();
    Ok(HttpResponse::Ok().json(json!({ "subscribers": rows })))
}

/// `GET /v1/subscribers/{id}`
pub async fn read(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let subscriber = state
        .app
        .subscriber(&call.caller.merchant, &id(path)?)
        .await?;
    Ok(HttpResponse::Ok().json(shown(&subscriber)))
}

/// `POST /v1/subscribers/{id}/test`
pub async fn test(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let subscriber = order(path, &call, &state, &Command::Test).await?;
    Ok(HttpResponse::Accepted().json(shown(&subscriber)))
}

/// `POST /v1/subscribers/{id}/pause`
pub async fn pause(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let subscriber = order(path, &call, &state, &Command::Pause(PausedWhy::Operator)).await?;
    Ok(HttpResponse::Ok().json(shown(&subscriber)))
}

/// `POST /v1/subscribers/{id}/resume`
pub async fn resume(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let subscriber = order(path, &call, &state, &Command::Resume).await?;
    Ok(HttpResponse::Ok().json(shown(&subscriber)))
}

async fn order(
    path: Path<String>,
    call: &Call,
    state: &HttpState,
    command: &Command,
) -> Result<Subscriber, Problem> {
    let id = id(path)?;
    let context = call.context(state, id.as_str(), &Value::Null)?;
    Ok(state
        .app
        .command_subscriber(&call.caller.merchant, &id, &context, command)
        .await?)
}

fn id(path: Path<String>) -> Result<SubscriberId, Problem> {
    SubscriberId::parse(path.into_inner()).map_err(|_| Problem::new(&problem::NOT_FOUND))
}

fn shown(subscriber: &Subscriber) -> Value {
    json!({
        "id": subscriber.id, "url": subscriber.url, "opt_in": subscriber.opt_in, "keys": subscriber.keys,
        "state": if subscriber.paused.is_some() { "paused" } else { "active" }, "paused": subscriber.paused,
    })
}
