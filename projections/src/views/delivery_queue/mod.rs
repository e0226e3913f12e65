//! `delivery_queue`: which event goes to which subscriber, and when is its next try due?
//!
//! A pure fold: no clock, no network, no chance. A pair of subscriber and event exists when the
//! subscriber was registered, not removed and wanted the type as of the event's place in the log,
//! so a later change never makes or deletes history. Per subscriber and subject one delivery is due
//! at a time; its successors are held until it arrives or is abandoned.
//!
//! A backfill makes pairs with older events on purpose, of those that the subscriber wants as of the
//! request; a pair that exists already is not made again.
//!
//! What is still to be sent when a subscriber is removed ends there, as of that place of the log;
//! what is recorded of it later (a try that was under way, a redrive) does not make it due again.
//!
//! Rows are hints: the dispatcher reads the delivery's own stream before it sends.

mod batches;
mod history;
mod outcomes;
mod rows;

use domain::codec::decode;
use domain::delivery::breaker::Breaker;
use domain::delivery::id::delivery_id;
use domain::digest::Digest32;
use domain::ids::MerchantId;
use domain::outbound::{Outbound, Story, test_event, unmatched_event};
use domain::record::{Envelope, Recorded};
use domain::stream::Category;
use domain::subscriber;
use domain::time::Timestamp;

pub use self::batches::{BATCHES, BatchRow, BatchState};
pub use self::history::ToldRow;
use self::rows::StoryRow;
pub use self::rows::{
    BODIES, BodyRow, DELIVERIES, DeliveryRow, QueueState, SPEC, SUBSCRIBERS, SubscriberRow,
};
use crate::ports::{Rows, ViewSpec};
use crate::view::{ApplyError, View, find, load, save};

/// The view.
pub struct DeliveryQueueView;

impl View for DeliveryQueueView {
    fn spec(&self) -> ViewSpec {
        SPEC
    }

    fn reads(&self) -> &'static [Category] {
        &[
            Category::PaymentRequest,
            Category::Unmatched,
            Category::Subscriber,
            Category::Delivery,
        ]
    }

    /// A payment whose event cannot be rendered is held back for all subscribers; all others flow.
    fn stream_local(&self) -> bool {
        true
    }

    fn apply(
        &self,
        event: &Recorded,
        envelope: &Envelope,
        rows: &mut dyn Rows,
    ) -> Result<(), ApplyError> {
        match event.stream.category() {
            Category::PaymentRequest => of_request(event, envelope, rows),
            Category::Subscriber => of_subscriber(event, envelope, rows),
            Category::Unmatched => match unmatched_event(envelope, event.record.leaf_hash())? {
                Some(told) => tell(told, envelope, rows),
                None => Ok(()),
            },
            Category::Delivery => outcomes::of_delivery(event, envelope, rows),
            Category::Quote
            | Category::Notification
            | Category::Case
            | Category::ReferenceSequence
            | Category::Client
            | Category::Operator
            | Category::Instance
            | Category::Config
            | Category::Projection => Ok(()),
        }
    }
}

fn of_request(
    event: &Recorded,
    envelope: &Envelope,
    rows: &mut dyn Rows,
) -> Result<(), ApplyError> {
    let stream = event.stream.as_str().to_owned();
    let mut row = load::<StoryRow>(rows, &stream)?.unwrap_or_else(|| StoryRow {
        stream,
        story: Story::default(),
    });
    let told = row.story.tell(envelope, event.record.leaf_hash())?;
    save(rows, &row)?;
    match told {
        Some(told) => tell(told, envelope, rows),
        None => Ok(()),
    }
}

/// Keeps it for backfills, and queues it for every subscriber of its merchant that wants it at this
/// place of the log.
fn tell(told: Outbound, envelope: &Envelope, rows: &mut dyn Rows) -> Result<(), ApplyError> {
    let Some(merchant) = envelope.merchant.clone() else {
        return Ok(());
    };
    let told = keep(told, merchant, envelope, rows)?;
    history::keep(&told, rows)?;
    for mut row in find::<SubscriberRow>(rows, "merchant", told.merchant.as_str())? {
        let takes = row
            .subscriber
            .wants
            .takes(told.name, told.scenario.as_ref());
        if takes && !row.subscriber.removed {
            queue(&mut row, &told, envelope.recorded_at, rows)?;
        }
    }
    Ok(())
}

/// Its body, kept once for all who hear it.
fn keep(
    told: Outbound,
    merchant: MerchantId,
    envelope: &Envelope,
    rows: &mut dyn Rows,
) -> Result<ToldRow, ApplyError> {
    let sha256 = Digest32::sha256(&[&told.body]);
    let text = String::from_utf8_lossy(&told.body).into_owned();
    save(rows, &BodyRow { sha256, text })?;
    Ok(ToldRow {
        event_id: envelope.event_id,
        merchant,
        name: told.name,
        subject: told.subject,
        scenario: told.scenario,
        sequence: envelope.stream_version,
        recorded_at: envelope.recorded_at,
        body_sha256: sha256,
    })
}

