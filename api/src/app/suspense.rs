//! Money that no request explains: kept in suspense on a stream of its own, for a person to decide
//! about. It is never matched by amount.

use domain::ids::{MerchantId, ProviderRef};
use domain::notification::Notification;
use domain::payment::claims::ptx_key;
use domain::payment::evidence::EvidenceClass;
use domain::payment::exception::ExceptionKind;
use domain::payment::fact::{Fact, FactKind, Observation};
use domain::payment::{CaptureKey, Command, Outcome};
use domain::ports::{AppendError, Claim, ClaimExpect, ClaimSpace, Expect, LookUp, LookUpOutcome};
use domain::sealed::{EvidenceRef, KeyScope};
use domain::stream::StreamId;
use domain::unmatched::{self, Unmatched};

use super::App;
use super::context::Context;
use super::error::AppError;
use super::moved::Holder;
use super::notifications::evidence_of;
use super::pace::Admission;
use super::recorder::{Decision, Draft, RecordFailure, Recorder};

/// What the provider says of an order of its own.
pub(super) enum Asked {
    Nobody,
    NotFound,
    Unknown,
    Answered {
        facts: Vec<Fact>,
        raw: Vec<u8>,
        media: String,
    },
}

impl App {
    /// Rows G1 and G6: money that no request explains goes into suspense. The provider is asked
    /// first where it can be.
    pub(super) async fn set_aside(
        &self,
        stream: &StreamId,
        known: &Notification,
        kind: ExceptionKind,
        context: &Context,
    ) -> Result<Outcome, AppError> {
        let observation = &known.observation;
        let (merchant, config, _) = self.account(&observation.account)?;
        let mut observed = observation.clone();
        let mut evidence = vec![evidence_of("notification", observation)];
        match self.asked_by_order(observation).await? {
            Asked::Nobody => {}
            Asked::NotFound => return Ok(Outcome::Refused),
            Asked::Unknown => return Ok(Outcome::Parked),
            Asked::Answered { facts, raw, media } => {
                observed.facts = facts;
                observed.class = EvidenceClass::LookedUp;
                if observed.facts.iter().any(is_money) {
                    let scope = KeyScope::Notification {
                        merchant: merchant.clone(),
                        stream: stream.clone(),
                    };
                    let facts = &observed.facts;
                    observed.commitment = self.keep_raw(&scope, &media, &raw, facts).await?;
                    evidence.push(evidence_of("look_up", &observed));
                }
            }
        }
        if !config.rules().sufficient(observed.class) {
            return Ok(Outcome::Refused);
        }
        let mut outcome = Outcome::Stale;
        for fact in observed.facts.iter().filter(|fact| is_money(fact)) {
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
            outcome = outcome.max(
                self.observe_unmatched(merchant, &evidence, money, kind, context)
                    .await?,
            );
        }
        Ok(outcome)
    }

    /// Asks the provider by its own order, where it can be asked.
    pub(super) async fn asked_by_order(
        &self,
        observation: &Observation,
    ) -> Result<Asked, AppError> {
        let (_, _, adapter) = self.account(&observation.account)?;
        let (Some(api), Some(order)) = (&adapter.api, first_order(observation)) else {
            return Ok(Asked::Nobody);
        };
        let question = LookUp {
            our_reference: first_reference(observation).unwrap_or_else(|| order.clone()),
            provider_order_ref: Some(order),
        };
        if self.admission(&observation.account) != Admission::Go {
            return Ok(Asked::Unknown);
        }
        let told = api.look_up(&question).await;
        let now = self.recorder.clock().monotonic();
        adapter.heard(&question.our_reference, &told, now);
        Ok(match told {
            LookUpOutcome::Answered { facts, raw, media } => Asked::Answered { facts, raw, media },
            LookUpOutcome::NotFound => Asked::NotFound,
            LookUpOutcome::Unknown { .. } => Asked::Unknown,
        })
    }

    /// Writes it down once, and claims it: what is in suspense pays no request by itself later, and
    /// what is booked at a request is not kept here as well (row G4).
    async fn observe_unmatched(
        &self,
        merchant: &MerchantId,
        evidence: &[EvidenceRef],
        money: Unmatched,
        kind: ExceptionKind,
        context: &Context,
    ) -> Result<Outcome, AppError> {
        let key = self.recorder.key();
        let capture = money.capture.clone();
        let stream = unmatched::stream_of(key, &capture);
        let exists = self.recorder.store().read_last(&stream).await?.is_some();
        let events = unmatched::observe(exists, &stream, money, kind, self.recorder.now());
        if events.is_empty() {
            return Ok(Outcome::Unmatched);
        }
        let (ns, key) = (ClaimSpace::Ptx, ptx_key(key, &capture));
        let mut drafts: Vec<Draft> = events
            .iter()
            .map(|event| Draft::of(event).with_evidence(evidence.to_vec()))
            .collect();
        if let Some(first) = drafts.first_mut() {
            let used = Recorder::claim_use(ns, key, ClaimExpect::Free, None);
            first.claims.push(used);
        }
        let claim = Claim {
            ns,
            key,
            owner: stream.clone(),
            detail: 0,
            expect: ClaimExpect::Free,
        };
        let decision = Decision {
            stream: &stream,
            expect: Expect::NoStream,
            merchant: Some(merchant),
            command: "observe_unmatched",
            context,
            drafts,
            claims: vec![claim],
        };
        match self.recorder.append(decision).await {
            Ok(_) | Err(RecordFailure::Append(AppendError::Conflict { .. })) => {
                Ok(Outcome::Unmatched)
            }
            Err(RecordFailure::Append(AppendError::ClaimTaken { .. })) => {
                if let Some(Holder::Request(owner)) = self.holder_of(&capture).await? {
                    let command = Command::OpenCase {
                        kind: ExceptionKind::TxnReused,
                        about: capture.to_string(),
                    };
                    self.execute(&owner, context, &command).await?;
                }
                Ok(Outcome::Refused)
            }
            Err(other) => Err(other.into()),
        }
    }
}

fn is_money(fact: &Fact) -> bool {
    fact.kind == FactKind::Captured
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
