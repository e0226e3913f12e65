//! `exceptions`: what must a person decide, how urgently, and what was decided?
//!
//! One row per case, of payment requests and of money that no request explains.

use std::collections::BTreeMap;

use domain::codec::decode;
use domain::ids::{CaseId, ClientId, MerchantId, OperatorId, OrderId, PaymentRequestId};
use domain::money::Money;
use domain::payment::event::Resolution;
use domain::payment::exception::{ExceptionKind, Severity};
use domain::payment::{CaptureKey, Event};
use domain::ports::Position;
use domain::record::{Envelope, Recorded};
use domain::stream::{Category, StreamId, Version};
use domain::time::Timestamp;
use domain::unmatched;
use serde::{Deserialize, Serialize};

use crate::ports::{Cell, ColumnSpec, Rows, TableSpec, ViewSpec};
use crate::view::{ApplyError, TypedRow, View, load, save};

/// The table of [`CaseRow`].
pub const TABLE: TableSpec = TableSpec {
    name: "case_row",
    columns: &[
        ColumnSpec::text("merchant"),
        ColumnSpec::text("state"),
        ColumnSpec::text("kind"),
        ColumnSpec::text("severity"),
        ColumnSpec::text("request"),
        ColumnSpec::text("order_id"),
        ColumnSpec::text("assignee"),
        ColumnSpec::integer("opened_at"),
        ColumnSpec::integer("due"),
        ColumnSpec::integer("urgency"),
    ],
    indexes: &[
        &["merchant", "state", "urgency"],
        &["merchant", "order_id"],
        &["request"],
    ],
};

const SUBJECTS: TableSpec = TableSpec {
    name: "subject",
    columns: &[],
    indexes: &[],
};

/// The view as stores know it.
pub const SPEC: ViewSpec = ViewSpec {
    name: "exceptions",
    version: 3,
    tables: &[TABLE, SUBJECTS],
};

/// Whether somebody still must decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaseState {
    /// Yes.
    #[serde(rename = "open")]
    Open,
    /// No.
    #[serde(rename = "resolved")]
    Resolved,
}

impl CaseState {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
        }
    }
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseRow {
    /// The case.
    pub id: CaseId,
    /// Whose.
    pub merchant: Option<MerchantId>,
    /// The stream that it belongs to.
    pub stream: StreamId,
    /// The payment request, if it is about one.
    pub request: Option<PaymentRequestId>,
    /// Who created that request.
    pub client: Option<ClientId>,
    /// The shop's order of that request.
    pub order_id: Option<OrderId>,
    /// What is out of order.
    pub kind: ExceptionKind,
    /// How urgent.
    pub severity: Severity,
    /// Whether somebody still must decide.
    pub state: CaseState,
    /// What it is about.
    pub about: String,
    /// The money that it is about.
    pub capture: Option<CaptureKey>,
    /// How much that is, as it was captured.
    pub money: Option<Money>,
    /// Since when.
    pub opened_at: Timestamp,
    /// Decide before.
    pub due: Timestamp,
    /// Who looks after it.
    pub assignee: Option<OperatorId>,
    /// What was decided.
    pub resolution: Option<Resolution>,
    /// By whom.
    pub resolved_by: Option<String>,
    /// When.
    pub resolved_at: Option<Timestamp>,
    /// Version of the stream's event that changed it last; a decision names it.
    pub version: Version,
    /// Position of that event.
    pub position: Position,
}

impl TypedRow for CaseRow {
    const TABLE: &'static TableSpec = &TABLE;

    fn key(&self) -> String {
        self.id.as_str().to_owned()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.merchant
                .as_ref()
                .map(|merchant| merchant.as_str())
                .into(),
            self.state.as_str().into(),
            self.kind.as_str().into(),
            self.severity.as_str().into(),
            self.request.as_ref().map(|request| request.as_str()).into(),
            self.order_id.as_ref().map(|order| order.as_str()).into(),
            self.assignee.as_ref().map(|person| person.as_str()).into(),
            self.opened_at.into(),
            self.due.into(),
            self.urgency().into(),
        ]
    }
}

