//! Notifications come in: authenticated on raw bytes, sealed and durable before the provider hears
//! 2xx. What is not authentic leaves no event; what is, a loop applies afterwards.

use domain::actor::Actor;
use domain::config::ProviderAccount;
use domain::ids::{AccountSlug, MerchantId, ProviderCode};
use domain::notification::{self, stream_of};
use domain::payment::fact::{Fact, Observation};
use domain::ports::{
    Acknowledge, AppendError, EvidenceError, Expect, InboundMethod, InboundRequest, ProviderAnswer,
    Rejected, SecretPurpose,
};
use domain::sealed::KeyScope;
use domain::stream::StreamId;

use super::App;
use super::context::Context;
use super::error::AppError;
use super::notifications::evidence_of;
use super::recorder::{Decision, Draft, RecordFailure};
use super::registry::Provider;

/// What the sender is told, and what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// In the provider's own words.
    pub answer: ProviderAnswer,
    /// Why it was rejected; for metrics and the sampled log.
    pub rejected: Option<Rejected>,
}

/// Why nothing is received at an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReceived {
    /// No such account at this provider.
    #[error("there is no such account")]
    UnknownAccount,
    /// The account is notified in another way.
    #[error("this account is notified by {}", words(.taken))]
    Method {
        /// How it is.
        taken: Vec<InboundMethod>,
    },
}

impl App {
    /// Receives a notification of a provider account.
    ///
    /// # Errors
    /// [`NotReceived`]. Outages are told to the provider as *busy*, so that it sends again.
    pub async fn receive_notification(
        &self,
        provider: &ProviderCode,
        account: &AccountSlug,
        request: &InboundRequest,
    ) -> Result<Received, NotReceived> {
        let (merchant, config, adapter) = self
            .registry
            .account(account)
            .filter(|(_, config, _)| config.provider == *provider)
            .ok_or(NotReceived::UnknownAccount)?;
        let taken = adapter.inbound.methods();
        if !taken.contains(&request.method) {
            let taken = taken.to_vec();
            return Err(NotReceived::Method { taken });
        }
        let told = |acknowledge, rejected| Received {
            answer: adapter.inbound.answer(acknowledge),
            rejected,
        };
        let purpose = SecretPurpose::ProviderInbound(account.to_string());
        let now = self.recorder.now();
        let Ok(secrets) = self.secrets.active(merchant, &purpose, now).await else {
            return Ok(told(Acknowledge::Busy, None));
        };
        match adapter.inbound.question(request, &secrets, now) {
            None => {}
            Some(Err(rejected)) => return Ok(told(Acknowledge::Rejected, Some(rejected))),
            Some(Ok(question)) => {
                let answer = self.answer_question(config, question, request.method).await;
                return Ok(told(answer, None));
            }
        }
        let authentic = match adapter.inbound.authenticate(request, &secrets, now) {
            Ok(authentic) => authentic,
            Err(rejected) => return Ok(told(Acknowledge::Rejected, Some(rejected))),
        };
        let stream = stream_of(
            self.recorder.key(),
            provider,
            account,
            &authentic.signed_bytes,
        );
        match self
            .keep_notification(merchant, config, adapter, request, authentic, &stream)
            .await
        {
            Ok(()) => Ok(told(Acknowledge::Accepted, None)),
            Err(error) => {
                tracing::warn!(%stream, error = %error, "notification.not_kept");
                Ok(told(Acknowledge::Busy, None))
            }
        }
    }

    async fn keep_notification(
        &self,
        merchant: &MerchantId,
        config: &ProviderAccount,
        adapter: &Provider,
        request: &InboundRequest,
        authentic: domain::ports::Authentic,
        stream: &StreamId,
    ) -> Result<(), AppError> {
        // A repeat is answered from its own stream, before its bytes are sealed once more.
        if self.recorder.store().read_last(stream).await?.is_some() {
            return Ok(());
        }
        // What cannot be understood is kept all the same: it is authentic, and somebody may ask.
        let facts = adapter.inbound.facts(request).unwrap_or_else(|why| {
            tracing::warn!(%stream, %why, "notification.not_understood");
            vec![]
        });
        let scope = KeyScope::Notification {
            merchant: merchant.clone(),
            stream: stream.clone(),
        };
        let commitment = self
            .keep_raw(
                &scope,
                "application/octet-stream",
                request.message(),
                &facts,
            )
            .await?;
        let observation = Observation {
            provider: config.provider.clone(),
            account: config.account.clone(),
            class: authentic.class,
            facts,
            commitment,
            received_at: self.recorder.now(),
        };
        let evidence = evidence_of("notification", &observation);
        let actor = Actor::provider(&config.provider, &config.account, &authentic.scheme);
        let event = notification::Event::Received {
            observation,
            scheme: authentic.scheme,
            key_id: authentic.key_id,
        };
        let context = Context::of(actor, entry_of(request.method));
        let decision = Decision {
            stream,
            expect: Expect::NoStream,
            merchant: Some(merchant),
            command: "receive_notification",
            context: &context,
            drafts: vec![Draft::of(&event).with_evidence(vec![evidence])],
            claims: vec![],
        };
        match self.recorder.append(decision).await {
            // A repeat was faster: it is kept.
            Ok(_) | Err(RecordFailure::Append(AppendError::Conflict { .. })) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    /// Seals raw bytes. Bytes that look like a card number are not kept; what was read out of them
    /// is.
    pub(super) async fn keep_raw(
        &self,
        scope: &KeyScope,
        media: &str,
        raw: &[u8],
        facts: &[Fact],
    ) -> Result<domain::sealed::Commitment, AppError> {
        let known: Vec<&str> = facts.iter().flat_map(Fact::references).collect();
        match self.evidence.keep_knowing(scope, media, raw, &known).await {
            Ok(commitment) => Ok(commitment),
            Err(EvidenceError::CardNumber) => {
                tracing::warn!("evidence.card_number_dropped");
                let read = domain::canonical_json(
                    &serde_json::json!({ "dropped": "card_number", "facts": facts.len() }),
                )
                .map_err(AppError::bug)?;
                Ok(self.evidence.keep(scope, "application/json", &read).await?)
            }
            Err(other) => Err(other.into()),
        }
    }
}

pub(super) fn entry_of(method: InboundMethod) -> &'static str {
    match method {
        InboundMethod::Post => "POST /v1/callbacks/{provider}/{account}",
        InboundMethod::Get => "GET /v1/callbacks/{provider}/{account}",
    }
}

fn words(methods: &[InboundMethod]) -> String {
    let words: Vec<_> = methods.iter().map(|method| method.as_str()).collect();
    words.join(" or ")
}
