//! Refunds of ours that have no end yet, for the loop that calls providers and asks them.

use domain::ids::{AccountSlug, MerchantId, PaymentRequestId, ProviderCode, RefundId};
use domain::payment::Request;
use domain::payment::refund::{Refund, RefundState};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ports::{Cell, ColumnSpec, Rows, TableSpec};
use crate::view::{ApplyError, TypedRow, find, remove, save};

/// The table of [`RefundRow`].
pub const REFUNDS: TableSpec = TableSpec {
    name: "refund",
    columns: &[
        ColumnSpec::text("request"),
        ColumnSpec::text("account"),
        ColumnSpec::integer("since"),
    ],
    indexes: &[&["request"], &["since"]],
};

/// A refund that was asked for and neither settled nor failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRow {
    /// The request whose money it is.
    pub request: PaymentRequestId,
    /// Whose.
    pub merchant: MerchantId,
    /// The refund.
    pub refund: RefundId,
    /// The provider.
    pub provider: ProviderCode,
    /// The account.
    pub account: AccountSlug,
    /// How far it is. One that stays `Submitted` was interrupted.
    pub state: RefundState,
    /// In that state since then.
    pub since: Timestamp,
}

impl TypedRow for RefundRow {
    const TABLE: &'static TableSpec = &REFUNDS;

    fn key(&self) -> String {
        format!("{}/{}", self.request, self.refund)
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.request.as_str().into(),
            self.account.as_str().into(),
            self.since.into(),
        ]
    }
}

/// Keeps a row for each refund that has no end.
pub(super) fn keep(
    request: &Request,
    now: Timestamp,
    rows: &mut dyn Rows,
) -> Result<(), ApplyError> {
    if request.refunds().is_empty() {
        return Ok(());
    }
    let id = &request.terms().id;
    let known: Vec<RefundRow> = find(rows, "request", id.as_str())?;
    let pending: Vec<RefundRow> = request
        .refunds()
        .iter()
        .filter(|(_, refund)| refund.pending())
        .map(|(refund, asked)| row(request, refund, asked, &known, now))
        .collect();
    for row in &known {
        if !pending.iter().any(|other| other.refund == row.refund) {
            remove::<RefundRow>(rows, &row.key())?;
        }
    }
    for row in pending.iter().filter(|row| !known.contains(row)) {
        save(rows, row)?;
    }
    Ok(())
}

fn row(
    request: &Request,
    id: &RefundId,
    asked: &Refund,
    known: &[RefundRow],
    now: Timestamp,
) -> RefundRow {
    let same = |row: &&RefundRow| row.refund == *id && row.state == asked.state;
    RefundRow {
        request: request.terms().id.clone(),
        merchant: request.terms().merchant.clone(),
        refund: id.clone(),
        provider: asked.capture.provider.clone(),
        account: asked.capture.account.clone(),
        state: asked.state.clone(),
        since: known.iter().find(same).map_or(now, |row| row.since),
    }
}
