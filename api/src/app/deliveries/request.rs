//! The request of a delivery: what the dispatcher sends, and what an operator is shown of it.
//!
//! A signature over a fresh time is a credential: for five minutes whoever has it can send this
//! message to this receiver. So the request is shown with the time and the key names of its last
//! try and without signatures, and secret-looking headers are covered, until somebody who may
//! operate deliveries asks for one that can be sent.

use domain::digest::Digest32;
use domain::ids::{DeliveryId, KeyId, MerchantId};
use domain::stream::StreamId;
use domain::subscriber::{self, Subscriber};
use domain::time::Timestamp;
use projections::views::delivery_queue::DeliveryRow;
use serde::Serialize;

use super::App;
use super::curl;
use super::detail::Try;
use crate::app::error::AppError;
use crate::app::subscribers::signed_headers;

/// What stands in place of a secret.
const COVERED: &str = "***";

/// A request as it was, or is to be, sent.
#[derive(Debug, Clone, Serialize)]
pub struct ExactRequest {
    /// Always `POST`.
    pub method: &'static str,
    /// Where to, by today's settings.
    pub url: String,
    /// Headers in their order.
    pub headers: Vec<Header>,
    /// The body, byte for byte.
    pub body: String,
    /// Its SHA-256.
    pub body_sha256: Digest32,
    /// True when it can be sent as it stands, within five minutes.
    pub signed: bool,
    /// The recorded tries beside it.
    pub tries: Vec<ComparedTry>,
    /// All of it as a line for a shell.
    pub curl: String,
}

/// One header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Header {
    /// In lower case.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A recorded try beside the request that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparedTry {
    /// 1, and one more after each redrive.
    pub generation: u32,
    /// Which try of that generation.
    pub attempt_no: u32,
    /// When it was sent: `webhook-timestamp` of that try.
    pub sent_at: Option<Timestamp>,
    /// Names of the keys that signed it.
    pub key_ids: Vec<KeyId>,
    /// SHA-256 of the body that was sent.
    pub body_sha256: Option<Digest32>,
    /// Whether that is the body shown here.
    pub same_body: Option<bool>,
    /// Whether it went to the URL shown here.
    pub same_url: Option<bool>,
}

