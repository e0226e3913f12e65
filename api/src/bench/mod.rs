//! `counterfoil bench`: how fast this machine is, each figure beside the least that the same work
//! could cost here. It prints and asserts nothing.
//!
//! It works in folders of its own and never touches the data of a ledger. The load comes from the
//! same process and shares its cores, so the figures are lower than those of a machine of its own.

mod appends;
mod client;
mod creates;
mod deliveries;
mod empty;
mod machine;
mod prechecks;
mod rebuild;
mod scratch;
mod synthetic;
mod timing;

use std::path::PathBuf;
use std::time::Duration;

use domain::ports::BoxError;
use serde_json::{Map, Value};

use self::scratch::Scratch;

/// How many connections, appenders or payers work at once, one figure for each.
const LEVELS: [usize; 3] = [1, 16, 64];

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Creates over HTTP beside an empty handler.
    Creates,
    /// Appends beside bare inserts.
    Appends,
    /// Payments from the durable append to receivers, beside empty POSTs to them.
    Deliveries,
    /// Answers to a provider that asks before money moves, beside an empty handler.
    Prechecks,
    /// Rebuilds of the views beside reading the log.
    Rebuild,
}

impl Part {
    /// Every part, in the order of the report.
    pub const ALL: [Self; 5] = [
        Self::Creates,
        Self::Appends,
        Self::Deliveries,
        Self::Prechecks,
        Self::Rebuild,
    ];

    /// Its name on the command line and in the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creates => "creates",
            Self::Appends => "appends",
            Self::Deliveries => "deliveries",
            Self::Prechecks => "prechecks",
            Self::Rebuild => "rebuild",
        }
    }
}

/// What shall be measured, and where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The parts.
    pub parts: Vec<Part>,
    /// How long one figure is measured at most.
    pub figure: Duration,
    /// Events of the log that the views are rebuilt from, at least; a backlog is their payments.
    pub events: u64,
    /// Folder for the files; the disk under it is what is measured. Its own folder in the current
    /// one without.
    pub folder: Option<PathBuf>,
}

/// A part of the benchmark could not be done.
#[derive(Debug, thiserror::Error)]
#[error("{part}: {cause}")]
pub struct BenchError {
    /// What was being done.
    pub part: &'static str,
    /// Why it failed.
    #[source]
    pub cause: BoxError,
}

impl BenchError {
    fn at<E: Into<BoxError>>(part: &'static str) -> impl Fn(E) -> Self {
        move |cause| Self {
            part,
            cause: cause.into(),
        }
    }
}

/// Measures; tells each part by name before it begins. Gives one JSON object with `machine` and a
/// list of rows per part.
///
/// # Errors
/// [`BenchError`].
pub async fn run(plan: &Plan, tell: impl Fn(&str)) -> Result<Value, BenchError> {
    let scratch = Scratch::make(plan.folder.as_deref())?;
    let mut report = Map::new();
    tell("machine");
    report.insert("machine".to_owned(), machine::facts(&scratch).await?);
    for part in &plan.parts {
        tell(part.as_str());
        let rows = match part {
            Part::Creates => creates::measure(&scratch, plan.figure).await?,
            Part::Appends => appends::measure(&scratch, plan.figure).await?,
            Part::Deliveries => {
                let payments = plan.events.div_ceil(synthetic::EVENTS_PER_HISTORY);
                deliveries::measure(&scratch, plan.figure, payments).await?
            }
            Part::Prechecks => prechecks::measure(&scratch, plan.figure).await?,
            Part::Rebuild => rebuild::measure(&scratch, plan.events).await?,
        };
        report.insert(part.as_str().to_owned(), rows);
    }
    Ok(Value::Object(report))
}

#[cfg(test)]
#[path = "bench_tests.rs"]
mod tests;
