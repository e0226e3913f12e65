//! Which questions are due now, by account.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::ids::{AccountSlug, PaymentRequestId};
use domain::payment::request::AttemptState;
use domain::time::Timestamp;
use projections::views::timers::{AskedRow, LookUpRow};

use super::memory::Memory;
use super::question::{Question, Why};
use crate::app::App;
use crate::app::attempts::INTERRUPTED_AFTER;
use crate::app::error::AppError;

/// Most questions that one account is given at once; the longest due.
const AT_ONCE: usize = 1000;
/// How far back requests are remembered that something made due now.
const ASKED_FOR: Duration = Duration::from_secs(72 * 3600);
/// A question that nobody answered is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(15);

/// Questions by the account that is asked.
type Due = BTreeMap<AccountSlug, Vec<Question>>;

/// Numbers and accounts.
type Attempts = Vec<(u32, AccountSlug)>;

/// Finds what is due.
pub(super) struct Finder {
    app: Arc<App>,
    memory: Arc<Memory>,
    /// Attempts of requests that something made due at a time, until all are answered for.
    wanted: BTreeMap<PaymentRequestId, (Timestamp, Attempts)>,
}

impl Finder {
    pub(super) fn new(app: Arc<App>, memory: Arc<Memory>) -> Self {
        Self {
            app,
            memory,
            wanted: BTreeMap::new(),
        }
    }

    /// Everything that is due at an account that is not busy, the longest due first.
    pub(super) async fn find(&mut self, busy: &BTreeSet<AccountSlug>) -> Result<Due, AppError> {
        let now = self.app.recorder.now();
        let mut due = Due::new();
        self.asked(now, &mut due).await?;
        for row in self.app.ends_asked_for(now).await? {
            if let Some(question) = self.of_interrupted_end(&row, now).await {
                due.entry(row.account).or_default().push(question);
            }
        }
        for row in self.app.silent_attempts(now).await? {
            let key = Why::Silence.key(&row.request, row.attempt_no);
            let told = self.memory.of(&key).await;
            if told.is_none_or(|told| told < row.until) {
                let question = Question::of(&row, row.until, Why::Silence);
                due.entry(row.account).or_default().push(question);
            }
        }
        for row in self.app.open_look_ups(now).await? {
            if busy.contains(&row.account) {
                continue;
            }
            if let Some(question) = self.of_schedule(&row, now).await {
                due.entry(row.account).or_default().push(question);
            }
        }
        due.retain(|account, _| !busy.contains(account));
        for questions in due.values_mut() {
            questions.sort_by_key(|question| question.due);
            questions.truncate(AT_ONCE);
        }
        Ok(due)
    }

    /// Requests that weak evidence, a late notification or a payer notice made due now: every attempt
    /// is asked about, whatever is thought of it. However many were answered before, none is passed
    /// over.
    async fn asked(&mut self, now: Timestamp, due: &mut Due) -> Result<(), AppError> {
        for row in self.app.asked_since(now.minus(ASKED_FOR)).await? {
            let done = Why::answered_key(&row.request);
            let answered = self.memory.of(&done).await;
            if answered.is_some_and(|answered| row.at <= answered) {
                self.wanted.remove(&row.request);
                continue;
            }
            let mut all_answered = true;
            for (attempt_no, account) in self.attempts_of(&row).await? {
                let why = Why::Asked { at: row.at };
                let answered = self.memory.of(&why.key(&row.request, attempt_no)).await;
                if answered.is_some_and(|answered| row.at <= answered) {
                    continue;
                }
                all_answered = false;
                let tried = Why::tried_key(&row.request, attempt_no);
                let tried = self.memory.of(&tried).await;
                let tried = tried.filter(|tried| row.at <= *tried);
                let next = tried.map_or(row.at, |tried| tried.plus(ASK_AGAIN));
                if next <= now {
                    due.entry(account).or_default().push(Question {
                        due: next,
                        request: row.request.clone(),
                        attempt_no,
                        why,
                    });
                }
            }
            if all_answered {
                self.memory.put(&done, row.at).await;
            }
        }
        Ok(())
    }

    /// The attempts of a request by when something made it due. Later ones have their schedule.
    async fn attempts_of(&mut self, row: &AskedRow) -> Result<Attempts, AppError> {
        let known = self.wanted.get(&row.request);
        if let Some((_, attempts)) = known.filter(|(at, _)| *at == row.at) {
            return Ok(attempts.clone());
        }
        let attempts = self.app.attempts_of(&row.request).await?;
        let wanted = (row.at, attempts.clone());
        self.wanted.insert(row.request.clone(), wanted);
        Ok(attempts)
    }

    /// An end that was asked for long enough ago that whoever asked has an answer, or is gone.
    async fn of_interrupted_end(&self, row: &LookUpRow, now: Timestamp) -> Option<Question> {
        let asked_at = row.cancel_at?;
        let key = Why::End.key(&row.request, row.attempt_no);
        let tried = self.memory.of(&key).await.unwrap_or(asked_at);
        let next = tried.plus(INTERRUPTED_AFTER);
        let done = Why::ended_key(&row.request, row.attempt_no);
        let open = next <= now && self.memory.of(&done).await.is_none();
        open.then(|| Question::of(row, next, Why::End))
    }

    async fn of_schedule(&self, row: &LookUpRow, now: Timestamp) -> Option<Question> {
        let key = Why::Schedule.key(&row.request, row.attempt_no);
        let asked = self.memory.of(&key).await;
        if row.state == AttemptState::Started {
            // Its registration may be under way.
            if now.since(row.started_at) < INTERRUPTED_AFTER {
                return None;
            }
            if asked.is_none() {
                let due = row.started_at.plus(INTERRUPTED_AFTER);
                return Some(Question::of(row, due, Why::Interrupted)); // row A7
            }
        }
        let since = asked.unwrap_or(row.started_at);
        let due = row.schedule().due(since, now)?;
        Some(Question::of(row, due, Why::Schedule))
    }
}
