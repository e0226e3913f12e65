//! Schemas of exceptions and of what people do with them.

use serde_json::{Value, json};

use super::{answer, list, number, object, reference, text, time};

pub(super) fn schemas() -> Value {
    json!({
        "ExceptionList": list("exceptions"),
        "Exception": answer(&["id", "kind", "state", "version"], json!({
            "id": text("<stream>~<number>."), "payment_request_id": text("pr_..."), "order_id": text("The shop's order."),
            "kind": text("What is out of order."), "severity": text("critical, high, medium or low."),
            "state": text("open or resolved."), "about": text("What it is about."), "capture": text("<provider>/<account>/<transaction>."),
            "money": reference("Money"), "holds": reference("Sum"), "held_by_refunds": reference("Sum"),
            "opened_at": time(), "due": time(), "assignee": text("Who looks after it."),
            "resolution": text("accepted, refunded, reassigned, kept_as_income, dismissed or settled."),
            "history": { "type": "array", "items": { "type": "object" } },
            "resolutions": { "type": "array", "items": { "type": "object" }, "description": "Every way to decide it, and whether it would be done now." },
            "refund_id": text("The refund that was asked for."), "transfer_id": text("The transfer that the money left by."),
            "status": text("Of the payment request, after a decision."), "version": number("Version of the stream.")
        })),
        "UnappliedFunds": answer(&["payment_request_id", "amount"], json!({
            "payment_request_id": text("The closed request that holds it."), "exception_id": text("The case to decide it in."),
            "amount": reference("Sum")
        })),
        "Assignment": object(&["to"], json!({
            "to": { "type": ["string", "null"], "description": "A person of the merchant; null for nobody." },
            "reason": text("A short code for why."), "text": text("Words; kept sealed.")
        })),
        "CaseDecision": object(&["resolution", "reason", "text"], json!({
            "resolution": text("accept, refund, reassign, keep_as_income, dismiss or refund_answer; of money that no request explains: reassign, given_back or keep_as_income."),
            "reason": text("A short code for why."), "text": text("Words, at most 2,000 characters; kept sealed."),
            "with": { "type": "array", "items": { "type": "string" }, "description": "Of accept: other cases of the request whose money counts as well." },
            "to": text("Of reassign: the payment request that gets the money."),
            "settled": { "type": "boolean", "description": "Of refund_answer: true when the money went back." },
            "reversal": text("Of refund_answer: the provider's id of the reversal.")
        }))
    })
}
