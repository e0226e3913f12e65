//! Idram (AMD only): the payer's browser takes a form there, Idram asks us before it takes the money
//! and tells us afterwards, and nobody can ask it anything.
//!
//! The first message is not signed and is answered from our own state. The second carries a keyed MD5,
//! which is weak: it pays only through an attempt that Idram had asked about. There is no look-up, no
//! refund call and no cancel.

mod message;

use async_trait::async_trait;
use domain::payment::evidence::EvidenceClass;
use domain::payment::fact::{Fact, FactKind};
use domain::ports::{
    Acknowledge, Authentic, HandOver, InboundProvider, InboundRequest, LookUp, LookUpOutcome,
    NotUnderstood, PayForm, ProviderAnswer, ProviderApi, Question, RegisterOutcome, Registration,
    Rejected, Secret,
};
use domain::time::Timestamp;
use subtle::ConstantTimeEq;

use self::message::{Message, checksum};
use super::signature::from_hex;
use super::sim::plain_answer;

/// The page that takes the form, where the configuration names no other.
pub const PAGE: &str = "https://banking.idram.am/Payment/GetPayment";
/// The only currency.
const CURRENCY: &str = "AMD";

/// Reads Idram's messages.
#[derive(Debug, Clone, Copy)]
pub struct IdramInbound;

impl InboundProvider for IdramInbound {
    fn authenticate(
        &self,
        request: &InboundRequest,
        secrets: &[Secret],
        _now: Timestamp,
    ) -> Result<Authentic, Rejected> {
        let message = Message::read(request)?;
        let told = message
            .raw("EDP_CHECKSUM")
            .ok_or(Rejected::MissingSignature)?;
        let told = from_hex(told).ok_or(Rejected::Malformed)?;
        let covered = message.covered()?;
        let keys: Vec<_> = secrets.iter().filter(|key| !key.value.is_empty()).collect();
        if keys.is_empty() {
            return Err(Rejected::NoSecret);
        }
        let holds = keys
            .iter()
            .find(|key| bool::from(checksum(&covered, &key.value).as_slice().ct_eq(&told)));
        let key = holds.ok_or(Rejected::BadSignature)?;
        Ok(Authentic {
            scheme: "idram".to_owned(),
            key_id: Some(key.key_id.clone()),
            signed_bytes: covered.concat().into_bytes(),
            class: EvidenceClass::WeaklySigned,
        })
    }

    /// `EDP_PRECHECK`.
    fn question(
        &self,
        request: &InboundRequest,
        _secrets: &[Secret],
        _now: Timestamp,
    ) -> Option<Result<Question, Rejected>> {
        let message = match Message::read(request) {
            Ok(message) => message,
            // Not signed, so it is no notification either.
            Err(rejected) => return Some(Err(rejected)),
        };
        let asks = message.raw("EDP_PRECHECK")?;
        Some(if asks == "YES" {
            asked(&message)
        } else {
            Err(Rejected::Malformed)
        })
    }

    fn asks_first(&self) -> bool {
        true
    }

    fn facts(&self, request: &InboundRequest) -> Result<Vec<Fact>, NotUnderstood> {
        let unread = |_| NotUnderstood {
            why: "a field of the form cannot be read",
        };
        let message = Message::read(request).map_err(unread)?;
        Ok(vec![Fact {
            our_reference: Some(message.bill().map_err(unread)?),
            transaction: Some(message.transaction().map_err(unread)?),
            amount: message.amount(),
            payee: Some(message.payee().map_err(unread)?.to_owned()),
            provider_time: message.day(),
            ..Fact::bare(FactKind::Captured)
        }])
    }

    /// Exactly `OK`, or anything else.
    fn answer(&self, acknowledge: Acknowledge) -> ProviderAnswer {
        let body = match acknowledge {
            Acknowledge::Accepted | Acknowledge::Allowed => "OK",
            Acknowledge::Refused => "REFUSED",
            Acknowledge::Rejected | Acknowledge::Busy => return plain_answer(acknowledge),
        };
        ProviderAnswer {
            status: 200,
            content_type: "text/plain",
            body: body.to_owned(),
        }
    }
}

fn asked(message: &Message) -> Result<Question, Rejected> {
    Ok(Question {
        our_reference: message.bill()?,
        payee: Some(message.payee()?.to_owned()),
        amount: message.amount().ok_or(Rejected::Malformed)?,
    })
}

/// Takes payers to Idram. It makes no call: the order is made by the payer's form.
#[derive(Debug, Clone)]
pub struct IdramApi {
    page: String,
    payee: String,
}

impl IdramApi {
    /// For the merchant's account `payee`, whose payers pay at `page`.
    pub fn new(page: &str, payee: &str) -> Self {
        Self {
            page: page.to_owned(),
            payee: payee.to_owned(),
        }
    }
}

#[async_trait]
impl ProviderApi for IdramApi {
    async fn register(&self, registration: &Registration) -> RegisterOutcome {
        if registration.amount.currency().code() != CURRENCY {
            return RegisterOutcome::Refused {
                provider_status: "currency".to_owned(),
            };
        }
        RegisterOutcome::Registered {
            provider_order_ref: None,
            pay_url: None,
            session_expires_at: None,
        }
    }

    fn registers_by_call(&self) -> bool {
        false
    }

    async fn look_up(&self, _look_up: &LookUp) -> LookUpOutcome {
        LookUpOutcome::Unknown {
            why: "no_look_up".to_owned(),
            retry_after: None,
        }
    }

    /// The amount travels through the payer's browser; that is why both messages are compared with
    /// what was recorded.
    fn pay_form(&self, hand_over: &HandOver) -> Option<PayForm> {
        if hand_over.amount.currency().code() != CURRENCY {
            return None;
        }
        let language = match hand_over.language {
            "hy" => "AM",
            "ru" => "RU",
            _ => "EN",
        };
        let fields = vec![
            ("EDP_LANGUAGE", language.to_owned()),
            ("EDP_REC_ACCOUNT", self.payee.clone()),
            ("EDP_DESCRIPTION", hand_over.description.clone()),
            ("EDP_AMOUNT", hand_over.amount.major()),
            ("EDP_BILL_NO", hand_over.our_reference.to_string()),
        ];
        Some(PayForm {
            action: self.page.clone(),
            fields,
        })
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
