//! The reference view store: what the port promises, in the plainest way.
//!
//! It answers in the call itself, so that one seed gives one history. It keeps nothing beyond the
//! process. Simulations, tests and the contract suite call it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;

use domain::stream::StreamId;
use projections::ports::{
    At, Cell, Checkpoint, Cursor, Generation, GenerationState, Parked, Row, RowPage, Rows,
    RowsError, Standing, TableSpec, ViewDigest, ViewDigester, ViewQuery, ViewSpec, ViewStore,
    ViewStoreError, ViewTransaction, Work,
};

/// A view store in memory.
#[derive(Debug, Default)]
pub struct MemoryViewStore {
    views: Mutex<BTreeMap<String, Filled>>,
}

/// All generations of one view.
#[derive(Debug, Default)]
struct Filled {
    last_number: u32,
    generations: BTreeMap<u32, Content>,
}

#[derive(Debug)]
struct Content {
    version: u32,
    state: GenerationState,
    checkpoint: Option<Checkpoint>,
    tables: BTreeMap<&'static str, BTreeMap<String, Row>>,
    parked: BTreeMap<StreamId, Parked>,
}

impl MemoryViewStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Work that panics has undone nothing, so a half transaction would be visible: the store is
    /// not used again.
    fn views(&self) -> MutexGuard<'_, BTreeMap<String, Filled>> {
        self.views
            .lock()
            .expect("no fold panics; the rows of one that did are not to be trusted")
    }

    fn read<T>(
        &self,
        spec: &ViewSpec,
        at: At,
        read: impl FnOnce(u32, &Content) -> Result<T, ViewStoreError>,
    ) -> Result<T, ViewStoreError> {
        let views = self.views();
        let missing = || ViewStoreError::NoGeneration {
            view: spec.name.to_owned(),
        };
        let filled = views.get(spec.name).ok_or_else(missing)?;
        let (number, content) = filled.at(at).ok_or_else(missing)?;
        same_version(spec, content.version)?;
        read(number, content)
    }
}

fn same_version(spec: &ViewSpec, stored: u32) -> Result<(), ViewStoreError> {
    if stored == spec.version {
        return Ok(());
    }
    Err(ViewStoreError::OtherVersion {
        view: spec.name.to_owned(),
        stored,
        code: spec.version,
    })
}

impl Filled {
    fn at(&self, at: At) -> Option<(u32, &Content)> {
        let mut all = self
            .generations
            .iter()
            .map(|(number, content)| (*number, content));
        all.find(|(number, content)| match at {
            At::Live => content.state == GenerationState::Live,
            At::Generation(wanted) => *number == wanted,
        })
    }

    fn live(&self) -> Option<u32> {
        self.at(At::Live).map(|(number, _)| number)
    }
}

/// One transaction: writes at once and notes what was there before.
struct Transaction<'a> {
    spec: ViewSpec,
    content: &'a mut Content,
    rows_before: Vec<(&'static str, String, Option<Row>)>,
    parked_before: Vec<(StreamId, Option<Parked>)>,
}

impl Transaction<'_> {
    fn table(&self, name: &str) -> Result<&'static TableSpec, RowsError> {
        Ok(self.spec.table(name)?)
    }

    fn roll_back(self) {
        for (table, key, before) in self.rows_before.into_iter().rev() {
            let rows = self.content.tables.entry(table).or_default();
            match before {
                Some(row) => rows.insert(key, row),
                None => rows.remove(&key),
            };
        }
        for (stream, before) in self.parked_before.into_iter().rev() {
            match before {
                Some(parked) => self.content.parked.insert(stream, parked),
                None => self.content.parked.remove(&stream),
            };
        }
    }
}

