//! One try of one delivery: lease, check, sign, send, record.
//!
//! The lease keeps two workers from the same delivery; the version of the delivery's stream keeps
//! two outcomes from one try. A worker that dies between sending and recording leaves its lease
//! behind, and the same id and body go out again when that is over: at least once, honestly.

use std::time::Duration;

use domain::delivery::event::OurFault;
use domain::delivery::{Answer, Command, Delivery, Failure, State};
use domain::digest::Digest32;
use domain::pan::holds_card_number;
use domain::ports::{HttpOut, OutAnswer, OutRequest};
use domain::subscriber::PausedWhy;
use projections::ports::Excerpt;
use projections::views::delivery_queue::DeliveryRow;

use super::known::Known;
use crate::app::App;
use crate::app::context::Context;
use crate::app::deliveries::headers_of;
use crate::app::error::AppError;
use crate::app::recorder::Folded;
use crate::app::subscribers::signed_headers;

/// Actor of the outcomes.
const ENTRY: &str = "work::deliver";
/// A worker's hold; more than twice the longest try.
const LEASE: Duration = Duration::from_secs(60);
/// So many holders in a row that recorded nothing died of this delivery.
const EPOCHS_MAX: u64 = 5;
/// A whole try, the answer's body included.
const DEADLINE: Duration = Duration::from_secs(15);
/// How much of an answer is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How much of it is kept for operators.
const EXCERPT_BYTES_MAX: usize = 1024;
/// Pauses between tries to record an outcome while the store is away; together well below the rest
/// of the lease.
const RECORD_AGAIN: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// What a try came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempted {
    /// 2xx.
    Arrived,
    /// Anything else that a receiver can do.
    Failed {
        /// The receiver asks to be left alone.
        cool_down: Option<Duration>,
    },
    /// Nothing was sent: somebody else has it, the row was old, or it must not be sent any more.
    Skipped,
    /// It was sent, and what became of it could not be recorded.
    Unrecorded,
}

/// Tries `row` once. What the subscriber is by now is asked of `known`.
///
/// # Errors
/// Outages before anything was sent.
pub(super) async fn attempt(
    app: &App,
    http: &dyn HttpOut,
    known: &Known,
    row: &DeliveryRow,
) -> Result<Attempted, AppError> {
    let key = format!("delivery:{}", row.id);
    let now = app.recorder.now();
    let lease = app.ops.acquire(&key, app.recorder.node(), LEASE, now).await;
    let Some(lease) = lease.map_err(AppError::bug)? else {
        return Ok(Attempted::Skipped);
    };
    let attempted = if lease.epoch > EPOCHS_MAX {
        tracing::error!(delivery = %row.id, epoch = lease.epoch, "delivery.crash_loop");
        stop_trying(app, row, &Command::Quarantine(OurFault::CrashLoop)).await
    } else {
        send(app, http, known, row).await
    };
    // Whoever comes here did not crash. A lease that is not given back runs out by itself.
    let _ = app.ops.finish(&lease).await;
    attempted
}

/// Gives up what waited too long for a receiver that does not come back.
///
/// # Errors
/// Outages.
pub(super) async fn give_up(app: &App, row: &DeliveryRow) -> Result<(), AppError> {
    stop_trying(app, row, &Command::GiveUp).await.map(|_| ())
}

async fn stop_trying(
    app: &App,
    row: &DeliveryRow,
    command: &Command,
) -> Result<Attempted, AppError> {
    let folded = app.fold_delivery(&row.id).await?;
    app.append_outcome(row, folded, &Context::job(ENTRY), command, None)
        .await?;
    Ok(Attempted::Skipped)
}

