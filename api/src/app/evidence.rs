//! What is kept sealed about a payment request, and opening it for a person: what a customer showed,
//! what stands behind a proposal, what a provider said. Who opened what and why is in the log before
//! the bytes leave.

use domain::actor::Actor;
use domain::ids::{MerchantId, PaymentRequestId};
use domain::payment::Command;
use domain::ports::EvidenceError;
use domain::record::Envelope;
use domain::sealed::{Commitment, EvidenceRef};
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;
use serde::Serialize;

use super::App;
use super::case_decisions::{Why, checked};
use super::context::Context;
use super::error::AppError;
use super::notices::picture;
use super::requests::{Executed, Order};

/// Events read in one go.
const PAGE: usize = 1000;

/// A sealed piece as the first record tells that names it.
#[derive(Debug, Clone, Serialize)]
pub struct KeptEvidence {
    /// Name of the sealed blob and proof of its content.
    pub commitment: Commitment,
    /// `payer_notice`, `proposal`, `notification`, `look_up`, `refund`.
    pub kind: String,
    /// Media type, as it was kept.
    pub media: String,
    /// The provider's or sender's own id for it, if any.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The event that names it first.
    pub event: String,
    /// Who that was.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

impl KeptEvidence {
    fn of(piece: &EvidenceRef, record: &Envelope) -> Self {
        Self {
            commitment: piece.commitment,
            kind: piece.kind.clone(),
            media: piece.media.clone(),
            reference: piece.reference.clone(),
            event: record.event_type.clone(),
            actor: record.actor.display(),
            at: record.recorded_at,
        }
    }
}

/// Opened evidence. `Debug` is not derived: it would show what a person wrote or photographed.
pub struct OpenedEvidence {
    /// What.
    pub commitment: Commitment,
    /// The raw bytes.
    pub bytes: Vec<u8>,
    /// What the bytes are, whatever anybody said of them: a picture by its first bytes, a text where
    /// they are one, and nothing else.
    pub media: &'static str,
    /// What writing it down did.
    pub executed: Executed,
}

impl OpenedEvidence {
    /// A name for a file of it.
    pub fn file_name(&self) -> String {
        let ending = match self.media.split_once('/') {
            Some(("image", kind)) => kind,
            Some(("text", _)) => "txt",
            Some(_) | None => "bin",
        };
        let name = self.commitment.0.to_string();
        format!("evidence-{}.{ending}", &name[..12])
    }
}

/// The media type by the bytes alone.
fn media_of(bytes: &[u8]) -> &'static str {
    match (picture(bytes), std::str::from_utf8(bytes)) {
        (Some(picture), _) => picture,
        (None, Ok(_)) => "text/plain; charset=utf-8",
        (None, Err(_)) => "application/octet-stream",
    }
}

impl App {
    /// Everything sealed that records of a request of this merchant name, oldest first.
    ///
    /// # Errors
    /// [`AppError::NotFound`] also for another merchant's; outages.
    pub async fn kept_evidence(
        &self,
        merchant: &MerchantId,
        id: &PaymentRequestId,
    ) -> Result<Vec<KeptEvidence>, AppError> {
        let no_such = || AppError::NotFound {
            what: "payment request",
        };
        let (stream, mut from) = (StreamId::payment_request(id), Version::FIRST);
        let mut kept: Vec<KeptEvidence> = vec![];
        loop {
            let store = self.recorder.store();
            let page = store.read_stream(&stream, from, PAGE).await?;
            let last = page.len() < PAGE;
            for recorded in page {
                let record: Envelope = recorded.envelope().map_err(AppError::bug)?;
                if record.merchant.as_ref() != Some(merchant) {
                    return Err(no_such());
                }
                from = record.stream_version.next();
                for piece in &record.evidence {
                    let same = |known: &KeptEvidence| known.commitment == piece.commitment;
                    if !kept.iter().any(same) {
                        kept.push(KeptEvidence::of(piece, &record));
                    }
                }
            }
            if from == Version::FIRST {
                return Err(no_such());
            }
            if last {
                return Ok(kept);
            }
        }
    }

    /// Evidence that a record of the request names.
    pub(super) async fn named_evidence(
        &self,
        merchant: &MerchantId,
        id: &PaymentRequestId,
        commitment: Commitment,
    ) -> Result<Option<EvidenceRef>, AppError> {
        let kept = self.kept_evidence(merchant, id).await?.into_iter();
        let mut named = kept.filter(|known| known.commitment == commitment);
        Ok(named.next().map(|known| EvidenceRef {
            kind: known.kind,
            commitment,
            media: known.media,
            reference: known.reference,
        }))
    }

    /// Opens a piece for a person, who says why. Nothing leaves before that is written down.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for whoever is no person; [`AppError::NotFound`] for what no record of the
    /// request names; [`AppError::EvidenceGone`]; outages.
    pub async fn open_evidence(
        &self,
        merchant: &MerchantId,
        context: &Context,
        id: &PaymentRequestId,
        commitment: Commitment,
        why: Why,
    ) -> Result<OpenedEvidence, AppError> {
        let Actor::Operator { .. } = &context.actor else {
            return Err(AppError::Forbidden {
                why: "only a person may open evidence",
            });
        };
        let reason = checked(Some(why))?;
        let named = self.named_evidence(merchant, id, commitment).await?;
        if named.is_none() {
            return Err(AppError::NotFound { what: "evidence" });
        }
        // What cannot be opened was not opened, and nobody is said to have seen it.
        let blob = match self.evidence.open(&commitment).await {
            Ok(blob) => blob,
            Err(EvidenceError::Gone) => return Err(AppError::EvidenceGone),
            Err(other) => return Err(other.into()),
        };
        let command = Command::OpenEvidence { commitment };
        let order = Order {
            reason,
            ..Order::of(&command)
        };
        let executed = self.execute_order(id, context, order).await?;
        Ok(OpenedEvidence {
            commitment,
            media: media_of(&blob.bytes),
            bytes: blob.bytes,
            executed: executed.map_err(|_| AppError::Contended)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_is_is_told_by_the_bytes_and_nothing_runs() {
        for (bytes, media) in [
            (b"\x89PNG\r\n\x1a\n..".as_slice(), "image/png"),
            (&[0xff, 0xd8, 0xff, 0xe0], "image/jpeg"),
            (b"RIFF....WEBPVP8 ", "image/webp"),
            (b"I paid", "text/plain; charset=utf-8"),
            (b"<html><script>", "text/plain; charset=utf-8"),
            (b"<svg onload='x'/>", "text/plain; charset=utf-8"),
            (b"{\"id\": 1}", "text/plain; charset=utf-8"),
            (b"", "text/plain; charset=utf-8"),
            (b"GIF89a\xff\xfe", "application/octet-stream"),
        ] {
            assert_eq!(media_of(bytes), media, "{bytes:?}");
        }
    }
}
