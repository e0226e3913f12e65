//! Sends due deliveries: the only code that tells subscribers anything.
//!
//! Round-robin over subscribers, each with its own lane, so that one that hangs delays nobody else.
//! A row of the queue is a hint: before the socket is opened, the delivery's own stream must say the
//! same. Only rows of the live generation are read, so a rebuild cannot send.

mod attempt;
mod known;
mod lane;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::{DeliveryId, SubscriberId};
use domain::ports::{HttpOut, Position};
use domain::subscriber::Command;
use futures::FutureExt as _;
use projections::ports::At;
use projections::views::delivery_queue::{self, DeliveryRow, QueueState, SubscriberRow};
use tokio::task::JoinSet;

use self::attempt::{Attempted, attempt, give_up};
use self::known::Known;
use self::lane::Lane;
use super::health::Health;
use super::supervise::Stop;
use crate::app::App;
use crate::app::context::Context;
use crate::app::error::AppError;

/// Name of the loop.
pub const NAME: &str = "deliver";
/// Deliveries under way at once in all.
const IN_ALL: usize = 64;
/// Due rows of a subscriber that are read at once.
const DUE_PAGE: usize = 256;
/// How often the queue is looked at when nothing happens.
const POLL: Duration = Duration::from_millis(500);
/// How soon after something happened; the view needs a moment.
const SOON: Duration = Duration::from_millis(20);
/// How often in a row it looks so soon while the view is behind.
const SOON_MAX: u32 = 50;
/// What waited so long for a receiver that was away all the time is given up.
const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Given up in one turn.
const GIVEN_UP_PER_TURN: usize = 16;
/// How long receivers' answers are kept for operators.
const EXCERPTS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often older ones are erased.
const ERASE_EVERY: Duration = Duration::from_secs(3600);
/// After an outcome could not be recorded, nothing new is sent for so long.
const HALT: Duration = Duration::from_secs(10);

type Ended = (SubscriberId, DeliveryId, Attempted);

struct Dispatcher {
    app: Arc<App>,
    http: Arc<dyn HttpOut>,
    known: Arc<Known>,
    lanes: BTreeMap<SubscriberId, Lane>,
    tasks: JoinSet<Ended>,
    /// Which subscriber comes first in the next turn.
    first: usize,
    /// When the rate of some subscriber allows the next request.
    refill: Duration,
    /// Who is left alone at the moment, for the health page.
    left_alone: Vec<SubscriberId>,
    /// Monotonic.
    halted_until: Duration,
    erase_at: Duration,
}

/// Runs until it is asked to stop; what is under way is waited for.
pub async fn run(app: Arc<App>, http: Arc<dyn HttpOut>, health: Arc<Health>, mut stop: Stop) {
    let clock = Arc::clone(app.recorder.clock());
    let store = Arc::clone(app.recorder.store());
    let mut dispatcher = Dispatcher {
        app,
        http,
        known: Arc::default(),
        lanes: BTreeMap::new(),
        tasks: JoinSet::new(),
        first: 0,
        refill: POLL,
        left_alone: vec![],
        halted_until: Duration::ZERO,
        erase_at: Duration::ZERO,
    };
    let (mut seen, mut soon) = (None, 0);
    while !stop.asked() {
        let head = store.head().await.ok().flatten();
        match dispatcher.turn().await {
            Ok(()) => health.works(NAME, clock.now(), dispatcher.note()),
            Err(error) => {
                tracing::warn!(error = %error, "deliver.outage");
                health.fails(NAME, clock.now(), error.to_string());
            }
        }
        let news = head != seen;
        seen = head;
        soon = if news {
            SOON_MAX
        } else {
            soon.saturating_sub(1)
        };
        let hurry = news || (soon > 0 && dispatcher.view_is_behind(seen).await);
        tokio::select! {
            biased;
            () = stop.wait() => {}
            Some(ended) = dispatcher.tasks.join_next(), if !dispatcher.tasks.is_empty() => dispatcher.ended(ended),
            () = clock.sleep(if hurry { SOON } else { POLL }.min(dispatcher.refill)) => {}
            () = store.wake_up(seen), if !hurry => clock.sleep(SOON).await,
        }
    }
    while let Some(ended) = dispatcher.tasks.join_next().await {
        dispatcher.ended(ended);
    }
}

impl Dispatcher {
    async fn turn(&mut self) -> Result<(), AppError> {
        while let Some(ended) = self.tasks.try_join_next() {
            self.ended(ended);
        }
        self.erase_old_excerpts().await;
        self.left_alone.clear();
        self.refill = POLL;
        let mut rows = self.app.subscriber_rows().await?;
        rows.retain(|row| row.subscriber.paused.is_none() && !row.subscriber.removed);
        if rows.is_empty() || self.app.recorder.clock().monotonic() < self.halted_until {
            return Ok(());
        }
        let first = self.first % rows.len();
        rows.rotate_left(first);
        self.first = first + 1;
        for row in &rows {
            self.note_circuit(row).await?;
            if row.subscriber.url.is_some() {
                self.start_for(row).await?;
            }
        }
        Ok(())
    }

