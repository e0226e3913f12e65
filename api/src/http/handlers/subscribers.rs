//! Subscribers: parse, one use-case call, present.

use std::collections::BTreeSet;
use std::time::Duration;

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::ids::{ScenarioId, SubscriberId};
use domain::subscriber::{Backfill, Command, DeliveryPolicy, PausedWhy, Subscriber, Wants};
use serde_json::{Value, json};

use super::super::body;
use super::super::call::Call;
use super::super::fields::{self, Fields};
use super::super::problem::{self, Problem};
use super::super::state::HttpState;
use crate::app::subscribers::{
    Destination, NewKey, NewSubscriber, OVERLAP, OVERLAP_MAX, SubscriberChange, shown,
};

/// `POST /v1/subscribers`: the signing secret stands in this one answer.
pub async fn add(
    request: HttpRequest,
    mut payload: Payload,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let command = body::json(&request, &mut payload).await?;
    let now = state.app.recorder.now();
    let new = fields::read(command.clone(), |fields| {
        let id = fields.required("id");
        let (change, from) = (terms(fields, true), fields.optional("start_from"));
        let history = from.map(|from| Backfill {
            from,
            to: now,
            subjects: BTreeSet::new(),
        });
        let usual = Wants::default();
        let new = NewSubscriber {
            id: id?,
            to: change.to?,
            wants: Wants {
                events: change.events.unwrap_or(usual.events),
                scenarios: change.scenarios.flatten(),
            },
            policy: change.policy.applied_to(DeliveryPolicy::default()),
            headers: change.headers.unwrap_or_default(),
            history,
        };
        for (field, what) in new.mistakes(&*state.app.destinations) {
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

/// What may be said of a new subscriber and of a change alike.
fn terms(fields: &mut Fields<'_>, new: bool) -> SubscriberChange {
    let scenarios = fields.has("scenarios");
    let named: Option<BTreeSet<ScenarioId>> = fields.optional("scenarios");
    SubscriberChange {
        to: destination(fields, new),
        events: fields.optional("events"),
        scenarios: scenarios.then_some(named),
        policy: fields.optional("policy").unwrap_or_default(),
        headers: fields.optional("headers"),
    }
}

/// `url` where events are sent, or `"delivery": "pull"` where they are only fetched: a URL that was
/// forgotten must not make a queue that nobody empties.
fn destination(fields: &mut Fields<'_>, new: bool) -> Option<Destination> {
    let delivery: Option<String> = fields.optional("delivery");
    let url: Option<String> = fields.optional("url");
    let (field, what) = match (delivery.as_deref(), url) {
        (None | Some("push"), Some(url)) => return Some(Destination::Push(url)),
        (Some("pull"), None) => return Some(Destination::Pull),
        (None, None) if new => ("url", "is needed, unless `delivery` is pull"),
        (None, None) => return None,
        (Some("pull"), Some(_)) => ("url", "must be left out, since `delivery` is pull"),
        (Some("push"), None) => ("url", "is needed"),
        (Some(_), _) => ("delivery", "must be push or pull"),
    };
    fields.complain(field, what);
    None
}

/// `PATCH /v1/subscribers/{id}`: what is not named stays; `"scenarios": null` is all of them.
pub async fn change(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = id(path)?;
    let command = body::json(&request, &mut payload).await?;
    let change = fields::read(command.clone(), |fields| {
        let change = terms(fields, false);
        for (field, what) in change.mistakes(&*state.app.destinations) {
            fields.complain(field, &what);
        }
        Some(change)
    })?;
    let context = call.context(&state, id.as_str(), &command)?;
    let changed = state
        .app
        .change_subscriber(&call.caller.merchant, &id, &context, &change);
    Ok(HttpResponse::Ok().json(shown(&changed.await?)))
}

/// `DELETE /v1/subscribers/{id}`: it is gone for good, and its name stays taken.
pub async fn remove(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let subscriber = order(path, &call, &state, Command::Remove).await?;
    Ok(HttpResponse::Ok().json(shown(&subscriber)))
}

/// `POST /v1/subscribers/{id}/keys`: a secret stands in this one answer.
pub async fn add_key(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = id(path)?;
    let command = body::json(&request, &mut payload).await?;
    let (new, overlap) = fields::read(command.clone(), |fields| {
        let scheme: Option<String> = fields.optional("scheme");
        let overlap = fields.within("overlap_s", 0..=seconds(OVERLAP_MAX));
        let new = match scheme.as_deref() {
            None | Some("v1") => NewKey::V1,
            Some("v1a") => NewKey::V1a,
            Some(_) => {
                fields.complain("scheme", "must be v1 or v1a");
                return None;
            }
        };
        Some((new, overlap.unwrap_or(seconds(OVERLAP))))
    })?;
    let context = call.context(&state, id.as_str(), &command)?;
    let overlap = Duration::from_secs(overlap.into());
    let added = state
        .app
        .add_signing_key(&call.caller.merchant, &id, &context, new, overlap);
    let (subscriber, key) = added.await?;
    let mut shown = shown(&subscriber);
    match new {
        NewKey::V1 => shown["signing_secret"] = json!(key),
        NewKey::V1a => shown["public_key"] = json!(key),
    }
    Ok(HttpResponse::Created().json(shown))
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// `POST /v1/subscribers/{id}/backfills`: what happened before is queued, as far as it was not.
pub async fn backfill(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = id(path)?;
    let command = body::json(&request, &mut payload).await?;
    let now = state.app.recorder.now();
    let (wanted, reason) = fields::read(command.clone(), |fields| {
        let from = fields.required("from");
        let to = fields.optional("to").unwrap_or(now);
        let subjects = fields.optional("subjects").unwrap_or_default();
        let (code, text) = (fields.required("reason"), fields.optional("text"));
        let from = from?;
        let wanted = Backfill { from, to, subjects };
        Some((wanted, (code?, text)))
    })?;
    // Words of a person never go into a fingerprint.
    let told = json!({ "from": wanted.from, "to": command.get("to"), "subjects": wanted.subjects });
    let context = call.context(&state, id.as_str(), &told)?;
    let asked = state
        .app
        .backfill(&call.caller.merchant, &id, &context, wanted, reason);
    Ok(HttpResponse::Accepted().json(shown(&asked.await?)))
}

/// `GET /.well-known/webhook-keys.json`: the public keys that sign, and until when.
pub async fn public_keys(state: Data<HttpState>) -> Result<HttpResponse, Problem> {
    let keys: Vec<Value> = state
        .app
        .public_keys()
        .await?
        .into_iter()
        .map(|(key_id, public_key, valid_until)| {
            json!({ "id": key_id, "scheme": "v1a", "public_key": public_key, "valid_until": valid_until })
        })
        .collect();
    Ok(HttpResponse::Ok()
        .insert_header(("cache-control", "public, max-age=300"))
        .json(json!({ "keys": keys })))
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
    let app = &state.app;
    let subscriber = app.subscriber(&call.caller.merchant, &id(path)?).await?;
    Ok(HttpResponse::Ok().json(app.shown_with_queue(&subscriber).await?))
}

/// `POST /v1/subscribers/{id}/test`
pub async fn test(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let subscriber = order(path, &call, &state, Command::Test).await?;
    Ok(HttpResponse::Accepted().json(shown(&subscriber)))
}

/// `POST /v1/subscribers/{id}/pause`
pub async fn pause(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let subscriber = order(path, &call, &state, Command::Pause(PausedWhy::Operator)).await?;
    Ok(HttpResponse::Ok().json(shown(&subscriber)))
}

/// `POST /v1/subscribers/{id}/resume`
pub async fn resume(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let subscriber = order(path, &call, &state, Command::Resume).await?;
    Ok(HttpResponse::Ok().json(shown(&subscriber)))
}

async fn order(
    path: Path<String>,
    call: &Call,
    state: &HttpState,
    command: Command,
) -> Result<Subscriber, Problem> {
    let id = id(path)?;
    let context = call.context(state, id.as_str(), &Value::Null)?;
    Ok(state
        .app
        .command_subscriber(&call.caller.merchant, &id, &context, &[command])
        .await?)
}

fn id(path: Path<String>) -> Result<SubscriberId, Problem> {
    SubscriberId::parse(path.into_inner()).map_err(|_| Problem::new(&problem::NOT_FOUND))
}
