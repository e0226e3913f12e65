//! `timers`: what is due, and when? Found again after any restart, because it is a fold.
//!
//! - [`ExpiryRow`]: payable requests and when their expiry is to be looked at.
//! - [`OverrideRow`]: requests with a proposal that lapses, or an override that money must prove in
//!   time, and when the first of these is to be looked at.
//! - [`LookUpRow`]: attempts that the provider may still report money for. Look-up times are offsets
//!   from its times, so no step is stored; when a loop asked last is that loop's note.
//! - [`RefundRow`]: refunds of ours without an end: to be called, or asked about.
//! - [`AskedRow`]: requests that something made due for a look-up now: a notification that proves
//!   too little or has come before its money, or a payer notice. A loop compares it with its own note; nothing clears it.
//! - [`PendingRow`]: notifications that are not settled, with the time at which a parked one counts
//!   as unmatched.
//!
//! Rows are hints: a loop folds the stream before it acts.

mod overrides;
mod refunds;

use domain::codec::decode;
use domain::ids::{AccountSlug, MerchantId, PaymentRequestId, ProviderCode, ProviderRef};
use domain::notification::{self, PARKED_FOR};
use domain::payment::look_up::Schedule;
use domain::payment::request::AttemptState;
use domain::payment::{Event, Outcome, Request};
use domain::record::{Envelope, Recorded};
use domain::stream::{Category, StreamId};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::fold;
use crate::ports::{Cell, ColumnSpec, Rows, TableSpec, ViewSpec};
use crate::view::{ApplyError, TypedRow, View, find, load, remove, save};
pub use overrides::{OVERRIDES, OverrideRow};
pub use refunds::{REFUNDS, RefundRow};

/// The table of [`ExpiryRow`].
pub const EXPIRIES: TableSpec = TableSpec {
    name: "expiry",
    columns: &[ColumnSpec::integer("due_at")],
    indexes: &[&["due_at"]],
};

/// The table of [`LookUpRow`].
pub const LOOK_UPS: TableSpec = TableSpec {
    name: "look_up",
    columns: &[
        ColumnSpec::text("request"),
        ColumnSpec::text("account"),
        ColumnSpec::text("our_reference"),
        ColumnSpec::text("state"),
        ColumnSpec::integer("until"),
        ColumnSpec::integer("silent_at"),
        ColumnSpec::integer("cancel_at"),
    ],
    indexes: &[
        &["until"],
        &["silent_at"],
        &["cancel_at"],
        &["request"],
        &["account", "our_reference"],
    ],
};

/// The table of [`AskedRow`].
pub const ASKED: TableSpec = TableSpec {
    name: "asked",
    columns: &[ColumnSpec::integer("at")],
    indexes: &[&["at"]],
};

/// The table of [`PendingRow`].
pub const PENDING: TableSpec = TableSpec {
    name: "pending",
    columns: &[
        ColumnSpec::text("state"),
        ColumnSpec::text("account"),
        ColumnSpec::text("our_reference"),
        ColumnSpec::integer("retry_at"),
    ],
    indexes: &[&["retry_at"], &["account", "our_reference"]],
};

/// The view as stores know it.
pub const SPEC: ViewSpec = ViewSpec {
    name: "timers",
    version: 7,
    tables: &[
        EXPIRIES,
        OVERRIDES,
        LOOK_UPS,
        REFUNDS,
        ASKED,
        PENDING,
        fold::TABLE,
    ],
};

/// A payable request. It has no row once it is paid or closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiryRow {
    /// The request.
    pub request: PaymentRequestId,
    /// Whose.
    pub merchant: MerchantId,
    /// Not payable afterwards.
    pub expires_at: Timestamp,
    /// Look at its expiry then: `expires_at`, or later where it was postponed.
    pub due_at: Timestamp,
}

impl TypedRow for ExpiryRow {
    const TABLE: &'static TableSpec = &EXPIRIES;

    fn key(&self) -> String {
        self.request.as_str().to_owned()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![self.due_at.into()]
    }
}

