//! Events that a receiver fetches by itself: pages of its queue, and what it says that it has.
//!
//! A page is read from the queue of deliveries in the order in which they came to be; reading writes
//! nothing. An acknowledgement is an event in the stream of each delivery up to a place, where the
//! outcomes of what is sent stand as well: whichever comes first ends the delivery.

use domain::delivery::{Command, Consumer, PullCursor, State};
use domain::ids::{DeliveryId, MerchantId, SubscriberId};
use domain::time::Timestamp;
use futures::future::try_join_all;
use projections::ports::{Test, ViewQuery};
use projections::read::TypedPage;
use projections::views::delivery_queue::{self, DeliveryRow, QueueState};

use super::App;
use super::context::Context;
use super::error::AppError;

/// Deliveries that one page looks at, at most.
const PAGE_MAX: usize = 500;
/// Deliveries that one call acknowledges, at most. Whoever is further behind calls again.
const ACKNOWLEDGED_MAX: usize = 5_000;
/// Appends under way at once for one call.
const AT_ONCE: usize = 16;
const DECIDE_AGAIN_MAX: u32 = 8;

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With the first delivery that has not ended.
    Open,
    /// After this place, whatever became of what follows.
    After(PullCursor),
    /// With the first delivery of an event that the ledger recorded at this time or later.
    Since(Timestamp),
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pulled {
    /// In the order in which they came to be.
    pub events: Vec<PulledEvent>,
    /// Its end; `None` where nothing was there to begin with.
    pub cursor: Option<PullCursor>,
    /// Nothing followed it.
    pub done: bool,
}

/// One event of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledEvent {
    /// The delivery, which a push would name as well.
    pub delivery: DeliveryId,
    /// The very bytes that a push sends.
    pub body: String,
}

/// What came of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// Deliveries that ended by it; the others had ended before.
    pub acknowledged: usize,
    /// False when more are left than one call does.
    pub done: bool,
}

impl App {
    /// The next page of at most `limit` events of a subscriber's queue. What was abandoned is left out:
    /// somebody accepted that it never arrives.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::OtherQueue`], and a pause by a person.
    pub async fn pull_events(
        &self,
        merchant: &MerchantId,
        id: &SubscriberId,
        start: &Start,
        limit: usize,
    ) -> Result<Pulled, AppError> {
        self.subscriber(merchant, id).await?.may_pull()?;
        let first = match start {
            Start::After(cursor) => return self.page(id, cursor, true, limit).await,
            Start::Open => self.first_open_delivery(id.as_str()).await?,
            Start::Since(at) => self.first_delivery_since(id, *at).await?,
        };
        match first {
            Some(row) => self.page(id, &place(&row), false, limit).await,
            None => Ok(Pulled {
                done: true,
                ..Pulled::default()
            }),
        }
    }

    /// Says that a receiver has its queue up to `cursor`. What is open up to there ends; what has
    /// ended stays as it is. A repeat, or a call after one that broke off, does what is left.
    ///
    /// # Errors
    /// As [`App::pull_events`], but a pause does not matter: the receiver has it already.
    pub async fn acknowledge_events(
        &self,
        merchant: &MerchantId,
        id: &SubscriberId,
        context: &Context,
        cursor: &PullCursor,
        consumer: Consumer,
    ) -> Result<Acknowledged, AppError> {
        let subscriber = self.subscriber(merchant, id).await?;
        let command = Command::Acknowledge {
            cursor: cursor.clone(),
            consumer,
        };
        let up_to_there = ViewQuery::first(PAGE_MAX)
            .equal("subscriber", id.as_str())
            .equal("open", true)
            .with("ordinal", Test::Le(cursor.ordinal.into()))
            .order_by("ordinal");
        let reader = self.reader::<DeliveryRow>(delivery_queue::SPEC);
        let (mut acknowledged, mut looked_at, mut after) = (0, 0, None);
        loop {
            let open = reader.query(&up_to_there.clone().after(after)).await?;
            // Asked after the list was read: a queue that was made anew in between is noticed.
            self.deliveries_from(id, cursor, 1).await?;
            for rows in open.rows.chunks(AT_ONCE) {
                let ended = rows.iter().map(|row| self.end(row, context, &command));
                let ended = try_join_all(ended).await?;
                acknowledged += ended.into_iter().filter(|ended| *ended).count();
            }
            looked_at += open.rows.len();
            after = open.next;
            if after.is_none() || looked_at >= ACKNOWLEDGED_MAX {
                metrics::counter!("counterfoil_deliveries_acknowledged_total", "subscriber" => subscriber.id.to_string())
                    .increment(acknowledged as u64);
                let done = after.is_none();
                return Ok(Acknowledged { acknowledged, done });
            }
        }
    }

