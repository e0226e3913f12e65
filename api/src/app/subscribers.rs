//! Subscribers: who hears of events. Their signing secrets are in the keyring and are shown once.

use std::collections::BTreeSet;

use domain::delivery::signature;
use domain::ids::{KeyId, MerchantId, SubscriberId};
use domain::outbound::OPT_IN;
use domain::ports::{AppendError, Secret, SecretPurpose};
use domain::stream::StreamId;
use domain::subscriber::{self, Command, PausedWhy, Subscriber};
use domain::time::Timestamp;
use projections::ports::ViewQuery;
use projections::views::delivery_queue::{self, SubscriberRow};
use url::Url;

use super::App;
use super::context::Context;
use super::error::AppError;
use super::recorder::{Decision, Draft, RecordFailure};

const DECIDE_AGAIN_MAX: u32 = 8;

/// A subscriber to be made.
#[derive(Debug, Clone)]
pub struct NewSubscriber {
    /// Its name.
    pub id: SubscriberId,
    /// Where events are sent.
    pub url: String,
    /// Opt-in event types.
    pub opt_in: BTreeSet<String>,
}

impl NewSubscriber {
    /// What is wrong with it, by field.
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut found = vec![];
        match Url::parse(&self.url) {
            Ok(url) if matches!(url.scheme(), "https" | "http") && url.host().is_some() => {
                if !url.username().is_empty() || url.password().is_some() {
                    found.push(("url", "must not hold credentials".to_owned()));
                }
            }
            Ok(_) | Err(_) => found.push(("url", "must be an https URL".to_owned())),
        }
        if self
            .opt_in
            .iter()
            .any(|name| !OPT_IN.contains(&name.as_str()))
        {
            found.push(("opt_in", format!("known are {}", OPT_IN.join(", "))));
        }
        found
    }
}

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
        let stem = &new.id.as_str()[..new.id.as_str().len().min(30)];
        let key_id = match before {
            Some(key_id) => key_id,
            None => KeyId::parse(format!("{stem}-1")).map_err(AppError::bug)?,
        };
        let mut random = [0; 32];
        self.recorder.entropy().fill(&mut random);
        let secret = signature::secret(&random);
        let register = Command::Register {
            id: new.id.clone(),
            merchant: merchant.clone(),
            url: new.url,
            opt_in: new.opt_in,
            key_id: key_id.clone(),
        };
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
            self.command_subscriber(merchant, &new.id, context, &register)
                .await?,
            secret,
        ))
    }

    /// A command to a subscriber of the merchant.
    ///
    /// # Errors
    /// [`AppError::NotFound`] also for another merchant's.
    pub async fn command_subscriber(
        &self,
        merchant: &MerchantId,
        id: &SubscriberId,
        context: &Context,
        command: &Command,
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
            let events = match subscriber::decide(folded.state.as_ref(), command) {
                Err(subscriber::Refusal::Unknown) => {
                    return Err(AppError::NotFound { what: "subscriber" });
                }
                decided => decided?,
            };
            let expect = folded.expect();
            let state = events.iter().fold(folded.state, subscriber::evolve);
            let state = state.ok_or(AppError::NotFound { what: "subscriber" })?;
            if events.is_empty() {
                return Ok(state);
            }
            let decision = Decision {
                stream: &stream,
                expect,
                merchant: Some(merchant),
                command: "command_subscriber",
                context,
                drafts: events.iter().map(Draft::of).collect(),
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

    /// Leaves the exchange of signing keys in the subscriber's stream; the keys themselves are in
    /// the keyring already. Of a subscriber that is still to be made nothing is left: its
    /// registration will name the key.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn note_signing_keys(
        &self,
        merchant: &MerchantId,
        id: &SubscriberId,
        context: &Context,
        added: &KeyId,
        retired: &[(KeyId, Timestamp)],
    ) -> Result<(), AppError> {
        let add = Command::AddKey {
            key_id: added.clone(),
        };
        let retire = retired
            .iter()
            .map(|(key_id, valid_until)| Command::RetireKey {
                key_id: key_id.clone(),
                valid_until: *valid_until,
            });
        for command in std::iter::once(add).chain(retire) {
            match self
                .command_subscriber(merchant, id, context, &command)
                .await
            {
                Ok(_) => {}
                Err(AppError::NotFound { .. }) => return Ok(()),
                Err(other) => return Err(other),
            }
        }
        Ok(())
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
        self.command_subscriber(merchant, id, context, &Command::Pause(why))
            .await
    }
}
