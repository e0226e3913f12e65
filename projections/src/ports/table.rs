//! Tables of a view: documents with a key, a few typed columns to find them by, and a body.
//!
//! A view declares its tables once, as constants, and every store makes them from that. The body
//! is what readers get; the columns only find it.

use serde::{Deserialize, Serialize};

use super::query::ViewQuery;

/// What a column holds. Any column may also hold [`Cell::Null`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text, compared byte by byte.
    Text,
    /// A signed number of 64 bits.
    Integer,
}

/// One column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnSpec {
    /// `a-z`, digits and `_`, starting with a letter.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
}

impl ColumnSpec {
    /// A column of text.
    pub const fn text(name: &'static str) -> Self {
        Self {
            name,
            kind: ColumnKind::Text,
        }
    }

    /// A column of numbers.
    pub const fn integer(name: &'static str) -> Self {
        Self {
            name,
            kind: ColumnKind::Integer,
        }
    }
}

/// One table of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSpec {
    /// `a-z`, digits and `_`, starting with a letter.
    pub name: &'static str,
    /// What rows are found by, besides their key.
    pub columns: &'static [ColumnSpec],
    /// Columns of each index, in order. The key follows by itself.
    pub indexes: &'static [&'static [&'static str]],
}

/// A view as a store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewSpec {
    /// `a-z`, digits and `_`, starting with a letter. At most 40 characters.
    pub name: &'static str,
    /// Goes up when the fold or a table changes, so that the rows must be made again.
    pub version: u32,
    /// Its tables.
    pub tables: &'static [TableSpec],
}

/// A view asks for what it has not declared: a bug of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("view {view}: {what}")]
pub struct SpecError {
    /// The view.
    pub view: &'static str,
    /// What is wrong.
    pub what: String,
}

impl ViewSpec {
    /// Checks the names, so that a store may build its statements from them.
    ///
    /// # Errors
    /// [`SpecError`] names the first mistake.
    pub fn check(&self) -> Result<(), SpecError> {
        let names = self.tables.iter().flat_map(|table| {
            std::iter::once(table.name).chain(table.columns.iter().map(|column| column.name))
        });
        for name in std::iter::once(self.name).chain(names) {
            if !plain_name(name) {
                return Err(self.error(format!("{name:?} is not a plain name")));
            }
        }
        for table in self.tables {
            if table
                .columns
                .iter()
                .any(|column| matches!(column.name, "key" | "body"))
            {
                return Err(self.error(format!("{}: key and body are no columns", table.name)));
            }
            for column in table.indexes.iter().flat_map(|index| index.iter()) {
                self.column(table, column)?;
            }
        }
        Ok(())
    }

    /// The table of that name.
    ///
    /// # Errors
    /// [`SpecError`].
    pub fn table(&self, name: &str) -> Result<&'static TableSpec, SpecError> {
        let found = self.tables.iter().find(|table| table.name == name);
        found.ok_or_else(|| self.error(format!("there is no table {name:?}")))
    }

    /// Place of a column in its table.
    ///
    /// # Errors
    /// [`SpecError`].
    pub fn column(&self, table: &TableSpec, name: &str) -> Result<usize, SpecError> {
        let found = table.columns.iter().position(|column| column.name == name);
        found.ok_or_else(|| self.error(format!("{} has no column {name:?}", table.name)))
    }

    /// Checks that a row has a key, and a cell of the right kind for every column, in order.
    ///
    /// # Errors
    /// [`SpecError`].
    pub fn check_row(&self, table: &TableSpec, row: &Row) -> Result<(), SpecError> {
        let fits = |(column, cell): (&ColumnSpec, &Cell)| cell.fits(column.kind);
        let cells = row.cells.len() == table.columns.len()
            && table.columns.iter().zip(&row.cells).all(fits);
        if cells && !row.key.is_empty() {
            return Ok(());
        }
        Err(self.error(format!(
            "{}: a row has no key or cells that do not fit",
            table.name
        )))
    }

    /// Checks that a query names columns that exist, with values of their kind.
    ///
    /// # Errors
    /// [`SpecError`].
    pub fn check_query(&self, table: &TableSpec, query: &ViewQuery) -> Result<(), SpecError> {
        for condition in &query.conditions {
            let kind = table.columns[self.column(table, condition.column)?].kind;
            if !condition.test.cells().iter().all(|cell| cell.fits(kind)) {
                return Err(self.error(format!(
                    "{}.{}: {:?}",
                    table.name, condition.column, condition.test
                )));
            }
        }
        let order = query
            .order_by
            .map(|column| self.column(table, column))
            .transpose()?;
        let cursor = query.after.as_ref().map(|cursor| &cursor.order);
        let fits = match (order, cursor) {
            (_, None) | (None, Some(None)) => true,
            (Some(column), Some(Some(cell))) => {
                cell.fits(table.columns[column].kind) && *cell != Cell::Null
            }
            (None, Some(Some(_))) | (Some(_), Some(None)) => false,
        };
        if fits {
            Ok(())
        } else {
            Err(self.error(format!("{}: the cursor is of another query", table.name)))
        }
    }

    fn error(&self, what: String) -> SpecError {
        SpecError {
            view: self.name,
            what,
        }
    }
}

