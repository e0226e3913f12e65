//! The keyring on disk (`keyring.db`): root keys, data keys and shared secrets, all wrapped under
//! the key-encryption key. It has a backup of its own, apart from the events'.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use domain::digest::{InstanceKey, base32};
use domain::ids::{KeyId, MerchantId};
use domain::ports::{BoxError, Entropy, Keyring, KeyringError, Secret, SecretPurpose, Secrets};
use domain::sealed::{KeyScope, Place, Sealed};
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::open::{Durability, Migration, OpenError, Schema, open_writer};
use crate::keys::Kek;
use crate::keys::cipher::DataKey;
use crate::keys::memory::is_live;

const SCHEMA: Schema = Schema {
    name: "keyring",
    application_id: 0x0CF0_0003,
    migrations: &[Migration { number: 1, sql: include_str!("migrations/0001_keyring.sql") }],
};

/// Names of the root keys.
const INSTANCE: &str = "instance";
const LINK: &str = "link";

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
    /// [`OpenError`].
    pub fn open(path: &Path, kek: Kek, entropy: Arc<dyn Entropy>) -> Result<Self, OpenError> {
        let connection = open_writer(path, &SCHEMA, Durability::Full)?;
        let damaged =
            |source| OpenError::Sqlite { path: path.to_owned(), source };
        // Deleted rows are overwritten, so that a destroyed key is gone from the file.
        connection.pragma_update(None, "secure_delete", "on").map_err(damaged)?;
        for name in [INSTANCE, LINK] {
            let wrapped = kek.cipher().encrypt(&*entropy, DataKey::draw(&*entropy).bytes(), &root_place(name));
            connection.execute(include_str!("sql/insert_root.sql"), params![name, wrapped]).map_err(damaged)?;
        }
        Ok(Self { connection: Arc::new(Mutex::new(connection)), kek, entropy })
    }

    /// The instance key.
    ///
    /// # Errors
    /// [`KeyringError::NotAuthentic`] under another key-encryption key.
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
        let (connection, kek, entropy) =
            (Arc::clone(&self.connection), self.kek.clone(), Arc::clone(&self.entropy));
        let done = tokio::task::spawn_blocking(move || work(&locked(&connection), &kek, &*entropy)).await;
        done.map_err(unavailable)?
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

fn secret_place(merchant: &str, purpose: &str, key_id: &str) -> Vec<u8> {
    place(&["counterfoil-secret/1", merchant, purpose, key_id])
}

fn unwrap(kek: &Kek, wrapped: &[u8], place: &[u8]) -> Result<DataKey, KeyringError> {
    let bytes = kek.cipher().decrypt(wrapped, place)?;
    let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| KeyringError::NotAuthentic)?;
    Ok(DataKey::new(key))
}

/// The scope's key, made when it is missing. Two racing makers end with one key: insert if absent,
/// then read.
fn key_of(
    connection: &Connection,
    kek: &Kek,
    entropy: &dyn Entropy,
    merchant: &str,
    purpose: &str,
) -> Result<(String, DataKey), KeyringError> {
    let read = || {
        connection
            .query_row(include_str!("sql/read_data_key.sql"), params![merchant, purpose], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()
            .map_err(unavailable)
    };
    if let Some((key_id, wrapped)) = read()? {
        let key = unwrap(kek, &wrapped, &data_key_place(merchant, purpose, &key_id))?;
        return Ok((key_id, key));
    }
    let destroyed = connection
        .query_row(include_str!("sql/read_tombstone.sql"), params![merchant, purpose], |_| Ok(()))
        .optional()
        .map_err(unavailable)?;
    if destroyed.is_some() {
        return Err(KeyringError::Destroyed);
    }
    let mut random = [0; 10];
    entropy.fill(&mut random);
    let key_id = format!("dk_{}", base32(&random));
    let key = DataKey::draw(entropy);
    let wrapped = kek.cipher().encrypt(entropy, key.bytes(), &data_key_place(merchant, purpose, &key_id));
    connection
        .execute(include_str!("sql/insert_data_key.sql"), params![key_id, merchant, purpose, wrapped])
        .map_err(unavailable)?;
    let (key_id, wrapped) = read()?.ok_or(KeyringError::UnknownKey)?;
    let key = unwrap(kek, &wrapped, &data_key_place(merchant, purpose, &key_id))?;
    Ok((key_id, key))
}

#[async_trait]
impl Keyring for SqliteKeyring {
    async fn seal(&self, scope: &KeyScope, place: &Place<'_>, plain: &[u8]) -> Result<Sealed, KeyringError> {
        let (merchant, purpose) = (scope.merchant().to_string(), scope.purpose());
        let found = self.run(move |connection, kek, entropy| key_of(connection, kek, entropy, &merchant, &purpose));
        let (key_id, key) = found.await?;
        Ok(key.seal(&*self.entropy, &key_id, place, plain))
    }

    async fn open(&self, sealed: &Sealed, place: &Place<'_>) -> Result<Vec<u8>, KeyringError> {
        let key_id = sealed.k.clone();
        let key = self
            .run(move |connection, kek, _| {
                let row = connection
                    .query_row(include_str!("sql/read_data_key_by_id.sql"), [&key_id], |row| {
                        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Vec<u8>>(2)?))
                    })
                    .optional()
                    .map_err(unavailable)?;
                let (merchant, purpose, wrapped) = row.ok_or(KeyringError::UnknownKey)?;
                unwrap(kek, &wrapped, &data_key_place(&merchant, &purpose, &key_id))
            })
            .await?;
        key.open(sealed, place)
    }
}

