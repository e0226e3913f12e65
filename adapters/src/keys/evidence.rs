//! Evidence on disk: one sealed file per blob, named by its commitment, durable before the event
//! that names it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use domain::ids::EventId;
use domain::ports::{
    BoxError, Entropy, EvidenceBlob, EvidenceError, EvidenceStore, Keyring, KeyringError,
};
use domain::sealed::{Commitment, KeyScope, Place, Sealed};
use domain::stream::StreamId;
use serde::{Deserialize, Serialize};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The folder `evidence/`.
pub struct FileEvidenceStore {
    folder: PathBuf,
    keyring: Arc<dyn Keyring>,
    entropy: Arc<dyn Entropy>,
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct Content {
    nonce: String,
    media: String,
    bytes: String,
}

impl Content {
    pub(super) fn new(nonce: [u8; 32], media: &str, bytes: &[u8]) -> Self {
        Self {
            nonce: STANDARD.encode(nonce),
            media: media.to_owned(),
            bytes: STANDARD.encode(bytes),
        }
    }

    /// The blob, if it is what its commitment says.
    pub(super) fn checked(self, commitment: &Commitment) -> Result<EvidenceBlob, EvidenceError> {
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

impl FileEvidenceStore {
    /// Opens the folder; makes it where it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(
        folder: &Path,
        keyring: Arc<dyn Keyring>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, crate::sqlite::open::OpenError> {
        crate::sqlite::open::make_private_folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            keyring,
            entropy,
        })
    }

    fn path(&self, commitment: &Commitment) -> PathBuf {
        self.folder.join(commitment.0.to_string())
    }
}

/// Blobs are bound to their commitment, not to a record: several records may name one.
pub(super) fn place_of(commitment: &Commitment) -> (StreamId, EventId, String) {
    (
        StreamId::instance(),
        EventId::from_parts(0, [0; 10]),
        format!("evidence/{}", commitment.0),
    )
}

pub(super) fn of_keyring(error: KeyringError) -> EvidenceError {
    match error {
        KeyringError::Destroyed | KeyringError::UnknownKey => EvidenceError::Gone,
        KeyringError::NotAuthentic => EvidenceError::NotAuthentic,
        KeyringError::Unavailable(cause) => EvidenceError::Unavailable(cause),
    }
}

pub(super) fn refuse_card_numbers(bytes: &[u8]) -> Result<(), EvidenceError> {
    if domain::pan::find_card_number(bytes).is_some() {
        Err(EvidenceError::CardNumber)
    } else {
        Ok(())
    }
}

fn unavailable(error: impl Into<BoxError>) -> EvidenceError {
    EvidenceError::Unavailable(error.into())
}

#[async_trait]
impl EvidenceStore for FileEvidenceStore {
    async fn keep(
        &self,
        scope: &KeyScope,
        media: &str,
        bytes: &[u8],
    ) -> Result<Commitment, EvidenceError> {
        refuse_card_numbers(bytes)?;
        let mut nonce = [0; 32];
        self.entropy.fill(&mut nonce);
        let commitment = Commitment::to(&nonce, bytes);
        let content =
            serde_json::to_vec(&Content::new(nonce, media, bytes)).map_err(unavailable)?;
        let (stream, event_id, field) = place_of(&commitment);
        let place = Place {
            origin: "evidence",
            stream: &stream,
            event_id,
            field: &field,
        };
        let sealed = self
            .keyring
            .seal(scope, &place, &content)
            .await
            .map_err(of_keyring)?;
        let sealed = serde_json::to_vec(&sealed).map_err(unavailable)?;
        let (folder, path) = (self.folder.clone(), self.path(&commitment));
        let written =
            tokio::task::spawn_blocking(move || write_durably(&folder, &path, &sealed)).await;
        written.map_err(unavailable)?.map_err(unavailable)?;
        Ok(commitment)
    }

    async fn open(&self, commitment: &Commitment) -> Result<EvidenceBlob, EvidenceError> {
        let sealed = match tokio::fs::read(self.path(commitment)).await {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(EvidenceError::Gone);
            }
            Err(error) => return Err(unavailable(error)),
        };
        let sealed: Sealed =
            serde_json::from_slice(&sealed).map_err(|_| EvidenceError::NotAuthentic)?;
        let (stream, event_id, field) = place_of(commitment);
        let place = Place {
            origin: "evidence",
            stream: &stream,
            event_id,
            field: &field,
        };
        let content = self
            .keyring
            .open(&sealed, &place)
            .await
            .map_err(of_keyring)?;
        let content: Content =
            serde_json::from_slice(&content).map_err(|_| EvidenceError::NotAuthentic)?;
        content.checked(commitment)
    }
}

/// Whole or not at all: a temporary file, synced, renamed, and the folder synced.
fn write_durably(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use domain::ids::MerchantId;

    use super::*;
    use crate::keys::MemoryKeyring;
    use crate::system::OsEntropy;

    fn scope() -> KeyScope {
        KeyScope::Notes {
            merchant: MerchantId::parse("shop").unwrap(),
        }
    }

    #[tokio::test]
    async fn a_blob_comes_back_as_it_was_and_an_altered_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Arc::new(MemoryKeyring::new(Arc::new(OsEntropy)));
        let store = FileEvidenceStore::open(folder.path(), keyring, Arc::new(OsEntropy)).unwrap();
        let first = store
            .keep(&scope(), "text/plain", b"paid +37491000000")
            .await
            .unwrap();
        let second = store
            .keep(&scope(), "text/plain", b"paid +37491000000")
            .await
            .unwrap();
        assert_ne!(
            first, second,
            "equal bytes must not be told by equal commitments"
        );
        assert_eq!(
            store.open(&first).await.unwrap().bytes,
            b"paid +37491000000"
        );
        let raw = std::fs::read(store.path(&first)).unwrap();
        assert!(!String::from_utf8_lossy(&raw).contains("37491000000"));
        std::fs::copy(store.path(&second), store.path(&first)).unwrap();
        assert!(matches!(
            store.open(&first).await,
            Err(EvidenceError::NotAuthentic)
        ));
        std::fs::remove_file(store.path(&first)).unwrap();
        assert!(matches!(store.open(&first).await, Err(EvidenceError::Gone)));
    }

    #[tokio::test]
    async fn card_numbers_are_never_kept() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Arc::new(MemoryKeyring::new(Arc::new(OsEntropy)));
        let store = FileEvidenceStore::open(folder.path(), keyring, Arc::new(OsEntropy)).unwrap();
        let kept = store
            .keep(&scope(), "text/plain", b"card 4111 1111 1111 1111")
            .await;
        assert!(matches!(kept, Err(EvidenceError::CardNumber)));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
