//! When time alone changes something about people's decisions.

use domain::ids::{MerchantId, PaymentRequestId};
use domain::payment::Request;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ports::{Cell, ColumnSpec, Rows, TableSpec};
use crate::view::{ApplyError, TypedRow, remove, save};

/// The table of [`OverrideRow`].
pub const OVERRIDES: TableSpec = TableSpec {
    name: "override_due",
    columns: &[ColumnSpec::integer("due_at")],
    indexes: &[&["due_at"]],
};

/// A request about which time alone changes something: a proposal lapses, or the proof of an override
/// is overdue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideRow {
    /// The request.
    pub request: PaymentRequestId,
    /// Whose.
    pub merchant: MerchantId,
    /// Look at it then.
    pub due_at: Timestamp,
}

impl TypedRow for OverrideRow {
    const TABLE: &'static TableSpec = &OVERRIDES;

    fn key(&self) -> String {
        self.request.as_str().to_owned()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![self.due_at.into()]
    }
}

/// The row of a request as it is now, or none.
pub(super) fn keep(rows: &mut dyn Rows, request: &Request) -> Result<(), ApplyError> {
    let terms = request.terms();
    match request.overrides_due() {
        Some(due_at) => save(
            rows,
            &OverrideRow {
                request: terms.id.clone(),
                merchant: terms.merchant.clone(),
                due_at,
            },
        ),
        None => remove::<OverrideRow>(rows, terms.id.as_str()),
    }
}
