//! Reading views: lists for people and due work for loops. Decisions never come from here.

use domain::ports::Position;
use domain::time::Timestamp;
use projections::ports::{At, Cursor, GenerationState, Test, ViewQuery};
use projections::read::{Reader, TypedPage, ViewReadError};
use projections::view::TypedRow;
use projections::views::order_status::{self, OrderStatus};
use projections::views::timers::{self, AskedRow, ExpiryRow, LookUpRow, OverrideRow, RefundRow};
use serde::Serialize;

use super::App;
use super::caller::Caller;
use super::error::AppError;

/// Rows of one page where every row is read.
const EVERY_PAGE: usize = 500;

/// What a list of requests is narrowed down to.
#[derive(Debug, Clone, Default)]
pub struct RequestFilter {
    /// Of this order.
    pub order_id: Option<String>,
    /// With this label; for a bot, with this one of the words that it may show.
    pub label: Option<String>,
    /// Created at or after.
    pub since: Option<Timestamp>,
}

/// How one view stands.
#[derive(Debug, Clone, Serialize)]
pub struct ViewStanding {
    /// The view.
    pub view: String,
    /// The generation.
    pub generation: u32,
    /// What became of it.
    pub state: GenerationState,
    /// Version of the fold that fills it.
    pub version: u32,
    /// The last event that it took in.
    pub position: Option<Position>,
    /// The end of the log.
    pub head: Option<Position>,
    /// Streams that it holds back.
    pub parked: u64,
}

impl From<ViewReadError> for AppError {
    fn from(error: ViewReadError) -> Self {
        match error {
            ViewReadError::Store(error) => Self::ViewsUnavailable(Box::new(error)),
            ViewReadError::Body(error) => Self::bug(error),
        }
    }
}

impl App {
    /// Requests of the caller's merchant, newest first; a bot's own only.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn list_requests(
        &self,
        caller: &Caller,
        filter: &RequestFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<TypedPage<OrderStatus>, AppError> {
        let mut query = ViewQuery::first(limit).equal("merchant", caller.merchant.as_str());
        if caller.own_only {
            query = query.equal("client", &*caller.who.key());
        }
        if let Some(order) = &filter.order_id {
            query = query.equal("order_id", order.as_str());
        }
        if let Some(label) = &filter.label {
            // Which of its requests are disputed, a bot cannot even ask.
            let column = if caller.own_only {
                "bot_label"
            } else {
                "label"
            };
            query = query.equal(column, label.as_str());
        }
        if let Some(since) = filter.since {
            query = query.with("created_at", Test::Ge(since.into()));
        }
        let query = query.order_by("created_at").descending().after(after);
        Ok(self
            .reader::<OrderStatus>(order_status::SPEC)
            .query(&query)
            .await?)
    }

    /// Requests whose expiry is to be looked at by `now`, the longest due first.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn due_expiries(
        &self,
        now: Timestamp,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<TypedPage<ExpiryRow>, AppError> {
        let query = ViewQuery::first(limit)
            .with("due_at", Test::Le(now.into()))
            .order_by("due_at")
            .after(after);
        Ok(self.reader::<ExpiryRow>(timers::SPEC).query(&query).await?)
    }

    /// Requests about which time alone changes something by `now`, the longest due first.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn due_overrides(
        &self,
        now: Timestamp,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<TypedPage<OverrideRow>, AppError> {
        let query = ViewQuery::first(limit)
            .with("due_at", Test::Le(now.into()))
            .order_by("due_at")
            .after(after);
        Ok(self
            .reader::<OverrideRow>(timers::SPEC)
            .query(&query)
            .await?)
    }

    /// Attempts that the provider may still report money for, as long as they are asked about on
    /// schedule.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn open_look_ups(&self, now: Timestamp) -> Result<Vec<LookUpRow>, AppError> {
        let query = ViewQuery::first(EVERY_PAGE).with("until", Test::Ge(now.into()));
        self.every(timers::SPEC, query).await
    }

    /// Attempts that the provider was to be asked to end.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn ends_asked_for(&self, now: Timestamp) -> Result<Vec<LookUpRow>, AppError> {
        let query = ViewQuery::first(EVERY_PAGE).with("cancel_at", Test::Le(now.into()));
        self.every(timers::SPEC, query).await
    }

    /// Attempts that are in doubt after every question of their schedule, and that no person was told
    /// of.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn silent_attempts(&self, now: Timestamp) -> Result<Vec<LookUpRow>, AppError> {
        let query = ViewQuery::first(EVERY_PAGE).with("silent_at", Test::Le(now.into()));
        self.every(timers::SPEC, query).await
    }

    /// Requests that something made due for a look-up after `since`, the longest due first.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn asked_since(&self, since: Timestamp) -> Result<Vec<AskedRow>, AppError> {
        let query = ViewQuery::first(EVERY_PAGE)
            .with("at", Test::Ge(since.into()))
            .order_by("at");
        self.every(timers::SPEC, query).await
    }

    /// Every row that a query finds, read page by page.
    pub(super) async fn every<T: TypedRow>(
        &self,
        spec: projections::ports::ViewSpec,
        query: ViewQuery,
    ) -> Result<Vec<T>, AppError> {
        let (reader, mut rows, mut after) = (self.reader::<T>(spec), vec![], None);
        loop {
            let page = reader.query(&query.clone().after(after)).await?;
            rows.extend(page.rows);
            after = page.next;
            if after.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Refunds of ours that have no end, the longest waiting first.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn open_refunds(
        &self,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<TypedPage<RefundRow>, AppError> {
        let query = ViewQuery::first(limit).order_by("since").after(after);
        Ok(self.reader::<RefundRow>(timers::SPEC).query(&query).await?)
    }

    /// Every generation of every view.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn view_standings(&self) -> Result<Vec<ViewStanding>, AppError> {
        let head = self.recorder.store().head().await?;
        let generations = self
            .views
            .generations()
            .await
            .map_err(|e| AppError::ViewsUnavailable(Box::new(e)))?;
        let standing = |generation: projections::ports::Generation| ViewStanding {
            view: generation.view,
            generation: generation.number,
            state: generation.state,
            version: generation.version,
            position: generation.checkpoint.map(|checkpoint| checkpoint.position),
            head,
            parked: generation.parked,
        };
        Ok(generations.into_iter().map(standing).collect())
    }

    pub(crate) fn reader<T: TypedRow>(&self, spec: projections::ports::ViewSpec) -> Reader<T> {
        Reader::new(std::sync::Arc::clone(&self.views), spec)
    }

    /// Waits until a view has taken in `wanted`; false when it has not within two seconds.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn wait_for_view(
        &self,
        spec: &projections::ports::ViewSpec,
        wanted: Position,
    ) -> Result<bool, AppError> {
        const WAIT: std::time::Duration = std::time::Duration::from_secs(2);
        const STEP: std::time::Duration = std::time::Duration::from_millis(10);
        let clock = self.recorder.clock();
        let started = clock.monotonic();
        loop {
            let standing = self.views.standing(spec, At::Live).await;
            let standing = standing.map_err(|e| AppError::ViewsUnavailable(Box::new(e)))?;
            if standing
                .checkpoint
                .is_some_and(|checkpoint| checkpoint.position >= wanted)
            {
                return Ok(true);
            }
            if clock.monotonic().saturating_sub(started) >= WAIT {
                return Ok(false);
            }
            clock.sleep(STEP).await;
        }
    }
}