impl Rows for Transaction<'_> {
    fn get(&mut self, table: &str, key: &str) -> Result<Option<Row>, RowsError> {
        let table = self.table(table)?;
        let rows = self.content.tables.get(table.name);
        Ok(rows.and_then(|rows| rows.get(key)).cloned())
    }

    fn put(&mut self, table: &str, row: Row) -> Result<(), RowsError> {
        let table = self.table(table)?;
        self.spec.check_row(table, &row)?;
        let key = row.key.clone();
        let rows = self.content.tables.entry(table.name).or_default();
        let before = rows.insert(key.clone(), row);
        self.rows_before.push((table.name, key, before));
        Ok(())
    }

    fn delete(&mut self, table: &str, key: &str) -> Result<(), RowsError> {
        let table = self.table(table)?;
        let rows = self.content.tables.entry(table.name).or_default();
        if let Some(before) = rows.remove(key) {
            self.rows_before
                .push((table.name, key.to_owned(), Some(before)));
        }
        Ok(())
    }

    fn scan(
        &mut self,
        table: &str,
        column: &str,
        value: &Cell,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Row>, RowsError> {
        let table = self.table(table)?;
        let place = self.spec.column(table, column)?;
        let rows = self.content.tables.get(table.name).into_iter().flatten();
        let matching =
            rows.filter(|(key, row)| Some(key.as_str()) > after && row.cells[place] == *value);
        Ok(matching.take(limit).map(|(_, row)| row.clone()).collect())
    }
}

impl ViewTransaction for Transaction<'_> {
    fn park(&mut self, parked: Parked) -> Result<(), RowsError> {
        let stream = parked.stream.clone();
        let before = self.content.parked.insert(stream.clone(), parked);
        self.parked_before.push((stream, before));
        Ok(())
    }

    fn unpark(&mut self, stream: &StreamId) -> Result<(), RowsError> {
        let before = self.content.parked.remove(stream);
        self.parked_before.push((stream.clone(), before));
        Ok(())
    }

    fn parked(&mut self) -> Result<Vec<Parked>, RowsError> {
        Ok(self.content.parked.values().cloned().collect())
    }
}

#[async_trait]
impl ViewStore for MemoryViewStore {
    async fn generations(&self) -> Result<Vec<Generation>, ViewStoreError> {
        let views = self.views();
        let shown = views.iter().flat_map(|(view, filled)| {
            filled
                .generations
                .iter()
                .map(move |(number, content)| Generation {
                    view: view.clone(),
                    number: *number,
                    version: content.version,
                    state: content.state,
                    checkpoint: content.checkpoint.clone(),
                    parked: content.parked.len() as u64,
                })
        });
        Ok(shown.collect())
    }

    async fn create(&self, spec: &ViewSpec, state: GenerationState) -> Result<u32, ViewStoreError> {
        spec.check()?;
        let mut views = self.views();
        let filled = views.entry(spec.name.to_owned()).or_default();
        if state == GenerationState::Live && filled.live().is_some() {
            return Err(ViewStoreError::NotNow {
                view: spec.name.to_owned(),
                why: "one generation is live already",
            });
        }
        filled.last_number += 1;
        let content = Content {
            version: spec.version,
            state,
            checkpoint: None,
            tables: BTreeMap::new(),
            parked: BTreeMap::new(),
        };
        filled.generations.insert(filled.last_number, content);
        Ok(filled.last_number)
    }

    async fn transact(
        &self,
        spec: &ViewSpec,
        generation: u32,
        expected: Option<Checkpoint>,
        work: Work,
    ) -> Result<Option<Checkpoint>, ViewStoreError> {
        let mut views = self.views();
        let view = || spec.name.to_owned();
        let content = views
            .get_mut(spec.name)
            .and_then(|filled| filled.generations.get_mut(&generation))
            .ok_or_else(|| ViewStoreError::NoGeneration { view: view() })?;
        same_version(spec, content.version)?;
        if content.checkpoint != expected {
            return Err(ViewStoreError::Fenced { view: view() });
        }
        let mut transaction = Transaction {
            spec: *spec,
            content,
            rows_before: vec![],
            parked_before: vec![],
        };
        match work(&mut transaction) {
            Ok(checkpoint) => {
                if checkpoint.is_some() {
                    transaction.content.checkpoint = checkpoint;
                }
                Ok(transaction.content.checkpoint.clone())
            }
            Err(error) => {
                transaction.roll_back();
                Err(error.into())
            }
        }
    }

