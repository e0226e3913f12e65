//! Rows and parked streams of one generation, inside a transaction.

use domain::ports::{BoxError, Position};
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;
use projections::ports::{
    Cell, ColumnKind, Parked, Row, Rows, RowsError, TableSpec, ViewSpec, ViewTransaction,
};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, ToSql};

use super::statements::{Bound, Tables};

/// What the engine works on.
pub(super) struct Transaction<'a> {
    pub(super) connection: &'a Connection,
    pub(super) spec: ViewSpec,
    pub(super) generation: u32,
}

impl Transaction<'_> {
    fn tables(&self) -> Tables<'static> {
        Tables {
            view: self.spec.name,
            generation: self.generation,
        }
    }
}

impl Rows for Transaction<'_> {
    fn get(&mut self, table: &str, key: &str) -> Result<Option<Row>, RowsError> {
        let table = self.spec.table(table)?;
        find(self.connection, self.tables(), table, key).map_err(store)
    }

    fn put(&mut self, table: &str, row: Row) -> Result<(), RowsError> {
        let table = self.spec.table(table)?;
        self.spec.check_row(table, &row)?;
        let cells: Vec<Bound<'_>> = row.cells.iter().map(Bound).collect();
        let mut values: Vec<&dyn ToSql> = vec![&row.key];
        values.extend(cells.iter().map(|cell| cell as &dyn ToSql));
        values.push(&row.body);
        let put = || {
            self.connection
                .prepare_cached(&self.tables().put(table))?
                .execute(&values[..])
        };
        put().map_err(store)?;
        Ok(())
    }

    fn delete(&mut self, table: &str, key: &str) -> Result<(), RowsError> {
        let table = self.spec.table(table)?;
        let delete = || {
            self.connection
                .prepare_cached(&self.tables().delete(table))?
                .execute((key,))
        };
        delete().map_err(store)?;
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
        let table = self.spec.table(table)?;
        self.spec.column(table, column)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let scan = || -> rusqlite::Result<Vec<Row>> {
            let mut statement = self
                .connection
                .prepare_cached(&self.tables().scan(table, column, value))?;
            let rows = statement.query((Bound(value), after.unwrap_or(""), limit))?;
            rows.mapped(|row| read(table, row)).collect()
        };
        scan().map_err(store)
    }
}

impl ViewTransaction for Transaction<'_> {
    fn park(&mut self, parked: Parked) -> Result<(), RowsError> {
        let version = i64::try_from(parked.version.0).map_err(store)?;
        let park = || {
            self.connection
                .prepare_cached(include_str!("sql/upsert_parked.sql"))?
                .execute((
                    self.spec.name,
                    self.generation,
                    parked.stream.as_str(),
                    parked.position.to_string(),
                    version,
                    &parked.error,
                    parked.since.millis(),
                ))
        };
        park().map_err(store)?;
        Ok(())
    }

    fn unpark(&mut self, stream: &StreamId) -> Result<(), RowsError> {
        let unpark = || {
            self.connection
                .prepare_cached(include_str!("sql/delete_parked.sql"))?
                .execute((self.spec.name, self.generation, stream.as_str()))
        };
        unpark().map_err(store)?;
        Ok(())
    }

    fn parked(&mut self) -> Result<Vec<Parked>, RowsError> {
        parked(self.connection, self.tables()).map_err(store)
    }
}

/// One row.
pub(super) fn find(
    connection: &Connection,
    tables: Tables<'_>,
    table: &TableSpec,
    key: &str,
) -> rusqlite::Result<Option<Row>> {
    connection
        .prepare_cached(&tables.get(table))?
        .query_row((key,), |row| read(table, row))
        .optional()
}

/// A row out of key, columns and body.
pub(super) fn read(table: &TableSpec, row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let mut cells = Vec::with_capacity(table.columns.len());
    for (place, column) in table.columns.iter().enumerate() {
        cells.push(match column.kind {
            ColumnKind::Text => row
                .get::<_, Option<String>>(place + 1)?
                .map_or(Cell::Null, Cell::Text),
            ColumnKind::Integer => row
                .get::<_, Option<i64>>(place + 1)?
                .map_or(Cell::Null, Cell::Integer),
        });
    }
    Ok(Row {
        key: row.get(0)?,
        cells,
        body: row.get(table.columns.len() + 1)?,
    })
}

/// The parked streams of a generation, in order.
pub(super) fn parked(connection: &Connection, tables: Tables<'_>) -> rusqlite::Result<Vec<Parked>> {
    let mut statement = connection.prepare_cached(include_str!("sql/select_parked.sql"))?;
    let rows = statement.query((tables.view, tables.generation))?;
    rows.mapped(|row| {
        let text = |column: usize| row.get::<_, String>(column);
        Ok(Parked {
            stream: StreamId::parse(text(0)?).map_err(|error| damaged(0, error))?,
            position: Position::parse(&text(1)?).ok_or_else(|| damaged(1, "not a position"))?,
            version: Version(
                u64::try_from(row.get::<_, i64>(2)?).map_err(|error| damaged(2, error))?,
            ),
            error: text(3)?,
            since: Timestamp::from_millis(row.get(4)?),
        })
    })
    .collect()
}

/// A column that holds what was never written there.
pub(super) fn damaged(column: usize, error: impl Into<BoxError>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

fn store(error: impl Into<BoxError>) -> RowsError {
    RowsError::Store(error.into())
}
