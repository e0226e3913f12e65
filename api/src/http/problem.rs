//! Problems: `application/problem+json` (RFC 9457). One table of codes, each with its status, its
//! title and what the reader should do. HTTP statuses stand here and nowhere inward of `http`.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value, json};

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// What programs compare.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// A few words.
    pub title: &'static str,
    /// What the reader should do.
    pub advice: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $status:literal, $title:literal, $advice:literal;)+) => {
        $(
            #[doc = concat!("`", $code, "`: ", $advice)]
            pub const $name: Code = Code { code: $code, status: $status, title: $title, advice: $advice };
        )+
        /// Every code, in the order of the reference page.
        pub const CODES: &[&Code] = &[$(&$name),+];
    };
}

codes! {
    MALFORMED = "malformed", 400, "The request cannot be read", "Send one JSON object without duplicate names, floats or deep nesting.";
    IDEMPOTENCY_KEY_MISSING = "idempotency_key_missing", 400, "An Idempotency-Key header is needed", "Send a key that is new for each command and equal for each repeat of it.";
    UNAUTHENTICATED = "unauthenticated", 401, "No valid credentials", "Send a live token as `Authorization: Bearer cf_...`.";
    SIGN_IN_REFUSED = "sign_in_refused", 401, "Signing in was refused", "Check operator, password and code; a code opens one session, so wait for the next one.";
    FORBIDDEN = "forbidden", 403, "Not allowed", "Ask an administrator for the scope or scenario, or use another route.";
    TICKET_REFUSED = "ticket_refused", 403, "The approval ticket does not count", "Show your password again for this proposal and use the new ticket within five minutes.";
    FOUR_EYES = "four_eyes", 403, "Another person must decide", "Ask somebody else who may approve; a second session or role of the same person does not count.";
    NOT_FOUND = "not_found", 404, "Not found", "Check the id; what belongs to another merchant does not exist for you.";
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, "Method not allowed", "Use a method that the header `Allow` names.";
    BODY_TIMEOUT = "body_timeout", 408, "The body came too slowly", "Send the whole body within ten seconds.";
    OPEN_REQUEST_EXISTS = "open_request_exists", 409, "The order has an open payment request", "Use that request, or send `supersede: true` to replace it.";
    ALREADY_PAID = "already_paid", 409, "Paid already", "Nothing is due; refund instead of cancelling.";
    NOT_PAYABLE = "not_payable", 409, "Not payable any more", "Create a new payment request.";
    PAYMENT_IN_FLIGHT = "payment_in_flight", 409, "A payment may be under way", "Wait for the provider's answer; the status tells it.";
    QUOTE_USED = "quote_used", 409, "The quote made another request already", "Ask the backend for a new quote.";
    STATE_CONFLICT = "state_conflict", 409, "The state does not allow it", "Read the current state, then decide again.";
    PROPOSAL_LAPSED = "proposal_lapsed", 409, "The proposal lapsed", "Read what changed in `changed`, then propose again if it still holds.";
    PROPOSAL_DECIDED = "proposal_decided", 409, "The proposal was decided already", "Nothing of your decision was written down; read in `decision`, `decided_by` and `decided_at` whose counts.";
    OTHER_LOG = "other_log", 409, "The position belongs to another log", "Drop the position; the store was restored or replaced.";
    EVIDENCE_GONE = "evidence_gone", 410, "The evidence was erased", "Decide without it; what was erased does not come back.";
    BODY_TOO_LARGE = "body_too_large", 413, "The body is too large", "Send at most 64 KiB.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", 415, "Another media type is needed", "Send `Content-Type: application/json`.";
    INVALID = "invalid", 422, "Some fields are not valid", "Mend every field that `errors` lists.";
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch", 422, "The key was used for another command", "Use a new key for new content.";
    QUOTE_EXPIRED = "quote_expired", 422, "The quote is over", "Ask the backend for a new quote.";
    SCENARIO_REFUSED = "scenario_refused", 422, "The scenario does not allow it", "Read the scenario's limits in `detail`.";
    REFUSED = "refused", 422, "A rule says no", "Read the rule in `detail`.";
    OVER_REFUND = "over_refund", 422, "More than can be given back", "Ask for at most `refundable_minor`; refunds without an answer hold their amount.";
    REFUND_CURRENCY = "refund_currency", 422, "The money came in another currency", "Send the amount in the currency of the captured money.";
    REFUNDS_UNSUPPORTED = "refunds_unsupported", 422, "The provider takes no refunds from here", "Give the money back at the provider; what it tells of it is recorded.";
    CARD_NUMBER = "card_number", 422, "Something looks like a card number", "Never send card data; remove it and try again.";
    RATE_LIMITED = "rate_limited", 429, "Too many requests", "Wait as long as Retry-After says.";
    INTERNAL = "internal", 500, "Our mistake", "Report the request id.";
    STORE_UNAVAILABLE = "store_unavailable", 503, "The store did not answer", "Repeat with the same Idempotency-Key after Retry-After.";
    STORAGE_FULL = "storage_full", 503, "No space left", "Repeat with the same Idempotency-Key later; an operator must free space.";
    OVERLOADED = "overloaded", 503, "Too much at once", "Repeat with the same Idempotency-Key after Retry-After.";
    VIEW_BEHIND = "view_behind", 503, "The view has not caught up", "Repeat after Retry-After.";
    PROVIDER_UNAVAILABLE = "provider_unavailable", 503, "The provider cannot be called now", "Nothing was started; repeat with the same Idempotency-Key after Retry-After, or pay through another account.";
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// RFC 6901 pointer into the body, or the name of a query parameter.
    pub pointer: String,
    /// A sentence.
    pub detail: String,
}

