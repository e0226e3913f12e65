//! Sessions of persons: sign in, sign out, and show the credentials once more for one proposal.
//!
//! Whatever is wrong with the credentials, the answer is the same and takes as long.

use std::time::Duration;

use domain::access::operator::{self, Command, Operator, Shown, TICKET_LIFE};
use domain::access::password::Password;
use domain::access::token::Token;
use domain::access::totp::TotpSecret;
use domain::actor::Actor;
use domain::ids::{KeyId, MerchantId, OperatorId, ProposalId};
use domain::ports::SecretPurpose;
use domain::stream::StreamId;
use domain::time::Timestamp;

use super::App;
use super::caller::Caller;
use super::context::Context;
use super::error::AppError;
use super::tickets::{self, Ticket};

/// A refusal is told no sooner: how long the keyring and the fold took would tell who exists.
pub const REFUSED_AFTER: Duration = Duration::from_millis(100);

/// What a person shows. `Debug` is not derived: a code opens a session.
pub struct Credentials {
    /// The password.
    pub password: Password,
    /// The one-time code, where they are asked for one.
    pub totp: Option<String>,
}

/// A new session; its token is shown this once.
#[derive(Debug)]
pub struct SignedIn {
    /// The person.
    pub operator: Operator,
    /// The token.
    pub token: Token,
    /// Over at this time, used or not.
    pub expires_at: Timestamp,
}

impl App {
    /// Starts a session.
    ///
    /// # Errors
    /// [`AppError::SignInRefused`]; outages.
    pub async fn sign_in(
        &self,
        id: &OperatorId,
        credentials: &Credentials,
        entry: &str,
        ip_prefix: Option<String>,
    ) -> Result<SignedIn, AppError> {
        let started = self.recorder.clock().monotonic();
        let signed_in = self.start_session(id, credentials, entry, ip_prefix).await;
        self.told_late(started, signed_in).await
    }

    async fn start_session(
        &self,
        id: &OperatorId,
        credentials: &Credentials,
        entry: &str,
        ip_prefix: Option<String>,
    ) -> Result<SignedIn, AppError> {
        let (known, shown) = self.check_credentials(id, credentials).await?;
        let (mut key_id, mut secret) = ([0; 6], [0; 32]);
        self.recorder.entropy().fill(&mut key_id);
        self.recorder.entropy().fill(&mut secret);
        let token = Token::issue_session(known.mode, key_id, secret);
        let actor = Actor::Operator {
            id: id.clone(),
            auth: token.key_id().to_owned(),
        };
        let mut context = Context::of(actor, entry);
        context.ip_prefix = ip_prefix;
        let command = Command::StartSession {
            key_id: token.key_id().to_owned(),
            digest: token.digest(),
            shown,
        };
        let operator = self
            .command_operator(id, &context, &command)
            .await
            .map_err(refused)?;
        let session = operator.sessions.get(token.key_id());
        let expires_at = session
            .ok_or_else(|| AppError::bug("a session that was not started"))?
            .expires_at;
        Ok(SignedIn {
            operator,
            token,
            expires_at,
        })
    }