fn plain_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=40).contains(&name.len())
        && name.bytes().all(allowed)
        && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
}

/// The value of a column. Ordered: nothing before numbers before text, as SQLite does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
}

impl Cell {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// True where it may stand in a column of that kind.
    pub fn fits(&self, kind: ColumnKind) -> bool {
        match self {
            Self::Null => true,
            Self::Integer(_) => kind == ColumnKind::Integer,
            Self::Text(_) => kind == ColumnKind::Text,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Cell {
    fn from(yes: bool) -> Self {
        Self::Integer(i64::from(yes))
    }
}

impl From<domain::time::Timestamp> for Cell {
    /// Milliseconds since 1970.
    fn from(time: domain::time::Timestamp) -> Self {
        Self::Integer(time.millis())
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One stored row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its key, unique in its table; keys sort byte by byte.
    pub key: String,
    /// One cell per column.
    pub cells: Vec<Cell>,
    /// JSON of the typed row.
    pub body: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::super::query::Cursor;
    use super::*;

    const SPEC: ViewSpec = ViewSpec {
        name: "things",
        version: 1,
        tables: &[TableSpec {
            name: "thing",
            columns: &[ColumnSpec::text("colour"), ColumnSpec::integer("size")],
            indexes: &[&["colour"]],
        }],
    };

    #[test]
    fn names_that_could_become_statements_are_refused() {
        assert_eq!(SPEC.check(), Ok(()));
        for name in ["", "a b", "A", "1a", "x;drop", "a\"", "a-b"] {
            assert!(ViewSpec { name, ..SPEC }.check().is_err(), "{name}");
        }
        const BODY: &[TableSpec] = &[TableSpec {
            name: "t",
            columns: &[ColumnSpec::text("body")],
            indexes: &[],
        }];
        assert!(
            ViewSpec {
                tables: BODY,
                ..SPEC
            }
            .check()
            .is_err()
        );
        const LOST: &[TableSpec] = &[TableSpec {
            name: "t",
            columns: &[],
            indexes: &[&["nowhere"]],
        }];
        assert!(
            ViewSpec {
                tables: LOST,
                ..SPEC
            }
            .check()
            .is_err()
        );
    }

    #[test]
    fn a_row_has_a_key_and_fits_its_columns() {
        let table = SPEC.table("thing").unwrap();
        let check = |key: &str, cells: Vec<Cell>| {
            SPEC.check_row(
                table,
                &Row {
                    key: key.into(),
                    cells,
                    body: vec![],
                },
            )
        };
        assert!(check("k", vec!["red".into(), 1.into()]).is_ok());
        assert!(check("k", vec![Cell::Null, Cell::Null]).is_ok());
        assert!(check("", vec![Cell::Null, Cell::Null]).is_err());
        assert!(check("k", vec![1.into(), 1.into()]).is_err());
        assert!(check("k", vec!["red".into()]).is_err());
        assert!(SPEC.table("other").is_err());
    }

    #[test]
    fn a_query_names_what_exists() {
        let table = SPEC.table("thing").unwrap();
        let cursor = |order| {
            Some(Cursor {
                order,
                key: "a".into(),
            })
        };
        let fine = ViewQuery::first(1)
            .equal("colour", "red")
            .order_by("size")
            .after(cursor(Some(3.into())));
        assert_eq!(SPEC.check_query(table, &fine), Ok(()));
        let bad = [
            ViewQuery::first(1).equal("weight", 1),
            ViewQuery::first(1).equal("size", "red"),
            ViewQuery::first(1).order_by("weight"),
            ViewQuery::first(1).order_by("size").after(cursor(None)),
            ViewQuery::first(1)
                .order_by("size")
                .after(cursor(Some("red".into()))),
            ViewQuery::first(1).after(cursor(Some(1.into()))),
        ];
        for query in bad {
            assert!(SPEC.check_query(table, &query).is_err(), "{query:?}");
        }
    }
}
