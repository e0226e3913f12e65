//! Signing keys of a subscriber: the secret part is in the keyring, the names are in its stream.

use std::time::Duration;

use domain::delivery::signature;
use domain::ids::{KeyId, MerchantId, SubscriberId};
use domain::ports::{Secret, SecretPurpose};
use domain::subscriber::{self, Command, KeyScheme, Subscriber};
use domain::time::Timestamp;

use super::App;
use crate::app::context::Context;
use crate::app::error::AppError;

/// Longest time for which an old key signs beside the new one.
pub const OVERLAP_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Usual time.
pub const OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// How a new key shall sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewKey {
    /// With a secret that both sides know.
    V1,
    /// So that receivers need a public key only.
    V1a,
}

impl App {
    /// Makes a signing key, and lets the others of its scheme sign beside it for `overlap`. The
    /// second part is what the receiver needs: the secret of `v1`, which is shown this once, or the
    /// public key of `v1a`. `None` there when the same command made it before.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn add_signing_key(
        &self,
        merchant: &MerchantId,
        id: &SubscriberId,
        context: &Context,
        new: NewKey,
        overlap: Duration,
    ) -> Result<(Subscriber, Option<String>), AppError> {
        let known = self.subscriber(merchant, id).await?;
        if self.is_repeat(id, context).await? {
            return Ok((known, None));
        }
        let mut random = [0; 32];
        self.recorder.entropy().fill(&mut random);
        let now = self.recorder.now();
        let (secret, scheme, shown) = match new {
            NewKey::V1 => {
                let secret = signature::secret(&random);
                (secret.clone(), KeyScheme::V1 {}, secret)
            }
            NewKey::V1a => {
                let public_key = signature::public_key(&random);
                let secret = signature::private_key(&random);
                let scheme = KeyScheme::V1a {
                    public_key: public_key.clone(),
                };
                (secret, scheme, public_key)
            }
        };
        let key_id = self.free_name(merchant, id).await?;
        let same = |key: &KeyScheme| std::mem::discriminant(key) == std::mem::discriminant(&scheme);
        let until = now.plus(overlap.min(OVERLAP_MAX));
        let old = known
            .keys
            .iter()
            .filter(|(_, key)| same(&key.scheme) && key.valid_until.is_none());
        let old: Vec<(KeyId, Timestamp)> = old.map(|(old, _)| (old.clone(), until)).collect();
        let mut commands = vec![Command::AddKey {
            key_id: key_id.clone(),
            scheme,
            at: now,
        }];
        commands.extend(old.iter().map(|(key_id, valid_until)| Command::RetireKey {
            key_id: key_id.clone(),
            valid_until: *valid_until,
        }));
        // What a rule refuses never comes to sign.
        subscriber::decide(Some(&known), &commands[0])?;
        // The key is kept before the event that names it. The ends of the old ones count from the log;
        // the keyring follows.
        let purpose = SecretPurpose::Subscriber(id.to_string());
        let kept = Secret {
            key_id: key_id.clone(),
            value: secret.into_bytes(),
            valid_from: now,
            valid_until: None,
        };
        self.secrets.set(merchant, &purpose, kept).await?;
        let done = self
            .command_subscriber(merchant, id, context, &commands)
            .await;
        let subscriber = match done {
            Ok(subscriber) => subscriber,
            Err(refused @ (AppError::Subscriber(_) | AppError::Contended)) => {
                self.secrets.remove(merchant, &purpose, &key_id).await?;
                return Err(refused);
            }
            Err(other) => return Err(other),
        };
        for secret in self.secrets.active(merchant, &purpose, now).await? {
            if let Some((_, until)) = old.iter().find(|(name, _)| *name == secret.key_id) {
                let valid_until = Some(*until);
                let over = Secret {
                    valid_until,
                    ..secret
                };
                self.secrets.set(merchant, &purpose, over).await?;
            }
        }
        Ok((subscriber, Some(shown)))
    }

    /// Every public key that signs deliveries, and until when.
    ///
    /// # Errors
    /// [`AppError::ViewsUnavailable`].
    pub async fn public_keys(&self) -> Result<Vec<(KeyId, String, Option<Timestamp>)>, AppError> {
        let now = self.recorder.now();
        let mut found = vec![];
        for row in self.subscriber_rows().await? {
            for (key_id, key) in row.subscriber.keys {
                let live = key.valid_until.is_none_or(|until| until > now);
                if let (KeyScheme::V1a { public_key }, true) = (key.scheme, live) {
                    found.push((key_id, public_key, key.valid_until));
                }
            }
        }
        Ok(found)
    }

    /// A name that no key of the subscriber had.
    pub(super) async fn free_name(
        &self,
        merchant: &MerchantId,
        id: &SubscriberId,
    ) -> Result<KeyId, AppError> {
        let purpose = SecretPurpose::Subscriber(id.to_string());
        let kept = self.secrets.list(merchant).await?;
        let taken = |name: &KeyId| {
            kept.iter()
                .any(|(of, known, ..)| *of == purpose && known == name)
        };
        let stem = &id.as_str()[..id.as_str().len().min(30)];
        for number in 1..10_000 {
            let name = KeyId::parse(format!("{stem}-{number}")).map_err(AppError::bug)?;
            if !taken(&name) {
                return Ok(name);
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
        added: (&KeyId, KeyScheme),
        retired: &[(KeyId, Timestamp)],
    ) -> Result<(), AppError> {
        let (key_id, scheme) = (added.0.clone(), added.1);
        let at = self.recorder.now();
        let add = Command::AddKey { key_id, scheme, at };
        let retire = retired
            .iter()
            .map(|(key_id, valid_until)| Command::RetireKey {
                key_id: key_id.clone(),
                valid_until: *valid_until,
            });
        let commands: Vec<Command> = std::iter::once(add).chain(retire).collect();
        match self
            .command_subscriber(merchant, id, context, &commands)
            .await
        {
            Ok(_) | Err(AppError::NotFound { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }
}