    /// Ends the caller's session.
    ///
    /// # Errors
    /// [`AppError::Forbidden`] for a client.
    pub async fn sign_out(&self, caller: &Caller, context: &Context) -> Result<(), AppError> {
        let command = Command::EndSession {
            key_id: caller.key_id.clone(),
        };
        match self
            .command_operator(caller.operator()?, context, &command)
            .await
        {
            // Somebody ended it in between, which is what was wanted.
            Ok(_) | Err(AppError::Operator(operator::Refusal::UnknownSession)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Notes that a session was not used for too long.
    pub async fn leave_idle(&self, id: &OperatorId, key_id: String) {
        let command = Command::LeaveIdle { key_id };
        let context = Context::job("sessions");
        if let Err(error) = self.command_operator(id, &context, &command).await {
            tracing::warn!(error = %error, "session.not_left");
        }
    }

    /// A ticket for one proposal, for a person who shows their credentials once more.
    ///
    /// # Errors
    /// [`AppError::SignInRefused`], [`AppError::Forbidden`] for a client; outages.
    pub async fn confirm(
        &self,
        caller: &Caller,
        context: &Context,
        credentials: &Credentials,
        proposal: &ProposalId,
    ) -> Result<Ticket, AppError> {
        let started = self.recorder.clock().monotonic();
        let ticket = self.give_ticket(caller, context, credentials, proposal);
        let ticket = ticket.await;
        self.told_late(started, ticket).await
    }

    async fn give_ticket(
        &self,
        caller: &Caller,
        context: &Context,
        credentials: &Credentials,
        proposal: &ProposalId,
    ) -> Result<Ticket, AppError> {
        let id = caller.operator()?;
        let (_, shown) = self.check_credentials(id, credentials).await?;
        let expires_at = self.recorder.now().plus(TICKET_LIFE);
        let command = Command::Confirm {
            session: caller.key_id.clone(),
            proposal: proposal.clone(),
            expires_at,
            shown,
        };
        self.command_operator(id, context, &command)
            .await
            .map_err(refused)?;
        let key = self.recorder.key();
        Ok(tickets::issue(key, id, proposal, expires_at))
    }

    /// The result, a refusal not before its time.
    async fn told_late<T>(
        &self,
        started: Duration,
        result: Result<T, AppError>,
    ) -> Result<T, AppError> {
        if let Err(AppError::SignInRefused) = &result {
            let clock = self.recorder.clock();
            let took = clock.monotonic().saturating_sub(started);
            clock.sleep(REFUSED_AFTER.saturating_sub(took)).await;
        }
        result
    }

    /// What of the keyring the credentials match. The password is compared for nobody as for
    /// somebody, and the code is looked at whether or not the password was right.
    async fn check_credentials(
        &self,
        id: &OperatorId,
        credentials: &Credentials,
    ) -> Result<(Operator, Shown), AppError> {
        let stream = StreamId::operator(id);
        let folded = self.recorder.fold(&stream, None, operator::evolve).await?;
        let known = folded.state.filter(|known| !known.disabled);
        let mut hash = None;
        if let Some(Operator {
            merchant,
            password: Some(key_id),
            ..
        }) = &known
        {
            let purpose = SecretPurpose::OperatorPassword(id.to_string());
            let kept = self.credential(merchant, &purpose, key_id).await?;
            hash = kept.and_then(|kept| String::from_utf8(kept).ok());
        }
        let password = &credentials.password;
        let right = self.passwords.matches(password, hash.as_deref()).await?;
        let known = known.ok_or(AppError::SignInRefused)?;
        let totp = self.step_shown(&known, credentials).await?;
        match &known.password {
            Some(key_id) if right => {
                let password = key_id.clone();
                Ok((known, Shown { password, totp }))
            }
            Some(_) | None => Err(AppError::SignInRefused),
        }
    }

    /// The step of the shown code; `None` where none is asked for. A code that nobody asked for is
    /// ignored, so that a form may always have its field.
    async fn step_shown(
        &self,
        known: &Operator,
        credentials: &Credentials,
    ) -> Result<Option<(KeyId, u64)>, AppError> {
        let Some(key_id) = &known.totp else {
            return Ok(None);
        };
        let purpose = SecretPurpose::OperatorTotp(known.id.to_string());
        let kept = self.credential(&known.merchant, &purpose, key_id).await?;
        let secret = kept.and_then(|kept| TotpSecret::from_slice(&kept));
        let secret = secret.ok_or(AppError::SignInRefused)?;
        let code = credentials.totp.as_deref().unwrap_or_default();
        let step = secret.step_of(code, self.recorder.now());
        let step = step.ok_or(AppError::SignInRefused)?;
        Ok(Some((key_id.clone(), step)))
    }

    async fn credential(
        &self,
        merchant: &MerchantId,
        purpose: &SecretPurpose,
        key_id: &KeyId,
    ) -> Result<Option<Vec<u8>>, AppError> {
        // The wall clock may have been set back since it was kept; which one counts is said by the
        // event, not by a time.
        let always = Timestamp::from_millis(i64::MAX);
        let kept = self.secrets.active(merchant, purpose, always).await?;
        let named = kept.into_iter().find(|kept| kept.key_id == *key_id);
        Ok(named.map(|kept| kept.value))
    }
}

/// Credentials that do not count (any more) are told like wrong ones.
fn refused(error: AppError) -> AppError {
    match error {
        AppError::Operator(operator::Refusal::Credentials | operator::Refusal::Unknown) => {
            AppError::SignInRefused
        }
        other => other,
    }
}
