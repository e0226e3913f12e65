//! JSON Schemas (draft 2020-12) of what subscribers are sent, one per event and version. Members may
//! be added inside a version, so receivers ignore what they do not know; everything else is a new
//! version beside this one.

use serde_json::{Value, json};

use super::EventName;

/// The file name of an event's schema: `payment.verified.v1.json`.
pub fn file_name(name: EventName) -> String {
    let ce_type = name.ce_type();
    format!(
        "{}.json",
        ce_type.strip_prefix("counterfoil.").unwrap_or(ce_type)
    )
}

/// The event whose schema has this file name.
pub fn of_file(file: &str) -> Option<EventName> {
    EventName::ALL
        .iter()
        .copied()
        .find(|name| file_name(*name) == file)
}

/// The schema of a whole body, the CloudEvents envelope included.
pub fn schema(name: EventName) -> Value {
    let (data, needed) = data(name);
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:counterfoil:schema:{}", name.ce_type()),
        "title": name.as_str(),
        "type": "object",
        "required": [
            "specversion", "id", "source", "type", "subject", "time", "recordedtime", "sequence",
            "partitionkey", "dataclassification", "datacontenttype", "data"
        ],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string", "format": "uuid", "description": "Of the ledger event: the same for every subscriber and every try." },
            "source": { "type": "string", "description": "The log." },
            "type": { "const": name.ce_type() },
            "subject": { "type": "string", "description": "What it is about; `sequence` counts within it." },
            "time": time("When it happened."),
            "recordedtime": time("When the ledger recorded it."),
            "sequence": text("^[0-9]{10}$"),
            "partitionkey": { "type": "string", "description": "The same as `subject`." },
            "correlationid": { "type": "string" },
            "causationid": { "type": "string" },
            "dataclassification": { "const": "confidential" },
            "datacontenttype": { "const": "application/json" },
            "data": { "type": "object", "required": needed, "properties": data }
        }
    })
}

/// Members of `data`, and which of them are always there.
fn data(name: EventName) -> (Value, Vec<&'static str>) {
    let about = [
        "payment_request_id",
        "order_id",
        "merchant_id",
        "is_test",
        "log",
    ];
    let (own, own_needed): (Value, &[&str]) = match name {
        EventName::PaymentVerified => (
            verified(),
            &[
                "status",
                "scenario",
                "amount",
                "amount_requested",
                "provider",
                "verification",
                "timeline",
                "override",
            ],
        ),
        EventName::PaymentReversed => (
            json!({ "provider": provider(), "reversal": object(&["kind", "delta", "cumulative", "requested"], json!({
                "kind": { "enum": ["refund", "void", "chargeback", "revoked"] },
                "delta": sum("Of this reversal; negative when a refund came back."),
                "cumulative": sum("Of all reversals since the payment was verified."),
                "requested": { "type": "boolean", "description": "True when the ledger was asked for it." }
            })) }),
            &["provider", "reversal"],
        ),
        EventName::PaymentDisputed => (
            json!({ "dispute": object(&["id", "amount"], json!({
                "id": text("The provider's."), "amount": sum("What is contested."),
                "reason": nullable("The provider's code."), "due_by": nullable_time("Answer the provider before.")
            })) }),
            &["dispute"],
        ),
        EventName::PaymentDisputeClosed => (
            json!({ "dispute": object(&["id", "outcome"], json!({
                "id": text("The provider's."), "outcome": { "const": "won" }
            })) }),
            &["dispute"],
        ),
        EventName::RequestExpired => (
            json!({ "confirmed": { "type": "boolean", "description": "True when the provider said that nothing was paid." } }),
            &["confirmed"],
        ),
        EventName::RequestCancelled => (
            json!({
                "by": { "enum": ["client", "superseded", "revoked"] },
                "superseded_by": nullable("The request that took its place.")
            }),
            &["by", "superseded_by"],
        ),
        EventName::PartiallyPaid => (json!({ "applied": sum("So far.") }), &["applied"]),
        EventName::ExceptionOpened => {
            let own = json!({
                "case": text("Its id."), "kind": text("What is out of order."),
                "severity": { "enum": ["low", "medium", "high", "critical"] }, "due": time("Decide before.")
            });
            return (
                with_common(own),
                vec!["case", "kind", "severity", "due", "merchant_id", "log"],
            );
        }
        EventName::ExceptionResolved => {
            let own = json!({ "case": text("Its id."), "resolution": text("How it ended.") });
            return (
                with_common(own),
                vec!["case", "resolution", "merchant_id", "log"],
            );
        }
        EventName::DeliveryTest => {
            let own = json!({ "is_test": { "const": true }, "log": log() });
            return (own, vec!["is_test", "log"]);
        }
    };
    (
        with_common(own),
        about.iter().chain(own_needed).copied().collect(),
    )
}