    async fn switch(&self, view: &str, from: Option<u32>, to: u32) -> Result<(), ViewStoreError> {
        let mut views = self.views();
        let not_now = |why| ViewStoreError::NotNow {
            view: view.to_owned(),
            why,
        };
        let missing = || ViewStoreError::NoGeneration {
            view: view.to_owned(),
        };
        let filled = views.get_mut(view).ok_or_else(missing)?;
        if filled.live() != from {
            return Err(not_now("another generation is live by now"));
        }
        let new = filled.generations.get(&to).ok_or_else(missing)?;
        if new.state != GenerationState::Building {
            return Err(not_now("the new generation is not being built"));
        }
        let old = from.and_then(|from| filled.generations.get(&from));
        let before = old.and_then(|old| old.checkpoint.as_ref());
        if !Checkpoint::may_follow(new.checkpoint.as_ref(), before) {
            return Err(ViewStoreError::Behind {
                view: view.to_owned(),
            });
        }
        for (number, content) in &mut filled.generations {
            if Some(*number) == from {
                content.state = GenerationState::Previous;
            } else if *number == to {
                content.state = GenerationState::Live;
            }
        }
        Ok(())
    }

    async fn retire(&self, view: &str, generation: u32) -> Result<(), ViewStoreError> {
        let mut views = self.views();
        let Some(filled) = views.get_mut(view) else {
            return Ok(());
        };
        if filled.live() == Some(generation) {
            return Err(ViewStoreError::NotNow {
                view: view.to_owned(),
                why: "the generation is live",
            });
        }
        filled.generations.remove(&generation);
        Ok(())
    }

    async fn standing(&self, spec: &ViewSpec, at: At) -> Result<Standing, ViewStoreError> {
        self.read(spec, at, |generation, content| {
            Ok(Standing {
                generation,
                checkpoint: content.checkpoint.clone(),
            })
        })
    }

    async fn get(
        &self,
        spec: &ViewSpec,
        at: At,
        table: &str,
        key: &str,
    ) -> Result<Option<Row>, ViewStoreError> {
        let table = spec.table(table)?;
        self.read(spec, at, |_, content| {
            let rows = content.tables.get(table.name);
            Ok(rows.and_then(|rows| rows.get(key)).cloned())
        })
    }

    async fn query(
        &self,
        spec: &ViewSpec,
        at: At,
        table: &str,
        query: &ViewQuery,
    ) -> Result<RowPage, ViewStoreError> {
        let table = spec.table(table)?;
        spec.check_query(table, query)?;
        self.read(spec, at, |_, content| select(spec, table, content, query))
    }

    async fn parked(&self, spec: &ViewSpec, at: At) -> Result<Vec<Parked>, ViewStoreError> {
        self.read(spec, at, |_, content| {
            Ok(content.parked.values().cloned().collect())
        })
    }

    async fn digest(&self, spec: &ViewSpec, at: At) -> Result<ViewDigest, ViewStoreError> {
        self.read(spec, at, |_, content| {
            let mut digester = ViewDigester::new(spec);
            for table in spec.tables {
                for (key, row) in content.tables.get(table.name).into_iter().flatten() {
                    digester.row(table.name, key, &row.body);
                }
            }
            for parked in content.parked.values() {
                digester.parked(&parked.stream, parked.position);
            }
            Ok(digester.finish(content.checkpoint.clone()))
        })
    }
}

fn select(
    spec: &ViewSpec,
    table: &TableSpec,
    content: &Content,
    query: &ViewQuery,
) -> Result<RowPage, ViewStoreError> {
    let mut conditions = vec![];
    for condition in &query.conditions {
        conditions.push((spec.column(table, condition.column)?, &condition.test));
    }
    let order = query
        .order_by
        .map(|column| spec.column(table, column))
        .transpose()?;
    let place = |row: &Row| Cursor {
        order: order.map(|column| row.cells[column].clone()),
        key: row.key.clone(),
    };
    let mut found: Vec<(Cursor, &Row)> = content
        .tables
        .get(table.name)
        .into_iter()
        .flatten()
        .map(|(_, row)| (place(row), row))
        .filter(|(at, row)| {
            at.order != Some(Cell::Null)
                && conditions
                    .iter()
                    .all(|(column, test)| test.passes(&row.cells[*column]))
        })
        .collect();
    let sorts = |cursor: &Cursor| (cursor.order.clone(), cursor.key.clone());
    found.sort_by_cached_key(|(at, _)| sorts(at));
    if query.descending {
        found.reverse();
    }
    if let Some(after) = &query.after {
        let after = sorts(after);
        found.retain(|(at, _)| {
            if query.descending {
                sorts(at) < after
            } else {
                sorts(at) > after
            }
        });
    }
    let limit = query.limit.max(1);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(at, _)| at.clone());
    Ok(RowPage {
        rows: found.into_iter().map(|(_, row)| row.clone()).collect(),
        next,
    })
}
