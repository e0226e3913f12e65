//! Notifications: authenticated on raw bytes, sealed and durable before the provider hears 2xx,
//! applied afterwards by a loop. A notification that is not authentic leaves no event.

use domain::actor::Actor;
use domain::config::ProviderAccount;
use domain::ids::{AccountSlug, MerchantId, PaymentRequestId, ProviderCode, ProviderRef};
use domain::notification::{self, Notification, settle, stream_of, waited_long_enough};
use domain::payment::claims::{order_ref_key, ref_key};
use domain::payment::exception::ExceptionKind;
use domain::payment::fact::{Fact, FactKind, Observation};
use domain::payment::{CaptureKey, Outcome, Target};
use domain::ports::{
    Acknowledge, AppendError, ClaimOwner, ClaimSpace, EvidenceError, Expect, InboundRequest,
    LookUp, LookUpOutcome, ProviderAnswer, Rejected, SecretPurpose,
};
use domain::sealed::{EvidenceRef, KeyScope};
use domain::stream::StreamId;
use domain::unmatched::{self, Unmatched};

use super::App;
use super::context::Context;
use super::error::AppError;
use super::observations::request_of;
use super::recorder::{Decision, Draft, RecordFailure};
use super::registry::Provider;

/// Name of the loop that applies notifications; the actor of what follows from them is the
/// provider.
pub const ENTRY: &str = "work::apply_notifications";

/// What the sender is told, and what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// In the provider's own words.
    pub answer: ProviderAnswer,
    /// Why it was rejected; for metrics and the sampled log.
    pub rejected: Option<Rejected>,
}

/// Which request and attempt a notification is about.
enum Match {
    /// Ours, started by us.
    Known(PaymentRequestId, Target),
    /// It names a request of another merchant (row G6).
    OtherMerchant,
    /// Nothing explains it, so far.
    Nothing,
}

