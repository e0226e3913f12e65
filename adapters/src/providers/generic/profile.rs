//! The profile: what the configuration says about a provider that signs with an HMAC.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::payment::fact::FactKind;
use domain::ports::InboundMethod;
use serde::{Deserialize, Serialize};

use super::super::pointer::AmountUnit;
use super::super::signature::{Algorithm, from_hex};

/// How a key or a tag is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// As it stands. For keys only.
    #[serde(rename = "utf8")]
    Utf8,
    /// Hexadecimal, in either case.
    #[serde(rename = "hex")]
    Hex,
    /// Base64, standard alphabet with padding.
    #[serde(rename = "base64")]
    Base64,
}

impl Encoding {
    pub(super) fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Utf8 => Some(text.to_vec()),
            Self::Hex => from_hex(std::str::from_utf8(text).ok()?.trim()),
            Self::Base64 => STANDARD.decode(text.trim_ascii()).ok(),
        }
    }
}

/// The profile. The signature stands in a header or in a parameter, and exactly one of
/// `signed_content`, `signed_fields` and `signed_parameters` says what it covers. Facts are read
/// only from what is covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// How notifications come: `POST`, `GET` or both. A GET carries a form in its query string.
    #[serde(default = "by_post")]
    pub methods: Vec<InboundMethod>,
    /// Header of the signature, in lower case.
    #[serde(default)]
    pub signature_header: Option<String>,
    /// Parameter of the signature, with `signed_parameters` only.
    #[serde(default)]
    pub signature_parameter: Option<String>,
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
    #[serde(default)]
    pub signed_content: Option<String>,
    /// What is signed: some fields of a JSON body.
    #[serde(default)]
    pub signed_fields: Option<SignedFields>,
    /// What is signed: all parameters, sorted by name, each as `name;value;`.
    #[serde(default)]
    pub signed_parameters: Option<SignedParameters>,
    /// Header of the signed time in seconds, in lower case.
    #[serde(default)]
    pub timestamp_header: Option<String>,
    /// How far it may be from now, in seconds.
    #[serde(default = "five_minutes")]
    pub tolerance_s: u64,
    /// Header of the message id, in lower case.
    #[serde(default)]
    pub id_header: Option<String>,
    /// Where the fields stand, as JSON pointers. A parameter `sum` is `/sum`.
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
    /// Media type of that answer.
    #[serde(default)]
    pub accepted_type: AnswerType,
    /// How the provider is asked for the real status, where it can be.
    #[serde(default)]
    pub look_up: Option<LookUpProfile>,
}

fn by_post() -> Vec<InboundMethod> {
    vec![InboundMethod::Post]
}

fn five_minutes() -> u64 {
    300
}

fn ok() -> u16 {
    200
}

/// Media type of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnswerType {
    /// `text/plain`.
    #[default]
    #[serde(rename = "text")]
    Text,
    /// `application/json`.
    #[serde(rename = "json")]
    Json,
}

impl AnswerType {
    /// The media type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::Json => "application/json",
        }
    }
}

/// Values of a JSON body, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedFields {
    /// Which, in order. A field that is missing is the empty text.
    pub pointers: Vec<String>,
    /// What stands between them. A value that holds it is refused, since the boundary would be
    /// anybody's guess.
    pub separator: String,
}

/// Parameters of a form: the body of a POST, the query string of a GET. One that stands twice is
/// refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedParameters {
    /// Which are not signed, besides the signature.
    #[serde(default)]
    pub except: Vec<String>,
}

/// JSON pointers (RFC 6901).
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
    /// The currency, by its letters or its number.
    pub currency: String,
    /// The provider's order.
    #[serde(default)]
    pub provider_order_ref: Option<String>,
    /// The merchant account. Without it a message reaches the class `weakly_signed` only.
    #[serde(default)]
    pub payee: Option<String>,
    /// The time, as RFC 3339 or in seconds.
    #[serde(default)]
    pub time: Option<String>,
}

impl Fields {
    /// Every pointer.
    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        let needed = [
            &self.status,
            &self.our_reference,
            &self.transaction,
            &self.amount,
            &self.currency,
        ];
        needed.into_iter().chain(
            [&self.provider_order_ref, &self.payee, &self.time]
                .into_iter()
                .flatten(),
        )
    }
}

/// The provider's words by what they mean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Statuses {
    /// The order is known; nothing was tried.
    pub registered: Vec<String>,
    /// The payer is at it.
    pub processing: Vec<String>,
    /// Money is held.
    pub authorised: Vec<String>,
    /// Money was taken.
    pub captured: Vec<String>,
    /// The payment failed.
    pub declined: Vec<String>,
    /// The session ended.
    pub session_expired: Vec<String>,
    /// The capture was taken back before settlement.
    pub voided: Vec<String>,
}

impl Statuses {
    /// The lists, with what they mean.
    pub(super) fn lists(&self) -> [(&'static str, &Vec<String>, FactKind); 7] {
        [
            ("captured", &self.captured, FactKind::Captured),
            ("declined", &self.declined, FactKind::Declined),
            ("processing", &self.processing, FactKind::Processing),
            (
                "session_expired",
                &self.session_expired,
                FactKind::SessionExpired,
            ),
            ("authorised", &self.authorised, FactKind::Authorised),
            ("registered", &self.registered, FactKind::Registered),
            ("voided", &self.voided, FactKind::Voided { reversal: None }),
        ]
    }

    /// What a word means, to the letter. A word of no list is unknown, never a guess.
    pub(super) fn kind(&self, status: &str) -> FactKind {
        let means = |words: &Vec<String>| words.iter().any(|word| word == status);
        let found = self.lists().into_iter().find(|(_, words, _)| means(words));
        found.map_or(FactKind::Unknown, |(_, _, kind)| kind)
    }
}

/// A status call: GET with a bearer key, answered by one JSON object with the same fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookUpProfile {
    /// `https://...` with `{our_reference}` or `{provider_order_ref}`.
    pub url: String,
}

impl Profile {
    /// True when a message states amount, currency, account and our reference, so that its
    /// signature covers all that a payment rests on.
    pub fn states_all_terms(&self) -> bool {
        self.fields.payee.is_some()
    }
}
