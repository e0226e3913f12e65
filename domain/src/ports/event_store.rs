//! The event store: streams with expected versions, one global order, and claims.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::position::Position;
use crate::digest::Digest32;
use crate::record::{Record, Recorded};
use crate::stream::{Category, StreamId, Version};

/// A source error of an adapter.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Which store this is. A restore from a backup bumps the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreIdentity {
    /// Drawn when the store was made.
    pub store: uuid::Uuid,
    /// 0, and one more after each restore.
    pub epoch: u32,
    /// `sqlite`, `memory`.
    pub backend: &'static str,
    /// True when claims are decided in the append's own transaction.
    pub atomic_claims: bool,
}

impl StoreIdentity {
    /// The tag that stands in this store's positions: the first four bytes of its id.
    pub fn tag(&self) -> u32 {
        let bytes = self.store.as_bytes();
        u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }
}

/// What a decision was made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The stream has no event.
    NoStream,
    /// Its last event has this version.
    Exact(Version),
}

impl Expect {
    /// The version of the first event of an append with this expectation.
    pub fn first_version(self) -> Version {
        match self {
            Self::NoStream => Version::FIRST,
            Self::Exact(version) => version.next(),
        }
    }
}

/// Namespace of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ClaimSpace {
    /// (merchant, order id) -> the payable request of that order.
    #[serde(rename = "order")]
    Order,
    /// (provider, account, transaction) -> the one request that this money pays.
    #[serde(rename = "ptx")]
    Ptx,
    /// (provider, account, our reference) -> the attempt that it names.
    #[serde(rename = "ref")]
    Ref,
    /// (quote) -> the one request made from it.
    #[serde(rename = "quote")]
    Quote,
}

impl ClaimSpace {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Ptx => "ptx",
            Self::Ref => "ref",
            Self::Quote => "quote",
        }
    }
}

impl fmt::Display for ClaimSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What must hold of a claim for the append to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimExpect {
    /// Nobody has it, or this very owner has it (then its generation stays as it is).
    Free,
    /// It is of this generation. It goes over to the new owner with the next one; where the owner
    /// is the same already, it stays as it is.
    Generation(u64),
}

/// Uniqueness across streams that is decided together with the append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Namespace.
    pub ns: ClaimSpace,
    /// HMAC of what is claimed.
    pub key: Digest32,
    /// Who claims it.
    pub owner: StreamId,
    /// Further part of the owner: the attempt number of a `ref` claim; of an `order` claim that was
    /// there before, the version of the event that made it anew.
    pub detail: u32,
    /// What must hold.
    pub expect: ClaimExpect,
}

/// Who has a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimOwner {
    /// The owner's stream.
    pub owner: StreamId,
    /// Further part of the owner (see [`Claim::detail`]).
    pub detail: u32,
    /// 1 for a first claim, one more for each take-over.
    pub generation: u64,
}

/// One stream, 1 to 64 events, at most 1,000,000 bytes, at most 8 claims. The records are finished
/// bytes, so that a retry sends the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendRequest {
    /// The stream.
    pub stream: StreamId,
    /// What the decision was made on.
    pub expect: Expect,
    /// The records; their versions follow from `expect` and are dense.
    pub events: Vec<Record>,
    /// Uniqueness that must hold with this append.
    pub claims: Vec<Claim>,
}

impl AppendRequest {
    /// Most events of one append.
    pub const EVENTS_MAX: usize = 64;
    /// Most bytes of one append.
    pub const BYTES_MAX: usize = 1_000_000;
    /// Most claims of one append.
    pub const CLAIMS_MAX: usize = 8;

    /// What every adapter checks before it writes: limits, and that versions follow from `expect`.
    ///
    /// # Errors
    /// [`AppendError::TooLarge`] or [`AppendError::Malformed`]: bugs of ours, never the caller's
    /// fault.
    pub fn check(&self) -> Result<(), AppendError> {
        let bytes: usize = self.events.iter().map(|record| record.bytes.len()).sum();
        let too_many = self.events.len() > Self::EVENTS_MAX || self.claims.len() > Self::CLAIMS_MAX;
        if too_many || bytes > Self::BYTES_MAX {
            return Err(AppendError::TooLarge {
                events: self.events.len(),
                bytes,
            });
        }
        let mut version = self.expect.first_version();
        for record in &self.events {
            if record.version != version {
                return Err(AppendError::Malformed {
                    why: "versions are not dense",
                });
            }
            version = version.next();
        }
        if self.events.is_empty() {
            return Err(AppendError::Malformed { why: "no events" });
        }
        Ok(())
    }
}

