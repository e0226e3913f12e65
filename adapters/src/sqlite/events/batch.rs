//! Many appends in one transaction: a savepoint each, one commit for all.
//!
//! It is called by the writer's thread and by nothing else, and it answers nobody: it returns one
//! answer per request, in order, once it is known what became of the commit.

use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Savepoint, Transaction, TransactionBehavior, ffi,
};

use domain::ports::{AppendError, AppendRequest, Appended, Outcome};
use domain::record::Record;
use domain::stream::{StreamId, Version};

use super::rows::{self, Places, RowError, signed, unsigned};
use crate::append_rules;

/// What became of one request.
pub(super) type Answer = Result<Appended, AppendError>;

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Done {
    /// One answer per request, in order.
    pub answers: Vec<Answer>,
    /// The number of the last event after the batch.
    pub head: u64,
    /// What the writer must do next.
    pub verdict: Verdict,
}

/// What an error of SQLite means for the writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on.
    Fine,
    /// No space. Nothing was written; try again later.
    Full,
    /// The disk or the file cannot be trusted any more. Never write again in this process.
    Fatal(String),
}

/// What ended a request. Refusals are answers to that request alone; a breakdown ends the batch.
enum Ended {
    Refused(AppendError),
    Broken(rusqlite::Error),
}

impl From<rusqlite::Error> for Ended {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error)
    }
}

/// Applies `requests`, each all or nothing, and commits once. `head` is the number of the last
/// event that is committed.
pub(super) fn apply(
    connection: &mut Connection,
    places: Places,
    head: u64,
    requests: &[AppendRequest],
) -> Done {
    let mut answers = Vec::with_capacity(requests.len());
    let mut new_head = head;
    let applied = apply_all(connection, places, &mut new_head, requests, &mut answers);
    let transaction = match applied {
        Ok(transaction) => transaction,
        Err(error) => return failed(requests.len(), head, &error, |_| Outcome::NotApplied),
    };
    match transaction.commit() {
        Ok(()) => Done {
            answers,
            head: new_head,
            verdict: Verdict::Fine,
        },
        // The commit record may have reached the disk before the error did. A repeat in this batch
        // may be a repeat of an append in this very batch, so it is as unknown.
        Err(error) => failed(requests.len(), head, &error, |place| {
            match &answers[place] {
                Ok(_) => Outcome::Unknown,
                Err(_) => Outcome::NotApplied,
            }
        }),
    }
}

fn apply_all<'a>(
    connection: &'a mut Connection,
    places: Places,
    head: &mut u64,
    requests: &[AppendRequest],
    answers: &mut Vec<Answer>,
) -> rusqlite::Result<Transaction<'a>> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for request in requests {
        answers.push(one(&mut transaction, places, head, request)?);
    }
    Ok(transaction)
}

/// What an error of SQLite means. Only a full disk and a busy file are survived: after a failed
/// write or sync the pages in memory and on the disk may differ, and a second try could hide it.
pub(super) fn verdict(error: &rusqlite::Error) -> Verdict {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Verdict::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Verdict::Fine,
        _ => Verdict::Fatal(error.to_string()),
    }
}

/// The same breakdown for every request of a batch. A batch that was rolled back for want of space
/// or for another's lock was not applied, wherever it happened.
fn failed(
    requests: usize,
    head: u64,
    error: &rusqlite::Error,
    outcome: impl Fn(usize) -> Outcome,
) -> Done {
    let verdict = verdict(error);
    let answer = |place| {
        let outcome = match verdict {
            Verdict::Full => return Err(AppendError::Full),
            Verdict::Fine => Outcome::NotApplied,
            Verdict::Fatal(_) => outcome(place),
        };
        Err(AppendError::Unavailable {
            outcome,
            cause: error.to_string().into(),
        })
    };
    Done {
        answers: (0..requests).map(answer).collect(),
        head,
        verdict,
    }
}

fn one(
    transaction: &mut Transaction<'_>,
    places: Places,
    head: &mut u64,
    request: &AppendRequest,
) -> rusqlite::Result<Answer> {
    let savepoint = transaction.savepoint()?;
    let mut new_head = *head;
    match append(&savepoint, places, &mut new_head, request) {
        Ok(appended) => {
            savepoint.commit()?;
            *head = new_head;
            Ok(Ok(appended))
        }
        Err(Ended::Refused(refusal)) => {
            savepoint.finish()?;
            Ok(Err(refusal))
        }
        Err(Ended::Broken(error)) => Err(error),
    }
}

