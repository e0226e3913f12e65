//! Bodies: at most 64 KiB, whole within ten seconds, read as raw bytes first.
//!
//! actix stops its own clock when the head is read, so a body that drips one byte at a time would
//! keep its connection for ever; hence a total deadline and a least rate here.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{BytesMut, Payload};
use futures::StreamExt;
use serde_json::Value;

use super::problem::{self, Problem};
use super::strict_json;

/// Longest body in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// The whole body must be there by then.
pub const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// No pause between two pieces may be longer.
pub const BODY_PAUSE_MAX: Duration = Duration::from_secs(3);

/// Reads a whole body.
///
/// # Errors
/// [`Problem`] `body_too_large`, `body_timeout` or `malformed` (the peer went away).
pub async fn raw(payload: &mut Payload) -> Result<Vec<u8>, Problem> {
    let read = async {
        let mut body = BytesMut::new();
        loop {
            let piece = tokio::time::timeout(BODY_PAUSE_MAX, payload.next()).await;
            let Some(piece) = piece.map_err(|_| Problem::new(&problem::BODY_TIMEOUT))? else {
                return Ok(body.to_vec());
            };
            let piece = piece
                .map_err(|_| Problem::new(&problem::MALFORMED).detail("the body broke off"))?;
            if body.len() + piece.len() > BODY_BYTES_MAX {
                return Err(Problem::new(&problem::BODY_TOO_LARGE));
            }
            body.extend_from_slice(&piece);
        }
    };
    tokio::time::timeout(BODY_DEADLINE, read)
        .await
        .unwrap_or_else(|_| Err(Problem::new(&problem::BODY_TIMEOUT)))
}

/// Reads a JSON body strictly.
///
/// # Errors
/// [`Problem`] of [`raw`], `unsupported_media_type`, `malformed`.
pub async fn json(request: &HttpRequest, payload: &mut Payload) -> Result<Value, Problem> {
    let media = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(&problem::UNSUPPORTED_MEDIA_TYPE));
    }
    let body = raw(payload).await?;
    strict_json::parse(&body).map_err(|why| Problem::new(&problem::MALFORMED).detail(why))
}

/// A JSON body that may be missing altogether, for commands without needed fields.
///
/// # Errors
/// As [`json`].
pub async fn json_or_empty(request: &HttpRequest, payload: &mut Payload) -> Result<Value, Problem> {
    if request.headers().contains_key(CONTENT_TYPE) {
        return json(request, payload).await;
    }
    let body = raw(payload).await?;
    if body.is_empty() {
        Ok(Value::Object(serde_json::Map::new()))
    } else {
        Err(Problem::new(&problem::UNSUPPORTED_MEDIA_TYPE))
    }
}
