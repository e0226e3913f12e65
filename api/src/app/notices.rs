//! Payer notices: what a customer tells or shows us. Sealed as evidence, a reason to ask the
//! provider, and never proof.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::PaymentRequestId;
use domain::payment::Command;
use domain::payment::event::NoticeKind;
use domain::sealed::{EvidenceRef, KeyScope};

use super::App;
use super::caller::Caller;
use super::context::Context;
use super::error::AppError;
use super::requests::{Executed, Order};

/// Longest notice in bytes; a body holds no more.
pub const NOTICE_BYTES_MAX: usize = 45_000;

/// A notice that was read.
#[derive(Debug, Clone)]
pub struct NewNotice {
    kind: NoticeKind,
    media: &'static str,
    bytes: Vec<u8>,
}

impl NewNotice {
    /// A text, or a picture in base64 whose type is told by its first bytes.
    ///
    /// # Errors
    /// A sentence for the caller.
    pub fn parse(
        kind: NoticeKind,
        text: Option<String>,
        image: Option<String>,
    ) -> Result<Self, &'static str> {
        let (media, bytes) = match (text, image) {
            (Some(text), _) => ("text/plain; charset=utf-8", text.into_bytes()),
            (None, Some(image)) => {
                let bytes = STANDARD.decode(image).map_err(|_| "is not base64")?;
                (
                    picture(&bytes).ok_or("is neither PNG, JPEG nor WebP")?,
                    bytes,
                )
            }
            (None, None) => ("text/plain; charset=utf-8", vec![]),
        };
        if kind == NoticeKind::Screenshot && !media.starts_with("image/") {
            return Err("is needed for a screenshot");
        }
        if bytes.len() > NOTICE_BYTES_MAX {
            return Err("is longer than 45,000 bytes");
        }
        Ok(Self { kind, media, bytes })
    }
}

impl NewNotice {
    /// What may be fingerprinted: nothing that a person wrote or photographed.
    pub fn outline(&self) -> serde_json::Value {
        serde_json::json!({ "kind": self.kind, "media": self.media, "bytes": self.bytes.len() })
    }
}

fn picture(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

impl App {
    /// Records a notice (row H1). The look-up follows from the event.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn record_notice(
        &self,
        caller: &Caller,
        context: &Context,
        id: &PaymentRequestId,
        notice: NewNotice,
    ) -> Result<Executed, AppError> {
        let visible = self.visible_request(caller, id).await?;
        if let Some(earlier) = self.replay_of(context, id).await? {
            return Ok(earlier);
        }
        let merchant = visible.request.terms().merchant.clone();
        let scope = KeyScope::PaymentRequest {
            merchant,
            id: id.clone(),
        };
        let commitment = self
            .evidence
            .keep(&scope, notice.media, &notice.bytes)
            .await?;
        let command = Command::RecordNotice {
            kind: notice.kind,
            media: notice.media.to_owned(),
            bytes: u32::try_from(notice.bytes.len()).unwrap_or(u32::MAX),
        };
        let evidence = vec![EvidenceRef {
            kind: "payer_notice".to_owned(),
            commitment,
            media: notice.media.to_owned(),
            reference: None,
        }];
        let order = Order {
            evidence,
            ..Order::of(&command)
        };
        self.execute_order(id, context, order)
            .await?
            .map_err(|_| AppError::Contended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_told_by_their_first_bytes() {
        let png = STANDARD.encode([0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0]);
        assert!(NewNotice::parse(NoticeKind::Screenshot, None, Some(png)).is_ok());
        let html = STANDARD.encode("<html>");
        assert!(NewNotice::parse(NoticeKind::Screenshot, None, Some(html)).is_err());
        assert!(NewNotice::parse(NoticeKind::Screenshot, Some("paid".into()), None).is_err());
        assert!(NewNotice::parse(NoticeKind::Message, Some("paid".into()), None).is_ok());
    }
}
