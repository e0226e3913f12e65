//! One delivery in full: its body, each of its tries with what came back, and its history.

use domain::codec::decode;
use domain::delivery::Event;
use domain::delivery::event::{DeadReason, FailureClass};
use domain::digest::Digest32;
use domain::ids::{DeliveryId, KeyId, MerchantId};
use domain::record::Envelope;
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;
use projections::ports::Excerpt;
use projections::views::delivery_queue::DeliveryRow;
use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use crate::app::error::AppError;

/// Events of one delivery read in one go.
const PAGE: usize = 500;

/// A delivery with all that is known of it.
#[derive(Debug, Clone)]
pub struct DeliveryDetail {
    /// Its row.
    pub row: DeliveryRow,
    /// The exact body.
    pub body: Option<String>,
    /// Its tries, the oldest first.
    pub tries: Vec<Try>,
    /// Everything that was recorded of it: also who redrove or abandoned it, and why.
    pub history: Vec<Value>,
}

/// One try as it was recorded, with what is kept of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Try {
    /// 1, and one more after each redrive.
    pub generation: u32,
    /// Which try of that generation, from 1.
    pub attempt_no: u32,
    /// When it was sent; of old records it is not known.
    pub sent_at: Option<Timestamp>,
    /// The status, where there was one.
    pub http_status: Option<u16>,
    /// How it failed; absent for one that arrived.
    pub class: Option<FailureClass>,
    /// Why it was the last one; absent where another followed or it arrived.
    pub ended: Option<DeadReason>,
    /// How long it took.
    pub latency_ms: Option<u32>,
    /// Names of the keys that signed it.
    pub key_ids: Vec<KeyId>,
    /// SHA-256 of the body that was sent.
    pub body_sha256: Option<Digest32>,
    /// SHA-256 of the URL that it was sent to.
    pub endpoint_url_sha256: Option<Digest32>,
    /// The receiver's own document number.
    pub receiver_ref: Option<String>,
    /// The beginning of what came back, redacted; absent where nothing came or it is erased.
    pub answer: Option<String>,
}

impl Try {
    fn of(event: &Event) -> Option<Self> {
        let blank = |generation, attempt_no| Self {
            generation,
            attempt_no,
            sent_at: None,
            http_status: None,
            class: None,
            ended: None,
            latency_ms: None,
            key_ids: vec![],
            body_sha256: None,
            endpoint_url_sha256: None,
            receiver_ref: None,
            answer: None,
        };
        let (mut shown, tried) = match event {
            Event::Succeeded {
                of: _,
                attempt_no,
                generation,
                http_status,
                latency_ms,
                body_sha256,
                key_ids,
                sent_at,
                receiver_ref,
                endpoint_url_sha256,
            } => {
                return Some(Self {
                    sent_at: Some(*sent_at),
                    http_status: Some(*http_status),
                    latency_ms: Some(*latency_ms),
                    key_ids: key_ids.clone(),
                    body_sha256: Some(*body_sha256),
                    endpoint_url_sha256: *endpoint_url_sha256,
                    receiver_ref: receiver_ref.clone(),
                    ..blank(*generation, *attempt_no)
                });
            }
            Event::AttemptFailed {
                attempt_no,
                generation,
                class,
                http_status,
                tried,
                ..
            } => {
                let shown = Self {
                    class: Some(*class),
                    http_status: *http_status,
                    ..blank(*generation, *attempt_no)
                };
                (shown, tried)
            }
            // What waited too long was ended by no try.
            Event::DeadLettered {
                reason: DeadReason::MaxAge,
                ..
            }
            | Event::Quarantined { .. }
            | Event::Redriven { .. }
            | Event::Abandoned { .. }
            | Event::AcknowledgedByPull { .. } => return None,
            Event::DeadLettered {
                reason,
                attempts,
                generation,
                http_status,
                class,
                tried,
                ..
            } => {
                let shown = Self {
                    class: *class,
                    ended: Some(*reason),
                    http_status: *http_status,
                    ..blank(*generation, *attempts)
                };
                (shown, tried)
            }
        };
        if let Some(tried) = tried {
            shown.sent_at = Some(tried.sent_at);
            shown.latency_ms = Some(tried.latency_ms);
            shown.key_ids = tried.key_ids.clone();
            shown.body_sha256 = Some(tried.body_sha256);
            shown.endpoint_url_sha256 = Some(tried.endpoint_url_sha256);
        }
        Some(shown)
    }
}

impl App {
    /// A delivery of the merchant in full.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn delivery(
        &self,
        merchant: &MerchantId,
        id: &DeliveryId,
    ) -> Result<DeliveryDetail, AppError> {
        let row = self.delivery_row(merchant, id).await?;
        let body = self.delivery_body(&row).await?;
        let recorded = self.recorded_of(id).await?;
        let mut tries = tries_of(&recorded)?;
        let excerpts = self.ops.excerpts(id).await.map_err(AppError::bug)?;
        for shown in &mut tries {
            let of_it = |known: &&Excerpt| {
                (known.generation, known.attempt_no) == (shown.generation, shown.attempt_no)
            };
            let kept = excerpts.iter().find(of_it);
            shown.answer = kept.map(|kept| String::from_utf8_lossy(&kept.bytes).into_owned());
        }
        let history = recorded.into_iter().map(|envelope| {
            json!({
                "what": envelope.event_type, "when": envelope.recorded_at, "who": envelope.actor.display(),
                "why": envelope.reason.map(|reason| reason.code), "data": envelope.data,
            })
        });
        Ok(DeliveryDetail {
            row,
            body,
            tries,
            history: history.collect(),
        })
    }

    /// The tries of a delivery, without what came back.
    pub(super) async fn tries_of(&self, id: &DeliveryId) -> Result<Vec<Try>, AppError> {
        tries_of(&self.recorded_of(id).await?)
    }

    async fn recorded_of(&self, id: &DeliveryId) -> Result<Vec<Envelope>, AppError> {
        let (stream, mut from) = (StreamId::delivery(id), Version::FIRST);
        let mut found = vec![];
        loop {
            let store = self.recorder.store();
            let page = store.read_stream(&stream, from, PAGE).await?;
            let full = page.len() == PAGE;
            for recorded in page {
                from = recorded.record.version.next();
                found.push(recorded.envelope().map_err(AppError::bug)?);
            }
            if !full {
                return Ok(found);
            }
        }
    }
}

fn tries_of(recorded: &[Envelope]) -> Result<Vec<Try>, AppError> {
    let events = recorded.iter().map(decode::<Event>);
    let shown = events.filter_map(|event| event.map(|event| Try::of(&event)).transpose());
    shown.collect::<Result<_, _>>().map_err(AppError::bug)
}
