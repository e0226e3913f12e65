//! Statements on the tables of a generation, which exist only at run time.
//!
//! This is the one place where statements are put together. Every name in them comes out of a
//! checked [`ViewSpec`], which allows letters, digits and `_` only, and every value is bound.

use projections::ports::{Cell, ColumnKind, SpecError, TableSpec, Test, ViewQuery, ViewSpec};
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};

/// The tables of one generation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tables<'a> {
    pub(super) view: &'a str,
    pub(super) generation: u32,
}

/// Drops one of them; `name` is as the file's own list of tables has it.
pub(super) fn drop_table(name: &str) -> String {
    format!("drop table \"{name}\"")
}

/// A cell as SQLite binds it.
pub(super) struct Bound<'a>(pub(super) &'a Cell);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Cell::Null => ValueRef::Null,
            Cell::Integer(number) => ValueRef::Integer(*number),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

impl Tables<'_> {
    /// What the names of all of them begin with. The colon keeps view `a_1` apart from view `a`.
    pub(super) fn prefix(self) -> String {
        format!("view:{}:{}:", self.view, self.generation)
    }

    fn name(self, table: &TableSpec) -> String {
        format!("\"{}{}\"", self.prefix(), table.name)
    }

    /// The table and its indexes. Indexes are made at once and not after loading, because folds
    /// look rows up by them while a generation is being filled.
    pub(super) fn create(self, table: &TableSpec) -> Vec<String> {
        let column = |column: &projections::ports::ColumnSpec| {
            let kind = match column.kind {
                ColumnKind::Text => "text",
                ColumnKind::Integer => "integer",
            };
            format!("\"{}\" {kind}, ", column.name)
        };
        let columns: String = table.columns.iter().map(column).collect();
        let name = self.name(table);
        let mut statements = vec![format!(
            "create table {name} (\"key\" text not null primary key, {columns}\"body\" blob not null) strict"
        )];
        for (number, index) in table.indexes.iter().enumerate() {
            let columns: String = index
                .iter()
                .map(|column| format!("\"{column}\", "))
                .collect();
            let index_name = format!("\"{}{}:{number}\"", self.prefix(), table.name);
            statements.push(format!(
                "create index {index_name} on {name} ({columns}\"key\")"
            ));
        }
        statements
    }

    pub(super) fn get(self, table: &TableSpec) -> String {
        format!(
            "select {} from {} where \"key\" = ?1",
            columns(table),
            self.name(table)
        )
    }

    pub(super) fn put(self, table: &TableSpec) -> String {
        let marks: String = (1..=table.columns.len() + 2)
            .map(|n| format!("?{n}, "))
            .collect();
        let marks = marks.trim_end_matches(", ");
        format!(
            "insert or replace into {} ({}) values ({marks})",
            self.name(table),
            columns(table)
        )
    }

    pub(super) fn delete(self, table: &TableSpec) -> String {
        format!("delete from {} where \"key\" = ?1", self.name(table))
    }

    /// Binds the value, the key to go on after (empty for all, since no key is empty) and a limit.
    pub(super) fn scan(self, table: &TableSpec, column: &str, value: &Cell) -> String {
        let equals = if *value == Cell::Null { "is" } else { "=" };
        format!(
            "select {} from {} where \"{column}\" {equals} ?1 and \"key\" > ?2 order by \"key\" limit ?3",
            columns(table),
            self.name(table)
        )
    }

    pub(super) fn all(self, table: &TableSpec) -> String {
        format!(
            "select \"key\", \"body\" from {} order by \"key\"",
            self.name(table)
        )
    }

    /// The statement of a query, with its values. Asks for one row more than the page has, which
    /// tells whether anything follows.
    pub(super) fn select(
        self,
        spec: &ViewSpec,
        table: &TableSpec,
        query: &ViewQuery,
    ) -> Result<(String, Vec<Value>), SpecError> {
        spec.check_query(table, query)?;
        let mut values = vec![];
        let mut wheres: Vec<String> = vec![];
        for condition in &query.conditions {
            wheres.push(predicate(condition.column, &condition.test, &mut values));
        }
        let (before, way) = if query.descending {
            ("<", "desc")
        } else {
            (">", "asc")
        };
        if let Some(order) = query.order_by {
            wheres.push(format!("\"{order}\" is not null"));
        }
        if let Some(after) = &query.after {
            let key = bind(&Cell::text(after.key.as_str()), &mut values);
            wheres.push(match (query.order_by, &after.order) {
                (Some(column), Some(cell)) => {
                    let value = bind(cell, &mut values);
                    format!("(\"{column}\", \"key\") {before} ({value}, {key})")
                }
                (None, _) | (Some(_), None) => format!("\"key\" {before} {key}"),
            });
        }
        let wheres = if wheres.is_empty() {
            String::new()
        } else {
            format!(" where {}", wheres.join(" and "))
        };
        let order = query
            .order_by
            .map(|column| format!("\"{column}\" {way}, "))
            .unwrap_or_default();
        let limit = i64::try_from(query.limit.max(1))
            .unwrap_or(i64::MAX)
            .saturating_add(1);
        let (columns, name) = (columns(table), self.name(table));
        let sql = format!(
            "select {columns} from {name}{wheres} order by {order}\"key\" {way} limit {limit}"
        );
        Ok((sql, values))
    }
}

/// Key, columns and body, in this order in every statement.
fn columns(table: &TableSpec) -> String {
    let columns: String = table
        .columns
        .iter()
        .map(|column| format!("\"{}\", ", column.name))
        .collect();
    format!("\"key\", {columns}\"body\"")
}

fn predicate(column: &str, test: &Test, values: &mut Vec<Value>) -> String {
    let mut compare =
        |sign: &str, cell: &Cell| format!("\"{column}\" {sign} {}", bind(cell, values));
    match test {
        Test::Eq(Cell::Null) => format!("\"{column}\" is null"),
        Test::Eq(cell) => compare("=", cell),
        Test::Lt(cell) => compare("<", cell),
        Test::Le(cell) => compare("<=", cell),
        Test::Gt(cell) => compare(">", cell),
        Test::Ge(cell) => compare(">=", cell),
        Test::In(cells) => {
            let marks: Vec<String> = cells.iter().map(|cell| bind(cell, values)).collect();
            format!("\"{column}\" in ({})", marks.join(", "))
        }
    }
}

/// Adds a value and gives its mark.
fn bind(cell: &Cell, values: &mut Vec<Value>) -> String {
    values.push(match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => Value::Integer(*number),
        Cell::Text(text) => Value::Text(text.clone()),
    });
    format!("?{}", values.len())
}
