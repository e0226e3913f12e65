//! API clients, as administrators make them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::access::client::{self, Client, Command};
use domain::access::role::Role;
use domain::access::token::Token;
use domain::ids::{ClientId, MerchantId, ScenarioId, SubscriberId};
use domain::payment::evidence::Mode;
use domain::ports::AppendError;
use domain::stream::StreamId;

use super::App;
use super::context::Context;
use super::directory::CallerDirectory;
use super::error::AppError;
use super::recorder::{Decision, Draft, RecordFailure};

const DECIDE_AGAIN_MAX: u32 = 8;

/// A client to be made.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// Its name.
    pub id: ClientId,
    /// Its merchant.
    pub merchant: MerchantId,
    /// Live or test money.
    pub mode: Mode,
    /// What it may do.
    pub role: Role,
    /// Which ways of selling it may use.
    pub scenarios: BTreeSet<ScenarioId>,
    /// Whose events it fetches, where it is a receiver's.
    pub subscriber: Option<SubscriberId>,
    /// Days until its first token expires.
    pub token_days: u32,
}

impl App {
    /// A command to a client; decided again when somebody was faster.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn command_client(
        &self,
        id: &ClientId,
        context: &Context,
        command: &Command,
    ) -> Result<Client, AppError> {
        let stream = StreamId::client(id);
        for _ in 0..DECIDE_AGAIN_MAX {
            let folded = self.recorder.fold(&stream, None, client::evolve).await?;
            let events = client::decide(folded.state.as_ref(), command, self.recorder.now())?;
            let expect = folded.expect();
            let state = events.iter().fold(folded.state, client::evolve);
            let state = state.ok_or(AppError::NotFound { what: "client" })?;
            if events.is_empty() {
                return Ok(state);
            }
            let decision = Decision {
                stream: &stream,
                expect,
                merchant: Some(&state.merchant),
                command: "command_client",
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

    /// Every client of every merchant, in the order of their making.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn list_clients(&self) -> Result<Vec<Client>, AppError> {
        Ok(self.callers().await?.all())
    }

    /// Every caller there is right now.
    ///
    /// # Errors
    /// [`AppError`].
    pub(super) async fn callers(&self) -> Result<CallerDirectory, AppError> {
        let directory = CallerDirectory::new(
            Arc::clone(self.recorder.store()),
            Arc::clone(self.recorder.clock()),
        );
        directory.catch_up().await?;
        Ok(directory)
    }

    /// Makes a client with a role, and shows its first token once.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn create_client(
        &self,
        context: &Context,
        new: NewClient,
    ) -> Result<(Client, Token), AppError> {
        let NewClient {
            id,
            merchant,
            mode,
            role,
            scenarios,
            subscriber,
            token_days,
        } = new;
        let configured = self.merchant(&merchant)?;
        for scenario in &scenarios {
            if !configured
                .scenarios
                .iter()
                .any(|known| known.id == *scenario)
            {
                return Err(domain::config::ScenarioRefusal::Unknown.into());
            }
        }
        self.known_subscriber(&merchant, subscriber.as_ref())
            .await?;
        let grant = Command::Grant {
            role,
            scenarios,
            subscriber,
        };
        let create = Command::Create {
            id: id.clone(),
            merchant: merchant.clone(),
            mode,
        };
        self.command_client(&id, context, &create).await?;
        self.command_client(&id, context, &grant).await?;
        self.issue_token(context, &id, token_days).await
    }

    /// Changes what a client may do.
    ///
    /// # Errors
    /// [`AppError::NotFound`] also for a subscriber that is not its merchant's.
    pub async fn grant_client(
        &self,
        context: &Context,
        id: &ClientId,
        role: Role,
        scenarios: BTreeSet<ScenarioId>,
        subscriber: Option<SubscriberId>,
    ) -> Result<Client, AppError> {
        let folded = self
            .recorder
            .fold(&StreamId::client(id), None, client::evolve)
            .await?;
        let known = folded.state.ok_or(client::Refusal::Unknown)?;
        self.known_subscriber(&known.merchant, subscriber.as_ref())
            .await?;
        let grant = Command::Grant {
            role,
            scenarios,
            subscriber,
        };
        self.command_client(id, context, &grant).await
    }

    /// A mistyped name would bind a receiver to nothing, and all that it is told is "not found".
    async fn known_subscriber(
        &self,
        merchant: &MerchantId,
        id: Option<&SubscriberId>,
    ) -> Result<(), AppError> {
        match id {
            Some(id) => self.subscriber(merchant, id).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Issues a further token; two may live at once.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn issue_token(
        &self,
        context: &Context,
        id: &ClientId,
        token_days: u32,
    ) -> Result<(Client, Token), AppError> {
        let folded = self
            .recorder
            .fold(&StreamId::client(id), None, client::evolve)
            .await?;
        let known = folded.state.ok_or(AppError::NotFound { what: "client" })?;
        let (mut key_id, mut secret) = ([0; 6], [0; 32]);
        self.recorder.entropy().fill(&mut key_id);
        self.recorder.entropy().fill(&mut secret);
        let token = Token::issue(known.mode, key_id, secret);
        let command = Command::IssueToken {
            key_id: token.key_id().to_owned(),
            digest: token.digest(),
            expires_at: self
                .recorder
                .now()
                .plus(Duration::from_secs(u64::from(token_days) * 86_400)),
        };
        Ok((self.command_client(id, context, &command).await?, token))
    }
}
