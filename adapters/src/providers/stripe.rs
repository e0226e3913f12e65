//! Stripe: signed events. Our reference travels in `client_reference_id` or `metadata`, amounts in
//! minor units. Read from stripe.com/docs (webhooks, event types), 2026-10.

use domain::money::{Currency, Sum};
use domain::payment::evidence::{EvidenceClass, Mode};
use domain::payment::fact::{Fact, FactKind, RefundAmount};
use domain::ports::{
    Acknowledge, Authentic, InboundProvider, InboundRequest, NotUnderstood, ProviderAnswer,
    Rejected, Secret,
};
use domain::time::Timestamp;
use serde_json::Value;

pub mod refunds;

use super::pointer::{reference, text, time};
use super::signature::stripe;
use super::sim::plain_answer;

/// Reads Stripe's events.
#[derive(Debug, Clone, Copy)]
pub struct StripeInbound;

impl InboundProvider for StripeInbound {
    fn authenticate(
        &self,
        request: &InboundRequest,
        secrets: &[Secret],
        now: Timestamp,
    ) -> Result<Authentic, Rejected> {
        let key_id = stripe::check(request, secrets, now)?;
        Ok(Authentic {
            scheme: "stripe".to_owned(),
            key_id: Some(key_id),
            signed_bytes: request.body.clone(),
            class: EvidenceClass::Signed,
        })
    }

    fn facts(&self, request: &InboundRequest) -> Result<Vec<Fact>, NotUnderstood> {
        let event: Value = serde_json::from_slice(&request.body).map_err(|_| NotUnderstood {
            why: "the body is no JSON",
        })?;
        Ok(fact(&event).into_iter().collect())
    }

    fn answer(&self, acknowledge: Acknowledge) -> ProviderAnswer {
        plain_answer(acknowledge)
    }
}

/// `None` for events that are about no payment of ours. A session that ended says something about
/// its attempt only.
fn fact(event: &Value) -> Option<Fact> {
    let name = text(event, "/type")?;
    let object = event.pointer("/data/object")?;
    let kind = match name.as_str() {
        "payment_intent.processing" => FactKind::Processing,
        "payment_intent.amount_capturable_updated" => FactKind::Authorised,
        "payment_intent.succeeded" => FactKind::Captured,
        "payment_intent.payment_failed" => FactKind::Declined,
        "payment_intent.canceled" | "checkout.session.expired" => FactKind::SessionExpired,
        "charge.refunded" => FactKind::Refunded {
            amount: RefundAmount::Cumulative(amount_of(object, "/amount_refunded")?),
            reversal: None,
        },
        "charge.dispute.created" => FactKind::DisputeOpened {
            dispute: reference(object, "/id")?,
            amount: amount_of(object, "/amount").and_then(Sum::money),
            reason: text(object, "/reason"),
            due_by: time(object, "/evidence_details/due_by").map(|time| time.at),
        },
        "charge.dispute.closed" => {
            let dispute = reference(object, "/id")?;
            match text(object, "/status").as_deref() {
                Some("won") => FactKind::DisputeWon { dispute },
                Some("lost") => FactKind::DisputeLost { dispute },
                Some(_) | None => FactKind::Unknown,
            }
        }
        other => refunds::failed(other, object)?,
    };
    let reference_of = |pointers: &[&str]| {
        pointers
            .iter()
            .find_map(|pointer| reference(object, pointer))
    };
    let of_intent = name.starts_with("payment_intent.");
    let transaction = match &kind {
        FactKind::Captured | FactKind::Authorised => reference(object, "/latest_charge"),
        FactKind::Refunded { .. } => reference(object, "/id"),
        FactKind::DisputeOpened { .. }
        | FactKind::DisputeWon { .. }
        | FactKind::DisputeLost { .. }
        | FactKind::RefundFailed { .. } => reference(object, "/charge"),
        FactKind::Registered
        | FactKind::Processing
        | FactKind::Declined
        | FactKind::SessionExpired
        | FactKind::Unknown
        | FactKind::Voided { .. } => None,
    };
    Some(Fact {
        alias_of: None,
        our_reference: reference_of(&["/metadata/our_reference", "/client_reference_id"]),
        provider_order_ref: if of_intent {
            reference(object, "/id")
        } else {
            reference(object, "/payment_intent")
        },
        transaction,
        amount: if kind == FactKind::Captured {
            amount_of(object, "/amount_received").and_then(Sum::money)
        } else {
            None
        },
        payee: text(event, "/account"),
        mode: event
            .pointer("/livemode")
            .and_then(Value::as_bool)
            .map(|live| if live { Mode::Live } else { Mode::Test }),
        provider_time: time(event, "/created"),
        provider_status: Some(name),
        kind,
    })
}

