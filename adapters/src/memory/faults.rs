//! An event store that fails as it is told: what a network or a disk does to an append.
//!
//! It decorates any store and decides nothing itself. Tests and simulations call it; no running
//! ledger does.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use domain::digest::Digest32;
use domain::ports::{
    AppendError, AppendRequest, Appended, ClaimOwner, ClaimSpace, EventStore, Filter, Outcome,
    Page, Position, ReadError, StoreIdentity,
};
use domain::record::Recorded;
use domain::stream::{StreamId, Version};

/// What befalls one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendFault {
    /// The store does its part, whatever that is; the answer never arrives.
    ReplyLost,
    /// The request never arrives, and the caller cannot know.
    RequestLost,
    /// The store refuses before it writes.
    NotApplied,
    /// The disk is full.
    Full,
    /// Nothing: lets one append pass between others that fail.
    Passes,
}

/// A store with a queue of faults for its next appends.
pub struct FaultyEventStore {
    inner: Arc<dyn EventStore>,
    faults: Mutex<VecDeque<AppendFault>>,
    deaf: AtomicBool,
}

impl FaultyEventStore {
    /// Decorates `inner`; without faults it is `inner`.
    pub fn new(inner: Arc<dyn EventStore>) -> Self {
        Self {
            inner,
            faults: Mutex::default(),
            deaf: AtomicBool::new(false),
        }
    }

    /// Puts faults at the end of the queue. Each append takes one.
    pub fn script(&self, faults: impl IntoIterator<Item = AppendFault>) {
        self.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(faults);
    }

    /// How many faults have not happened yet.
    pub fn faults_left(&self) -> usize {
        self.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// From now on no wake-up arrives (or they arrive again).
    pub fn lose_wake_ups(&self, lose: bool) {
        self.deaf.store(lose, Ordering::SeqCst);
    }

    fn next_fault(&self) -> AppendFault {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.pop_front().unwrap_or(AppendFault::Passes)
    }
}

/// The cause that a scripted fault names.
#[derive(Debug, thiserror::Error)]
#[error("scripted fault: {0:?}")]
struct Scripted(AppendFault);

fn unavailable(outcome: Outcome, fault: AppendFault) -> AppendError {
    AppendError::Unavailable {
        outcome,
        cause: Box::new(Scripted(fault)),
    }
}

#[async_trait]
impl EventStore for FaultyEventStore {
    fn identity(&self) -> &StoreIdentity {
        self.inner.identity()
    }

    async fn append(&self, request: AppendRequest) -> Result<Appended, AppendError> {
        let fault = self.next_fault();
        match fault {
            AppendFault::Passes => self.inner.append(request).await,
            AppendFault::ReplyLost => {
                // Even a refusal is lost: the caller must not learn anything.
                let _ = self.inner.append(request).await;
                Err(unavailable(Outcome::Unknown, fault))
            }
            AppendFault::RequestLost => Err(unavailable(Outcome::Unknown, fault)),
            AppendFault::NotApplied => Err(unavailable(Outcome::NotApplied, fault)),
            AppendFault::Full => Err(AppendError::Full),
        }
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        self.inner.read_stream(stream, from, limit).await
    }

    async fn read_last(&self, stream: &StreamId) -> Result<Option<Recorded>, ReadError> {
        self.inner.read_last(stream).await
    }

    async fn read_all(
        &self,
        after: Option<Position>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, ReadError> {
        self.inner.read_all(after, filter, limit).await
    }

    async fn head(&self) -> Result<Option<Position>, ReadError> {
        self.inner.head().await
    }

    async fn wake_up(&self, after: Option<Position>) {
        if self.deaf.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        self.inner.wake_up(after).await;
    }

    async fn find_claim(
        &self,
        ns: ClaimSpace,
        key: &Digest32,
    ) -> Result<Option<ClaimOwner>, ReadError> {
        self.inner.find_claim(ns, key).await
    }
}