    /// True when this call ended the delivery.
    async fn end(
        &self,
        row: &DeliveryRow,
        context: &Context,
        command: &Command,
    ) -> Result<bool, AppError> {
        for _ in 0..DECIDE_AGAIN_MAX {
            let folded = self.fold_delivery(&row.id).await?;
            let before = folded.state.as_ref().map(|known| known.state);
            let ended = self.append_outcome(row, folded, context, command, None);
            if let Some(after) = ended.await? {
                let now = Some(after.state);
                return Ok(now == Some(State::Acknowledged) && before != now);
            }
        }
        Err(AppError::Contended)
    }

    async fn page(
        &self,
        id: &SubscriberId,
        from: &PullCursor,
        beyond: bool,
        limit: usize,
    ) -> Result<Pulled, AppError> {
        let known = usize::from(beyond);
        let page = self
            .deliveries_from(id, from, limit.min(PAGE_MAX) + known)
            .await?;
        let mut pulled = Pulled {
            events: vec![],
            cursor: beyond.then(|| from.clone()),
            done: page.next.is_none(),
        };
        for row in page.rows.iter().skip(known) {
            if row.state != QueueState::Abandoned {
                let Some(body) = self.delivery_body(row).await? else {
                    tracing::error!(delivery = %row.id, "delivery.without_body");
                    // It is not passed over: nobody must acknowledge what they never saw.
                    if pulled.events.is_empty() {
                        return Err(AppError::bug("a delivery without a body"));
                    }
                    pulled.done = false;
                    return Ok(pulled);
                };
                let delivery = row.id.clone();
                pulled.events.push(PulledEvent { delivery, body });
            }
            pulled.cursor = Some(place(row));
        }
        Ok(pulled)
    }

    /// The delivery at a place and what follows it: one read, so that the place is checked against the
    /// very queue that the rest is read from.
    async fn deliveries_from(
        &self,
        id: &SubscriberId,
        from: &PullCursor,
        limit: usize,
    ) -> Result<TypedPage<DeliveryRow>, AppError> {
        let query = ViewQuery::first(limit)
            .equal("subscriber", id.as_str())
            .with("ordinal", Test::Ge(from.ordinal.into()))
            .order_by("ordinal");
        let page = self
            .reader::<DeliveryRow>(delivery_queue::SPEC)
            .query(&query)
            .await?;
        match page.rows.first() {
            Some(first) if place(first) == *from => Ok(page),
            Some(_) | None => Err(AppError::OtherQueue),
        }
    }

    /// By place and not by time: a backfill puts older events behind newer ones.
    async fn first_delivery_since(
        &self,
        id: &SubscriberId,
        at: Timestamp,
    ) -> Result<Option<DeliveryRow>, AppError> {
        let query = ViewQuery::first(1)
            .equal("subscriber", id.as_str())
            .with("created_at", Test::Ge(at.into()))
            .order_by("ordinal");
        let reader = self.reader::<DeliveryRow>(delivery_queue::SPEC);
        Ok(reader.query(&query).await?.rows.into_iter().next())
    }
}

fn place(row: &DeliveryRow) -> PullCursor {
    PullCursor {
        ordinal: row.ordinal,
        delivery: row.id.clone(),
    }
}
