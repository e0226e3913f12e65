//! Schemas of subscribers and deliveries.

use domain::subscriber::{DeliveryPolicy, IN_FLIGHT_MAX, PER_SECOND_MAX, Wish};
use serde_json::{Value, json};

use super::{answer, list, number, object, text, time};

pub(super) fn schemas() -> Value {
    json!({
        "NewSubscriber": object(&["id"], json!({
            "id": text("Its name."), "url": text("Where events are sent; https. Needed, unless delivery is pull."),
            "delivery": delivery(), "start_from": time(),
            "events": words(), "scenarios": scenarios(), "policy": policy(), "headers": headers()
        })),
        "SubscriberChange": object(&[], json!({
            "url": text("Where events are sent; https."), "delivery": delivery(),
            "events": words(), "scenarios": scenarios(), "policy": policy(), "headers": headers()
        })),
        "NewSigningKey": object(&[], json!({
            "scheme": text("v1 (a shared secret, the usual one) or v1a (a key pair)."),
            "overlap_s": number("Seconds for which the others of its scheme sign on: 0 to 604800, usually 86400.")
        })),
        "Backfill": object(&["from", "reason"], json!({
            "from": time(), "to": time(),
            "subjects": { "type": "array", "items": text("Only these payment requests; all without.") },
            "reason": text("A short code for why."), "text": text("Words; kept sealed.")
        })),
        "Subscriber": answer(&["id", "state"], json!({
            "id": text("Its name."), "url": text("Where events are sent."), "delivery": delivery(), "state": text("active, paused or removed."),
            "paused": text("operator or gone (it answered 410), while it is paused."), "left_alone_since": time(),
            "events": words(), "scenarios": scenarios(), "policy": policy(), "headers": headers(),
            "keys": { "type": "array", "items": { "type": "object" } }, "queue": queue(),
            "signing_secret": text("Shown once, in the answer that made it."), "public_key": text("Of a new key pair.")
        })),
        "SubscriberList": list("subscribers"),
        "PulledEvents": answer(&["done", "events"], json!({
            "iterator": text("Where the page ends: go on after it, and acknowledge up to it."),
            "done": { "type": "boolean", "description": "Nothing followed." },
            "events": { "type": "array", "items": answer(&["delivery_id", "headers", "body"], json!({
                "delivery_id": text("dlv_..."), "headers": { "type": "object", "description": "As a push would carry them, signed now." },
                "body": text("The exact bytes of the event, as text.")
            })) }
        })),
        "Acknowledgement": object(&["cursor"], json!({ "cursor": text("Of a page that was fetched.") })),
        "Acknowledged": answer(&["cursor", "acknowledged", "done"], json!({
            "cursor": text("Up to where."), "acknowledged": number("Deliveries that ended by it."),
            "done": { "type": "boolean", "description": "False when more are left than one call does; call again." }
        }))
    })
}

fn queue() -> Value {
    answer(
        &["waiting", "failed"],
        json!({
            "waiting": number("Deliveries that are still to be sent or fetched, counted up to 1000."), "oldest_waiting_since": time(),
            "failed": number("Deliveries that ended without success and wait for a person, counted up to 1000."),
            "failures_in_a_row": number("Failed tries in a row."),
            "left_alone_after": number("So many in a row, of two deliveries at least, and it is left alone for a while."),
            "next_probe_at": time()
        }),
    )
}

fn delivery() -> Value {
    json!({ "type": "string", "enum": ["push", "pull"], "description": "push: events are sent to url, and may be fetched as well. pull: they are only fetched." })
}

fn words() -> Value {
    let known = Wish::words();
    json!({ "type": "array", "minItems": 1, "items": { "type": "string", "enum": known } })
}

fn scenarios() -> Value {
    json!({ "type": ["array", "null"], "items": text("A scenario."), "description": "Only these; all without." })
}

fn policy() -> Value {
    let usual = DeliveryPolicy::default();
    let most = |most: u32, usual: u32, what: &str| json!({ "type": "integer", "minimum": 1, "maximum": most, "default": usual, "description": what });
    let in_flight = most(
        IN_FLIGHT_MAX.into(),
        usual.max_in_flight.into(),
        "Requests at once.",
    );
    json!({ "type": "object", "additionalProperties": false, "properties": {
        "max_in_flight": in_flight,
        "per_second": most(PER_SECOND_MAX, usual.per_second, "Requests per second on average."),
        "burst": most(PER_SECOND_MAX, usual.burst, "Requests at once after a quiet time."),
        "strict_fifo": { "type": "boolean", "default": usual.strict_fifo, "description": "Everything in order, one at a time: what does not arrive holds up the rest." },
        "refused_tries": most(13, usual.refused_tries, "Tries of what the receiver refuses (4xx).")
    } })
}

fn headers() -> Value {
    json!({ "type": "object", "maxProperties": 10, "additionalProperties": { "type": "string" }, "description": "Headers of every request; plain, no secrets." })
}
