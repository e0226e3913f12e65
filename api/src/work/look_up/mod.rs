//! Asks providers for the real status: on a schedule after an attempt starts, and at once after weak
//! evidence and payer notices. It also finishes what a crash interrupted (an end that was asked for),
//! and tells a person where all questions were in vain.
//!
//! Each account is asked by a task of its own and at its own pace, the longest due first: an account
//! that does not answer holds up no other one.

mod due;
mod memory;
mod question;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use domain::ids::AccountSlug;
use tokio::task::{Id, JoinError, JoinSet};

use self::due::Finder;
use self::memory::Memory;
use self::question::{Question, ask_all};
use super::health::Health;
use super::supervise::Stop;
use crate::app::App;
use crate::app::error::AppError;

/// Name of the loop.
pub const NAME: &str = "look_up";
/// Actor of what it does itself.
const ENTRY: &str = "work::look_up";
/// How often the timers are looked at.
const POLL: Duration = Duration::from_millis(500);

struct Loop {
    app: Arc<App>,
    stop: Stop,
    memory: Arc<Memory>,
    finder: Finder,
    asking: JoinSet<Result<(), AppError>>,
    /// Accounts whose task is at work.
    busy: HashMap<Id, AccountSlug>,
}

/// Runs until it is asked to stop.
pub async fn run(app: Arc<App>, health: Arc<Health>, mut stop: Stop) {
    let memory = Arc::new(Memory::new(Arc::clone(&app.ops)));
    let mut state = Loop {
        finder: Finder::new(Arc::clone(&app), Arc::clone(&memory)),
        app: Arc::clone(&app),
        stop: stop.clone(),
        memory,
        asking: JoinSet::new(),
        busy: HashMap::new(),
    };
    let clock = Arc::clone(app.recorder.clock());
    while !stop.asked() {
        match state.turn().await {
            Ok(()) => health.works(NAME, clock.now(), state.resting()),
            Err(error) => {
                tracing::warn!(error = %error, "look_up.outage");
                health.fails(NAME, clock.now(), error.to_string());
            }
        }
        if stop.sleeps(&*clock, POLL).await {
            break;
        }
    }
    while state.asking.join_next().await.is_some() {}
}

impl Loop {
    async fn turn(&mut self) -> Result<(), AppError> {
        while let Some(ended) = self.asking.try_join_next_with_id() {
            self.take_back(ended)?;
        }
        let busy: BTreeSet<AccountSlug> = self.busy.values().cloned().collect();
        let due = self.finder.find(&busy).await?;
        for (account, questions) in due {
            metrics::gauge!("counterfoil_look_ups_due", "account" => account.to_string())
                .set(u32::try_from(questions.len()).unwrap_or(u32::MAX));
            self.begin(account, questions);
        }
        Ok(())
    }

    fn begin(&mut self, account: AccountSlug, questions: Vec<Question>) {
        let work = ask_all(
            Arc::clone(&self.app),
            Arc::clone(&self.memory),
            self.stop.clone(),
            account.clone(),
            questions,
        );
        let id = self.asking.spawn(work).id();
        self.busy.insert(id, account);
    }

    /// An account's task has ended; one that panicked is begun again in this turn.
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
                tracing::error!(error = %error, "look_up.panicked");
                Ok(())
            }
        }
    }

    /// The accounts that are left alone, for health and metrics.
    fn resting(&self) -> Option<String> {
        let now = self.app.recorder.clock().monotonic();
        let mut resting = vec![];
        for (account, provider) in self.app.registry.providers() {
            let rest = provider.pace.rests(now);
            metrics::gauge!("counterfoil_provider_resting", "account" => account.to_string())
                .set(f64::from(u8::from(rest.is_some())));
            if let Some(left) = rest {
                resting.push(format!("{account} for {} s", left.as_secs().max(1)));
            }
        }
        (!resting.is_empty())
            .then(|| format!("do not answer and are left alone: {}", resting.join(", ")))
    }
}
