//! Where views live: rows, the checkpoint they stand at and the streams they park, all written in
//! one transaction.
//!
//! The engine writes, readers read the live generation. A store never decides what a row means.

use async_trait::async_trait;
use domain::digest::Digest32;
use domain::ports::{BoxError, Position};
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::query::{RowPage, ViewQuery};
use super::table::{Cell, Row, SpecError, ViewSpec};

/// The last event that a generation has taken in. That event must still be there, with this hash,
/// when the engine starts: otherwise the log was forked or restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its place in the log.
    pub position: Position,
    /// Its stream, to find it by.
    pub stream: StreamId,
    /// Its place in the stream.
    pub version: Version,
    /// Its leaf hash.
    pub leaf: Digest32,
    /// The store that the position belongs to.
    pub store: uuid::Uuid,
    /// The store's epoch.
    pub epoch: u32,
}

impl Checkpoint {
    /// True when readers of `before` lose nothing by going over to `after`. Positions of different
    /// logs cannot be compared, and a view of another log is no loss.
    pub fn may_follow(after: Option<&Self>, before: Option<&Self>) -> bool {
        match (after, before) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(after), Some(before)) => {
                !after.position.same_log(before.position) || after.position >= before.position
            }
        }
    }
}

/// A stream whose next event a view could not take in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The stream.
    pub stream: StreamId,
    /// The event that failed.
    pub position: Position,
    /// Its place in the stream. Everything from here on waits.
    pub version: Version,
    /// Why, for operators. Holds no data of the event.
    pub error: String,
    /// When the engine met it. Not part of a digest.
    pub since: Timestamp,
}

/// What became of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GenerationState {
    /// Being filled, to become live.
    #[serde(rename = "building")]
    Building,
    /// Being filled, to be compared and dropped.
    #[serde(rename = "shadow")]
    Shadow,
    /// What readers see. At most one per view.
    #[serde(rename = "live")]
    Live,
    /// Was live before; kept until somebody retires it.
    #[serde(rename = "previous")]
    Previous,
}

impl GenerationState {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Shadow => "shadow",
            Self::Live => "live",
            Self::Previous => "previous",
        }
    }

    /// From the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Building, Self::Shadow, Self::Live, Self::Previous]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// One filled copy of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// The view.
    pub view: String,
    /// 1, 2, 3 ... per view; never used again.
    pub number: u32,
    /// The view's version that fills it.
    pub version: u32,
    /// What became of it.
    pub state: GenerationState,
    /// Where it stands; `None` before the first event.
    pub checkpoint: Option<Checkpoint>,
    /// How many streams it has parked.
    pub parked: u64,
}

/// Which generation a reader means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The live one, as of this read.
    Live,
    /// This one.
    Generation(u32),
}

/// Which generation it was and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The generation.
    pub generation: u32,
    /// Where it stands; `None` before the first event.
    pub checkpoint: Option<Checkpoint>,
}

/// Fingerprint of a generation's content. Equal for equal content, whichever store, whichever
/// generation, however it was filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewDigest {
    /// As of this checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// How many rows.
    pub rows: u64,
    /// See [`ViewDigester`].
    pub digest: Digest32,
}

/// Calculates a [`ViewDigest`]: SHA-256 over the view's name and version, its tables in the order
/// of their declaration with the rows in the order of their keys (table, key, body), its parked
/// streams in order (stream, position), and its checkpoint; each part led by its length.
pub struct ViewDigester {
    hasher: Sha256,
    rows: u64,
}

impl ViewDigester {
    /// Begins. Rows come next, then parked streams.
    pub fn new(spec: &ViewSpec) -> Self {
        let mut this = Self {
            hasher: Sha256::new(),
            rows: 0,
        };
        this.part(b"counterfoil/view/v1");
        this.part(spec.name.as_bytes());
        this.part(&spec.version.to_be_bytes());
        this
    }

    /// The next row.
    pub fn row(&mut self, table: &str, key: &str, body: &[u8]) {
        self.rows += 1;
        self.part(b"row");
        self.part(table.as_bytes());
        self.part(key.as_bytes());
        self.part(body);
    }

    /// The next parked stream.
    pub fn parked(&mut self, stream: &StreamId, position: Position) {
        self.part(b"parked");
        self.part(stream.as_str().as_bytes());
        self.part(position.to_string().as_bytes());
    }

    /// Ends.
    pub fn finish(mut self, checkpoint: Option<Checkpoint>) -> ViewDigest {
        if let Some(at) = &checkpoint {
            self.part(b"checkpoint");
            self.part(at.position.to_string().as_bytes());
            self.part(&at.leaf.0);
        }
        ViewDigest {
            checkpoint,
            rows: self.rows,
            digest: Digest32(self.hasher.finalize().into()),
        }
    }

    fn part(&mut self, bytes: &[u8]) {
        self.hasher.update((bytes.len() as u64).to_be_bytes());
        self.hasher.update(bytes);
    }
}

/// Rows could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// A table or column that the view has not declared.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The store did not do it. The transaction is lost.
    #[error("the view store did not answer")]
    Store(#[source] BoxError),
}

/// Rows inside one transaction. What was written is seen by later reads of the same transaction.
pub trait Rows {
    /// One row.
    fn get(&mut self, table: &str, key: &str) -> Result<Option<Row>, RowsError>;

    /// Writes a row, new or instead of the old one.
    fn put(&mut self, table: &str, row: Row) -> Result<(), RowsError>;

    /// Removes a row; a missing one is fine.
    fn delete(&mut self, table: &str, key: &str) -> Result<(), RowsError>;

