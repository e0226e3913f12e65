//! Notifications that were received are applied: matched to a request by its claims, or set aside
//! until something explains them. Called by a loop, safe to repeat.

use domain::actor::Actor;
use domain::ids::{MerchantId, PaymentRequestId, ProviderRef};
use domain::notification::{self, Notification, settle, waited_long_enough};
use domain::payment::claims::{order_ref_key, ref_key};
use domain::payment::evidence::EvidenceClass;
use domain::payment::exception::ExceptionKind;
use domain::payment::fact::{Fact, FactKind, Observation};
use domain::payment::{Command, Outcome, Target};
use domain::ports::{AppendError, ClaimOwner, ClaimSpace};
use domain::sealed::{EvidenceRef, KeyScope};
use domain::stream::StreamId;

use super::App;
use super::context::Context;
use super::error::AppError;
use super::moved::Told;
use super::observations::{Proof, RawProof, Source, request_of};
use super::recorder::{Decision, Draft, RecordFailure};
use super::suspense::Asked;

/// Name of the loop that applies notifications; the actor of what follows from them is the
/// provider.
pub const ENTRY: &str = "work::apply_notifications";

/// Which request and attempt a notification is about.
enum Match {
    /// Ours, started by us.
    Known(PaymentRequestId, Target),
    /// It names a request of another merchant (row G6).
    OtherMerchant,
    /// It names nothing but money of ours that goes back.
    Money(Vec<Told>),
    /// Nothing explains it, so far.
    Nothing,
}

impl App {
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

        let (mut outcome, request, mut why) =
            match self.match_of(merchant, &known.observation).await? {
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
                        .set_aside(stream, known, ExceptionKind::TenantMismatch, &context)
                        .await?;
                    (outcome, None, Some("tenant_mismatch".to_owned()))
                }
                Match::Money(told) => {
                    let request = told.first().map(|part| part.to.clone());
                    let outcome = self.apply_to_money(stream, known, told, &context).await?;
                    (outcome, request, None)
                }
                Match::Nothing if !speaks_of_money(known) => {
                    (Outcome::Stale, None, Some("no_reference".to_owned()))
                }
                Match::Nothing if !waited_long_enough(known, self.recorder.now()) => {
                    (Outcome::Parked, None, None)
                }
                Match::Nothing => {
                    let outcome = self
                        .set_aside(stream, known, ExceptionKind::OrphanPayment, &context)
                        .await?;
                    (outcome, None, Some("orphan_payment".to_owned()))
                }
            };
        let too_long = outcome == Outcome::Parked && waited_long_enough(known, self.recorder.now());
        if let (true, Some(id)) = (too_long, &request) {
            let kind = ExceptionKind::ReversalWithoutCapture; // row C6
            let about = waited_for(&known.observation);
            self.execute(id, &context, &Command::OpenCase { kind, about })
                .await?;
            (outcome, why) = (Outcome::Refused, Some(kind.as_str().to_owned()));
        }
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
            return self.match_of_money(observation).await;
        };
        match self.fold_request(&id, None).await?.state {
            None => self.match_of_money(observation).await,
            Some(request) if request.terms().merchant != *merchant => Ok(Match::OtherMerchant), // row G6
            Some(_) => Ok(Match::Known(id, Target::Foreign(reference))),
        }
    }
}

impl App {
    async fn match_of_money(&self, observation: &Observation) -> Result<Match, AppError> {
        let told = self.told_of_money(observation).await?;
        Ok(if told.is_empty() {
            Match::Nothing
        } else {
            Match::Money(told)
        })
    }

    /// Records that money of ours goes back, where the message names nothing but the money: it came
    /// through suspense. What proves too little is asked about by the provider's own order.
    async fn apply_to_money(
        &self,
        stream: &StreamId,
        known: &Notification,
        told: Vec<Told>,
        context: &Context,
    ) -> Result<Outcome, AppError> {
        let (merchant, config, _) = self.account(&known.observation.account)?;
        let (mut observation, mut told) = (known.observation.clone(), told);
        let mut proof = Proof::Kept(evidence_of("notification", &observation));
        if !config.rules().sufficient(observation.class) {
            match self.asked_by_order(&observation).await? {
                Asked::Nobody | Asked::NotFound => return Ok(Outcome::Refused),
                Asked::Unknown => return Ok(Outcome::Parked),
                Asked::Answered { facts, raw, media } => {
                    let goes_back = |fact: &Fact| fact.kind.takes_back();
                    observation.facts = facts.into_iter().filter(goes_back).collect();
                    observation.class = EvidenceClass::LookedUp;
                    let scope = KeyScope::Notification {
                        merchant: merchant.clone(),
                        stream: stream.clone(),
                    };
                    proof = Proof::Raw(RawProof {
                        kind: "look_up",
                        scope,
                        media,
                        raw,
                    });
                }
            }
            told = self.told_of_money(&observation).await?;
            if told.is_empty() {
                return Ok(Outcome::Refused);
            }
        }
        let mut source = Source {
            observation,
            account: config,
            proof,
            context,
        };
        self.record_told(told, &mut source).await
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

/// What a reversal that never found its money is about, in the provider's words (row C6).
fn waited_for(observation: &Observation) -> String {
    let of_fact = |fact: &Fact| match &fact.kind {
        FactKind::Voided { reversal }
        | FactKind::Refunded { reversal, .. }
        | FactKind::RefundFailed { reversal } => {
            reversal.as_ref().or(fact.transaction.as_ref()).cloned()
        }
        FactKind::DisputeOpened { dispute, .. }
        | FactKind::DisputeWon { dispute }
        | FactKind::DisputeLost { dispute } => Some(dispute.clone()),
        FactKind::Registered
        | FactKind::Processing
        | FactKind::Authorised
        | FactKind::Captured
        | FactKind::Declined
        | FactKind::SessionExpired
        | FactKind::Unknown => None,
    };
    let told = observation.facts.iter().find_map(of_fact);
    told.map_or_else(|| observation.account.to_string(), |id| id.to_string())
}

/// The request that `<request>-<n>` names.
fn request_named(reference: &ProviderRef) -> Option<PaymentRequestId> {
    let (id, number) = reference.as_str().rsplit_once('-')?;
    number.parse::<u32>().ok()?;
    PaymentRequestId::parse(id).ok()
}