impl App {
    /// Receives a notification of a provider account.
    ///
    /// # Errors
    /// [`AppError::UnknownAccount`]. Outages are told to the provider as *busy*, so that it sends
    /// again.
    pub async fn receive_notification(
        &self,
        provider: &ProviderCode,
        account: &AccountSlug,
        request: &InboundRequest,
    ) -> Result<Received, AppError> {
        let (merchant, config, adapter) = self.account(account)?;
        if config.provider != *provider {
            return Err(AppError::UnknownAccount);
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
            .keep_raw(&scope, "application/octet-stream", &request.body, &facts)
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
        let context = Context::of(actor, "POST /v1/callbacks/{provider}/{account}");
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

    /// Looks at a received notification: safe to repeat, from zero, after any crash.
    ///
    /// # Errors
    /// [`AppError`]: outages are tried again by the loop.
    pub async fn apply_notification(&self, stream: &StreamId) -> Result<Option<Outcome>, AppError> {
        let folded = self
            .recorder
            .fold(stream, None, notification::evolve)
            .await?;
        let Some(known) = &folded.state else {
            return Ok(None);
        };
        if known.settled() {
            return Ok(known.outcome);
        }
        let (merchant, config, _) = self.account(&known.observation.account)?;
        let cause = self
            .recorder
            .store()
            .read_stream(stream, domain::stream::Version::FIRST, 1)
            .await?;
        let mut context = Context::of(
            Actor::provider(
                &config.provider,
                &config.account,
                known.observation.class.as_str(),
            ),
            ENTRY,
        );
        context.causation_id = cause.first().map(|recorded| recorded.record.event_id);

        let (outcome, request, why) = match self.match_of(merchant, &known.observation).await? {
            Match::Known(id, target) => {
                let evidence = evidence_of("notification", &known.observation);
                let observation = known.observation.clone();
                let outcome = self
                    .record_observation(&id, target, observation, config, evidence, &context)
                    .await?;
                (outcome, Some(id), None)
            }
            Match::OtherMerchant => {
                let outcome = self
                    .set_aside(known, ExceptionKind::TenantMismatch, &context)
                    .await?;
                (outcome, None, Some("tenant_mismatch".to_owned()))
            }
            Match::Nothing if !speaks_of_money(known) => {
                (Outcome::Stale, None, Some("no_reference".to_owned()))
            }
            Match::Nothing if !waited_long_enough(known, self.recorder.now()) => {
                (Outcome::Parked, None, None)
            }
            Match::Nothing => {
                let outcome = self
                    .set_aside(known, ExceptionKind::OrphanPayment, &context)
                    .await?;
                (outcome, None, Some("orphan_payment".to_owned()))
            }
        };
        if let Some(event) = settle(known, outcome, request, why) {
            let decision = Decision {
                stream,
                expect: folded.expect(),
                merchant: Some(merchant),
                command: "apply_notification",
                context: &Context {
                    actor: Actor::job(ENTRY),
                    ..context
                },
                drafts: vec![Draft::of(&event)],
                claims: vec![],
            };
            match self.recorder.append(decision).await {
                Ok(_) | Err(RecordFailure::Append(AppendError::Conflict { .. })) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Ok(Some(outcome))
    }

    /// Finds the request by claims, never through a view.
    async fn match_of(
        &self,
        merchant: &MerchantId,
        observation: &Observation,
    ) -> Result<Match, AppError> {
        let (provider, account) = (&observation.provider, &observation.account);
        let key = self.recorder.key();
        let ours = observation
            .facts
            .iter()
            .find_map(|fact| fact.our_reference.as_ref());
        let theirs = observation
            .facts
            .iter()
            .find_map(|fact| fact.provider_order_ref.as_ref());
        let mut owner: Option<ClaimOwner> = None;
        if let Some(reference) = ours {
            let digest = ref_key(key, provider, account, reference);
            owner = self
                .recorder
                .store()
                .find_claim(ClaimSpace::Ref, &digest)
                .await?;
        }
        if let (None, None, Some(order)) = (&owner, ours, theirs) {
            let digest = order_ref_key(key, provider, account, order);
            owner = self
                .recorder
                .store()
                .find_claim(ClaimSpace::Ref, &digest)
                .await?;
        }
        if let Some(owner) = owner {
            let id = request_of(&owner.owner)
                .ok_or_else(|| AppError::bug("a ref claim of no request"))?;
            return Ok(Match::Known(id, Target::Attempt(owner.detail)));
        }
        // Row G3: it names a request of ours and an attempt that we never started.
        let named = ours.and_then(|reference| Some((request_named(reference)?, reference.clone())));
        let Some((id, reference)) = named else {
            return Ok(Match::Nothing);
        };
        match self.fold_request(&id, None).await?.state {
            None => Ok(Match::Nothing),
            Some(request) if request.terms().merchant != *merchant => Ok(Match::OtherMerchant), // row G6
            Some(_) => Ok(Match::Known(id, Target::Foreign(reference))),
        }
    }

    /// Rows G1 and G6: money that no request explains goes into suspense. The provider is asked
    /// first where it can be.
    async fn set_aside(
        &self,
        known: &Notification,
        kind: ExceptionKind,
        context: &Context,
    ) -> Result<Outcome, AppError> {
        let observation = &known.observation;
        let (merchant, config, adapter) = self.account(&observation.account)?;
        let mut observed = observation.clone();
        if let (Some(api), Some(order)) = (&adapter.api, first_order(observation)) {
            let our_reference = first_reference(observation).unwrap_or_else(|| order.clone());
            let question = LookUp {
                our_reference,
                provider_order_ref: Some(order),
            };
            match api.look_up(&question).await {
                LookUpOutcome::Answered { facts, .. } => {
                    observed.facts = facts;
                    observed.class = domain::payment::evidence::EvidenceClass::LookedUp;
                }
                LookUpOutcome::NotFound => return Ok(Outcome::Refused),
                LookUpOutcome::Unknown { .. } => return Ok(Outcome::Parked),
            }
        }
        if !config.rules().sufficient(observed.class) {
            return Ok(Outcome::Refused);
        }
        let mut outcome = Outcome::Stale;
        for fact in observed
            .facts
            .iter()
            .filter(|fact| fact.kind == FactKind::Captured)
        {
            let (Some(transaction), Some(amount)) = (&fact.transaction, fact.amount) else {
                continue;
            };
            let money = Unmatched {
                capture: CaptureKey {
                    provider: observed.provider.clone(),
                    account: observed.account.clone(),
                    transaction: transaction.clone(),
                },
                amount,
                class: observed.class,
                our_reference: fact.our_reference.clone(),
                provider_order_ref: fact.provider_order_ref.clone(),
                provider_time: fact.provider_time,
            };
            let stream = unmatched::stream_of(self.recorder.key(), &money.capture);
            let exists = self.recorder.store().read_last(&stream).await?.is_some();
            let events = unmatched::observe(exists, &stream, money, kind, self.recorder.now());
            outcome = Outcome::Unmatched;
            if events.is_empty() {
                continue;
            }
            let evidence = evidence_of("notification", observation);
            let draft = |event| Draft::of(event).with_evidence(vec![evidence.clone()]);
            let decision = Decision {
                stream: &stream,
                expect: Expect::NoStream,
                merchant: Some(merchant),
                command: "observe_unmatched",
                context,
                drafts: events.iter().map(draft).collect(),
                claims: vec![],
            };
            match self.recorder.append(decision).await {
                Ok(_) | Err(RecordFailure::Append(AppendError::Conflict { .. })) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Ok(outcome)
    }
}

pub(super) fn evidence_of(kind: &str, observation: &Observation) -> EvidenceRef {
    EvidenceRef {
        kind: kind.to_owned(),
        commitment: observation.commitment,
        media: "application/octet-stream".to_owned(),
        reference: None,
    }
}

fn first_reference(observation: &Observation) -> Option<ProviderRef> {
    observation
        .facts
        .iter()
        .find_map(|fact| fact.our_reference.clone())
}

fn first_order(observation: &Observation) -> Option<ProviderRef> {
    observation
        .facts
        .iter()
        .find_map(|fact| fact.provider_order_ref.clone())
}

/// True when somebody's money may hang on it: then it is parked, and never just dropped.
fn speaks_of_money(known: &Notification) -> bool {
    known.observation.facts.iter().any(|fact| match fact.kind {
        FactKind::Captured
        | FactKind::Authorised
        | FactKind::Voided { .. }
        | FactKind::Refunded { .. }
        | FactKind::RefundFailed { .. }
        | FactKind::DisputeOpened { .. }
        | FactKind::DisputeWon { .. }
        | FactKind::DisputeLost { .. } => true,
        FactKind::Registered
        | FactKind::Processing
        | FactKind::Declined
        | FactKind::SessionExpired
        | FactKind::Unknown => fact.our_reference.is_some() || fact.provider_order_ref.is_some(),
    })
}

/// The request that `<request>-<n>` names.
fn request_named(reference: &ProviderRef) -> Option<PaymentRequestId> {
    let (id, number) = reference.as_str().rsplit_once('-')?;
    number.parse::<u32>().ok()?;
    PaymentRequestId::parse(id).ok()
}
