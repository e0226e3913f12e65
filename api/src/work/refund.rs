//! Calls providers for refunds, and asks what became of those whose answer is not known.
//!
//! It is the only one that calls, and works on one refund of an account after the other, so a call
//! that it finds written down without a result was interrupted. Accounts wait for nobody but
//! themselves. When a refund was asked about last is a note; a lost one costs one early question.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::AccountSlug;
use domain::time::Timestamp;
use futures::future::join_all;
use projections::views::timers::RefundRow;

use super::health::Health;
use super::supervise::Stop;
use crate::app::App;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::refund_calls::{RefundWorked, is_due};

/// Name of the loop.
pub const NAME: &str = "refund";
/// Actor of what it does itself.
const ENTRY: &str = "work::refund";
/// Rows read in one go.
const PAGE: usize = 500;
/// How often the timers are looked at.
const POLL: Duration = Duration::from_millis(500);
/// Refunds of one account in one turn; the rest waits for the next.
const PER_ACCOUNT_AND_TURN: usize = 20;
/// After this many unknown answers in a row an account is left alone for [`BREAK`].
const FAILURES_MAX: u32 = 5;
/// How long it is left alone.
const BREAK: Duration = Duration::from_secs(30);

/// What is known of one account's provider.
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    rests_until: Option<Duration>,
}

impl Breaker {
    fn rests(&mut self, now: Duration) -> bool {
        if self.rests_until.is_some_and(|until| now >= until) {
            *self = Self::default();
        }
        self.rests_until.is_some()
    }

    fn heard(&mut self, worked: RefundWorked, now: Duration) {
        match worked {
            RefundWorked::Nothing => {}
            RefundWorked::Answered => *self = Self::default(),
            RefundWorked::Unknown { retry_after_s } => {
                self.failures += 1;
                let told = retry_after_s.map(|seconds| Duration::from_secs(u64::from(seconds)));
                let rest = told.or((self.failures >= FAILURES_MAX).then_some(BREAK));
                self.rests_until = rest.map(|rest| now + rest);
            }
        }
    }
}

/// Runs until it is asked to stop.
pub async fn run(app: Arc<App>, health: Arc<Health>, mut stop: Stop) {
    let mut breakers: BTreeMap<AccountSlug, Breaker> = BTreeMap::new();
    while !stop.asked() {
        let clock = Arc::clone(app.recorder.clock());
        match turn(&app, &mut breakers, &stop).await {
            Ok(()) => {
                let resting = breakers.iter().filter(|(_, b)| b.rests_until.is_some());
                let resting: Vec<_> = resting.map(|(account, _)| account.as_str()).collect();
                let note = (!resting.is_empty())
                    .then(|| format!("left alone until they answer: {}", resting.join(", ")));
                health.works(NAME, clock.now(), note);
            }
            Err(error) => {
                tracing::warn!(error = %error, "refund.outage");
                health.fails(NAME, clock.now(), error.to_string());
            }
        }
        if stop.sleeps(&*clock, POLL).await {
            return;
        }
    }
}

async fn turn(
    app: &App,
    breakers: &mut BTreeMap<AccountSlug, Breaker>,
    stop: &Stop,
) -> Result<(), AppError> {
    let mut due = due_by_account(app).await?;
    for account in due.keys() {
        breakers.entry(account.clone()).or_default();
    }
    let work = breakers.iter_mut().filter_map(|(account, breaker)| {
        let rows = due.remove(account)?;
        Some(of_account(app, breaker, rows, stop))
    });
    // Each to its end: a call that is under way is not broken off by an outage of another's.
    join_all(work).await.into_iter().collect()
}

async fn due_by_account(app: &App) -> Result<BTreeMap<AccountSlug, Vec<RefundRow>>, AppError> {
    let now = app.recorder.now();
    let mut due: BTreeMap<AccountSlug, Vec<RefundRow>> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = app.open_refunds(after, PAGE).await?;
        for row in page.rows {
            let of_account = due.get(&row.account).map_or(0, Vec::len);
            if of_account < PER_ACCOUNT_AND_TURN && is_due(&row, asked(app, &row).await, now) {
                due.entry(row.account.clone()).or_default().push(row);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(due);
        }
    }
}

/// One after the other. An outage of our own ends it; a refund in trouble holds up no other.
async fn of_account(
    app: &App,
    breaker: &mut Breaker,
    rows: Vec<RefundRow>,
    stop: &Stop,
) -> Result<(), AppError> {
    let clock = app.recorder.clock();
    for row in rows {
        if stop.asked() || breaker.rests(clock.monotonic()) {
            return Ok(());
        }
        note(app, &row).await;
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
        let took = clock.monotonic().saturating_sub(started);
        metrics::histogram!("counterfoil_provider_refund_seconds", "account" => row.account.to_string())
            .record(took);
        breaker.heard(worked, clock.monotonic());
    }
    Ok(())
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