    /// At most `limit` rows whose `column` equals `value`, in key order, with keys after `after`.
    fn scan(
        &mut self,
        table: &str,
        column: &str,
        value: &Cell,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Row>, RowsError>;
}

/// A transaction of the engine: rows, and the list of parked streams. Views see only [`Rows`].
pub trait ViewTransaction: Rows {
    /// Parks a stream, new or instead of what was noted about it.
    fn park(&mut self, parked: Parked) -> Result<(), RowsError>;

    /// Takes a stream off the list.
    fn unpark(&mut self, stream: &StreamId) -> Result<(), RowsError>;

    /// All parked streams of this generation, in order.
    fn parked(&mut self) -> Result<Vec<Parked>, RowsError>;
}

/// Why work inside a transaction was given up. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The store failed under it.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// An event that the view cannot take in, in a view that must not go on without it.
    #[error("event {version} of {stream} at {position} cannot be taken in: {error}")]
    Poison {
        /// Its stream.
        stream: StreamId,
        /// Its place there.
        version: Version,
        /// Its place in the log.
        position: Position,
        /// Why.
        error: String,
    },
}

/// What runs inside a transaction: it changes rows and returns the new checkpoint, or `None` to
/// leave the checkpoint as it is.
pub type Work =
    Box<dyn FnOnce(&mut dyn ViewTransaction) -> Result<Option<Checkpoint>, WorkError> + Send>;

/// The view store said no.
#[derive(Debug, thiserror::Error)]
pub enum ViewStoreError {
    /// A table or column that the view has not declared: a bug of ours.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The generation does not stand where the writer thought: somebody else writes it.
    #[error("another runner moved view {view} on")]
    Fenced {
        /// The view.
        view: String,
    },
    /// There is no such generation, or none is live yet.
    #[error("view {view} has no such generation")]
    NoGeneration {
        /// The view.
        view: String,
    },
    /// The generation was filled by another version of the view and must be rebuilt.
    #[error("view {view} holds rows of version {stored}; this code has version {code}")]
    OtherVersion {
        /// The view.
        view: String,
        /// Version that filled it.
        stored: u32,
        /// Version of this code.
        code: u32,
    },
    /// The generations cannot change this way now.
    #[error("view {view}: {why}")]
    NotNow {
        /// The view.
        view: String,
        /// Why not.
        why: &'static str,
    },
    /// The generation stands before the one that it would replace. Let it catch up.
    #[error("the new generation of view {view} stands before the live one")]
    Behind {
        /// The view.
        view: String,
    },
    /// The work gave up. Nothing was written.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// The store did not answer; a transaction may or may not have been kept. Read the checkpoint
    /// again.
    #[error("the view store did not answer")]
    Unavailable(#[source] BoxError),
}

/// Keeps views. See `docs/explanation/storage.md`; one contract suite checks every adapter.
#[async_trait]
pub trait ViewStore: Send + Sync {
    /// Every generation of every view, by view and number.
    ///
    /// # Errors
    /// [`ViewStoreError::Unavailable`].
    async fn generations(&self) -> Result<Vec<Generation>, ViewStoreError>;

    /// Makes the tables of a new generation and gives its number, one more than the view ever had.
    ///
    /// # Errors
    /// [`ViewStoreError::NotNow`] for a second live one.
    async fn create(&self, spec: &ViewSpec, state: GenerationState) -> Result<u32, ViewStoreError>;

    /// Runs `work` in one transaction and keeps its rows together with the checkpoint it returns,
    /// but only if the generation stands at `expected` when the transaction begins.
    ///
    /// # Errors
    /// [`ViewStoreError::Fenced`] when it stands elsewhere; then the work did not run.
    async fn transact(
        &self,
        spec: &ViewSpec,
        generation: u32,
        expected: Option<Checkpoint>,
        work: Work,
    ) -> Result<Option<Checkpoint>, ViewStoreError>;

    /// Makes `to`, which is being built, the live generation instead of `from`, in one
    /// transaction. `from` is kept.
    ///
    /// # Errors
    /// [`ViewStoreError::NotNow`] when another one is live by now or `to` is not being built;
    /// [`ViewStoreError::Behind`] when `to` stands before `from`: readers are never taken back.
    async fn switch(&self, view: &str, from: Option<u32>, to: u32) -> Result<(), ViewStoreError>;

    /// Drops a generation that is not live, with its tables. A missing one is fine.
    ///
    /// # Errors
    /// [`ViewStoreError::NotNow`] for the live one.
    async fn retire(&self, view: &str, generation: u32) -> Result<(), ViewStoreError>;

    /// Where a generation stands.
    ///
    /// # Errors
    /// [`ViewStoreError`].
    async fn standing(&self, spec: &ViewSpec, at: At) -> Result<Standing, ViewStoreError>;

    /// One row.
    ///
    /// # Errors
    /// [`ViewStoreError`].
    async fn get(
        &self,
        spec: &ViewSpec,
        at: At,
        table: &str,
        key: &str,
    ) -> Result<Option<Row>, ViewStoreError>;

    /// One page of rows.
    ///
    /// # Errors
    /// [`ViewStoreError`].
    async fn query(
        &self,
        spec: &ViewSpec,
        at: At,
        table: &str,
        query: &ViewQuery,
    ) -> Result<RowPage, ViewStoreError>;

    /// Parked streams, in order.
    ///
    /// # Errors
    /// [`ViewStoreError`].
    async fn parked(&self, spec: &ViewSpec, at: At) -> Result<Vec<Parked>, ViewStoreError>;

    /// Fingerprint of all content, of one moment.
    ///
    /// # Errors
    /// [`ViewStoreError`].
    async fn digest(&self, spec: &ViewSpec, at: At) -> Result<ViewDigest, ViewStoreError>;
}
