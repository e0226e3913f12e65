//! `order_status`: where does this payment request stand?
//!
//! One row per request, for lists, for single reads and for the status stream. Use cases decide on
//! the request's own stream and never on this. Who may see which field is the reader's business.

use domain::ids::{
    AccountSlug, ClientId, CorrelationId, CustomerRef, MerchantId, OrderId, PaymentRequestId,
    ProviderCode, ProviderRef, ScenarioId,
};
use domain::money::{MinorText, Money, Sum};
use domain::payment::event::{CancelledBy, VerificationMethod};
use domain::payment::evidence::Mode;
use domain::payment::proposal::OverrideStanding;
use domain::payment::request::AttemptState;
use domain::payment::{BotLabel, CaptureKey, Event, Label, Request};
use domain::ports::Position;
use domain::record::{Envelope, Recorded};
use domain::stream::{Category, Version};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::fold;
use crate::ports::{Cell, ColumnSpec, Rows, TableSpec, ViewSpec};
use crate::view::{ApplyError, TypedRow, View, load, save};

/// The table of [`OrderStatus`].
pub const TABLE: TableSpec = TableSpec {
    name: "request",
    columns: &[
        ColumnSpec::text("merchant"),
        ColumnSpec::text("client"),
        ColumnSpec::text("order_id"),
        ColumnSpec::text("scenario"),
        ColumnSpec::text("customer_ref"),
        ColumnSpec::text("label"),
        ColumnSpec::text("bot_label"),
        ColumnSpec::integer("created_at"),
        ColumnSpec::integer("updated_at"),
    ],
    indexes: &[
        &["merchant", "created_at"],
        &["merchant", "client", "created_at"],
        &["merchant", "label", "created_at"],
        &["merchant", "order_id"],
        &["merchant", "customer_ref"],
    ],
};

/// The view as stores know it.
pub const SPEC: ViewSpec = ViewSpec {
    name: "order_status",
    version: 7,
    tables: &[TABLE, fold::TABLE],
};

/// One payment request as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderStatus {
    /// The request.
    pub id: PaymentRequestId,
    /// Whose money.
    pub merchant: MerchantId,
    /// Who created it.
    pub client: ClientId,
    /// The shop's order.
    pub order_id: OrderId,
    /// The way of selling.
    pub scenario: ScenarioId,
    /// The customer, opaque.
    pub customer_ref: Option<CustomerRef>,
    /// The cart or conversation.
    pub correlation_id: Option<CorrelationId>,
    /// Live or test money.
    pub mode: Mode,
    /// The request that this one replaces.
    pub supersedes: Option<PaymentRequestId>,
    /// The request that replaces this one.
    pub superseded_by: Option<PaymentRequestId>,
    /// State for the shop.
    pub label: Label,
    /// State for a bot.
    pub bot_label: BotLabel,
    /// What is due.
    pub amount: Money,
    /// What is there of it now.
    pub applied: Sum,
    /// What is still missing; zero or negative when all is there.
    pub missing: Sum,
    /// What went back of it.
    pub returned: Sum,
    /// Money that waits for a person, per currency.
    pub unapplied: Vec<Sum>,
    /// Not payable afterwards.
    pub expires_at: Timestamp,
    /// A person must decide something.
    pub in_review: bool,
    /// A refund that was asked for has no answer yet.
    pub refund_pending: bool,
    /// The provider was to be asked to end an attempt, and has not said that it did.
    pub cancel_pending: bool,
    /// Payer notices so far.
    pub notices: u32,
    /// That and how it was paid.
    pub verification: Option<VerificationRow>,
    /// The decision that it counts as paid by.
    #[serde(rename = "override")]
    pub decided: Option<OverrideStanding>,
    /// Who called it off.
    pub cancelled_by: Option<CancelledBy>,
    /// Attempts in order.
    pub attempts: Vec<AttemptRow>,
    /// False once it is paid or closed.
    pub payable: bool,
    /// Version of the request's last event.
    pub version: Version,
    /// Position of that event.
    pub position: Position,
    /// When the request was created.
    pub created_at: Timestamp,
    /// When that last event was recorded.
    pub updated_at: Timestamp,
}

/// That and how a request was paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationRow {
    /// How it was proved.
    pub method: VerificationMethod,
    /// The money that was decisive.
    pub capture: Option<CaptureKey>,
    /// Accepted after closing.
    pub late: bool,
    /// What is due minus what was applied.
    pub rounding_minor: MinorText,
    /// When the payment completed, by the provider.
    pub paid_at: Option<Timestamp>,
    /// When the ledger verified it.
    pub verified_at: Timestamp,
}

/// One order or session at one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// 1, 2, 3 ...
    pub attempt_no: u32,
    /// The provider.
    pub provider: ProviderCode,
    /// The account.
    pub account: AccountSlug,
    /// What the provider calls it back to us.
    pub our_reference: ProviderRef,
    /// The provider's order or session, once known.
    pub provider_order_ref: Option<ProviderRef>,
    /// What it asks for.
    pub amount: Money,
    /// Where the payer pays, once known.
    pub pay_url: Option<String>,
    /// When it was started.
    pub started_at: Timestamp,
    /// End of the provider's session.
    pub session_expires_at: Timestamp,
    /// How far it is.
    pub state: AttemptState,
    /// True while the provider may still report money for it.
    pub may_still_pay: bool,
}

