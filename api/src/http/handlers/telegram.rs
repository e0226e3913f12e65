//! What Telegram tells a bot about an invoice, passed on as it is. Of Telegram's objects only the
//! members named here are read; who pays, and where to, is neither kept nor compared.
//!
//! The payload of the invoice is the id of the payment request, and nothing else.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::ids::{PaymentRequestId, ProviderRef};
use domain::money::{Currency, Money};
use domain::payment::event::{PrecheckRefusal, PrecheckVerdict};
use serde_json::{Map, Value, json};

use super::super::body;
use super::super::call::Call;
use super::super::checkout::texts::Texts;
use super::super::fields::{self, Fields};
use super::super::problem::{self, Problem};
use super::super::state::HttpState;
use super::requests::{answer, position};
use crate::app::error::AppError;
use crate::app::notices::NewNotice;
use crate::config::settings::Language;

/// Longest id of a query that is repeated.
const QUERY_ID_BYTES_MAX: usize = 64;

/// `POST /v1/telegram/pre-checkout-queries`: a `PreCheckoutQuery` in, the arguments of
/// `answerPreCheckoutQuery` out. An invoice of nobody is refused like one that is over, so that a
/// bot always has an answer to give.
pub async fn pre_checkout(
    request: HttpRequest,
    mut payload: Payload,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let object = body::json(&request, &mut payload).await?;
    let texts = language(&object)
        .unwrap_or(state.checkout.language())
        .texts();
    let query = picked(&object, &["id"]);
    let invoice = picked(&object, &["currency", "total_amount", "invoice_payload"]);
    let asked = fields::read(invoice.clone(), invoice_of)?;
    let id = query_id(&query)?;
    let context = call.context(&state, "", &invoice)?;
    let (verdict, replayed) = match asked {
        None => (None, false),
        Some((request, amount)) => {
            let answered = state
                .app
                .precheck(&call.caller, &context, &request, None, None, amount)
                .await;
            match answered {
                Ok((verdict, replayed)) => (Some(verdict), replayed),
                Err(AppError::NotFound { .. }) => (None, false),
                Err(other) => return Err(other.into()),
            }
        }
    };
    let mut response = HttpResponse::Ok();
    position(&mut response, None, replayed);
    Ok(response.json(match why_not(verdict.as_ref(), texts) {
        None => json!({ "pre_checkout_query_id": id, "ok": true }),
        Some(why) => json!({ "pre_checkout_query_id": id, "ok": false, "error_message": why }),
    }))
}

/// `POST /v1/telegram/successful-payments`: a `SuccessfulPayment`, as a payer notice. What the chat
/// says is no proof; the provider is asked.
pub async fn successful_payment(
    request: HttpRequest,
    mut payload: Payload,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let object = body::json(&request, &mut payload).await?;
    let members = [
        "currency",
        "total_amount",
        "invoice_payload",
        "telegram_payment_charge_id",
        "provider_payment_charge_id",
    ];
    let payment = picked(&object, &members);
    let (named, charges) = fields::read(payment.clone(), |fields| {
        let named = invoice_of(fields);
        let telegram: Option<ProviderRef> = fields.required("telegram_payment_charge_id");
        let provider: Option<ProviderRef> = fields.required("provider_payment_charge_id");
        Some((named?, [telegram?, provider?]))
    })?;
    let (id, amount) = named.ok_or_else(|| Problem::new(&problem::NOT_FOUND))?;
    let notice = NewNotice::of_telegram(&charges, amount);
    let context = call.context(&state, id.as_str(), &payment)?;
    let executed = state
        .app
        .record_notice(&call.caller, &context, &id, notice)
        .await?;
    Ok(answer(HttpResponse::Accepted(), &call, &state, &executed))
}

/// Only these members of an object; what else stands in it is nobody's business here.
fn picked(object: &Value, members: &[&str]) -> Value {
    let Value::Object(all) = object else {
        return object.clone();
    };
    let found = members
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), all.get(*name)?.clone())));
    Value::Object(found.collect::<Map<_, _>>())
}

/// The request and the amount of an invoice. `Some(None)` where it is none of ours.
fn invoice_of(fields: &mut Fields<'_>) -> Option<Option<(PaymentRequestId, Money)>> {
    let currency: Option<String> = fields.required("currency");
    let amount: Option<i64> = fields.required("total_amount");
    let payload: Option<String> = fields.required("invoice_payload");
    let (currency, amount, payload) = (currency?, amount?, payload?);
    let money =
        Currency::from_code(&currency).and_then(|currency| Money::new(amount, currency).ok());
    Some(PaymentRequestId::parse(payload).ok().zip(money))
}

/// The id that the answer repeats. It is long digits that may look like anything, and is not kept.
fn query_id(query: &Value) -> Result<&str, Problem> {
    let id = query.get("id").and_then(Value::as_str).unwrap_or_default();
    let fits = (1..=QUERY_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fits {
        return Ok(id);
    }
    let wrong = problem::FieldProblem {
        pointer: "/id".to_owned(),
        detail: "must be the id of a query: 1 to 64 letters and digits".to_owned(),
    };
    Err(Problem::new(&problem::INVALID).errors(vec![wrong]))
}

/// The payer's language, by their Telegram.
fn language(object: &Value) -> Option<Language> {
    Language::of_tag(object.pointer("/from/language_code")?.as_str()?)
}

/// What the payer reads, or nothing where they may pay.
fn why_not(verdict: Option<&PrecheckVerdict>, texts: &Texts) -> Option<&'static str> {
    match verdict {
        Some(PrecheckVerdict::Allowed {}) => None,
        None => Some(texts.invoice_over),
        Some(PrecheckVerdict::Refused { reason }) => Some(match reason {
            PrecheckRefusal::NotPayable => texts.invoice_over,
            PrecheckRefusal::Amount | PrecheckRefusal::Currency | PrecheckRefusal::Account => {
                texts.invoice_changed
            }
            PrecheckRefusal::OtherAttempt => texts.invoice_under_way,
        }),
    }
}
