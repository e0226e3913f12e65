//! Attempts: written ahead, then registered at the provider in one call. A lost answer is looked
//! up and never sent again blindly.

use std::time::Duration;

use domain::codec::decode;
use domain::idempotency::Replay;
use domain::ids::{AccountSlug, PaymentRequestId};
use domain::money::Money;
use domain::payment::event::PrecheckVerdict;
use domain::payment::request::{Attempt, AttemptState};
use domain::payment::{Command, Event, Precheck, Refusal, Request, StartAttempt, decide, verdict};
use domain::ports::{LookUp, RegisterOutcome, Registration};
use domain::stream::{StreamId, Version};

use super::App;
use super::caller::Caller;
use super::context::Context;
use super::error::AppError;
use super::registry::Provider;
use super::requests::{Executed, Order};

/// An attempt that is still only written down after this time was interrupted (row A7). Longer
/// than a registration call can take.
pub const INTERRUPTED_AFTER: Duration = Duration::from_secs(60);

/// How long the second of two clicks waits for the first.
const REGISTERED_WITHIN: Duration = Duration::from_secs(4);
/// How often it looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl App {
    /// Starts an attempt at `account`, or at the first account of the scenario, and registers it.
    /// A live attempt at that account is used again.
    ///
    /// # Errors
    /// [`AppError`], rows A6b and A6c; [`AppError::ProviderUnavailable`] before anything is written.
    pub async fn start_attempt(
        &self,
        caller: &Caller,
        context: &Context,
        id: &PaymentRequestId,
        account: Option<&AccountSlug>,
    ) -> Result<Executed, AppError> {
        let visible = self.visible_request(caller, id).await?;
        let return_url = self.links.return_url(id, None);
        self.start_at(context, &visible.request, account, return_url)
            .await
    }

    /// As [`App::start_attempt`], by whoever holds the link. Where an attempt is being registered,
    /// as by the first of two clicks, it waits for that one instead of being refused.
    ///
    /// # Errors
    /// As [`App::start_attempt`].
    pub async fn start_payers_attempt(
        &self,
        context: &Context,
        id: &PaymentRequestId,
        account: Option<&AccountSlug>,
        language: &str,
    ) -> Result<Request, AppError> {
        let request = self.payers_request(id).await?.request;
        let return_url = self.links.return_url(id, Some(language));
        let started = self.start_at(context, &request, account, return_url).await;
        match started {
            Ok(started) => Ok(started.request),
            Err(AppError::Payment(Refusal::PaymentInFlight)) => self.registered(id).await,
            Err(other) => Err(other),
        }
    }

    /// The request as soon as no attempt of it is only written down, or after a few seconds.
    async fn registered(&self, id: &PaymentRequestId) -> Result<Request, AppError> {
        let clock = self.recorder.clock();
        let begun = clock.monotonic();
        loop {
            let request = self.payers_request(id).await?.request;
            let mut attempts = request.attempts().values();
            let waits = attempts.any(|attempt| attempt.state == AttemptState::Started);
            if !waits || clock.monotonic().saturating_sub(begun) >= REGISTERED_WITHIN {
                return Ok(request);
            }
            clock.sleep(LOOK_AGAIN).await;
        }
    }

    async fn start_at(
        &self,
        context: &Context,
        request: &Request,
        account: Option<&AccountSlug>,
        return_url: String,
    ) -> Result<Executed, AppError> {
        let id = &request.terms().id;
        let preferred = request.terms().rules.accounts.first();
        let account = account.or(preferred).ok_or(AppError::UnknownAccount)?;
        let (_, config, provider) = self.account(account)?;
        let command = Command::StartAttempt(StartAttempt {
            provider: config.provider.clone(),
            account: account.clone(),
            session_s_max: config.session_s_max,
        });
        self.may_register(context, request, &command, provider)
            .await?;
        let started = self.execute(id, context, &command).await?;
        if started.replayed {
            return self.first_start(id, started).await;
        }
        let new = started.events.iter().find_map(|event| match event {
            Event::AttemptStarted { attempt_no, .. } => Some(*attempt_no),
            _ => None,
        });
        let (Some(attempt_no), Some(api)) = (new, &provider.api) else {
            return Ok(started);
        };
        let Some(attempt) = started.request.attempts().get(&attempt_no) else {
            return Ok(started);
        };
        let session = attempt.session_expires_at.since(self.recorder.now());
        let registration = Registration {
            our_reference: attempt.our_reference.clone(),
            amount: attempt.amount,
            description: description(&started.request),
            session_s: u32::try_from(session.as_secs()).unwrap_or(u32::MAX).max(1),
            return_url,
        };
        let outcome = api.register(&registration).await;
        if api.registers_by_call() {
            let now = self.recorder.clock().monotonic();
            provider.heard_of(&attempt.our_reference, &outcome, now);
        }
        let result = match outcome {
            RegisterOutcome::Registered {
                provider_order_ref,
                pay_url,
                session_expires_at,
            } => Command::ConfirmAttempt {
                attempt_no,
                provider_order_ref,
                pay_url,
                session_expires_at,
            },
            RegisterOutcome::Refused { provider_status } => Command::RejectAttempt {
                attempt_no,
                provider_status: Some(provider_status),
            },
            RegisterOutcome::NotSent { why } => Command::RejectAttempt {
                attempt_no,
                provider_status: Some(why),
            },
            RegisterOutcome::Unknown { why, .. } => Command::DoubtAttempt { attempt_no, why },
        };
        let context = Context {
            idempotency: None,
            ..context.clone()
        };
        match self.execute_order(id, &context, Order::of(&result)).await? {
            // It was closed or paid meanwhile: nobody is to pay there.
            Ok(executed)
                if !executed.request.payable() && executed.request.verified().is_none() =>
            {
                self.end_attempt(id, attempt_no, &context).await?;
                Ok(executed)
            }
            Ok(executed) => Ok(executed),
            // Row G5: whoever paid there would pay for somebody else.
            Err(_taken) => {
                tracing::error!(payment_request_id = %id, "attempt.order_of_another_request");
                let reject = Command::RejectAttempt {
                    attempt_no,
                    provider_status: Some("order_of_another_request".to_owned()),
                };
                self.execute(id, &context, &reject).await
            }
        }
    }

    /// Asks for leave to register where a new attempt would follow. Without leave nothing is written
    /// down: neither a live attempt that is used again nor a repeat needs any.
    async fn may_register(
        &self,
        context: &Context,
        request: &Request,
        start: &Command,
        provider: &Provider,
    ) -> Result<(), AppError> {
        let called = provider.api.as_ref().filter(|api| api.registers_by_call());
        let starts = decide(Some(request), start, self.recorder.now())
            .is_ok_and(|events| !events.is_empty());
        if called.is_none() || !starts {
            return Ok(());
        }
        if self
            .replay_of(context, &request.terms().id)
            .await?
            .is_some()
        {
            return Ok(());
        }
        let now = self.recorder.clock().monotonic();
        let leave = provider.pace.admit_payers(now);
        leave.map_err(|held| AppError::ProviderUnavailable { held })
    }

    /// What the first start was answered: how the request stood when the provider's answer to its
    /// newest attempt was written down, with the page to pay at. As it is when none was, yet.
    async fn first_start(
        &self,
        id: &PaymentRequestId,
        started: Executed,
    ) -> Result<Executed, AppError> {
        let newest = started.request.attempts().keys().next_back().copied();
        let Some(attempt_no) = newest else {
            return Ok(started);
        };
        let mut version = started.version;
        loop {
            version = version.next();
            let folded = self.fold_request(id, Some(version)).await?;
            let (Some(request), true) = (folded.state, folded.version == Some(version)) else {
                return Ok(started);
            };
            let state = request
                .attempts()
                .get(&attempt_no)
                .map(|attempt| attempt.state);
            if state != Some(AttemptState::Started) {
                return Ok(Executed {
                    request,
                    version,
                    position: folded.position,
                    events: vec![],
                    replayed: true,
                });
            }
        }
    }

    /// Answers whether an attempt may be paid right now, from the stream alone. Without a number
    /// the live attempt is meant. The second part is true when the question was answered before.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn precheck(
        &self,
        caller: &Caller,
        context: &Context,
        id: &PaymentRequestId,
        attempt_no: Option<u32>,
        account: Option<AccountSlug>,
        amount: Money,
    ) -> Result<(PrecheckVerdict, bool), AppError> {
        let visible = self.visible_request(caller, id).await?;
        if let Some(earlier) = self.replay_of(context, id).await? {
            return Ok((self.first_verdict(id, earlier.version).await?, true));
        }
        let now = self.recorder.now();
        let newest = visible.request.attempts().iter().next_back();
        let live = visible
            .request
            .live_attempt(now)
            .or(newest.map(|(number, attempt)| (*number, attempt)));
        let named = attempt_no.and_then(|number| {
            visible
                .request
                .attempts()
                .get(&number)
                .map(|attempt| (number, attempt))
        });
        let meant = if attempt_no.is_some() { named } else { live };
        let (attempt_no, attempt): (u32, &Attempt) =
            meant.ok_or(AppError::NotFound { what: "attempt" })?;
        let account = account.unwrap_or_else(|| attempt.account.clone());
        let precheck = Precheck {
            attempt_no,
            account,
            other_payee: false,
            amount,
        };
        self.execute_precheck(id, context, precheck).await
    }

    /// Asks the stream, and writes an answer that was not given before. The second part is true when
    /// the same command was answered before.
    pub(super) async fn execute_precheck(
        &self,
        id: &PaymentRequestId,
        context: &Context,
        precheck: Precheck,
    ) -> Result<(PrecheckVerdict, bool), AppError> {
        let now = self.recorder.now();
        let command = Command::Precheck(precheck.clone());
        let executed = self.execute(id, context, &command).await?;
        if executed.replayed {
            return Ok((self.first_verdict(id, executed.version).await?, true));
        }
        let told = executed.events.iter().find_map(told_verdict);
        match told {
            Some(told) => Ok((told, false)),
            None => Ok((verdict(&executed.request, &precheck, now)?, false)),
        }
    }

    /// What was answered first: a precheck writes its verdict and, at most, one case after it.
    async fn first_verdict(
        &self,
        id: &PaymentRequestId,
        last: Version,
    ) -> Result<PrecheckVerdict, AppError> {
        let (stream, from) = (
            StreamId::payment_request(id),
            Version(last.0.saturating_sub(1)),
        );
        let store = self.recorder.store();
        for recorded in store.read_stream(&stream, from, 2).await?.iter().rev() {
            let envelope = recorded.envelope().map_err(AppError::bug)?;
            if let Some(told) = told_verdict(&decode(&envelope).map_err(AppError::bug)?) {
                return Ok(told);
            }
        }
        Err(AppError::bug("a precheck without its verdict"))
    }

    /// Row A7: attempts that were interrupted before the provider's answer was written down.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn doubt_interrupted(
        &self,
        id: &PaymentRequestId,
        attempt_no: u32,
        context: &Context,
    ) -> Result<(), AppError> {
        let folded = self.fold_request(id, None).await?;
        let Some(request) = folded.state else {
            return Ok(());
        };
        let started = request
            .attempts()
            .get(&attempt_no)
            .map(|attempt| attempt.state);
        if started == Some(AttemptState::Started) {
            let doubt = Command::DoubtAttempt {
                attempt_no,
                why: "interrupted".to_owned(),
            };
            self.execute(id, context, &doubt).await?;
        }
        Ok(())
    }

    /// The first answer to a command that was done before.
    pub(super) async fn replay_of(
        &self,
        context: &Context,
        id: &PaymentRequestId,
    ) -> Result<Option<Executed>, AppError> {
        let Some(command) = &context.idempotency else {
            return Ok(None);
        };
        match self.fold_request(id, None).await?.replays.check(command) {
            Replay::Fresh => Ok(None),
            Replay::Same(version) => self.first_answer(id, version).await.map(Some),
            Replay::Different => Err(AppError::IdempotencyMismatch),
        }
    }
}

/// What payers read at the provider. Nothing personal.
pub fn description(request: &Request) -> String {
    format!("Order {}", request.terms().order_id)
}

fn told_verdict(event: &Event) -> Option<PrecheckVerdict> {
    match event {
        Event::AttemptPrechecked { verdict, .. } => Some(verdict.clone()),
        _ => None,
    }
}

/// How an attempt is asked about.
pub(super) fn question(attempt: &Attempt) -> LookUp {
    LookUp {
        our_reference: attempt.our_reference.clone(),
        provider_order_ref: attempt.provider_order_ref.clone(),
    }
}