/// An amount in ISO 4217's minor units, where Stripe's own differ ("special cases" and "zero-decimal
/// currencies" of stripe.com/docs/currencies). Of UGX its pages say both; what cannot be told is not
/// guessed.
fn amount_of(object: &Value, pointer: &str) -> Option<Sum> {
    let currency = Currency::from_code(&text(object, "/currency")?.to_ascii_uppercase())?;
    let told: i64 = text(object, pointer)?.parse().ok()?;
    let minor = match currency.code() {
        "ISK" => (told % 100 == 0).then_some(told / 100),
        "MGA" => told.checked_mul(100),
        "UGX" => None,
        _ => Some(told),
    };
    Some(Sum::new(minor?, currency))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(name: &str, object: Value) -> Option<Fact> {
        fact(
            &json!({"id": "evt_1", "type": name, "created": 1_790_000_000, "livemode": false, "data": {"object": object}}),
        )
    }

    #[test]
    fn a_succeeded_intent_is_a_capture_with_all_terms() {
        let fact = event(
            "payment_intent.succeeded",
            json!({"id": "pi_1", "amount_received": 1500, "currency": "usd", "latest_charge": "ch_1",
                   "metadata": {"our_reference": "pr_x-1"}}),
        )
        .unwrap();
        assert_eq!(fact.kind, FactKind::Captured);
        assert_eq!(fact.amount.unwrap().to_string(), "15.00 USD");
        assert_eq!(fact.transaction.unwrap().as_str(), "ch_1");
        assert_eq!(fact.our_reference.unwrap().as_str(), "pr_x-1");
        assert_eq!(fact.mode, Some(Mode::Test));
    }

    #[test]
    fn amounts_are_read_in_stripes_units_and_never_guessed() {
        let captured = |currency: &str, told: i64| {
            let object = json!({"id": "pi_1", "amount_received": told, "currency": currency});
            let fact = event("payment_intent.succeeded", object).unwrap();
            fact.amount.map(|amount| amount.to_string())
        };
        for (currency, told, read) in [
            ("isk", 50_000, Some("500 ISK")),
            ("isk", 50_050, None),
            ("mga", 500, Some("500.00 MGA")),
            ("mga", i64::MAX, None),
            ("ugx", 50_000, None),
            ("jpy", 500, Some("500 JPY")),
            ("kwd", 5_120, Some("5.120 KWD")),
            ("usd", 0, None),
        ] {
            assert_eq!(
                captured(currency, told).as_deref(),
                read,
                "{currency} {told}"
            );
        }
    }

    #[test]
    fn refunds_are_cumulative_and_disputes_name_their_charge() {
        let refund = event(
            "charge.refunded",
            json!({"id": "ch_1", "amount_refunded": 500, "currency": "usd"}),
        );
        let refund = refund.unwrap();
        assert!(
            matches!(refund.kind, FactKind::Refunded { amount: RefundAmount::Cumulative(sum), .. } if sum.minor() == 500)
        );
        let lost = event(
            "charge.dispute.closed",
            json!({"id": "dp_1", "charge": "ch_1", "status": "lost"}),
        )
        .unwrap();
        assert!(matches!(lost.kind, FactKind::DisputeLost { .. }));
        assert_eq!(lost.transaction.unwrap().as_str(), "ch_1");
        let odd = event(
            "charge.dispute.closed",
            json!({"id": "dp_1", "status": "warning_closed"}),
        )
        .unwrap();
        assert_eq!(odd.kind, FactKind::Unknown);
        assert_eq!(event("customer.created", json!({})), None);
    }
}
