//! Asks providers for the real status: on a schedule after an attempt starts, and at once after
//! weak evidence and payer notices.
//!
//! The schedule is a function of the attempt's start, so no step is stored; only when it was asked
//! last is noted, and a lost note costs one early question.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::{AccountSlug, PaymentRequestId};
use domain::payment::request::AttemptState;
use domain::time::Timestamp;
use projections::views::timers::{AskedRow, LookUpRow};

use super::health::Health;
use super::supervise::Stop;
use crate::app::App;
use crate::app::attempts::INTERRUPTED_AFTER;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::look_ups::LookedUp;

/// Name of the loop.
pub const NAME: &str = "look_up";
/// Actor of what it does itself.
const ENTRY: &str = "work::look_up";
/// Rows read in one go.
const PAGE: usize = 500;
/// How often the timers are looked at.
const POLL: Duration = Duration::from_millis(500);
/// How far back requests are remembered that something made due now.
const ASKED_FOR: Duration = Duration::from_secs(72 * 3600);
/// A question that nobody answered is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(15);
/// Questions to one account in one turn; the rest waits for the next.
const PER_ACCOUNT_AND_TURN: u32 = 20;
/// After this many unknown answers in a row an account is left alone for [`BREAK`].
const FAILURES_MAX: u32 = 5;
/// How long it is left alone.
const BREAK: Duration = Duration::from_secs(30);

/// Offsets from an attempt's start, in seconds; afterwards every ten minutes to the end of its
/// session.
const EARLY: [u64; 6] = [15, 30, 60, 120, 300, 600];
/// Offsets from the later of session end and expiry, in seconds.
const LATE: [u64; 6] = [0, 15 * 60, 3600, 6 * 3600, 24 * 3600, 72 * 3600];

/// What is known of one account's provider.
#[derive(Default)]
struct Breaker {
    failures: u32,
    closed_until: Option<Duration>,
    asked: u32,
}

impl Breaker {
    /// True when the account is to rest.
    fn resting(&self) -> bool {
        self.closed_until.is_some() || self.asked >= PER_ACCOUNT_AND_TURN
    }
}

