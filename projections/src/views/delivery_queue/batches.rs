//! Batches: which failed deliveries one takes in, and how far it is.
//!
//! A batch takes in what is on the failed list as of its place in the log and in no other batch. What
//! becomes of a delivery afterwards takes it out again: as done where this batch did it, as skipped
//! where somebody else was faster. So a batch is read off the log like everything here, and a loop
//! that carries it out needs no memory of its own.

use domain::delivery;
use domain::ids::{BatchId, EventId, MerchantId, ReasonCode, SubscriberId};
use domain::record::Envelope;
use domain::subscriber::{BatchOrder, DeliveryBatch, FailedFilter};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::rows::{DeliveryRow, Stage, SubscriberRow};
use crate::ports::{Cell, ColumnSpec, Rows, TableSpec};
use crate::view::{ApplyError, TypedRow, find, load, save};

/// The table of [`BatchRow`].
pub const BATCHES: TableSpec = TableSpec {
    name: "batch",
    columns: &[
        ColumnSpec::text("merchant"),
        ColumnSpec::text("subscriber"),
        ColumnSpec::text("state"),
        ColumnSpec::integer("requested_at"),
    ],
    indexes: &[
        &["merchant", "requested_at"],
        &["subscriber", "requested_at"],
        &["state", "requested_at"],
    ],
};

/// How a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BatchState {
    /// It is being carried out.
    #[serde(rename = "running")]
    Running,
    /// Nothing of it is left.
    #[serde(rename = "finished")]
    Finished,
    /// What was left of it stays as it is.
    #[serde(rename = "cancelled")]
    Cancelled,
}

impl BatchState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Running, Self::Finished, Self::Cancelled];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Many failed deliveries, decided in one go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRow {
    /// Its id.
    pub id: BatchId,
    /// Whose deliveries.
    pub merchant: MerchantId,
    /// To whom.
    pub subscriber: SubscriberId,
    /// What becomes of them.
    pub order: BatchOrder,
    /// Which of them.
    pub which: FailedFilter,
    /// How many of them per second.
    pub per_second: u32,
    /// How it stands.
    pub state: BatchState,
    /// When somebody asked for it.
    pub requested_at: Timestamp,
    /// Who.
    pub requested_by: String,
    /// The event by which they did.
    pub requested_with: EventId,
    /// Why.
    pub why: Option<ReasonCode>,
    /// Deliveries that it took in.
    pub total: u64,
    /// Carried out.
    pub done: u64,
    /// Decided by somebody else before their turn came.
    pub skipped: u64,
    /// Deliveries that another batch had taken in already.
    pub elsewhere: u64,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl BatchRow {
    /// Deliveries whose turn has not come, or never came where it was cancelled.
    pub fn left(&self) -> u64 {
        self.total.saturating_sub(self.done + self.skipped)
    }
}

impl TypedRow for BatchRow {
    const TABLE: &'static TableSpec = &BATCHES;

    fn key(&self) -> String {
        self.id.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.merchant.as_str().into(),
            self.subscriber.as_str().into(),
            self.state.as_str().into(),
            self.requested_at.into(),
        ]
    }
}

/// Takes in what is on the failed list now.
pub(super) fn begin(
    to: &SubscriberRow,
    batch: DeliveryBatch,
    envelope: &Envelope,
    rows: &mut dyn Rows,
) -> Result<(), ApplyError> {
    let subscriber = to.subscriber.id.clone();
    let mut begun = BatchRow {
        id: batch.id,
        merchant: to.subscriber.merchant.clone(),
        subscriber: subscriber.clone(),
        order: batch.order,
        which: batch.which,
        per_second: batch.per_second,
        state: BatchState::Running,
        requested_at: envelope.recorded_at,
        requested_by: envelope.actor.display(),
        requested_with: envelope.event_id,
        why: envelope.reason.as_ref().map(|reason| reason.code.clone()),
        total: 0,
        done: 0,
        skipped: 0,
        elsewhere: 0,
        ended_at: None,
    };
    for mut row in find::<DeliveryRow>(rows, "stage", Stage::Failed.of(&subscriber))? {
        if !begun.which.takes(row.class, row.reason, row.created_at) {
            continue;
        }
        if row.batch.is_some() {
            begun.elsewhere += 1;
            continue;
        }
        begun.total += 1;
        row.batch = Some(begun.id.clone());
        save(rows, &row)?;
    }
    save(rows, &begun)
}

/// Leaves what is left of it as it is.
pub(super) fn end(
    batch: &BatchId,
    state: BatchState,
    at: Timestamp,
    rows: &mut dyn Rows,
) -> Result<(), ApplyError> {
    if let Some(mut ended) = load::<BatchRow>(rows, batch.as_str())? {
        (ended.state, ended.ended_at) = (state, Some(at));
        save(rows, &ended)?;
    }
    for mut row in find::<DeliveryRow>(rows, "batch", batch.as_str())? {
        row.batch = None;
        save(rows, &row)?;
    }
    Ok(())
}

/// Notes what became of a delivery that is on the failed list no more. What a cancelled batch did in
/// the last moment counts as done, too.
pub(super) fn decided(
    row: &mut DeliveryRow,
    told: &delivery::Event,
    rows: &mut dyn Rows,
) -> Result<(), ApplyError> {
    let by = match told {
        delivery::Event::Redriven { batch, .. } | delivery::Event::Abandoned { batch, .. } => {
            batch.clone()
        }
        delivery::Event::Succeeded { .. }
        | delivery::Event::AttemptFailed { .. }
        | delivery::Event::DeadLettered { .. }
        | delivery::Event::Quarantined { .. }
        | delivery::Event::AcknowledgedByPull { .. } => None,
    };
    let waited_in = row.batch.take();
    if let Some(faster) = waited_in.filter(|batch| by.as_ref() != Some(batch))
        && let Some(mut batch) = load::<BatchRow>(rows, faster.as_str())?
    {
        batch.skipped += 1;
        save(rows, &batch)?;
    }
    if let Some(by) = by
        && let Some(mut batch) = load::<BatchRow>(rows, by.as_str())?
    {
        batch.done += 1;
        save(rows, &batch)?;
    }
    Ok(())
}
