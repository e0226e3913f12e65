//! The one path of every fact: callbacks, look-ups and statements end here, in the same command.

use domain::config::ProviderAccount;
use domain::ids::{PaymentRequestId, ProviderRef};
use domain::payment::claims::{order_ref_key, ptx_key};
use domain::payment::evidence::AccountRules;
use domain::payment::exception::ExceptionKind;
use domain::payment::fact::Observation;
use domain::payment::request::Closure;
use domain::payment::{CaptureKey, Command, Event, Outcome, RecordFacts, Request, Target, record};
use domain::ports::ClaimSpace;
use domain::sealed::{EvidenceRef, KeyScope};
use domain::stream::{Category, StreamId};

use super::App;
use super::context::Context;
use super::error::AppError;
use super::late::Stand;
use super::moved::{Holder, Told};
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

/// Where facts come from, the same for every part of an observation.
pub(super) struct Source<'a> {
    pub(super) observation: Observation,
    pub(super) account: &'a ProviderAccount,
    pub(super) proof: Proof,
    pub(super) context: &'a Context,
}

impl App {
    /// Records an observation on a request, and what of it is about money that went elsewhere where that
    /// money is. A repeat changes nothing.
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
        let first = Told::first(id.clone(), target, observation.facts.clone());
        let mut source = Source {
            observation,
            account,
            proof: proof.into(),
            context,
        };
        self.record_told(vec![first], &mut source).await
    }

    /// Records parts of one observation, each at its request and where the money is that it is about.
    pub(super) async fn record_told(
        &self,
        mut told: Vec<Told>,
        source: &mut Source<'_>,
    ) -> Result<Outcome, AppError> {
        let mut outcome = Outcome::Duplicate;
        while let Some(part) = told.pop() {
            let (here, elsewhere) = self.record_part(&part, source).await?;
            outcome = outcome.max(here);
            told.extend(elsewhere);
        }
        Ok(outcome)
    }

    /// What became of one part here, and what is to be told elsewhere.
    async fn record_part(
        &self,
        part: &Told,
        source: &mut Source<'_>,
    ) -> Result<(Outcome, Vec<Told>), AppError> {
        let (id, context) = (&part.to, source.context);
        let (_, _, provider) = self.account(&source.account.account)?;
        let mut facts = RecordFacts {
            observation: Observation {
                facts: part.facts.clone(),
                ..source.observation.clone()
            },
            target: part.target.clone(),
            rules: AccountRules {
                asks_first: provider.inbound.asks_first(),
                ..source.account.rules()
            },
            order_is_ours: false,
        };
        let (mut least, mut elsewhere) = (Outcome::Duplicate, vec![]);
        for _ in 0..DECIDE_AGAIN_MAX {
            let folded = self.fold_request(id, None).await?;
            let Some(request) = &folded.state else {
                return Err(AppError::NotFound {
                    what: "payment request",
                });
            };
            let passed_on = part.pass_on(request, &mut facts);
            elsewhere.extend(passed_on.told);
            if passed_on.waits {
                least = Outcome::Parked;
            }
            let all_told = !elsewhere.is_empty() || passed_on.waits;
            if all_told && facts.observation.facts.is_empty() {
                return Ok((least, elsewhere));
            }
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
                return Ok((outcome, elsewhere));
            }
            let evidence = self
                .sealed(&mut source.proof, &mut source.observation)
                .await?;
            facts.observation.commitment = source.observation.commitment;
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
                Once::Done(_) => return Ok((outcome, elsewhere)),
                // Somebody was faster; the next look sees what they did.
                Once::Conflict => {}
                Once::Taken(taken) => match taken.ns {
                    // Row E7: another request was created for the order meanwhile.
                    ClaimSpace::Ref | ClaimSpace::Order => {}
                    ClaimSpace::Ptx => {
                        let taken = self.taken_money(id, &recorded.events, context).await?;
                        facts.observation.facts.retain(|fact| {
                            !taken.iter().any(|(capture, _)| {
                                Some(&capture.transaction) == fact.transaction.as_ref()
                            })
                        });
                        if taken.iter().any(|(_, reused)| *reused) {
                            least = least.max(Outcome::Refused);
                        }
                        if facts.observation.facts.is_empty() {
                            return Ok((least, elsewhere));
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

    /// Captures whose claim another stream has, and whether that is row G4: the money is another
    /// request's. Both get a case, and none of it moves; what is told beside it is looked at again. Money
    /// that is on its way here is told twice, and no more.
    async fn taken_money(
        &self,
        id: &PaymentRequestId,
        events: &[Event],
        context: &Context,
    ) -> Result<Vec<(CaptureKey, bool)>, AppError> {
        let this = StreamId::payment_request(id);
        let mut taken = vec![];
        for capture in events.iter().filter_map(captured) {
            let key = ptx_key(self.recorder.key(), &capture);
            let held = self
                .recorder
                .store()
                .find_claim(ClaimSpace::Ptx, &key)
                .await?;
            if held.is_none_or(|held| held.owner == this) {
                continue;
            }
            let holder = self.holder_of(&capture).await?;
            if holder == Some(Holder::Request(id.clone())) {
                taken.push((capture, false));
                continue;
            }
            let command = Command::OpenCase {
                kind: ExceptionKind::TxnReused,
                about: capture.to_string(),
            };
            self.execute(id, context, &command).await?;
            if let Some(Holder::Request(holder)) = holder {
                self.execute(&holder, context, &command).await?;
            }
            taken.push((capture, true));
        }
        Ok(taken)
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
