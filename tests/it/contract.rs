//! The contract suites, once per adapter.

use std::any::Any;
use std::sync::Arc;

use adapters::memory::MemoryEventStore;
use adapters::sqlite::events::{SqliteEventStore, SqliteOptions};
use domain::ports::EventStore;
use domain::time::Timestamp;
use harness::contract::event_store::StoreUnderTest;
use harness::event_store_contract;
use harness::world::{Dice, TestClock};
use rusqlite::{Connection, DropBehavior, Transaction, TransactionBehavior};

/// The reference has no process to restart: it stays.
struct Memory(Arc<MemoryEventStore>);

impl StoreUnderTest for Memory {
    fn fresh() -> Self {
        Self(Arc::new(MemoryEventStore::new(
            uuid::Uuid::from_u128(42 << 96),
            0,
        )))
    }

    fn store(&self) -> Arc<dyn EventStore> {
        self.0.clone()
    }

    fn reopen(&mut self) {}

    fn another_user(&self) -> Box<dyn Any + Send> {
        Box::new(())
    }
}

/// A file in a folder of its own.
struct Sqlite {
    store: Option<Arc<SqliteEventStore>>,
    folder: tempfile::TempDir,
}

impl Sqlite {
    fn open(&mut self) {
        let clock = Arc::new(TestClock::at(Timestamp::from_seconds(1_700_000_000)));
        let options = SqliteOptions::new(clock, Arc::new(Dice::new(1)));
        let path = self.folder.path().join("events.db");
        self.store = Some(Arc::new(SqliteEventStore::open(&path, options).unwrap()));
    }
}

impl StoreUnderTest for Sqlite {
    fn fresh() -> Self {
        let mut made = Self {
            store: None,
            folder: tempfile::tempdir().unwrap(),
        };
        made.open();
        made
    }

    fn store(&self) -> Arc<dyn EventStore> {
        self.store.clone().unwrap()
    }

    fn reopen(&mut self) {
        self.store = None;
        self.open();
    }

    fn another_user(&self) -> Box<dyn Any + Send> {
        let connection = Connection::open(self.folder.path().join("events.db")).unwrap();
        let mut snapshot =
            Transaction::new_unchecked(&connection, TransactionBehavior::Deferred).unwrap();
        // Reading anything opens the snapshot; the connection keeps it until it is closed.
        let _: i64 = snapshot
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        snapshot.set_drop_behavior(DropBehavior::Ignore);
        drop(snapshot);
        Box::new(connection)
    }
}

event_store_contract!(memory, Memory);
event_store_contract!(sqlite, Sqlite);
