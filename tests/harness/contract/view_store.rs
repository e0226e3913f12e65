//! What every view store must do. The macro [`view_store_contract`](crate::view_store_contract)
//! names every promise once, so that no adapter can leave one out.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::digest::Digest32;
use domain::ports::Position;
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;
use projections::ports::{
    At, Cell, Checkpoint, ColumnSpec, GenerationState, Parked, Row, RowsError, TableSpec, Test,
    ViewQuery, ViewSpec, ViewStore, ViewStoreError, ViewTransaction, WorkError,
};

/// One adapter under test.
pub trait ViewStoreUnderTest: Send + Sync {
    /// A fresh, empty store.
    fn fresh() -> Self;

    /// The store.
    fn store(&self) -> Arc<dyn ViewStore>;

    /// Closes and opens it, as a restart of the process does. Nobody holds the store meanwhile.
    fn reopen(&mut self);
}

/// Instantiates every promise for one adapter, in a module of the given name.
#[macro_export]
macro_rules! view_store_contract {
    ($name:ident, $store:ty) => {
        mod $name {
            use super::*;
            $crate::view_store_contract! { @each $store:
                rows_and_checkpoint_are_written_together
                work_that_gives_up_leaves_nothing
                a_writer_that_is_behind_is_refused
                one_of_many_writers_from_the_same_place_wins
                writes_are_seen_inside_their_transaction
                scans_go_on_after_a_key
                a_query_gives_exactly_what_passes_page_by_page
                undeclared_tables_and_columns_are_refused
                one_generation_is_live_and_numbers_are_never_used_again
                readers_are_never_taken_back
                rows_of_another_version_are_not_read
                retiring_drops_one_generation_and_no_other
                parked_streams_belong_to_their_generation
                a_digest_tells_content_and_nothing_else
                everything_is_there_after_a_restart
            }
        }
    };
    (@each $store:ty: $($promise:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            $crate::contract::view_store::$promise::<$store>().await;
        }
    )+};
}

const TABLES: &[TableSpec] = &[
    TableSpec {
        name: "thing",
        columns: &[ColumnSpec::text("colour"), ColumnSpec::integer("size")],
        indexes: &[&["colour"], &["colour", "size"]],
    },
    TableSpec {
        name: "other",
        columns: &[],
        indexes: &[],
    },
];

/// The view of the suite.
pub const SPEC: ViewSpec = ViewSpec {
    name: "things",
    version: 1,
    tables: TABLES,
};

/// A place in an imagined log.
pub fn checkpoint(commit: u64) -> Checkpoint {
    Checkpoint {
        position: Position::new(7, 0, commit, 0),
        stream: StreamId::parse("quote-x").unwrap(),
        version: Version(commit),
        leaf: Digest32::sha256(&[&commit.to_be_bytes()]),
        store: uuid::Uuid::from_u128(7 << 96),
        epoch: 0,
    }
}

/// A row of table `thing`.
pub fn thing(key: &str, colour: impl Into<Cell>, size: impl Into<Cell>) -> Row {
    Row {
        key: key.into(),
        cells: vec![colour.into(), size.into()],
        body: format!("{{\"{key}\":1}}").into(),
    }
}

/// What a transaction does to rows.
type Change = fn(&mut dyn ViewTransaction) -> Result<(), RowsError>;

fn parked(stream: &str, commit: u64) -> Parked {
    Parked {
        stream: StreamId::parse(stream).unwrap(),
        position: checkpoint(commit).position,
        version: Version(commit),
        error: "why \u{20ac}".into(),
        since: Timestamp::from_millis(1_700_000_000_123),
    }
}

async fn write(
    store: &dyn ViewStore,
    generation: u32,
    (from, to): (Option<u64>, u64),
    work: impl FnOnce(&mut dyn ViewTransaction) -> Result<(), RowsError> + Send + 'static,
) -> Result<Option<Checkpoint>, ViewStoreError> {
    let work = Box::new(move |transaction: &mut dyn ViewTransaction| {
        work(transaction)?;
        Ok(Some(checkpoint(to)))
    });
    store
        .transact(&SPEC, generation, from.map(checkpoint), work)
        .await
}

