//! Schemas of deliveries.

use domain::delivery::FailedWhy;
use domain::delivery::event::FailureClass;
use projections::views::delivery_queue::QueueState;
use serde_json::{Value, json};

use super::{answer, number, object, text, time};

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
        }))
    })
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
