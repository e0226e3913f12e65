//! What administrators do from the command line: one command in, one JSON answer out. While a
//! server runs, commands go to it over a socket in the data folder that only its owner can open;
//! otherwise the command line opens the stores itself.

pub mod deliveries;
pub mod evidence;
pub mod exceptions;
pub mod operators;
pub mod socket;
pub mod subscribers;

use std::collections::BTreeSet;

use domain::access::client;
use domain::access::role::Role;
use domain::delivery::signature::Signer;
use domain::ids::{ClientId, KeyId, MerchantId, ScenarioId, SubscriberId};
use domain::payment::evidence::Mode;
use domain::ports::{Secret, SecretPurpose};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::deliveries::DeliveryCommand;
use self::evidence::EvidenceCommand;
use self::exceptions::ExceptionCommand;
use self::operators::OperatorCommand;
use self::subscribers::SubscriberCommand;
use crate::app::App;
use crate::app::clients::NewClient;
use crate::app::context::Context;
use crate::app::error::AppError;

/// One command. `Debug` is not derived: a secret may be inside.
#[derive(Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum AdminCommand {
    /// Make a client and show its first token.
    ClientCreate {
        /// Its name.
        id: ClientId,
        /// Its merchant.
        merchant: MerchantId,
        /// What it may do.
        role: Role,
        /// Ways of selling.
        scenarios: BTreeSet<ScenarioId>,
        /// Whose events it fetches, where it is a receiver's.
        subscriber: Option<SubscriberId>,
        /// Live or test money.
        mode: Mode,
        /// Days until the token expires.
        token_days: u32,
    },
    /// Change what it may do.
    ClientGrant {
        /// Its name.
        id: ClientId,
        /// What it may do.
        role: Role,
        /// Ways of selling.
        scenarios: BTreeSet<ScenarioId>,
        /// Whose events it fetches, where it is a receiver's.
        subscriber: Option<SubscriberId>,
    },
    /// Show a further token.
    ClientRotate {
        /// Its name.
        id: ClientId,
        /// Days until the token expires.
        token_days: u32,
    },
    /// End a token, or the client with all of them.
    ClientRevoke {
        /// Its name.
        id: ClientId,
        /// Key id of the token; all without.
        key_id: Option<String>,
    },
    /// Every client.
    ClientList,
    /// A command about persons.
    Operator(OperatorCommand),
    /// A command about sealed evidence.
    Evidence(EvidenceCommand),
    /// A command about exceptions.
    Exception(ExceptionCommand),
    /// Keep a shared secret.
    SecretSet {
        /// Whose.
        merchant: MerchantId,
        /// `provider-inbound:<account>`, `provider-api:<account>`, `subscriber:<id>`.
        purpose: String,
        /// Its name.
        key_id: KeyId,
        /// The secret itself.
        value: String,
        /// Seconds that older ones of this purpose stay valid; for ever without.
        retire_others_in_s: Option<u32>,
    },
    /// A command about subscribers.
    Subscriber(SubscriberCommand),
    /// Every subscriber.
    SubscriberList,
    /// A command about deliveries.
    Delivery(DeliveryCommand),
    /// Names and validity of secrets.
    SecretList {
        /// Whose.
        merchant: MerchantId,
    },
}

/// Why a command has no result: a sentence for the person at the terminal.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AdminError(pub String);

impl From<AppError> for AdminError {
    fn from(error: AppError) -> Self {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        Self(text)
    }
}

/// Carries a command out.
///
/// # Errors
/// [`AdminError`].
pub async fn execute(
    app: &App,
    context: &Context,
    command: AdminCommand,
) -> Result<Value, AdminError> {
    match command {
        AdminCommand::ClientCreate {
            id,
            merchant,
            role,
            scenarios,
            subscriber,
            mode,
            token_days,
        } => {
            let created = app
                .create_client(
                    context,
                    NewClient {
                        id,
                        merchant,
                        mode,
                        role,
                        scenarios,
                        subscriber,
                        token_days,
                    },
                )
                .await?;
            Ok(shown_token(&created.0, &created.1.reveal()))
        }
        AdminCommand::ClientGrant {
            id,
            role,
            scenarios,
            subscriber,
        } => {
            let client = app.grant_client(context, &id, role, scenarios, subscriber);
            Ok(shown_client(&client.await?))
        }
        AdminCommand::ClientRotate { id, token_days } => {
            let (client, token) = app.issue_token(context, &id, token_days).await?;
            Ok(shown_token(&client, &token.reveal()))
        }
        AdminCommand::ClientRevoke { id, key_id } => {
            let command = key_id.map_or(client::Command::Revoke, |key_id| {
                client::Command::RevokeToken { key_id }
            });
            Ok(shown_client(
                &app.command_client(&id, context, &command).await?,
            ))
        }
        AdminCommand::ClientList => {
            let clients = app.list_clients().await?;
            Ok(clients.iter().map(shown_client).collect())
        }
        AdminCommand::Operator(command) => operators::execute(app, context, command).await,
        AdminCommand::Evidence(command) => evidence::execute(app, context, command).await,
        AdminCommand::Exception(command) => exceptions::execute(app, context, command).await,
        AdminCommand::SecretSet {
            merchant,
            purpose,
            key_id,
            value,
            retire_others_in_s,
        } => {
            let secret = NewSecret {
                merchant,
                purpose,
                key_id,
                value,
            };
            set_secret(app, context, secret, retire_others_in_s).await
        }
        AdminCommand::Subscriber(command) => subscribers::execute(app, context, command).await,
        AdminCommand::SubscriberList => {
            let known = app.list_subscribers(None).await?;
            Ok(known.iter().map(crate::app::subscribers::shown).collect())
        }
        AdminCommand::Delivery(command) => deliveries::execute(app, context, command).await,
        AdminCommand::SecretList { merchant } => {
            let known = app.secrets.list(&merchant).await.map_err(AppError::from)?;
            let shown = known.into_iter().map(|(purpose, key_id, from, until)| {
                json!({ "purpose": purpose.as_text(), "key_id": key_id, "valid_from": from, "valid_until": until })
            });
            Ok(shown.collect())
        }
    }
}

