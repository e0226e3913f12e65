//! Persons, as administrators make them. Hashes and secrets go to the keyring first and are named
//! by an event afterwards; those that no event names any more are removed.

use domain::access::operator::{self, Command, Operator};
use domain::access::password::Password;
use domain::access::role::Role;
use domain::access::totp::TotpSecret;
use domain::digest::base32;
use domain::ids::{KeyId, MerchantId, OperatorId};
use domain::payment::evidence::Mode;
use domain::ports::{AppendError, Secret, SecretPurpose};
use domain::stream::StreamId;

use super::App;
use super::context::Context;
use super::error::AppError;
use super::recorder::{Decision, Draft, RecordFailure};

const DECIDE_AGAIN_MAX: u32 = 8;

impl App {
    /// A command to a person; decided again when somebody was faster.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn command_operator(
        &self,
        id: &OperatorId,
        context: &Context,
        command: &Command,
    ) -> Result<Operator, AppError> {
        let stream = StreamId::operator(id);
        for _ in 0..DECIDE_AGAIN_MAX {
            let folded = self.recorder.fold(&stream, None, operator::evolve).await?;
            let now = self.recorder.now();
            let events = operator::decide(folded.state.as_ref(), command, now)?;
            let expect = folded.expect();
            let state = events.iter().fold(folded.state, operator::evolve);
            let state = state.ok_or(AppError::NotFound { what: "operator" })?;
            if events.is_empty() {
                return Ok(state);
            }
            let decision = Decision {
                stream: &stream,
                expect,
                merchant: Some(&state.merchant),
                command: "command_operator",
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

    /// A person, as they are now.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn operator(&self, id: &OperatorId) -> Result<Operator, AppError> {
        let stream = StreamId::operator(id);
        let folded = self.recorder.fold(&stream, None, operator::evolve).await?;
        folded.state.ok_or(AppError::NotFound { what: "operator" })
    }

    /// Every person of every merchant.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn list_operators(&self) -> Result<Vec<Operator>, AppError> {
        Ok(self.callers().await?.operators())
    }

    /// Makes a person with a role. They cannot sign in before they have a password.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn create_operator(
        &self,
        context: &Context,
        id: &OperatorId,
        merchant: &MerchantId,
        mode: Mode,
        role: Role,
    ) -> Result<Operator, AppError> {
        self.merchant(merchant)?;
        // Refused before anything is made.
        if !role.fits_a_person() {
            return Err(operator::Refusal::NotForPersons(role).into());
        }
        let create = Command::Create {
            id: id.clone(),
            merchant: merchant.clone(),
            mode,
        };
        self.command_operator(id, context, &create).await?;
        self.command_operator(id, context, &Command::Grant(role))
            .await
    }

    /// Gives a person a password, ends their sessions, and forgets the old hash.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn set_password(
        &self,
        context: &Context,
        id: &OperatorId,
        password: String,
    ) -> Result<Operator, AppError> {
        let known = self.operator(id).await?;
        let password = Password::chosen(password, id)?;
        let hash = self.passwords.hash(&password).await?;
        let key_id = self.new_key_id("pw")?;
        let command = Command::SetPassword(key_id.clone());
        let purpose = SecretPurpose::OperatorPassword(id.to_string());
        self.keep(&known, &purpose, key_id, hash.into_bytes())
            .await?;
        let after = self.command_operator(id, context, &command).await;
        self.forget_unnamed(id).await?;
        after
    }

    /// Asks a person for one-time codes from here on; the secret is shown once.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn enrol_totp(
        &self,
        context: &Context,
        id: &OperatorId,
    ) -> Result<(Operator, TotpSecret), AppError> {
        let known = self.operator(id).await?;
        let mut bytes = [0; 20];
        self.recorder.entropy().fill(&mut bytes);
        let secret = TotpSecret::new(bytes);
        let key_id = self.new_key_id("totp")?;
        let command = Command::EnrolTotp(key_id.clone());
        let purpose = SecretPurpose::OperatorTotp(id.to_string());
        self.keep(&known, &purpose, key_id, secret.as_bytes().to_vec())
            .await?;
        let after = self.command_operator(id, context, &command).await;
        self.forget_unnamed(id).await?;
        Ok((after?, secret))
    }

    /// Asks for codes no more.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn remove_totp(
        &self,
        context: &Context,
        id: &OperatorId,
    ) -> Result<Operator, AppError> {
        let after = self
            .command_operator(id, context, &Command::RemoveTotp)
            .await?;
        self.forget_unnamed(id).await?;
        Ok(after)
    }

    /// Ends a person's rights and sessions for good, and forgets their hash and secret.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn disable_operator(
        &self,
        context: &Context,
        id: &OperatorId,
    ) -> Result<Operator, AppError> {
        let after = self
            .command_operator(id, context, &Command::Disable)
            .await?;
        self.forget_unnamed(id).await?;
        Ok(after)
    }

    fn new_key_id(&self, kind: &str) -> Result<KeyId, AppError> {
        let mut random = [0; 10];
        self.recorder.entropy().fill(&mut random);
        KeyId::parse(format!("{kind}-{}", base32(&random))).map_err(AppError::bug)
    }

    async fn keep(
        &self,
        operator: &Operator,
        purpose: &SecretPurpose,
        key_id: KeyId,
        value: Vec<u8>,
    ) -> Result<(), AppError> {
        let secret = Secret {
            key_id,
            value,
            valid_from: self.recorder.now(),
            valid_until: None,
        };
        Ok(self
            .secrets
            .set(&operator.merchant, purpose, secret)
            .await?)
    }

    /// Removes what the person's stream does not name (any more). A crash before this leaves a row
    /// that opens nothing, and the next change takes it along.
    async fn forget_unnamed(&self, id: &OperatorId) -> Result<(), AppError> {
        let known = self.operator(id).await?;
        let password = known.password.filter(|_| !known.disabled);
        let totp = known.totp.filter(|_| !known.disabled);
        for (purpose, named) in [
            (SecretPurpose::OperatorPassword(id.to_string()), password),
            (SecretPurpose::OperatorTotp(id.to_string()), totp),
        ] {
            let all = self.secrets.list(&known.merchant).await?;
            let of_purpose = all.into_iter().filter(|(kept, ..)| *kept == purpose);
            for (_, key_id, ..) in of_purpose {
                if named.as_ref() != Some(&key_id) {
                    self.secrets
                        .remove(&known.merchant, &purpose, &key_id)
                        .await?;
                }
            }
        }
        Ok(())
    }
}
