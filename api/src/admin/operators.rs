//! Persons from the command line.

use domain::access::operator::{Command, Operator};
use domain::access::role::Role;
use domain::ids::{MerchantId, OperatorId};
use domain::payment::evidence::Mode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminError;
use crate::app::App;
use crate::app::context::Context;

/// One command about persons. `Debug` is not derived: a password may be inside.
#[derive(Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum OperatorCommand {
    /// Make a person with a role.
    Create {
        /// Opaque.
        id: OperatorId,
        /// Their merchant.
        merchant: MerchantId,
        /// What they may do.
        role: Role,
        /// Live or test money.
        mode: Mode,
    },
    /// Change what they may do.
    Grant {
        /// Who.
        id: OperatorId,
        /// What they may do.
        role: Role,
    },
    /// Give them a password; every session ends.
    Password {
        /// Who.
        id: OperatorId,
        /// The password itself.
        password: String,
    },
    /// Ask for codes of a new secret, which is shown once; or ask no more.
    Totp {
        /// Who.
        id: OperatorId,
        /// Ask no more.
        remove: bool,
    },
    /// End it all, for good.
    Disable {
        /// Who.
        id: OperatorId,
    },
    /// Every person.
    List,
    /// Their live sessions.
    Sessions {
        /// Whose.
        id: OperatorId,
        /// End this one first.
        end: Option<String>,
    },
}

pub(super) async fn execute(
    app: &App,
    context: &Context,
    command: OperatorCommand,
) -> Result<Value, AdminError> {
    let after = match command {
        OperatorCommand::Create {
            id,
            merchant,
            role,
            mode,
        } => {
            app.create_operator(context, &id, &merchant, mode, role)
                .await?
        }
        OperatorCommand::Grant { id, role } => {
            let command = Command::Grant(role);
            app.command_operator(&id, context, &command).await?
        }
        OperatorCommand::Password { id, password } => {
            app.set_password(context, &id, password).await?
        }
        OperatorCommand::Totp { id, remove: true } => app.remove_totp(context, &id).await?,
        OperatorCommand::Totp { id, remove: false } => {
            let (after, secret) = app.enrol_totp(context, &id).await?;
            let mut shown = shown(&after);
            shown["secret"] = json!(secret.reveal());
            shown["uri"] = json!(secret.uri(&id));
            return Ok(shown);
        }
        OperatorCommand::Disable { id } => app.disable_operator(context, &id).await?,
        OperatorCommand::List => {
            let operators = app.list_operators().await?;
            return Ok(operators.iter().map(shown).collect());
        }
        OperatorCommand::Sessions { id, end } => {
            if let Some(key_id) = end {
                let command = Command::EndSession { key_id };
                app.command_operator(&id, context, &command).await?;
            }
            let now = app.recorder.now();
            let known = app.operator(&id).await?;
            let live = known.sessions.iter();
            let live = live.filter(|(_, session)| session.expires_at > now);
            let shown = live.map(
                |(key_id, session)| json!({ "key_id": key_id, "expires_at": session.expires_at }),
            );
            return Ok(shown.collect());
        }
    };
    Ok(shown(&after))
}

fn shown(operator: &Operator) -> Value {
    json!({
        "id": operator.id, "merchant": operator.merchant, "mode": operator.mode, "role": operator.role,
        "scopes": operator.scopes, "password": operator.password.is_some(),
        "totp": operator.totp.is_some(), "disabled": operator.disabled,
    })
}