/// Makes the delivery, unless there is one already, and tells the subscriber's row of it.
fn queue(
    to: &mut SubscriberRow,
    told: &ToldRow,
    due_at: Timestamp,
    rows: &mut dyn Rows,
) -> Result<(), ApplyError> {
    let id = delivery_id(&to.subscriber.id, told.event_id);
    if load::<DeliveryRow>(rows, id.as_str())?.is_some() {
        return Ok(());
    }
    to.queued += 1;
    save(rows, to)?;
    let mut row = DeliveryRow {
        id,
        subscriber: to.subscriber.id.clone(),
        merchant: to.subscriber.merchant.clone(),
        event_id: told.event_id,
        name: told.name,
        subject: told.subject.clone(),
        sequence: told.sequence,
        ordinal: to.queued,
        state: QueueState::Due,
        generation: 1,
        attempts: 0,
        next_try_at: due_at,
        outcome_version: None,
        class: None,
        reason: None,
        batch: None,
        last_status: None,
        body_sha256: told.body_sha256,
        created_at: told.recorded_at,
        queued_at: due_at,
        delivered_at: None,
    };
    if to.subscriber.removed {
        row.state = QueueState::SubscriberRemoved;
    } else if family(&row, rows)?.iter().any(|other| other.state.holds()) {
        row.state = QueueState::Held;
    }
    save(rows, &row)
}

/// Deliveries of the same subscriber and subject, in the order in which they came to be.
fn family(row: &DeliveryRow, rows: &mut dyn Rows) -> Result<Vec<DeliveryRow>, ApplyError> {
    let mut family: Vec<DeliveryRow> = find(rows, "order_key", row.order_key())?;
    family.retain(|other| other.id != row.id);
    family.sort_by_key(|other| other.ordinal);
    Ok(family)
}

fn of_subscriber(
    event: &Recorded,
    envelope: &Envelope,
    rows: &mut dyn Rows,
) -> Result<(), ApplyError> {
    let key = event.stream.key();
    let known: Option<SubscriberRow> = load(rows, key)?;
    let told: subscriber::Event = decode(envelope)?;
    let (breaker, queued) = match &known {
        Some(row) => (row.breaker.clone(), row.queued),
        None => (Breaker::default(), 0),
    };
    let Some(subscriber) = subscriber::evolve(known.map(|row| row.subscriber), &told) else {
        return Err(ApplyError::Impossible(
            "a subscriber's first event is not its registration".to_owned(),
        ));
    };
    let mut row = SubscriberRow {
        subscriber,
        breaker,
        queued,
    };
    match told {
        // Somebody looked after it: what its last tries came to says nothing any more.
        subscriber::Event::EndpointChanged { .. } | subscriber::Event::Resumed {} => {
            row.breaker = Breaker::default();
        }
        subscriber::Event::BackfillRequested { from, to, subjects } => {
            let wants = row.subscriber.wants.clone();
            let merchant = row.subscriber.merchant.clone();
            for told in history::between(&merchant, from, to, rows)? {
                let about = subjects.is_empty() || subjects.contains(&told.subject);
                if about && wants.takes(told.name, told.scenario.as_ref()) {
                    queue(&mut row, &told, envelope.recorded_at, rows)?;
                }
            }
        }
        subscriber::Event::TestRequested {} => {
            if let Some(test) = test_event(envelope, event.record.leaf_hash())? {
                let told = keep(test, row.subscriber.merchant.clone(), envelope, rows)?;
                queue(&mut row, &told, envelope.recorded_at, rows)?;
            }
        }
        subscriber::Event::BatchRequested { batch } => {
            batches::begin(&row, batch, envelope, rows)?;
        }
        subscriber::Event::BatchFinished { batch, .. } => {
            batches::end(&batch, BatchState::Finished, envelope.recorded_at, rows)?;
        }
        subscriber::Event::BatchCancelled { batch } => {
            batches::end(&batch, BatchState::Cancelled, envelope.recorded_at, rows)?;
        }
        subscriber::Event::Removed {} => outcomes::end_pending(&row.subscriber.id, rows)?,
        subscriber::Event::Registered { .. }
        | subscriber::Event::SubscriptionChanged { .. }
        | subscriber::Event::DeliveryPolicyChanged { .. }
        | subscriber::Event::StaticHeadersChanged { .. }
        | subscriber::Event::SigningKeyAdded { .. }
        | subscriber::Event::SigningKeyRetired { .. }
        | subscriber::Event::Paused { .. }
        | subscriber::Event::CircuitOpened { .. }
        | subscriber::Event::CircuitClosed {} => {}
    }
    save(rows, &row)
}
