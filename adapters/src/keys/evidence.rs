//! Evidence on disk: one sealed file per blob, named by its commitment, durable before the event
//! that names it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use domain::ports::{BoxError, Entropy, EvidenceBlob, EvidenceError, EvidenceStore, Keyring};
use domain::sealed::{Commitment, KeyScope, Sealed};

use super::blob::{self, Blob};

/// The folder `evidence/`.
pub struct FileEvidenceStore {
    folder: PathBuf,
    keyring: Arc<dyn Keyring>,
    entropy: Arc<dyn Entropy>,
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

fn unavailable(error: impl Into<BoxError>) -> EvidenceError {
    EvidenceError::Unavailable(error.into())
}

#[async_trait]
impl EvidenceStore for FileEvidenceStore {
    async fn keep_knowing(
        &self,
        scope: &KeyScope,
        media: &str,
        bytes: &[u8],
        known: &[&str],
    ) -> Result<Commitment, EvidenceError> {
        let blob = Blob {
            media,
            bytes,
            known,
        };
        let (commitment, sealed) = blob.seal(&*self.keyring, &*self.entropy, scope).await?;
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
        blob::open(&*self.keyring, &sealed, commitment).await
    }
}

/// Whole or not at all: a temporary file, synced, renamed, and the folder synced. What fails leaves
/// no half of a file behind; what a crash leaves has the ending `new` and is no blob.
fn write_durably(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let written = write_whole(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    if let Err(error) = written {
        // The first error is the one to tell; there may be nothing to remove.
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    File::open(folder)?.sync_all()
}

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use domain::ids::MerchantId;

    use super::*;
    use crate::keys::{MemoryEvidence, MemoryKeyring};
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
    async fn blobs_are_their_owners_alone_and_a_failed_write_leaves_none() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("evidence");
        let keyring = Arc::new(MemoryKeyring::new(Arc::new(OsEntropy)));
        let store = FileEvidenceStore::open(&folder, keyring, Arc::new(OsEntropy)).unwrap();
        let kept = store.keep(&scope(), "text/plain", b"x").await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&store.path(&kept))), (0o700, 0o600));
        // A folder where the blob should come to stand: the rename fails.
        let taken = folder.join("taken");
        std::fs::create_dir(&taken).unwrap();
        std::fs::write(taken.join("in it"), "x").unwrap();
        assert!(write_durably(&folder, &taken, b"x").is_err());
        let names = std::fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().file_name());
        assert_eq!(names.count(), 2);
        std::fs::remove_dir_all(&folder).unwrap();
        let lost = store.keep(&scope(), "text/plain", b"x").await;
        assert!(matches!(lost, Err(EvidenceError::Unavailable(_))));
    }

    #[tokio::test]
    async fn a_destroyed_key_erases_and_a_lost_one_is_no_erasure() {
        let folder = tempfile::tempdir().unwrap();
        let entropy = Arc::new(OsEntropy);
        let keyring = Arc::new(MemoryKeyring::new(entropy.clone()));
        let store =
            FileEvidenceStore::open(folder.path(), keyring.clone(), entropy.clone()).unwrap();
        let kept = store.keep(&scope(), "text/plain", b"x").await.unwrap();
        let other = Arc::new(MemoryKeyring::new(entropy.clone()));
        let strange = FileEvidenceStore::open(folder.path(), other, entropy).unwrap();
        let opened = strange.open(&kept).await;
        assert!(matches!(opened, Err(EvidenceError::Unavailable(_))));
        keyring.destroy(&scope());
        assert!(matches!(store.open(&kept).await, Err(EvidenceError::Gone)));
        let kept = store.keep(&scope(), "text/plain", b"x").await;
        assert!(matches!(kept, Err(EvidenceError::Gone)));
    }

    #[tokio::test]
    async fn a_providers_long_number_costs_no_evidence_and_hides_no_card() {
        let keyring = Arc::new(MemoryKeyring::new(Arc::new(OsEntropy)));
        let store = MemoryEvidence::new(keyring, Arc::new(OsEntropy));
        let bytes = br#"{"id":"5500005555555559"}"#;
        let known = ["5500005555555559"];
        let keep = async |bytes, known| {
            store
                .keep_knowing(&scope(), "application/json", bytes, known)
                .await
        };
        let kept = keep(bytes, &known).await.unwrap();
        assert_eq!(store.open(&kept).await.unwrap().bytes, bytes);
        assert!(matches!(
            keep(bytes, &[]).await,
            Err(EvidenceError::CardNumber)
        ));
        let card = br#"{"id":"5500005555555559","note":"4111 1111 1111 1111"}"#;
        assert!(matches!(
            keep(card, &known).await,
            Err(EvidenceError::CardNumber)
        ));
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
