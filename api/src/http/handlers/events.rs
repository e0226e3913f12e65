//! Replay for auditors: the merchant's events in order, as JSON pages or NDJSON, whole or as of a
//! version, a position or a time.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::ids::PaymentRequestId;
use domain::ports::{Filter, Position};
use domain::record::Recorded;
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;
use serde_json::{Value, json};

use super::super::call::{Call, text};
use super::super::problem::{self, FieldProblem, Problem};
use super::super::state::{HttpState, query};
use crate::app::error::AppError;

/// Events of one page.
const PAGE_MAX: usize = 500;
/// Events that one call looks at, matching or not.
const SCANNED_MAX: usize = 20_000;

/// `GET /v1/events?after=&limit=&type=&until=`
pub async fn read_events(
    request: HttpRequest,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let query = query(&request);
    let limit = limit(query.get("limit"))?;
    let wanted = query.get("type");
    let until = query
        .get("until")
        .map(|text| parse_time("until", text))
        .transpose()?;
    let mut after = query
        .get("after")
        .map(|text| parse_position("after", text))
        .transpose()?;
    let (mut events, mut scanned, mut done) = (vec![], 0, false);
    while events.len() < limit && scanned < SCANNED_MAX && !done {
        let page = state
            .app
            .recorder
            .store()
            .read_all(after, &Filter::all(), PAGE_MAX)
            .await;
        let page = page.map_err(|error| Problem::from(AppError::from(error)))?;
        let before = after;
        scanned += PAGE_MAX;
        after = page.next;
        done = page.next == page.head || page.next == before;
        for recorded in page.events {
            let envelope = recorded
                .envelope()
                .map_err(|error| Problem::from(AppError::bug(error)))?;
            if until.is_some_and(|until| envelope.recorded_at > until) {
                (after, done) = (Some(recorded.position), true);
                break;
            }
            let ours = envelope.merchant.as_ref() == Some(&call.caller.merchant);
            if ours && wanted.is_none_or(|wanted| *wanted == envelope.event_type) {
                events.push(recorded.clone());
            }
            if events.len() == limit {
                (after, done) = (Some(recorded.position), false);
                break;
            }
        }
    }
    answer(&request, &events, json!({ "next": after, "done": done }))
}

/// `GET /v1/streams/{stream}?from=&until_version=&limit=`
pub async fn read_stream(
    request: HttpRequest,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let not_found = || Problem::new(&problem::NOT_FOUND);
    let stream = StreamId::parse(path.into_inner()).map_err(|_| not_found())?;
    let query = query(&request);
    let number = |name: &'static str| {
        query
            .get(name)
            .map(|text| parse_version(name, text))
            .transpose()
    };
    let (from, until) = (
        number("from")?.unwrap_or(Version::FIRST),
        number("until_version")?,
    );
    let limit = limit(query.get("limit"))?;
    let read = state
        .app
        .recorder
        .store()
        .read_stream(&stream, from, limit)
        .await;
    let mut events = read.map_err(|error| Problem::from(AppError::from(error)))?;
    let first = events.first().ok_or_else(not_found)?;
    let envelope = first
        .envelope()
        .map_err(|error| Problem::from(AppError::bug(error)))?;
    if envelope.merchant.as_ref() != Some(&call.caller.merchant) {
        return Err(not_found());
    }
    let full = events.len() == limit;
    events.retain(|recorded| until.is_none_or(|until| recorded.record.version <= until));
    let next = events.last().map(|recorded| recorded.record.version.next());
    answer(&request, &events, json!({ "next": next, "done": !full }))
}

/// `GET /v1/payment-requests/{id}/trail`: who, what, when, why, from where, with the exact events.
pub async fn read_trail(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = PaymentRequestId::parse(path.into_inner())
        .map_err(|_| Problem::new(&problem::NOT_FOUND))?;
    state.app.visible_request(&call.caller, &id).await?;
    let stream = StreamId::payment_request(&id);
    let mut steps = vec![];
    let mut from = Version::FIRST;
    loop {
        let page = state
            .app
            .recorder
            .store()
            .read_stream(&stream, from, PAGE_MAX)
            .await;
        let page = page.map_err(|error| Problem::from(AppError::from(error)))?;
        let full = page.len() == PAGE_MAX;
        for recorded in page {
            let event = recorded
                .envelope()
                .map_err(|error| Problem::from(AppError::bug(error)))?;
            from = recorded.record.version.next();
            steps.push(json!({
                "what": event.event_type,
                "who": event.actor.display(),
                "authenticated_by": event.actor,
                "when": event.recorded_at,
                "occurred_at": event.occurred_at,
                "why": event.reason.as_ref().map(|reason| reason.code.to_string()),
                "command": event.cause.command,
                "follows_from": event.cause.causation_id,
                "from_where": event.source,
                "evidence": event.evidence,
                "data": event.data,
                "event_id": event.event_id,
                "version": event.stream_version,
                "leaf_hash": recorded.record.leaf_hash(),
            }));
        }
        if !full {
            return Ok(HttpResponse::Ok().json(json!({ "payment_request_id": id, "steps": steps })));
        }
    }
}

fn answer(
    request: &HttpRequest,
    events: &[Recorded],
    cursor: Value,
) -> Result<HttpResponse, Problem> {
    let accepts = text(request.headers(), "accept").unwrap_or_default();
    if accepts.contains("application/x-ndjson") {
        let mut lines = vec![];
        for recorded in events {
            lines.extend_from_slice(&recorded.record.bytes);
            lines.push(b'\n');
        }
        let mut response = HttpResponse::Ok();
        if let Some(next) = cursor["next"].as_str() {
            response.insert_header(("next", next));
        }
        return Ok(response.content_type("application/x-ndjson").body(lines));
    }
    let mut shown = Vec::with_capacity(events.len());
    for recorded in events {
        let record: Value =
            serde_json::from_slice(&recorded.record.bytes).map_err(AppError::bug)?;
        shown.push(json!({
            "position": recorded.position,
            "leaf_hash": recorded.record.leaf_hash(),
            "record": record,
        }));
    }
    Ok(HttpResponse::Ok()
        .json(json!({ "events": shown, "next": cursor["next"], "done": cursor["done"] })))
}

/// 1 to 500; 100 without.
pub(super) fn limit(text: Option<&String>) -> Result<usize, Problem> {
    let Some(text) = text else { return Ok(100) };
    match text.parse::<usize>() {
        Ok(limit) if (1..=PAGE_MAX).contains(&limit) => Ok(limit),
        Ok(_) | Err(_) => Err(parameter("limit", "must be from 1 to 500")),
    }
}

pub(super) fn parameter(name: &str, detail: &str) -> Problem {
    let errors = vec![FieldProblem {
        pointer: name.to_owned(),
        detail: detail.to_owned(),
    }];
    Problem::new(&problem::INVALID).errors(errors)
}

fn parse_position(name: &str, text: &str) -> Result<Position, Problem> {
    Position::parse(text).ok_or_else(|| parameter(name, "must be the next of an earlier page"))
}

fn parse_version(name: &str, text: &str) -> Result<Version, Problem> {
    text.parse()
        .map(Version)
        .map_err(|_| parameter(name, "must be a whole number"))
}

fn parse_time(name: &str, text: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse(text).map_err(|_| parameter(name, "must be an RFC 3339 time"))
}
