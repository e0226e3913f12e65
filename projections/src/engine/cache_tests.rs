use proptest::prelude::*;

use super::*;
use crate::ports::{
    At, ColumnSpec, GenerationState, TableSpec, ViewStore, ViewStoreError, WorkError,
};
use crate::testing::FakeStore;

const SPEC: ViewSpec = ViewSpec {
    name: "cached",
    version: 1,
    tables: &[TableSpec {
        name: "thing",
        columns: &[ColumnSpec::text("colour")],
        indexes: &[&["colour"]],
    }],
};

#[derive(Debug, Clone)]
enum Op {
    Put {
        key: u8,
        colour: u8,
    },
    Delete {
        key: u8,
    },
    Scan {
        colour: u8,
        after: Option<u8>,
        limit: usize,
    },
    Settle,
    Undo,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (any::<u8>(), 0..3u8).prop_map(|(key, colour)| Op::Put { key, colour }),
        2 => any::<u8>().prop_map(|key| Op::Delete { key }),
        3 => (0..3u8, any::<Option<u8>>(), 1..20usize)
            .prop_map(|(colour, after, limit)| Op::Scan { colour, after, limit }),
        3 => Just(Op::Settle),
        1 => Just(Op::Undo),
    ];
    prop::collection::vec(op, 0..400)
}

fn name(key: u8) -> String {
    format!("k{key:03}")
}

fn row(key: u8, colour: u8) -> Row {
    Row {
        key: name(key),
        cells: vec![Cell::text(format!("c{colour}"))],
        body: vec![key, colour],
    }
}

/// The same operations on plain maps: one copy of what is settled, one of what is not yet.
fn check(ops: Vec<Op>) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let store = FakeStore::default();
    let number = runtime
        .block_on(store.create(&SPEC, GenerationState::Live))
        .unwrap();
    let mut settled: BTreeMap<String, Row> = BTreeMap::new();
    for part in ops.chunks(150) {
        let part = part.to_vec();
        let mut model = settled.clone();
        let (sender, receiver) = std::sync::mpsc::channel();
        let work = Box::new(move |transaction: &mut dyn ViewTransaction| {
            let mut cache = Cache::new(transaction, SPEC);
            let mut wrong = vec![];
            let mut kept = model.clone();
            for op in part {
                match op {
                    Op::Put { key, colour } => {
                        cache.put("thing", row(key, colour))?;
                        model.insert(name(key), row(key, colour));
                    }
                    Op::Delete { key } => {
                        cache.delete("thing", &name(key))?;
                        model.remove(&name(key));
                    }
                    Op::Scan {
                        colour,
                        after,
                        limit,
                    } => {
                        let (value, after) = (Cell::text(format!("c{colour}")), after.map(name));
                        let found =
                            cache.scan("thing", "colour", &value, after.as_deref(), limit)?;
                        let expected: Vec<Row> = model
                            .values()
                            .filter(|row| {
                                row.cells[0] == value
                                    && after.as_ref().is_none_or(|after| row.key > *after)
                            })
                            .take(limit)
                            .cloned()
                            .collect();
                        if found != expected {
                            wrong.push((found, expected));
                        }
                    }
                    Op::Settle => {
                        cache.settle();
                        kept = model.clone();
                    }
                    Op::Undo => {
                        cache.undo();
                        model = kept.clone();
                    }
                }
            }
            for key in 0..=255 {
                if cache.get("thing", &name(key))? != model.get(&name(key)).cloned() {
                    wrong.push((vec![], vec![]));
                }
            }
            cache.flush()?;
            sender.send((model, wrong)).unwrap();
            Ok::<_, WorkError>(None)
        });
        runtime
            .block_on(store.transact(&SPEC, number, None, work))
            .unwrap();
        let (model, wrong) = receiver.recv().unwrap();
        prop_assert!(wrong.is_empty(), "{wrong:?}");
        settled = model;
        for key in 0..=255 {
            let stored = runtime
                .block_on(store.get(&SPEC, At::Live, "thing", &name(key)))
                .unwrap();
            prop_assert_eq!(stored.as_ref(), settled.get(&name(key)));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_cached_table_behaves_like_a_map_with_undo(ops in ops()) {
        check(ops)?;
    }
}

#[test]
fn rows_that_do_not_fit_are_refused_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let store = FakeStore::default();
    let number = runtime
        .block_on(store.create(&SPEC, GenerationState::Live))
        .unwrap();
    let work = Box::new(|transaction: &mut dyn ViewTransaction| {
        let mut cache = Cache::new(transaction, SPEC);
        cache.put(
            "thing",
            Row {
                key: "k".into(),
                cells: vec![Cell::Integer(1)],
                body: vec![],
            },
        )?;
        Ok(None)
    });
    let refused = runtime.block_on(store.transact(&SPEC, number, None, work));
    assert!(
        matches!(
            refused,
            Err(ViewStoreError::Work(WorkError::Rows(RowsError::Spec(_))))
        ),
        "{refused:?}"
    );
}
