//! Batches: many failed deliveries decided in one go. Somebody asks for one, the log says whom it takes
//! in, and a loop carries it out, one delivery after the other.

use domain::delivery::Command;
use domain::digest::base32;
use domain::ids::{BatchId, MerchantId, ReasonCode, SubscriberId};
use domain::subscriber::{self, BatchOrder, DeliveryBatch, FailedFilter};
use projections::ports::{Cursor, Test, ViewQuery};
use projections::read::TypedPage;
use projections::views::delivery_queue::{self, BatchRow, BatchState, DeliveryRow, QueueState};
use serde_json::{Value, json};

use super::{App, DeliveryFilter};
use crate::app::context::Context;
use crate::app::error::AppError;

/// Deliveries per second, where nobody says otherwise.
pub const BATCH_PER_SECOND: u32 = 10;
/// Who carries batches out.
const ENTRY: &str = "work::batches";
/// Rows read in one go where all are read.
const EVERY_PAGE: usize = 500;
/// Deliveries that a dry run shows.
const SAMPLE: usize = 10;

/// A batch to be started.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// Whose failed deliveries.
    pub subscriber: SubscriberId,
    /// What becomes of them.
    pub order: BatchOrder,
    /// Which of them.
    pub which: FailedFilter,
    /// How many of them per second.
    pub per_second: u32,
}

/// What a batch would take in right now.
#[derive(Debug, Clone)]
pub struct DryRun {
    /// Deliveries that it would take in.
    pub total: u64,
    /// Deliveries that another batch has taken in.
    pub elsewhere: u64,
    /// The newest of those that it would take in.
    pub sample: Vec<DeliveryRow>,
}

