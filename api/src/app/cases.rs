//! The review list, and one case in full: what it is about, the money that it holds, what was done
//! with it, and how it can be decided now.
//!
//! A list reads the view; one case is read from its stream, so that whoever decides sees what is so.

use std::time::Duration;

use domain::codec::decode;
use domain::ids::{CaseId, MerchantId, OperatorId, OrderId, PaymentRequestId};
use domain::money::{Money, Sum};
use domain::payment::event::Resolution;
use domain::payment::exception::{ExceptionKind, Severity};
use domain::payment::request::Case;
use domain::payment::{CaptureKey, Command, Event, Request, decide, evolve};
use domain::record::Envelope;
use domain::stream::{Category, StreamId, Version};
use domain::time::Timestamp;
use domain::unmatched::{self, Suspense};
use projections::ports::{Cell, Cursor, Test, ViewQuery};
use projections::read::TypedPage;
use projections::views::exceptions::{self, CaseRow, CaseState};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::App;
use super::case_decisions::Way;
use super::error::AppError;
use super::observations::request_of;
use super::requests::pays_late;
use super::unmatched_cases::Finding;

/// What the review list is narrowed down to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CaseFilter {
    /// Open ones, or resolved ones.
    pub state: CaseState,
    /// Of these kinds; of any without.
    pub kinds: Vec<ExceptionKind>,
    /// Of these severities; of any without.
    pub severities: Vec<Severity>,
    /// Opened at least so many seconds ago.
    pub older_than_s: Option<u32>,
    /// To be decided before this time.
    pub due_before: Option<Timestamp>,
    /// True for those only whose time is over.
    pub overdue: bool,
    /// Looked after by this person; `Some(None)` for those that nobody looks after.
    pub assignee: Option<Option<OperatorId>>,
    /// Of this payment request.
    pub request: Option<PaymentRequestId>,
    /// Of this order.
    pub order: Option<OrderId>,
}

impl CaseFilter {
    /// Every case of one state.
    pub fn of(state: CaseState) -> Self {
        Self {
            state,
            kinds: vec![],
            severities: vec![],
            older_than_s: None,
            due_before: None,
            overdue: false,
            assignee: None,
            request: None,
            order: None,
        }
    }

    fn query(&self, merchant: &MerchantId, now: Timestamp) -> ViewQuery {
        let mut query = ViewQuery::first(0)
            .equal("merchant", merchant.as_str())
            .equal("state", self.state.as_str());
        if !self.kinds.is_empty() {
            let kinds = self.kinds.iter().map(|kind| kind.as_str().into());
            query = query.with("kind", Test::In(kinds.collect()));
        }
        if !self.severities.is_empty() {
            let wanted = self.severities.iter().map(|it| it.as_str().into());
            query = query.with("severity", Test::In(wanted.collect()));
        }
        if let Some(seconds) = self.older_than_s {
            let opened = now.minus(Duration::from_secs(seconds.into()));
            query = query.with("opened_at", Test::Le(opened.into()));
        }
        if let Some(limit) = self.due_before {
            query = query.with("due", Test::Lt(limit.into()));
        }
        if self.overdue {
            query = query.with("due", Test::Lt(now.into()));
        }
        if let Some(person) = &self.assignee {
            let person = person.as_ref().map(OperatorId::as_str);
            query = query.with("assignee", Test::Eq(person.into()));
        }
        for (column, wanted) in [
            (
                "request",
                self.request.as_ref().map(PaymentRequestId::as_str),
            ),
            ("order_id", self.order.as_ref().map(OrderId::as_str)),
        ] {
            if let Some(wanted) = wanted {
                query = query.with(column, Test::Eq(Cell::text(wanted)));
            }
        }
        query.order_by("urgency")
    }
}

/// A row of the list as people and programs see it.
pub fn listed(case: &CaseRow, now: Timestamp) -> Value {
    json!({
        "id": case.id, "payment_request_id": case.request, "order_id": case.order_id, "kind": case.kind,
        "severity": case.severity, "state": case.state, "about": case.about, "capture": case.capture,
        "money": case.money, "opened_at": case.opened_at, "age_s": now.since(case.opened_at).as_secs(),
        "due": case.due, "overdue": case.state == CaseState::Open && now > case.due,
        "assignee": case.assignee, "resolution": case.resolution, "resolved_by": case.resolved_by,
        "resolved_at": case.resolved_at,
    })
}