/// An answer that is not a result.
#[derive(Debug)]
pub struct Problem {
    /// The row of the table.
    pub code: &'static Code,
    /// A sentence about this case. Never the input, never a cause from inside.
    pub detail: Option<String>,
    /// Field problems, all at once.
    pub errors: Vec<FieldProblem>,
    /// When to try again.
    pub retry_after_s: Option<u32>,
    /// The methods that the address takes.
    pub allow: Option<String>,
    /// Further members.
    pub members: Map<String, Value>,
}

impl Problem {
    /// A row and nothing else.
    pub fn new(code: &'static Code) -> Self {
        let retry_after_s = (code.status == 503).then_some(1);
        Self {
            code,
            detail: None,
            errors: vec![],
            retry_after_s,
            allow: None,
            members: Map::new(),
        }
    }

    /// With a sentence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With field problems.
    #[must_use]
    pub fn errors(mut self, errors: Vec<FieldProblem>) -> Self {
        self.errors = errors;
        self
    }

    /// With a time to wait.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// With the methods that the address takes.
    #[must_use]
    pub fn allow<'m>(mut self, methods: impl IntoIterator<Item = &'m str>) -> Self {
        let methods: Vec<_> = methods.into_iter().collect();
        self.allow = Some(methods.join(", "));
        self
    }

    /// With a further member.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    fn body(&self) -> Value {
        let mut body = self.members.clone();
        body.insert("type".into(), json!(format!("/docs#{}", self.code.code)));
        body.insert("title".into(), json!(self.code.title));
        body.insert("status".into(), json!(self.code.status));
        body.insert("code".into(), json!(self.code.code));
        if let Some(detail) = &self.detail {
            body.insert("detail".into(), json!(detail));
        }
        if !self.errors.is_empty() {
            let errors = self
                .errors
                .iter()
                .map(|e| json!({"pointer": e.pointer, "detail": e.detail}));
            body.insert("errors".into(), errors.collect());
        }
        if let Some(seconds) = self.retry_after_s {
            body.insert("retry_after".into(), json!(seconds));
        }
        Value::Object(body)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.code)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.status_code()).json(self.body());
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = &self.allow
            && let Ok(methods) = HeaderValue::from_str(methods)
        {
            headers.insert(ALLOW, methods);
        }
        if self.code.status == 401 {
            let bearer = HeaderValue::from_static("Bearer");
            headers.insert(actix_web::http::header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_one_row_with_a_true_status() {
        let mut seen = std::collections::BTreeSet::new();
        for code in CODES {
            assert!(seen.insert(code.code), "{} twice", code.code);
            assert!(StatusCode::from_u16(code.status).is_ok());
            assert!(
                code.code
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_')
            );
            assert!(code.advice.ends_with('.'));
        }
    }

    #[test]
    fn a_problem_tells_what_to_do_and_nothing_from_inside() {
        let problem = Problem::new(&STORE_UNAVAILABLE).detail("try again");
        let response = problem.error_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "1");
        assert_eq!(
            response.headers().get(CONTENT_TYPE).unwrap(),
            "application/problem+json"
        );
        assert_eq!(problem.body()["code"], "store_unavailable");
    }
}
