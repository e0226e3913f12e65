//! Payment requests as views need them: the domain's own fold, kept in a table beside the rows.
//!
//! A view never has rules of its own for what money or time mean; it asks the domain's state. The
//! state is stored as it is, so a view that keeps it goes to a new version when the state changes.

use domain::codec::decode;
use domain::payment::{Event, Request, evolve};
use domain::record::{Envelope, Recorded};
use domain::stream::Version;
use serde::{Deserialize, Serialize};

use crate::ports::{Cell, Rows, TableSpec};
use crate::view::{ApplyError, TypedRow, load, save};

/// The table; every view that folds has it.
pub(super) const TABLE: TableSpec = TableSpec {
    name: "request_fold",
    columns: &[],
    indexes: &[],
};

#[derive(Serialize, Deserialize)]
struct Folded {
    stream: String,
    version: Version,
    request: Request,
}

impl TypedRow for Folded {
    const TABLE: &'static TableSpec = &TABLE;

    fn key(&self) -> String {
        self.stream.clone()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![]
    }
}

/// Reads the event, folds it into its request and keeps the result.
///
/// # Errors
/// [`ApplyError::Impossible`] when an event before it is missing.
pub(super) fn fold(
    event: &Recorded,
    envelope: &Envelope,
    rows: &mut dyn Rows,
) -> Result<(Event, Request), ApplyError> {
    let told: Event = decode(envelope)?;
    let stream = event.stream.as_str();
    let before: Option<Folded> = load(rows, stream)?;
    let version = event.record.version;
    let expected = before
        .as_ref()
        .map_or(Version::FIRST, |before| before.version.next());
    if version != expected {
        return Err(ApplyError::Impossible(format!(
            "version {version} where {expected} comes next"
        )));
    }
    let Some(request) = evolve(before.map(|before| before.request), &told) else {
        return Err(ApplyError::Impossible(
            "the first event does not create the request".to_owned(),
        ));
    };
    let folded = Folded {
        stream: stream.to_owned(),
        version,
        request,
    };
    save(rows, &folded)?;
    Ok((told, folded.request))
}
