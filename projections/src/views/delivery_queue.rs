//! `delivery_queue`: which event goes to which subscriber, and when is its next try due?
//!
//! A pure fold: no clock, no network, no chance. A pair of subscriber and event exists when the
//! subscriber was registered, not removed and wanted the type as of the event's place in the log,
//! so a later change never makes or deletes history. Per subscriber and subject one delivery is due
//! at a time; its successors are held until it arrives or is abandoned.
//!
//! Rows are hints: the dispatcher reads the delivery's own stream before it sends.

use domain::codec::decode;
use domain::delivery::breaker::Breaker;
use domain::delivery::id::delivery_id;
use domain::delivery::{self, Delivery, State};
use domain::digest::Digest32;
use domain::ids::{DeliveryId, EventId, MerchantId, SubscriberId};
use domain::outbound::{Outbound, Story, test_event, unmatched_event};
use domain::record::{Envelope, Recorded};
use domain::stream::{Category, Version};
use domain::subscriber::{self, Subscriber};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ports::{Cell, ColumnSpec, Rows, TableSpec, ViewSpec};
use crate::view::{ApplyError, TypedRow, View, find, load, save};

/// The table of [`DeliveryRow`].
pub const DELIVERIES: TableSpec = TableSpec {
    name: "delivery",
    columns: &[
        ColumnSpec::text("subscriber"),
        ColumnSpec::text("merchant"),
        ColumnSpec::text("state"),
        ColumnSpec::text("order_key"),
        ColumnSpec::text("subject"),
        ColumnSpec::integer("next_try_at"),
        ColumnSpec::integer("created_at"),
    ],
    indexes: &[
        &["subscriber", "state", "next_try_at"],
        &["merchant", "created_at"],
        &["merchant", "state", "created_at"],
        &["order_key"],
        &["merchant", "subject"],
    ],
};

/// The table of [`BodyRow`].
pub const BODIES: TableSpec = TableSpec {
    name: "body",
    columns: &[],
    indexes: &[],
};

/// The table of [`SubscriberRow`].
pub const SUBSCRIBERS: TableSpec = TableSpec {
    name: "subscriber",
    columns: &[ColumnSpec::text("merchant")],
    indexes: &[&["merchant"]],
};

const STORIES: TableSpec = TableSpec {
    name: "story",
    columns: &[],
    indexes: &[],
};

/// The view as stores know it.
pub const SPEC: ViewSpec = ViewSpec {
    name: "delivery_queue",
    version: 1,
    tables: &[DELIVERIES, BODIES, SUBSCRIBERS, STORIES],
};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueState {
    /// To be tried at its time.
    #[serde(rename = "due")]
    Due,
    /// Waits for an earlier one of the same subscriber and subject.
    #[serde(rename = "held")]
    Held,
    /// It arrived.
    #[serde(rename = "delivered")]
    Delivered,
    /// It was given up.
    #[serde(rename = "dead_lettered")]
    DeadLettered,
    /// We cannot send it.
    #[serde(rename = "quarantined")]
    Quarantined,
    /// A person accepts the loss.
    #[serde(rename = "abandoned")]
    Abandoned,
}

impl QueueState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Due,
        Self::Held,
        Self::Delivered,
        Self::DeadLettered,
        Self::Quarantined,
        Self::Abandoned,
    ];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Held => "held",
            Self::Delivered => "delivered",
            Self::DeadLettered => "dead_lettered",
            Self::Quarantined => "quarantined",
            Self::Abandoned => "abandoned",
        }
    }

    /// True while its successors are held.
    fn holds(self) -> bool {
        match self {
            Self::Due | Self::Held | Self::DeadLettered | Self::Quarantined => true,
            Self::Delivered | Self::Abandoned => false,
        }
    }
}

