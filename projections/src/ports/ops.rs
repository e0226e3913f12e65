//! Operational rows: leases, excerpts of subscribers' answers, and small notes of work loops.
//!
//! All of it may be lost at any moment without harm to money or to what is promised: a lost lease
//! costs at most a second try, a lost note an early one. None of it is projected from the log.

use std::time::Duration;

use async_trait::async_trait;
use domain::ids::DeliveryId;
use domain::ports::BoxError;
use domain::time::Timestamp;

/// The operational store did not answer.
#[derive(Debug, thiserror::Error)]
#[error("the operational store did not answer")]
pub struct OpsError(#[source] pub BoxError);

/// A worker's hold on one piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is held (`delivery:dlv_...`).
    pub key: String,
    /// Who holds it.
    pub owner: String,
    /// Goes up with every holder. A high one without any outcome tells of a crash loop.
    pub epoch: u64,
    /// Until when.
    pub until: Timestamp,
}

/// Leases with fencing. A holder whose time is over may lose its lease to another, and then every
/// change it tries fails: changes are fenced by owner and epoch.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes a lease that is free or over. The same owner taking its own running lease again gets
    /// `None` as everybody else does.
    ///
    /// # Errors
    /// [`OpsError`].
    async fn acquire(
        &self,
        key: &str,
        owner: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<Lease>, OpsError>;

    /// Holds on until `now + ttl`. `None`: the lease is another's.
    ///
    /// # Errors
    /// [`OpsError`].
    async fn renew(
        &self,
        lease: &Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<Lease>, OpsError>;

    /// Lets go, so that the next one need not wait; the epoch stays. False: it was another's.
    ///
    /// # Errors
    /// [`OpsError`].
    async fn release(&self, lease: &Lease) -> Result<bool, OpsError>;

    /// Lets go for good: the work has ended, and its epoch is forgotten. False: it was another's.
    ///
    /// # Errors
    /// [`OpsError`].
    async fn finish(&self, lease: &Lease) -> Result<bool, OpsError>;

    /// Lets go of everything that an owner holds, as by [`Leases::release`]; gives how much that was.
    /// For a process that starts under the name of one that is dead, and that knows that it is.
    ///
    /// # Errors
    /// [`OpsError`].
    async fn release_all(&self, owner: &str, now: Timestamp) -> Result<usize, OpsError>;
}

/// What a subscriber answered to one try, cut and redacted. It may hold personal data, so it is
/// kept apart from the log and can be erased; the log holds only `SHA-256(nonce || bytes)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The delivery.
    pub delivery: DeliveryId,
    /// 1, and one more after each redrive.
    pub generation: u32,
    /// Which try of that generation.
    pub attempt_no: u32,
    /// The commitment's nonce.
    pub nonce: [u8; 32],
    /// At most 1 KiB.
    pub bytes: Vec<u8>,
    /// When it was received.
    pub at: Timestamp,
}

/// Excerpts and notes.
#[async_trait]
pub trait OpsStore: Leases {
    /// Keeps an excerpt; the same try again replaces it.
    ///
    /// # Errors
    /// [`OpsError`].
    async fn put_excerpt(&self, excerpt: &Excerpt) -> Result<(), OpsError>;

    /// All excerpts of a delivery, by generation and try.
    ///
    /// # Errors
    /// [`OpsError`].
    async fn excerpts(&self, delivery: &DeliveryId) -> Result<Vec<Excerpt>, OpsError>;

    /// Erases excerpts that were received before `before`; gives how many.
    ///
    /// # Errors
    /// [`OpsError`].
    async fn erase_excerpts(&self, before: Timestamp) -> Result<u64, OpsError>;

    /// Keeps a small note under a key (`look_up:pr_...:1`), new or instead of the old one.
    ///
    /// # Errors
    /// [`OpsError`].
    async fn put_note(&self, key: &str, value: &[u8]) -> Result<(), OpsError>;

    /// The note.
    ///
    /// # Errors
    /// [`OpsError`].
    async fn note(&self, key: &str) -> Result<Option<Vec<u8>>, OpsError>;

    /// Forgets a note; a missing one is fine.
    ///
    /// # Errors
    /// [`OpsError`].
    async fn forget_note(&self, key: &str) -> Result<(), OpsError>;
}