/// Runs until it is asked to stop.
pub async fn run(app: Arc<App>, health: Arc<Health>, mut stop: Stop) {
    let mut breakers: BTreeMap<AccountSlug, Breaker> = BTreeMap::new();
    while !stop.asked() {
        let clock = Arc::clone(app.recorder.clock());
        match turn(&app, &mut breakers, &stop).await {
            Ok(()) => {
                let open: Vec<_> = breakers
                    .iter()
                    .filter(|(_, b)| b.closed_until.is_some())
                    .map(|(a, _)| a.as_str())
                    .collect();
                let note = (!open.is_empty())
                    .then(|| format!("left alone until they answer: {}", open.join(", ")));
                health.works(NAME, clock.now(), note);
            }
            Err(error) => {
                tracing::warn!(error = %error, "look_up.outage");
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
    let now = app.recorder.now();
    let monotonic = app.recorder.clock().monotonic();
    for breaker in breakers.values_mut() {
        breaker.asked = 0;
        if breaker.closed_until.is_some_and(|until| monotonic >= until) {
            *breaker = Breaker::default();
        }
    }
    answer_asked(app, breakers, now, stop).await?;
    let mut after = None;
    loop {
        let page = app.open_look_ups(now, after, PAGE).await?;
        for row in page.rows {
            if stop.asked() {
                return Ok(());
            }
            let breaker = breakers.entry(row.account.clone()).or_default();
            if breaker.resting() || !is_due(app, &row, now).await {
                continue;
            }
            if row.state == AttemptState::Started {
                if now.since(row.started_at) < INTERRUPTED_AFTER {
                    continue;
                }
                app.doubt_interrupted(&row.request, row.attempt_no, &Context::job(ENTRY))
                    .await?;
            }
            breaker.asked += 1;
            note(app, &note_key(&row), now).await;
            ask(app, &row.request, row.attempt_no, &row.account, breaker).await?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Asks about one attempt. True when the provider answered.
async fn ask(
    app: &App,
    request: &PaymentRequestId,
    attempt_no: u32,
    account: &AccountSlug,
    breaker: &mut Breaker,
) -> Result<bool, AppError> {
    let clock = app.recorder.clock();
    let started = clock.monotonic();
    let looked_up = match app
        .look_up_attempt(request, attempt_no, &Context::job(ENTRY))
        .await
    {
        Ok(looked_up) => looked_up,
        Err(error @ (AppError::StoreUnavailable { .. } | AppError::StoreFull)) => {
            return Err(error);
        }
        Err(error) => {
            tracing::error!(payment_request_id = %request, error = %error, "look_up.stuck");
            return Ok(true);
        }
    };
    let took = clock.monotonic().saturating_sub(started);
    metrics::histogram!("counterfoil_provider_lookup_seconds", "account" => account.to_string())
        .record(took);
    match looked_up {
        LookedUp::Answered(_) | LookedUp::NotFound | LookedUp::Nothing => {
            *breaker = Breaker {
                asked: breaker.asked,
                ..Breaker::default()
            };
            Ok(true)
        }
        LookedUp::Unknown { retry_after_s } => {
            breaker.failures += 1;
            let rest = retry_after_s.map(|seconds| Duration::from_secs(u64::from(seconds)));
            let rest = rest.or((breaker.failures >= FAILURES_MAX).then_some(BREAK));
            breaker.closed_until = rest.map(|rest| clock.monotonic() + rest);
            Ok(false)
        }
    }
}

fn note_key(row: &LookUpRow) -> String {
    format!("look_up:{}:{}", row.request, row.attempt_no)
}

/// Requests that weak evidence, a late notification or a payer notice made due now. However many
/// were answered before, none is passed over.
async fn answer_asked(
    app: &App,
    breakers: &mut BTreeMap<AccountSlug, Breaker>,
    now: Timestamp,
    stop: &Stop,
) -> Result<(), AppError> {
    let mut after = None;
    loop {
        let page = app.asked_since(now.minus(ASKED_FOR), after, PAGE).await?;
        for row in page.rows {
            if stop.asked() {
                return Ok(());
            }
            answer_one(app, breakers, now, &row).await?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Every attempt of the request is asked about, whatever is thought of it.
async fn answer_one(
    app: &App,
    breakers: &mut BTreeMap<AccountSlug, Breaker>,
    now: Timestamp,
    row: &AskedRow,
) -> Result<(), AppError> {
    let (done_key, tried_key) = (
        format!("asked:{}", row.request),
        format!("asked_try:{}", row.request),
    );
    if noted(app, &done_key)
        .await
        .is_some_and(|done| row.at <= done)
    {
        return Ok(());
    }
    let tried = noted(app, &tried_key).await;
    if tried.is_some_and(|tried| now.since(tried) < ASK_AGAIN && row.at <= tried) {
        return Ok(());
    }
    note(app, &tried_key, now).await;
    let mut answered = true;
    for (attempt_no, account) in app.attempts_of(&row.request).await? {
        let breaker = breakers.entry(account.clone()).or_default();
        if breaker.resting() {
            answered = false;
            continue;
        }
        breaker.asked += 1;
        answered &= ask(app, &row.request, attempt_no, &account, breaker).await?;
    }
    if answered {
        note(app, &done_key, row.at).await;
    }
    Ok(())
}

async fn noted(app: &App, key: &str) -> Option<Timestamp> {
    let note = app.ops.note(key).await.ok().flatten()?;
    String::from_utf8(note)
        .ok()?
        .parse()
        .ok()
        .map(Timestamp::from_millis)
}

/// A note that is lost costs one early question.
async fn note(app: &App, key: &str, at: Timestamp) {
    let _ = app
        .ops
        .put_note(key, at.millis().to_string().as_bytes())
        .await;
}

async fn is_due(app: &App, row: &LookUpRow, now: Timestamp) -> bool {
    let last = noted(app, &note_key(row)).await;
    let since = last.unwrap_or(row.started_at);
    let interrupted =
        row.state == AttemptState::Started && now.since(row.started_at) >= INTERRUPTED_AFTER;
    (interrupted && last.is_none()) || steps_between(row, since, now) > 0
}

/// How many steps of the schedule lie after `since` and not after `now`.
fn steps_between(row: &LookUpRow, since: Timestamp, now: Timestamp) -> usize {
    let jitter = jitter(row);
    let end = row.session_expires_at.max(row.expires_at);
    let early = EARLY
        .iter()
        .map(|offset| row.started_at.plus(Duration::from_secs(*offset) + jitter));
    let middle = (2..).map(|n| row.started_at.plus(Duration::from_secs(n * 600) + jitter));
    let late = LATE
        .iter()
        .map(|offset| end.plus(Duration::from_secs(*offset) + jitter));
    let steps = early
        .chain(middle.take_while(|at| *at < end).take(1000))
        .chain(late);
    steps.filter(|at| *at > since && *at <= now).count()
}

/// Up to three seconds, different per attempt and always the same for one, so that attempts of one
/// moment are not asked about in one moment.
fn jitter(row: &LookUpRow) -> Duration {
    let sum: u64 = row.our_reference.as_str().bytes().map(u64::from).sum();
    Duration::from_millis(sum * 37 % 3000)
}

#[cfg(test)]
mod tests {
    use domain::ids::{MerchantId, PaymentRequestId, ProviderCode, ProviderRef};

    use super::*;

    fn row() -> LookUpRow {
        let at = Timestamp::from_seconds;
        LookUpRow {
            request: PaymentRequestId::parse(format!("pr_{}", "a".repeat(26))).unwrap(),
            merchant: MerchantId::parse("shop").unwrap(),
            attempt_no: 1,
            provider: ProviderCode::parse("sim").unwrap(),
            account: AccountSlug::parse("sim-main").unwrap(),
            our_reference: ProviderRef::parse("x").unwrap(),
            provider_order_ref: None,
            state: AttemptState::Registered,
            started_at: at(0),
            session_expires_at: at(1200),
            expires_at: at(3600),
            until: at(100_000),
        }
    }

    #[test]
    fn the_schedule_follows_from_the_start_and_the_end() {
        let row = row();
        let steps = |from, to| {
            steps_between(
                &row,
                Timestamp::from_seconds(from),
                Timestamp::from_seconds(to),
            )
        };
        assert_eq!(steps(0, 10), 0);
        assert_eq!(steps(0, 20), 1);
        assert_eq!(steps(20, 40), 1);
        assert_eq!(steps(0, 700), 6);
        assert_eq!(steps(700, 3590), 4);
        assert_eq!(steps(3590, 3610), 1);
        assert_eq!(steps(3610, 3600 + 72 * 3600 + 10), 5);
        assert_eq!(steps(3600 + 72 * 3600 + 10, i64::from(i32::MAX)), 0);
    }
}