fn verified() -> Value {
    json!({
        "status": { "const": "paid" },
        "scenario": text("The way of selling."),
        "amount": sum("What is paid."),
        "amount_requested": sum("What was asked for."),
        "provider": provider(),
        "verification": object(&["method", "verified_at", "evidence_ids"], json!({
            "method": { "enum": ["signed_notification", "status_lookup", "settlement", "override"] },
            "verified_at": time("When the ledger decided."),
            "evidence_ids": { "type": "array", "items": text("Commitment to a piece of evidence.") }
        })),
        "timeline": object(&["requested_at", "expires_at", "verified_at", "late"], json!({
            "requested_at": time("When the request was made."), "expires_at": time("When it would run out."),
            "paid_at": nullable_time("When the payer paid, by the provider."), "verified_at": time("When the ledger decided."),
            "late": { "type": "boolean", "description": "True when it counts although it came after the end." }
        })),
        "override": { "type": ["object", "null"], "description": "Who decided that it is paid, where no money proves it yet." }
    })
}

/// Ids, mode and proof stand in every body that is about a payment.
fn with_common(mut own: Value) -> Value {
    let common = json!({
        "payment_request_id": text("pr_..."), "order_id": text("The shop's order."),
        "merchant_id": text("Whose money."), "customer_ref": text("The customer, opaque."),
        "is_test": { "type": "boolean", "description": "True when no real money moves." }, "log": log()
    });
    if let (Value::Object(own), Value::Object(common)) = (&mut own, common) {
        own.extend(common);
    }
    own
}

fn log() -> Value {
    object(
        &["origin", "leaf_hash"],
        json!({
            "origin": text("Name of the log."),
            "leaf_hash": { "type": "string", "pattern": "^[0-9a-f]{64}$", "description": "Of the record that `id` names (RFC 6962)." }
        }),
    )
}

fn provider() -> Value {
    let mut of_capture = object(
        &["code", "transaction_id", "method"],
        json!({
            "code": text("Which provider."), "transaction_id": text("The provider's."),
            "order_ref": nullable("The provider's order."), "method": { "enum": ["card", "wallet", "qr", "other"] }
        }),
    );
    of_capture["type"] = json!(["object", "null"]);
    of_capture
}

fn sum(description: &str) -> Value {
    let mut sum = object(
        &["minor", "currency", "exponent"],
        json!({
            "minor": { "type": "string", "pattern": "^-?[0-9]{1,19}$" },
            "currency": { "type": "string", "pattern": "^[A-Z]{3}$" },
            "exponent": { "type": "integer", "minimum": 0, "maximum": 4 }
        }),
    );
    sum["description"] = json!(description);
    sum
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn nullable(description: &str) -> Value {
    json!({ "type": ["string", "null"], "description": description })
}

fn time(description: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": description })
}

fn nullable_time(description: &str) -> Value {
    json!({ "type": ["string", "null"], "format": "date-time", "description": description })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_a_file_of_its_own_and_is_found_by_it() {
        for name in EventName::ALL {
            assert_eq!(of_file(&file_name(*name)), Some(*name));
        }
        assert_eq!(
            file_name(EventName::PaymentVerified),
            "payment.verified.v1.json"
        );
        assert_eq!(of_file("payment.verified.json"), None);
    }
}
