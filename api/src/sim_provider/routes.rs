//! The bank's HTTP: the API for merchants (bearer key) and the page for payers (no key, an id that
//! cannot be guessed).

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Form, Json, JsonConfig, Path, PayloadConfig, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use domain::ids::ProviderRef;
use domain::money::{Currency, MinorText, Money};
use maud::Markup;
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq as _;

use crate::http::csp;

use super::bank::{BankRefusal, NewOrder, Order, SESSION_MAX};
use super::happening::What;
use super::page;
use super::refunds;
use super::script::{Answering, Choice, Script};
use super::teller::Teller;

/// Nothing that is sent here is longer.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Longest description.
const DESCRIPTION_MAX: usize = 500;

/// What the routes share.
pub(super) struct State {
    pub(super) teller: Arc<Teller>,
    pub(super) api_key: String,
    /// Where payers reach the bank.
    pub(super) public_url: String,
}

/// All routes.
pub(super) fn configure(config: &mut ServiceConfig) {
    let json = JsonConfig::default()
        .limit(BODY_BYTES_MAX)
        .error_handler(|error, _| {
            let answer = refusal(
                HttpResponse::BadRequest(),
                "bad_json",
                "the body is not the JSON that is wanted",
            );
            actix_web::error::InternalError::from_response(error, answer).into()
        });
    config
        .app_data(json)
        .app_data(PayloadConfig::new(BODY_BYTES_MAX))
        .route(
            "/health",
            web::get().to(async || HttpResponse::Ok().json(json!({"status": "ok"}))),
        )
        .route("/orders", web::post().to(register))
        .route("/orders", web::get().to(list))
        .route("/orders/{name}", web::get().to(look_up))
        .route("/orders/{name}/cancel", web::post().to(cancel))
        .route("/orders/{name}/script", web::put().to(set_order_script))
        .route("/refunds", web::post().to(refunds::give_back))
        .route("/refunds/{refund}", web::get().to(refunds::look_up))
        .route("/script", web::get().to(script))
        .route("/script", web::put().to(set_script))
        .route("/pay/{name}", web::get().to(show))
        .route("/pay/{name}", web::post().to(choose));
}

/// Body of a registration. `amount` is minor units as text or a whole number.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    our_reference: ProviderRef,
    amount: MinorText,
    currency: Currency,
    #[serde(default)]
    description: String,
    session_s: u64,
    /// Where the payer goes back to; http or https.
    #[serde(default)]
    return_url: Option<String>,
    #[serde(default)]
    script: Option<String>,
}

async fn register(request: HttpRequest, state: Data<State>, body: Json<Register>) -> HttpResponse {
    if !authentic(&request, &state) {
        return unauthorized();
    }
    let body = body.into_inner();
    let script = match body.script.as_deref().map(str::parse::<Script>) {
        None => state.teller.default_script(),
        Some(Ok(script)) => script,
        Some(Err(error)) => return unprocessable("bad_script", &error.to_string()),
    };
    let Ok(amount) = Money::new(body.amount.0, body.currency) else {
        return unprocessable("bad_amount", "the amount must be above zero");
    };
    if let Err(error) = script.fits(amount) {
        return unprocessable("bad_script", &error.to_string());
    }
    let session = Duration::from_secs(body.session_s);
    if session.is_zero() || session > SESSION_MAX {
        return unprocessable("bad_session", "session_s must be from 1 to 86400");
    }
    if body.description.chars().count() > DESCRIPTION_MAX {
        return unprocessable(
            "bad_description",
            "the description must have at most 500 characters",
        );
    }
    let web = |text: &String| {
        url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
    };
    if !body.return_url.as_ref().is_none_or(web) {
        return unprocessable("bad_return_url", "return_url must be an http or https URL");
    }
    let (slow, answering) = (script.slow, script.register);
    state.teller.clock.sleep(slow).await;
    if answering == Answering::Down {
        return down();
    }
    let new = NewOrder {
        our_reference: body.our_reference,
        amount,
        description: body.description,
        return_url: body.return_url,
        session,
        script,
    };
    let (order, made) = match state.teller.register(new) {
        Ok(registered) => registered,
        Err(refused) => return refused_by(refused),
    };
    match answering {
        Answering::Lost => lost(),
        Answering::Slow(length) => {
            state.teller.clock.sleep(length).await;
            registered(&state, &order, made)
        }
        Answering::Well | Answering::Down => registered(&state, &order, made),
    }
}

