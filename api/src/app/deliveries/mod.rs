//! Deliveries: the failed list, one delivery in full, redrive and abandon, and what a try came to.

mod batches;
mod curl;
mod detail;
mod filter;
mod request;

use domain::delivery::event::Pair;
use domain::delivery::{self, Command, Delivery};
use domain::ids::{DeliveryId, MerchantId, ReasonCode, SubscriberId};
use domain::ports::AppendError;
use domain::stream::StreamId;
use domain::subscriber;
use domain::time::Timestamp;
use projections::ports::{Cursor, Test, ViewQuery};
use projections::read::TypedPage;
use projections::views::delivery_queue::{self, BodyRow, DeliveryRow, QueueState};

pub use self::batches::{BATCH_PER_SECOND, DryRun, NewBatch, shown_batch};
pub use self::detail::{DeliveryDetail, Try};
pub use self::filter::DeliveryFilter;
pub use self::request::{ComparedTry, ExactRequest, Header, headers_of};
use super::App;
use super::context::Context;
use super::error::AppError;
use super::recorder::{Decision, Draft, Folded, RecordFailure};

const DECIDE_AGAIN_MAX: u32 = 8;

impl App {
    /// Deliveries of a merchant, newest first.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn list_deliveries(
        &self,
        merchant: &MerchantId,
        filter: &DeliveryFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<TypedPage<DeliveryRow>, AppError> {
        let query = filter.query(merchant, limit).after(after);
        Ok(self
            .reader::<DeliveryRow>(delivery_queue::SPEC)
            .query(&query)
            .await?)
    }

    /// Due deliveries of a subscriber, the longest due first.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn due_deliveries(
        &self,
        subscriber: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, AppError> {
        let query = ViewQuery::first(limit)
            .equal("subscriber", subscriber)
            .equal("state", "due")
            .with("next_try_at", Test::Le(now.into()))
            .order_by("next_try_at");
        Ok(self
            .reader::<DeliveryRow>(delivery_queue::SPEC)
            .query(&query)
            .await?
            .rows)
    }

