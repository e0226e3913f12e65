//! The power of one process: where it is cut, everything of that process stands still for ever.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use async_trait::async_trait;
use domain::digest::Digest32;
use domain::ports::{
    AppendError, AppendRequest, Appended, ClaimOwner, ClaimSpace, EventStore, Filter, Page,
    Position, ReadError, StoreIdentity,
};
use domain::record::Recorded;
use domain::stream::{StreamId, Version};
use std::sync::Arc;

/// Counts the points between two effects, and cuts at one of them.
#[derive(Debug, Default)]
pub struct Fuse {
    left: AtomicI64,
    blown: AtomicBool,
    effects: AtomicU64,
}

impl Fuse {
    /// Cuts at the `nth` point from now, counted from one. Zero never cuts.
    pub fn arm(&self, nth: u32) {
        self.left.store(i64::from(nth), Ordering::SeqCst);
    }

    /// The process is dead.
    pub fn blown(&self) -> bool {
        self.blown.load(Ordering::SeqCst)
    }

    /// Kills it wherever it is.
    pub fn blow(&self) {
        self.blown.store(true, Ordering::SeqCst);
    }

    /// How many points were passed: when this stands still, nothing is going on.
    pub fn effects(&self) -> u64 {
        self.effects.load(Ordering::SeqCst)
    }

    /// A point between two effects.
    pub async fn pass(&self) {
        self.effects.fetch_add(1, Ordering::SeqCst);
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.blow();
        }
        self.alive().await;
    }

    /// Never returns in a dead process.
    pub async fn alive(&self) {
        if self.blown() {
            std::future::pending::<()>().await;
        }
    }
}

/// Told of an append that was written: to which stream, and whether it began it.
pub type Written = Box<dyn Fn(&StreamId, bool) + Send + Sync>;

/// An event store as one process sees it.
pub struct FusedStore {
    /// The store.
    pub inner: Arc<dyn EventStore>,
    /// The process.
    pub fuse: Arc<Fuse>,
    /// Told of each append that was written, and whether it began the stream.
    pub written: Written,
}

#[async_trait]
impl EventStore for FusedStore {
    fn identity(&self) -> &StoreIdentity {
        self.inner.identity()
    }

    async fn append(&self, request: AppendRequest) -> Result<Appended, AppendError> {
        self.fuse.pass().await;
        let stream = request.stream.clone();
        let first = request.expect.first_version() == Version::FIRST;
        let done = self.inner.append(request).await;
        if matches!(&done, Ok(appended) if !appended.repeated) {
            (self.written)(&stream, first);
        }
        self.fuse.pass().await;
        done
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        self.fuse.alive().await;
        self.inner.read_stream(stream, from, limit).await
    }

    async fn read_last(&self, stream: &StreamId) -> Result<Option<Recorded>, ReadError> {
        self.fuse.alive().await;
        self.inner.read_last(stream).await
    }

    async fn read_all(
        &self,
        after: Option<Position>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, ReadError> {
        self.fuse.alive().await;
        self.inner.read_all(after, filter, limit).await
    }

    async fn head(&self) -> Result<Option<Position>, ReadError> {
        self.fuse.alive().await;
        self.inner.head().await
    }

    async fn wake_up(&self, after: Option<Position>) {
        self.fuse.alive().await;
        self.inner.wake_up(after).await;
    }

    async fn find_claim(
        &self,
        ns: ClaimSpace,
        key: &Digest32,
    ) -> Result<Option<ClaimOwner>, ReadError> {
        self.fuse.alive().await;
        self.inner.find_claim(ns, key).await
    }
}
