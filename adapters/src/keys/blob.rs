//! One blob of evidence: sealed under its commitment, and opened only as what it was. Where it is
//! kept is the store's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::EventId;
use domain::ports::{Entropy, EvidenceBlob, EvidenceError, Keyring, KeyringError};
use domain::sealed::{Commitment, KeyScope, Place, Sealed};
use domain::stream::StreamId;
use serde::{Deserialize, Serialize};

/// What is to be kept, and the numbers in it that are known to be no card's.
pub(super) struct Blob<'a> {
    pub media: &'a str,
    pub bytes: &'a [u8],
    pub known: &'a [&'a str],
}

impl Blob<'_> {
    /// Draws the nonce and seals; refuses card numbers.
    pub(super) async fn seal(
        &self,
        keyring: &dyn Keyring,
        entropy: &dyn Entropy,
        scope: &KeyScope,
    ) -> Result<(Commitment, Sealed), EvidenceError> {
        if domain::pan::holds_card_number(self.bytes, self.known) {
            return Err(EvidenceError::CardNumber);
        }
        let mut nonce = [0; 32];
        entropy.fill(&mut nonce);
        let commitment = Commitment::to(&nonce, self.bytes);
        let content = serde_json::to_vec(&Content::new(nonce, self.media, self.bytes))
            .map_err(|error| EvidenceError::Unavailable(error.into()))?;
        let field = field_of(&commitment);
        let sealed = keyring
            .seal(scope, &place(&StreamId::instance(), &field), &content)
            .await;
        Ok((commitment, sealed.map_err(of_keyring)?))
    }
}

/// Opens a sealed blob, if it is what its commitment says.
pub(super) async fn open(
    keyring: &dyn Keyring,
    sealed: &Sealed,
    commitment: &Commitment,
) -> Result<EvidenceBlob, EvidenceError> {
    let field = field_of(commitment);
    let content = keyring
        .open(sealed, &place(&StreamId::instance(), &field))
        .await;
    let content: Content = serde_json::from_slice(&content.map_err(of_keyring)?)
        .map_err(|_| EvidenceError::NotAuthentic)?;
    content.checked(commitment)
}

/// Blobs are bound to their commitment, not to a record: several records may name one.
fn place<'a>(stream: &'a StreamId, field: &'a str) -> Place<'a> {
    Place {
        origin: "evidence",
        stream,
        event_id: EventId::from_parts(0, [0; 10]),
        field,
    }
}

fn field_of(commitment: &Commitment) -> String {
    format!("evidence/{}", commitment.0)
}

fn of_keyring(error: KeyringError) -> EvidenceError {
    match error {
        KeyringError::Destroyed => EvidenceError::Gone,
        KeyringError::NotAuthentic => EvidenceError::NotAuthentic,
        KeyringError::Unavailable(cause) => EvidenceError::Unavailable(cause),
        // Not erased, but lost: another keyring than the one that sealed it.
        KeyringError::UnknownKey => EvidenceError::Unavailable(KeyringError::UnknownKey.into()),
    }
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Content {
    nonce: String,
    media: String,
    bytes: String,
}

impl Content {
    fn new(nonce: [u8; 32], media: &str, bytes: &[u8]) -> Self {
        Self {
            nonce: STANDARD.encode(nonce),
            media: media.to_owned(),
            bytes: STANDARD.encode(bytes),
        }
    }

    /// The blob, if it is what its commitment says.
    fn checked(self, commitment: &Commitment) -> Result<EvidenceBlob, EvidenceError> {
        let decode = |text: &str| {
            STANDARD
                .decode(text)
                .map_err(|_| EvidenceError::NotAuthentic)
        };
        let nonce: [u8; 32] = decode(&self.nonce)?
            .try_into()
            .map_err(|_| EvidenceError::NotAuthentic)?;
        let bytes = decode(&self.bytes)?;
        if Commitment::to(&nonce, &bytes) != *commitment {
            return Err(EvidenceError::NotAuthentic);
        }
        Ok(EvidenceBlob {
            media: self.media,
            bytes,
        })
    }
}