/// An attempt that the provider may still report money for, whether its request is open or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookUpRow {
    /// The request.
    pub request: PaymentRequestId,
    /// Whose.
    pub merchant: MerchantId,
    /// Which attempt.
    pub attempt_no: u32,
    /// The provider.
    pub provider: ProviderCode,
    /// The account.
    pub account: AccountSlug,
    /// What the provider calls it back to us.
    pub our_reference: ProviderRef,
    /// The provider's order or session, once known.
    pub provider_order_ref: Option<ProviderRef>,
    /// How far it is. One that stays `Started` was interrupted.
    pub state: AttemptState,
    /// When it was started.
    pub started_at: Timestamp,
    /// End of the provider's session.
    pub session_expires_at: Timestamp,
    /// The request is not payable afterwards.
    pub expires_at: Timestamp,
    /// Nothing is asked on schedule afterwards.
    pub until: Timestamp,
    /// A person is to be told then that it is still in doubt; `None` where it is in none, or where
    /// that was told.
    pub silent_at: Option<Timestamp>,
    /// Since when the provider was to be asked to end it.
    pub cancel_at: Option<Timestamp>,
}

impl LookUpRow {
    /// When it is asked about.
    pub fn schedule(&self) -> Schedule<'_> {
        Schedule {
            our_reference: &self.our_reference,
            started_at: self.started_at,
            session_expires_at: self.session_expires_at,
            expires_at: self.expires_at,
        }
    }
}

impl TypedRow for LookUpRow {
    const TABLE: &'static TableSpec = &LOOK_UPS;

    fn key(&self) -> String {
        look_up_key(&self.request, self.attempt_no)
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.request.as_str().into(),
            self.account.as_str().into(),
            self.our_reference.as_str().into(),
            state_name(self.state).into(),
            self.until.into(),
            self.silent_at.into(),
            self.cancel_at.into(),
        ]
    }
}

/// Key of an attempt's row.
pub fn look_up_key(request: &PaymentRequestId, attempt_no: u32) -> String {
    format!("{request}/{attempt_no}")
}

/// As column `state` says it.
pub fn state_name(state: AttemptState) -> &'static str {
    match state {
        AttemptState::Started => "started",
        AttemptState::Uncertain => "uncertain",
        AttemptState::Registered => "registered",
        AttemptState::InFlight(_) => "in_flight",
        AttemptState::Failed(_) => "failed",
        AttemptState::Captured => "captured",
    }
}

/// A request whose attempts are to be asked about out of turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedRow {
    /// The request.
    pub request: PaymentRequestId,
    /// Since the newest of what made it due.
    pub at: Timestamp,
}

impl TypedRow for AskedRow {
    const TABLE: &'static TableSpec = &ASKED;

    fn key(&self) -> String {
        self.request.as_str().to_owned()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![self.at.into()]
    }
}

/// A notification that is not settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRow {
    /// Its stream.
    pub stream: StreamId,
    /// Whose account it came to.
    pub merchant: Option<MerchantId>,
    /// The provider.
    pub provider: ProviderCode,
    /// The account.
    pub account: AccountSlug,
    /// What it repeats as our reference, in the first fact that does.
    pub our_reference: Option<ProviderRef>,
    /// The provider's order, in the first fact that names one.
    pub provider_order_ref: Option<ProviderRef>,
    /// True once it was looked at and nothing explained it; false before it was looked at.
    pub parked: bool,
    /// When it came.
    pub received_at: Timestamp,
    /// It counts as unmatched from then on.
    pub retry_at: Timestamp,
}

impl TypedRow for PendingRow {
    const TABLE: &'static TableSpec = &PENDING;

    fn key(&self) -> String {
        self.stream.as_str().to_owned()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            if self.parked { "parked" } else { "received" }.into(),
            self.account.as_str().into(),
            self.our_reference
                .as_ref()
                .map(|reference| reference.as_str())
                .into(),
            self.retry_at.into(),
        ]
    }
}

/// The view.
pub struct TimersView;

impl View for TimersView {
    fn spec(&self) -> ViewSpec {
        SPEC
    }

    fn reads(&self) -> &'static [Category] {
        &[Category::PaymentRequest, Category::Notification]
    }

    /// Streams meet only in [`AskedRow`], where the newest time stands whatever the order.
    fn stream_local(&self) -> bool {
        true
    }

    fn apply(
        &self,
        event: &Recorded,
        envelope: &Envelope,
        rows: &mut dyn Rows,
    ) -> Result<(), ApplyError> {
        if event.stream.category() == Category::Notification {
            return of_notification(event, envelope, rows);
        }
        of_request(event, envelope, rows)
    }
}

