//! Clients and secrets: sent to the running server, or done in the data folder.

use std::io::Read;
use std::path::Path;

use domain::config::MerchantConfig;
use domain::ids::MerchantId;
use domain::payment::evidence::Mode;
use domain::ports::SecretPurpose;
use serde_json::Value;

use super::args::{Clients, Global, Secrets};
use super::out::{Failure, Out};
use super::serve::{of_start, settings};
use crate::admin::{AdminCommand, execute, socket};
use crate::compose;
use crate::config::Settings;

/// True when a server of this data folder takes commands.
pub(super) async fn server_runs(settings: &Settings) -> bool {
    let path = socket::path(&settings.store.data);
    path.exists() && tokio::net::UnixStream::connect(path).await.is_ok()
}

pub(super) async fn send(
    global: &Global,
    settings: &Settings,
    command: AdminCommand,
) -> Result<Value, Failure> {
    let data = &settings.store.data;
    // A refused connection hands the command back only by never having taken it.
    if server_runs(settings).await {
        let answer = socket::call(data, &global.operator, command).await;
        let answer =
            answer.ok_or_else(|| Failure::unavailable("the server went away; try again"))?;
        return answer.map_err(|error| Failure::failed(error.0));
    }
    let context = socket::context(&global.operator, "cli");
    let opened = compose::open(settings, &context)
        .await
        .map_err(|error| of_start(&error))?;
    execute(&opened.app, &context, command)
        .await
        .map_err(|error| Failure::failed(error.0))
}

pub(super) async fn clients(global: &Global, out: &Out, command: Clients) -> Result<(), Failure> {
    let settings = settings(global, out)?.settings;
    let mode: Mode = settings.ledger.mode;
    let list = matches!(command, Clients::List);
    let command = match command {
        Clients::Create {
            id,
            merchant,
            role,
            scenarios,
            subscriber,
            token_days,
        } => {
            let scenarios = scenarios.into_iter().collect();
            AdminCommand::ClientCreate {
                id,
                merchant,
                role,
                scenarios,
                subscriber,
                mode,
                token_days,
            }
        }
        Clients::Grant {
            id,
            role,
            scenarios,
            subscriber,
        } => AdminCommand::ClientGrant {
            id,
            role,
            scenarios: scenarios.into_iter().collect(),
            subscriber,
        },
        Clients::Rotate { id, token_days } => AdminCommand::ClientRotate { id, token_days },
        Clients::Revoke { id, key_id } => AdminCommand::ClientRevoke { id, key_id },
        Clients::List => AdminCommand::ClientList,
    };
    let answer = send(global, &settings, command).await?;
    if list {
        out.list(
            &["id", "merchant", "role", "scenarios", "tokens", "revoked"],
            &answer,
        );
    } else {
        out.one(&answer);
        if answer.get("token").is_some() {
            out.talk("The token is shown this once; only its digest is kept.");
        }
    }
    Ok(())
}

pub(super) async fn secrets(global: &Global, out: &Out, command: Secrets) -> Result<(), Failure> {
    let settings = settings(global, out)?.settings;
    match command {
        Secrets::Set {
            purpose,
            merchant,
            key_id,
            from_file,
            retire_others_in,
        } => {
            known_account(&settings, &merchant, &purpose)?;
            let value = read_secret(&from_file)?;
            let retire_others_in_s = retire_others_in;
            let command = AdminCommand::SecretSet {
                merchant,
                purpose,
                key_id,
                value,
                retire_others_in_s,
            };
            out.one(&send(global, &settings, command).await?);
        }
        Secrets::List { merchant } => {
            known_merchant(&settings, &merchant)?;
            let answer = send(global, &settings, AdminCommand::SecretList { merchant }).await?;
            out.list(&["purpose", "key_id", "valid_from", "valid_until"], &answer);
        }
    }
    Ok(())
}

pub(super) fn known_merchant<'s>(
    settings: &'s Settings,
    merchant: &MerchantId,
) -> Result<&'s MerchantConfig, Failure> {
    let known = settings.merchants.iter();
    known
        .clone()
        .find(|known| known.merchant == *merchant)
        .ok_or_else(|| {
            let known: Vec<_> = known.map(|known| known.merchant.as_str()).collect();
            Failure::usage(format!(
                "there is no merchant {merchant} in the configuration; known: {}",
                known.join(", ")
            ))
        })
}

/// A secret under a mistyped account would be kept, and every notification refused.
fn known_account(settings: &Settings, merchant: &MerchantId, purpose: &str) -> Result<(), Failure> {
    let merchant = known_merchant(settings, merchant)?;
    let (Some(SecretPurpose::ProviderInbound(name)) | Some(SecretPurpose::ProviderApi(name))) =
        SecretPurpose::parse(purpose)
    else {
        return Ok(());
    };
    let known = || merchant.accounts.iter().map(|known| known.account.as_str());
    if known().any(|known| known == name) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "merchant {} has no account {name} in the configuration; known: {}",
        merchant.merchant,
        known().collect::<Vec<_>>().join(", ")
    )))
}

pub(super) fn read_secret(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .take(64 * 1024)
            .read_to_string(&mut text)
            .map_err(failed)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(failed)
}
