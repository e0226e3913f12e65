//! Asking providers for the real status. A look-up's answer takes the same path as a notification,
//! with better evidence.

use domain::actor::Actor;
use domain::ids::{AccountSlug, PaymentRequestId};
use domain::payment::event::Progress;
use domain::payment::evidence::EvidenceClass;
use domain::payment::fact::{Fact, FactKind, Observation};
use domain::payment::request::{Attempt, AttemptState};
use domain::payment::{Command, Outcome, Request, Target};
use domain::ports::LookUpOutcome;
use domain::sealed::{Commitment, KeyScope};

use super::App;
use super::attempts::question;
use super::context::Context;
use super::error::AppError;
use super::observations::{Proof, RawProof};
use super::pace::Admission;

/// The provider's word where it knows of no such attempt.
const NOT_FOUND: &str = "not_found";

/// What a look-up came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookedUp {
    /// The provider answered, and that was recorded.
    Answered(Outcome),
    /// The provider does not know the attempt.
    NotFound,
    /// The provider could not say.
    Unknown,
    /// There is nothing to ask, or nobody.
    Nothing,
}

impl LookedUp {
    /// Label of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::NotFound => "not_found",
            Self::Unknown => "unknown",
            Self::Nothing => "nothing",
        }
    }

    /// True when the provider was asked and could not say.
    pub fn in_vain(self) -> bool {
        match self {
            Self::Unknown => true,
            Self::Answered(_) | Self::NotFound | Self::Nothing => false,
        }
    }
}

impl App {
    /// May an account be asked now? One that cannot be asked at all is never in the way.
    pub fn admission(&self, account: &AccountSlug) -> Admission {
        let known = self.account(account).ok();
        let asked = known.filter(|(_, config, provider)| config.look_up && provider.api.is_some());
        let now = self.recorder.clock().monotonic();
        asked.map_or(Admission::Go, |(_, _, provider)| provider.pace.admit(now))
    }

    /// Asks about one attempt and records the answer. Whoever calls has leave of the account's pace, or
    /// somebody who waits for the answer.
    ///
    /// # Errors
    /// [`AppError`]: outages of our own stores. A provider that does not answer is a result.
    pub async fn look_up_attempt(
        &self,
        id: &PaymentRequestId,
        attempt_no: u32,
        context: &Context,
    ) -> Result<LookedUp, AppError> {
        let folded = self.fold_request(id, None).await?;
        let Some(request) = folded.state else {
            return Ok(LookedUp::Nothing);
        };
        let Some(attempt) = request.attempts().get(&attempt_no) else {
            return Ok(LookedUp::Nothing);
        };
        // An account that is configured no more cannot be asked; that must not keep a request from
        // ending.
        let Ok((_, config, provider)) = self.account(&attempt.account) else {
            return Ok(LookedUp::Nothing);
        };
        let Some(api) = provider.api.as_ref().filter(|_| config.look_up) else {
            return Ok(LookedUp::Nothing);
        };
        let told = api.look_up(&question(attempt)).await;
        provider.heard(
            &attempt.our_reference,
            &told,
            self.recorder.clock().monotonic(),
        );
        let (facts, raw, media, result) = match told {
            LookUpOutcome::Answered { facts, raw, media } => (facts, raw, media, None),
            LookUpOutcome::NotFound => {
                let facts = match attempt.state {
                    AttemptState::Started | AttemptState::Uncertain => {
                        let reject = Command::RejectAttempt {
                            attempt_no,
                            provider_status: Some(NOT_FOUND.to_owned()),
                        };
                        // The caller's key belongs to the command that asks, which follows.
                        let keyless = Context {
                            idempotency: None,
                            ..context.clone()
                        };
                        self.execute(id, &keyless, &reject).await?;
                        vec![]
                    }
                    // It was only in doubt, and there is no session that a payer could be in.
                    AttemptState::InFlight(Progress::Unknown) => vec![Fact {
                        provider_status: Some(NOT_FOUND.to_owned()),
                        ..Fact::bare(FactKind::SessionExpired)
                    }],
                    AttemptState::Registered
                    | AttemptState::InFlight(Progress::Processing | Progress::Authorised)
                    | AttemptState::Failed(_)
                    | AttemptState::Captured => vec![],
                };
                (
                    facts,
                    NOT_FOUND.as_bytes().to_vec(),
                    "text/plain".to_owned(),
                    Some(LookedUp::NotFound),
                )
            }
            LookUpOutcome::Unknown { why, .. } => {
                let mut fact = Fact::bare(FactKind::Unknown); // row A17
                fact.provider_status = Some(why.clone());
                let result = LookedUp::Unknown;
                (
                    vec![fact],
                    why.into_bytes(),
                    "text/plain".to_owned(),
                    Some(result),
                )
            }
        };
        let scope = KeyScope::PaymentRequest {
            merchant: request.terms().merchant.clone(),
            id: id.clone(),
        };
        let observation = Observation {
            provider: attempt.provider.clone(),
            account: attempt.account.clone(),
            class: EvidenceClass::LookedUp,
            facts,
            commitment: Commitment::to(&[0; 32], &raw), // Until it is sealed.
            received_at: self.recorder.now(),
        };
        // Most answers say what is known already; those are not kept.
        let proof = Proof::Raw(RawProof {
            kind: "look_up",
            scope,
            media,
            raw,
        });
        let actor = Actor::provider(&attempt.provider, &attempt.account, "look_up");
        let context = Context {
            actor,
            idempotency: None,
            ..context.clone()
        };
        let target = Target::Attempt(attempt_no);
        let outcome = self
            .record_observation(id, target, observation, config, proof, &context)
            .await?;
        Ok(result.unwrap_or(LookedUp::Answered(outcome)))
    }

