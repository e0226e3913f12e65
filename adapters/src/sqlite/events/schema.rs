//! Which tables `events.db` has, and which store it is.

use std::path::Path;

use rusqlite::Connection;

use domain::ports::{Entropy, StoreIdentity};

use crate::sqlite::open::{Migration, OpenError, Schema};

/// `CFev`: the file holds events.
pub(super) const SCHEMA: Schema = Schema {
    name: "events",
    application_id: 0x4346_6576,
    migrations: &[Migration {
        number: 1,
        sql: include_str!("migrations/0001_events.sql"),
    }],
};

/// Reads the identity, and draws it where the file is new.
pub(super) fn identify(
    connection: &Connection,
    path: &Path,
    entropy: &dyn Entropy,
) -> Result<StoreIdentity, OpenError> {
    if let Some(identity) = read_identity(connection, path)? {
        return Ok(identity);
    }
    let mut random = [0; 16];
    entropy.fill(&mut random);
    let store = uuid::Builder::from_random_bytes(random).into_uuid();
    connection
        .execute(include_str!("sql/insert_store.sql"), (store.as_bytes(),))
        .map_err(|source| OpenError::Sqlite {
            path: path.to_owned(),
            source,
        })?;
    Ok(identity_of(store, 0))
}

/// Reads the identity; `None` while nobody gave it one.
pub(super) fn read_identity(
    connection: &Connection,
    path: &Path,
) -> Result<Option<StoreIdentity>, OpenError> {
    let row = connection.query_row(include_str!("sql/select_store.sql"), (), |row| {
        Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, u32>(1)?))
    });
    match row {
        Ok((uuid, epoch)) => Ok(Some(identity_of(uuid::Uuid::from_bytes(uuid), epoch))),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        Err(source) => Err(OpenError::Sqlite {
            path: path.to_owned(),
            source,
        }),
    }
}

fn identity_of(store: uuid::Uuid, epoch: u32) -> StoreIdentity {
    StoreIdentity {
        store,
        epoch,
        backend: "sqlite",
        atomic_claims: true,
    }
}