/// One row of the table of secrets.
struct SecretRow {
    purpose: String,
    key_id: String,
    wrapped: Vec<u8>,
    valid_from: i64,
    valid_until: Option<i64>,
}

fn secret_rows(connection: &Connection, merchant: &str) -> Result<Vec<SecretRow>, KeyringError> {
    let mut statement = connection.prepare_cached(include_str!("sql/list_secrets.sql")).map_err(unavailable)?;
    let rows = statement.query_map([merchant], |row| {
        Ok(SecretRow {
            purpose: row.get(0)?,
            key_id: row.get(1)?,
            wrapped: row.get(2)?,
            valid_from: row.get(3)?,
            valid_until: row.get(4)?,
        })
    });
    rows.map_err(unavailable)?.collect::<Result<_, _>>().map_err(unavailable)
}

#[async_trait]
impl Secrets for SqliteKeyring {
    async fn active(
        &self,
        merchant: &MerchantId,
        purpose: &SecretPurpose,
        now: Timestamp,
    ) -> Result<Vec<Secret>, KeyringError> {
        let (merchant, purpose) = (merchant.to_string(), purpose.as_text());
        self.run(move |connection, kek, _| {
            let mut live = vec![];
            for row in secret_rows(connection, &merchant)?.into_iter().filter(|row| row.purpose == purpose) {
                let place = secret_place(&merchant, &purpose, &row.key_id);
                let secret = Secret {
                    key_id: KeyId::parse(row.key_id).map_err(unavailable)?,
                    value: kek.cipher().decrypt(&row.wrapped, &place)?.to_vec(),
                    valid_from: Timestamp::from_millis(row.valid_from),
                    valid_until: row.valid_until.map(Timestamp::from_millis),
                };
                if is_live(&secret, now) {
                    live.push(secret);
                }
            }
            Ok(live)
        })
        .await
    }

    async fn set(&self, merchant: &MerchantId, purpose: &SecretPurpose, secret: Secret) -> Result<(), KeyringError> {
        let (merchant, purpose) = (merchant.to_string(), purpose.as_text());
        self.run(move |connection, kek, entropy| {
            let key_id = secret.key_id.as_str();
            let place = secret_place(&merchant, &purpose, key_id);
            let known: Option<Vec<u8>> = connection
                .query_row(include_str!("sql/read_secret.sql"), params![merchant, purpose, key_id], |row| row.get(0))
                .optional()
                .map_err(unavailable)?;
            if let Some(wrapped) = known
                && *kek.cipher().decrypt(&wrapped, &place)? != secret.value
            {
                return Err(KeyringError::NotAuthentic);
            }
            let wrapped = kek.cipher().encrypt(entropy, &secret.value, &place);
            let (from, until) = (secret.valid_from.millis(), secret.valid_until.map(Timestamp::millis));
            let row = params![merchant, purpose, key_id, wrapped, from, until];
            connection.execute(include_str!("sql/upsert_secret.sql"), row).map_err(unavailable)?;
            Ok(())
        })
        .await
    }

    async fn list(
        &self,
        merchant: &MerchantId,
    ) -> Result<Vec<(SecretPurpose, KeyId, Timestamp, Option<Timestamp>)>, KeyringError> {
        let merchant = merchant.to_string();
        self.run(move |connection, _, _| {
            let rows = secret_rows(connection, &merchant)?;
            let known = rows.into_iter().filter_map(|row| {
                let purpose = SecretPurpose::parse(&row.purpose)?;
                let key_id = KeyId::parse(row.key_id).ok()?;
                let until = row.valid_until.map(Timestamp::from_millis);
                Some((purpose, key_id, Timestamp::from_millis(row.valid_from), until))
            });
            Ok(known.collect())
        })
        .await
    }
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
