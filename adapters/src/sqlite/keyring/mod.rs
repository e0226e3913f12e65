//! The keyring on disk (`keyring.db`): root keys, data keys and shared secrets, all wrapped under
//! the key-encryption key. It has a backup of its own, apart from the events'.

mod secrets;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use domain::digest::{InstanceKey, base32};
use domain::ports::{BoxError, Entropy, Keyring, KeyringError};
use domain::sealed::{KeyScope, Place, Sealed};
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::open::{Durability, Migration, OpenError, Schema, open_writer};
use crate::keys::Kek;
use crate::keys::cipher::DataKey;

const SCHEMA: Schema = Schema {
    name: "keyring",
    application_id: 0x0CF0_0003,
    migrations: &[Migration {
        number: 1,
        sql: include_str!("migrations/0001_keyring.sql"),
    }],
};

/// Names of the root keys.
const INSTANCE: &str = "instance";
const LINK: &str = "link";

/// Why the keyring was not opened. Each one refuses the start.
#[derive(Debug, thiserror::Error)]
pub enum KeyringOpenError {
    /// The file.
    #[error(transparent)]
    File(#[from] OpenError),
    /// Its rows were wrapped under another key-encryption key, or were changed. Nothing is written
    /// under this one, so that no key is ever lost between two of them.
    #[error("{}: the key-encryption key does not open this keyring", path.display())]
    OtherKek {
        /// The file.
        path: PathBuf,
    },
    /// Destroyed keys would stay in the file.
    #[error("{}: SQLite does not overwrite what it deletes", path.display())]
    NotSecure {
        /// The file.
        path: PathBuf,
    },
}

/// `keyring.db` under a key-encryption key.
pub struct SqliteKeyring {
    connection: Arc<Mutex<Connection>>,
    kek: Kek,
    entropy: Arc<dyn Entropy>,
}

impl SqliteKeyring {
    /// Opens the file; makes it with new root keys where it is missing.
    ///
    /// # Errors
    /// [`KeyringOpenError`].
    pub fn open(
        path: &Path,
        kek: Kek,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, KeyringOpenError> {
        let connection = open_writer(path, &SCHEMA, Durability::Full)?;
        let damaged = |source| OpenError::Sqlite {
            path: path.to_owned(),
            source,
        };
        // Deleted rows are overwritten, so that a destroyed key is gone from the file.
        let secure: i64 = connection
            .pragma_update_and_check(None, "secure_delete", "on", |row| row.get(0))
            .map_err(damaged)?;
        if secure != 1 {
            return Err(KeyringOpenError::NotSecure {
                path: path.to_owned(),
            });
        }
        for name in [INSTANCE, LINK] {
            let wrapped = kek.cipher().encrypt(
                &*entropy,
                DataKey::draw(&*entropy).bytes(),
                &root_place(name),
            );
            connection
                .execute(include_str!("sql/insert_root.sql"), params![name, wrapped])
                .map_err(damaged)?;
        }
        let keyring = Self {
            connection: Arc::new(Mutex::new(connection)),
            kek,
            entropy,
        };
        for name in [INSTANCE, LINK] {
            keyring.root(name).map_err(|_| KeyringOpenError::OtherKek {
                path: path.to_owned(),
            })?;
        }
        Ok(keyring)
    }

    /// The instance key.
    ///
    /// # Errors
    /// [`KeyringError`] when the row was changed since the keyring was opened.
    pub fn instance_key(&self) -> Result<InstanceKey, KeyringError> {
        Ok(InstanceKey::new(self.root(INSTANCE)?))
    }

    /// The link key.
    ///
    /// # Errors
    /// As [`SqliteKeyring::instance_key`].
    pub fn link_key(&self) -> Result<InstanceKey, KeyringError> {
        Ok(InstanceKey::new(self.root(LINK)?))
    }

    /// Destroys a scope's key for good: what it sealed is erased, and the scope never gets another.
    /// A repeat changes nothing. Backups of the file keep the key until they are gone themselves.
    ///
    /// # Errors
    /// [`KeyringError::Unavailable`]; until a call succeeded, the key may still stand in the file.
    pub async fn destroy(&self, scope: &KeyScope, now: Timestamp) -> Result<(), KeyringError> {
        let (merchant, purpose) = (scope.merchant().to_string(), scope.purpose());
        self.run(move |connection, _, _| {
            let transaction = immediate(connection)?;
            let row = params![merchant, purpose, now.millis()];
            transaction
                .execute(include_str!("sql/insert_tombstone.sql"), row)
                .map_err(unavailable)?;
            let scope = params![merchant, purpose];
            transaction
                .execute(include_str!("sql/delete_data_key.sql"), scope)
                .map_err(unavailable)?;
            transaction.commit().map_err(unavailable)?;
            truncate_log(connection)
        })
        .await
    }

    fn root(&self, name: &str) -> Result<[u8; 32], KeyringError> {
        let wrapped: Vec<u8> = locked(&self.connection)
            .query_row(include_str!("sql/read_root.sql"), [name], |row| row.get(0))
            .map_err(unavailable)?;
        unwrap(&self.kek, &wrapped, &root_place(name)).map(|key| *key.bytes())
    }

    /// Short statements on a file of few rows; off the async threads all the same.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Kek, &dyn Entropy) -> Result<T, KeyringError> + Send + 'static,
    ) -> Result<T, KeyringError> {
        let (connection, kek, entropy) = (
            Arc::clone(&self.connection),
            self.kek.clone(),
            Arc::clone(&self.entropy),
        );
        let done =
            tokio::task::spawn_blocking(move || work(&locked(&connection), &kek, &*entropy)).await;
        done.map_err(unavailable)?
    }
}

/// After a deletion the write-ahead log still holds the page on which the key was.
fn truncate_log(connection: &Connection) -> Result<(), KeyringError> {
    let busy: bool = connection
        .query_row(include_str!("sql/truncate_log.sql"), [], |row| row.get(0))
        .map_err(unavailable)?;
    if busy {
        Err(unavailable(
            "the write-ahead log is in use and was not truncated",
        ))
    } else {
        Ok(())
    }
}

fn locked(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable(error: impl Into<BoxError>) -> KeyringError {
    KeyringError::Unavailable(error.into())
}

/// Rows are bound to their place, so that two wrapped keys cannot be swapped.
fn place(parts: &[&str]) -> Vec<u8> {
    let mut place = Vec::new();
    for part in parts {
        place.extend_from_slice(&(part.len() as u64).to_be_bytes());
        place.extend_from_slice(part.as_bytes());
    }
    place
}

fn root_place(name: &str) -> Vec<u8> {
    place(&["counterfoil-root/1", name])
}

fn data_key_place(merchant: &str, purpose: &str, key_id: &str) -> Vec<u8> {
    place(&["counterfoil-data-key/1", merchant, purpose, key_id])
}

fn unwrap(kek: &Kek, wrapped: &[u8], place: &[u8]) -> Result<DataKey, KeyringError> {
    let bytes = kek.cipher().decrypt(wrapped, place)?;
    let key: [u8; 32] = bytes
        .as_slice()
        .try_into()
        .map_err(|_| KeyringError::NotAuthentic)?;
    Ok(DataKey::new(key))
}

/// The scope's key, made when it is missing. Racing makers of any process end with one key: insert
/// unless it is there or was destroyed, in one statement, then read.
fn key_of(
    connection: &Connection,
    kek: &Kek,
    entropy: &dyn Entropy,
    merchant: &str,
    purpose: &str,
) -> Result<(String, DataKey), KeyringError> {
    let read = || {
        connection
            .query_row(
                include_str!("sql/read_data_key.sql"),
                params![merchant, purpose],
                |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)),
            )
            .optional()
            .map_err(unavailable)
    };
    let found = match read()? {
        Some(found) => Some(found),
        None => {
            let mut random = [0; 10];
            entropy.fill(&mut random);
            let key_id = format!("dk_{}", base32(&random));
            let place = data_key_place(merchant, purpose, &key_id);
            let wrapped = kek
                .cipher()
                .encrypt(entropy, DataKey::draw(entropy).bytes(), &place);
            let row = params![key_id, merchant, purpose, wrapped];
            connection
                .execute(include_str!("sql/insert_data_key.sql"), row)
                .map_err(unavailable)?;
            read()?
        }
    };
    // Only a tombstone keeps the row away.
    let (key_id, wrapped) = found.ok_or(KeyringError::Destroyed)?;
    let key = unwrap(kek, &wrapped, &data_key_place(merchant, purpose, &key_id))?;
    Ok((key_id, key))
}

