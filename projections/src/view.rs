//! What a view is: a pure fold from recorded events to row changes.
//!
//! A view knows no clock, no randomness and no store; the same events give the same rows, byte for
//! byte. The engine calls it, in the order of the log, inside a transaction.

use domain::codec::CodecError;
use domain::record::{Envelope, RecordError, Recorded};
use domain::stream::Category;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ports::{Cell, Row, Rows, RowsError, TableSpec, ViewSpec};

/// A fold of the log.
pub trait View: Send + Sync + 'static {
    /// Its name, version and tables. The version goes up whenever the fold or a table changes.
    fn spec(&self) -> ViewSpec;

    /// The categories that it reads; empty means all. Others never reach [`View::apply`].
    fn reads(&self) -> &'static [Category];

    /// True when an event touches only rows that belong to its own stream, so that one stream can
    /// be parked while others go on. A view that mixes streams stops instead.
    ///
    /// A view that joins streams may still say true when holding one stream back is what it wants
    /// (a delivery of one payment waits, all others go out); what it missed meanwhile comes with a
    /// rebuild.
    fn stream_local(&self) -> bool;

    /// Takes in one event. Whatever it wrote before an error is undone.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing is ever skipped: the stream is parked, or the view stops.
    fn apply(
        &self,
        event: &Recorded,
        envelope: &Envelope,
        rows: &mut dyn Rows,
    ) -> Result<(), ApplyError>;
}

/// An event was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The store failed. Not the event's fault: it is tried again.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The event is unknown here, too new, or does not fit its type.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A row of the view cannot be read.
    #[error("row {key} of {table} cannot be read")]
    Body {
        /// The table.
        table: &'static str,
        /// The row.
        key: String,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// The event cannot follow what the view knows.
    #[error("{0}")]
    Impossible(String),
}

impl ApplyError {
    /// True when the event itself cannot be taken in, however often it is tried.
    pub fn is_poison(&self) -> bool {
        !matches!(self, Self::Rows(RowsError::Store(_)))
    }

    /// The error and its causes in one line, without any data of the event: JSON errors are told
    /// by place only, since their text may repeat a value.
    pub fn redacted(&self) -> String {
        let place = |cause: &serde_json::Error| {
            format!("JSON line {} column {}", cause.line(), cause.column())
        };
        match self {
            Self::Codec(CodecError::Unreadable { cause, .. })
            | Self::Record(RecordError::Unreadable(cause))
            | Self::Body { cause, .. } => format!("{self} ({})", place(cause)),
            Self::Rows(_) | Self::Record(_) | Self::Codec(_) | Self::Impossible(_) => {
                self.to_string()
            }
        }
    }
}

/// A row with a type: which table, which key, what to find it by. Its body is its JSON, with members
/// in the order of their declaration.
///
/// Maps in it are ordered, no field is a float, and none is free JSON, so that equal rows have equal
/// bytes. (RFC 8785 is for records: it would round whole numbers that a float cannot hold.)
pub trait TypedRow: Serialize + DeserializeOwned {
    /// Its table.
    const TABLE: &'static TableSpec;

    /// Its key, unique in the table.
    fn key(&self) -> String;

    /// One cell per column of the table, in order.
    fn cells(&self) -> Vec<Cell>;
}

/// Reads a row.
///
/// # Errors
/// [`ApplyError::Rows`], [`ApplyError::Body`].
pub fn load<T: TypedRow>(rows: &mut dyn Rows, key: &str) -> Result<Option<T>, ApplyError> {
    rows.get(T::TABLE.name, key)?.map(decode).transpose()
}

/// Writes a row.
///
/// # Errors
/// [`ApplyError::Rows`], [`ApplyError::Body`].
pub fn save<T: TypedRow>(rows: &mut dyn Rows, row: &T) -> Result<(), ApplyError> {
    let (key, cells) = (row.key(), row.cells());
    match serde_json::to_vec(row) {
        Ok(body) => Ok(rows.put(T::TABLE.name, Row { key, cells, body })?),
        Err(cause) => Err(ApplyError::Body {
            table: T::TABLE.name,
            key,
            cause,
        }),
    }
}

/// Removes a row; a missing one is fine.
///
/// # Errors
/// [`ApplyError::Rows`].
pub fn remove<T: TypedRow>(rows: &mut dyn Rows, key: &str) -> Result<(), ApplyError> {
    Ok(rows.delete(T::TABLE.name, key)?)
}

/// All rows whose column equals `value`, in key order, however many.
///
/// # Errors
/// [`ApplyError::Rows`], [`ApplyError::Body`].
pub fn find<T: TypedRow>(
    rows: &mut dyn Rows,
    column: &str,
    value: impl Into<Cell>,
) -> Result<Vec<T>, ApplyError> {
    const PAGE: usize = 500;
    let value = value.into();
    let mut found = vec![];
    let mut after: Option<String> = None;
    loop {
        let page = rows.scan(T::TABLE.name, column, &value, after.as_deref(), PAGE)?;
        let full = page.len() == PAGE;
        after = page.last().map(|row| row.key.clone());
        for row in page {
            found.push(decode(row)?);
        }
        if !full {
            return Ok(found);
        }
    }
}

/// The typed row out of a stored one.
///
/// # Errors
/// [`ApplyError::Body`].
pub fn decode<T: TypedRow>(row: Row) -> Result<T, ApplyError> {
    serde_json::from_slice(&row.body).map_err(|cause| ApplyError::Body {
        table: T::TABLE.name,
        key: row.key,
        cause,
    })
}
