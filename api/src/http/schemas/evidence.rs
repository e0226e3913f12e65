//! Of what is kept sealed.

use serde_json::{Value, json};

use super::{answer, object, text, time};

/// By name.
pub(super) fn schemas() -> Value {
    let piece = answer(
        &["commitment", "kind", "media", "event", "actor", "at"],
        json!({
            "commitment": text("What it is opened by; it tells nothing of the content."),
            "kind": text("payer_notice, proposal, notification, look_up or refund."),
            "media": text("Media type, as it was kept."), "ref": text("The provider's own id of it."), "event": text("The event that names it first."),
            "actor": text("Who that was."), "at": time()
        }),
    );
    let list = answer(
        &["payment_request_id", "evidence"],
        json!({ "payment_request_id": text("pr_..."), "evidence": { "type": "array", "items": piece } }),
    );
    let reason = object(
        &["reason"],
        json!({
            "reason": text("A short code for why it is opened."),
            "text": text("Words, at most 2,000 characters; kept sealed.")
        }),
    );
    json!({ "EvidenceList": list, "EvidenceReason": reason })
}
