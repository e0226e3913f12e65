//! The one path of every fact: callbacks, look-ups and statements end here, in the same command.

use domain::config::ProviderAccount;
use domain::ids::PaymentRequestId;
use domain::payment::fact::Observation;
use domain::payment::{CaptureKey, Command, Event, Outcome, RecordFacts, Target, record};
use domain::ports::ClaimSpace;
use domain::sealed::EvidenceRef;
use domain::stream::{Category, StreamId};

use super::App;
use super::context::Context;
use super::error::AppError;
use super::requests::{Once, Order, Taken};

/// How often an observation is decided again because others were faster.
const DECIDE_AGAIN_MAX: u32 = 32;

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
        evidence: EvidenceRef,
        context: &Context,
    ) -> Result<Outcome, AppError> {
        let facts = RecordFacts {
            observation,
            target,
            rules: account.rules(),
        };
        let command = Command::RecordFacts(Box::new(facts.clone()));
        let mut order = Order {
            evidence: vec![evidence],
            ..Order::of(&command)
        };
        for _ in 0..DECIDE_AGAIN_MAX {
            let folded = self.fold_request(id, None).await?;
            let Some(request) = &folded.state else {
                return Err(AppError::NotFound {
                    what: "payment request",
                });
            };
            let now = self.recorder.now();
            let recorded = record(request, &facts, now);
            if recorded.events.is_empty() {
                return Ok(recorded.outcome);
            }
            order.occurred_at = recorded.events.iter().find_map(|event| match event {
                Event::PaymentVerified { paid_at, .. } => *paid_at,
                _ => None,
            });
            let captures: Vec<CaptureKey> = recorded.events.iter().filter_map(captured).collect();
            match self.decide_at(id, context, &order, folded, now).await? {
                Once::Done(_) => return Ok(recorded.outcome),
                Once::Conflict => {}
                Once::Taken(taken) => return self.reused(id, &taken, &captures, context).await,
            }
        }
        Err(AppError::Contended)
    }

    /// Row G4: the money already pays another request. Both get a case; no money moves.
    async fn reused(
        &self,
        id: &PaymentRequestId,
        taken: &Taken,
        captures: &[CaptureKey],
        context: &Context,
    ) -> Result<Outcome, AppError> {
        if taken.ns != ClaimSpace::Ptx {
            return Err(AppError::bug(format!(
                "claim {} of an observation is taken",
                taken.ns
            )));
        }
        for capture in captures {
            let command = Command::RecordReuse {
                capture: capture.clone(),
            };
            self.execute(id, context, &command).await?;
            if let Some(owner) = request_of(&taken.owner) {
                self.execute(&owner, context, &command).await?;
            }
        }
        Ok(Outcome::Refused)
    }
}

fn captured(event: &Event) -> Option<CaptureKey> {
    match event {
        Event::PaymentCaptured { capture, .. } => Some(capture.clone()),
        _ => None,
    }
}

/// The request whose stream this is.
pub(super) fn request_of(stream: &StreamId) -> Option<PaymentRequestId> {
    (stream.category() == Category::PaymentRequest)
        .then(|| PaymentRequestId::parse(stream.key()).ok())?
}
