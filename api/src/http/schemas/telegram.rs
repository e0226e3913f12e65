//! What Telegram tells a bot, and what the bot tells Telegram.

use serde_json::{Value, json};

use super::{answer, number, text};

/// By name.
pub(super) fn schemas() -> Value {
    json!({
        "PreCheckoutQuery": told(&["id", "currency", "total_amount", "invoice_payload"], json!({
            "id": text("Of the query; the answer repeats it."), "currency": text("ISO 4217."),
            "total_amount": number("In minor units."), "invoice_payload": text("The payment request, pr_..., and nothing else."),
            "from": { "type": "object", "description": "Only language_code is read." }
        })),
        "AnswerPreCheckoutQuery": answer(&["pre_checkout_query_id", "ok"], json!({
            "pre_checkout_query_id": text("Of the query."), "ok": { "type": "boolean" },
            "error_message": text("What the payer reads, where ok is false: Armenian, Russian or English.")
        })),
        "SuccessfulPayment": told(
            &["currency", "total_amount", "invoice_payload", "telegram_payment_charge_id", "provider_payment_charge_id"],
            json!({
                "currency": text("ISO 4217."), "total_amount": number("In minor units."),
                "invoice_payload": text("The payment request, pr_..., and nothing else."),
                "telegram_payment_charge_id": text("Telegram's id of the payment."),
                "provider_payment_charge_id": text("The provider's id of the payment.")
            })
        )
    })
}

/// Somebody else's object, of which only some members are read.
fn told(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}