async fn live<S: ViewStoreUnderTest>() -> (S, Arc<dyn ViewStore>, u32) {
    let under_test = S::fresh();
    let store = under_test.store();
    let generation = store.create(&SPEC, GenerationState::Live).await.unwrap();
    (under_test, store, generation)
}

async fn fill(store: &dyn ViewStore, generation: u32, step: (Option<u64>, u64), rows: Vec<Row>) {
    let put = move |transaction: &mut dyn ViewTransaction| {
        rows.into_iter()
            .try_for_each(|row| transaction.put("thing", row))
    };
    write(store, generation, step, put).await.unwrap();
}

/// Both or neither, and at once.
pub async fn rows_and_checkpoint_are_written_together<S: ViewStoreUnderTest>() {
    let (_kept, store, generation) = live::<S>().await;
    assert_eq!(
        store.standing(&SPEC, At::Live).await.unwrap().checkpoint,
        None
    );
    let row = thing("a/\u{20ac}", "red", Cell::Null);
    fill(&*store, generation, (None, 1), vec![row.clone()]).await;
    let standing = store.standing(&SPEC, At::Live).await.unwrap();
    assert_eq!(
        (standing.generation, standing.checkpoint),
        (generation, Some(checkpoint(1)))
    );
    assert_eq!(
        store.get(&SPEC, At::Live, "thing", &row.key).await.unwrap(),
        Some(row)
    );
    assert_eq!(
        store.get(&SPEC, At::Live, "other", "a").await.unwrap(),
        None
    );

    let unmoved = Box::new(|transaction: &mut dyn ViewTransaction| {
        transaction.put("thing", thing("b", "red", 1))?;
        Ok(None)
    });
    let stays = store
        .transact(&SPEC, generation, Some(checkpoint(1)), unmoved)
        .await
        .unwrap();
    assert_eq!(stays, Some(checkpoint(1)));
    assert!(
        store
            .get(&SPEC, At::Live, "thing", "b")
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        store.standing(&SPEC, At::Live).await.unwrap().checkpoint,
        Some(checkpoint(1))
    );
}

/// Rows, parked streams and checkpoint stay as they were.
pub async fn work_that_gives_up_leaves_nothing<S: ViewStoreUnderTest>() {
    let (_kept, store, generation) = live::<S>().await;
    fill(
        &*store,
        generation,
        (None, 1),
        vec![thing("a", "red", 1), thing("b", "red", 2)],
    )
    .await;
    let before = store.digest(&SPEC, At::Live).await.unwrap();
    let work = Box::new(|transaction: &mut dyn ViewTransaction| {
        transaction.put("thing", thing("a", "blue", 9))?;
        transaction.put("thing", thing("a", "green", 9))?;
        transaction.put("thing", thing("c", "blue", 9))?;
        transaction.delete("thing", "b")?;
        transaction.park(parked("quote-x", 1))?;
        transaction.unpark(&StreamId::parse("quote-y").unwrap())?;
        Err(WorkError::Poison {
            stream: StreamId::parse("quote-x").unwrap(),
            version: Version(3),
            position: checkpoint(3).position,
            error: "no".into(),
        })
    });
    let refused = store
        .transact(&SPEC, generation, Some(checkpoint(1)), work)
        .await;
    assert!(
        matches!(
            refused,
            Err(ViewStoreError::Work(WorkError::Poison {
                version: Version(3),
                ..
            }))
        ),
        "{refused:?}"
    );
    assert_eq!(store.digest(&SPEC, At::Live).await.unwrap(), before);
    assert_eq!(store.parked(&SPEC, At::Live).await.unwrap(), []);
}

