//! Read-only connections, and one short transaction per page.
//!
//! A read runs on a blocking thread and is over before its page is handed out, so that no consumer
//! can hold an old snapshot open and keep the write-ahead log from being cut. At most as many reads
//! run as there are connections; the others wait in line.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use domain::digest::Digest32;
use domain::ports::{
    BoxError, ClaimOwner, ClaimSpace, Filter, Page, Position, ReadError, StoreIdentity,
};
use domain::record::Recorded;
use domain::stream::{StreamId, Version};

use super::rows::{self, Places, RowError, signed, unsigned};
use super::schema::SCHEMA;
use crate::append_rules;
use crate::sqlite::open::open_reader;

/// How many events there are, and the number of the last one. They are equal unless something was
/// lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Density {
    /// Rows.
    pub events: u64,
    /// The number of the last event, 0 while there is none.
    pub head: u64,
}

/// The pool.
pub(super) struct Readers {
    path: PathBuf,
    identity: StoreIdentity,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// A statement's error, or a page that cannot be.
enum Failed {
    Row(RowError),
    Read(ReadError),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Row(RowError::Sqlite(error))
    }
}

impl From<RowError> for Failed {
    fn from(error: RowError) -> Self {
        Self::Row(error)
    }
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl Readers {
    /// A pool of at most `connections`, opened when they are first needed.
    pub(super) fn new(path: PathBuf, identity: StoreIdentity, connections: usize) -> Self {
        let permits = Arc::new(Semaphore::new(connections.max(1)));
        Self {
            path,
            identity,
            permits,
            idle: Arc::default(),
        }
    }

    pub(super) async fn stream_page(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let (stream, places) = (stream.clone(), Places::of(&self.identity));
        let limit = append_rules::page_limit(limit);
        self.run(move |connection| Ok(rows::stream_page(connection, places, &stream, from, limit)?))
            .await
    }

    pub(super) async fn stream_last(
        &self,
        stream: &StreamId,
    ) -> Result<Option<Recorded>, ReadError> {
        let (stream, places) = (stream.clone(), Places::of(&self.identity));
        self.run(move |connection| {
            let mut statement =
                connection.prepare_cached(include_str!("sql/select_stream_last.sql"))?;
            let rows = statement.query((stream.as_str(),))?;
            Ok(rows::collect(rows, places)?.pop())
        })
        .await
    }

    pub(super) async fn page(
        &self,
        after: Option<Position>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, ReadError> {
        let (identity, filter) = (self.identity.clone(), filter.clone());
        let limit = append_rules::page_limit(limit);
        self.run(move |connection| page(connection, &identity, after, &filter, limit))
            .await
    }

    pub(super) async fn head(&self) -> Result<Option<Position>, ReadError> {
        let places = Places::of(&self.identity);
        self.run(move |connection| {
            let head = rows::head(connection)?;
            Ok((head > 0).then(|| places.at(head)))
        })
        .await
    }

    pub(super) async fn claim(
        &self,
        ns: ClaimSpace,
        key: &Digest32,
    ) -> Result<Option<ClaimOwner>, ReadError> {
        let key = *key;
        self.run(move |connection| Ok(rows::find_claim(connection, ns, &key)?))
            .await
    }

    pub(super) async fn density(&self) -> Result<Density, ReadError> {
        self.run(|connection| {
            let density =
                connection.query_row(include_str!("sql/select_density.sql"), (), |row| {
                    Ok(Density {
                        events: unsigned(row, 0)?,
                        head: unsigned(row, 1)?,
                    })
                })?;
            Ok(density)
        })
        .await
    }

    /// Runs `read` in one transaction on a connection of its own. A connection that met an error is
    /// not used again.
    async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(unavailable)?;
        let (idle, path) = (Arc::clone(&self.idle), self.path.clone());
        let work = move || {
            let _permit = permit;
            let pooled = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match pooled {
                Some(connection) => connection,
                None => open_reader(&path, &SCHEMA).map_err(unavailable)?,
            };
            let read = connection
                .unchecked_transaction()
                .map_err(Failed::from)
                .and_then(|transaction| {
                    let read = read(&transaction)?;
                    transaction.finish()?;
                    Ok(read)
                });
            match read {
                Ok(read) => {
                    idle.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(connection);
                    Ok(read)
                }
                Err(Failed::Row(RowError::Altered(position))) => {
                    Err(ReadError::Corrupt { position })
                }
                Err(Failed::Row(RowError::Sqlite(error))) => Err(unavailable(error)),
                Err(Failed::Read(error)) => Err(error),
            }
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(unavailable)?
    }
}

/// Everything from `after` to `next` comes out of one snapshot, and commits are in the order of
/// positions, so nothing can appear in between later.
fn page(
    connection: &Connection,
    identity: &StoreIdentity,
    after: Option<Position>,
    filter: &Filter,
    limit: usize,
) -> Result<Page, Failed> {
    let places = Places::of(identity);
    let head = rows::head(connection)?;
    let passed = append_rules::passed(identity, after, head)?;
    let end = head.min(passed.saturating_add(limit as u64));
    let events = if filter.categories.is_empty() {
        let events = rows::events_between(connection, places, passed, end)?;
        if let Some(hole) = hole(&events, passed, end) {
            return Err(ReadError::Corrupt {
                position: places.at(hole),
            }
            .into());
        }
        events
    } else {
        let mut statement =
            connection.prepare_cached(include_str!("sql/select_filtered_page.sql"))?;
        rows::collect(
            statement.query((signed(passed), signed(end), names(filter)))?,
            places,
        )?
    };
    let next = if end > passed {
        Some(places.at(end))
    } else {
        after
    };
    Ok(Page {
        events,
        next,
        head: (head > 0).then(|| places.at(head)),
    })
}

/// The first number between `passed` and `end` that has no event.
fn hole(events: &[Recorded], passed: u64, end: u64) -> Option<u64> {
    let mut wanted = passed + 1..=end;
    let missing = events
        .iter()
        .zip(&mut wanted)
        .find(|(event, number)| event.position.parts().0 != *number);
    missing.map(|(_, number)| number).or_else(|| wanted.next())
}

/// A JSON list of category names, which need no escapes.
fn names(filter: &Filter) -> String {
    let names: Vec<&str> = filter
        .categories
        .iter()
        .map(|category| category.as_str())
        .collect();
    serde_json::json!(names).to_string()
}

fn unavailable(error: impl Into<BoxError>) -> ReadError {
    ReadError::Unavailable(error.into())
}
