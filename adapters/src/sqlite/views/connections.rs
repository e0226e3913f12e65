//! The writing connection, and the reading ones.
//!
//! All work runs on blocking threads. A reader's transaction is over before its result is handed
//! out, so that no consumer can keep the write-ahead log from being cut.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use domain::ports::BoxError;
use projections::ports::ViewStoreError;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::Semaphore;

use super::schema::SCHEMA;
use crate::sqlite::open::{Durability, OpenError, open_reader, open_writer};

/// Statements that are kept prepared. A view has about six per table and generation.
const STATEMENTS: usize = 256;

/// One connection that writes, for one caller at a time.
pub(super) struct Writer {
    connection: Arc<Mutex<Connection>>,
}

impl Writer {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        // A lost tail is read from the log again: the checkpoint is lost with it.
        let connection = open_writer(path, &SCHEMA, Durability::Normal)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// Runs `write` in one transaction, which is kept only if it succeeds.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T, ViewStoreError> + Send + 'static,
    ) -> Result<T, ViewStoreError> {
        let connection = Arc::clone(&self.connection);
        let work = move || {
            // A transaction that was dropped by a panic is rolled back, so the connection is sound.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(unavailable)?;
            let written = write(&transaction)?;
            transaction.commit().map_err(unavailable)?;
            Ok(written)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(unavailable)?
    }
}

/// Connections that read, opened when they are first needed.
pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: &Path, connections: usize) -> Self {
        Self {
            path: path.to_owned(),
            permits: Arc::new(Semaphore::new(connections)),
            idle: Arc::default(),
        }
    }

    /// Runs `read` on one snapshot. A connection that met an error is not used again.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, ViewStoreError> + Send + 'static,
    ) -> Result<T, ViewStoreError> {
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
                None => open(&path).map_err(unavailable)?,
            };
            let transaction = connection.unchecked_transaction().map_err(unavailable)?;
            let read = read(&transaction)?;
            transaction.finish().map_err(unavailable)?;
            idle.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
            Ok(read)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(unavailable)?
    }
}

fn open(path: &Path) -> Result<Connection, OpenError> {
    let connection = open_reader(path, &SCHEMA)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

pub(super) fn unavailable(error: impl Into<BoxError>) -> ViewStoreError {
    ViewStoreError::Unavailable(error.into())
}
