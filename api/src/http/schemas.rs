//! JSON Schemas of the bodies and answers, by the names that the table of routes uses.

mod deliveries;
mod evidence;
mod exceptions;
mod outbound;
mod overrides;
mod refunds;
mod telegram;

use serde_json::{Value, json};

/// Every schema by name.
pub fn schemas() -> Value {
    let groups = [
        common(),
        deliveries::schemas(),
        evidence::schemas(),
        exceptions::schemas(),
        outbound::schemas(),
        overrides::schemas(),
        refunds::schemas(),
        telegram::schemas(),
    ];
    let members = groups.iter().filter_map(Value::as_object).flatten();
    members
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect()
}

fn common() -> Value {
    json!({
        "Money": {
            "type": "object", "required": ["minor", "currency"], "additionalProperties": false,
            "description": "Minor units as decimal text, so that nothing is lost in readers whose numbers are floats.",
            "properties": {
                "minor": { "type": ["string", "integer"], "pattern": "^[0-9]{1,18}$", "examples": ["150000"] },
                "currency": { "type": "string", "pattern": "^[A-Z]{3}$", "examples": ["AMD"] },
                "exponent": { "type": "integer", "minimum": 0, "maximum": 4, "examples": [2] }
            }
        },
        "Sum": {
            "type": "object", "required": ["minor", "currency", "exponent"],
            "description": "Like Money, and may be zero or negative.",
            "properties": {
                "minor": { "type": "string", "pattern": "^-?[0-9]{1,19}$" },
                "currency": { "type": "string" },
                "exponent": { "type": "integer" }
            }
        },
        "NewQuote": object(&["order_id", "scenario", "amount"], json!({
            "order_id": text("The shop's order."), "scenario": text("The way of selling."),
            "customer_ref": text("The customer, opaque: no phone, no e-mail."), "amount": reference("Money"),
            "valid_for_s": number("Seconds that it may be used; 86400 without."),
            "correlation_id": text("The cart or conversation.")
        })),
        "Quote": answer(&["id", "order_id", "scenario", "amount", "valid_until"], json!({
            "id": text("qt_..."), "order_id": text("The shop's order."), "scenario": text("The way of selling."),
            "customer_ref": text("The customer, opaque."), "amount": reference("Money"),
            "valid_until": time(), "client": text("Who priced it."), "merchant": text("Whose money."),
            "correlation_id": text("The cart or conversation.")
        })),
        "NewPaymentRequest": object(&[], json!({
            "quote_id": text("A quote. It names the order, the amount and the scenario."),
            "items": { "type": "array", "maxItems": 100, "items": object(&["item", "quantity"], json!({
                "item": text("Code of the catalogue."), "quantity": number("How many.")
            })) },
            "amount": reference("Money"), "order_id": text("The shop's order; with items or amount."),
            "scenario": text("The way of selling; with items or amount."),
            "customer_ref": text("The customer, opaque."),
            "expires_in_s": number("Life in seconds; the scenario's longest without."),
            "supersede": { "type": "boolean", "description": "Replace an open request of the same order." },
            "correlation_id": text("The cart or conversation.")
        })),
        "PaymentRequest": answer(&["id", "order_id", "status", "amount", "expires_at", "version"], json!({
            "id": text("pr_..."), "order_id": text("The shop's order."),
            "status": text("pending, processing, partially_paid, paid, expired, cancelled, partially_refunded, refunded, disputed or charged_back; for bots: pending, in_review, paid, expired, cancelled or refunded."),
            "bot_status": text("What a bot may show."), "in_review": { "type": "boolean" },
            "cancel_pending": { "type": "boolean", "description": "The provider was to be asked to end an attempt, and has not said that it did." },
            "amount": reference("Money"), "applied": reference("Sum"), "returned": reference("Sum"),
            "unapplied": { "type": "array", "items": reference("Sum") },
            "priced_by": { "type": "object" }, "scenario": text("The way of selling."),
            "client": text("Who created it."), "customer_ref": text("The customer, opaque."),
            "expires_at": time(), "checkout_url": text("The payer's page; whoever has it may see it and pay."), "pay_url": text("Where the payer pays, while an attempt is live."),
            "attempts": { "type": "array", "items": { "type": "object" } },
            "verification": { "type": "object" },
            "unapplied_funds": { "type": "array", "items": reference("UnappliedFunds"), "description": "In the answer to a create: money that closed requests of the order still hold." },
            "override": { "type": "object", "description": "The decision that it counts as paid by: proposal, state (unproven, unsubstantiated, written_off or proven) and prove_by." },
            "cancelled_by": text("client, superseded or revoked."),
            "proposals": { "type": "array", "items": { "type": "object" }, "description": "Overrides and revocations that were proposed; never for bots." },
            "captures": { "type": "array", "items": reference("Capture") },
            "refunds": { "type": "array", "items": reference("Refund") },
            "refund_pending": { "type": "boolean", "description": "A refund has no answer yet." },
            "version": number("Version of the stream; the ETag.")
        })),
        "PaymentRequestList": list("payment_requests"),
        "NewAttempt": object(&[], json!({ "account": text("A provider account; the scenario's first without.") })),
        "NewPrecheck": object(&["amount"], json!({
            "amount": reference("Money"), "account": text("The account that asks; the attempt's without."),
            "attempt_no": number("Which attempt; the live one without.")
        })),
        "Precheck": answer(&["allowed"], json!({
            "allowed": { "type": "boolean" },
            "reason": text("not_payable, amount, currency, account or other_attempt.")
        })),
        "Cancel": object(&[], json!({})),
        "NewNotice": object(&["kind"], json!({
            "kind": text("screenshot, message or success_page."), "text": text("What the customer wrote."),
            "image_base64": text("PNG, JPEG or WebP, at most 45,000 bytes.")
        })),
        "Trail": answer(&["payment_request_id", "steps"], json!({
            "payment_request_id": text("pr_..."), "steps": { "type": "array", "items": { "type": "object" } }
        })),
        "EventPage": answer(&["events", "done"], json!({
            "events": { "type": "array", "items": { "type": "object" } },
            "next": text("Read on from here."), "done": { "type": "boolean" }
        })),
        "Reason": object(&["reason"], json!({
            "reason": text("A short code for why."), "text": text("Words; kept sealed.")
        })),
        "ProjectionList": answer(&["projections"], json!({
            "projections": { "type": "array", "items": { "type": "object" } }
        })),
        "SignIn": object(&["operator", "password"], json!({
            "operator": text("Who."), "password": text("Their password."),
            "totp": text("The code of their authenticator app, where they are asked for one.")
        })),
        "Session": answer(&["token", "operator", "expires_at"], json!({
            "token": text("cfs_...; shown this once."), "operator": text("Who."), "merchant": text("Whose money."),
            "role": text("What they may do."), "scopes": { "type": "array", "items": { "type": "string" } },
            "expires_at": time(), "idle_s_max": number("Seconds without a call after which it is over.")
        })),
        "Confirm": object(&["password", "proposal"], json!({
            "password": text("The password, once more."), "proposal": text("What is to be decided."),
            "totp": text("A new code, where one is asked for.")
        })),
        "Ticket": answer(&["ticket", "proposal", "expires_at"], json!({
            "ticket": text("cft_...; sent along with the decision."), "proposal": text("The only one that it counts for."),
            "expires_at": time()
        })),
        "Health": answer(&["status"], json!({
            "status": text("live, ready or not_ready."), "parts": { "type": "object" }, "version": text("Of the program.")
        })),
        "Problem": answer(&["type", "title", "status", "code"], json!({
            "type": text("A page about it."), "title": text("A few words."), "status": number("HTTP status."),
            "code": text("What programs compare."), "detail": text("A sentence about this case."),
            "errors": { "type": "array", "items": object(&["pointer", "detail"], json!({
                "pointer": text("Which field."), "detail": text("What is wrong.")
            })) },
            "retry_after": number("Seconds to wait.")
        }))
    })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "additionalProperties": false, "properties": properties })
}

/// Answers may grow members; readers ignore what they do not know.
fn answer(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn list(name: &str) -> Value {
    answer(
        &[name],
        json!({
            name: { "type": "array", "items": { "type": "object" } }, "next": text("Cursor of the next page.")
        }),
    )
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn number(description: &str) -> Value {
    json!({ "type": "integer", "description": description })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}
