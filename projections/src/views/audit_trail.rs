//! `audit_trail`: who did what, when, why, and from where?
//!
//! One row per event, found by stream, payment request, actor, reason, type or time. It copies what
//! the envelope says and no data: the exact event is read from its stream. Deliveries and counters
//! are not part of it. An event whose type this code does not know is listed like any other.

use domain::actor::{Actor, Reason, Source};
use domain::codec::decode;
use domain::digest::Digest32;
use domain::ids::{CorrelationId, EventId, MerchantId, PaymentRequestId};
use domain::payment::PricedBy;
use domain::ports::Position;
use domain::record::{Envelope, Recorded};
use domain::sealed::EvidenceRef;
use domain::stream::{Category, StreamId, Version};
use domain::time::Timestamp;
use domain::{notification, payment};
use serde::{Deserialize, Serialize};

use crate::ports::{Cell, ColumnSpec, Rows, TableSpec, ViewSpec};
use crate::view::{ApplyError, TypedRow, View, find, save};

/// The table of [`AuditEntry`].
pub const TABLE: TableSpec = TableSpec {
    name: "entry",
    columns: &[
        ColumnSpec::text("merchant"),
        ColumnSpec::text("stream"),
        ColumnSpec::text("request"),
        ColumnSpec::text("actor"),
        ColumnSpec::text("reason"),
        ColumnSpec::text("type"),
        ColumnSpec::integer("recorded_at"),
    ],
    indexes: &[
        &["stream"],
        &["request"],
        &["merchant", "recorded_at"],
        &["merchant", "actor"],
        &["merchant", "reason"],
        &["merchant", "type"],
    ],
};

/// The view as stores know it.
pub const SPEC: ViewSpec = ViewSpec {
    name: "audit_trail",
    version: 1,
    tables: &[TABLE],
};

/// One event, without its data. Keys are positions, so key order is the order of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its place in the log.
    pub position: Position,
    /// Whose event; absent on instance-wide streams.
    pub merchant: Option<MerchantId>,
    /// Its stream.
    pub stream: StreamId,
    /// Its place there.
    pub version: Version,
    /// Its id.
    pub event_id: EventId,
    /// Its wire name.
    pub event_type: String,
    /// The payment request that it is about: of a quote the one that was made from it, of a
    /// notification the one that it was applied to.
    pub request: Option<PaymentRequestId>,
    /// Who.
    pub actor: Actor,
    /// For whom.
    pub on_behalf_of: Option<String>,
    /// When the ledger wrote it.
    pub recorded_at: Timestamp,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Why, where a person decided.
    pub reason: Option<Reason>,
    /// From where.
    pub source: Source,
    /// By which command.
    pub command: String,
    /// From which event it follows.
    pub causation_id: Option<EventId>,
    /// The cart or conversation.
    pub correlation_id: Option<CorrelationId>,
    /// On which evidence.
    pub evidence: Vec<EvidenceRef>,
    /// The record's leaf hash, to prove it by.
    pub leaf_hash: Digest32,
}

impl TypedRow for AuditEntry {
    const TABLE: &'static TableSpec = &TABLE;

    fn key(&self) -> String {
        self.position.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.merchant
                .as_ref()
                .map(|merchant| merchant.as_str())
                .into(),
            self.stream.as_str().into(),
            self.request.as_ref().map(|request| request.as_str()).into(),
            self.actor.display().into(),
            self.reason
                .as_ref()
                .map(|reason| reason.code.as_str())
                .into(),
            self.event_type.as_str().into(),
            self.recorded_at.into(),
        ]
    }
}

/// The view.
pub struct AuditTrailView;

impl View for AuditTrailView {
    fn spec(&self) -> ViewSpec {
        SPEC
    }

    fn reads(&self) -> &'static [Category] {
        &[
            Category::PaymentRequest,
            Category::Quote,
            Category::Notification,
            Category::Unmatched,
            Category::Case,
            Category::Subscriber,
            Category::Client,
            Category::Operator,
            Category::Instance,
            Category::Config,
            Category::Projection,
        ]
    }

    /// An event only fills in `request` on rows that came before it, so a parked stream costs the
    /// others nothing but that link.
    fn stream_local(&self) -> bool {
        true
    }

    fn apply(
        &self,
        event: &Recorded,
        envelope: &Envelope,
        rows: &mut dyn Rows,
    ) -> Result<(), ApplyError> {
        let linked = linked(event, envelope)?;
        for stream in &linked.streams {
            link(rows, stream, linked.request.as_ref())?;
        }
        save(rows, &entry(event, envelope, linked.request))
    }
}

/// Which request an event is about, and which earlier streams it ties to that request.
#[derive(Default)]
struct Linked {
    request: Option<PaymentRequestId>,
    streams: Vec<StreamId>,
}

fn linked(event: &Recorded, envelope: &Envelope) -> Result<Linked, ApplyError> {
    let mut linked = Linked::default();
    match event.stream.category() {
        Category::PaymentRequest => {
            linked.request = PaymentRequestId::parse(event.stream.key()).ok();
            if envelope.event_type == "PaymentRequestCreated"
                && let payment::Event::Created(terms) = decode(envelope)?
                && let PricedBy::Quote { quote_id } = &terms.priced_by
            {
                linked.streams.push(StreamId::quote(quote_id));
            }
        }
        Category::Notification => {
            if envelope.event_type == "NotificationApplied"
                && let notification::Event::Applied {
                    request: Some(request),
                    ..
                } = decode(envelope)?
            {
                linked.request = Some(request);
                linked.streams.push(event.stream.clone());
            }
        }
        Category::Quote
        | Category::Unmatched
        | Category::Case
        | Category::ReferenceSequence
        | Category::Subscriber
        | Category::Delivery
        | Category::Client
        | Category::Operator
        | Category::Instance
        | Category::Config
        | Category::Projection => {}
    }
    Ok(linked)
}

/// Ties the earlier rows of a stream to a request, unless they are tied already.
fn link(
    rows: &mut dyn Rows,
    stream: &StreamId,
    request: Option<&PaymentRequestId>,
) -> Result<(), ApplyError> {
    let earlier: Vec<AuditEntry> = find(rows, "stream", stream.as_str())?;
    for mut entry in earlier.into_iter().filter(|entry| entry.request.is_none()) {
        entry.request = request.cloned();
        save(rows, &entry)?;
    }
    Ok(())
}

fn entry(event: &Recorded, envelope: &Envelope, request: Option<PaymentRequestId>) -> AuditEntry {
    AuditEntry {
        position: event.position,
        merchant: envelope.merchant.clone(),
        stream: event.stream.clone(),
        version: event.record.version,
        event_id: event.record.event_id,
        event_type: envelope.event_type.clone(),
        request,
        actor: envelope.actor.clone(),
        on_behalf_of: envelope.on_behalf_of.clone(),
        recorded_at: envelope.recorded_at,
        occurred_at: envelope.occurred_at,
        reason: envelope.reason.clone(),
        source: envelope.source.clone(),
        command: envelope.cause.command.clone(),
        causation_id: envelope.cause.causation_id,
        correlation_id: envelope.cause.correlation_id.clone(),
        evidence: envelope.evidence.clone(),
        leaf_hash: event.record.leaf_hash(),
    }
}
