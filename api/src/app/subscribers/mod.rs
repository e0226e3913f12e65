//! Subscribers: who hears of events. Their signing secrets are in the keyring and are shown once.

mod keys;
mod shown;
mod signing;
mod terms;

use domain::delivery::signature;
use domain::ids::{MerchantId, ReasonCode, SubscriberId};
use domain::ports::{AppendError, Secret, SecretPurpose};
use domain::stream::StreamId;
use domain::subscriber::{self, Backfill, Command, PausedWhy, Registration, Subscriber};
use projections::ports::ViewQuery;
use projections::views::delivery_queue::{self, SubscriberRow};

pub use self::keys::{NewKey, OVERLAP, OVERLAP_MAX};
pub use self::shown::shown;
pub use self::signing::{LiveKey, signed_headers};
pub use self::terms::{Destination, NewSubscriber, PolicyChange, SubscriberChange};
use super::App;
use super::context::Context;
use super::error::AppError;
use super::recorder::{Decision, Draft, Folded, RecordFailure};

const DECIDE_AGAIN_MAX: u32 = 8;

impl App {
    /// Makes a subscriber of a merchant with a fresh signing secret, which is shown this once.
    /// `None` in the second place when it was made before by the same command.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn add_subscriber(
        &self,
        merchant: &MerchantId,
        context: &Context,
        new: NewSubscriber,
    ) -> Result<(Subscriber, Option<String>), AppError> {
        let stream = StreamId::subscriber(&new.id);
        let folded = self
            .recorder
            .fold(&stream, None, subscriber::evolve)
            .await?;
        if let (Some(known), Some(command)) = (&folded.state, &context.idempotency) {
            use domain::idempotency::Replay;
            match folded.replays.check(command) {
                Replay::Same(_) if known.merchant == *merchant => return Ok((known.clone(), None)),
                Replay::Same(_) | Replay::Different => return Err(AppError::IdempotencyMismatch),
                Replay::Fresh => {}
            }
        }
        // Set beforehand with `counterfoil secrets set`, or left by an interrupted call.
        let purpose = SecretPurpose::Subscriber(new.id.to_string());
        let live = self.secrets.active(merchant, &purpose, self.recorder.now());
        let before = live.await?.into_iter().next().map(|secret| secret.key_id);
        let free = before.is_none();
        let key_id = match before {
            Some(key_id) => key_id,
            None => self.free_name(merchant, &new.id).await?,
        };
        let mut random = [0; 32];
        self.recorder.entropy().fill(&mut random);
        let secret = signature::secret(&random);
        let register = Command::Register(Registration {
            id: new.id.clone(),
            merchant: merchant.clone(),
            url: new.to.url(),
            wants: new.wants,
            policy: new.policy,
            headers: new.headers,
            key_id: key_id.clone(),
            history: new.history,
        });
        subscriber::decide(folded.state.as_ref(), &register)?;
        // The secret is kept before the event that names it, so that no delivery is ever unsigned.
        let kept = Secret {
            key_id,
            value: secret.clone().into_bytes(),
            valid_from: self.recorder.now(),
            valid_until: None,
        };
        let secret = if free {
            self.secrets.set(merchant, &purpose, kept).await?;
            Some(secret)
        } else {
            None
        };
        Ok((
            self.command_subscriber(merchant, &new.id, context, &[register])
                .await?,
            secret,
        ))
    }

    /// Commands to a subscriber of the merchant, all of them or none.
    ///
    /// # Errors
    /// [`AppError::NotFound`] also for another merchant's.
    pub async fn command_subscriber(
        &self,
        merchant: &MerchantId,
        id: &SubscriberId,
        context: &Context,
        commands: &[Command],
    ) -> Result<Subscriber, AppError> {
        self.decide_subscriber(merchant, id, context, &|_| commands.to_vec(), None)
            .await
    }

    /// Makes a subscriber of the merchant as `change` says.
    ///
    /// # Errors
    /// As [`App::command_subscriber`].
    pub async fn change_subscriber(
        &self,
        merchant: &MerchantId,
        id: &SubscriberId,
        context: &Context,
        change: &SubscriberChange,
    ) -> Result<Subscriber, AppError> {
        self.decide_subscriber(
            merchant,
            id,
            context,
            &|known| {
                known
                    .map(|known| change.commands(known))
                    .unwrap_or_default()
            },
            None,
        )
        .await
    }

    /// The same, where a person says why.
    ///
    /// # Errors
    /// As [`App::command_subscriber`].
    pub async fn command_subscriber_because(
        &self,
        merchant: &MerchantId,
        id: &SubscriberId,
        context: &Context,
        command: Command,
        reason: (ReasonCode, Option<String>),
    ) -> Result<Subscriber, AppError> {
        let commands = |_: Option<&Subscriber>| vec![command.clone()];
        self.decide_subscriber(merchant, id, context, &commands, Some(reason))
            .await
    }

    async fn decide_subscriber(
        &self,
        merchant: &MerchantId,
        id: &SubscriberId,
        context: &Context,
        commands: &(dyn Fn(Option<&Subscriber>) -> Vec<Command> + Sync),
        reason: Option<(ReasonCode, Option<String>)>,
    ) -> Result<Subscriber, AppError> {
        let stream = StreamId::subscriber(id);
        for _ in 0..DECIDE_AGAIN_MAX {
            let folded = self
                .recorder
                .fold(&stream, None, subscriber::evolve)
                .await?;
            if folded
                .state
                .as_ref()
                .is_some_and(|known| known.merchant != *merchant)
            {
                return Err(AppError::NotFound { what: "subscriber" });
            }
            if let (Some(known), Some(key)) = (&folded.state, &context.idempotency) {
                use domain::idempotency::Replay;
                match folded.replays.check(key) {
                    Replay::Fresh => {}
                    Replay::Same(_) => return Ok(known.clone()),
                    Replay::Different => return Err(AppError::IdempotencyMismatch),
                }
            }
            let expect = folded.expect();
            let (mut state, mut events) = (folded.state, vec![]);
            for command in commands(state.as_ref()) {
                let decided = match subscriber::decide(state.as_ref(), &command) {
                    Err(subscriber::Refusal::Unknown) => {
                        return Err(AppError::NotFound { what: "subscriber" });
                    }
                    decided => decided?,
                };
                state = decided.iter().fold(state, subscriber::evolve);
                events.extend(decided);
            }
            let state = state.ok_or(AppError::NotFound { what: "subscriber" })?;
            if events.is_empty() {
                return Ok(state);
            }
            let draft = |event| match &reason {
                Some((code, text)) => Draft::of(event).because(code.clone(), text.clone()),
                None => Draft::of(event),
            };
            let decision = Decision {
                stream: &stream,
                expect,
                merchant: Some(merchant),
                command: "command_subscriber",
                context,
                drafts: events.iter().map(draft).collect(),
                claims: vec![],
            };
            match self.recorder.append(decision).await {
                Ok(_) => return Ok(state),
                Err(RecordFailure::Append(AppendError::Conflict { .. })) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// Queues what happened before, as far as it was not; somebody says why.
    ///
    /// # Errors
    /// As [`App::command_subscriber`].
    pub async fn backfill(
        &self,
        merchant: &MerchantId,
        id: &SubscriberId,
        context: &Context,
        wanted: Backfill,
        reason: (ReasonCode, Option<String>),
    ) -> Result<Subscriber, AppError> {
        self.command_subscriber_because(merchant, id, context, Command::Backfill(wanted), reason)
            .await
    }

    /// True when the subscriber's stream has the outcome of this command already.
    async fn is_repeat(&self, id: &SubscriberId, context: &Context) -> Result<bool, AppError> {
        use domain::idempotency::Replay;
        let Some(key) = &context.idempotency else {
            return Ok(false);
        };
        let stream = StreamId::subscriber(id);
        let folded = self
            .recorder
            .fold(&stream, None, subscriber::evolve)
            .await?;
        match folded.replays.check(key) {
            Replay::Fresh => Ok(false),
            Replay::Same(_) => Ok(true),
            Replay::Different => Err(AppError::IdempotencyMismatch),
        }
    }

    /// A subscriber of the merchant.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn subscriber(
        &self,
        merchant: &MerchantId,
        id: &SubscriberId,
    ) -> Result<Subscriber, AppError> {
        let folded = self
            .recorder
            .fold(&StreamId::subscriber(id), None, subscriber::evolve)
            .await?;
        let found = folded
            .state
            .filter(|known| known.merchant == *merchant && !known.removed);
        found.ok_or(AppError::NotFound { what: "subscriber" })
    }

    /// What is known of a subscriber by now, whosever it is and whether it is removed or not; goes on
    /// from what the caller knew before.
    ///
    /// # Errors
    /// Outages.
    pub async fn subscriber_since(
        &self,
        id: &SubscriberId,
        before: Option<Folded<Subscriber>>,
    ) -> Result<Folded<Subscriber>, AppError> {
        let stream = StreamId::subscriber(id);
        let evolve = subscriber::evolve;
        match before {
            Some(before) => self.recorder.fold_on(before, &stream, None, evolve).await,
            None => self.recorder.fold(&stream, None, evolve).await,
        }
    }

    /// Every subscriber of every merchant with its breaker, in the order of their names.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn subscriber_rows(&self) -> Result<Vec<SubscriberRow>, AppError> {
        let reader = self.reader::<SubscriberRow>(delivery_queue::SPEC);
        let (mut rows, mut after) = (vec![], None);
        loop {
            let page = reader.query(&ViewQuery::first(500).after(after)).await?;
            rows.extend(page.rows);
            after = page.next;
            if after.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Subscribers: one merchant's, or all.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn list_subscribers(
        &self,
        merchant: Option<&MerchantId>,
    ) -> Result<Vec<Subscriber>, AppError> {
        let mut query = ViewQuery::first(1000);
        if let Some(merchant) = merchant {
            query = query.equal("merchant", merchant.as_str());
        }
        let page = self
            .reader::<SubscriberRow>(delivery_queue::SPEC)
            .query(&query)
            .await?;
        Ok(page
            .rows
            .into_iter()
            .map(|row| row.subscriber)
            .filter(|subscriber| !subscriber.removed)
            .collect())
    }

    /// Lets a subscriber's deliveries wait.
    ///
    /// # Errors
    /// As [`App::command_subscriber`].
    pub async fn pause_subscriber(
        &self,
        merchant: &MerchantId,
        id: &SubscriberId,
        context: &Context,
        why: PausedWhy,
    ) -> Result<Subscriber, AppError> {
        self.command_subscriber(merchant, id, context, &[Command::Pause(why)])
            .await
    }
}