impl CaseRow {
    /// Orders cases by severity, then by when they are due: the least is the most urgent.
    fn urgency(&self) -> i64 {
        /// In milliseconds, later than any time that a case is due at.
        const BEYOND_EVERY_TIME: i64 = 100_000_000_000_000;
        let rank = match self.severity {
            Severity::Critical => 0,
            Severity::High => 1,
            Severity::Medium => 2,
            Severity::Low => 3,
        };
        rank * BEYOND_EVERY_TIME + self.due.millis().clamp(0, BEYOND_EVERY_TIME - 1)
    }
}

/// What a case of this stream will want to say. Hidden: no reader asks for it.
#[derive(Serialize, Deserialize)]
struct Subject {
    stream: StreamId,
    request: Option<PaymentRequestId>,
    client: Option<ClientId>,
    order_id: Option<OrderId>,
    captured: BTreeMap<CaptureKey, Money>,
}

impl TypedRow for Subject {
    const TABLE: &'static TableSpec = &SUBJECTS;

    fn key(&self) -> String {
        self.stream.as_str().to_owned()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![]
    }
}

/// The view.
pub struct ExceptionsView;

impl View for ExceptionsView {
    fn spec(&self) -> ViewSpec {
        SPEC
    }

    fn reads(&self) -> &'static [Category] {
        &[Category::PaymentRequest, Category::Unmatched]
    }

    fn stream_local(&self) -> bool {
        true
    }

    fn apply(
        &self,
        event: &Recorded,
        envelope: &Envelope,
        rows: &mut dyn Rows,
    ) -> Result<(), ApplyError> {
        match news(event, envelope)? {
            News::Subject {
                request,
                client,
                order_id,
            } => {
                let (stream, captured) = (event.stream.clone(), BTreeMap::new());
                save(
                    rows,
                    &Subject {
                        stream,
                        request,
                        client,
                        order_id,
                        captured,
                    },
                )
            }
            News::Captured(capture, money) => {
                let mut subject = subject(event, rows)?;
                subject.captured.insert(capture, money);
                save(rows, &subject)
            }
            News::Unmatched(capture, money) => {
                let (stream, captured) = (event.stream.clone(), BTreeMap::from([(capture, money)]));
                save(
                    rows,
                    &Subject {
                        stream,
                        request: None,
                        client: None,
                        order_id: None,
                        captured,
                    },
                )
            }
            News::Opened(opened) => {
                let subject = subject(event, rows)?;
                save(rows, &opened.row(subject, event, envelope))
            }
            News::Assigned(id, to) => {
                let mut case = known(rows, &id)?;
                case.assignee = to;
                (case.version, case.position) = (event.record.version, event.position);
                save(rows, &case)
            }
            News::Resolved(id, resolution) => {
                let mut case = known(rows, &id)?;
                case.state = CaseState::Resolved;
                case.resolution = Some(resolution);
                case.resolved_by = Some(envelope.actor.display());
                case.resolved_at = Some(envelope.recorded_at);
                (case.version, case.position) = (event.record.version, event.position);
                save(rows, &case)
            }
            News::Nothing => Ok(()),
        }
    }
}

/// What an event means here.
enum News {
    Subject {
        request: Option<PaymentRequestId>,
        client: Option<ClientId>,
        order_id: Option<OrderId>,
    },
    Captured(CaptureKey, Money),
    Unmatched(CaptureKey, Money),
    Opened(Opened),
    Assigned(CaseId, Option<OperatorId>),
    Resolved(CaseId, Resolution),
    Nothing,
}

struct Opened {
    case: CaseId,
    kind: ExceptionKind,
    severity: Severity,
    due: Timestamp,
    about: String,
    capture: Option<CaptureKey>,
}

impl Opened {
    fn row(self, subject: Subject, event: &Recorded, envelope: &Envelope) -> CaseRow {
        CaseRow {
            id: self.case,
            merchant: envelope.merchant.clone(),
            stream: event.stream.clone(),
            request: subject.request,
            client: subject.client,
            order_id: subject.order_id,
            kind: self.kind,
            severity: self.severity,
            state: CaseState::Open,
            about: self.about,
            money: self
                .capture
                .as_ref()
                .and_then(|capture| subject.captured.get(capture).copied()),
            capture: self.capture,
            opened_at: envelope.recorded_at,
            due: self.due,
            assignee: None,
            resolution: None,
            resolved_by: None,
            resolved_at: None,
            version: event.record.version,
            position: event.position,
        }
    }
}