/// One event for one subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// Its id.
    pub id: DeliveryId,
    /// Who hears it.
    pub subscriber: SubscriberId,
    /// Whose.
    pub merchant: MerchantId,
    /// The ledger event.
    pub event_id: EventId,
    /// Its short name.
    pub name: String,
    /// What it is about.
    pub subject: String,
    /// Its place among the deliveries of this subscriber and subject.
    pub sequence: Version,
    /// Where it stands.
    pub state: QueueState,
    /// 1, and one more after each redrive.
    pub generation: u32,
    /// Tries of this generation.
    pub attempts: u32,
    /// When the next try is due.
    pub next_try_at: Timestamp,
    /// Version of the last outcome; `None` before the first one.
    pub outcome_version: Option<Version>,
    /// How the last try failed, or why there are no more.
    pub last_failure: Option<String>,
    /// The last status.
    pub last_status: Option<u16>,
    /// Names the body.
    pub body_sha256: Digest32,
    /// When the ledger recorded the event.
    pub created_at: Timestamp,
    /// When it arrived.
    pub delivered_at: Option<Timestamp>,
}

impl DeliveryRow {
    fn order_key(&self) -> String {
        format!("{}|{}", self.subscriber, self.subject)
    }
}

impl TypedRow for DeliveryRow {
    const TABLE: &'static TableSpec = &DELIVERIES;

    fn key(&self) -> String {
        self.id.as_str().to_owned()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.subscriber.as_str().into(),
            self.merchant.as_str().into(),
            self.state.as_str().into(),
            self.order_key().into(),
            self.subject.as_str().into(),
            self.next_try_at.into(),
            self.created_at.into(),
        ]
    }
}

/// A body, shared by all deliveries that send it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyRow {
    /// Its SHA-256.
    pub sha256: Digest32,
    /// Its text.
    pub text: String,
}

impl TypedRow for BodyRow {
    const TABLE: &'static TableSpec = &BODIES;

    fn key(&self) -> String {
        self.sha256.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![]
    }
}

/// A subscriber as of the log so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriberRow {
    /// Its state.
    pub subscriber: Subscriber,
    /// Whether it is left alone for a while.
    pub breaker: Breaker,
}

impl TypedRow for SubscriberRow {
    const TABLE: &'static TableSpec = &SUBSCRIBERS;

    fn key(&self) -> String {
        self.subscriber.id.as_str().to_owned()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![self.subscriber.merchant.as_str().into()]
    }
}

/// What bodies of one request need. Hidden: no reader asks for it.
#[derive(Serialize, Deserialize)]
struct StoryRow {
    stream: String,
    story: Story,
}

impl TypedRow for StoryRow {
    const TABLE: &'static TableSpec = &STORIES;

    fn key(&self) -> String {
        self.stream.clone()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![]
    }
}

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
                Some(told) => tell(&told, envelope, rows),
                None => Ok(()),
            },
            Category::Delivery => of_delivery(event, envelope, rows),
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
        Some(told) => tell(&told, envelope, rows),
        None => Ok(()),
    }
}

/// Queues it for every subscriber of its merchant that wants it at this place of the log.
fn tell(told: &Outbound, envelope: &Envelope, rows: &mut dyn Rows) -> Result<(), ApplyError> {
    let Some(merchant) = &envelope.merchant else {
        return Ok(());
    };
    let subscribers: Vec<SubscriberRow> = find(rows, "merchant", merchant.as_str())?;
    for SubscriberRow { subscriber, .. } in subscribers {
        let wanted = !told.opt_in || subscriber.opt_in.contains(told.name);
        if wanted && !subscriber.removed {
            queue(&subscriber, told, envelope, rows)?;
        }
    }
    Ok(())
}

fn queue(
    subscriber: &Subscriber,
    told: &Outbound,
    envelope: &Envelope,
    rows: &mut dyn Rows,
) -> Result<(), ApplyError> {
    let body_sha256 = Digest32::sha256(&[&told.body]);
    let text = String::from_utf8_lossy(&told.body).into_owned();
    save(
        rows,
        &BodyRow {
            sha256: body_sha256,
            text,
        },
    )?;
    let mut row = DeliveryRow {
        id: delivery_id(&subscriber.id, envelope.event_id),
        subscriber: subscriber.id.clone(),
        merchant: subscriber.merchant.clone(),
        event_id: envelope.event_id,
        name: told.name.to_owned(),
        subject: told.subject.clone(),
        sequence: envelope.stream_version,
        state: QueueState::Due,
        generation: 1,
        attempts: 0,
        next_try_at: envelope.recorded_at,
        outcome_version: None,
        last_failure: None,
        last_status: None,
        body_sha256,
        created_at: envelope.recorded_at,
        delivered_at: None,
    };
    if family(&row, rows)?.iter().any(|other| other.state.holds()) {
        row.state = QueueState::Held;
    }
    save(rows, &row)
}

