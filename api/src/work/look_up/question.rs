//! Asks one account its questions, one after the other, and writes down what it was asked.

use std::sync::Arc;

use domain::ids::{AccountSlug, PaymentRequestId};
use domain::payment::{Command, Refusal};
use domain::time::Timestamp;
use projections::views::timers::LookUpRow;

use super::ENTRY;
use super::memory::Memory;
use crate::app::App;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::look_ups::LookedUp;
use crate::app::pace::Admission;
use crate::work::supervise::Stop;

/// Something to be asked.
pub(super) struct Question {
    /// Since when.
    pub(super) due: Timestamp,
    pub(super) request: PaymentRequestId,
    pub(super) attempt_no: u32,
    pub(super) why: Why,
}

/// Why it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Its time has come.
    Schedule,
    /// The ledger died while the attempt was being registered (row A7).
    Interrupted,
    /// Something made it due.
    Asked {
        /// When that was.
        at: Timestamp,
    },
    /// The provider was to be asked to end it, and nobody wrote down what came of that (row E13).
    End,
    /// Every question of the schedule was in vain (rows A7, A17).
    Silence,
}

impl Why {
    /// Where it is noted that the attempt was asked about for this reason.
    pub(super) fn key(self, request: &PaymentRequestId, attempt_no: u32) -> String {
        match self {
            Self::Schedule | Self::Interrupted | Self::Silence => {
                format!("look_up:{request}:{attempt_no}")
            }
            Self::Asked { .. } => format!("asked:{request}:{attempt_no}"),
            Self::End => format!("end_tried:{request}:{attempt_no}"),
        }
    }

    /// Where it is noted that every attempt was answered for.
    pub(super) fn answered_key(request: &PaymentRequestId) -> String {
        format!("asked:{request}")
    }

    /// Where it is kept in mind that an attempt was asked about out of turn, answered or not.
    pub(super) fn tried_key(request: &PaymentRequestId, attempt_no: u32) -> String {
        format!("asked_tried:{request}:{attempt_no}")
    }

    /// Where it is noted that an end was asked for and answered.
    pub(super) fn ended_key(request: &PaymentRequestId, attempt_no: u32) -> String {
        format!("ended:{request}:{attempt_no}")
    }
}

impl Question {
    pub(super) fn of(row: &LookUpRow, due: Timestamp, why: Why) -> Self {
        Self {
            due,
            request: row.request.clone(),
            attempt_no: row.attempt_no,
            why,
        }
    }
}

/// Asks until all are asked, the account is at its limit, or the loop shall end. What was not asked is
/// found again.
pub(super) async fn ask_all(
    app: Arc<App>,
    memory: Arc<Memory>,
    stop: Stop,
    account: AccountSlug,
    questions: Vec<Question>,
) -> Result<(), AppError> {
    for question in questions {
        if stop.asked() {
            return Ok(());
        }
        let context = Context::job(ENTRY);
        let result = match (app.admission(&account), question.why) {
            // Whoever stayed silent for days may stay silent now; a person is told all the same.
            (Admission::Resting, Why::Silence) => {
                report_silence(&app, &memory, &question, &context).await
            }
            // Such a one may stand behind it.
            (Admission::Resting, _) => continue,
            (Admission::Later, _) => return Ok(()),
            (Admission::Go, _) => ask(&app, &memory, &account, &question, &context).await,
        };
        match result {
            // Somebody else was at it all the time; it is found again.
            Ok(()) | Err(AppError::Contended) => {}
            Err(error @ (AppError::StoreUnavailable { .. } | AppError::StoreFull)) => {
                return Err(error);
            }
            // The others go on, and this one comes again with its next step.
            Err(error) => {
                let request = &question.request;
                tracing::error!(payment_request_id = %request, error = %error, "look_up.stuck");
                match question.why {
                    Why::Asked { .. } => {}
                    why @ (Why::Schedule | Why::Interrupted | Why::End | Why::Silence) => {
                        let key = why.key(request, question.attempt_no);
                        memory.put(&key, app.recorder.now()).await;
                    }
                }
            }
        }
    }
    Ok(())
}

async fn ask(
    app: &App,
    memory: &Memory,
    account: &AccountSlug,
    question: &Question,
    context: &Context,
) -> Result<(), AppError> {
    let (request, attempt_no) = (&question.request, question.attempt_no);
    let now = app.recorder.now();
    let key = question.why.key(request, attempt_no);
    match question.why {
        Why::Schedule => {
            look_up(app, account, question, context).await?;
            memory.put(&key, now).await;
        }
        Why::Interrupted => {
            app.doubt_interrupted(request, attempt_no, context).await?;
            look_up(app, account, question, context).await?;
            memory.put(&key, now).await;
        }
        Why::Asked { at } => {
            memory.keep_in_mind(&Why::tried_key(request, attempt_no), now);
            match look_up(app, account, question, context).await? {
                LookedUp::Answered(_) | LookedUp::NotFound | LookedUp::Nothing => {
                    memory.put(&key, at).await;
                }
                LookedUp::Unknown => {}
            }
        }
        Why::End => {
            memory.put(&key, now).await;
            let answered = match app.end_attempt(request, attempt_no, context).await {
                Err(AppError::Payment(Refusal::AlreadyPaid)) => true,
                other => other?,
            };
            if answered {
                memory.put(&Why::ended_key(request, attempt_no), now).await;
            }
        }
        Why::Silence => {
            look_up(app, account, question, context).await?;
            report_silence(app, memory, question, context).await?;
        }
    }
    Ok(())
}

async fn report_silence(
    app: &App,
    memory: &Memory,
    question: &Question,
    context: &Context,
) -> Result<(), AppError> {
    let (request, attempt_no) = (&question.request, question.attempt_no);
    let command = Command::ReportSilence { attempt_no };
    app.execute(request, context, &command).await?;
    let key = question.why.key(request, attempt_no);
    memory.put(&key, app.recorder.now()).await;
    Ok(())
}

/// Asks, and keeps the time that it took.
async fn look_up(
    app: &App,
    account: &AccountSlug,
    question: &Question,
    context: &Context,
) -> Result<LookedUp, AppError> {
    let clock = app.recorder.clock();
    let started = clock.monotonic();
    let told = app
        .look_up_attempt(&question.request, question.attempt_no, context)
        .await?;
    let took = clock.monotonic().saturating_sub(started);
    let account = account.to_string();
    metrics::histogram!("counterfoil_provider_lookup_seconds", "account" => account.clone())
        .record(took);
    metrics::counter!(
        "counterfoil_provider_lookups_total", "account" => account, "result" => told.as_str()
    )
    .increment(1);
    Ok(told)
}