impl App {
    /// Counts what a batch would take in, and changes nothing.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a subscriber that the merchant does not have.
    pub async fn dry_run(&self, merchant: &MerchantId, new: &NewBatch) -> Result<DryRun, AppError> {
        self.subscriber(merchant, &new.subscriber).await?;
        let filter = DeliveryFilter {
            states: [QueueState::DeadLettered, QueueState::Quarantined].into(),
            subscriber: Some(new.subscriber.clone()),
            classes: new.which.classes.clone(),
            reasons: new.which.reasons.clone(),
            since: new.which.since,
            until: new.which.until,
            subject: None,
        };
        let (mut found, mut after) = (
            DryRun {
                total: 0,
                elsewhere: 0,
                sample: vec![],
            },
            None,
        );
        loop {
            let page = self
                .list_deliveries(merchant, &filter, after, EVERY_PAGE)
                .await?;
            for row in page.rows {
                if row.batch.is_some() {
                    found.elsewhere += 1;
                    continue;
                }
                found.total += 1;
                if found.sample.len() < SAMPLE {
                    found.sample.push(row);
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// Starts a batch. The same command again meets the batch that it made. The row is `None` while the
    /// queue has not heard of it.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn start_batch(
        &self,
        merchant: &MerchantId,
        context: &Context,
        new: NewBatch,
        reason: (ReasonCode, Option<String>),
    ) -> Result<(BatchId, Option<BatchRow>), AppError> {
        let id = self.batch_id(context)?;
        let start = subscriber::Command::StartBatch(DeliveryBatch {
            id: id.clone(),
            order: new.order,
            which: new.which,
            per_second: new.per_second,
        });
        self.command_subscriber_because(merchant, &new.subscriber, context, start, reason)
            .await?;
        if let Some(head) = self.recorder.store().head().await? {
            self.wait_for_view(&delivery_queue::SPEC, head).await?;
        }
        let row = self.batch_row(merchant, &id).await?;
        Ok((id, row))
    }

    /// The same for every repeat of one command, and drawn where it has no key.
    fn batch_id(&self, context: &Context) -> Result<BatchId, AppError> {
        let mut bytes = [0; 16];
        match &context.idempotency {
            Some(known) => bytes.copy_from_slice(&known.key_hmac.0[..16]),
            None => self.recorder.entropy().fill(&mut bytes),
        }
        BatchId::parse(format!("bat_{}", base32(&bytes))).map_err(AppError::bug)
    }

    async fn batch_row(
        &self,
        merchant: &MerchantId,
        id: &BatchId,
    ) -> Result<Option<BatchRow>, AppError> {
        let row = self
            .reader::<BatchRow>(delivery_queue::SPEC)
            .get(id.as_str())
            .await?;
        Ok(row.filter(|row| row.merchant == *merchant))
    }

    /// A batch of the merchant.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn batch(&self, merchant: &MerchantId, id: &BatchId) -> Result<BatchRow, AppError> {
        let row = self.batch_row(merchant, id).await?;
        row.ok_or(AppError::NotFound { what: "batch" })
    }

    /// Batches of a merchant, the newest first.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn list_batches(
        &self,
        merchant: &MerchantId,
        subscriber: Option<&SubscriberId>,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<TypedPage<BatchRow>, AppError> {
        let mut query = ViewQuery::first(limit).equal("merchant", merchant.as_str());
        if let Some(subscriber) = subscriber {
            query = query.equal("subscriber", subscriber.as_str());
        }
        let query = query.order_by("requested_at").descending().after(after);
        Ok(self
            .reader::<BatchRow>(delivery_queue::SPEC)
            .query(&query)
            .await?)
    }

    /// Leaves what is left of a batch as it is.
    ///
    /// # Errors
    /// [`AppError`]: also where it has ended.
    pub async fn cancel_batch(
        &self,
        merchant: &MerchantId,
        id: &BatchId,
        context: &Context,
        reason: (ReasonCode, Option<String>),
    ) -> Result<BatchRow, AppError> {
        let row = self.batch(merchant, id).await?;
        let cancel = subscriber::Command::CancelBatch { batch: id.clone() };
        self.command_subscriber_because(merchant, &row.subscriber, context, cancel, reason)
            .await?;
        if let Some(head) = self.recorder.store().head().await? {
            self.wait_for_view(&delivery_queue::SPEC, head).await?;
        }
        self.batch(merchant, id).await
    }

    /// Batches that are under way, the oldest first.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn running_batches(&self) -> Result<Vec<BatchRow>, AppError> {
        let query = ViewQuery::first(EVERY_PAGE)
            .equal("state", BatchState::Running.as_str())
            .order_by("requested_at");
        self.every(delivery_queue::SPEC, query).await
    }

    /// True while nobody has ended it: the subscriber's stream decides.
    ///
    /// # Errors
    /// Outages.
    pub async fn batch_runs(&self, batch: &BatchRow) -> Result<bool, AppError> {
        match self.subscriber(&batch.merchant, &batch.subscriber).await {
            Ok(known) => Ok(known.batches.contains_key(&batch.id)),
            Err(AppError::NotFound { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Deliveries whose turn in a batch has not come, in the order in which they came to be, after a
    /// place in that order.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn batch_members(
        &self,
        batch: &BatchId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, AppError> {
        let query = ViewQuery::first(limit)
            .equal("batch", batch.as_str())
            .with("ordinal", Test::Gt(after.into()))
            .order_by("ordinal");
        Ok(self
            .reader::<DeliveryRow>(delivery_queue::SPEC)
            .query(&query)
            .await?
            .rows)
    }

    /// Carries a batch out on one delivery. False: its row was old, or somebody was faster, and the
    /// queue will hear of it.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn carry_out(&self, batch: &BatchRow, row: &DeliveryRow) -> Result<bool, AppError> {
        let folded = self.fold_delivery(&row.id).await?;
        if folded.version != row.outcome_version {
            return Ok(false);
        }
        let command = match batch.order {
            BatchOrder::Redrive => Command::Redrive {
                batch: Some(batch.id.clone()),
            },
            BatchOrder::Abandon => Command::Abandon {
                batch: Some(batch.id.clone()),
            },
        };
        let reason = batch.why.clone().map(|code| (code, None));
        let context = &of_batch(batch);
        match self
            .append_outcome(row, folded, context, &command, reason)
            .await
        {
            Ok(decided) => Ok(decided.is_some()),
            Err(AppError::Delivery(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Notes that nothing of a batch is left.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn finish_batch(&self, batch: &BatchRow) -> Result<(), AppError> {
        let finish = subscriber::Command::FinishBatch {
            batch: batch.id.clone(),
            done: batch.done,
            skipped: batch.skipped,
        };
        let (merchant, subscriber) = (&batch.merchant, &batch.subscriber);
        self.command_subscriber(merchant, subscriber, &of_batch(batch), &[finish])
            .await
            .map(|_| ())
    }
}

/// A batch as programs and people are shown it.
pub fn shown_batch(row: &BatchRow) -> Value {
    json!({
        "id": row.id, "subscriber": row.subscriber, "order": row.order, "which": row.which,
        "per_second": row.per_second, "state": row.state, "total": row.total, "done": row.done,
        "skipped": row.skipped, "left": row.left(), "elsewhere": row.elsewhere,
        "requested_at": row.requested_at, "requested_by": row.requested_by, "reason": row.why,
        "ended_at": row.ended_at,
    })
}

/// The loop acts for who asked, and because of it.
fn of_batch(batch: &BatchRow) -> Context {
    let mut context = Context::job(ENTRY).caused_by(batch.requested_with);
    context.on_behalf_of = Some(batch.requested_by.clone());
    context
}
