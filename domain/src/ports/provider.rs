//! Providers: how their notifications are authenticated and read, and how they are asked.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::keys::Secret;
use crate::ids::{KeyId, ProviderRef};
use crate::money::Money;
use crate::payment::evidence::EvidenceClass;
use crate::payment::fact::Fact;
use crate::time::Timestamp;

/// How a notification is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum InboundMethod {
    /// As a body.
    #[default]
    #[serde(rename = "POST")]
    Post,
    /// As a query string.
    #[serde(rename = "GET")]
    Get,
}

impl InboundMethod {
    /// As HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Get => "GET",
        }
    }
}

/// A notification as it came over the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboundRequest {
    /// How it was sent.
    pub method: InboundMethod,
    /// Path, as sent.
    pub path: String,
    /// Query string without `?`, as sent.
    pub query: String,
    /// Names in lower case, values as bytes, in the order of the wire.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The raw body.
    pub body: Vec<u8>,
}

impl InboundRequest {
    /// The raw bytes of the message: the body of a POST, the query string of a GET. What is
    /// authenticated, read and kept is this and never the other part.
    pub fn message(&self) -> &[u8] {
        match self.method {
            InboundMethod::Post => &self.body,
            InboundMethod::Get => self.query.as_bytes(),
        }
    }

    /// The first header of this lower-case name, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }
}

/// A notification whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentic {
    /// `standard-webhooks`, `stripe`, `hub`, `generic`.
    pub scheme: String,
    /// Which of the live keys.
    pub key_id: Option<KeyId>,
    /// What was signed. Equal bytes are the same notification.
    pub signed_bytes: Vec<u8>,
    /// The class that this scheme and body reach.
    pub class: EvidenceClass,
}

/// Why a notification is not authentic. Told to metrics, never to the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// A header is missing.
    #[error("the signature is missing")]
    MissingSignature,
    /// No live key gives this signature.
    #[error("the signature is wrong")]
    BadSignature,
    /// The signed time is too far from now.
    #[error("the signed time is too far off")]
    OutsideTolerance,
    /// A header cannot be read.
    #[error("the signature cannot be read")]
    Malformed,
    /// No live key is configured.
    #[error("no key is configured")]
    NoSecret,
}

impl Rejected {
    /// Label of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingSignature => "missing_signature",
            Self::BadSignature => "bad_signature",
            Self::OutsideTolerance => "outside_tolerance",
            Self::Malformed => "malformed",
            Self::NoSecret => "no_secret",
        }
    }
}

/// Authentic bytes that this adapter cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the notification cannot be understood: {why}")]
pub struct NotUnderstood {
    /// Which part, without its content.
    pub why: &'static str,
}

/// What the provider is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledge {
    /// Durable, or known already.
    Accepted,
    /// Not authentic.
    Rejected,
    /// Not kept; send it again.
    Busy,
    /// Asked before money moves: the attempt may be paid.
    Allowed,
    /// Asked before money moves: it may not, for a reason that is nobody else's business.
    Refused,
}

/// What a provider asks before money moves: may this attempt be paid?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Our reference, as the provider repeats it.
    pub our_reference: ProviderRef,
    /// The merchant account that it would pay, where it names one.
    pub payee: Option<String>,
    /// What it would take.
    pub amount: Money,
}

/// An answer in the provider's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderAnswer {
    /// HTTP status.
    pub status: u16,
    /// Media type.
    pub content_type: &'static str,
    /// Body.
    pub body: String,
}

/// The inbound half of a provider's adapter. Pure: no clock, no socket.
pub trait InboundProvider: Send + Sync {
    /// How this account may be notified. Anything else is turned away before it is looked at.
    fn methods(&self) -> &[InboundMethod] {
        &[InboundMethod::Post]
    }

    /// Checks the signature over the raw bytes, in constant time, against every live key, before
    /// anything is parsed.
    ///
    /// # Errors
    /// [`Rejected`].
    fn authenticate(
        &self,
        request: &InboundRequest,
        secrets: &[Secret],
        now: Timestamp,
    ) -> Result<Authentic, Rejected>;

    /// The question whether an attempt may be paid, where the message asks that and tells nothing.
    /// Some providers do not sign it; it is answered from our own state, with a yes or a no and
    /// nothing more, so that whoever forges one learns and changes next to nothing.
    ///
    /// `Some(Err(..))` where it asks and cannot be read, or where its signature does not hold.
    fn question(
        &self,
        _request: &InboundRequest,
        _secrets: &[Secret],
        _now: Timestamp,
    ) -> Option<Result<Question, Rejected>> {
        None
    }

