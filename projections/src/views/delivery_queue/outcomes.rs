//! What became of deliveries, and what that means for those that wait behind them.

use domain::codec::decode;
use domain::delivery::{self, Delivery, FailedWhy, State};
use domain::ids::SubscriberId;
use domain::record::{Envelope, Recorded};

use super::rows::{DeliveryRow, QueueState, Stage, SubscriberRow};
use super::{batches, family};
use crate::ports::Rows;
use crate::view::{ApplyError, find, load, save};

/// What is still to be sent ends with its subscriber. What stands on the failed list stays there.
pub(super) fn end_pending(
    subscriber: &SubscriberId,
    rows: &mut dyn Rows,
) -> Result<(), ApplyError> {
    for mut row in find::<DeliveryRow>(rows, "stage", Stage::Pending.of(subscriber))? {
        row.state = QueueState::SubscriberRemoved;
        save(rows, &row)?;
    }
    Ok(())
}

/// Takes in one event of `delivery-<id>`.
pub(super) fn of_delivery(
    event: &Recorded,
    envelope: &Envelope,
    rows: &mut dyn Rows,
) -> Result<(), ApplyError> {
    let Some(mut row) = load::<DeliveryRow>(rows, event.stream.key())? else {
        return Err(ApplyError::Impossible(
            "an outcome of a delivery that does not exist".to_owned(),
        ));
    };
    let told: delivery::Event = decode(envelope)?;
    let before = Delivery {
        state: match row.state {
            QueueState::Due | QueueState::Held | QueueState::SubscriberRemoved => State::Open,
            QueueState::Delivered => State::Delivered,
            QueueState::DeadLettered => State::DeadLettered,
            QueueState::Quarantined => State::Quarantined,
            QueueState::Abandoned => State::Abandoned,
            QueueState::Acknowledged => State::Acknowledged,
        },
        generation: row.generation,
        attempts: row.attempts,
        next_try_at: Some(row.next_try_at),
        ..Delivery::default()
    };
    let Some(after) = delivery::evolve(Some(before), &told) else {
        return Ok(());
    };
    let mut subscriber = load::<SubscriberRow>(rows, row.subscriber.as_str())?;
    let removed = subscriber
        .as_ref()
        .is_some_and(|known| known.subscriber.removed);
    row.state = match after.state {
        State::Open if removed => QueueState::SubscriberRemoved,
        State::Open => QueueState::Due,
        State::Delivered => QueueState::Delivered,
        State::DeadLettered => QueueState::DeadLettered,
        State::Quarantined => QueueState::Quarantined,
        State::Abandoned => QueueState::Abandoned,
        State::Acknowledged => QueueState::Acknowledged,
    };
    (row.generation, row.attempts) = (after.generation, after.attempts);
    row.next_try_at = after.next_try_at.unwrap_or(envelope.recorded_at);
    row.outcome_version = Some(event.record.version);
    match &told {
        delivery::Event::Succeeded { http_status, .. } => {
            (row.class, row.reason) = (None, None);
            row.last_status = Some(*http_status);
            row.delivered_at = Some(envelope.recorded_at);
        }
        delivery::Event::AttemptFailed {
            class, http_status, ..
        } => {
            row.class = Some(*class);
            row.last_status = *http_status;
        }
        delivery::Event::DeadLettered {
            reason,
            http_status,
            class,
            tried,
            ..
        } => {
            row.reason = Some(FailedWhy::Dead(*reason));
            if class.is_some() || tried.is_some() {
                (row.class, row.last_status) = (*class, *http_status);
            }
        }
        delivery::Event::Quarantined { fault, .. } => {
            row.reason = Some(FailedWhy::Ours(*fault));
        }
        delivery::Event::AcknowledgedByPull { .. } => {
            (row.class, row.reason, row.last_status) = (None, None, None);
            row.delivered_at = Some(envelope.recorded_at);
        }
        delivery::Event::Redriven { .. } => row.reason = None,
        delivery::Event::Abandoned { .. } => {}
    }
    if row.state.stage() != Some(Stage::Failed) {
        batches::decided(&mut row, &told, rows)?;
    }
    let frees = !row.state.holds();
    save(rows, &row)?;
    if let Some(known) = &mut subscriber {
        let breaker = std::mem::take(&mut known.breaker);
        known.breaker = breaker.after(&row.id, &told, envelope.recorded_at);
        save(rows, known)?;
    }
    if frees {
        let family = family(&row, rows)?;
        let held = family.into_iter().find(|other| other.state.holds());
        if let Some(mut next) = held.filter(|next| next.state == QueueState::Held) {
            next.state = QueueState::Due;
            save(rows, &next)?;
        }
    }
    Ok(())
}
