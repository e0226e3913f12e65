//! The operational store of the embedded default: `ops.db`.
//!
//! Each call is one statement and one transaction. Nothing here is truth; see the port.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use domain::ids::DeliveryId;
use domain::time::Timestamp;
use projections::ports::{Excerpt, Lease, Leases, OpsError, OpsStore};
use rusqlite::{Connection, OptionalExtension};

use crate::sqlite::open::{
    Durability, Migration, OpenError, Schema, WriterLock, make_private_folder, open_writer,
};

/// `CFop`: the file holds operational rows.
const SCHEMA: Schema = Schema {
    name: "ops",
    application_id: 0x4346_6f70,
    migrations: &[Migration {
        number: 1,
        sql: include_str!("migrations/0001_ops.sql"),
    }],
};

/// Leases, excerpts and notes in one SQLite file.
pub struct SqliteOps {
    // Dropped before the lock.
    connection: Arc<Mutex<Connection>>,
    _lock: WriterLock,
}

impl SqliteOps {
    /// Opens the file and makes it and its folder where they are missing. Blocks: it is called
    /// before the server starts.
    ///
    /// # Errors
    /// [`OpenError`]; [`OpenError::Locked`] when another process has it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            make_private_folder(folder)?;
        }
        let lock = WriterLock::take(path)?;
        let connection = open_writer(path, &SCHEMA, Durability::Normal)?;
        connection.set_prepared_statement_cache_capacity(16);
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            _lock: lock,
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, OpsError> {
        let connection = Arc::clone(&self.connection);
        let work = move || {
            // Each call is one statement, so a panic elsewhere leaves nothing half done.
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&connection)
        };
        let done = tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| OpsError(error.into()))?;
        done.map_err(|error| OpsError(error.into()))
    }

    async fn change(
        &self,
        sql: &'static str,
        values: impl rusqlite::Params + Send + 'static,
    ) -> Result<usize, OpsError> {
        self.run(move |connection| connection.prepare_cached(sql)?.execute(values))
            .await
    }
}

/// Epochs count up from 1 by one and never come near the end of `i64`.
fn signed(epoch: u64) -> i64 {
    i64::try_from(epoch).unwrap_or(i64::MAX)
}

#[async_trait]
impl Leases for SqliteOps {
    async fn acquire(
        &self,
        key: &str,
        owner: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<Lease>, OpsError> {
        let (key, owner, until) = (key.to_owned(), owner.to_owned(), now.plus(ttl));
        self.run(move |connection| {
            let epoch: Option<i64> = connection
                .prepare_cached(include_str!("sql/acquire_lease.sql"))?
                .query_row((&key, &owner, until.millis(), now.millis()), |row| {
                    row.get(0)
                })
                .optional()?;
            Ok(epoch.map(|epoch| Lease {
                key,
                owner,
                epoch: epoch.unsigned_abs(),
                until,
            }))
        })
        .await
    }

    async fn renew(
        &self,
        lease: &Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<Lease>, OpsError> {
        let renewed = Lease {
            until: now.plus(ttl),
            ..lease.clone()
        };
        let values = (
            lease.key.clone(),
            lease.owner.clone(),
            signed(lease.epoch),
            renewed.until.millis(),
        );
        let changed = self
            .change(include_str!("sql/renew_lease.sql"), values)
            .await?;
        Ok((changed == 1).then_some(renewed))
    }

    async fn release(&self, lease: &Lease) -> Result<bool, OpsError> {
        let over = Timestamp::from_millis(i64::MIN).millis();
        let values = (
            lease.key.clone(),
            lease.owner.clone(),
            signed(lease.epoch),
            over,
        );
        Ok(self
            .change(include_str!("sql/renew_lease.sql"), values)
            .await?
            == 1)
    }

    async fn finish(&self, lease: &Lease) -> Result<bool, OpsError> {
        let values = (lease.key.clone(), lease.owner.clone(), signed(lease.epoch));
        Ok(self
            .change(include_str!("sql/finish_lease.sql"), values)
            .await?
            == 1)
    }

    async fn release_all(&self, owner: &str, now: Timestamp) -> Result<usize, OpsError> {
        let over = Timestamp::from_millis(i64::MIN).millis();
        let values = (owner.to_owned(), now.millis(), over);
        self.change(include_str!("sql/release_leases.sql"), values)
            .await
    }
}

#[async_trait]
impl OpsStore for SqliteOps {
    async fn put_excerpt(&self, excerpt: &Excerpt) -> Result<(), OpsError> {
        let values = (
            excerpt.delivery.as_str().to_owned(),
            excerpt.generation,
            excerpt.attempt_no,
            excerpt.nonce,
            excerpt.bytes.clone(),
            excerpt.at.millis(),
        );
        self.change(include_str!("sql/upsert_excerpt.sql"), values)
            .await?;
        Ok(())
    }

    async fn excerpts(&self, delivery: &DeliveryId) -> Result<Vec<Excerpt>, OpsError> {
        let delivery = delivery.clone();
        self.run(move |connection| {
            let mut statement =
                connection.prepare_cached(include_str!("sql/select_excerpts.sql"))?;
            let rows = statement.query((delivery.as_str(),))?;
            rows.mapped(|row| {
                Ok(Excerpt {
                    delivery: delivery.clone(),
                    generation: row.get(0)?,
                    attempt_no: row.get(1)?,
                    nonce: row.get(2)?,
                    bytes: row.get(3)?,
                    at: Timestamp::from_millis(row.get(4)?),
                })
            })
            .collect()
        })
        .await
    }

    async fn erase_excerpts(&self, before: Timestamp) -> Result<u64, OpsError> {
        Ok(self
            .change(include_str!("sql/erase_excerpts.sql"), (before.millis(),))
            .await? as u64)
    }

    async fn put_note(&self, key: &str, value: &[u8]) -> Result<(), OpsError> {
        self.change(
            include_str!("sql/upsert_note.sql"),
            (key.to_owned(), value.to_vec()),
        )
        .await?;
        Ok(())
    }

    async fn note(&self, key: &str) -> Result<Option<Vec<u8>>, OpsError> {
        let key = key.to_owned();
        self.run(move |connection| {
            let mut statement = connection.prepare_cached(include_str!("sql/select_note.sql"))?;
            statement.query_row((key,), |row| row.get(0)).optional()
        })
        .await
    }

    async fn forget_note(&self, key: &str) -> Result<(), OpsError> {
        self.change(include_str!("sql/delete_note.sql"), (key.to_owned(),))
            .await?;
        Ok(())
    }
}
