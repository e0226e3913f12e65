//! Rows of `event` and `claim`, to and from the port's types. A row is trusted only after its
//! bytes gave the hash that was stored with them.

use rusqlite::{OptionalExtension, Row};

use domain::digest::Digest32;
use domain::ids::EventId;
use domain::ports::{ClaimOwner, ClaimSpace, Position, StoreIdentity};
use domain::record::{Record, Recorded, leaf_hash};
use domain::stream::{StreamId, Version};

/// What a statement gave: SQLite's word, or a row that is not what was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    /// SQLite said no.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The row at this position was altered.
    #[error("the event at {0} was altered")]
    Altered(Position),
}

/// Makes positions of one store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    tag: u32,
    epoch: u32,
}

impl Places {
    pub(super) fn of(identity: &StoreIdentity) -> Self {
        Self {
            tag: identity.tag(),
            epoch: identity.epoch,
        }
    }

    pub(super) fn at(self, number: u64) -> Position {
        Position::new(self.tag, self.epoch, number, 0)
    }
}

/// SQLite's integers are signed. Numbers past them cannot be stored, so nothing stands there.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A counted column; the schema keeps all of them from being negative.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// Reads columns in the order that every page statement has: position, stream's name, version,
/// type, event id, leaf, record.
pub(super) fn recorded(row: &Row<'_>, places: Places) -> Result<Recorded, RowError> {
    let position = places.at(unsigned(row, 0)?);
    let stream = StreamId::parse(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)
        .map_err(|_| RowError::Altered(position))?;
    let event_id: [u8; 16] = row.get(4)?;
    let leaf: [u8; 32] = row.get(5)?;
    let bytes = row.get_ref(6)?.as_blob().map_err(rusqlite::Error::from)?;
    if leaf_hash(bytes) != Digest32(leaf) {
        return Err(RowError::Altered(position));
    }
    let record = Record {
        event_id: EventId::from_uuid(uuid::Uuid::from_bytes(event_id)),
        event_type: row
            .get_ref(3)?
            .as_str()
            .map_err(rusqlite::Error::from)?
            .into(),
        version: Version(unsigned(row, 2)?),
        bytes: bytes.into(),
    };
    Ok(Recorded {
        position,
        stream,
        record,
    })
}

/// Who has a claim, as the row says.
pub(super) fn find_claim(
    connection: &rusqlite::Connection,
    ns: ClaimSpace,
    key: &Digest32,
) -> rusqlite::Result<Option<ClaimOwner>> {
    connection
        .prepare_cached(include_str!("sql/select_claim.sql"))?
        .query_row((ns.as_str(), &key.0), |row| {
            let owner = StreamId::parse(row.get::<_, String>(0)?).map_err(|bad| {
                rusqlite::Error::FromSqlConversionFailure(
                    0,
                    rusqlite::types::Type::Text,
                    Box::new(bad),
                )
            })?;
            Ok(ClaimOwner {
                owner,
                detail: row.get(1)?,
                generation: unsigned(row, 2)?,
            })
        })
        .optional()
}

/// The number of the last event, 0 while there is none.
pub(super) fn head(connection: &rusqlite::Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(include_str!("sql/select_head.sql"))?
        .query_row((), |row| row.get::<_, Option<i64>>(0))
        .map(|head| {
            head.and_then(|number| u64::try_from(number).ok())
                .unwrap_or(0)
        })
}

/// Events of one stream from `from` on.
pub(super) fn stream_page(
    connection: &rusqlite::Connection,
    places: Places,
    stream: &StreamId,
    from: Version,
    limit: usize,
) -> Result<Vec<Recorded>, RowError> {
    let mut statement = connection.prepare_cached(include_str!("sql/select_stream_page.sql"))?;
    let rows = statement.query((stream.as_str(), signed(from.0), signed(limit as u64)))?;
    collect(rows, places)
}

/// All events after number `passed`, up to number `end`.
pub(super) fn events_between(
    connection: &rusqlite::Connection,
    places: Places,
    passed: u64,
    end: u64,
) -> Result<Vec<Recorded>, RowError> {
    let mut statement = connection.prepare_cached(include_str!("sql/select_page.sql"))?;
    let rows = statement.query((signed(passed), signed(end)))?;
    collect(rows, places)
}

/// The rest of the rows, stopping at the first altered one.
pub(super) fn collect(
    mut rows: rusqlite::Rows<'_>,
    places: Places,
) -> Result<Vec<Recorded>, RowError> {
    let mut events = vec![];
    while let Some(row) = rows.next()? {
        events.push(recorded(row, places)?);
    }
    Ok(events)
}
