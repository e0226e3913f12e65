//! The one call to a provider for a refund, and what it came to. It is written ahead: whoever finds
//! it written down without a result does not know whether money moved, and asks.

use std::sync::Arc;
use std::time::Duration;

use domain::actor::Actor;
use domain::ids::PaymentRequestId;
use domain::money::Money;
use domain::payment::evidence::EvidenceClass;
use domain::payment::fact::Observation;
use domain::payment::refund::{Refund, RefundState};
use domain::payment::{CaptureKey, Command, RefundAnswer, Request, Target};
use domain::ports::{RefundApi, RefundOrder, RefundOutcome};
use domain::sealed::KeyScope;
use domain::time::Timestamp;
use projections::views::timers::RefundRow;

use super::App;
use super::context::Context;
use super::error::AppError;
use super::notifications::evidence_of;

/// A provider that does not key on our id may still be at work on a call whose answer got lost. That
/// it has never heard of it counts from then on.
const NOT_FOUND_COUNTS_AFTER: Duration = Duration::from_secs(15 * 60);

/// The provider's word where it knows of no such refund.
const NOT_FOUND: &str = "not_found";
/// The word where nobody can be called.
const NO_REFUND_CALL: &str = "no_refund_call";

/// What working on a refund came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundWorked {
    /// The provider answered, and that was recorded.
    Answered,
    /// The provider could not say.
    Unknown {
        /// Not before so many seconds.
        retry_after_s: Option<u32>,
    },
    /// There is nothing to do, or nobody to ask.
    Nothing,
}

impl App {
    /// Takes a refund one step further: calls for it where nobody did, and asks where nobody knows
    /// what a call came to. Only one loop may do this at a time for one account, for a call that is
    /// written down and has no result counts as interrupted.
    ///
    /// # Errors
    /// [`AppError`]: outages of our own stores. A provider that does not answer is a result.
    pub async fn work_refund(
        &self,
        row: &RefundRow,
        context: &Context,
    ) -> Result<RefundWorked, AppError> {
        let Some(request) = self.fold_request(&row.request, None).await?.state else {
            return Ok(RefundWorked::Nothing);
        };
        let Some(refund) = request.refunds().get(&row.refund).cloned() else {
            return Ok(RefundWorked::Nothing);
        };
        let api = self.refunds_at(&refund.capture);
        match refund.state {
            RefundState::Requested => {
                let submit = Command::SubmitRefund {
                    refund: row.refund.clone(),
                };
                if self
                    .execute(&row.request, context, &submit)
                    .await?
                    .events
                    .is_empty()
                {
                    return Ok(RefundWorked::Nothing); // Somebody else calls.
                }
                // Where nobody can be called, no money moves, and a person is told.
                let outcome = match api {
                    Some(api) => api.refund(&order_of(&request, row, &refund)?).await,
                    None => RefundOutcome::Declined {
                        provider_status: NO_REFUND_CALL.to_owned(),
                    },
                };
                self.keep_outcome(row, &request, &refund, outcome, context)
                    .await
            }
            RefundState::Submitted => {
                let interrupted = RefundAnswer::Unknown {
                    why: "interrupted".to_owned(),
                };
                self.answer_refund(row, interrupted, context).await?;
                self.ask_about(row, &request, &refund, api, context).await
            }
            RefundState::Uncertain | RefundState::Accepted(_) => {
                self.ask_about(row, &request, &refund, api, context).await
            }
            RefundState::Settled | RefundState::Failed => Ok(RefundWorked::Nothing),
        }
    }

    /// Who gives the money of this capture back.
    pub(super) fn refunds_at(&self, capture: &CaptureKey) -> Option<Arc<dyn RefundApi>> {
        let (_, _, provider) = self.account(&capture.account).ok()?;
        provider.refunds.clone()
    }