/// The fence: what the writer thinks must be so.
pub async fn a_writer_that_is_behind_is_refused<S: ViewStoreUnderTest>() {
    let (_kept, store, generation) = live::<S>().await;
    fill(&*store, generation, (None, 5), vec![]).await;
    for from in [None, Some(4), Some(6)] {
        let ran = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let noted = Arc::clone(&ran);
        let refused = write(&*store, generation, (from, 7), move |_| {
            noted.store(true, std::sync::atomic::Ordering::SeqCst);
            Ok(())
        });
        let refused = refused.await;
        assert!(
            matches!(refused, Err(ViewStoreError::Fenced { .. })),
            "{refused:?}"
        );
        assert!(
            !ran.load(std::sync::atomic::Ordering::SeqCst),
            "the work of a fenced writer must not run"
        );
    }
    let forked = Checkpoint {
        leaf: Digest32([0; 32]),
        ..checkpoint(5)
    };
    let refused = store
        .transact(&SPEC, generation, Some(forked), Box::new(|_| Ok(None)))
        .await;
    assert!(
        matches!(refused, Err(ViewStoreError::Fenced { .. })),
        "{refused:?}"
    );
    let nowhere = store
        .transact(&SPEC, 99, None, Box::new(|_| Ok(None)))
        .await;
    assert!(
        matches!(nowhere, Err(ViewStoreError::NoGeneration { .. })),
        "{nowhere:?}"
    );
}

/// 32 writers, one page.
pub async fn one_of_many_writers_from_the_same_place_wins<S: ViewStoreUnderTest>() {
    let (_kept, store, generation) = live::<S>().await;
    let tries = (0..32).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let row = thing(&format!("writer-{n}"), "red", n);
            write(&*store, generation, (None, 1), move |transaction| {
                transaction.put("thing", row)
            })
            .await
            .is_ok()
        })
    });
    let tries: Vec<_> = tries.collect();
    let mut won = 0;
    for one in tries {
        won += u32::from(one.await.unwrap());
    }
    assert_eq!(won, 1);
    assert_eq!(
        store
            .query(&SPEC, At::Live, "thing", &ViewQuery::first(100))
            .await
            .unwrap()
            .rows
            .len(),
        1
    );
}

/// Reading your own writes.
pub async fn writes_are_seen_inside_their_transaction<S: ViewStoreUnderTest>() {
    let (_kept, store, generation) = live::<S>().await;
    fill(&*store, generation, (None, 1), vec![thing("a", "red", 1)]).await;
    write(&*store, generation, (Some(1), 2), |transaction| {
        transaction.put("thing", thing("b", "red", 2))?;
        transaction.delete("thing", "a")?;
        transaction.delete("thing", "never-there")?;
        assert_eq!(transaction.get("thing", "a")?, None);
        assert_eq!(transaction.get("thing", "b")?, Some(thing("b", "red", 2)));
        assert_eq!(
            transaction.scan("thing", "colour", &"red".into(), None, 9)?,
            [thing("b", "red", 2)]
        );
        transaction.put("thing", thing("b", "blue", 2))?;
        assert_eq!(
            transaction.scan("thing", "colour", &"red".into(), None, 9)?,
            []
        );
        transaction.park(parked("quote-x", 1))?;
        assert_eq!(transaction.parked()?, [parked("quote-x", 1)]);
        Ok(())
    })
    .await
    .unwrap();
}

