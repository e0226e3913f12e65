//! Calls providers for refunds, and asks what became of those whose answer is not known.
//!
//! It is the only one that calls, and works on one refund of an account after the other, so a call
//! that it finds written down without a result was interrupted. Accounts wait for nobody but
//! themselves. When a refund was asked about last is a note; a lost one costs one early question.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use domain::ids::{AccountSlug, ProviderRef};
use domain::time::Timestamp;
use projections::views::timers::RefundRow;
use tokio::task::{Id, JoinError, JoinSet};

use super::health::Health;
use super::supervise::Stop;
use crate::app::App;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::pace::Admission;
use crate::app::refund_calls::{RefundWorked, is_due};

/// Name of the loop.
pub const NAME: &str = "refund";
/// Actor of what it does itself.
const ENTRY: &str = "work::refund";
/// Rows read in one go.
const PAGE: usize = 500;
/// How often the timers are looked at.
const POLL: Duration = Duration::from_millis(500);
/// Refunds that one task of an account takes on; the rest waits for the next.
const PER_TASK: usize = 20;

struct Loop {
    app: Arc<App>,
    stop: Stop,
    working: JoinSet<Result<(), AppError>>,
    /// Accounts whose task is at work.
    busy: HashMap<Id, AccountSlug>,
}

/// Runs until it is asked to stop.
pub async fn run(app: Arc<App>, health: Arc<Health>, mut stop: Stop) {
    let clock = Arc::clone(app.recorder.clock());
    let mut state = Loop {
        app,
        stop: stop.clone(),
        working: JoinSet::new(),
        busy: HashMap::new(),
    };
    while !stop.asked() {
        match state.turn().await {
            Ok(()) => health.works(NAME, clock.now(), None),
            Err(error) => {
                tracing::warn!(error = %error, "refund.outage");
                health.fails(NAME, clock.now(), error.to_string());
            }
        }
        if stop.sleeps(&*clock, POLL).await {
            break;
        }
    }
    // A call that is under way gets its answer written down.
    while state.working.join_next().await.is_some() {}
}

impl Loop {
    async fn turn(&mut self) -> Result<(), AppError> {
        while let Some(ended) = self.working.try_join_next_with_id() {
            self.take_back(ended)?;
        }
        for (account, rows) in self.due_by_account().await? {
            let work = of_account(Arc::clone(&self.app), self.stop.clone(), rows);
            let id = self.working.spawn(work).id();
            self.busy.insert(id, account);
        }
        Ok(())
    }

    /// An account's task has ended; what one that panicked left is found again.
    fn take_back(
        &mut self,
        ended: Result<(Id, Result<(), AppError>), JoinError>,
    ) -> Result<(), AppError> {
        match ended {
            Ok((id, result)) => {
                self.busy.remove(&id);
                result
            }
            Err(error) => {
                self.busy.remove(&error.id());
                metrics::counter!("counterfoil_loop_panics_total", "loop" => NAME).increment(1);
                tracing::error!(error = %error, "refund.panicked");
                Ok(())
            }
        }
    }

    /// Of accounts that nobody works on.
    async fn due_by_account(&self) -> Result<BTreeMap<AccountSlug, Vec<RefundRow>>, AppError> {
        let now = self.app.recorder.now();
        let mut due: BTreeMap<AccountSlug, Vec<RefundRow>> = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.app.open_refunds(after, PAGE).await?;
            for row in page.rows {
                let known = due.get(&row.account).map_or(0, Vec::len);
                let free = !self.busy.values().any(|account| *account == row.account);
                if free && known < PER_TASK && is_due(&row, asked(&self.app, &row).await, now) {
                    due.entry(row.account.clone()).or_default().push(row);
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(due);
            }
        }
    }
}

/// One after the other, at the account's pace. An outage of our own ends it; a refund in trouble holds
/// up no other.
async fn of_account(app: Arc<App>, stop: Stop, rows: Vec<RefundRow>) -> Result<(), AppError> {
    let clock = app.recorder.clock();
    for row in rows {
        if stop.asked() || !admitted(&app, &row.account) {
            return Ok(());
        }
        note(&app, &row).await;
        let started = clock.monotonic();
        let worked = match app.work_refund(&row, &Context::job(ENTRY)).await {
            Ok(worked) => worked,
            Err(error @ (AppError::StoreUnavailable { .. } | AppError::StoreFull)) => {
                return Err(error);
            }
            Err(error) => {
                tracing::error!(payment_request_id = %row.request, refund = %row.refund, error = %error, "refund.stuck");
                continue;
            }
        };
        let now = clock.monotonic();
        metrics::histogram!("counterfoil_provider_refund_seconds", "account" => row.account.to_string())
            .record(now.saturating_sub(started));
        heard(&app, &row, worked, now);
    }
    Ok(())
}

/// May the account be called or asked now? Where there is nobody to call, nobody is in the way.
fn admitted(app: &App, account: &AccountSlug) -> bool {
    let now = app.recorder.clock().monotonic();
    let known = app.account(account).ok();
    let called = known.filter(|(_, _, provider)| provider.refunds.is_some());
    called.is_none_or(|(_, _, provider)| provider.pace.admit(now) == Admission::Go)
}

/// What the account's pace learns of it.
fn heard(app: &App, row: &RefundRow, worked: RefundWorked, now: Duration) {
    let Ok((_, _, provider)) = app.account(&row.account) else {
        return;
    };
    match worked {
        RefundWorked::Nothing => {}
        RefundWorked::Answered => provider.pace.answered(),
        RefundWorked::Unknown { retry_after_s } => {
            let about = ProviderRef::parse(row.refund.as_str());
            let retry_after = retry_after_s.map(|seconds| Duration::from_secs(u64::from(seconds)));
            if let Ok(about) = about {
                provider.pace.silent(&about, retry_after, now);
            }
        }
    }
}

fn note_key(row: &RefundRow) -> String {
    format!("refund:{}:{}", row.request, row.refund)
}

async fn asked(app: &App, row: &RefundRow) -> Option<Timestamp> {
    let note = app.ops.note(&note_key(row)).await.ok().flatten()?;
    let millis = String::from_utf8(note).ok()?.parse().ok()?;
    Some(Timestamp::from_millis(millis))
}

/// A note that is lost costs one early question.
async fn note(app: &App, row: &RefundRow) {
    let now = app.recorder.now().millis().to_string();
    let _ = app.ops.put_note(&note_key(row), now.as_bytes()).await;
}
