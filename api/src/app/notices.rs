//! Payer notices: what a customer tells or shows us. Sealed as evidence, a reason to ask the
//! provider, and never proof.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::{PaymentRequestId, ProviderRef};
use domain::money::Money;
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
    /// Identifiers among the bytes, which may be long digits.
    known: Vec<String>,
}

/// Which field is wrong, and a sentence about it.
pub type Complaint = (&'static str, &'static str);

impl NewNotice {
    /// A text, or a picture in base64. Of what type the picture is, its first bytes tell, whatever
    /// anybody says.
    ///
    /// # Errors
    /// [`Complaint`].
    pub fn parse(
        kind: NoticeKind,
        text: Option<String>,
        image: Option<String>,
    ) -> Result<Self, Complaint> {
        const IMAGE: &str = "image_base64";
        let (media, bytes) = match (text, image) {
            (Some(_), Some(_)) => return Err(("text", "send text or image_base64, not both")),
            (Some(text), None) => ("text/plain; charset=utf-8", text.into_bytes()),
            (None, Some(image)) => {
                let bytes = STANDARD
                    .decode(image)
                    .map_err(|_| (IMAGE, "is not base64"))?;
                let media = picture(&bytes).ok_or((IMAGE, "is neither PNG, JPEG nor WebP"))?;
                (media, bytes)
            }
            (None, None) => ("text/plain; charset=utf-8", vec![]),
        };
        match kind {
            NoticeKind::Screenshot if !media.starts_with("image/") => {
                Err((IMAGE, "is needed for a screenshot"))
            }
            NoticeKind::Message if bytes.is_empty() => Err(("text", "is needed for a message")),
            NoticeKind::Screenshot | NoticeKind::Message | NoticeKind::SuccessPage => {
                Self::of(kind, media, bytes)
            }
        }
    }

    /// What Telegram told a bot of a payment: its ids, Telegram's first, and its amount. The sealed
    /// JSON has the names of Telegram's own.
    pub fn of_telegram([telegram, provider]: &[ProviderRef; 2], amount: Money) -> Self {
        let told = serde_json::json!({
            "telegram_payment_charge_id": telegram,
            "provider_payment_charge_id": provider,
            "currency": amount.currency(),
            "total_amount": amount.minor(),
        });
        Self {
            kind: NoticeKind::Message,
            media: "application/json",
            bytes: told.to_string().into_bytes(),
            known: vec![telegram.to_string(), provider.to_string()],
        }
    }

    fn of(kind: NoticeKind, media: &'static str, bytes: Vec<u8>) -> Result<Self, Complaint> {
        if bytes.len() > NOTICE_BYTES_MAX {
            let field = if media.starts_with("image/") {
                "image_base64"
            } else {
                "text"
            };
            return Err((field, "is longer than 45,000 bytes"));
        }
        let known = vec![];
        Ok(Self {
            kind,
            media,
            bytes,
            known,
        })
    }

    /// Media type and bytes.
    pub fn into_content(self) -> (&'static str, Vec<u8>) {
        (self.media, self.bytes)
    }

    /// What may be fingerprinted: nothing that a person wrote or photographed.
    pub fn outline(&self) -> serde_json::Value {
        serde_json::json!({ "kind": self.kind, "media": self.media, "bytes": self.bytes.len() })
    }
}

/// The media type of a picture, by its first bytes.
pub(super) fn picture(bytes: &[u8]) -> Option<&'static str> {
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
        let known: Vec<&str> = notice.known.iter().map(String::as_str).collect();
        let commitment = self
            .evidence
            .keep_knowing(&scope, notice.media, &notice.bytes, &known)
            .await?;
        let mut accounts = visible.request.attempts().values().map(|a| &a.account);
        let command = Command::RecordNotice {
            kind: notice.kind,
            media: notice.media.to_owned(),
            bytes: u32::try_from(notice.bytes.len()).unwrap_or(u32::MAX),
            askable: accounts.any(|account| self.can_ask(account)),
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

    const PNG: [u8; 9] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0];

    fn media(image: &[u8]) -> Result<&'static str, Complaint> {
        let image = Some(STANDARD.encode(image));
        NewNotice::parse(NoticeKind::Screenshot, None, image).map(|notice| notice.media)
    }

    #[test]
    fn pictures_are_told_by_their_first_bytes() {
        assert_eq!(media(&PNG), Ok("image/png"));
        assert_eq!(media(&[0xff, 0xd8, 0xff, 0xe0, 0]), Ok("image/jpeg"));
        assert_eq!(media(b"RIFF\0\0\0\0WEBPVP8 "), Ok("image/webp"));
        let neither = Err(("image_base64", "is neither PNG, JPEG nor WebP"));
        for other in [
            b"<html><script>".as_slice(),
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"GIF89a",
            b"%PDF-1.7",
            b"RIFF\0\0\0\0WAVE",
            b" \x89PNG\r\n\x1a\n",
            b"",
        ] {
            assert_eq!(media(other), neither, "{other:?}");
        }
    }

    #[test]
    fn a_notice_is_of_one_kind_and_not_empty() {
        let parse = |kind, text: Option<&str>, image: Option<&[u8]>| {
            let image = image.map(|bytes| STANDARD.encode(bytes));
            let parsed = NewNotice::parse(kind, text.map(str::to_owned), image);
            parsed.map(|_| ()).map_err(|(field, _)| field)
        };
        let (shot, message) = (NoticeKind::Screenshot, NoticeKind::Message);
        assert_eq!(parse(message, Some("paid"), None), Ok(()));
        assert_eq!(parse(message, None, Some(&PNG)), Ok(()));
        assert_eq!(parse(NoticeKind::SuccessPage, None, None), Ok(()));
        assert_eq!(parse(shot, Some("paid"), None), Err("image_base64"));
        assert_eq!(parse(shot, None, None), Err("image_base64"));
        assert_eq!(parse(message, None, None), Err("text"));
        assert_eq!(parse(message, Some("x"), Some(&PNG)), Err("text"));
        let not_base64 = NewNotice::parse(shot, None, Some("%%%".to_owned()));
        assert_eq!(not_base64.unwrap_err(), ("image_base64", "is not base64"));
    }

    #[test]
    fn a_notice_has_a_largest_size() {
        let text = |length| {
            let text = Some("x".repeat(length));
            NewNotice::parse(NoticeKind::Message, text, None)
                .map(|_| ())
                .map_err(|(field, _)| field)
        };
        assert_eq!(text(NOTICE_BYTES_MAX), Ok(()));
        assert_eq!(text(NOTICE_BYTES_MAX + 1), Err("text"));
        let mut large = PNG.to_vec();
        large.resize(NOTICE_BYTES_MAX + 1, 0);
        let long = Err(("image_base64", "is longer than 45,000 bytes"));
        assert_eq!(media(&large), long);
    }
}
