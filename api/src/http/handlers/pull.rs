//! Events that a receiver fetches by itself, for systems without an address that could be called.
//!
//! A page is a CloudEvents batch: an array of the very bytes that a push sends. Where it ends, and whether
//! more follows, stands in the head of the answer. Whoever checks signatures asks for
//! `application/json` and gets each event as a push would send it: headers and body apart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::delivery::{Consumer, PullCursor};
use domain::ids::SubscriberId;
use domain::ports::Position;
use domain::time::Timestamp;
use projections::views::delivery_queue;
use serde_json::{Map, Value, json};

use super::super::body;
use super::super::call::{Call, text};
use super::super::fields;
use super::super::problem::{self, Problem};
use super::super::state::{HttpState, query};
use super::events::{limit, parameter};
use crate::app::caller::Who;
use crate::app::error::AppError;
use crate::app::pull::{Pulled, Start};
use crate::app::subscribers::signed_headers;

/// Longest wait for an event.
const WAIT_MAX_S: u64 = 30;
/// Wake-ups are hints; the queue is looked at this often in any case.
const POLL: Duration = Duration::from_millis(500);

/// `GET /v1/subscribers/{id}/events?after=&since=&limit=&wait=`
pub async fn events(
    request: HttpRequest,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = bound(&call, path)?;
    let query = query(&request);
    let wanted = Wanted {
        id,
        start: start(&query)?,
        limit: limit(query.get("limit"))?,
        wait: wait(query.get("wait"))?,
    };
    let state = state.into_inner();
    let pulled = wanted.fetch(&state, &call).await?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header(("vary", "accept"));
    answer.insert_header(("counterfoil-done", pulled.done.to_string()));
    if let Some(cursor) = &pulled.cursor {
        let (path, limit) = (request.path(), wanted.limit);
        let next = format!("<{path}?after={cursor}&limit={limit}>; rel=\"next\"");
        answer.insert_header(("counterfoil-cursor", cursor.to_string()));
        answer.insert_header(("link", next));
    }
    if wants_signatures(&request) {
        return Ok(answer.json(signed(&state, &call, &wanted.id, &pulled).await?));
    }
    let bodies: Vec<&str> = pulled.events.iter().map(|event| &*event.body).collect();
    Ok(answer
        .content_type("application/cloudevents-batch+json; charset=utf-8")
        .body(format!("[{}]", bodies.join(","))))
}

/// `POST /v1/subscribers/{id}/ack`: everything up to a cursor has arrived. There is no key: the
/// cursor says all, and saying it twice changes nothing.
pub async fn acknowledge(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = bound(&call, path)?;
    let command = body::json(&request, &mut payload).await?;
    let cursor: PullCursor = fields::read(command.clone(), |fields| fields.required("cursor"))?;
    caught_up(&state).await?;
    let context = call.context(&state, id.as_str(), &command)?;
    let consumer = match &call.caller.who {
        Who::Client(id) => Consumer::Client(id.clone()),
        Who::Operator(id) => Consumer::Operator(id.clone()),
    };
    let merchant = &call.caller.merchant;
    let done = state
        .app
        .acknowledge_events(merchant, &id, &context, &cursor, consumer);
    let done = done.await?;
    Ok(HttpResponse::Ok()
        .json(json!({ "cursor": cursor, "acknowledged": done.acknowledged, "done": done.done })))
}

/// What a call asks for.
struct Wanted {
    id: SubscriberId,
    start: Start,
    limit: usize,
    wait: Duration,
}

impl Wanted {
    /// A page with something in it; an empty one only at the end of the queue, once the wait is over.
    async fn fetch(&self, state: &Arc<HttpState>, call: &Call) -> Result<Pulled, Problem> {
        let clock = state.app.recorder.clock();
        let until = clock.monotonic() + self.wait;
        let place = format!("subscriber:{}", self.id);
        let _place = (!self.wait.is_zero())
            .then(|| state.waiting_place(&call.caller.who, &place))
            .transpose()?;
        let mut start = self.start.clone();
        loop {
            let head = caught_up(state).await?;
            let merchant = &call.caller.merchant;
            let page = state
                .app
                .pull_events(merchant, &self.id, &start, self.limit);
            let page = page.await?;
            if let (true, false, Some(cursor)) = (page.events.is_empty(), page.done, &page.cursor) {
                start = Start::After(cursor.clone());
                continue;
            }
            let left = until.saturating_sub(clock.monotonic());
            if !page.events.is_empty() || left.is_zero() {
                return Ok(page);
            }
            tokio::select! {
                biased;
                () = state.app.recorder.store().wake_up(head) => {}
                () = clock.sleep(POLL.min(left)) => {}
            }
            // Who was sent away, or to another queue, while they waited is told nothing more.
            let now = state.directory.still(&call.caller);
            if now.and_then(|caller| caller.subscriber).as_ref() != Some(&self.id) {
                return Ok(page);
            }
        }
    }
}

