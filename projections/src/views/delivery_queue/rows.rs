//! The tables of the queue: deliveries, the bodies they share, and subscribers as of the log so far.

use domain::delivery::FailedWhy;
use domain::delivery::breaker::Breaker;
use domain::delivery::event::FailureClass;
use domain::digest::Digest32;
use domain::ids::{BatchId, DeliveryId, EventId, MerchantId, SubscriberId};
use domain::outbound::{EventName, Story};
use domain::stream::Version;
use domain::subscriber::Subscriber;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::batches::BATCHES;
use super::history::{TOLD, TOLD_DAYS};
use crate::ports::{Cell, ColumnSpec, TableSpec, ViewSpec};
use crate::view::TypedRow;

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
        ColumnSpec::integer("ordinal"),
        ColumnSpec::integer("open"),
        ColumnSpec::text("class"),
        ColumnSpec::text("reason"),
        ColumnSpec::text("stage"),
        ColumnSpec::text("batch"),
    ],
    indexes: &[
        &["subscriber", "state", "next_try_at"],
        &["subscriber", "ordinal"],
        &["subscriber", "open", "ordinal"],
        &["merchant", "created_at"],
        &["merchant", "state", "created_at"],
        &["order_key"],
        &["merchant", "subject"],
        &["stage"],
        &["batch", "ordinal"],
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
    version: 9,
    tables: &[
        DELIVERIES,
        BODIES,
        SUBSCRIBERS,
        STORIES,
        TOLD,
        TOLD_DAYS,
        BATCHES,
    ],
};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// The receiver fetched it and has it.
    #[serde(rename = "acknowledged")]
    Acknowledged,
    /// It was still to be sent when its subscriber was removed.
    #[serde(rename = "subscriber_removed")]
    SubscriberRemoved,
}

impl QueueState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Due,
        Self::Held,
        Self::Delivered,
        Self::DeadLettered,
        Self::Quarantined,
        Self::Abandoned,
        Self::Acknowledged,
        Self::SubscriberRemoved,
    ];

    /// From the wire name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Held => "held",
            Self::Delivered => "delivered",
            Self::DeadLettered => "dead_lettered",
            Self::Quarantined => "quarantined",
            Self::Abandoned => "abandoned",
            Self::Acknowledged => "acknowledged",
            Self::SubscriberRemoved => "subscriber_removed",
        }
    }

    /// True while its successors are held.
    pub(super) fn holds(self) -> bool {
        match self {
            Self::Due | Self::Held | Self::DeadLettered | Self::Quarantined => true,
            Self::Delivered | Self::Abandoned | Self::Acknowledged | Self::SubscriberRemoved => {
                false
            }
        }
    }

    /// What is not over yet; `None` for what is.
    pub(super) fn stage(self) -> Option<Stage> {
        match self {
            Self::Due | Self::Held => Some(Stage::Pending),
            Self::DeadLettered | Self::Quarantined => Some(Stage::Failed),
            Self::Delivered | Self::Abandoned | Self::Acknowledged | Self::SubscriberRemoved => {
                None
            }
        }
    }
}

/// What is not over yet, as the fold finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// To be sent.
    Pending,
    /// On the failed list.
    Failed,
}

impl Stage {
    /// What stands in the column `stage`.
    pub(super) fn of(self, subscriber: &SubscriberId) -> String {
        match self {
            Self::Pending => format!("{subscriber}|pending"),
            Self::Failed => format!("{subscriber}|failed"),
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
    /// Which event it is.
    pub name: EventName,
    /// What it is about.
    pub subject: String,
    /// Its place among the deliveries of this subscriber and subject.
    pub sequence: Version,
    /// Its place among all deliveries of this subscriber, from 1: the order in which they came to be.
    pub ordinal: i64,
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
    /// How the last try failed.
    pub class: Option<FailureClass>,
    /// Why there are no more tries. It stays when the delivery is abandoned, and goes with a redrive.
    pub reason: Option<FailedWhy>,
    /// The batch in which its turn has not come yet.
    pub batch: Option<BatchId>,
    /// The last status.
    pub last_status: Option<u16>,
    /// Names the body.
    pub body_sha256: Digest32,
    /// When the ledger recorded the event.
    pub created_at: Timestamp,
    /// When it came into the queue: with the event, or with the backfill that asked for it.
    pub queued_at: Timestamp,
    /// When it arrived.
    pub delivered_at: Option<Timestamp>,
}

impl DeliveryRow {
    /// Why there are no more tries, or else how the last one failed.
    pub fn last_failure(&self) -> Option<&'static str> {
        let class = self.class.map(FailureClass::as_str);
        self.reason.map(FailedWhy::as_str).or(class)
    }

    pub(super) fn order_key(&self) -> String {
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
            self.ordinal.into(),
            self.state.holds().into(),
            self.class.map(|class| class.as_str().to_owned()).into(),
            self.reason.map(|why| why.as_str().to_owned()).into(),
            self.state
                .stage()
                .map(|stage| stage.of(&self.subscriber))
                .into(),
            self.batch.as_ref().map(ToString::to_string).into(),
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
    /// Deliveries that came to be for it so far.
    pub queued: i64,
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
pub(super) struct StoryRow {
    pub(super) stream: String,
    pub(super) story: Story,
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