/// Deliveries of the same subscriber and subject.
fn family(row: &DeliveryRow, rows: &mut dyn Rows) -> Result<Vec<DeliveryRow>, ApplyError> {
    let mut family: Vec<DeliveryRow> = find(rows, "order_key", row.order_key())?;
    family.retain(|other| other.id != row.id);
    family.sort_by_key(|other| other.sequence);
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
    let breaker = known
        .as_ref()
        .map(|row| row.breaker.clone())
        .unwrap_or_default();
    let Some(next) = subscriber::evolve(known.map(|row| row.subscriber), &told) else {
        return Err(ApplyError::Impossible(
            "a subscriber's first event is not its registration".to_owned(),
        ));
    };
    let breaker = match told {
        // Somebody looked after it: what its last tries came to says nothing any more.
        subscriber::Event::EndpointChanged { .. } | subscriber::Event::Resumed {} => {
            Breaker::default()
        }
        subscriber::Event::Registered { .. }
        | subscriber::Event::SubscriptionChanged { .. }
        | subscriber::Event::SigningKeyAdded { .. }
        | subscriber::Event::Paused { .. }
        | subscriber::Event::TestRequested {}
        | subscriber::Event::Removed {} => breaker,
    };
    save(
        rows,
        &SubscriberRow {
            subscriber: next.clone(),
            breaker,
        },
    )?;
    match test_event(envelope, event.record.leaf_hash())? {
        Some(test) => queue(&next, &test, envelope, rows),
        None => Ok(()),
    }
}

fn of_delivery(
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
            QueueState::Due | QueueState::Held => State::Open,
            QueueState::Delivered => State::Delivered,
            QueueState::DeadLettered => State::DeadLettered,
            QueueState::Quarantined => State::Quarantined,
            QueueState::Abandoned => State::Abandoned,
        },
        generation: row.generation,
        attempts: row.attempts,
        next_try_at: Some(row.next_try_at),
    };
    let Some(after) = delivery::evolve(Some(before), &told) else {
        return Ok(());
    };
    row.state = match after.state {
        State::Open => QueueState::Due,
        State::Delivered => QueueState::Delivered,
        State::DeadLettered => QueueState::DeadLettered,
        State::Quarantined => QueueState::Quarantined,
        State::Abandoned => QueueState::Abandoned,
    };
    (row.generation, row.attempts) = (after.generation, after.attempts);
    row.next_try_at = after.next_try_at.unwrap_or(envelope.recorded_at);
    row.outcome_version = Some(event.record.version);
    match &told {
        delivery::Event::Succeeded { http_status, .. } => {
            row.last_failure = None;
            row.last_status = Some(*http_status);
            row.delivered_at = Some(envelope.recorded_at);
        }
        delivery::Event::AttemptFailed {
            class, http_status, ..
        } => {
            row.last_failure = Some(class.as_str().to_owned());
            row.last_status = *http_status;
        }
        delivery::Event::DeadLettered {
            reason,
            http_status,
            ..
        } => {
            row.last_failure = Some(reason.as_str().to_owned());
            row.last_status = *http_status;
        }
        delivery::Event::Quarantined { fault, .. } => {
            row.last_failure = Some(fault.as_str().to_owned())
        }
        delivery::Event::Redriven { .. } | delivery::Event::Abandoned { .. } => {}
    }
    let frees = !row.state.holds();
    save(rows, &row)?;
    if let Some(mut subscriber) = load::<SubscriberRow>(rows, row.subscriber.as_str())? {
        subscriber.breaker = subscriber
            .breaker
            .after(&row.id, &told, envelope.recorded_at);
        save(rows, &subscriber)?;
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