    async fn start_for(&mut self, row: &SubscriberRow) -> Result<(), AppError> {
        let id = &row.subscriber.id;
        let (now, monotonic) = (
            self.app.recorder.now(),
            self.app.recorder.clock().monotonic(),
        );
        if row.breaker.probe_at().is_some_and(|at| at > now) {
            self.left_alone.push(id.clone());
            return self.give_up_old(row).await;
        }
        let policy = &row.subscriber.policy;
        let lane = self.lanes.entry(id.clone()).or_default();
        let free = lane
            .free(policy, &row.breaker, now, monotonic)
            .min(IN_ALL.saturating_sub(self.tasks.len()));
        if let Some(wait) = lane.refill(policy) {
            self.refill = self.refill.min(wait);
        }
        if free == 0 {
            return Ok(());
        }
        if policy.strict_fifo {
            let first = self.app.first_open_delivery(id.as_str()).await?;
            let due = |row: &DeliveryRow| row.state == QueueState::Due && row.next_try_at <= now;
            lane.found(first.into_iter().filter(due).collect(), monotonic);
        } else if lane.looks_again(free, monotonic) {
            let due = self.app.due_deliveries(id.as_str(), now, DUE_PAGE).await?;
            lane.found(due, monotonic);
        }
        for delivery in lane.start(free) {
            self.tasks.spawn(try_once(
                Arc::clone(&self.app),
                Arc::clone(&self.http),
                Arc::clone(&self.known),
                delivery,
            ));
        }
        Ok(())
    }

    /// Leaves in the subscriber's stream that it is left alone, and that it answers again: for those
    /// who look after it. The breaker itself follows from the outcomes.
    async fn note_circuit(&self, row: &SubscriberRow) -> Result<(), AppError> {
        let known = &row.subscriber;
        let command = match (row.breaker.open_since(), known.circuit_open_since) {
            (Some(since), None) => Command::OpenCircuit { since },
            (None, Some(_)) => Command::CloseCircuit,
            (Some(_), Some(_)) | (None, None) => return Ok(()),
        };
        let context = Context::job(NAME);
        self.app
            .command_subscriber(&known.merchant, &known.id, &context, &[command])
            .await
            .map(|_| ())
    }

    /// While a receiver is away, its deliveries wait without burning steps; but not for ever.
    async fn give_up_old(&self, row: &SubscriberRow) -> Result<(), AppError> {
        let limit = self.app.recorder.now().minus(AGE_MAX);
        if row.breaker.open_since().is_none_or(|since| since > limit) {
            return Ok(());
        }
        for delivery in self
            .app
            .due_deliveries(row.subscriber.id.as_str(), limit, GIVEN_UP_PER_TURN)
            .await?
        {
            give_up(&self.app, &delivery).await?;
        }
        Ok(())
    }

    fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        // A task catches its own panics and nobody aborts one, so there is always a result.
        let Ok((subscriber, delivery, attempted)) = ended else {
            return;
        };
        let monotonic = self.app.recorder.clock().monotonic();
        let result = match attempted {
            Attempted::Arrived => "arrived",
            Attempted::Failed { .. } => "failed",
            Attempted::Skipped => "skipped",
            Attempted::Unrecorded => {
                self.halted_until = monotonic + HALT;
                "unrecorded"
            }
        };
        let label = subscriber.to_string();
        metrics::counter!("counterfoil_delivery_attempts_total", "subscriber" => label, "result" => result).increment(1);
        self.lanes
            .entry(subscriber)
            .or_default()
            .ended(delivery, &attempted, monotonic);
    }

    async fn view_is_behind(&self, head: Option<Position>) -> bool {
        let standing = self
            .app
            .views
            .standing(&delivery_queue::SPEC, At::Live)
            .await
            .ok();
        let position = standing
            .and_then(|standing| standing.checkpoint)
            .map(|checkpoint| checkpoint.position);
        position < head
    }

    async fn erase_old_excerpts(&mut self) {
        let monotonic = self.app.recorder.clock().monotonic();
        if monotonic < self.erase_at {
            return;
        }
        self.erase_at = monotonic + ERASE_EVERY;
        if let Err(error) = self
            .app
            .ops
            .erase_excerpts(self.app.recorder.now().minus(EXCERPTS_KEPT))
            .await
        {
            tracing::warn!(error = %error, "deliver.excerpts_not_erased");
        }
    }

    fn note(&self) -> Option<String> {
        let names: Vec<_> = self.left_alone.iter().map(SubscriberId::as_str).collect();
        (!names.is_empty()).then(|| format!("left alone until they answer: {}", names.join(", ")))
    }
}

/// One try in a task of its own. A panic costs this try only: its lease stays and counts.
async fn try_once(
    app: Arc<App>,
    http: Arc<dyn HttpOut>,
    known: Arc<Known>,
    row: DeliveryRow,
) -> Ended {
    let attempted = match AssertUnwindSafe(attempt(&app, &*http, &known, &row))
        .catch_unwind()
        .await
    {
        Ok(Ok(attempted)) => attempted,
        Ok(Err(error)) => {
            tracing::warn!(delivery = %row.id, error = %error, "delivery.not_tried");
            Attempted::Skipped
        }
        Err(_) => {
            metrics::counter!("counterfoil_loop_panics_total", "loop" => NAME).increment(1);
            tracing::error!(delivery = %row.id, "delivery.panicked");
            Attempted::Unrecorded
        }
    };
    (row.subscriber, row.id, attempted)
}
