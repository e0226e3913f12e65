//! Operational rows in memory, for simulations and tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use domain::ids::DeliveryId;
use domain::time::Timestamp;
use projections::ports::{Excerpt, Lease, Leases, OpsError, OpsStore};

/// Leases, excerpts and notes in memory.
#[derive(Debug, Default)]
pub struct MemoryOps {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// A released lease stays with its epoch and a time that is over.
    leases: BTreeMap<String, Lease>,
    excerpts: BTreeMap<(DeliveryId, u32, u32), Excerpt>,
    notes: BTreeMap<String, Vec<u8>>,
}

impl MemoryOps {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every change is one insert or remove, so a panic elsewhere leaves nothing half done.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn mine(&mut self, lease: &Lease) -> Option<&mut Lease> {
        let held = self.leases.get_mut(&lease.key)?;
        (held.owner == lease.owner && held.epoch == lease.epoch).then_some(held)
    }
}

#[async_trait]
impl Leases for MemoryOps {
    async fn acquire(
        &self,
        key: &str,
        owner: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<Lease>, OpsError> {
        let mut kept = self.kept();
        let before = kept.leases.get(key);
        if before.is_some_and(|held| held.until > now) {
            return Ok(None);
        }
        let lease = Lease {
            key: key.to_owned(),
            owner: owner.to_owned(),
            epoch: before.map_or(1, |held| held.epoch + 1),
            until: now.plus(ttl),
        };
        kept.leases.insert(key.to_owned(), lease.clone());
        Ok(Some(lease))
    }

    async fn renew(
        &self,
        lease: &Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<Lease>, OpsError> {
        Ok(self.kept().mine(lease).map(|held| {
            held.until = now.plus(ttl);
            held.clone()
        }))
    }

    async fn release(&self, lease: &Lease) -> Result<bool, OpsError> {
        let mut kept = self.kept();
        let mine = kept.mine(lease);
        Ok(mine
            .map(|held| held.until = Timestamp::from_millis(i64::MIN))
            .is_some())
    }

    async fn finish(&self, lease: &Lease) -> Result<bool, OpsError> {
        let mut kept = self.kept();
        let mine = kept.mine(lease).is_some();
        if mine {
            kept.leases.remove(&lease.key);
        }
        Ok(mine)
    }

    async fn release_all(&self, owner: &str, now: Timestamp) -> Result<usize, OpsError> {
        let mut kept = self.kept();
        let held = kept.leases.values_mut();
        let held = held.filter(|held| held.owner == owner && held.until > now);
        Ok(held
            .map(|held| held.until = Timestamp::from_millis(i64::MIN))
            .count())
    }
}

#[async_trait]
impl OpsStore for MemoryOps {
    async fn put_excerpt(&self, excerpt: &Excerpt) -> Result<(), OpsError> {
        let key = (
            excerpt.delivery.clone(),
            excerpt.generation,
            excerpt.attempt_no,
        );
        self.kept().excerpts.insert(key, excerpt.clone());
        Ok(())
    }

    async fn excerpts(&self, delivery: &DeliveryId) -> Result<Vec<Excerpt>, OpsError> {
        let kept = self.kept();
        let of_it = kept
            .excerpts
            .values()
            .filter(|excerpt| excerpt.delivery == *delivery);
        Ok(of_it.cloned().collect())
    }

    async fn erase_excerpts(&self, before: Timestamp) -> Result<u64, OpsError> {
        let mut kept = self.kept();
        let count = kept.excerpts.len();
        kept.excerpts.retain(|_, excerpt| excerpt.at >= before);
        Ok((count - kept.excerpts.len()) as u64)
    }

    async fn put_note(&self, key: &str, value: &[u8]) -> Result<(), OpsError> {
        self.kept().notes.insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    async fn note(&self, key: &str) -> Result<Option<Vec<u8>>, OpsError> {
        Ok(self.kept().notes.get(key).cloned())
    }

    async fn forget_note(&self, key: &str) -> Result<(), OpsError> {
        self.kept().notes.remove(key);
        Ok(())
    }
}