    async fn ask_about(
        &self,
        row: &RefundRow,
        request: &Request,
        refund: &Refund,
        api: Option<Arc<dyn RefundApi>>,
        context: &Context,
    ) -> Result<RefundWorked, AppError> {
        let Some(api) = api else {
            return Ok(RefundWorked::Nothing);
        };
        let order = order_of(request, row, refund)?;
        let accepted = refund.reversal.is_some();
        let outcome = match (api.can_look_up(), api.keyed()) {
            (true, keyed) => match api.look_up_refund(&order).await {
                RefundOutcome::NotFound if keyed && !accepted => {
                    return self.call_again(row, &order, &*api, context).await;
                }
                RefundOutcome::NotFound => self.not_found(row, accepted),
                told => told,
            },
            (false, true) if !accepted => {
                return self.call_again(row, &order, &*api, context).await;
            }
            // Its notification tells, or a person does.
            (false, _) => return Ok(RefundWorked::Nothing),
        };
        self.keep_outcome(row, request, refund, outcome, context)
            .await
    }

    /// The same call under the same id, unless somebody ended the refund while the provider was asked.
    async fn call_again(
        &self,
        row: &RefundRow,
        order: &RefundOrder,
        api: &dyn RefundApi,
        context: &Context,
    ) -> Result<RefundWorked, AppError> {
        let request = self.fold_request(&row.request, None).await?.state;
        let known = request
            .as_ref()
            .and_then(|request| Some((request, request.refunds().get(&row.refund)?)));
        match known {
            Some((request, refund)) if refund.at_the_provider() => {
                if let Ok((_, _, provider)) = self.account(&row.account) {
                    provider.pace.follows(self.recorder.clock().monotonic());
                }
                let outcome = api.refund(order).await;
                self.keep_outcome(row, request, refund, outcome, context)
                    .await
            }
            Some(_) | None => Ok(RefundWorked::Nothing),
        }
    }

    /// What the provider had, or may still be at work on, has not failed because it is not found.
    fn not_found(&self, row: &RefundRow, accepted: bool) -> RefundOutcome {
        let waited = self.recorder.now().since(row.since) >= NOT_FOUND_COUNTS_AFTER;
        if waited && !accepted {
            RefundOutcome::Declined {
                provider_status: NOT_FOUND.to_owned(),
            }
        } else {
            RefundOutcome::Unknown {
                why: NOT_FOUND.to_owned(),
                retry_after_s: None,
            }
        }
    }

    async fn keep_outcome(
        &self,
        row: &RefundRow,
        request: &Request,
        refund: &Refund,
        outcome: RefundOutcome,
        context: &Context,
    ) -> Result<RefundWorked, AppError> {
        match outcome {
            RefundOutcome::Known {
                reversal,
                facts,
                raw,
                media,
            } => {
                // The name first: the facts are told by it.
                if facts.is_empty() || reversal.as_str() != row.refund.as_str() {
                    let accepted = RefundAnswer::Accepted(reversal);
                    self.answer_refund(row, accepted, context).await?;
                }
                if !facts.is_empty() {
                    let scope = KeyScope::PaymentRequest {
                        merchant: request.terms().merchant.clone(),
                        id: row.request.clone(),
                    };
                    let commitment = self.keep_raw(&scope, &media, &raw, &facts).await?;
                    let observation = Observation {
                        provider: refund.capture.provider.clone(),
                        account: refund.capture.account.clone(),
                        class: EvidenceClass::LookedUp,
                        facts,
                        commitment,
                        received_at: self.recorder.now(),
                    };
                    self.record_refund_facts(&row.request, request, refund, observation, context)
                        .await?;
                }
                Ok(RefundWorked::Answered)
            }
            RefundOutcome::Declined { provider_status } => {
                let provider_status = Some(provider_status);
                let declined = RefundAnswer::Declined { provider_status };
                self.answer_refund(row, declined, context).await?;
                Ok(RefundWorked::Answered)
            }
            RefundOutcome::NotFound => {
                let why = NOT_FOUND.to_owned();
                self.answer_refund(row, RefundAnswer::Unknown { why }, context)
                    .await?;
                Ok(RefundWorked::Unknown {
                    retry_after_s: None,
                })
            }
            RefundOutcome::Unknown { why, retry_after_s } => {
                self.answer_refund(row, RefundAnswer::Unknown { why }, context)
                    .await?;
                Ok(RefundWorked::Unknown { retry_after_s })
            }
        }
    }