/// A transaction that waits for other writers before it reads, so that what it read still holds
/// when it writes.
fn immediate(connection: &Connection) -> Result<Transaction<'_>, KeyringError> {
    Transaction::new_unchecked(connection, TransactionBehavior::Immediate).map_err(unavailable)
}

#[async_trait]
impl Keyring for SqliteKeyring {
    async fn seal(
        &self,
        scope: &KeyScope,
        place: &Place<'_>,
        plain: &[u8],
    ) -> Result<Sealed, KeyringError> {
        let (merchant, purpose) = (scope.merchant().to_string(), scope.purpose());
        let found = self.run(move |connection, kek, entropy| {
            key_of(connection, kek, entropy, &merchant, &purpose)
        });
        let (key_id, key) = found.await?;
        Ok(key.seal(&*self.entropy, &key_id, place, plain))
    }

    async fn open(&self, sealed: &Sealed, place: &Place<'_>) -> Result<Vec<u8>, KeyringError> {
        let key_id = sealed.k.clone();
        let key = self
            .run(move |connection, kek, _| {
                let row = connection
                    .query_row(
                        include_str!("sql/read_data_key_by_id.sql"),
                        [&key_id],
                        |row| {
                            Ok((
                                row.get::<_, String>(0)?,
                                row.get::<_, String>(1)?,
                                row.get::<_, Vec<u8>>(2)?,
                            ))
                        },
                    )
                    .optional()
                    .map_err(unavailable)?;
                let Some((merchant, purpose, wrapped)) = row else {
                    let destroyed = connection
                        .query_row(
                            include_str!("sql/read_tombstone.sql"),
                            [&key_id],
                            |_| Ok(()),
                        )
                        .optional()
                        .map_err(unavailable)?;
                    return Err(
                        destroyed.map_or(KeyringError::UnknownKey, |()| KeyringError::Destroyed)
                    );
                };
                unwrap(kek, &wrapped, &data_key_place(&merchant, &purpose, &key_id))
            })
            .await?;
        key.open(sealed, place)
    }
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
