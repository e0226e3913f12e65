//! Which rows a reader wants, and the pages that it gets.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::table::{Cell, Row};

/// What a column must satisfy. `Null` satisfies nothing but `Eq(Null)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Equal; `Eq(Null)` finds the rows without a value.
    Eq(Cell),
    /// Less than.
    Lt(Cell),
    /// At most.
    Le(Cell),
    /// More than.
    Gt(Cell),
    /// At least.
    Ge(Cell),
    /// One of these; none of them is `Null`. An empty list finds nothing.
    In(Vec<Cell>),
}

impl Test {
    /// The cells that it compares with.
    pub fn cells(&self) -> &[Cell] {
        match self {
            Self::Eq(cell) | Self::Lt(cell) | Self::Le(cell) | Self::Gt(cell) | Self::Ge(cell) => {
                std::slice::from_ref(cell)
            }
            Self::In(cells) => cells,
        }
    }

    /// True when a row with `cell` passes. Stores with a query language of their own do the same.
    pub fn passes(&self, cell: &Cell) -> bool {
        let both = |other: &Cell| *cell != Cell::Null && *other != Cell::Null;
        match self {
            Self::Eq(other) => cell == other,
            Self::Lt(other) => both(other) && cell < other,
            Self::Le(other) => both(other) && cell <= other,
            Self::Gt(other) => both(other) && cell > other,
            Self::Ge(other) => both(other) && cell >= other,
            Self::In(others) => *cell != Cell::Null && others.contains(cell),
        }
    }
}

/// One condition of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The column.
    pub column: &'static str,
    /// What it must satisfy.
    pub test: Test,
}

/// Which rows a reader wants: all conditions hold, in the order of one column and then of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewQuery {
    /// All of them hold.
    pub conditions: Vec<Condition>,
    /// Order by this column, then by key; by key alone when `None`. Rows without a value in this
    /// column are left out.
    pub order_by: Option<&'static str>,
    /// Backwards, column and key alike.
    pub descending: bool,
    /// Go on after this row of the page before.
    pub after: Option<Cursor>,
    /// At most so many rows; 0 is taken as 1.
    pub limit: usize,
}

impl ViewQuery {
    /// At most `limit` rows in the order of their keys.
    pub fn first(limit: usize) -> Self {
        Self {
            conditions: vec![],
            order_by: None,
            descending: false,
            after: None,
            limit,
        }
    }

    /// With one more condition.
    #[must_use]
    pub fn with(mut self, column: &'static str, test: Test) -> Self {
        self.conditions.push(Condition { column, test });
        self
    }

    /// Only rows whose column equals `value`.
    #[must_use]
    pub fn equal(self, column: &'static str, value: impl Into<Cell>) -> Self {
        self.with(column, Test::Eq(value.into()))
    }

    /// In the order of a column.
    #[must_use]
    pub fn order_by(mut self, column: &'static str) -> Self {
        self.order_by = Some(column);
        self
    }

    /// Backwards.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// Go on after a page.
    #[must_use]
    pub fn after(mut self, cursor: Option<Cursor>) -> Self {
        self.after = cursor;
        self
    }
}

/// Where a page ended. Its text is opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The last row's value of the ordering column.
    #[serde(rename = "o")]
    pub order: Option<Cell>,
    /// The last row's key.
    #[serde(rename = "k")]
    pub key: String,
}

impl Cursor {
    /// From its text; `None` when it is no cursor.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() > 2_000 || !digits.len().is_multiple_of(2) {
            return None;
        }
        let nibble = |digit: u8| {
            char::from(digit)
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        };
        let pairs = digits.chunks_exact(2);
        let bytes: Option<Vec<u8>> = pairs
            .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
            .collect();
        serde_json::from_slice(&bytes?).ok()
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_vec(self).map_err(|_| fmt::Error)?;
        json.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One page of rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowPage {
    /// In the order that was asked for.
    pub rows: Vec<Row>,
    /// Where to go on; `None` when nothing follows.
    pub next: Option<Cursor>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        for order in [None, Some(Cell::Integer(-3)), Some(Cell::text("\u{20ac}"))] {
            let cursor = Cursor {
                order,
                key: "k/1".into(),
            };
            assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        }
        for bad in ["", "7", "zz", "7b7d", "\u{20ac}"] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn nothing_compares_with_null() {
        let tests = [
            Test::Lt(1.into()),
            Test::Ge(1.into()),
            Test::In(vec![1.into()]),
            Test::Eq(1.into()),
        ];
        assert!(tests.iter().all(|test| !test.passes(&Cell::Null)));
        assert!(Test::Eq(Cell::Null).passes(&Cell::Null));
    }
}
