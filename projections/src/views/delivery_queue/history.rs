//! What was told so far, so that a backfill can find it: one row per told event, found by day.

use std::time::Duration;

use domain::digest::Digest32;
use domain::ids::{EventId, MerchantId, ScenarioId};
use domain::outbound::EventName;
use domain::stream::Version;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ports::{Cell, ColumnSpec, Rows, TableSpec};
use crate::view::{ApplyError, TypedRow, find, load, save};

/// The table of [`ToldRow`].
pub(super) const TOLD: TableSpec = TableSpec {
    name: "told",
    columns: &[
        ColumnSpec::text("day"),
        ColumnSpec::text("merchant"),
        ColumnSpec::integer("recorded_at"),
    ],
    indexes: &[&["day"], &["merchant", "recorded_at"]],
};

pub(super) const TOLD_DAYS: TableSpec = TableSpec {
    name: "told_day",
    columns: &[ColumnSpec::text("merchant")],
    indexes: &[&["merchant"]],
};

/// An event as subscribers hear it, whoever does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldRow {
    /// The ledger event.
    pub event_id: EventId,
    /// Whose.
    pub merchant: MerchantId,
    /// Which event it is.
    pub name: EventName,
    /// What it is about.
    pub subject: String,
    /// The scenario of the payment request that it is about.
    pub scenario: Option<ScenarioId>,
    /// Its place among the events of its subject.
    pub sequence: Version,
    /// When the ledger recorded it.
    pub recorded_at: Timestamp,
    /// Names the body.
    pub body_sha256: Digest32,
}

impl TypedRow for ToldRow {
    const TABLE: &'static TableSpec = &TOLD;

    fn key(&self) -> String {
        self.event_id.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            day_of(&self.merchant, self.recorded_at).into(),
            self.merchant.as_str().into(),
            self.recorded_at.into(),
        ]
    }
}

/// A day on which a merchant's subscribers were told something.
#[derive(Serialize, Deserialize)]
struct DayRow {
    merchant: MerchantId,
    begins_at: Timestamp,
}

impl TypedRow for DayRow {
    const TABLE: &'static TableSpec = &TOLD_DAYS;

    fn key(&self) -> String {
        day_of(&self.merchant, self.begins_at)
    }

    fn cells(&self) -> Vec<Cell> {
        vec![self.merchant.as_str().into()]
    }
}

const DAY: Duration = Duration::from_secs(86_400);

fn beginning_of_day(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.seconds().div_euclid(86_400) * 86_400)
}

fn day_of(merchant: &MerchantId, at: Timestamp) -> String {
    format!("{merchant}|{}", beginning_of_day(at))
}

/// Keeps it.
pub(super) fn keep(told: &ToldRow, rows: &mut dyn Rows) -> Result<(), ApplyError> {
    let day = DayRow {
        merchant: told.merchant.clone(),
        begins_at: beginning_of_day(told.recorded_at),
    };
    if load::<DayRow>(rows, &day.key())?.is_none() {
        save(rows, &day)?;
    }
    save(rows, told)
}

/// What a merchant's subscribers were told from `from` to just before `to`, in the order in which
/// it was recorded; what one millisecond recorded, in the order of subjects.
pub(super) fn between(
    merchant: &MerchantId,
    from: Timestamp,
    to: Timestamp,
    rows: &mut dyn Rows,
) -> Result<Vec<ToldRow>, ApplyError> {
    let mut found = vec![];
    for day in find::<DayRow>(rows, "merchant", merchant.as_str())? {
        if day.begins_at < to && day.begins_at.plus(DAY) > from {
            found.extend(find::<ToldRow>(rows, "day", day.key())?);
        }
    }
    found.retain(|told| (from..to).contains(&told.recorded_at));
    found.sort_by(|a, b| {
        let place = |told: &ToldRow| (told.recorded_at, told.subject.clone(), told.sequence);
        place(a).cmp(&place(b))
    });
    Ok(found)
}
