//! The table of shared secrets in the keyring: several may be valid at once while one is rotated,
//! and none is ever replaced by another of its name.

use async_trait::async_trait;
use domain::ids::{KeyId, MerchantId};
use domain::ports::{KeyringError, Secret, SecretPurpose, Secrets};
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{SqliteKeyring, immediate, place, truncate_log, unavailable};
use crate::keys::memory::is_live;

fn secret_place(merchant: &str, purpose: &str, key_id: &str) -> Vec<u8> {
    place(&["counterfoil-secret/1", merchant, purpose, key_id])
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
    let mut statement = connection
        .prepare_cached(include_str!("sql/list_secrets.sql"))
        .map_err(unavailable)?;
    let rows = statement.query_map([merchant], |row| {
        Ok(SecretRow {
            purpose: row.get(0)?,
            key_id: row.get(1)?,
            wrapped: row.get(2)?,
            valid_from: row.get(3)?,
            valid_until: row.get(4)?,
        })
    });
    rows.map_err(unavailable)?
        .collect::<Result<_, _>>()
        .map_err(unavailable)
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
            for row in secret_rows(connection, &merchant)?
                .into_iter()
                .filter(|row| row.purpose == purpose)
            {
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

    async fn set(
        &self,
        merchant: &MerchantId,
        purpose: &SecretPurpose,
        secret: Secret,
    ) -> Result<(), KeyringError> {
        let (merchant, purpose) = (merchant.to_string(), purpose.as_text());
        self.run(move |connection, kek, entropy| {
            let key_id = secret.key_id.as_str();
            let place = secret_place(&merchant, &purpose, key_id);
            let transaction = immediate(connection)?;
            let known: Option<Vec<u8>> = transaction
                .query_row(
                    include_str!("sql/read_secret.sql"),
                    params![merchant, purpose, key_id],
                    |row| row.get(0),
                )
                .optional()
                .map_err(unavailable)?;
            if let Some(wrapped) = known
                && *kek.cipher().decrypt(&wrapped, &place)? != secret.value
            {
                return Err(KeyringError::NotAuthentic);
            }
            let wrapped = kek.cipher().encrypt(entropy, &secret.value, &place);
            let (from, until) = (
                secret.valid_from.millis(),
                secret.valid_until.map(Timestamp::millis),
            );
            let row = params![merchant, purpose, key_id, wrapped, from, until];
            transaction
                .execute(include_str!("sql/upsert_secret.sql"), row)
                .map_err(unavailable)?;
            transaction.commit().map_err(unavailable)
        })
        .await
    }

    async fn remove(
        &self,
        merchant: &MerchantId,
        purpose: &SecretPurpose,
        key_id: &KeyId,
    ) -> Result<(), KeyringError> {
        let row = [
            merchant.to_string(),
            purpose.as_text(),
            key_id.as_str().to_owned(),
        ];
        self.run(move |connection, _, _| {
            connection
                .execute(include_str!("sql/delete_secret.sql"), row)
                .map_err(unavailable)?;
            truncate_log(connection)
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
                Some((
                    purpose,
                    key_id,
                    Timestamp::from_millis(row.valid_from),
                    until,
                ))
            });
            Ok(known.collect())
        })
        .await
    }
}
