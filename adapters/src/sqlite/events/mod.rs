//! The event store of the embedded default: `events.db`.
//!
//! One thread writes ([`writer`]), many requests per commit ([`batch`]); readers have connections of
//! their own ([`reader`]). Exactly one process may write; others may read. `api::compose` opens the
//! store for the server and the command line opens it for reading.

mod batch;
mod raw_baseline;
mod reader;
mod rows;
mod schema;
mod writer;

pub use raw_baseline::RawBaseline;
pub use reader::Density;
pub use writer::Health;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::watch;

use domain::digest::Digest32;
use domain::ports::{
    AppendError, AppendRequest, Appended, ClaimOwner, ClaimSpace, Clock, Entropy, EventStore,
    Filter, Outcome, Page, Position, ReadError, StoreIdentity,
};
use domain::record::Recorded;
use domain::stream::{StreamId, Version};

use self::reader::Readers;
use self::rows::{Places, RowError};
use self::schema::SCHEMA;
use self::writer::{Setup, Writer};
use crate::append_rules;
use crate::sqlite::open::{
    Durability, OpenError, WriterLock, make_private_folder, open_reader, open_writer,
};

/// How the store is opened. [`SqliteOptions::new`] has the defaults.
#[derive(Clone)]
pub struct SqliteOptions {
    /// Times the looks for space on a full disk.
    pub clock: Arc<dyn Clock>,
    /// Draws the id of a new store.
    pub entropy: Arc<dyn Entropy>,
    /// Appends that may wait for the writer; the next one is refused as not applied. 1,024 is four
    /// full batches, which is more than a client waits for.
    pub queue: usize,
    /// Reads that may run at once.
    pub readers: usize,
    /// Length in bytes at which the write-ahead log is cut even under load. 64 MiB keeps a restart
    /// short and a cut rare.
    pub wal_bytes_max: u64,
}

impl SqliteOptions {
    /// The defaults.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            clock,
            entropy,
            queue: 1024,
            readers: 4,
            wal_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// Events in one SQLite file. Dropping it finishes what was queued and lets go of the file.
pub struct SqliteEventStore {
    identity: StoreIdentity,
    // Fields are dropped in this order: readers first, so that the writer's connection is the last
    // one and empties the write-ahead log; then the lock.
    readers: Readers,
    writer: Option<Writer>,
    heads: watch::Sender<u64>,
    health: watch::Sender<Health>,
    _lock: Option<WriterLock>,
}

impl SqliteEventStore {
    /// Opens the file for writing and makes it and its folder where they are missing. Blocks: it is
    /// called before the server starts.
    ///
    /// # Errors
    /// [`OpenError`]; each one refuses the start. [`OpenError::Locked`] when another process writes.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            make_private_folder(folder)?;
        }
        let lock = WriterLock::take(path)?;
        let connection = open_writer(path, &SCHEMA, Durability::Full)?;
        let sqlite = |source| OpenError::Sqlite {
            path: path.to_owned(),
            source,
        };
        // The writer's thread decides when to copy the log; a commit must not have to.
        connection
            .pragma_update(None, "wal_autocheckpoint", 0)
            .map_err(sqlite)?;
        connection
            .pragma_update(
                None,
                "journal_size_limit",
                rows::signed(options.wal_bytes_max),
            )
            .map_err(sqlite)?;
        connection.set_prepared_statement_cache_capacity(32);
        let identity = schema::identify(&connection, path, &*options.entropy)?;
        let head = check_end(&connection, path, &identity)?;
        let heads = watch::Sender::new(head);
        let health = watch::Sender::new(Health::Writing);
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        let writer = Writer::start(Setup {
            connection,
            places: Places::of(&identity),
            head,
            clock: options.clock,
            queue: options.queue,
            wal: wal.into(),
            wal_bytes_max: options.wal_bytes_max,
            heads: heads.clone(),
            health: health.clone(),
        })
        .map_err(|source| OpenError::Io {
            path: path.to_owned(),
            source,
        })?;
        let readers = Readers::new(path.to_owned(), identity.clone(), options.readers);
        Ok(Self {
            identity,
            readers,
            writer: Some(writer),
            heads,
            health,
            _lock: Some(lock),
        })
    }

    /// Opens a file that exists for reading, beside a server that may be writing it. Appends are
    /// refused as not applied, and there are no wake-ups: poll.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_read_only(path: &Path) -> Result<Self, OpenError> {
        let connection = open_reader(path, &SCHEMA)?;
        let identity =
            schema::read_identity(&connection, path)?.ok_or_else(|| OpenError::Damaged {
                path: path.to_owned(),
                why: "it has no identity".to_owned(),
            })?;
        let head = check_end(&connection, path, &identity)?;
        let readers = Readers::new(path.to_owned(), identity.clone(), 2);
        let (heads, health) = (
            watch::Sender::new(head),
            watch::Sender::new(Health::Writing),
        );
        Ok(Self {
            identity,
            readers,
            writer: None,
            heads,
            health,
            _lock: None,
        })
    }

    /// Whether appends are taken, now and from now on. On [`Health::Failed`] the process must end;
    /// a restart reads what is really on the disk.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Returns when the store has failed, with the reason. Never for a healthy one.
    pub async fn failed(&self) -> Arc<str> {
        let mut health = self.health();
        let failed = health
            .wait_for(|health| matches!(health, Health::Failed(_)))
            .await;
        match failed.as_deref() {
            Ok(Health::Failed(why)) => Arc::clone(why),
            Ok(Health::Writing | Health::Full) | Err(_) => std::future::pending().await,
        }
    }

    /// Counts the events. Reads an index of the whole log: for `verify`, not for requests.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`].
    pub async fn density(&self) -> Result<Density, ReadError> {
        self.readers.density().await
    }
}