/// In key order, as many as were asked for, `Null` like any value.
pub async fn scans_go_on_after_a_key<S: ViewStoreUnderTest>() {
    let (_kept, store, generation) = live::<S>().await;
    let mut rows: Vec<Row> = (0..10)
        .map(|n| thing(&format!("k{n}"), "red", n % 2))
        .collect();
    rows.push(thing("K9", "red", 1));
    rows.push(thing("z", Cell::Null, Cell::Null));
    rows.reverse();
    fill(&*store, generation, (None, 1), rows).await;
    write(&*store, generation, (Some(1), 2), |transaction| {
        let mut keys = |value: Cell,
                        column: &str,
                        after: Option<&str>,
                        limit: usize|
         -> Result<Vec<String>, RowsError> {
            let rows = transaction.scan("thing", column, &value, after, limit)?;
            Ok(rows.into_iter().map(|row| row.key).collect())
        };
        assert_eq!(keys("red".into(), "colour", None, 3)?, ["K9", "k0", "k1"]);
        assert_eq!(keys("red".into(), "colour", Some("k1"), 2)?, ["k2", "k3"]);
        assert_eq!(keys(1.into(), "size", Some("k5"), 9)?, ["k7", "k9"]);
        assert_eq!(keys(Cell::Null, "size", None, 9)?, ["z"]);
        assert_eq!(keys("Red".into(), "colour", None, 9)?, [""; 0]);
        Ok(())
    })
    .await
    .unwrap();
}

/// Every combination of conditions, orders, directions and page sizes, against plain filtering.
pub async fn a_query_gives_exactly_what_passes_page_by_page<S: ViewStoreUnderTest>() {
    let (_kept, store, generation) = live::<S>().await;
    let colours: [Cell; 4] = ["red".into(), "blue".into(), "Blue".into(), Cell::Null];
    let sizes: [Cell; 4] = [(-1).into(), 10.into(), 9.into(), Cell::Null];
    let mut rows = vec![];
    for (c, colour) in colours.iter().enumerate() {
        for (s, size) in sizes.iter().enumerate() {
            rows.push(thing(
                &format!("{}{c}{s}", (s + c) % 3),
                colour.clone(),
                size.clone(),
            ));
        }
    }
    fill(&*store, generation, (None, 1), rows.clone()).await;

    let tests = [
        vec![],
        vec![("colour", Test::Eq("blue".into()))],
        vec![("colour", Test::Eq(Cell::Null))],
        vec![("size", Test::Lt(10.into()))],
        vec![("size", Test::Le(10.into()))],
        vec![("size", Test::Gt(9.into()))],
        vec![
            ("size", Test::Ge(9.into())),
            ("colour", Test::In(vec!["red".into(), "Blue".into()])),
        ],
        vec![("colour", Test::In(vec![]))],
        vec![("colour", Test::Gt("C".into()))],
        vec![("size", Test::Le(Cell::Null))],
    ];
    for conditions in tests {
        for order in [None, Some(("size", 1)), Some(("colour", 0))] {
            for descending in [false, true] {
                for limit in [1, 3, 100] {
                    let mut query = ViewQuery::first(limit);
                    for (column, test) in &conditions {
                        query = query.with(column, test.clone());
                    }
                    query.order_by = order.map(|(column, _)| column);
                    query.descending = descending;

                    let place = |row: &Row| {
                        (
                            order.map(|(_, column)| row.cells[column].clone()),
                            row.key.clone(),
                        )
                    };
                    let cell =
                        |row: &Row, column: &str| row.cells[usize::from(column == "size")].clone();
                    let mut expected: Vec<Row> = rows
                        .iter()
                        .filter(|row| place(row).0 != Some(Cell::Null))
                        .filter(|row| {
                            conditions
                                .iter()
                                .all(|(column, test)| test.passes(&cell(row, column)))
                        })
                        .cloned()
                        .collect();
                    expected.sort_by_key(place);
                    if descending {
                        expected.reverse();
                    }
                    assert_eq!(pages(&*store, query.clone()).await, expected, "{query:?}");
                }
            }
        }
    }
}

/// All pages of a query. No page may be empty but the first, and none over its limit.
async fn pages(store: &dyn ViewStore, mut query: ViewQuery) -> Vec<Row> {
    let mut all = vec![];
    loop {
        let page = store.query(&SPEC, At::Live, "thing", &query).await.unwrap();
        assert!(page.rows.len() <= query.limit);
        assert!(
            query.after.is_none() || !page.rows.is_empty(),
            "a page that was announced is empty"
        );
        all.extend(page.rows);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return all,
        }
    }
}

