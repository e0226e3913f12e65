//! Payment requests: parse, one use-case, present.

use actix_web::http::header::{ETAG, HeaderName, HeaderValue, LOCATION};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::ids::{AccountSlug, PaymentRequestId};
use domain::money::Money;
use domain::payment::event::{NoticeKind, PrecheckVerdict};
use domain::payment::terms::CatalogueLine;
use domain::payment::{BotLabel, Label};
use domain::time::Timestamp;
use projections::ports::Cursor;
use serde_json::json;

use super::super::body;
use super::super::call::Call;
use super::super::fields::{self, Fields};
use super::super::present::{Shown, shown, shown_row};
use super::super::problem::{self, Problem};
use super::super::state::{HttpState, query};
use super::events::{limit, parameter};
use crate::app::create::{NewOrder, NewPaymentRequest, Pricing};
use crate::app::error::AppError;
use crate::app::notices::NewNotice;
use crate::app::quotes::NewQuote;
use crate::app::requests::Executed;
use crate::app::views::RequestFilter;

/// Ten years of a quote would be a mistake.
const QUOTE_LIFE_S_MAX: u32 = 30 * 24 * 3600;
/// Longest life that may be asked for; scenarios are stricter.
const REQUEST_LIFE_S_MAX: u32 = 90 * 24 * 3600;

/// `POST /v1/quotes`
pub async fn issue_quote(
    request: HttpRequest,
    mut payload: Payload,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let command = body::json(&request, &mut payload).await?;
    let new = fields::read(command.clone(), |fields| {
        let order = new_order(fields);
        let amount = fields.required("amount");
        let valid_for_s = fields
            .within("valid_for_s", 1..=QUOTE_LIFE_S_MAX)
            .unwrap_or(24 * 3600);
        let correlation_id = fields.optional("correlation_id");
        Some(NewQuote {
            order: order?,
            amount: amount?,
            valid_for_s,
            correlation_id,
        })
    })?;
    let context = call.context(&state, "", &command)?;
    let issued = state.app.issue_quote(&call.caller, &context, new).await?;
    let mut response = HttpResponse::Created();
    response.insert_header((LOCATION, format!("/v1/quotes/{}", issued.quote.id)));
    position(
        &mut response,
        issued.position.map(|p| p.to_string()),
        issued.replayed,
    );
    Ok(response.json(issued.quote))
}

/// `GET /v1/quotes/{quote_id}`
pub async fn read_quote(
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = domain::ids::QuoteId::parse(path.into_inner())
        .map_err(|_| Problem::new(&problem::NOT_FOUND))?;
    Ok(HttpResponse::Ok().json(state.app.quote(&call.caller, &id).await?))
}

/// `POST /v1/payment-requests`
pub async fn create(
    request: HttpRequest,
    mut payload: Payload,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let command = body::json(&request, &mut payload).await?;
    let new = fields::read(command.clone(), new_payment_request)?;
    let mut context = call.context(&state, "", &command)?;
    context.correlation_id = new.correlation_id.clone();
    let executed = state
        .app
        .create_payment_request(&call.caller, &context, new)
        .await?;
    let location = format!("/v1/payment-requests/{}", executed.request.terms().id);
    let mut response = HttpResponse::Created();
    response.insert_header((LOCATION, location));
    let shown = shown_to(&call, &state, &executed);
    // A bot sees nothing of other requests.
    let funds = match call.caller.own_only {
        true => vec![],
        false => state.app.unapplied_funds(&executed).await?,
    };
    head(&mut response, &executed);
    if funds.is_empty() {
        return Ok(response.json(shown));
    }
    let mut shown = serde_json::to_value(shown).map_err(AppError::bug)?;
    shown["unapplied_funds"] = json!(funds); // row E16
    Ok(response.json(shown))
}

