//! One try of one delivery: lease, check, sign, send, record.

use std::time::Duration;

use domain::delivery::event::Pair;
use domain::delivery::{Answer, Command, Failure, State, signature};
use domain::digest::Digest32;
use domain::ids::KeyId;
use domain::ports::{HttpOut, OutAnswer, OutRequest, SecretPurpose};
use domain::subscriber::{PausedWhy, Subscriber};
use projections::ports::Excerpt;
use projections::views::delivery_queue::DeliveryRow;

use crate::app::App;
use crate::app::context::Context;
use crate::app::error::AppError;

/// Actor of the outcomes.
const ENTRY: &str = "work::deliver";
/// A worker's hold; more than twice the longest try.
const LEASE: Duration = Duration::from_secs(60);
/// A whole try, the answer's body included.
const DEADLINE: Duration = Duration::from_secs(15);
/// How much of an answer is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How much of it is kept for operators.
const EXCERPT_BYTES_MAX: usize = 1024;

/// What a try came to, for the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempted {
    /// 2xx.
    Arrived,
    /// Anything else.
    Failed {
        /// The receiver asks to be left alone.
        cool_down: Option<Duration>,
    },
    /// Nothing was sent: somebody else has it, or the row was old.
    Skipped,
}

pub(super) async fn attempt(
    app: &App,
    http: &dyn HttpOut,
    subscriber: &Subscriber,
    row: &DeliveryRow,
) -> Result<Attempted, AppError> {
    let key = format!("delivery:{}", row.id);
    let owner = app.recorder.node();
    let now = app.recorder.now();
    let lease = app.ops.acquire(&key, owner, LEASE, now).await.map_err(AppError::bug)?;
    let Some(lease) = lease else { return Ok(Attempted::Skipped) };
    let attempted = send(app, http, subscriber, row).await;
    // A lease that is not given back runs out by itself.
    let _ = app.ops.finish(&lease).await;
    attempted
}

async fn send(
    app: &App,
    http: &dyn HttpOut,
    subscriber: &Subscriber,
    row: &DeliveryRow,
) -> Result<Attempted, AppError> {
    // The row is a hint: the delivery's own stream decides.
    let folded = app.fold_delivery(&row.id).await?;
    let open = folded.state.as_ref().is_none_or(|known| known.state == State::Open);
    if !open || folded.version != row.outcome_version {
        return Ok(Attempted::Skipped);
    }
    let Some(body) = app.delivery_body(row).await? else {
        return Err(AppError::bug("a queued delivery without its body"));
    };
    let (attempt_no, generation) = (row.attempts + 1, row.generation);
    let sent_at = app.recorder.now();
    let keys = signing_keys(app, subscriber).await?;
    let started = app.recorder.clock().monotonic();
    let sent = if keys.is_empty() {
        Err(Failure::NoKey)
    } else {
        let signatures: Vec<String> = keys
            .iter()
            .map(|(_, key)| signature::sign(key, row.id.as_str(), sent_at.seconds(), body.as_bytes()))
            .collect();
        let header = |name: &str, value: String| (name.to_owned(), value);
        let request = OutRequest {
            method: "POST",
            url: subscriber.url.clone(),
            headers: vec![
                header("content-type", "application/cloudevents+json; charset=utf-8".to_owned()),
                header("user-agent", concat!("counterfoil/", env!("CARGO_PKG_VERSION")).to_owned()),
                header("webhook-id", row.id.to_string()),
                header("webhook-timestamp", sent_at.seconds().to_string()),
                header("webhook-signature", signatures.join(" ")),
                header("counterfoil-attempt", attempt_no.to_string()),
                header("counterfoil-generation", generation.to_string()),
            ],
            body: body.as_bytes().to_vec(),
            deadline: DEADLINE,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        http.send(request).await.map_err(Failure::Http)
    };
    let latency = app.recorder.clock().monotonic().saturating_sub(started);
    metrics::histogram!("counterfoil_delivery_seconds", "subscriber" => subscriber.id.to_string()).record(latency);
    let retry_after = sent.as_ref().ok().and_then(retry_after);
    let status = sent.as_ref().map(|answer| answer.status).map_err(|failure| *failure);
    let command = Command::Record(Answer {
        result: status,
        retry_after,
        latency,
        sent_at,
        body_sha256: Digest32::sha256(&[body.as_bytes()]),
        key_ids: keys.into_iter().map(|(key_id, _)| key_id).collect(),
        receiver_ref: sent.as_ref().ok().and_then(receiver_ref),
    });
    let pair = Pair { subscriber: row.subscriber.clone(), event_id: row.event_id };
    let context = Context::job(ENTRY);
    let recorded = app.append_outcome(&row.merchant, &row.id, &pair, folded, &context, &command, None).await?;
    if recorded.is_none() {
        metrics::counter!("counterfoil_duplicate_send_suspected_total").increment(1);
    }
    if let Ok(answer) = &sent {
        keep_excerpt(app, row, attempt_no, answer).await;
    }
    if status == Ok(410) {
        app.pause_subscriber(&row.merchant, &subscriber.id, &context, PausedWhy::Gone).await?;
    }
    let cool_down = retry_after.filter(|_| matches!(status, Ok(429 | 503)));
    Ok(if matches!(status, Ok(200..=299)) { Attempted::Arrived } else { Attempted::Failed { cool_down } })
}

async fn signing_keys(app: &App, subscriber: &Subscriber) -> Result<Vec<(KeyId, Vec<u8>)>, AppError> {
    let purpose = SecretPurpose::Subscriber(subscriber.id.to_string());
    let live = app.secrets.active(&subscriber.merchant, &purpose, app.recorder.now()).await?;
    Ok(live.into_iter().filter_map(|secret| Some((secret.key_id, signature::key(&secret.value)?))).take(3).collect())
}

fn retry_after(answer: &OutAnswer) -> Option<Duration> {
    answer.header("retry-after")?.trim().parse().ok().map(Duration::from_secs)
}

/// The receiver's document number, where it gives a plain one.
fn receiver_ref(answer: &OutAnswer) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let text = body.get("document_number")?.as_str()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._/-".contains(&b);
    ((1..=64).contains(&text.len()) && text.bytes().all(plain)).then(|| text.to_owned())
}

/// What operators may read of an answer: cut, and without control characters.
async fn keep_excerpt(app: &App, row: &DeliveryRow, attempt_no: u32, answer: &OutAnswer) {
    let text = String::from_utf8_lossy(&answer.body[..answer.body.len().min(EXCERPT_BYTES_MAX)]).into_owned();
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut nonce = [0; 32];
    app.recorder.entropy().fill(&mut nonce);
    let excerpt = Excerpt {
        delivery: row.id.clone(),
        generation: row.generation,
        attempt_no,
        nonce,
        bytes: text.into_bytes(),
        at: app.recorder.now(),
    };
    if let Err(error) = app.ops.put_excerpt(&excerpt).await {
        tracing::info!(delivery = %row.id, error = %error, "delivery.excerpt_lost");
    }
}