/// Reads the last event, so that a log whose end is damaged does not start.
fn check_end(
    connection: &Connection,
    path: &Path,
    identity: &StoreIdentity,
) -> Result<u64, OpenError> {
    let places = Places::of(identity);
    let head = rows::head(connection).map_err(|source| OpenError::Sqlite {
        path: path.to_owned(),
        source,
    })?;
    let last = rows::events_between(connection, places, head.saturating_sub(1), head);
    match last {
        Ok(events) if head == 0 || events.len() == 1 => Ok(head),
        Ok(_) => Err(OpenError::Damaged {
            path: path.to_owned(),
            why: "no last event".to_owned(),
        }),
        Err(RowError::Sqlite(source)) => Err(OpenError::Sqlite {
            path: path.to_owned(),
            source,
        }),
        Err(altered @ RowError::Altered(_)) => Err(OpenError::Damaged {
            path: path.to_owned(),
            why: altered.to_string(),
        }),
    }
}

/// Appends need the one process that holds the lock.
#[derive(Debug, thiserror::Error)]
#[error("the event store is open for reading only")]
struct ReadOnly;

#[async_trait]
impl EventStore for SqliteEventStore {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    async fn append(&self, request: AppendRequest) -> Result<Appended, AppendError> {
        // Oversize is refused here, so that it takes no room in the queue.
        append_rules::check(&request)?;
        match &self.writer {
            Some(writer) => writer.append(request).await,
            None => Err(AppendError::Unavailable {
                outcome: Outcome::NotApplied,
                cause: Box::new(ReadOnly),
            }),
        }
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        self.readers.stream_page(stream, from, limit).await
    }

    async fn read_last(&self, stream: &StreamId) -> Result<Option<Recorded>, ReadError> {
        self.readers.stream_last(stream).await
    }

    async fn read_all(
        &self,
        after: Option<Position>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, ReadError> {
        self.readers.page(after, filter, limit).await
    }

    async fn head(&self) -> Result<Option<Position>, ReadError> {
        self.readers.head().await
    }

    async fn wake_up(&self, after: Option<Position>) {
        append_rules::wait_past(&self.identity, self.heads.subscribe(), after).await;
    }

    async fn find_claim(
        &self,
        ns: ClaimSpace,
        key: &Digest32,
    ) -> Result<Option<ClaimOwner>, ReadError> {
        self.readers.claim(ns, key).await
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