impl OrderStatus {
    /// The attempt whose page a payer may use now.
    pub fn live_attempt(&self, now: Timestamp) -> Option<&AttemptRow> {
        let live =
            |attempt: &&AttemptRow| attempt.may_still_pay && now < attempt.session_expires_at;
        self.attempts
            .iter()
            .rev()
            .find(live)
            .filter(|_| self.payable)
    }
}

impl TypedRow for OrderStatus {
    const TABLE: &'static TableSpec = &TABLE;

    fn key(&self) -> String {
        self.id.as_str().to_owned()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.merchant.as_str().into(),
            self.client.as_str().into(),
            self.order_id.as_str().into(),
            self.scenario.as_str().into(),
            self.customer_ref
                .as_ref()
                .map(|customer| customer.as_str())
                .into(),
            self.label.as_str().into(),
            self.bot_label.as_str().into(),
            self.created_at.into(),
            self.updated_at.into(),
        ]
    }
}

/// The view.
pub struct OrderStatusView;

impl View for OrderStatusView {
    fn spec(&self) -> ViewSpec {
        SPEC
    }

    fn reads(&self) -> &'static [Category] {
        &[Category::PaymentRequest]
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
        let (told, request) = fold::fold(event, envelope, rows)?;
        let before: Option<OrderStatus> = load(rows, request.terms().id.as_str())?;
        save(rows, &row(&request, before, &told, event, envelope))
    }
}

/// The row after `told`, which is folded into `request` already. What the domain's state does not
/// keep (when an attempt was started, say) is carried over from the row before.
fn row(
    request: &Request,
    before: Option<OrderStatus>,
    told: &Event,
    event: &Recorded,
    envelope: &Envelope,
) -> OrderStatus {
    let terms = request.terms();
    let currency = terms.amount.currency();
    let superseded_now = if let Event::Cancelled { superseded_by, .. } = told {
        superseded_by.clone()
    } else {
        None
    };
    let before = before.as_ref();
    OrderStatus {
        id: terms.id.clone(),
        merchant: terms.merchant.clone(),
        client: terms.client.clone(),
        order_id: terms.order_id.clone(),
        scenario: terms.scenario.clone(),
        customer_ref: terms.customer_ref.clone(),
        correlation_id: terms.correlation_id.clone(),
        mode: terms.mode,
        supersedes: terms.supersedes.clone(),
        superseded_by: superseded_now
            .or_else(|| before.and_then(|before| before.superseded_by.clone())),
        label: request.label(),
        bot_label: request.bot_label(),
        amount: terms.amount,
        applied: request.applied(),
        missing: Sum::new(request.missing_minor(), currency),
        returned: Sum::new(request.returned_applied(), currency),
        unapplied: request.unapplied(),
        expires_at: terms.expires_at,
        in_review: request.in_review(),
        refund_pending: request.refund_pending(),
        cancel_pending: request.cancel_pending(),
        notices: request.notices(),
        verification: verification(request, before, told, envelope),
        decided: request.override_standing(),
        cancelled_by: request.cancelled_by(),
        attempts: attempts(request, before, envelope),
        payable: request.payable(),
        version: event.record.version,
        position: event.position,
        created_at: before.map_or(envelope.recorded_at, |before| before.created_at),
        updated_at: envelope.recorded_at,
    }
}

fn verification(
    request: &Request,
    before: Option<&OrderStatus>,
    told: &Event,
    envelope: &Envelope,
) -> Option<VerificationRow> {
    let verified = request.verified()?;
    if let Event::PaymentVerified { capture, .. } = told {
        return Some(VerificationRow {
            method: verified.method,
            capture: capture.clone(),
            late: verified.late,
            rounding_minor: MinorText(verified.rounding_minor),
            paid_at: verified.paid_at,
            verified_at: envelope.recorded_at,
        });
    }
    before.and_then(|before| before.verification.clone())
}

fn attempts(
    request: &Request,
    before: Option<&OrderStatus>,
    envelope: &Envelope,
) -> Vec<AttemptRow> {
    let known = before.map_or(&[][..], |before| &before.attempts[..]);
    let rows = request.attempts().iter().map(|(number, attempt)| {
        let started = known
            .iter()
            .find(|row| row.attempt_no == *number)
            .map(|row| row.started_at);
        AttemptRow {
            attempt_no: *number,
            provider: attempt.provider.clone(),
            account: attempt.account.clone(),
            our_reference: attempt.our_reference.clone(),
            provider_order_ref: attempt.provider_order_ref.clone(),
            amount: attempt.amount,
            pay_url: attempt.pay_url.clone(),
            started_at: started.unwrap_or(envelope.recorded_at),
            session_expires_at: attempt.session_expires_at,
            state: attempt.state,
            may_still_pay: attempt.may_still_pay(),
        }
    });
    rows.collect()
}