fn append(
    savepoint: &Savepoint<'_>,
    places: Places,
    head: &mut u64,
    request: &AppendRequest,
) -> Result<Appended, Ended> {
    append_rules::check(request).map_err(Ended::Refused)?;
    let first = request.expect.first_version();
    let stream = find_stream(savepoint, &request.stream)?;
    let actual = match stream {
        Some(id) => last_version(savepoint, id)?,
        None => None,
    };
    if actual.map_or(Version::FIRST, Version::next) != first {
        return repeat(savepoint, places, request, actual);
    }
    let stream = match stream {
        Some(id) => id,
        None => insert_stream(savepoint, &request.stream)?,
    };
    let mut leaf_hashes = Vec::with_capacity(request.events.len());
    for record in &request.events {
        *head += 1;
        let leaf = record.leaf_hash();
        insert_event(savepoint, *head, stream, request, record, &leaf.0)?;
        leaf_hashes.push(leaf);
    }
    for claim in &request.claims {
        let held = rows::find_claim(savepoint, claim.ns, &claim.key)?;
        let settled = append_rules::settle(claim, held.as_ref()).map_err(Ended::Refused)?;
        if let Some(now) = settled {
            savepoint
                .prepare_cached(include_str!("sql/upsert_claim.sql"))?
                .execute((
                    claim.ns.as_str(),
                    &claim.key.0,
                    now.owner.as_str(),
                    now.detail,
                    signed(now.generation),
                ))?;
        }
    }
    let version = request.events.last().map_or(first, |record| record.version);
    Ok(Appended {
        version,
        position: places.at(*head),
        leaf_hashes,
        repeated: false,
    })
}

/// The expectation does not hold: the same append again, or somebody else's turn.
fn repeat(
    savepoint: &Savepoint<'_>,
    places: Places,
    request: &AppendRequest,
    actual: Option<Version>,
) -> Result<Appended, Ended> {
    let first = request.expect.first_version();
    let stored = rows::stream_page(
        savepoint,
        places,
        &request.stream,
        first,
        request.events.len(),
    )
    .map_err(|error| match error {
        RowError::Sqlite(error) => Ended::Broken(error),
        RowError::Altered(position) => Ended::Refused(AppendError::Corrupt { position }),
    })?;
    let records: Vec<Record> = stored.iter().map(|event| event.record.clone()).collect();
    append_rules::same_append(request, &records, actual).map_err(Ended::Refused)?;
    let last = stored
        .last()
        .ok_or(Ended::Refused(AppendError::Conflict { actual }))?;
    Ok(Appended {
        version: last.record.version,
        position: last.position,
        leaf_hashes: records.iter().map(Record::leaf_hash).collect(),
        repeated: true,
    })
}

fn find_stream(connection: &Connection, stream: &StreamId) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached(include_str!("sql/select_stream.sql"))?
        .query_row((stream.as_str(),), |row| row.get(0))
        .optional()
}

fn insert_stream(connection: &Connection, stream: &StreamId) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(include_str!("sql/insert_stream.sql"))?
        .insert((stream.as_str(),))
}

fn last_version(connection: &Connection, stream: i64) -> rusqlite::Result<Option<Version>> {
    connection
        .prepare_cached(include_str!("sql/select_version.sql"))?
        .query_row((stream,), |row| {
            let version: Option<i64> = row.get(0)?;
            version.map(|_| unsigned(row, 0).map(Version)).transpose()
        })
}

/// Position and version are known to be free and the rest is checked, so the one thing that can
/// clash is the event's id.
fn insert_event(
    connection: &Connection,
    position: u64,
    stream: i64,
    request: &AppendRequest,
    record: &Record,
    leaf: &[u8; 32],
) -> Result<(), Ended> {
    let inserted = connection
        .prepare_cached(include_str!("sql/insert_event.sql"))?
        .execute((
            signed(position),
            stream,
            signed(record.version.0),
            request.stream.category().as_str(),
            &*record.event_type,
            record.event_id.as_bytes(),
            leaf,
            &*record.bytes,
        ));
    match inserted {
        Ok(_) => Ok(()),
        Err(error) => match error.sqlite_extended_error_code() {
            Some(ffi::SQLITE_CONSTRAINT_UNIQUE) => Err(Ended::Refused(AppendError::IdReused)),
            _ => Err(Ended::Broken(error)),
        },
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