/// One case in full.
#[derive(Debug, Clone, Serialize)]
pub struct CaseDetail {
    /// The case.
    pub id: CaseId,
    /// The payment request, if it is about one.
    pub payment_request_id: Option<PaymentRequestId>,
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
    /// The movement of money that it is about.
    pub capture: Option<CaptureKey>,
    /// How much that was, as it was captured.
    pub money: Option<Money>,
    /// How much of it waits for a decision now.
    pub holds: Option<Sum>,
    /// How much of that a refund holds, so that nothing else can be done with it.
    pub held_by_refunds: Option<Sum>,
    /// Since when.
    pub opened_at: Timestamp,
    /// How long that is.
    pub age_s: u64,
    /// Decide before.
    pub due: Timestamp,
    /// True when that is over and nobody decided.
    pub overdue: bool,
    /// Who looks after it.
    pub assignee: Option<OperatorId>,
    /// How it was decided.
    pub resolution: Option<Resolution>,
    /// What was done with it and with its money, the oldest first.
    pub history: Vec<Step>,
    /// Every way to decide it while it is open, and which of them would be done now.
    pub resolutions: Vec<Way>,
    /// Version of the stream that this was read at.
    pub version: Version,
}

/// One line of a case's history.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// `opened`, `assigned`, `resolved`; `updated` where something was done with its money.
    pub what: &'static str,
    /// The event.
    pub event: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// Why, where a person decided: a code.
    pub reason: Option<String>,
    /// In their own words; none where they are erased.
    pub text: Option<String>,
    /// What exactly.
    pub data: Value,
    /// Its place in the stream.
    pub version: Version,
}

/// What the event that opened a case says of it, on whichever stream.
#[derive(Deserialize)]
struct Opened {
    kind: ExceptionKind,
    severity: Severity,
    due: Timestamp,
    about: String,
    #[serde(default)]
    capture: Option<CaptureKey>,
}

impl App {
    /// Cases of a merchant, the most urgent first: by severity, then by when they are due.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn list_cases(
        &self,
        merchant: &MerchantId,
        filter: &CaseFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<TypedPage<CaseRow>, AppError> {
        let query = ViewQuery {
            limit,
            ..filter.query(merchant, self.recorder.now())
        };
        let reader = self.reader::<CaseRow>(exceptions::SPEC);
        Ok(reader.query(&query.after(after)).await?)
    }

    /// One case of a merchant.
    ///
    /// # Errors
    /// [`AppError::NotFound`] also for another merchant's.
    pub async fn case(&self, merchant: &MerchantId, id: &CaseId) -> Result<CaseDetail, AppError> {
        let events = self.records_of(merchant, &stream_of(id)?).await?;
        let opening = events
            .iter()
            .find(|event| event.event_type == "ExceptionOpened" && names_case(event, id));
        let opening = opening.ok_or_else(no_such_case)?;
        let opened: Opened = serde_json::from_value(opening.data.clone()).map_err(AppError::bug)?;
        let now = self.recorder.now();
        let mut detail = CaseDetail {
            id: id.clone(),
            payment_request_id: None,
            order_id: None,
            kind: opened.kind,
            severity: opened.severity,
            state: CaseState::Open,
            about: opened.about,
            capture: opened.capture,
            money: None,
            holds: None,
            held_by_refunds: None,
            opened_at: opening.recorded_at,
            age_s: now.since(opening.recorded_at).as_secs(),
            due: opened.due,
            overdue: false,
            assignee: None,
            resolution: None,
            history: vec![],
            resolutions: vec![],
            version: events.last().map_or(Version::FIRST, |e| e.stream_version),
        };
        for event in events
            .iter()
            .filter(|e| e.stream_version >= opening.stream_version)
        {
            if let Some(what) = detail.what_it_did(event) {
                detail.history.push(self.step(what, event).await?);
            }
        }
        let request = of_request(&events)?;
        if let Some(request) = &request {
            detail.add_money(request);
            detail.resolutions = self.ways(request, id, now).await?;
        }
        if let Some(suspense) = in_suspense(&events)? {
            let open = suspense.settlement.is_none();
            let (minor, currency) = (
                suspense.money.amount.minor(),
                suspense.money.amount.currency(),
            );
            detail.money = Some(suspense.money.amount);
            detail.holds = Some(Sum::new(if open { minor } else { 0 }, currency));
            detail.held_by_refunds = Some(Sum::new(0, currency));
            detail.resolutions = Finding::ways(&suspense);
        }
        let open = detail.resolution.is_none();
        detail.overdue = open && now > detail.due;
        if !open {
            detail.state = CaseState::Resolved;
        }
        Ok(detail)
    }

    /// The records of a stream of this merchant.
    pub(super) async fn records_of(
        &self,
        merchant: &MerchantId,
        stream: &StreamId,
    ) -> Result<Vec<Envelope>, AppError> {
        const PAGE: usize = 1000;
        let (mut events, mut from) = (vec![], Version::FIRST);
        loop {
            let store = self.recorder.store();
            let page = store.read_stream(stream, from, PAGE).await?;
            let full = page.len() == PAGE;
            for recorded in page {
                let event = recorded.envelope().map_err(AppError::bug)?;
                if event.merchant.as_ref() != Some(merchant) {
                    return Err(no_such_case());
                }
                from = event.stream_version.next();
                events.push(event);
            }
            if !full {
                return Ok(events);
            }
        }
    }

