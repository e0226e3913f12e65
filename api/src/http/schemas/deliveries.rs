//! Schemas of deliveries.

use domain::delivery::FailedWhy;
use domain::delivery::event::FailureClass;
use domain::subscriber::PER_SECOND_MAX;
use projections::views::delivery_queue::QueueState;
use serde_json::{Value, json};

use super::{answer, number, object, text, time};
use crate::app::deliveries::BATCH_PER_SECOND;

pub(super) fn schemas() -> Value {
    json!({
        "Delivery": answer(&["id", "state"], row()),
        "DeliveryList": answer(&["deliveries"], json!({
            "deliveries": { "type": "array", "items": super::reference("Delivery") },
            "next": text("Cursor of the next page; null on the last one.")
        })),
        "DeliveryDetail": answer(&["id", "state", "attempts", "history"], detail()),
        "DeliveryRequest": answer(&["method", "url", "headers", "body", "signed", "curl"], json!({
            "method": text("POST."), "url": text("Where to, by today's settings."),
            "headers": { "type": "array", "items": answer(&["name", "value"], json!({
                "name": text("In lower case."), "value": text("Its value; *** where it looks like a secret.")
            })) },
            "body": text("Byte for byte."), "body_sha256": text("Of these bytes."),
            "signed": { "type": "boolean", "description": "Whether it can be sent as it stands, within five minutes." },
            "tries": { "type": "array", "items": answer(&["generation", "attempt_no"], json!({
                "generation": number("Schedule."), "attempt_no": number("Try of it."), "sent_at": time(),
                "key_ids": { "type": "array", "items": text("A key that signed it.") },
                "body_sha256": text("Of the bytes that were sent."),
                "same_body": { "type": ["boolean", "null"], "description": "Whether those are the bytes shown here." },
                "same_url": { "type": ["boolean", "null"], "description": "Whether it went to the URL shown here." }
            })) },
            "curl": text("All of it as one line for a shell.")
        })),
        "NewDeliveryBatch": object(&["subscriber"], json!({
            "subscriber": text("Whose failed deliveries."), "which": which(),
            "per_second": { "type": "integer", "minimum": 1, "maximum": PER_SECOND_MAX, "default": BATCH_PER_SECOND, "description": "How many of them per second." },
            "dry_run": { "type": "boolean", "default": false, "description": "Only count them; changes nothing and needs no reason." },
            "reason": text("A short code for why."), "text": text("Words; kept sealed.")
        })),
        "DeliveryBatch": answer(&["subscriber", "order"], json!({
            "id": text("bat_..."), "subscriber": text("Whose failed deliveries."), "order": text("redrive or abandon."),
            "which": which(), "per_second": number("How many of them per second."),
            "state": text("running, finished or cancelled."),
            "total": number("Deliveries that it took in: those on the failed list when it was asked for."),
            "done": number("Carried out."), "skipped": number("Decided by somebody else before their turn came."),
            "left": number("Whose turn has not come."),
            "elsewhere": number("That another batch had taken in already."),
            "requested_at": time(), "requested_by": text("Who asked for it."), "reason": text("Why."),
            "ended_at": { "type": ["string", "null"], "format": "date-time" },
            "dry_run": { "type": "boolean", "description": "True where nothing was changed." },
            "sample": { "type": "array", "items": super::reference("Delivery"), "description": "Of a dry run: the newest that it would take in." }
        })),
        "DeliveryBatchList": answer(&["delivery_batches"], json!({
            "delivery_batches": { "type": "array", "items": super::reference("DeliveryBatch") },
            "next": text("Cursor of the next page; null on the last one.")
        }))
    })
}

fn which() -> Value {
    let classes = FailureClass::ALL.map(FailureClass::as_str);
    let reasons: Vec<_> = FailedWhy::all().map(FailedWhy::as_str).collect();
    json!({ "type": "object", "additionalProperties": false, "description": "Which of them; all without.", "properties": {
        "classes": { "type": "array", "items": { "type": "string", "enum": classes }, "description": "Whose last try failed like this." },
        "reasons": { "type": "array", "items": { "type": "string", "enum": reasons }, "description": "That ended because of this." },
        "since": { "type": "string", "format": "date-time", "description": "Of events recorded at this time or later ..." },
        "until": { "type": "string", "format": "date-time", "description": "... and before this one." }
    } })
}

fn row() -> Value {
    let states = QueueState::ALL.map(QueueState::as_str);
    let classes = FailureClass::ALL.map(FailureClass::as_str);
    let reasons: Vec<_> = FailedWhy::all().map(FailedWhy::as_str).collect();
    json!({
        "id": text("dlv_..."), "subscriber": text("Who hears it."), "event": text("Which event it is."),
        "event_id": text("The ledger event."), "subject": text("What it is about."),
        "state": { "type": "string", "enum": states },
        "generation": number("1, and one more after each redrive."), "attempts": number("Tries of this generation."),
        "next_try_at": { "type": ["string", "null"], "format": "date-time" },
        "class": { "type": ["string", "null"], "description": format!("How the last try failed: {}.", classes.join(", ")) },
        "reason": { "type": ["string", "null"], "description": format!("Why there are no more tries: {}.", reasons.join(", ")) },
        "last_failure": { "type": ["string", "null"], "description": "The reason, or else the class." },
        "batch": { "type": ["string", "null"], "description": "The batch in which its turn has not come yet." },
        "last_status": { "type": ["integer", "null"] }, "created_at": time(),
        "delivered_at": { "type": ["string", "null"], "format": "date-time" }
    })
}

fn detail() -> Value {
    let mut members = row();
    members["body"] = text("Byte for byte.");
    members["body_sha256"] = text("Of these bytes.");
    members["attempts"] = json!({ "type": "array", "items": answer(&["generation", "attempt_no"], json!({
        "generation": number("Schedule."), "attempt_no": number("Try of it."), "sent_at": time(),
        "http_status": { "type": ["integer", "null"] }, "class": { "type": ["string", "null"] },
        "ended": { "type": ["string", "null"], "description": "Why it was the last one." },
        "latency_ms": { "type": ["integer", "null"] },
        "key_ids": { "type": "array", "items": text("A key that signed it.") },
        "body_sha256": { "type": ["string", "null"] }, "endpoint_url_sha256": { "type": ["string", "null"] },
        "receiver_ref": { "type": ["string", "null"] },
        "answer": { "type": ["string", "null"], "description": "The beginning of what came back, at most 1 KiB, without control characters and card numbers; gone after 30 days." }
    })) });
    members["history"] = json!({ "type": "array", "items": object(&["what", "when", "who"], json!({
        "what": text("The event."), "when": time(), "who": text("By whom."),
        "why": { "type": ["string", "null"] }, "data": { "type": "object" }
    })) });
    members
}
