//! Schemas of money that goes back.

use serde_json::{Value, json};

use super::{answer, object, reference, text};

pub(super) fn schemas() -> Value {
    json!({
        "NewRefund": object(&["amount", "reason"], json!({
            "amount": reference("Money"),
            "capture": text("Which captured money; the only one without."),
            "part": text("applied (what counts towards the order) or unapplied (what waits for a person); applied without."),
            "reason": text("A short code for why."), "text": text("Words; kept sealed.")
        })),
        "Capture": answer(&["capture", "amount"], json!({
            "capture": text("provider/account/transaction."), "amount": reference("Sum"),
            "applied": reference("Sum"), "unapplied": reference("Sum"), "returned": reference("Sum"),
            "refundable_applied": reference("Sum"), "refundable_unapplied": reference("Sum")
        })),
        "Refund": answer(&["refund", "capture", "state"], json!({
            "refund": text("rf_..."), "capture": text("provider/account/transaction."),
            "part": text("applied or unapplied."), "amount": reference("Sum"),
            "state": text("requested, submitted, accepted, uncertain, settled or failed."),
            "reversal": text("What the provider calls it.")
        }))
    })
}
