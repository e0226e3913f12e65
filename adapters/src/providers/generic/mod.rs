//! Any provider that signs its notifications with an HMAC: how it signs, where its fields stand and
//! what its words mean is a [`Profile`] in the configuration.

mod content;
mod look_up;
mod mistakes;
mod profile;

use std::time::Duration;

use domain::payment::evidence::EvidenceClass;
use domain::payment::fact::{Fact, FactKind};
use domain::ports::{
    Acknowledge, Authentic, InboundMethod, InboundProvider, InboundRequest, NotUnderstood,
    ProviderAnswer, Rejected, Secret,
};
use domain::time::Timestamp;
use serde_json::Value;

use super::pointer::{money, reference, text, time};
use super::signature::within_tolerance;

pub use look_up::GenericApi;
pub use profile::{
    AnswerType, Encoding, Fields, LookUpProfile, Profile, SignedFields, SignedParameters, Statuses,
};

/// A key of fewer bytes authenticates nobody (128 bits; shorter ones can be guessed).
const KEY_BYTES_MIN: usize = 16;

/// Reads notifications by a profile.
#[derive(Debug, Clone)]
pub struct GenericInbound {
    profile: Profile,
}

impl GenericInbound {
    /// For a profile without [`Profile::mistakes`].
    pub fn new(profile: Profile) -> Self {
        Self { profile }
    }
}

impl InboundProvider for GenericInbound {
    fn methods(&self) -> &[InboundMethod] {
        &self.profile.methods
    }

    fn authenticate(
        &self,
        request: &InboundRequest,
        secrets: &[Secret],
        now: Timestamp,
    ) -> Result<Authentic, Rejected> {
        let profile = &self.profile;
        let value = content::signature(profile, request)?;
        let tag = value
            .strip_prefix(profile.signature_prefix.as_str())
            .ok_or(Rejected::Malformed)?;
        let tag = profile
            .signature_encoding
            .decode(tag.as_bytes())
            .ok_or(Rejected::Malformed)?;
        let content = content::signed(profile, request)?;
        let keys = secrets
            .iter()
            .filter_map(|secret| Some((secret, profile.key_encoding.decode(&secret.value)?)));
        let keys: Vec<_> = keys.filter(|(_, key)| key.len() >= KEY_BYTES_MIN).collect();
        if keys.is_empty() {
            return Err(Rejected::NoSecret);
        }
        let holds = keys
            .iter()
            .find(|(_, key)| profile.algorithm.verify(key, &[&content], &tag));
        let (secret, _) = holds.ok_or(Rejected::BadSignature)?;
        if let Some(name) = &profile.timestamp_header {
            let seconds = request
                .header(name)
                .and_then(|time| time.parse().ok())
                .ok_or(Rejected::Malformed)?;
            let tolerance = Duration::from_secs(profile.tolerance_s);
            if !within_tolerance(Timestamp::from_seconds(seconds), now, tolerance) {
                return Err(Rejected::OutsideTolerance);
            }
        }
        Ok(Authentic {
            scheme: "generic".to_owned(),
            key_id: Some(secret.key_id.clone()),
            signed_bytes: content::identity(profile, request, content),
            class: if profile.states_all_terms() {
                EvidenceClass::Signed
            } else {
                EvidenceClass::WeaklySigned
            },
        })
    }

    fn facts(&self, request: &InboundRequest) -> Result<Vec<Fact>, NotUnderstood> {
        let body = content::read(&self.profile, request)?;
        Ok(fact(&self.profile, &body).into_iter().collect())
    }

    fn answer(&self, acknowledge: Acknowledge) -> ProviderAnswer {
        match acknowledge {
            Acknowledge::Accepted => ProviderAnswer {
                status: self.profile.accepted_status,
                content_type: self.profile.accepted_type.as_str(),
                body: self.profile.accepted_body.clone(),
            },
            Acknowledge::Rejected
            | Acknowledge::Busy
            | Acknowledge::Allowed
            | Acknowledge::Refused => super::sim::plain_answer(acknowledge),
        }
    }
}

/// What a message or an answer to a look-up states. `None` when it has no status: it is about no
/// payment.
fn fact(profile: &Profile, body: &Value) -> Option<Fact> {
    let fields = &profile.fields;
    let status = text(body, &fields.status)?;
    let optional = |pointer: &Option<String>| {
        pointer
            .as_ref()
            .and_then(|pointer| reference(body, pointer))
    };
    let kind = profile.statuses.kind(&status);
    // A provider names the amount on every message; only these kinds say that money moved.
    let of_money = matches!(kind, FactKind::Captured | FactKind::Authorised);
    let stated = || money(body, &fields.amount, &fields.currency, profile.amount_unit);
    Some(Fact {
        alias_of: None,
        our_reference: reference(body, &fields.our_reference),
        provider_order_ref: optional(&fields.provider_order_ref),
        transaction: reference(body, &fields.transaction),
        amount: if of_money { stated() } else { None },
        payee: fields
            .payee
            .as_ref()
            .and_then(|pointer| text(body, pointer)),
        mode: None,
        provider_time: fields.time.as_ref().and_then(|pointer| time(body, pointer)),
        provider_status: Some(status),
        kind,
    })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