    async fn step(&self, what: &'static str, event: &Envelope) -> Result<Step, AppError> {
        Ok(Step {
            what,
            event: event.event_type.clone(),
            at: event.recorded_at,
            actor: event.actor.display(),
            reason: event.reason.as_ref().map(|why| why.code.to_string()),
            text: self.recorder.words_of(event).await?,
            data: event.data.clone(),
            version: event.stream_version,
        })
    }

    /// Every way to decide, tried on the state as it is; nothing is written.
    async fn ways(
        &self,
        request: &Request,
        id: &CaseId,
        now: Timestamp,
    ) -> Result<Vec<Way>, AppError> {
        let mut ways = vec![];
        if !request.cases().get(id).is_some_and(Case::open) {
            return Ok(ways);
        }
        for (resolution, how) in Way::every()? {
            let case = id.clone();
            let command = Command::ResolveCase { case, how };
            let refused = match decide(Some(request), &command, now) {
                Ok(events) if pays_late(request, &events) => self.order_to_pay(request).await.err(),
                Ok(_) => None,
                Err(refusal) => Some(refusal.into()),
            };
            ways.push(Way::tried(resolution, refused)?);
        }
        Ok(ways)
    }
}

impl CaseDetail {
    /// What an event after its opening means to this case; `None` when nothing.
    fn what_it_did(&mut self, event: &Envelope) -> Option<&'static str> {
        if names_case(event, &self.id) {
            let member = |name: &str| event.data.get(name).cloned().unwrap_or_default();
            return Some(match event.event_type.as_str() {
                "ExceptionOpened" => "opened",
                "ExceptionAssigned" => {
                    self.assignee = serde_json::from_value(member("to")).unwrap_or_default();
                    "assigned"
                }
                "ExceptionResolved" => {
                    self.resolution = serde_json::from_value(member("resolution")).ok();
                    "resolved"
                }
                _ => "updated",
            });
        }
        let of_its_money = self.capture.as_ref().is_some_and(|capture| {
            event.data.get("capture").and_then(Value::as_str) == Some(&capture.to_string())
        });
        let another_case = event.event_type.starts_with("Exception");
        let settles = event.event_type == "UnmatchedPaymentResolved"; // It has no other money.
        ((of_its_money || settles) && !another_case).then_some("updated")
    }

    fn add_money(&mut self, request: &Request) {
        self.payment_request_id = Some(request.terms().id.clone());
        self.order_id = Some(request.terms().order_id.clone());
        let found = self.capture.as_ref().and_then(|key| request.capture(key));
        let Some((key, capture)) = found else { return };
        let currency = capture.amount.currency();
        let free = request.available(key, domain::payment::event::Part::Unapplied);
        self.money = Some(capture.amount);
        self.holds = Some(Sum::new(capture.unapplied, currency));
        self.held_by_refunds = Some(Sum::new(capture.unapplied.saturating_sub(free), currency));
    }
}

/// The request whose events these are; `None` for any other stream.
fn of_request(events: &[Envelope]) -> Result<Option<Request>, AppError> {
    let mut request = None;
    for event in events {
        if event.stream.category() != Category::PaymentRequest {
            return Ok(None);
        }
        let told: Event = decode(event).map_err(AppError::bug)?;
        request = evolve(request, &told);
    }
    Ok(request)
}

/// The money in suspense whose events these are; `None` for any other stream.
fn in_suspense(events: &[Envelope]) -> Result<Option<Suspense>, AppError> {
    let mut suspense = None;
    for event in events {
        if event.stream.category() != Category::Unmatched {
            return Ok(None);
        }
        let told: unmatched::Event = decode(event).map_err(AppError::bug)?;
        suspense = unmatched::evolve(suspense, &told);
    }
    Ok(suspense)
}

pub(super) fn names_case(event: &Envelope, id: &CaseId) -> bool {
    event.data.get("case").and_then(Value::as_str) == Some(id.as_str())
}

/// The stream whose case this is.
pub(super) fn stream_of(id: &CaseId) -> Result<StreamId, AppError> {
    let stream = id.as_str().split_once('~').map(|(stream, _)| stream);
    let stream = stream.and_then(|name| StreamId::parse(name).ok());
    let of_cases = |stream: &StreamId| {
        let category = stream.category();
        request_of(stream).is_some() || matches!(category, Category::Unmatched | Category::Case)
    };
    stream.filter(of_cases).ok_or_else(no_such_case)
}

pub(super) fn no_such_case() -> AppError {
    AppError::NotFound { what: "case" }
}
