//! The one path of every fact: callbacks, look-ups and statements end here, in the same command.

use domain::config::ProviderAccount;
use domain::ids::{PaymentRequestId, ProviderRef};
use domain::payment::claims::{order_ref_key, ptx_key};
use domain::payment::evidence::AccountRules;
use domain::payment::exception::ExceptionKind;
use domain::payment::fact::Observation;
use domain::payment::request::Closure;
use domain::payment::{CaptureKey, Command, Event, Outcome, RecordFacts, Request, Target, record};
use domain::ports::{ClaimOwner, ClaimSpace};
use domain::sealed::{EvidenceRef, KeyScope};
use domain::stream::{Category, StreamId};

use super::App;
use super::context::Context;
use super::error::AppError;
use super::late::Stand;
use super::notifications::evidence_of;
use super::requests::{FoundClaim, Once, Order};

/// How often an observation is decided again because others were faster.
const DECIDE_AGAIN_MAX: u32 = 32;

/// The raw bytes behind an observation.
pub enum Proof {
    /// Sealed already.
    Kept(EvidenceRef),
    /// To be sealed as soon as an event is to name them.
    Raw(RawProof),
}

/// Bytes that are not sealed yet.
pub struct RawProof {
    /// `look_up` ...
    pub kind: &'static str,
    /// Whose key seals them.
    pub scope: KeyScope,
    /// Media type.
    pub media: String,
    /// The bytes.
    pub raw: Vec<u8>,
}

impl From<EvidenceRef> for Proof {
    fn from(kept: EvidenceRef) -> Self {
        Self::Kept(kept)
    }
}

impl App {
    /// Records an observation on a request. A repeat changes nothing.
    ///
    /// # Errors
    /// [`AppError`]: outages only; no business rule refuses a fact.
    pub async fn record_observation(
        &self,
        id: &PaymentRequestId,
        target: Target,
        observation: Observation,
        account: &ProviderAccount,
        proof: impl Into<Proof>,
        context: &Context,
    ) -> Result<Outcome, AppError> {
        let (_, _, provider) = self.account(&account.account)?;
        let mut proof = proof.into();
        let mut facts = RecordFacts {
            observation,
            target,
            rules: AccountRules {
                asks_first: provider.inbound.asks_first(),
                ..account.rules()
            },
            order_is_ours: false,
        };
        let mut least = Outcome::Duplicate;
        for _ in 0..DECIDE_AGAIN_MAX {
            let folded = self.fold_request(id, None).await?;
            let Some(request) = &folded.state else {
                return Err(AppError::NotFound {
                    what: "payment request",
                });
            };
            if let Some(order) = self.order_of_another(id, request, &facts).await? {
                tracing::error!(payment_request_id = %id, "observation.order_of_another_request");
                facts.target = Target::OtherOrder(order);
            }
            let order_claim = self.order_if_payable_late(request).await?;
            facts.order_is_ours = order_claim.is_some();
            let now = self.recorder.now();
            let recorded = record(request, &facts, now);
            let outcome = recorded.outcome.max(least);
            if recorded.events.is_empty() {
                return Ok(outcome);
            }
            let evidence = self.sealed(&mut proof, &mut facts.observation).await?;
            let command = Command::RecordFacts(Box::new(facts.clone()));
            let order = Order {
                evidence: vec![evidence],
                occurred_at: recorded.events.iter().find_map(|event| match event {
                    Event::PaymentVerified { paid_at, .. } => *paid_at,
                    _ => None,
                }),
                order_claim,
                ..Order::of(&command)
            };
            match self.decide_at(id, context, &order, folded, now).await? {
                Once::Done(_) => return Ok(outcome),
                // Somebody was faster; the next look sees what they did.
                Once::Conflict => {}
                Once::Taken(taken) => match taken.ns {
                    // Row E7: another request was created for the order meanwhile.
                    ClaimSpace::Ref | ClaimSpace::Order => {}
                    ClaimSpace::Ptx => {
                        let reused = self.report_reused(id, &recorded.events, context).await?;
                        facts.observation.facts.retain(|fact| {
                            !reused.iter().any(|capture| {
                                Some(&capture.transaction) == fact.transaction.as_ref()
                            })
                        });
                        least = Outcome::Refused;
                        if facts.observation.facts.is_empty() {
                            return Ok(least);
                        }
                    }
                    ClaimSpace::Quote => {
                        return Err(AppError::bug("an observation claims no quote"));
                    }
                },
            }
        }
        Err(AppError::Contended)
    }

