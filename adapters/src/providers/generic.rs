//! Any provider that signs JSON with an HMAC: how it signs and where its fields stand is a profile
//! in the configuration.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::payment::evidence::EvidenceClass;
use domain::payment::fact::{Fact, FactKind};
use domain::ports::{
    Acknowledge, Authentic, InboundProvider, InboundRequest, NotUnderstood, ProviderAnswer, Rejected, Secret,
};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pointer::{AmountUnit, money, reference, text, time};
use super::signature::{Algorithm, from_hex, within_tolerance};

/// How a key or a tag is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// As it stands.
    #[serde(rename = "utf8")]
    Utf8,
    /// Hexadecimal.
    #[serde(rename = "hex")]
    Hex,
    /// Base64.
    #[serde(rename = "base64")]
    Base64,
}

impl Encoding {
    fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Utf8 => Some(text.to_vec()),
            Self::Hex => from_hex(std::str::from_utf8(text).ok()?.trim()),
            Self::Base64 => STANDARD.decode(text.trim_ascii()).ok(),
        }
    }
}

/// The profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Header of the signature, in lower case.
    pub signature_header: String,
    /// What stands before the tag (`sha256=`).
    #[serde(default)]
    pub signature_prefix: String,
    /// Hash.
    pub algorithm: Algorithm,
    /// How the tag is written.
    pub signature_encoding: Encoding,
    /// How the key is written.
    pub key_encoding: Encoding,
    /// What is signed: text with `{body}`, `{ts}` and `{id}`.
    pub signed_content: String,
    /// Header of the signed time in seconds, in lower case.
    #[serde(default)]
    pub timestamp_header: Option<String>,
    /// How far it may be from now, in seconds.
    #[serde(default = "five_minutes")]
    pub tolerance_s: u64,
    /// Header of the message id, in lower case.
    #[serde(default)]
    pub id_header: Option<String>,
    /// Where the fields stand, as JSON pointers.
    pub fields: Fields,
    /// How amounts are written.
    pub amount_unit: AmountUnit,
    /// Which words mean what. Others are unknown.
    pub statuses: Statuses,
    /// Status of the answer to an accepted notification.
    #[serde(default = "ok")]
    pub accepted_status: u16,
    /// Body of that answer.
    #[serde(default)]
    pub accepted_body: String,
}

fn five_minutes() -> u64 {
    300
}

fn ok() -> u16 {
    200
}

/// JSON pointers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// The status.
    pub status: String,
    /// Our reference.
    pub our_reference: String,
    /// The transaction.
    pub transaction: String,
    /// The amount.
    pub amount: String,
    /// The currency.
    pub currency: String,
    /// The provider's order.
    #[serde(default)]
    pub provider_order_ref: Option<String>,
    /// The merchant account.
    #[serde(default)]
    pub payee: Option<String>,
    /// The time.
    #[serde(default)]
    pub time: Option<String>,
}

/// Words by what they mean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Statuses {
    /// Money was taken.
    pub captured: Vec<String>,
    /// The payment failed.
    pub declined: Vec<String>,
    /// The payer is at it.
    pub processing: Vec<String>,
    /// The session ended.
    pub session_expired: Vec<String>,
}

impl Profile {
    /// Every mistake.
    pub fn mistakes(&self) -> Vec<String> {
        let mut found = vec![];
        if !self.signed_content.contains("{body}") {
            found.push("signed_content must hold {body}: an unsigned body proves nothing".to_owned());
        }
        if self.signed_content.contains("{ts}") != self.timestamp_header.is_some() {
            found.push("timestamp_header and {ts} in signed_content belong together".to_owned());
        }
        if self.signed_content.contains("{id}") != self.id_header.is_some() {
            found.push("id_header and {id} in signed_content belong together".to_owned());
        }
        for header in [Some(&self.signature_header), self.timestamp_header.as_ref(), self.id_header.as_ref()] {
            if header.is_some_and(|name| name.is_empty() || *name != name.to_ascii_lowercase()) {
                found.push("header names are written in lower case".to_owned());
            }
        }
        let fields = &self.fields;
        let optional = [&fields.provider_order_ref, &fields.payee, &fields.time];
        let needed = [&fields.status, &fields.our_reference, &fields.transaction, &fields.amount, &fields.currency];
        let pointers = needed.into_iter().chain(optional.into_iter().flatten());
        if pointers.into_iter().any(|pointer| !pointer.starts_with('/')) {
            found.push("fields are JSON pointers and start with /".to_owned());
        }
        if self.statuses.captured.is_empty() {
            found.push("statuses.captured names no word, so that nothing could ever pay".to_owned());
        }
        if !(200..=299).contains(&self.accepted_status) {
            found.push("accepted_status must be from 200 to 299".to_owned());
        }
        if self.tolerance_s == 0 || self.tolerance_s > 3600 {
            found.push("tolerance_s must be from 1 to 3600".to_owned());
        }
        found
    }

