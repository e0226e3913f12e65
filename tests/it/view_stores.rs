//! The contract suites of view stores and operational stores, once per adapter, and the engine over
//! the real ones.

use std::sync::Arc;

use adapters::memory::{MemoryOps, MemoryViewStore};
use adapters::sqlite::open::OpenError;
use adapters::sqlite::ops::SqliteOps;
use adapters::sqlite::views::SqliteViewStore;
use harness::contract::ops_store::OpsStoreUnderTest;
use harness::contract::view_store::{SPEC, ViewStoreUnderTest, checkpoint, thing};
use harness::{ops_store_contract, view_store_contract};
use projections::ports::{At, GenerationState, OpsStore, ViewDigest, ViewStore, ViewStoreError};

/// The reference has no process to restart: it stays.
struct Memory(Arc<MemoryViewStore>);

impl ViewStoreUnderTest for Memory {
    fn fresh() -> Self {
        Self(Arc::default())
    }

    fn store(&self) -> Arc<dyn ViewStore> {
        self.0.clone()
    }

    fn reopen(&mut self) {}
}

/// A file in a folder of its own.
struct Sqlite {
    store: Option<Arc<SqliteViewStore>>,
    folder: tempfile::TempDir,
}

impl ViewStoreUnderTest for Sqlite {
    fn fresh() -> Self {
        let mut made = Self {
            store: None,
            folder: tempfile::tempdir().unwrap(),
        };
        made.reopen();
        made
    }

    fn store(&self) -> Arc<dyn ViewStore> {
        self.store.clone().unwrap()
    }

    fn reopen(&mut self) {
        self.store = None;
        self.store = Some(Arc::new(
            SqliteViewStore::open(&self.folder.path().join("views.db")).unwrap(),
        ));
    }
}

view_store_contract!(memory, Memory);
view_store_contract!(sqlite, Sqlite);

struct OpsInMemory(Arc<MemoryOps>);

impl OpsStoreUnderTest for OpsInMemory {
    fn fresh() -> Self {
        Self(Arc::default())
    }

    fn store(&self) -> Arc<dyn OpsStore> {
        self.0.clone()
    }
}

struct OpsInSqlite {
    store: Arc<SqliteOps>,
    _folder: tempfile::TempDir,
}

impl OpsStoreUnderTest for OpsInSqlite {
    fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteOps::open(&folder.path().join("ops.db")).unwrap());
        Self {
            store,
            _folder: folder,
        }
    }

    fn store(&self) -> Arc<dyn OpsStore> {
        self.store.clone()
    }
}

ops_store_contract!(ops_in_memory, OpsInMemory);
ops_store_contract!(ops_in_sqlite, OpsInSqlite);

async fn filled(store: &dyn ViewStore) -> ViewDigest {
    let generation = store.create(&SPEC, GenerationState::Live).await.unwrap();
    let work = Box::new(
        |transaction: &mut dyn projections::ports::ViewTransaction| {
            transaction.put("thing", thing("b", "\u{20ac}", 1))?;
            transaction.put("thing", thing("A", "red", 2))?;
            Ok(Some(checkpoint(1)))
        },
    );
    store.transact(&SPEC, generation, None, work).await.unwrap();
    store.digest(&SPEC, At::Live).await.unwrap()
}

#[tokio::test]
async fn the_same_rows_have_the_same_digest_in_every_store() {
    let (memory, sqlite) = (Memory::fresh(), Sqlite::fresh());
    assert_eq!(
        filled(&*memory.store()).await,
        filled(&*sqlite.store()).await
    );
}

#[tokio::test]
async fn one_process_writes_the_views_and_others_read() {
    let sqlite = Sqlite::fresh();
    let path = sqlite.folder.path().join("views.db");
    assert!(matches!(
        SqliteViewStore::open(&path).err(),
        Some(OpenError::Locked { .. })
    ));
    let digest = filled(&*sqlite.store()).await;
    let reader = SqliteViewStore::open_read_only(&path).unwrap();
    assert_eq!(reader.digest(&SPEC, At::Live).await.unwrap(), digest);
    let refused = reader.create(&SPEC, GenerationState::Building).await;
    assert!(
        matches!(refused, Err(ViewStoreError::Unavailable(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn work_that_panics_leaves_nothing_and_the_store_goes_on() {
    let sqlite = Sqlite::fresh();
    let store = sqlite.store();
    let digest = filled(&*store).await;
    let work = Box::new(
        |transaction: &mut dyn projections::ports::ViewTransaction| {
            transaction.delete("thing", "b")?;
            panic!("a bug in a fold")
        },
    );
    let lost = store.transact(&SPEC, 1, Some(checkpoint(1)), work).await;
    assert!(
        matches!(lost, Err(ViewStoreError::Unavailable(_))),
        "{lost:?}"
    );
    assert_eq!(store.digest(&SPEC, At::Live).await.unwrap(), digest);
    let next = Box::new(|_: &mut dyn projections::ports::ViewTransaction| Ok(Some(checkpoint(2))));
    store
        .transact(&SPEC, 1, Some(checkpoint(1)), next)
        .await
        .unwrap();
}