fn new_order(fields: &mut Fields<'_>) -> Option<NewOrder> {
    let order_id = fields.required("order_id");
    let scenario = fields.required("scenario");
    let customer_ref = fields.optional("customer_ref");
    Some(NewOrder {
        order_id: order_id?,
        scenario: scenario?,
        customer_ref,
    })
}

fn new_payment_request(fields: &mut Fields<'_>) -> Option<NewPaymentRequest> {
    let ways = ["quote_id", "items", "amount"]
        .iter()
        .filter(|name| fields.has(name))
        .count();
    if ways != 1 {
        fields.complain("quote_id", "send exactly one of quote_id, items and amount");
    }
    let pricing = if fields.has("quote_id") {
        fields.required("quote_id").map(Pricing::Quote)
    } else if fields.has("items") {
        let lines: Option<Vec<CatalogueLine>> = fields.required("items");
        let order = new_order(fields);
        lines
            .zip(order)
            .map(|(lines, order)| Pricing::Items { lines, order })
    } else {
        let amount: Option<Money> = fields.optional("amount");
        let order = new_order(fields);
        amount
            .zip(order)
            .map(|(amount, order)| Pricing::Amount { amount, order })
    };
    let expires_in_s = fields.within("expires_in_s", 1..=REQUEST_LIFE_S_MAX);
    let supersede = fields.optional("supersede").unwrap_or(false);
    let correlation_id = fields.optional("correlation_id");
    Some(NewPaymentRequest {
        pricing: pricing?,
        expires_in_s,
        supersede,
        correlation_id,
    })
}

/// `GET /v1/payment-requests/{id}`: from the stream, so it is never behind.
pub async fn read(
    request: HttpRequest,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    state.wait_for(&request)?;
    let id = request_id(path)?;
    let executed = state.app.visible_request(&call.caller, &id).await?;
    Ok(answer(HttpResponse::Ok(), &call, &state, &executed))
}

/// `GET /v1/payment-requests?order_id=&status=&since=&cursor=&limit=`
pub async fn list(
    request: HttpRequest,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    if let Some(wanted) = state.wait_for(&request)?
        && !state
            .app
            .wait_for_view(&projections::views::order_status::SPEC, wanted)
            .await?
    {
        return Err(Problem::new(&problem::VIEW_BEHIND));
    }
    let query = query(&request);
    if let Some(label) = query.get("status") {
        let known = if call.caller.own_only {
            BotLabel::ALL.iter().any(|known| known.as_str() == label)
        } else {
            Label::ALL.iter().any(|known| known.as_str() == label)
        };
        if !known {
            return Err(parameter("status", "is not a status"));
        }
    }
    let since = query
        .get("since")
        .map(|text| Timestamp::parse(text))
        .transpose();
    let filter = RequestFilter {
        order_id: query.get("order_id").cloned(),
        label: query.get("status").cloned(),
        since: since.map_err(|_| parameter("since", "must be an RFC 3339 time"))?,
    };
    let limit = limit(query.get("limit"))?;
    let after = cursor(query.get("cursor"))?;
    let page = state
        .app
        .list_requests(&call.caller, &filter, after, limit)
        .await?;
    let now = state.app.recorder.now();
    let rows: Vec<_> = page
        .rows
        .iter()
        .map(|row| shown_row(&call.caller, &state.app.links, row, now))
        .collect();
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(HttpResponse::Ok().json(json!({ "payment_requests": rows, "next": next })))
}

/// `POST /v1/payment-requests/{id}/attempts`
pub async fn start_attempt(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = request_id(path)?;
    let command = body::json_or_empty(&request, &mut payload).await?;
    let account: Option<AccountSlug> =
        fields::read(command.clone(), |fields| Some(fields.optional("account")))?;
    let context = call.context(&state, id.as_str(), &command)?;
    let executed = state
        .app
        .start_attempt(&call.caller, &context, &id, account.as_ref())
        .await?;
    Ok(answer(HttpResponse::Created(), &call, &state, &executed))
}