    /// The signed bytes: the template with its parts put in, byte for byte.
    fn content(&self, request: &InboundRequest) -> Result<Vec<u8>, Rejected> {
        let part = |header: &Option<String>| match header {
            None => Ok(String::new()),
            Some(name) => request.header(name).map(str::to_owned).ok_or(Rejected::MissingSignature),
        };
        let (time, id) = (part(&self.timestamp_header)?, part(&self.id_header)?);
        let mut content = Vec::with_capacity(request.body.len() + 64);
        let mut rest = self.signed_content.as_str();
        while let Some(open) = rest.find('{') {
            content.extend_from_slice(&rest.as_bytes()[..open]);
            rest = &rest[open..];
            let placeholders: [(&str, &[u8]); 3] =
                [("{body}", &request.body), ("{ts}", time.as_bytes()), ("{id}", id.as_bytes())];
            match placeholders.iter().find(|(name, _)| rest.starts_with(name)) {
                Some((name, value)) => {
                    content.extend_from_slice(value);
                    rest = &rest[name.len()..];
                }
                None => {
                    content.push(b'{');
                    rest = &rest[1..];
                }
            }
        }
        content.extend_from_slice(rest.as_bytes());
        Ok(content)
    }
}

/// Reads notifications by a profile.
#[derive(Debug, Clone)]
pub struct GenericInbound {
    profile: Profile,
}

impl GenericInbound {
    /// For a profile without mistakes.
    pub fn new(profile: Profile) -> Self {
        Self { profile }
    }
}

impl InboundProvider for GenericInbound {
    fn authenticate(
        &self,
        request: &InboundRequest,
        secrets: &[Secret],
        now: Timestamp,
    ) -> Result<Authentic, Rejected> {
        let profile = &self.profile;
        let value = request.header(&profile.signature_header).ok_or(Rejected::MissingSignature)?;
        let tag = value.strip_prefix(profile.signature_prefix.as_str()).ok_or(Rejected::Malformed)?;
        let tag = profile.signature_encoding.decode(tag.as_bytes()).ok_or(Rejected::Malformed)?;
        let content = profile.content(request)?;
        let keys = secrets.iter().filter_map(|secret| Some((secret, profile.key_encoding.decode(&secret.value)?)));
        let keys: Vec<_> = keys.filter(|(_, key)| key.len() >= 16).collect();
        if keys.is_empty() {
            return Err(Rejected::NoSecret);
        }
        let holds = keys.iter().find(|(_, key)| profile.algorithm.verify(key, &[&content], &tag));
        let (secret, _) = holds.ok_or(Rejected::BadSignature)?;
        if let Some(name) = &profile.timestamp_header {
            let seconds = request.header(name).and_then(|time| time.parse().ok()).ok_or(Rejected::Malformed)?;
            let tolerance = Duration::from_secs(profile.tolerance_s);
            if !within_tolerance(Timestamp::from_seconds(seconds), now, tolerance) {
                return Err(Rejected::OutsideTolerance);
            }
        }
        Ok(Authentic {
            scheme: "generic".to_owned(),
            key_id: Some(secret.key_id.clone()),
            signed_bytes: content,
            class: EvidenceClass::Signed,
        })
    }

    fn facts(&self, request: &InboundRequest) -> Result<Vec<Fact>, NotUnderstood> {
        let body: Value =
            serde_json::from_slice(&request.body).map_err(|_| NotUnderstood { why: "the body is no JSON" })?;
        let (fields, statuses) = (&self.profile.fields, &self.profile.statuses);
        let Some(status) = text(&body, &fields.status) else { return Ok(vec![]) };
        let means = |words: &[String]| words.contains(&status);
        let kind = if means(&statuses.captured) {
            FactKind::Captured
        } else if means(&statuses.declined) {
            FactKind::Declined
        } else if means(&statuses.processing) {
            FactKind::Processing
        } else if means(&statuses.session_expired) {
            FactKind::SessionExpired
        } else {
            FactKind::Unknown
        };
        let optional = |pointer: &Option<String>| pointer.as_ref().and_then(|pointer| reference(&body, pointer));
        Ok(vec![Fact {
            kind,
            our_reference: reference(&body, &fields.our_reference),
            provider_order_ref: optional(&fields.provider_order_ref),
            transaction: reference(&body, &fields.transaction),
            amount: money(&body, &fields.amount, &fields.currency, self.profile.amount_unit),
            payee: fields.payee.as_ref().and_then(|pointer| text(&body, pointer)),
            mode: None,
            provider_time: fields.time.as_ref().and_then(|pointer| time(&body, pointer)),
            provider_status: Some(status),
        }])
    }

    fn answer(&self, acknowledge: Acknowledge) -> ProviderAnswer {
        match acknowledge {
            Acknowledge::Accepted => ProviderAnswer {
                status: self.profile.accepted_status,
                content_type: "text/plain",
                body: self.profile.accepted_body.clone(),
            },
            Acknowledge::Rejected | Acknowledge::Busy => super::sim::plain_answer(acknowledge),
        }
    }
}

#[cfg(test)]
#[path = "generic_tests.rs"]
mod tests;