/// Bugs of ours are named, not executed.
pub async fn undeclared_tables_and_columns_are_refused<S: ViewStoreUnderTest>() {
    let (_kept, store, generation) = live::<S>().await;
    let wrong: [Change; 6] = [
        |transaction| transaction.put("nothing", thing("a", "red", 1)),
        |transaction| transaction.put("thing", thing("a", 1, "red")),
        |transaction| transaction.put("thing", thing("", "red", 1)),
        |transaction| transaction.delete("nothing", "a"),
        |transaction| transaction.get("nothing", "a").map(|_| ()),
        |transaction| {
            transaction
                .scan("thing", "weight", &1.into(), None, 1)
                .map(|_| ())
        },
    ];
    for work in wrong {
        let refused = write(&*store, generation, (None, 1), work).await;
        assert!(
            matches!(
                refused,
                Err(ViewStoreError::Work(WorkError::Rows(RowsError::Spec(_))))
            ),
            "{refused:?}"
        );
    }
    let query = ViewQuery::first(1).equal("weight", 1);
    assert!(matches!(
        store.query(&SPEC, At::Live, "thing", &query).await,
        Err(ViewStoreError::Spec(_))
    ));
    assert!(matches!(
        store.get(&SPEC, At::Live, "nothing", "a").await,
        Err(ViewStoreError::Spec(_))
    ));
    let named_badly = ViewSpec {
        name: "x\"; drop",
        ..SPEC
    };
    assert!(matches!(
        store.create(&named_badly, GenerationState::Live).await,
        Err(ViewStoreError::Spec(_))
    ));
}

/// The pointer that readers follow.
pub async fn one_generation_is_live_and_numbers_are_never_used_again<S: ViewStoreUnderTest>() {
    let (_kept, store, first) = live::<S>().await;
    let again = store.create(&SPEC, GenerationState::Live).await;
    assert!(
        matches!(again, Err(ViewStoreError::NotNow { .. })),
        "{again:?}"
    );
    let second = store
        .create(&SPEC, GenerationState::Building)
        .await
        .unwrap();
    fill(&*store, second, (None, 1), vec![thing("new", "red", 1)]).await;
    assert_eq!(
        store.get(&SPEC, At::Live, "thing", "new").await.unwrap(),
        None
    );

    let wrong = store.switch("things", None, second).await;
    assert!(
        matches!(wrong, Err(ViewStoreError::NotNow { .. })),
        "{wrong:?}"
    );
    store.switch("things", Some(first), second).await.unwrap();
    assert!(
        store
            .get(&SPEC, At::Live, "thing", "new")
            .await
            .unwrap()
            .is_some()
    );
    let twice = store.switch("things", Some(second), second).await;
    assert!(
        matches!(twice, Err(ViewStoreError::NotNow { .. })),
        "{twice:?}"
    );
    let back = store.switch("things", Some(second), first).await;
    assert!(
        matches!(back, Err(ViewStoreError::NotNow { .. })),
        "{back:?}"
    );

    let states: Vec<_> = store
        .generations()
        .await
        .unwrap()
        .into_iter()
        .map(|known| (known.number, known.state))
        .collect();
    assert_eq!(
        states,
        [
            (first, GenerationState::Previous),
            (second, GenerationState::Live)
        ]
    );
    assert!(matches!(
        store.retire("things", second).await,
        Err(ViewStoreError::NotNow { .. })
    ));
    store.retire("things", first).await.unwrap();
    store.retire("things", first).await.unwrap();
    let third = store.create(&SPEC, GenerationState::Shadow).await.unwrap();
    store.retire("things", third).await.unwrap();
    let fourth = store.create(&SPEC, GenerationState::Shadow).await.unwrap();
    assert_eq!(BTreeSet::from([first, second, third, fourth]).len(), 4);
    let shadow = store.switch("things", Some(second), fourth).await;
    assert!(
        matches!(shadow, Err(ViewStoreError::NotNow { .. })),
        "{shadow:?}"
    );
}