/// What an append gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Version of the last event.
    pub version: Version,
    /// Position of the last event.
    pub position: Position,
    /// Leaf hashes, in the order of the events.
    pub leaf_hashes: Vec<Digest32>,
    /// True when the same records were there already.
    pub repeated: bool,
}

/// What is known about an append that the store did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was written; try later.
    NotApplied,
    /// It may have been written. Send the same records again or read back; decide nothing before.
    Unknown,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotApplied => "not applied",
            Self::Unknown => "unknown whether applied",
        })
    }
}

/// The events were not kept, or nobody can say yet.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Someone appended first. Load again, decide again. `None`: the stream has no event.
    #[error("the stream is at version {actual:?}")]
    Conflict {
        /// Where the stream stands.
        actual: Option<Version>,
    },
    /// The claim is another's, or of another generation. Load that owner, then decide.
    #[error("claim {ns} belongs to {owner}")]
    ClaimTaken {
        /// Which claim.
        ns: ClaimSpace,
        /// Its owner.
        owner: StreamId,
        /// Its generation.
        generation: u64,
    },
    /// Over the limits of [`AppendRequest`].
    #[error("{events} events of {bytes} bytes are too much for one append")]
    TooLarge {
        /// How many events.
        events: usize,
        /// How many bytes.
        bytes: usize,
    },
    /// Not a request that can be: a bug of ours.
    #[error("malformed append: {why}")]
    Malformed {
        /// What is wrong.
        why: &'static str,
    },
    /// The same event ids are stored with other bytes: a bug of ours.
    #[error("event ids were used again for other content")]
    IdReused,
    /// The store did not do it, or did not say.
    #[error("event store did not answer ({outcome})")]
    Unavailable {
        /// What is known.
        outcome: Outcome,
        /// Why.
        #[source]
        cause: BoxError,
    },
    /// No space left. Nothing was written; reads go on.
    #[error("the event store is full")]
    Full,
    /// Stored bytes are not those that were hashed. Stop.
    #[error("the event store is damaged at {position}")]
    Corrupt {
        /// Where.
        position: Position,
    },
}

/// A read gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store did not answer.
    #[error("event store did not answer")]
    Unavailable(#[source] BoxError),
    /// The position is of another store or epoch.
    #[error("the position belongs to another log")]
    OtherLog,
    /// Stored bytes are damaged.
    #[error("the event store is damaged at {position}")]
    Corrupt {
        /// Where.
        position: Position,
    },
}

/// Which events a reader wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only these categories; empty means all.
    pub categories: Vec<Category>,
}

impl Filter {
    /// Every event.
    pub fn all() -> Self {
        Self::default()
    }

    /// Events of these categories.
    pub fn categories(categories: &[Category]) -> Self {
        Self {
            categories: categories.to_vec(),
        }
    }

    /// True when the reader wants events of `stream`.
    pub fn matches(&self, stream: &StreamId) -> bool {
        self.categories.is_empty() || self.categories.contains(&stream.category())
    }
}

/// One bounded page of the global order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The events that matched, in order.
    pub events: Vec<Recorded>,
    /// Read on from here. It may stand after the last event of the page (events that did not match
    /// were passed over) and is `None` only while the log is empty. Once told, no event at or
    /// before it ever appears later.
    pub next: Option<Position>,
    /// The end of the log when the page was read.
    pub head: Option<Position>,
}

/// Where events are kept. See `docs/explanation/storage.md` for the guarantees S1 to S13, which one
/// contract suite checks on every adapter.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Which store this is.
    fn identity(&self) -> &StoreIdentity;

    /// Append all or nothing; acknowledged means durable. Same records and expectation again: the
    /// first answer again, with `repeated` set.
    async fn append(&self, request: AppendRequest) -> Result<Appended, AppendError>;

    /// Events of one stream from version `from` on, at most `limit` (1 to 10,000), in order.
    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError>;

    /// The last event of a stream.
    async fn read_last(&self, stream: &StreamId) -> Result<Option<Recorded>, ReadError>;

    /// One page of the global order after `after`; looks at no more than `limit` (1 to 10,000)
    /// events, matching or not.
    async fn read_all(
        &self,
        after: Option<Position>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, ReadError>;

    /// The last position, `None` while the log is empty.
    async fn head(&self) -> Result<Option<Position>, ReadError>;

    /// Returns when the log may have grown past `after`. A hint: it may return for nothing, and it
    /// may miss something, so callers poll as well.
    async fn wake_up(&self, after: Option<Position>);

    /// Who has a claim.
    async fn find_claim(
        &self,
        ns: ClaimSpace,
        key: &Digest32,
    ) -> Result<Option<ClaimOwner>, ReadError>;
}