struct NewSecret {
    merchant: MerchantId,
    purpose: String,
    key_id: KeyId,
    value: String,
}

async fn set_secret(
    app: &App,
    context: &Context,
    new: NewSecret,
    retire_others_in_s: Option<u32>,
) -> Result<Value, AdminError> {
    let NewSecret {
        merchant,
        purpose,
        key_id,
        value,
    } = new;
    app.merchant(&merchant)?;
    let parsed = SecretPurpose::parse(&purpose).ok_or_else(|| {
        AdminError(
            "the purpose is provider-inbound:<account>, provider-api:<account> or subscriber:<id>"
                .to_owned(),
        )
    })?;
    let value = value.trim().as_bytes().to_vec();
    if value.len() < 16 {
        return Err(AdminError(
            "a shared secret has at least 16 characters".to_owned(),
        ));
    }
    let subscriber = match &parsed {
        SecretPurpose::Subscriber(id) => Some(
            SubscriberId::parse(id.as_str())
                .map_err(|_| AdminError(format!("{id:?} is no name of a subscriber")))?,
        ),
        SecretPurpose::ProviderInbound(_) | SecretPurpose::ProviderApi(_) => None,
        SecretPurpose::OperatorPassword(_) | SecretPurpose::OperatorTotp(_) => {
            return Err(AdminError(
                "a person's credentials are set with `counterfoil operators`".to_owned(),
            ));
        }
    };
    let signer = Signer::parse(&value);
    if subscriber.is_some() && signer.is_none() {
        return Err(AdminError(
            "a signing secret is whsec_ and 24 to 64 bytes in base64, or whsk_ and the 32 bytes of an Ed25519 key"
                .to_owned(),
        ));
    }
    let scheme = signer
        .filter(|_| subscriber.is_some())
        .map(|signer| signer.scheme());
    let now = app.recorder.now();
    let secret = Secret {
        key_id: key_id.clone(),
        value,
        valid_from: now,
        valid_until: None,
    };
    app.secrets
        .set(&merchant, &parsed, secret)
        .await
        .map_err(|error| match error {
            domain::ports::KeyringError::NotAuthentic => AdminError(format!(
                "key id {key_id} stands for another secret; choose a new key id"
            )),
            other => AppError::from(other).into(),
        })?;
    // Only now that the new one is kept may the others go.
    let mut retired = vec![];
    if let Some(seconds) = retire_others_in_s {
        let until = now.plus(std::time::Duration::from_secs(u64::from(seconds)));
        let live = app.secrets.active(&merchant, &parsed, now).await;
        for other in live.map_err(AppError::from)? {
            let of_other_scheme = scheme.as_ref().is_some_and(|scheme| {
                Signer::parse(&other.value).is_some_and(|other| !other.same_scheme(scheme))
            });
            if other.key_id == key_id || of_other_scheme {
                continue;
            }
            let until = other.valid_until.map_or(until, |known| known.min(until));
            retired.push((other.key_id.clone(), until));
            let other = Secret {
                valid_until: Some(until),
                ..other
            };
            app.secrets
                .set(&merchant, &parsed, other)
                .await
                .map_err(AppError::from)?;
        }
    }
    if let (Some(id), Some(scheme)) = (subscriber, scheme) {
        app.note_signing_keys(&merchant, &id, context, (&key_id, scheme), &retired)
            .await?;
    }
    Ok(json!({ "purpose": purpose, "key_id": key_id, "valid_from": now }))
}

fn shown_client(client: &client::Client) -> Value {
    json!({
        "id": client.id, "merchant": client.merchant, "mode": client.mode, "role": client.role,
        "scopes": client.scopes, "scenarios": client.scenarios, "subscriber": client.subscriber, "revoked": client.revoked,
        "tokens": client.tokens.iter().map(|(key_id, (_, expires_at))| json!({ "key_id": key_id, "expires_at": expires_at })).collect::<Vec<_>>(),
    })
}

fn shown_token(client: &client::Client, token: &str) -> Value {
    let mut shown = shown_client(client);
    shown["token"] = json!(token);
    shown
}
