//! Rows of one page, kept in memory until the page is done.
//!
//! Each row is read from the store at most once and written at most once per page. What one event
//! wrote can be undone, so that an event which cannot be taken in leaves no trace.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::ports::{Cell, Row, Rows, RowsError, ViewSpec, ViewTransaction};

/// A scan looks at every unwritten row of its table; beyond this many, the settled ones are
/// written first.
const UNWRITTEN_MAX: usize = 64;

type Key = (String, String);

/// Write-back cache over a transaction.
pub(crate) struct Cache<'a> {
    inner: &'a mut dyn ViewTransaction,
    spec: ViewSpec,
    /// What is known of a row: `None` inside means that there is none.
    known: BTreeMap<Key, Option<Row>>,
    /// Rows by table whose known state the store does not have yet.
    unwritten: BTreeMap<String, BTreeSet<String>>,
    /// What the current event changed, as it was before.
    journal: Vec<(Key, Option<Option<Row>>, bool)>,
}

impl<'a> Cache<'a> {
    pub(crate) fn new(inner: &'a mut dyn ViewTransaction, spec: ViewSpec) -> Self {
        Self {
            inner,
            spec,
            known: BTreeMap::new(),
            unwritten: BTreeMap::new(),
            journal: vec![],
        }
    }

    /// The transaction below, for what is no row.
    pub(crate) fn inner(&mut self) -> &mut dyn ViewTransaction {
        self.inner
    }

    /// The current event is taken in; its changes can no longer be undone.
    pub(crate) fn settle(&mut self) {
        self.journal.clear();
    }

    /// Takes back what the current event changed.
    pub(crate) fn undo(&mut self) {
        while let Some((key, before, was_unwritten)) = self.journal.pop() {
            let unwritten = self.unwritten.entry(key.0.clone()).or_default();
            if was_unwritten {
                unwritten.insert(key.1.clone());
            } else {
                unwritten.remove(&key.1);
            }
            match before {
                Some(row) => self.known.insert(key, row),
                None => self.known.remove(&key),
            };
        }
    }

    /// Writes everything to the transaction.
    pub(crate) fn flush(mut self) -> Result<(), RowsError> {
        self.settle();
        let tables: Vec<String> = self.unwritten.keys().cloned().collect();
        tables
            .iter()
            .try_for_each(|table| self.write_settled(table))
    }

    fn write_settled(&mut self, table: &str) -> Result<(), RowsError> {
        let Some(keys) = self.unwritten.get_mut(table) else {
            return Ok(());
        };
        let in_doubt: BTreeSet<&str> = self
            .journal
            .iter()
            .filter(|(key, ..)| key.0 == table)
            .map(|(key, ..)| key.1.as_str())
            .collect();
        let (keep, write) = std::mem::take(keys)
            .into_iter()
            .partition(|key| in_doubt.contains(key.as_str()));
        *keys = keep;
        let write: BTreeSet<String> = write;
        for key in write {
            match self.known.get(&(table.to_owned(), key.clone())) {
                Some(Some(row)) => self.inner.put(table, row.clone())?,
                Some(None) | None => self.inner.delete(table, &key)?,
            }
        }
        Ok(())
    }

    fn change(&mut self, table: &str, key: String, row: Option<Row>) {
        let place = (table.to_owned(), key);
        let was_unwritten = !self
            .unwritten
            .entry(place.0.clone())
            .or_default()
            .insert(place.1.clone());
        let before = self.known.insert(place.clone(), row);
        self.journal.push((place, before, was_unwritten));
    }
}

impl Rows for Cache<'_> {
    fn get(&mut self, table: &str, key: &str) -> Result<Option<Row>, RowsError> {
        let place = (table.to_owned(), key.to_owned());
        if let Some(known) = self.known.get(&place) {
            return Ok(known.clone());
        }
        let row = self.inner.get(table, key)?;
        self.known.insert(place, row.clone());
        Ok(row)
    }

    fn put(&mut self, table: &str, row: Row) -> Result<(), RowsError> {
        let spec = self.spec.table(table)?;
        self.spec.check_row(spec, &row)?;
        self.change(table, row.key.clone(), Some(row));
        Ok(())
    }

    fn delete(&mut self, table: &str, key: &str) -> Result<(), RowsError> {
        self.spec.table(table)?;
        self.change(table, key.to_owned(), None);
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
        let place = self.spec.column(self.spec.table(table)?, column)?;
        if self
            .unwritten
            .get(table)
            .is_some_and(|keys| keys.len() > UNWRITTEN_MAX)
        {
            self.write_settled(table)?;
        }
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mine: Vec<String> = self
            .unwritten
            .get(table)
            .map(|keys| {
                keys.range::<str, _>((from, Bound::Unbounded))
                    .cloned()
                    .collect()
            })
            .unwrap_or_default();
        // At most `mine.len()` of the stored rows fall away below, so this many are enough.
        let stored = self.inner.scan(
            table,
            column,
            value,
            after,
            limit.saturating_add(mine.len()),
        )?;
        let mut found: BTreeMap<String, Row> = stored
            .into_iter()
            .map(|row| (row.key.clone(), row))
            .collect();
        for key in mine {
            found.remove(&key);
            if let Some(Some(row)) = self.known.get(&(table.to_owned(), key.clone()))
                && row.cells.get(place) == Some(value)
            {
                found.insert(key, row.clone());
            }
        }
        Ok(found.into_values().take(limit).collect())
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