    /// The earliest delivery of a subscriber that has not ended, for those who get everything in
    /// order.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn first_open_delivery(
        &self,
        subscriber: &str,
    ) -> Result<Option<DeliveryRow>, AppError> {
        let query = ViewQuery::first(1)
            .equal("subscriber", subscriber)
            .equal("open", true)
            .order_by("ordinal");
        let page = self
            .reader::<DeliveryRow>(delivery_queue::SPEC)
            .query(&query)
            .await?;
        Ok(page.rows.into_iter().next())
    }

    /// The longest queued delivery of a subscriber that is still to be sent.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn oldest_open_delivery(
        &self,
        subscriber: &SubscriberId,
    ) -> Result<Option<DeliveryRow>, AppError> {
        let to_send = [QueueState::Due, QueueState::Held].map(|state| state.as_str().into());
        let query = ViewQuery::first(1)
            .equal("subscriber", subscriber.as_str())
            .equal("open", true)
            .with("state", Test::In(to_send.into()))
            .order_by("ordinal");
        let reader = self.reader::<DeliveryRow>(delivery_queue::SPEC);
        Ok(reader.query(&query).await?.rows.into_iter().next())
    }

    /// How many deliveries of a subscriber are still to be sent or fetched; counted up to `most`.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn open_deliveries(
        &self,
        subscriber: &SubscriberId,
        most: usize,
    ) -> Result<usize, AppError> {
        let states = [QueueState::Due, QueueState::Held];
        self.count_deliveries(subscriber, states, most).await
    }

    /// How many deliveries of a subscriber ended without success and wait for a person; counted up to
    /// `most`.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn failed_deliveries(
        &self,
        subscriber: &SubscriberId,
        most: usize,
    ) -> Result<usize, AppError> {
        let states = [QueueState::DeadLettered, QueueState::Quarantined];
        self.count_deliveries(subscriber, states, most).await
    }

    async fn count_deliveries(
        &self,
        subscriber: &SubscriberId,
        states: [QueueState; 2],
        most: usize,
    ) -> Result<usize, AppError> {
        let mut count = 0;
        for state in states {
            let query = ViewQuery::first(most)
                .equal("subscriber", subscriber.as_str())
                .equal("state", state.as_str());
            let reader = self.reader::<DeliveryRow>(delivery_queue::SPEC);
            count += reader.query(&query).await?.rows.len();
        }
        Ok(count.min(most))
    }

    /// The exact body of a delivery.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn delivery_body(&self, row: &DeliveryRow) -> Result<Option<String>, AppError> {
        let body = self
            .reader::<BodyRow>(delivery_queue::SPEC)
            .get(&row.body_sha256.to_string())
            .await?;
        Ok(body.map(|body| body.text))
    }

    async fn delivery_row(
        &self,
        merchant: &MerchantId,
        id: &DeliveryId,
    ) -> Result<DeliveryRow, AppError> {
        let row = self
            .reader::<DeliveryRow>(delivery_queue::SPEC)
            .get(id.as_str())
            .await?;
        row.filter(|row| row.merchant == *merchant)
            .ok_or(AppError::NotFound { what: "delivery" })
    }

    /// Starts a failed delivery's schedule again, or gives it up, with a reason.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn command_delivery(
        &self,
        merchant: &MerchantId,
        id: &DeliveryId,
        context: &Context,
        command: &Command,
        reason: (ReasonCode, Option<String>),
    ) -> Result<Delivery, AppError> {
        let row = self.delivery_row(merchant, id).await?;
        for _ in 0..DECIDE_AGAIN_MAX {
            let folded = self.fold_delivery(id).await?;
            if let Some(key) = &context.idempotency {
                use domain::idempotency::Replay;
                match folded.replays.check(key) {
                    Replay::Fresh => {}
                    Replay::Same(_) => return Ok(folded.state.unwrap_or_default()),
                    Replay::Different => return Err(AppError::IdempotencyMismatch),
                }
            }
            if matches!(command, Command::Redrive { .. }) {
                self.must_not_be_removed(&row).await?;
            }
            let reason = Some(reason.clone());
            match self
                .append_outcome(&row, folded, context, command, reason)
                .await?
            {
                Some(delivery) => return Ok(delivery),
                None => continue,
            }
        }
        Err(AppError::Contended)
    }

    /// What is redriven for a subscriber that is gone would never be sent.
    async fn must_not_be_removed(&self, row: &DeliveryRow) -> Result<(), AppError> {
        match self.subscriber(&row.merchant, &row.subscriber).await {
            Ok(_) => Ok(()),
            Err(AppError::NotFound { .. }) => Err(subscriber::Refusal::Removed.into()),
            Err(other) => Err(other),
        }
    }

    /// A delivery's own stream.
    ///
    /// # Errors
    /// Outages.
    pub async fn fold_delivery(&self, id: &DeliveryId) -> Result<Folded<Delivery>, AppError> {
        self.recorder
            .fold(&StreamId::delivery(id), None, delivery::evolve)
            .await
    }

    /// Decides and appends on a folded delivery. `None`: somebody was faster.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn append_outcome(
        &self,
        row: &DeliveryRow,
        folded: Folded<Delivery>,
        context: &Context,
        command: &Command,
        reason: Option<(ReasonCode, Option<String>)>,
    ) -> Result<Option<Delivery>, AppError> {
        let expect = folded.expect();
        let known = folded.state.unwrap_or_default();
        let pair = Pair {
            subscriber: row.subscriber.clone(),
            event_id: row.event_id,
        };
        let events = delivery::decide(&row.id, &pair, &known, command, self.recorder.now())?;
        let after = events
            .iter()
            .fold(Some(known), delivery::evolve)
            .unwrap_or_default();
        if events.is_empty() {
            return Ok(Some(after));
        }
        let draft = |event| match &reason {
            Some((code, text)) => Draft::of(event).because(code.clone(), text.clone()),
            None => Draft::of(event),
        };
        let decision = Decision {
            stream: &StreamId::delivery(&row.id),
            expect,
            merchant: Some(&row.merchant),
            command: match command {
                Command::Record { .. } => "record_try",
                Command::Quarantine(_) => "quarantine",
                Command::GiveUp => "give_up",
                Command::Redrive { .. } => "redrive",
                Command::Abandon { .. } => "abandon",
                Command::Acknowledge { .. } => "acknowledge",
            },
            context,
            drafts: events.iter().map(draft).collect(),
            claims: vec![],
        };
        match self.recorder.append(decision).await {
            Ok(_) => Ok(Some(after)),
            Err(RecordFailure::Append(AppendError::Conflict { .. })) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }
}