fn of_request(
    event: &Recorded,
    envelope: &Envelope,
    rows: &mut dyn Rows,
) -> Result<(), ApplyError> {
    let (told, request) = fold::fold(event, envelope, rows)?;
    let id = &request.terms().id;
    if matches!(told, Event::PayerNoticeRecorded { .. }) {
        ask(rows, id, envelope.recorded_at)?;
    }
    if request.payable() {
        save(rows, &expiry(&request))?;
    } else {
        remove::<ExpiryRow>(rows, id.as_str())?;
    }
    overrides::keep(rows, &request)?;
    refunds::keep(&request, envelope.recorded_at, rows)?;
    let known: Vec<LookUpRow> = find(rows, "request", id.as_str())?;
    for row in &known {
        if !request
            .attempts()
            .get(&row.attempt_no)
            .is_some_and(|attempt| attempt.may_still_pay())
        {
            remove::<LookUpRow>(rows, &row.key())?;
        }
    }
    for row in look_ups(&request, &known, envelope.recorded_at) {
        if !known.contains(&row) {
            save(rows, &row)?;
        }
    }
    Ok(())
}

fn expiry(request: &Request) -> ExpiryRow {
    let terms = request.terms();
    ExpiryRow {
        request: terms.id.clone(),
        merchant: terms.merchant.clone(),
        expires_at: terms.expires_at,
        due_at: request.expiry_due(),
    }
}

fn look_ups(request: &Request, known: &[LookUpRow], now: Timestamp) -> Vec<LookUpRow> {
    let terms = request.terms();
    let open = request
        .attempts()
        .iter()
        .filter(|(_, attempt)| attempt.may_still_pay());
    open.map(|(number, attempt)| {
        let before = known.iter().find(|row| row.attempt_no == *number);
        let schedule = Schedule {
            our_reference: &attempt.our_reference,
            started_at: before.map_or(now, |row| row.started_at),
            session_expires_at: attempt.session_expires_at,
            expires_at: terms.expires_at,
        };
        let until = schedule.over_at();
        let asked_to_end = before.and_then(|row| row.cancel_at).unwrap_or(now);
        LookUpRow {
            request: terms.id.clone(),
            merchant: terms.merchant.clone(),
            attempt_no: *number,
            provider: attempt.provider.clone(),
            account: attempt.account.clone(),
            our_reference: attempt.our_reference.clone(),
            provider_order_ref: attempt.provider_order_ref.clone(),
            state: attempt.state,
            started_at: schedule.started_at,
            session_expires_at: attempt.session_expires_at,
            expires_at: terms.expires_at,
            until,
            silent_at: request.silence_of(*number).map(|_| until),
            cancel_at: attempt.cancel_requested.then_some(asked_to_end),
        }
    })
    .collect()
}

fn ask(rows: &mut dyn Rows, request: &PaymentRequestId, at: Timestamp) -> Result<(), ApplyError> {
    let before: Option<AskedRow> = load(rows, request.as_str())?;
    let at = before.map_or(at, |before| before.at.max(at));
    save(
        rows,
        &AskedRow {
            request: request.clone(),
            at,
        },
    )
}

fn of_notification(
    event: &Recorded,
    envelope: &Envelope,
    rows: &mut dyn Rows,
) -> Result<(), ApplyError> {
    let stream = &event.stream;
    match decode(envelope)? {
        notification::Event::Received { observation, .. } => {
            let facts = &observation.facts;
            save(
                rows,
                &PendingRow {
                    stream: stream.clone(),
                    merchant: envelope.merchant.clone(),
                    our_reference: facts.iter().find_map(|fact| fact.our_reference.clone()),
                    provider_order_ref: facts
                        .iter()
                        .find_map(|fact| fact.provider_order_ref.clone()),
                    provider: observation.provider,
                    account: observation.account,
                    parked: false,
                    received_at: observation.received_at,
                    retry_at: observation.received_at.plus(PARKED_FOR),
                },
            )
        }
        notification::Event::Applied {
            outcome: Outcome::Parked,
            request,
            ..
        } => {
            // Row C6: it belongs to money that the provider may tell of when it is asked.
            if let Some(request) = &request {
                ask(rows, request, envelope.recorded_at)?;
            }
            let Some(pending) = load::<PendingRow>(rows, stream.as_str())? else {
                return Err(ApplyError::Impossible(
                    "a settled notification is parked".to_owned(),
                ));
            };
            save(
                rows,
                &PendingRow {
                    parked: true,
                    ..pending
                },
            )
        }
        notification::Event::Applied {
            outcome, request, ..
        } => {
            if let (Outcome::LookUp, Some(request)) = (outcome, &request) {
                ask(rows, request, envelope.recorded_at)?;
            }
            remove::<PendingRow>(rows, stream.as_str())
        }
    }
}