/// `POST /v1/payment-requests/{id}/precheck`
pub async fn precheck(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = request_id(path)?;
    let command = body::json(&request, &mut payload).await?;
    let (amount, account, attempt_no) = fields::read(command.clone(), |fields| {
        let amount = fields.required("amount");
        let account = fields.optional("account");
        let attempt_no = fields.within("attempt_no", 1..=1000);
        Some((amount?, account, attempt_no))
    })?;
    let context = call.context(&state, id.as_str(), &command)?;
    let (verdict, replayed) = state
        .app
        .precheck(&call.caller, &context, &id, attempt_no, account, amount)
        .await?;
    let mut response = HttpResponse::Ok();
    position(&mut response, None, replayed);
    Ok(response.json(match verdict {
        PrecheckVerdict::Allowed {} => json!({ "allowed": true }),
        PrecheckVerdict::Refused { reason } => json!({ "allowed": false, "reason": reason }),
    }))
}

/// `POST /v1/payment-requests/{id}/cancel`
pub async fn cancel(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = request_id(path)?;
    let command = body::json_or_empty(&request, &mut payload).await?;
    fields::read(command.clone(), |_| Some(()))?;
    let context = call.context(&state, id.as_str(), &command)?;
    let executed = state.app.cancel(&call.caller, &context, &id).await?;
    Ok(answer(HttpResponse::Ok(), &call, &state, &executed))
}

/// `POST /v1/payment-requests/{id}/notices`
pub async fn record_notice(
    request: HttpRequest,
    mut payload: Payload,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = request_id(path)?;
    let command = body::json(&request, &mut payload).await?;
    let notice = fields::read(command, |fields| {
        let kind: Option<NoticeKind> = fields.required("kind");
        let text: Option<String> = fields.optional("text");
        let image: Option<String> = fields.optional("image_base64");
        NewNotice::parse(kind?, text, image)
            .map_err(|(field, why)| fields.complain(field, why))
            .ok()
    })?;
    // What a customer wrote never goes into a fingerprint.
    let context = call.context(&state, id.as_str(), &notice.outline())?;
    let executed = state
        .app
        .record_notice(&call.caller, &context, &id, notice)
        .await?;
    Ok(answer(HttpResponse::Accepted(), &call, &state, &executed))
}

pub(super) fn request_id(path: Path<String>) -> Result<PaymentRequestId, Problem> {
    PaymentRequestId::parse(path.into_inner()).map_err(|_| Problem::new(&problem::NOT_FOUND))
}

/// The request as the caller may see it, with its version and position.
pub(super) fn answer(
    mut response: actix_web::HttpResponseBuilder,
    call: &Call,
    state: &HttpState,
    executed: &Executed,
) -> HttpResponse {
    head(&mut response, executed);
    response.json(shown_to(call, state, executed))
}

fn head(response: &mut actix_web::HttpResponseBuilder, executed: &Executed) {
    response.insert_header((ETAG, format!("\"{}\"", executed.version)));
    position(
        response,
        executed.position.map(|p| p.to_string()),
        executed.replayed,
    );
}

fn shown_to(call: &Call, state: &HttpState, executed: &Executed) -> Shown {
    shown(
        &call.caller,
        &state.app.links,
        &executed.request,
        executed.version,
        state.app.recorder.now(),
    )
}

/// `Position` for reading one's own writes, and whether this is a first answer again.
pub(super) fn position(
    response: &mut actix_web::HttpResponseBuilder,
    position: Option<String>,
    replayed: bool,
) {
    if let Some(value) = position.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.insert_header((HeaderName::from_static("position"), value));
    }
    if replayed {
        response.insert_header((HeaderName::from_static("idempotent-replayed"), "true"));
    }
}

pub(super) fn cursor(text: Option<&String>) -> Result<Option<Cursor>, Problem> {
    let parse = |text: &String| {
        Cursor::parse(text).ok_or_else(|| parameter("cursor", "must be the next of a page"))
    };
    text.map(parse).transpose()
}