    /// True when the provider of this account can be asked for the real status.
    pub(super) fn can_ask(&self, account: &AccountSlug) -> bool {
        self.account(account)
            .is_ok_and(|(_, config, provider)| config.look_up && provider.api.is_some())
    }

    /// Every attempt of a request with its account.
    ///
    /// # Errors
    /// Outages.
    pub async fn attempts_of(
        &self,
        id: &PaymentRequestId,
    ) -> Result<Vec<(u32, AccountSlug)>, AppError> {
        let request = self.fold_request(id, None).await?.state;
        let attempts = request.iter().flat_map(|request| request.attempts());
        Ok(attempts
            .map(|(number, attempt)| (*number, attempt.account.clone()))
            .collect())
    }

    /// Asks about every attempt that may still pay, for somebody who waits for the answer. Gives those
    /// that were asked about in vain.
    ///
    /// # Errors
    /// As [`App::look_up_attempt`]; [`AppError::ProviderUnavailable`] at an account that is left alone.
    pub async fn look_up_open_attempts(
        &self,
        id: &PaymentRequestId,
        context: &Context,
    ) -> Result<Vec<u32>, AppError> {
        let Some(request) = self.fold_request(id, None).await?.state else {
            return Ok(vec![]);
        };
        let mut unanswered = vec![];
        for attempt_no in open_attempts(&request) {
            self.ask_urgently(&request, attempt_no)?;
            let told = self.look_up_attempt(id, attempt_no, context).await?;
            if told.in_vain() {
                unanswered.push(attempt_no);
            }
        }
        Ok(unanswered)
    }

    /// Leave to ask, whatever the pace; not where the account is left alone, since whoever waits would
    /// wait in vain.
    fn ask_urgently(&self, request: &Request, attempt_no: u32) -> Result<(), AppError> {
        let attempt = request.attempts().get(&attempt_no);
        let known = attempt.and_then(|attempt| self.account(&attempt.account).ok());
        let asked = known.filter(|(_, config, provider)| config.look_up && provider.api.is_some());
        let Some((_, _, provider)) = asked else {
            return Ok(());
        };
        let leave = provider.pace.urgent(self.recorder.clock().monotonic());
        leave.map_err(|held| AppError::ProviderUnavailable { held })
    }
}

/// Attempts whose fate is open. A declined one may be contradicted later, and then its own
/// notification tells.
pub(super) fn open_attempts(request: &Request) -> Vec<u32> {
    let open = request
        .attempts()
        .iter()
        .filter(|(_, attempt): &(&u32, &Attempt)| attempt.may_still_pay());
    open.map(|(number, _)| *number).collect()
}
