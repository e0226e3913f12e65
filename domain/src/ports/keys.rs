//! Data keys, evidence and shared secrets.

use std::pin::Pin;

use async_trait::async_trait;

use super::event_store::BoxError;
use crate::ids::{KeyId, MerchantId};
use crate::sealed::{Commitment, KeyScope, Place, Sealed};
use crate::time::Timestamp;

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The key was destroyed: what it sealed is erased.
    #[error("the key was destroyed")]
    Destroyed,
    /// No such key.
    #[error("the key is not known")]
    UnknownKey,
    /// The ciphertext was changed or moved.
    #[error("the sealed part does not open at this place")]
    NotAuthentic,
    /// The keyring did not answer.
    #[error("the keyring did not answer")]
    Unavailable(#[source] BoxError),
}

/// Data keys, one per [`KeyScope`], wrapped under a key-encryption key that lives outside of the
/// data folder.
#[async_trait]
pub trait Keyring: Send + Sync {
    /// Seals `plain` under the scope's key; the key is made when it does not exist yet.
    ///
    /// # Errors
    /// [`KeyringError::Destroyed`] for a scope whose key was destroyed.
    async fn seal(
        &self,
        scope: &KeyScope,
        place: &Place<'_>,
        plain: &[u8],
    ) -> Result<Sealed, KeyringError>;

    /// Opens a sealed part at its place.
    ///
    /// # Errors
    /// [`KeyringError`].
    async fn open(&self, sealed: &Sealed, place: &Place<'_>) -> Result<Vec<u8>, KeyringError>;
}

/// Why evidence could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// Its key was destroyed, or the blob was swept.
    #[error("the evidence is gone")]
    Gone,
    /// The blob is not what its commitment says.
    #[error("the evidence was altered")]
    NotAuthentic,
    /// It holds something that looks like a card number and was not kept.
    #[error("the bytes hold something that looks like a card number and are not kept")]
    CardNumber,
    /// The store did not answer.
    #[error("the evidence store did not answer")]
    Unavailable(#[source] BoxError),
}

/// An opened blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceBlob {
    /// Media type.
    pub media: String,
    /// The raw bytes.
    pub bytes: Vec<u8>,
}

/// A blob on its way to the disk.
pub type Keeping<'a> = Pin<Box<dyn Future<Output = Result<Commitment, EvidenceError>> + Send + 'a>>;

/// Raw bytes (notifications, look-up answers, payer notices), sealed, named by their commitment,
/// and durable before the event that names them.
#[async_trait]
pub trait EvidenceStore: Send + Sync {
    /// Keeps `bytes` and commits to them. Each call draws a new nonce, so equal bytes get unequal
    /// commitments.
    ///
    /// # Errors
    /// [`EvidenceError::CardNumber`] keeps nothing.
    fn keep<'a>(&'a self, scope: &'a KeyScope, media: &'a str, bytes: &'a [u8]) -> Keeping<'a> {
        self.keep_knowing(scope, media, bytes, &[])
    }

    /// As [`EvidenceStore::keep`], where `known` are identifiers that were read out of `bytes` and
    /// stand in the event anyway: one of them in long digits is not taken for a card number.
    ///
    /// # Errors
    /// [`EvidenceError::CardNumber`] keeps nothing.
    async fn keep_knowing(
        &self,
        scope: &KeyScope,
        media: &str,
        bytes: &[u8],
        known: &[&str],
    ) -> Result<Commitment, EvidenceError>;

    /// Opens what a commitment names.
    ///
    /// # Errors
    /// [`EvidenceError`].
    async fn open(&self, commitment: &Commitment) -> Result<EvidenceBlob, EvidenceError>;
}

/// What a shared secret is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretPurpose {
    /// Checks a provider account's notifications (`provider-inbound:<account>`).
    ProviderInbound(String),
    /// Signs calls to a provider (`provider-api:<account>`).
    ProviderApi(String),
    /// Signs deliveries to a subscriber (`subscriber:<id>`).
    Subscriber(String),
    /// Hash of a person's password (`operator-password:<id>`).
    OperatorPassword(String),
    /// Secret of a person's one-time codes (`operator-totp:<id>`).
    OperatorTotp(String),
}

impl SecretPurpose {
    /// As the `secret` table stores it.
    pub fn as_text(&self) -> String {
        match self {
            Self::ProviderInbound(account) => format!("provider-inbound:{account}"),
            Self::ProviderApi(account) => format!("provider-api:{account}"),
            Self::Subscriber(id) => format!("subscriber:{id}"),
            Self::OperatorPassword(id) => format!("operator-password:{id}"),
            Self::OperatorTotp(id) => format!("operator-totp:{id}"),
        }
    }

    /// From that text.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        let name = name.to_owned();
        match kind {
            "provider-inbound" => Some(Self::ProviderInbound(name)),
            "provider-api" => Some(Self::ProviderApi(name)),
            "subscriber" => Some(Self::Subscriber(name)),
            "operator-password" => Some(Self::OperatorPassword(name)),
            "operator-totp" => Some(Self::OperatorTotp(name)),
            _ => None,
        }
    }
}

/// A shared secret with its validity. `Debug` hides the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its name; this is what events and logs may say.
    pub key_id: KeyId,
    /// The secret as the other side wrote it (`whsec_...`, hexadecimal, plain).
    pub value: Vec<u8>,
    /// Valid from.
    pub valid_from: Timestamp,
    /// Valid until, where it is being rotated out.
    pub valid_until: Option<Timestamp>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({}, ***)", self.key_id)
    }
}

/// Shared secrets by merchant and purpose, wrapped like data keys. Several may be valid at once
/// while one is rotated.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// Secrets that are valid at `now`, newest first.
    ///
    /// # Errors
    /// [`KeyringError::Unavailable`].
    async fn active(
        &self,
        merchant: &MerchantId,
        purpose: &SecretPurpose,
        now: Timestamp,
    ) -> Result<Vec<Secret>, KeyringError>;

    /// Stores a secret. The same key id again replaces its validity only when the value is equal.
    ///
    /// # Errors
    /// [`KeyringError::NotAuthentic`] when the key id stands for another value.
    async fn set(
        &self,
        merchant: &MerchantId,
        purpose: &SecretPurpose,
        secret: Secret,
    ) -> Result<(), KeyringError>;

    /// Forgets a secret for good; one that is not there is forgotten already.
    ///
    /// # Errors
    /// [`KeyringError::Unavailable`]; until a call succeeded, it may still be there.
    async fn remove(
        &self,
        merchant: &MerchantId,
        purpose: &SecretPurpose,
        key_id: &KeyId,
    ) -> Result<(), KeyringError>;

    /// Ids and validity of all secrets of a merchant, without their values.
    ///
    /// # Errors
    /// [`KeyringError::Unavailable`].
    async fn list(
        &self,
        merchant: &MerchantId,
    ) -> Result<Vec<(SecretPurpose, KeyId, Timestamp, Option<Timestamp>)>, KeyringError>;
}