/// A switch to a generation that stands before the live one is refused.
pub async fn readers_are_never_taken_back<S: ViewStoreUnderTest>() {
    let (_kept, store, first) = live::<S>().await;
    fill(&*store, first, (None, 5), vec![]).await;
    let second = store
        .create(&SPEC, GenerationState::Building)
        .await
        .unwrap();
    for (from, to) in [(None, 3), (Some(3), 4)] {
        let early = store.switch("things", Some(first), second).await;
        assert!(
            matches!(early, Err(ViewStoreError::Behind { .. })),
            "{early:?}"
        );
        fill(&*store, second, (from, to), vec![]).await;
    }
    fill(&*store, second, (Some(4), 5), vec![]).await;
    store.switch("things", Some(first), second).await.unwrap();
    assert_eq!(
        store.standing(&SPEC, At::Live).await.unwrap().generation,
        second
    );
}

/// Neither readers nor writers of other code touch them.
pub async fn rows_of_another_version_are_not_read<S: ViewStoreUnderTest>() {
    let (_kept, store, generation) = live::<S>().await;
    let newer = ViewSpec { version: 2, ..SPEC };
    let other = |error: Option<ViewStoreError>| {
        assert!(
            matches!(
                error,
                Some(ViewStoreError::OtherVersion {
                    stored: 1,
                    code: 2,
                    ..
                })
            ),
            "{error:?}"
        );
    };
    other(store.get(&newer, At::Live, "thing", "a").await.err());
    other(
        store
            .query(&newer, At::Live, "thing", &ViewQuery::first(1))
            .await
            .err(),
    );
    other(store.standing(&newer, At::Live).await.err());
    other(store.digest(&newer, At::Live).await.err());
    other(store.parked(&newer, At::Generation(generation)).await.err());
    other(
        store
            .transact(&newer, generation, None, Box::new(|_| Ok(None)))
            .await
            .err(),
    );
    let unknown = ViewSpec {
        name: "unknown",
        ..SPEC
    };
    let missing = store.standing(&unknown, At::Live).await;
    assert!(
        matches!(missing, Err(ViewStoreError::NoGeneration { .. })),
        "{missing:?}"
    );
}

/// Names that begin alike are told apart.
pub async fn retiring_drops_one_generation_and_no_other<S: ViewStoreUnderTest>() {
    let (_kept, store, generation) = live::<S>().await;
    fill(&*store, generation, (None, 1), vec![thing("a", "red", 1)]).await;
    let mut made = vec![];
    for name in ["thing", "things_1", "things"] {
        let spec = ViewSpec { name, ..SPEC };
        for _ in 0..11 {
            made.push((
                spec,
                store
                    .create(&spec, GenerationState::Building)
                    .await
                    .unwrap(),
            ));
        }
    }
    for (spec, number) in &made {
        store.retire(spec.name, *number).await.unwrap();
        let gone = store.get(spec, At::Generation(*number), "thing", "a").await;
        assert!(
            matches!(gone, Err(ViewStoreError::NoGeneration { .. })),
            "{gone:?}"
        );
    }
    assert_eq!(
        store.get(&SPEC, At::Live, "thing", "a").await.unwrap(),
        Some(thing("a", "red", 1))
    );
    assert_eq!(store.generations().await.unwrap().len(), 1);
}