fn subject(event: &Recorded, rows: &mut dyn Rows) -> Result<Subject, ApplyError> {
    let found = load(rows, event.stream.as_str())?;
    found.ok_or_else(|| ApplyError::Impossible("the stream's first event is missing".to_owned()))
}

fn known(rows: &mut dyn Rows, id: &CaseId) -> Result<CaseRow, ApplyError> {
    load::<CaseRow>(rows, id.as_str())?
        .ok_or_else(|| ApplyError::Impossible("a case that was never opened".to_owned()))
}

fn news(event: &Recorded, envelope: &Envelope) -> Result<News, ApplyError> {
    if event.stream.category() == Category::Unmatched {
        return Ok(of_unmatched(decode(envelope)?));
    }
    Ok(of_request(decode(envelope)?))
}

fn of_unmatched(told: unmatched::Event) -> News {
    match told {
        unmatched::Event::Observed(money) => News::Unmatched(money.capture, money.amount),
        unmatched::Event::ExceptionOpened {
            case,
            kind,
            severity,
            due,
            about,
            capture,
        } => {
            let capture = Some(capture);
            News::Opened(Opened {
                case,
                kind,
                severity,
                due,
                about,
                capture,
            })
        }
        unmatched::Event::ExceptionAssigned { case, to } => News::Assigned(case, to),
        unmatched::Event::ExceptionResolved { case, resolution } => {
            News::Resolved(case, resolution)
        }
        unmatched::Event::Resolved(_) => News::Nothing, // Its case is resolved in the same append.
    }
}

fn of_request(told: Event) -> News {
    match told {
        Event::Created(terms) => {
            let (request, client, order_id) =
                (Some(terms.id), Some(terms.client), Some(terms.order_id));
            News::Subject {
                request,
                client,
                order_id,
            }
        }
        Event::PaymentCaptured {
            capture, amount, ..
        }
        | Event::OverrideSubstantiated {
            capture, amount, ..
        }
        | Event::CaptureReceived {
            capture, amount, ..
        } => News::Captured(capture, amount),
        Event::ExceptionAssigned { case, to } => News::Assigned(case, to),
        Event::ExceptionOpened {
            case,
            kind,
            severity,
            due,
            about,
            capture,
        } => News::Opened(Opened {
            case,
            kind,
            severity,
            due,
            about,
            capture,
        }),
        Event::ExceptionResolved { case, resolution } => News::Resolved(case, resolution),
        Event::AttemptStarted { .. }
        | Event::AttemptRegistered { .. }
        | Event::AttemptUncertain { .. }
        | Event::AttemptPrechecked { .. }
        | Event::AttemptProgressed { .. }
        | Event::AttemptFailed { .. }
        | Event::CaptureUnapplied { .. }
        | Event::PaymentVerified { .. }
        | Event::Expired { .. }
        | Event::ExpiryDeferred { .. }
        | Event::Cancelled { .. }
        | Event::RefundSettled { .. }
        | Event::RefundReversed { .. }
        | Event::DisputeOpened { .. }
        | Event::DisputeClosed { .. }
        | Event::AttemptCancelRequested { .. }
        | Event::CaptureAliasRecorded { .. }
        | Event::UnappliedMoneyAccepted { .. }
        | Event::UnappliedMoneyKept { .. }
        | Event::CaptureReassigned { .. }
        | Event::VerificationRevoked { .. }
        | Event::RefundRequested { .. }
        | Event::RefundSubmitted { .. }
        | Event::RefundAccepted { .. }
        | Event::RefundUncertain { .. }
        | Event::RefundFailed { .. }
        | Event::OverrideProposed { .. }
        | Event::OverrideApproved { .. }
        | Event::OverrideRejected { .. }
        | Event::OverrideUnsubstantiated { .. }
        | Event::EvidenceOpened { .. }
        | Event::PayerNoticeRecorded { .. } => News::Nothing,
    }
}