async fn send(
    app: &App,
    http: &dyn HttpOut,
    known: &Known,
    row: &DeliveryRow,
) -> Result<Attempted, AppError> {
    // The row is a hint: the delivery's own stream decides, and the subscriber's.
    let folded = app.fold_delivery(&row.id).await?;
    let open = folded
        .state
        .as_ref()
        .is_none_or(|known| known.state == State::Open);
    if !open || folded.version != row.outcome_version {
        return Ok(Attempted::Skipped);
    }
    let subscriber = known.subscriber(app, &row.subscriber).await?;
    let serves = |subscriber: &domain::subscriber::Subscriber| {
        !subscriber.removed && subscriber.paused.is_none()
    };
    let Some(subscriber) = subscriber.filter(serves) else {
        return Ok(Attempted::Skipped);
    };
    // It fetches its events by itself.
    let Some(url) = subscriber.url.clone() else {
        return Ok(Attempted::Skipped);
    };
    let Some(body) = app.delivery_body(row).await? else {
        tracing::error!(delivery = %row.id, "delivery.without_body");
        return stop_trying(app, row, &Command::Quarantine(OurFault::NoBody)).await;
    };
    let keys = app.live_keys(&subscriber).await?;
    let (sent_at, started) = (app.recorder.now(), app.recorder.clock().monotonic());
    let sent = if keys.is_empty() {
        Err(Failure::NoKey)
    } else {
        let next = (row.generation, row.attempts + 1);
        let signed = signed_headers(&keys, &row.id, &body, sent_at);
        let request = OutRequest {
            method: "POST",
            url: url.clone(),
            headers: headers_of(&subscriber, row, next, signed),
            body: body.clone().into_bytes(),
            deadline: DEADLINE,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        http.send(request).await.map_err(Failure::Http)
    };
    let latency = app.recorder.clock().monotonic().saturating_sub(started);
    metrics::histogram!("counterfoil_delivery_seconds", "subscriber" => subscriber.id.to_string())
        .record(latency);
    let answer_commitment = match &sent {
        Ok(answer) => keep_excerpt(app, row, answer).await,
        Err(_) => None,
    };
    let now = app.recorder.now();
    let wish = sent.as_ref().ok();
    let wish = wish.and_then(|answer| answer.retry_after(now));
    let status = sent
        .as_ref()
        .map(|answer| answer.status)
        .map_err(|failure| *failure);
    let answer = Answer {
        result: status,
        retry_after: wish,
        latency,
        sent_at,
        body_sha256: Digest32::sha256(&[body.as_bytes()]),
        key_ids: keys.into_iter().map(|(key_id, _)| key_id).collect(),
        endpoint_url_sha256: Digest32::sha256(&[url.as_bytes()]),
        answer_commitment,
        receiver_ref: sent.as_ref().ok().and_then(receiver_ref),
    };
    let refused_tries = subscriber.policy.refused_tries;
    let outcome = Command::Record {
        answer,
        refused_tries,
    };
    if !record(app, row, &folded, &outcome).await {
        return Ok(Attempted::Unrecorded);
    }
    if status == Ok(410) {
        app.pause_subscriber(
            &row.merchant,
            &subscriber.id,
            &Context::job(ENTRY),
            PausedWhy::Gone,
        )
        .await?;
    }
    let cool_down = wish.filter(|_| matches!(status, Ok(429 | 503)));
    Ok(if matches!(status, Ok(200..=299)) {
        Attempted::Arrived
    } else {
        Attempted::Failed { cool_down }
    })
}

/// Records an outcome, and waits a while for a store that is away. False: it could not be recorded.
async fn record(
    app: &App,
    row: &DeliveryRow,
    folded: &Folded<Delivery>,
    command: &Command,
) -> bool {
    let context = Context::job(ENTRY);
    let mut pauses = RECORD_AGAIN.iter();
    loop {
        let recorded = app
            .append_outcome(row, folded.clone(), &context, command, None)
            .await;
        match (recorded, pauses.next()) {
            (Ok(Some(_)), _) => return true,
            (Ok(None), _) => {
                // Another outcome stands in its place: it was sent twice, or a person decided.
                metrics::counter!("counterfoil_duplicate_send_suspected_total").increment(1);
                return true;
            }
            (Err(AppError::StoreUnavailable { .. } | AppError::StoreFull), Some(pause)) => {
                app.recorder.clock().sleep(*pause).await;
            }
            (Err(error), _) => {
                tracing::error!(delivery = %row.id, error = %error, "delivery.not_recorded");
                return false;
            }
        }
    }
}

/// The receiver's document number, where it gives a plain one.
fn receiver_ref(answer: &OutAnswer) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let text = body.get("document_number")?.as_str()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._/-".contains(&b);
    ((1..=64).contains(&text.len()) && text.bytes().all(plain)).then(|| text.to_owned())
}

/// Keeps what operators may read of an answer, and gives what the log says of it.
async fn keep_excerpt(app: &App, row: &DeliveryRow, answer: &OutAnswer) -> Option<Digest32> {
    let mut nonce = [0; 32];
    app.recorder.entropy().fill(&mut nonce);
    let excerpt = Excerpt {
        delivery: row.id.clone(),
        generation: row.generation,
        attempt_no: row.attempts + 1,
        nonce,
        bytes: excerpt_of(&answer.body).into_bytes(),
        at: app.recorder.now(),
    };
    match app.ops.put_excerpt(&excerpt).await {
        Ok(()) => Some(Digest32::sha256(&[&nonce, &excerpt.bytes])),
        Err(error) => {
            tracing::info!(delivery = %row.id, error = %error, "delivery.excerpt_lost");
            None
        }
    }
}

/// Cut, without control characters, and without anything that looks like a card number.
fn excerpt_of(body: &[u8]) -> String {
    if holds_card_number(body, &[]) {
        return "(it held something that looks like a card number)".to_owned();
    }
    let mut text = String::new();
    for letter in String::from_utf8_lossy(body).chars() {
        if text.len() + letter.len_utf8() > EXCERPT_BYTES_MAX {
            break;
        }
        text.push(if letter.is_control() { ' ' } else { letter });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> OutAnswer {
        OutAnswer {
            status: 200,
            headers: vec![],
            body: body.as_bytes().to_vec(),
            cut: false,
        }
    }

    #[test]
    fn an_excerpt_is_short_printable_and_holds_no_card_number() {
        assert_eq!(excerpt_of(b"a\r\nb\x1b[31m"), "a  b [31m");
        assert_eq!(excerpt_of(&[0xff; 5_000]).len(), 1023);
        assert!(excerpt_of("\u{20ac}".repeat(5_000).as_bytes()).len() <= EXCERPT_BYTES_MAX);
        let leak = excerpt_of(br#"{"card": "4111 1111 1111 1111"}"#);
        assert!(!leak.contains("4111"), "{leak}");
    }

    #[test]
    fn only_a_plain_document_number_is_taken() {
        let of = |body: &str| receiver_ref(&answer(body));
        assert_eq!(
            of(r#"{"document_number": "INV-2026/17"}"#).as_deref(),
            Some("INV-2026/17")
        );
        let long = format!(r#"{{"document_number": "{}"}}"#, "1".repeat(65));
        for other in [
            "",
            "{}",
            r#"{"document_number": 7}"#,
            r#"{"document_number": "a b"}"#,
            &long,
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