/// A list per generation, which goes with it.
pub async fn parked_streams_belong_to_their_generation<S: ViewStoreUnderTest>() {
    let (_kept, store, first) = live::<S>().await;
    let second = store
        .create(&SPEC, GenerationState::Building)
        .await
        .unwrap();
    write(&*store, first, (None, 1), |transaction| {
        transaction.park(parked("quote-y", 1))?;
        transaction.park(parked("quote-x", 1))?;
        transaction.park(parked("quote-y", 2))?;
        transaction.park(parked("quote-z", 2))?;
        transaction.unpark(&StreamId::parse("quote-z").unwrap())
    })
    .await
    .unwrap();
    let expected = [parked("quote-x", 1), parked("quote-y", 2)];
    assert_eq!(store.parked(&SPEC, At::Live).await.unwrap(), expected);
    assert_eq!(
        store.parked(&SPEC, At::Generation(second)).await.unwrap(),
        []
    );
    let counts: Vec<u64> = store
        .generations()
        .await
        .unwrap()
        .into_iter()
        .map(|known| known.parked)
        .collect();
    assert_eq!(counts, [2, 0]);
}

/// The same content has the same fingerprint in every generation, however it was written.
pub async fn a_digest_tells_content_and_nothing_else<S: ViewStoreUnderTest>() {
    let (_kept, store, first) = live::<S>().await;
    let rows = vec![thing("a", "red", 1), thing("b", "blue", 2)];
    fill(&*store, first, (None, 1), rows.clone()).await;
    fill(&*store, first, (Some(1), 2), vec![]).await;
    let digest = store.digest(&SPEC, At::Live).await.unwrap();
    assert_eq!(
        (digest.rows, digest.checkpoint.clone()),
        (2, Some(checkpoint(2)))
    );

    let same: Change = |_| Ok(());
    let changes: [(Change, bool); 6] = [
        (same, true),
        (
            |t| {
                t.put(
                    "thing",
                    Row {
                        body: b"{}".to_vec(),
                        ..thing("a", "red", 1)
                    },
                )
            },
            false,
        ),
        (|t| t.delete("thing", "b"), false),
        (
            |t| {
                t.put(
                    "other",
                    Row {
                        key: "a".into(),
                        cells: vec![],
                        body: vec![],
                    },
                )
            },
            false,
        ),
        (|t| t.park(parked("quote-x", 1)), false),
        (|t| t.put("thing", thing("c", "blue", 2)), false),
    ];
    for (number, (change, equal)) in changes.into_iter().enumerate() {
        let other = store.create(&SPEC, GenerationState::Shadow).await.unwrap();
        let reversed = rows.iter().rev().cloned().collect();
        fill(&*store, other, (None, 1), reversed).await;
        write(&*store, other, (Some(1), 2), change).await.unwrap();
        let found = store.digest(&SPEC, At::Generation(other)).await.unwrap();
        assert_eq!(found == digest, equal, "change {number}");
        assert_eq!(found.digest == digest.digest, equal, "change {number}");
    }
    fill(&*store, first, (Some(2), 3), vec![]).await;
    assert_ne!(
        store.digest(&SPEC, At::Live).await.unwrap().digest,
        digest.digest
    );
}

/// Also the numbers that were used.
pub async fn everything_is_there_after_a_restart<S: ViewStoreUnderTest>() {
    let (mut under_test, store, first) = live::<S>().await;
    write(&*store, first, (None, 1), |transaction| {
        transaction.put("thing", thing("a", "red", 1))?;
        transaction.park(parked("quote-x", 1))
    })
    .await
    .unwrap();
    let second = store
        .create(&SPEC, GenerationState::Building)
        .await
        .unwrap();
    store.retire("things", second).await.unwrap();
    let (digest, generations) = (
        store.digest(&SPEC, At::Live).await.unwrap(),
        store.generations().await.unwrap(),
    );
    drop(store);
    under_test.reopen();
    let store = under_test.store();
    assert_eq!(store.digest(&SPEC, At::Live).await.unwrap(), digest);
    assert_eq!(store.generations().await.unwrap(), generations);
    assert_eq!(
        store.parked(&SPEC, At::Live).await.unwrap(),
        [parked("quote-x", 1)]
    );
    assert!(
        store
            .create(&SPEC, GenerationState::Building)
            .await
            .unwrap()
            > second
    );
}