/// Waits until the queue has taken in what is in the log now: a queue that is being filled would show as
/// open what has ended. Gives the end of the log.
async fn caught_up(state: &HttpState) -> Result<Option<Position>, Problem> {
    let store = state.app.recorder.store();
    let head = store.head().await.map_err(AppError::from)?;
    if let Some(head) = head
        && !state.app.wait_for_view(&delivery_queue::SPEC, head).await?
    {
        return Err(Problem::new(&problem::VIEW_BEHIND));
    }
    Ok(head)
}

/// The subscriber of the path, for the client that is bound to it; for others it does not exist.
fn bound(call: &Call, path: Path<String>) -> Result<SubscriberId, Problem> {
    SubscriberId::parse(path.into_inner())
        .ok()
        .filter(|id| call.caller.subscriber.as_ref() == Some(id))
        .ok_or_else(|| Problem::new(&problem::NOT_FOUND))
}

fn start(query: &BTreeMap<String, String>) -> Result<Start, Problem> {
    match (query.get("after"), query.get("since")) {
        (None, None) => Ok(Start::Open),
        (Some(after), None) => PullCursor::parse(after)
            .map(Start::After)
            .ok_or_else(|| parameter("after", "must be the cursor of an earlier answer")),
        (None, Some(since)) => Timestamp::parse(since)
            .map(Start::Since)
            .map_err(|_| parameter("since", "must be an RFC 3339 time")),
        (Some(_), Some(_)) => Err(parameter(
            "since",
            "must be left out, since `after` is there",
        )),
    }
}

fn wait(text: Option<&String>) -> Result<Duration, Problem> {
    let Some(text) = text else {
        return Ok(Duration::ZERO);
    };
    match text.parse::<u64>() {
        Ok(seconds) if seconds <= WAIT_MAX_S => Ok(Duration::from_secs(seconds)),
        Ok(_) | Err(_) => Err(parameter("wait", "must be from 0 to 30 seconds")),
    }
}

/// Plain JSON and no batch is what a caller asks for who wants the signatures.
fn wants_signatures(request: &HttpRequest) -> bool {
    let accepts = text(request.headers(), "accept").unwrap_or_default();
    let mut media = accepts
        .split(',')
        .map(|one| one.split(';').next().unwrap_or_default().trim());
    let batch = "application/cloudevents-batch+json";
    !media.clone().any(|one| one.eq_ignore_ascii_case(batch))
        && media.any(|one| one.eq_ignore_ascii_case("application/json"))
}

/// Each event as a push would send it now: its signature is of this moment, so that receivers may hold
/// it against their clock.
async fn signed(
    state: &HttpState,
    call: &Call,
    id: &SubscriberId,
    pulled: &Pulled,
) -> Result<Value, Problem> {
    let app = &state.app;
    let subscriber = app.subscriber(&call.caller.merchant, id).await?;
    let keys = app.live_keys(&subscriber).await?;
    if keys.is_empty() {
        let why = "nothing signs for this subscriber; make a signing key";
        return Err(Problem::new(&problem::STATE_CONFLICT).detail(why));
    }
    let now = app.recorder.now();
    let events = pulled.events.iter().map(|event| {
        let headers = signed_headers(&keys, &event.delivery, &event.body, now);
        let headers = headers.map(|(name, value)| (name.to_owned(), Value::String(value)));
        json!({
            "delivery_id": event.delivery, "headers": Map::from_iter(headers), "body": event.body,
        })
    });
    Ok(json!({
        "iterator": pulled.cursor, "done": pulled.done, "events": events.collect::<Vec<_>>(),
    }))
}
