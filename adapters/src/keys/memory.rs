//! Keyring and evidence in memory, with the same cipher, for tests and simulations.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use domain::ids::{KeyId, MerchantId};
use domain::ports::{
    Entropy, EvidenceBlob, EvidenceError, EvidenceStore, Keyring, KeyringError, Secret,
    SecretPurpose, Secrets,
};
use domain::sealed::{Commitment, KeyScope, Place, Sealed};
use domain::time::Timestamp;

use super::blob::{self, Blob};
use super::cipher::DataKey;

type SecretKey = (MerchantId, SecretPurpose, KeyId);

#[derive(Default)]
struct Keys {
    live: BTreeMap<KeyScope, DataKey>,
    destroyed: BTreeSet<KeyScope>,
}

/// Data keys and secrets in memory.
pub struct MemoryKeyring {
    entropy: Arc<dyn Entropy>,
    keys: Mutex<Keys>,
    secrets: Mutex<BTreeMap<SecretKey, Secret>>,
}

impl MemoryKeyring {
    /// An empty keyring.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            entropy,
            keys: Mutex::default(),
            secrets: Mutex::default(),
        }
    }

    /// Destroys a scope's key for good.
    pub fn destroy(&self, scope: &KeyScope) {
        let mut keys = locked(&self.keys);
        keys.live.remove(scope);
        keys.destroyed.insert(scope.clone());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key_id(scope: &KeyScope) -> String {
    format!("{}/{}", scope.merchant(), scope.purpose())
}

#[async_trait]
impl Keyring for MemoryKeyring {
    async fn seal(
        &self,
        scope: &KeyScope,
        place: &Place<'_>,
        plain: &[u8],
    ) -> Result<Sealed, KeyringError> {
        let key = {
            let mut keys = locked(&self.keys);
            if keys.destroyed.contains(scope) {
                return Err(KeyringError::Destroyed);
            }
            let made = || DataKey::draw(&*self.entropy);
            keys.live.entry(scope.clone()).or_insert_with(made).clone()
        };
        Ok(key.seal(&*self.entropy, &key_id(scope), place, plain))
    }

    async fn open(&self, sealed: &Sealed, place: &Place<'_>) -> Result<Vec<u8>, KeyringError> {
        let key = {
            let keys = locked(&self.keys);
            let mut live = keys.live.iter();
            match live.find(|(scope, _)| key_id(scope) == sealed.k) {
                Some((_, key)) => key.clone(),
                None if keys.destroyed.iter().any(|scope| key_id(scope) == sealed.k) => {
                    return Err(KeyringError::Destroyed);
                }
                None => return Err(KeyringError::UnknownKey),
            }
        };
        key.open(sealed, place)
    }
}

#[async_trait]
impl Secrets for MemoryKeyring {
    async fn active(
        &self,
        merchant: &MerchantId,
        purpose: &SecretPurpose,
        now: Timestamp,
    ) -> Result<Vec<Secret>, KeyringError> {
        let secrets = locked(&self.secrets);
        let of_purpose = secrets
            .iter()
            .filter(|((m, p, _), _)| m == merchant && p == purpose);
        let mut live: Vec<Secret> = of_purpose
            .map(|(_, secret)| secret.clone())
            .filter(|s| is_live(s, now))
            .collect();
        live.sort_by_key(|secret| Reverse(secret.valid_from));
        Ok(live)
    }

    async fn set(
        &self,
        merchant: &MerchantId,
        purpose: &SecretPurpose,
        secret: Secret,
    ) -> Result<(), KeyringError> {
        let key = (merchant.clone(), purpose.clone(), secret.key_id.clone());
        let mut secrets = locked(&self.secrets);
        if secrets
            .get(&key)
            .is_some_and(|known| known.value != secret.value)
        {
            return Err(KeyringError::NotAuthentic);
        }
        secrets.insert(key, secret);
        Ok(())
    }

    async fn remove(
        &self,
        merchant: &MerchantId,
        purpose: &SecretPurpose,
        key_id: &KeyId,
    ) -> Result<(), KeyringError> {
        let key = (merchant.clone(), purpose.clone(), key_id.clone());
        locked(&self.secrets).remove(&key);
        Ok(())
    }

    async fn list(
        &self,
        merchant: &MerchantId,
    ) -> Result<Vec<(SecretPurpose, KeyId, Timestamp, Option<Timestamp>)>, KeyringError> {
        let secrets = locked(&self.secrets);
        let own = secrets.iter().filter(|((m, _, _), _)| m == merchant);
        Ok(own
            .map(|((_, p, k), s)| (p.clone(), k.clone(), s.valid_from, s.valid_until))
            .collect())
    }
}

/// Valid from, and not yet out.
pub(crate) fn is_live(secret: &Secret, now: Timestamp) -> bool {
    secret.valid_from <= now && secret.valid_until.is_none_or(|until| now < until)
}

/// Evidence in memory.
pub struct MemoryEvidence {
    keyring: Arc<dyn Keyring>,
    entropy: Arc<dyn Entropy>,
    blobs: Mutex<BTreeMap<Commitment, Sealed>>,
}

impl MemoryEvidence {
    /// An empty store.
    pub fn new(keyring: Arc<dyn Keyring>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            keyring,
            entropy,
            blobs: Mutex::default(),
        }
    }

    /// How many blobs it keeps.
    pub fn kept(&self) -> usize {
        locked(&self.blobs).len()
    }
}

#[async_trait]
impl EvidenceStore for MemoryEvidence {
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
        locked(&self.blobs).insert(commitment, sealed);
        Ok(commitment)
    }

    async fn open(&self, commitment: &Commitment) -> Result<EvidenceBlob, EvidenceError> {
        let sealed = locked(&self.blobs)
            .get(commitment)
            .cloned()
            .ok_or(EvidenceError::Gone)?;
        blob::open(&*self.keyring, &sealed, commitment).await
    }
}