fn registered(state: &State, order: &Order, made: bool) -> HttpResponse {
    let mut answer = if made {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    answer.json(json!({
        "order": order.id,
        "our_reference": order.our_reference,
        "pay_url": format!("{}/pay/{}", state.public_url, order.id),
        "session_expires_at": order.expires_at,
    }))
}

async fn list(request: HttpRequest, state: Data<State>) -> HttpResponse {
    if !authentic(&request, &state) {
        return unauthorized();
    }
    let orders: Vec<_> = state
        .teller
        .orders()
        .iter()
        .map(|order| view(&state, order))
        .collect();
    HttpResponse::Ok().json(json!({ "orders": orders }))
}

async fn look_up(request: HttpRequest, state: Data<State>, name: Path<String>) -> HttpResponse {
    if !authentic(&request, &state) {
        return unauthorized();
    }
    let Some(order) = state.teller.order(&name) else {
        return refused_by(BankRefusal::Unknown);
    };
    state.teller.happened(&order, What::LookedUp);
    state.teller.clock.sleep(order.script.slow).await;
    match order.script.look_up {
        Answering::Down => return down(),
        Answering::Lost => return lost(),
        Answering::Slow(length) => state.teller.clock.sleep(length).await,
        Answering::Well => {}
    }
    // Read again: it may have been paid while the answer took its time.
    match state.teller.order(&name) {
        Some(order) => HttpResponse::Ok().json(view(&state, &order)),
        None => refused_by(BankRefusal::Unknown),
    }
}

fn view(state: &State, order: &Order) -> serde_json::Value {
    json!({
        "order": order.id,
        "our_reference": order.our_reference,
        "session_expires_at": order.expires_at,
        "statements": state.teller.statements(order),
    })
}

async fn cancel(request: HttpRequest, state: Data<State>, name: Path<String>) -> HttpResponse {
    if !authentic(&request, &state) {
        return unauthorized();
    }
    if let Some(order) = state.teller.order(&name) {
        state.teller.clock.sleep(order.script.slow).await;
    }
    match state.teller.cancel(&name) {
        Ok(order) => HttpResponse::Ok().json(view(&state, &order)),
        Err(refused) => refused_by(refused),
    }
}

async fn script(request: HttpRequest, state: Data<State>) -> HttpResponse {
    if !authentic(&request, &state) {
        return unauthorized();
    }
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body(state.teller.default_script().to_string())
}

/// The body is the script itself, as text.
async fn set_script(request: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    if !authentic(&request, &state) {
        return unauthorized();
    }
    match script_of(&body) {
        Ok(script) => {
            let told = script.to_string();
            state.teller.set_default_script(script);
            HttpResponse::Ok()
                .content_type("text/plain; charset=utf-8")
                .body(told)
        }
        Err(why) => unprocessable("bad_script", &why),
    }
}

async fn set_order_script(
    request: HttpRequest,
    state: Data<State>,
    name: Path<String>,
    body: Bytes,
) -> HttpResponse {
    if !authentic(&request, &state) {
        return unauthorized();
    }
    let script = match script_of(&body) {
        Ok(script) => script,
        Err(why) => return unprocessable("bad_script", &why),
    };
    let Some(order) = state.teller.order(&name) else {
        return refused_by(BankRefusal::Unknown);
    };
    if let Err(error) = script.fits(order.amount) {
        return unprocessable("bad_script", &error.to_string());
    }
    match state.teller.set_script(&name, script) {
        Ok(order) => HttpResponse::Ok()
            .content_type("text/plain; charset=utf-8")
            .body(order.script.to_string()),
        Err(refused) => refused_by(refused),
    }
}

/// The script of a body, or what is wrong with it.
fn script_of(body: &[u8]) -> Result<Script, String> {
    let text = std::str::from_utf8(body).map_err(|_| "a script is text".to_owned())?;
    text.parse::<Script>().map_err(|error| error.to_string())
}

async fn show(state: Data<State>, name: Path<String>) -> HttpResponse {
    match payers_order(&state, &name) {
        Some(order) => html(
            HttpResponse::Ok(),
            page::order(&order, state.teller.clock.now()),
        ),
        None => html(
            HttpResponse::NotFound(),
            page::notice("No such payment", "This link is not one of ours."),
        ),
    }
}

#[derive(Debug, Deserialize)]
struct Chosen {
    choice: String,
}

/// Acts, then sends the browser back to the page, so that reloading it pays nothing.
async fn choose(state: Data<State>, name: Path<String>, form: Form<Chosen>) -> HttpResponse {
    let choice = match form.choice.as_str() {
        "pay" => Choice::Pay,
        "decline" => Choice::Decline,
        "leave" => Choice::Leave,
        _ => {
            return html(
                HttpResponse::BadRequest(),
                page::notice("Unclear", "This choice is not one of ours."),
            );
        }
    };
    let Some(order) = payers_order(&state, &name) else {
        return html(
            HttpResponse::NotFound(),
            page::notice("No such payment", "This link is not one of ours."),
        );
    };
    match state.teller.choose(order.id.as_str(), choice) {
        Ok(order) if choice == Choice::Leave => html(HttpResponse::Ok(), page::left(&order)),
        Ok(order) => HttpResponse::SeeOther()
            .insert_header((header::LOCATION, format!("/pay/{}", order.id)))
            .finish(),
        Err(_) => html(
            HttpResponse::Conflict(),
            page::order(&order, state.teller.clock.now()),
        ),
    }
}

/// Payers know the bank's id only; the merchant's reference can be guessed.
fn payers_order(state: &State, id: &str) -> Option<Order> {
    state
        .teller
        .order(id)
        .filter(|order| order.id.as_str() == id)
}

fn html(mut answer: HttpResponseBuilder, markup: Markup) -> HttpResponse {
    let policy = csp::only_style(page::STYLE, "'self'");
    answer
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", policy))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("cache-control", "no-store"))
        .body(markup.into_string())
}

pub(super) fn authentic(request: &HttpRequest, state: &State) -> bool {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = value
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    bool::from(token.as_bytes().ct_eq(state.api_key.as_bytes()))
}

fn refusal(mut answer: HttpResponseBuilder, error: &str, message: &str) -> HttpResponse {
    answer.json(json!({ "error": error, "message": message }))
}

pub(super) fn unauthorized() -> HttpResponse {
    refusal(
        HttpResponse::Unauthorized(),
        "unauthorized",
        "a bearer key is wanted",
    )
}

pub(super) fn unprocessable(error: &str, message: &str) -> HttpResponse {
    refusal(HttpResponse::UnprocessableEntity(), error, message)
}

pub(super) fn down() -> HttpResponse {
    let mut answer = HttpResponse::ServiceUnavailable();
    answer.insert_header((header::RETRY_AFTER, "1"));
    refusal(answer, "down", "the script says so")
}

pub(super) fn lost() -> HttpResponse {
    refusal(HttpResponse::GatewayTimeout(), "lost", "the script says so")
}

pub(super) fn refused_by(refused: BankRefusal) -> HttpResponse {
    let (answer, error) = match refused {
        BankRefusal::ReferenceUsed => (HttpResponse::Conflict(), "reference_used"),
        BankRefusal::Full => (HttpResponse::InsufficientStorage(), "full"),
        BankRefusal::Unknown => (HttpResponse::NotFound(), "unknown_order"),
        BankRefusal::Closed => (HttpResponse::Conflict(), "closed"),
        BankRefusal::OverRefund => (HttpResponse::UnprocessableEntity(), "over_refund"),
        BankRefusal::Declined => (HttpResponse::UnprocessableEntity(), "declined"),
    };
    refusal(answer, error, &refused.to_string())
}