    /// Seals what is not sealed yet, once.
    async fn sealed(
        &self,
        proof: &mut Proof,
        observation: &mut Observation,
    ) -> Result<EvidenceRef, AppError> {
        let kept = match proof {
            Proof::Kept(kept) => return Ok(kept.clone()),
            Proof::Raw(RawProof {
                kind,
                scope,
                media,
                raw,
            }) => {
                let kept = self.keep_raw(scope, media, raw, &observation.facts).await;
                observation.commitment = kept?;
                evidence_of(kind, observation)
            }
        };
        *proof = Proof::Kept(kept.clone());
        Ok(kept)
    }

    /// Row E7: the order's claim, where the scenario lets money in time pay after expiry and no other
    /// request stands for the order.
    async fn order_if_payable_late(
        &self,
        request: &Request,
    ) -> Result<Option<FoundClaim>, AppError> {
        let expired = *request.closure() == Closure::Expired && request.verified().is_none();
        if !expired || !request.terms().rules.auto_accept_on_time {
            return Ok(None);
        }
        Ok(match self.stand_of_order(request).await? {
            Stand::Free(found) => Some(found),
            Stand::Open(_) | Stand::Paid(_) => None,
        })
    }

    /// Row G5: an order that the facts name and that another attempt has. Where this attempt has an
    /// order of its own, the domain compares the two.
    async fn order_of_another(
        &self,
        id: &PaymentRequestId,
        request: &Request,
        facts: &RecordFacts,
    ) -> Result<Option<ProviderRef>, AppError> {
        let (Target::Attempt(number), true) = (
            &facts.target,
            facts.rules.sufficient(facts.observation.class),
        ) else {
            return Ok(None);
        };
        let attempt = request.attempts().get(number);
        let Some(attempt) = attempt.filter(|attempt| attempt.provider_order_ref.is_none()) else {
            return Ok(None);
        };
        let this = StreamId::payment_request(id);
        for order in facts
            .observation
            .facts
            .iter()
            .filter_map(|fact| fact.provider_order_ref.as_ref())
        {
            let key = order_ref_key(
                self.recorder.key(),
                &attempt.provider,
                &attempt.account,
                order,
            );
            let owner = self
                .recorder
                .store()
                .find_claim(ClaimSpace::Ref, &key)
                .await?;
            if owner.is_some_and(|owner| owner.owner != this || owner.detail != *number) {
                return Ok(Some(order.clone()));
            }
        }
        Ok(None)
    }

    /// Row G4: the money of some captures already pays another request. Both get a case, and none of
    /// it moves; what is told beside it is looked at again.
    async fn report_reused(
        &self,
        id: &PaymentRequestId,
        events: &[Event],
        context: &Context,
    ) -> Result<Vec<CaptureKey>, AppError> {
        let this = StreamId::payment_request(id);
        let mut reused = vec![];
        for capture in events.iter().filter_map(captured) {
            let key = ptx_key(self.recorder.key(), &capture);
            let held = self
                .recorder
                .store()
                .find_claim(ClaimSpace::Ptx, &key)
                .await?;
            let Some(ClaimOwner { owner, .. }) = held.filter(|held| held.owner != this) else {
                continue;
            };
            let command = Command::OpenCase {
                kind: ExceptionKind::TxnReused,
                about: capture.to_string(),
            };
            self.execute(id, context, &command).await?;
            if let Some(owner) = request_of(&owner) {
                self.execute(&owner, context, &command).await?;
            }
            reused.push(capture);
        }
        Ok(reused)
    }
}

fn captured(event: &Event) -> Option<CaptureKey> {
    match event {
        Event::PaymentCaptured { capture, .. }
        | Event::OverrideSubstantiated { capture, .. }
        | Event::CaptureAliasRecorded { alias: capture, .. } => Some(capture.clone()),
        _ => None,
    }
}

/// The request whose stream this is.
pub(super) fn request_of(stream: &StreamId) -> Option<PaymentRequestId> {
    (stream.category() == Category::PaymentRequest)
        .then(|| PaymentRequestId::parse(stream.key()).ok())?
}