    async fn record_refund_facts(
        &self,
        id: &PaymentRequestId,
        request: &Request,
        refund: &Refund,
        observation: Observation,
        context: &Context,
    ) -> Result<(), AppError> {
        let (_, config, _) = self.account(&refund.capture.account)?;
        let capture = request.captures().get(&refund.capture);
        // Money that was moved here came through an attempt of another request.
        let attempt_no = capture.and_then(|capture| capture.attempt_no);
        let target = attempt_no.map_or(Target::Moved, Target::Attempt);
        let actor = Actor::provider(&observation.provider, &observation.account, "refund");
        let context = Context {
            actor,
            ..context.clone()
        };
        let evidence = evidence_of("refund", &observation);
        self.record_observation(id, target, observation, config, evidence, &context)
            .await?;
        Ok(())
    }

    async fn answer_refund(
        &self,
        row: &RefundRow,
        answer: RefundAnswer,
        context: &Context,
    ) -> Result<(), AppError> {
        let command = Command::AnswerRefund {
            refund: row.refund.clone(),
            answer,
        };
        self.execute(&row.request, context, &command).await?;
        Ok(())
    }
}

fn order_of(request: &Request, row: &RefundRow, refund: &Refund) -> Result<RefundOrder, AppError> {
    let capture = request.captures().get(&refund.capture);
    let capture = capture.ok_or_else(|| AppError::bug("a refund without its capture"))?;
    let amount = Money::new(refund.minor, capture.amount.currency()).map_err(AppError::bug)?;
    let attempt = capture
        .attempt_no
        .and_then(|number| request.attempts().get(&number));
    Ok(RefundOrder {
        refund: row.refund.clone(),
        transaction: refund.capture.transaction.clone(),
        amount,
        our_reference: attempt.map(|attempt| attempt.our_reference.clone()),
        reversal: refund.reversal.clone(),
    })
}

/// True when it is time to work on a refund: at once where nobody called or an answer is missing;
/// afterwards less and less often, and at least once a day.
pub fn is_due(row: &RefundRow, asked: Option<Timestamp>, now: Timestamp) -> bool {
    const LEAST: Duration = Duration::from_secs(5);
    const MOST: Duration = Duration::from_secs(24 * 3600);
    match row.state {
        RefundState::Requested | RefundState::Submitted => true,
        RefundState::Accepted(_) | RefundState::Uncertain => asked.is_none_or(|asked| {
            let pause = (asked.since(row.since) / 2).clamp(LEAST, MOST);
            now.since(asked) >= pause
        }),
        RefundState::Settled | RefundState::Failed => false,
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::{AccountSlug, MerchantId, ProviderCode, ProviderRef, RefundId};

    use super::*;

    fn row(state: RefundState) -> RefundRow {
        RefundRow {
            request: PaymentRequestId::parse(format!("pr_{}", "a".repeat(26))).unwrap(),
            merchant: MerchantId::parse("shop").unwrap(),
            refund: RefundId::parse(format!("rf_{}", "a".repeat(26))).unwrap(),
            provider: ProviderCode::parse("sim").unwrap(),
            account: AccountSlug::parse("sim-main").unwrap(),
            state,
            since: Timestamp::from_seconds(1000),
        }
    }

    #[test]
    fn what_nobody_knows_is_asked_about_less_and_less() {
        let at = Timestamp::from_seconds;
        let uncertain = row(RefundState::Uncertain);
        assert!(is_due(&uncertain, None, at(1000)));
        for (asked, pause) in [(1000, 5), (1010, 5), (1100, 50), (1_000_000, 24 * 3600)] {
            let due = |after| is_due(&uncertain, Some(at(asked)), at(asked + after));
            assert!(!due(pause - 1) && due(pause), "{asked}");
        }
        let accepted = row(RefundState::Accepted(ProviderRef::parse("re_1").unwrap()));
        assert!(!is_due(&accepted, Some(at(1000)), at(1004)));
        for state in [RefundState::Requested, RefundState::Submitted] {
            assert!(is_due(&row(state), Some(at(1000)), at(1000)));
        }
        for state in [RefundState::Settled, RefundState::Failed] {
            assert!(!is_due(&row(state), None, at(9999)));
        }
    }
}