    /// True for a provider that asks about every attempt before it takes money. Of its
    /// notifications, those about an attempt that was never allowed prove nothing.
    fn asks_first(&self) -> bool {
        false
    }

    /// What an authentic notification says. Statuses that are not known become
    /// [`FactKind::Unknown`](crate::payment::fact::FactKind::Unknown); messages that are about no
    /// payment give no facts.
    ///
    /// # Errors
    /// [`NotUnderstood`].
    fn facts(&self, request: &InboundRequest) -> Result<Vec<Fact>, NotUnderstood>;

    /// The answer that this provider expects.
    fn answer(&self, acknowledge: Acknowledge) -> ProviderAnswer;
}

/// An attempt to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// What the provider shall call it back to us.
    pub our_reference: ProviderRef,
    /// What is due.
    pub amount: Money,
    /// What the payer reads; holds no personal data.
    pub description: String,
    /// Length of the session in seconds.
    pub session_s: u32,
    /// Where the provider sends the payer back to. That somebody comes back proves nothing.
    pub return_url: String,
}

/// What stands in the form that takes a payer to the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    /// What the provider shall call the attempt back to us.
    pub our_reference: ProviderRef,
    /// What is due.
    pub amount: Money,
    /// What the payer reads; holds no personal data.
    pub description: String,
    /// The payer's language (`hy`, `ru`, `en`).
    pub language: &'static str,
}

/// A form that the payer's browser sends to the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayForm {
    /// Where to.
    pub action: String,
    /// Its fields, in order.
    pub fields: Vec<(&'static str, String)>,
}

/// What became of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegisterOutcome {
    /// The provider knows it.
    Registered {
        /// The provider's order or session.
        provider_order_ref: Option<ProviderRef>,
        /// Where the payer pays.
        pay_url: Option<String>,
        /// End of the session, by the provider.
        session_expires_at: Option<Timestamp>,
    },
    /// The provider said no; nothing was made.
    Refused {
        /// The provider's own word.
        provider_status: String,
    },
    /// The provider was not reached; nothing was made.
    NotSent {
        /// `connect`, `address_refused` ...
        why: String,
    },
    /// No answer that says either. It may have been made.
    Unknown {
        /// `timeout`, `broken`, `http_502` ...
        why: String,
        /// How long the provider wants to be left alone, where it says so.
        retry_after: Option<Duration>,
    },
}

/// An attempt to be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookUp {
    /// What the provider calls it back to us.
    pub our_reference: ProviderRef,
    /// The provider's order or session, where it is known.
    pub provider_order_ref: Option<ProviderRef>,
}

/// What a look-up told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUpOutcome {
    /// The provider answered.
    Answered {
        /// What it says.
        facts: Vec<Fact>,
        /// Its raw answer, for the evidence.
        raw: Vec<u8>,
        /// Media type of that.
        media: String,
    },
    /// The provider does not know it.
    NotFound,
    /// No answer that can be used.
    Unknown {
        /// `timeout`, `connect`, `http_502` ...
        why: String,
        /// How long the provider wants to be left alone, where it says so.
        retry_after: Option<Duration>,
    },
}

/// Whether a provider lets a payer's session be ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// It does not.
    Never,
    /// It does, and what a second call would do is not known: a call whose answer was lost is only
    /// looked up.
    Once,
    /// It does, and a second call does nothing: a call that may have been lost is made again.
    Repeatable,
}

/// The outbound half of a provider's adapter: our own authenticated calls.
#[async_trait]
pub trait ProviderApi: Send + Sync {
    /// Registers an attempt. Called once per attempt, after `AttemptStarted` is durable.
    async fn register(&self, registration: &Registration) -> RegisterOutcome;

    /// False where [`ProviderApi::register`] calls nobody, so that there is nothing to hold back.
    fn registers_by_call(&self) -> bool {
        true
    }

    /// Asks for the real status.
    async fn look_up(&self, look_up: &LookUp) -> LookUpOutcome;

    /// The form that takes a payer to the provider, where a link is not enough. `None` elsewhere, and
    /// where the attempt cannot be paid this way.
    fn pay_form(&self, _hand_over: &HandOver) -> Option<PayForm> {
        None
    }

    /// Whether [`ProviderApi::cancel`] does anything, and whether it may be called again.
    fn session_end(&self) -> SessionEnd {
        SessionEnd::Never
    }

    /// Ends the payer's session, and never takes back money. Called after `AttemptCancelRequested` is
    /// durable; what it came to, only a look-up tells.
    async fn cancel(&self, _look_up: &LookUp) {}
}