/// All headers of one try, which is a generation and a number in it, around those that make it
/// authentic. The span is computed like the delivery's id, so that the same try always has the same
/// headers.
pub fn headers_of(
    subscriber: &Subscriber,
    row: &DeliveryRow,
    (generation, attempt_no): (u32, u32),
    signed: [(&'static str, String); 4],
) -> Vec<(String, String)> {
    let trace = row.event_id.to_string().replace('-', "");
    let try_of = format!("counterfoil/span/v1|{}|{generation}|{attempt_no}", row.id);
    let span = Digest32::sha256(&[try_of.as_bytes()]).to_string();
    let ours = [
        (
            "user-agent",
            concat!("counterfoil/", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        ("counterfoil-attempt", attempt_no.to_string()),
        ("counterfoil-generation", generation.to_string()),
        ("traceparent", format!("00-{trace}-{}-01", &span[..16])),
    ];
    let own = subscriber
        .headers
        .iter()
        .map(|(name, value)| (name, value.to_owned()));
    let all = signed.into_iter().chain(ours).chain(own);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

impl App {
    /// The request of a delivery. With `signed`, one that can be sent now: signed afresh, nothing
    /// covered. Without, as its last try was.
    ///
    /// # Errors
    /// [`AppError::NotFound`], also where it shall be signed and no key is live or the subscriber
    /// was removed, and where the subscriber has no address.
    pub async fn exact_request(
        &self,
        merchant: &MerchantId,
        id: &DeliveryId,
        signed: bool,
    ) -> Result<ExactRequest, AppError> {
        let row = self.delivery_row(merchant, id).await?;
        let body = self.delivery_body(&row).await?;
        let body = body.ok_or(AppError::NotFound { what: "body" })?;
        let tries = self.tries_of(id).await?;
        let stream = StreamId::subscriber(&row.subscriber);
        let folded = self
            .recorder
            .fold(&stream, None, subscriber::evolve)
            .await?;
        let subscriber = folded
            .state
            .filter(|known| !(signed && known.removed))
            .ok_or(AppError::NotFound { what: "subscriber" })?;
        let url = subscriber.url.clone().ok_or(AppError::NotFound {
            what: "address: this subscriber fetches its events",
        })?;
        let headers = if signed {
            let keys = self.live_keys(&subscriber).await?;
            if keys.is_empty() {
                let what = "live signing key";
                return Err(AppError::NotFound { what });
            }
            let now = signed_headers(&keys, id, &body, self.recorder.now());
            let next = (row.generation, row.attempts + 1);
            headers_of(&subscriber, &row, next, now)
        } else {
            let now = self.recorder.now();
            let mut headers = as_tried(&subscriber, &row, tries.last(), &body, now);
            cover(&mut headers, &subscriber);
            headers
        };
        let curl = curl::line(&url, &headers, &body);
        let headers = headers.into_iter();
        let sha256 = Digest32::sha256(&[body.as_bytes()]);
        let url_sha256 = Digest32::sha256(&[url.as_bytes()]);
        let compared = tries.into_iter().map(|known| ComparedTry {
            generation: known.generation,
            attempt_no: known.attempt_no,
            sent_at: known.sent_at,
            key_ids: known.key_ids,
            body_sha256: known.body_sha256,
            same_body: known.body_sha256.map(|sent| sent == sha256),
            same_url: known.endpoint_url_sha256.map(|sent| sent == url_sha256),
        });
        Ok(ExactRequest {
            method: "POST",
            url,
            headers: headers
                .map(|(name, value)| Header { name, value })
                .collect(),
            body_sha256: sha256,
            body,
            signed,
            tries: compared.collect(),
            curl,
        })
    }
}

/// The headers of the last try without its signatures; of one that was never tried, those of the
/// first, were it now.
fn as_tried(
    subscriber: &Subscriber,
    row: &DeliveryRow,
    last: Option<&Try>,
    body: &str,
    now: Timestamp,
) -> Vec<(String, String)> {
    let sent_at = last.and_then(|last| last.sent_at).unwrap_or(now);
    let mut signed = signed_headers(&[], &row.id, body, sent_at);
    let by = |key: &KeyId| format!("(signature by {key})");
    let (which, signature) = match last {
        Some(last) => (
            (last.generation, last.attempt_no),
            last.key_ids.iter().map(by).collect::<Vec<_>>().join(" "),
        ),
        None => (
            (row.generation, row.attempts + 1),
            "(not signed yet)".to_owned(),
        ),
    };
    for (name, value) in &mut signed {
        if *name == "webhook-signature" {
            signature.clone_into(value);
        }
    }
    headers_of(subscriber, row, which, signed)
}

/// Covers what looks like a secret among the subscriber's own headers. They should hold none, since
/// they stand in the log; this keeps the mistake from spreading.
fn cover(headers: &mut [(String, String)], subscriber: &Subscriber) {
    let own: Vec<&str> = subscriber.headers.iter().map(|(name, _)| name).collect();
    for (name, value) in headers {
        if own.contains(&name.as_str()) && looks_secret(name, value) {
            COVERED.clone_into(value);
        }
    }
}

fn looks_secret(name: &str, value: &str) -> bool {
    const NAMES: [&str; 9] = [
        "auth",
        "cookie",
        "credential",
        "key",
        "passw",
        "secret",
        "session",
        "sign",
        "token",
    ];
    const VALUES: [&str; 5] = ["basic ", "bearer ", "digest ", "eyj", "whsec_"];
    let value = value.to_ascii_lowercase();
    NAMES.iter().any(|part| name.contains(part))
        || VALUES.iter().any(|start| value.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_look_like_secrets_are_covered_and_others_are_not() {
        for (name, value) in [
            ("x-api-key", "1"),
            ("x-auth", "1"),
            ("x-access-token", "1"),
            ("x-gateway", "Bearer abc"),
            ("x-gateway", "eyJhbGciOi"),
            ("x-passwd", "1"),
        ] {
            assert!(looks_secret(name, value), "{name}: {value}");
        }
        for (name, value) in [
            ("x-tenant", "shop 1"),
            ("x-route", "blue"),
            ("accept", "*/*"),
        ] {
            assert!(!looks_secret(name, value), "{name}: {value}");
        }
    }
}
