//! What the disk gives without a ledger: the same record bytes, inserted in batches by one bare
//! connection that is opened as the event store opens its own.
//!
//! Only the benchmark calls it. It checks nothing, and no event is ever read from its file.

use std::path::Path;

use domain::ports::BoxError;
use domain::record::Record;
use rusqlite::{Connection, TransactionBehavior};

use crate::sqlite::open::{Durability, Migration, OpenError, Schema, open_writer};

/// `CFrb`: the file is of no use after the benchmark.
const SCHEMA: Schema = Schema {
    name: "raw baseline",
    application_id: 0x4346_7262,
    migrations: &[Migration {
        number: 1,
        sql: include_str!("migrations/0001_raw_baseline.sql"),
    }],
};

/// One bare connection.
pub struct RawBaseline {
    connection: Connection,
}

impl RawBaseline {
    /// Makes the file, with the settings of the event store.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let connection = open_writer(path, &SCHEMA, Durability::Full)?;
        Ok(Self { connection })
    }

    /// Inserts the records in one transaction; they are on the disk when it returns. Blocks.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn append(&mut self, records: &[Record]) -> Result<(), BoxError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for record in records {
            transaction
                .prepare_cached(include_str!("sql/insert_raw.sql"))?
                .execute((&*record.bytes,))?;
        }
        Ok(transaction.commit()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::ids::EventId;
    use domain::stream::Version;

    use super::*;

    #[test]
    fn the_baseline_writes_the_bytes_that_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("raw.db");
        let mut raw = RawBaseline::open(&path).unwrap();
        let record = |number: u8| Record {
            event_id: EventId::from_parts(1, [number; 10]),
            event_type: "Tested".into(),
            version: Version::FIRST,
            bytes: Arc::from(vec![number; 700]),
        };
        raw.append(&[record(1), record(2)]).unwrap();
        raw.append(&[record(3)]).unwrap();
        let sum: i64 = raw
            .connection
            .query_row(
                "select count(*) * 1000 + sum(length(record)) from raw",
                (),
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(sum, 3 * 1000 + 3 * 700);
    }
}
