//! Exceptions: the review list, one case in full, and what people do with it.

use std::collections::BTreeMap;

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::ids::{CaseId, OperatorId, OrderId, PaymentRequestId, ReasonCode};
use domain::time::Timestamp;
use projections::views::exceptions::{CaseState, SPEC};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::body;
use super::super::call::Call;
use super::super::fields::{self, Fields};
use super::super::problem::{self, Problem};
use super::super::state::{HttpState, query};
use super::events::{limit, parameter};
use super::requests::{cursor, position};
use crate::app::case_decisions::{Decided, How, WORDS_MAX};
use crate::app::cases::{CaseFilter, listed};

/// `GET /v1/exceptions`: the most urgent first.
pub async fn list(
    request: HttpRequest,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    if let Some(wanted) = state.wait_for(&request)?
        && !state.app.wait_for_view(&SPEC, wanted).await?
    {
        return Err(Problem::new(&problem::VIEW_BEHIND));
    }
    let query = query(&request);
    let filter = filter(&query)?;
    let after = cursor(query.get("cursor"))?;
    let limit = limit(query.get("limit"))?;
    let merchant = &call.caller.merchant;
    let page = state
        .app
        .list_cases(merchant, &filter, after, limit)
        .await?;
    let now = state.app.recorder.now();
    let rows: Vec<Value> = page.rows.iter().map(|case| listed(case, now)).collect();
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(HttpResponse::Ok().json(json!({ "exceptions": rows, "next": next })))
}

fn filter(query: &BTreeMap<String, String>) -> Result<CaseFilter, Problem> {
    let state = one(query, "state", "must be open or resolved")?.unwrap_or(CaseState::Open);
    let assignee = match query.get("assignee").map(String::as_str) {
        None => None,
        Some("-") => Some(None),
        Some(person) => {
            Some(Some(OperatorId::parse(person).map_err(|_| {
                parameter("assignee", "must be a person, or - for nobody")
            })?))
        }
    };
    let whole = |text: &String| {
        text.parse()
            .map_err(|_| parameter("older_than_s", "must be seconds"))
    };
    let time = |text: &String| {
        Timestamp::parse(text).map_err(|_| parameter("due_before", "must be an RFC 3339 time"))
    };
    Ok(CaseFilter {
        kinds: several(query, "kind", "is not a kind of exceptions")?,
        severities: several(query, "severity", "must be critical, high, medium or low")?,
        older_than_s: query.get("older_than_s").map(whole).transpose()?,
        due_before: query.get("due_before").map(time).transpose()?,
        overdue: one(query, "overdue", "must be true or false")?.unwrap_or(false),
        assignee,
        request: one::<PaymentRequestId>(query, "payment_request_id", "is not a payment request")?,
        order: one::<OrderId>(query, "order_id", "is not an order number")?,
        ..CaseFilter::of(state)
    })
}

/// A parameter by the name that it has on every wire.
fn parse<T: DeserializeOwned>(name: &str, text: &str, rule: &str) -> Result<T, Problem> {
    let value = match text {
        "true" => json!(true),
        "false" => json!(false),
        other => json!(other),
    };
    serde_json::from_value(value).map_err(|_| parameter(name, rule))
}

fn one<T: DeserializeOwned>(
    query: &BTreeMap<String, String>,
    name: &str,
    rule: &str,
) -> Result<Option<T>, Problem> {
    let text = query.get(name);
    text.map(|text| parse(name, text, rule)).transpose()
}

/// Several, with commas between them.
fn several<T: DeserializeOwned>(
    query: &BTreeMap<String, String>,
    name: &str,
    rule: &str,
) -> Result<Vec<T>, Problem> {
    let texts = query.get(name).into_iter().flat_map(|text| text.split(','));
    texts.map(|text| parse(name, text, rule)).collect()
}

/// `GET /v1/exceptions/{id}`: from the stream, so it is never behind.
pub async fn read(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let detail = state
        .app
        .case(&call.caller.merchant, &case_id(path)?)
        .await?;
    Ok(HttpResponse::Ok().json(detail))
}

/// `POST /v1/exceptions/{id}/assign`
pub async fn assign(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = case_id(path)?;
    let body = body::json(&request, &mut payload).await?;
    let (to, code, text) = fields::read(body, |fields| {
        if !fields.has("to") {
            fields.complain("to", "is needed: a person, or null for nobody");
        }
        let to: Option<OperatorId> = fields.optional("to");
        let code: Option<ReasonCode> = fields.optional("reason");
        let text = words(fields, false);
        if text.is_some() && code.is_none() {
            fields.complain("reason", "is needed beside text");
        }
        Some((to, code, text))
    })?;
    // Words of a person never go into a fingerprint.
    let content = json!({ "to": to, "reason": code });
    let context = call.context(&state, id.as_str(), &content)?;
    let why = code.map(|code| (code, text));
    let merchant = &call.caller.merchant;
    let decided = state
        .app
        .assign_case(merchant, &context, &id, to, why)
        .await?;
    Ok(answer(&decided, &id))
}

/// `POST /v1/exceptions/{id}/resolve`
pub async fn resolve(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = case_id(path)?;
    let body = body::json(&request, &mut payload).await?;
    let (how, code, text) = fields::read(body, |fields| {
        let how = how(fields);
        let code: Option<ReasonCode> = fields.required("reason");
        let text = words(fields, true);
        Some((how?, code?, text?))
    })?;
    let content = json!({ "how": how, "reason": code });
    let context = call.context(&state, id.as_str(), &content)?;
    let (merchant, why) = (&call.caller.merchant, (code, Some(text)));
    let decided = state
        .app
        .resolve_case(merchant, &context, &id, how, why)
        .await?;
    Ok(answer(&decided, &id))
}

/// Each way has fields of its own; another way's are unknown to it.
fn how(fields: &mut Fields<'_>) -> Option<How> {
    let resolution: String = fields.required("resolution")?;
    match resolution.as_str() {
        "accept" => {
            let with = fields.optional("with").unwrap_or_default();
            Some(How::Accept { with })
        }
        "refund" => Some(How::Refund),
        "reassign" => Some(How::Reassign {
            to: fields.required("to")?,
        }),
        "keep_as_income" => Some(How::KeepAsIncome),
        "given_back" => Some(How::GivenBack),
        "dismiss" => Some(How::Dismiss),
        "refund_answer" => {
            let settled = fields.required("settled");
            let reversal = fields.optional("reversal");
            Some(How::RefundAnswer {
                settled: settled?,
                reversal,
            })
        }
        _ => {
            fields.complain(
                "resolution",
                "must be accept, refund, reassign, keep_as_income, given_back, dismiss or refund_answer",
            );
            None
        }
    }
}

/// What a person says about their decision.
pub(super) fn words(fields: &mut Fields<'_>, needed: bool) -> Option<String> {
    let text: Option<String> = if needed {
        fields.required("text")
    } else {
        fields.optional("text")
    };
    let text = text?;
    if text.trim().is_empty() || text.chars().count() > WORDS_MAX {
        fields.complain("text", "must be 1 to 2,000 characters");
        return None;
    }
    Some(text)
}

fn case_id(path: Path<String>) -> Result<CaseId, Problem> {
    CaseId::parse(path.into_inner()).map_err(|_| Problem::new(&problem::NOT_FOUND))
}

fn answer(decided: &Decided, id: &CaseId) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    let at = decided.position().map(|position| position.to_string());
    position(&mut response, at, decided.replayed());
    response.json(decided.shown(id))
}
