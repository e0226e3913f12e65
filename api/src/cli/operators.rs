//! Persons: their rights, their passwords, their sessions. A password comes from the terminal
//! without being shown, or from a file; never from an argument, which others on the machine see.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use domain::access::role::Role;
use domain::ids::{MerchantId, OperatorId};

use super::admin::{read_secret, send};
use super::args::Global;
use super::out::{Failure, Out};
use super::serve::settings;
use crate::admin::AdminCommand;
use crate::admin::operators::OperatorCommand;

#[derive(Subcommand)]
pub(super) enum Operators {
    /// Make a person with a role; they sign in once they have a password.
    #[command(
        after_help = "Example: counterfoil operators create op-7 --merchant shop --role approver"
    )]
    Create {
        /// Opaque; no name.
        id: OperatorId,
        /// Their merchant.
        #[arg(long)]
        merchant: MerchantId,
        /// operator, approver, supervisor, finance, auditor or admin.
        #[arg(long, value_parser = role)]
        role: Role,
    },
    /// Change what a person may do; it counts at once, in their sessions too.
    Grant {
        /// Who.
        id: OperatorId,
        /// operator, approver, supervisor, finance, auditor or admin.
        #[arg(long, value_parser = role)]
        role: Role,
    },
    /// Give a person a password; every session of theirs ends.
    #[command(after_help = "Examples:
  counterfoil operators password op-7                             asks for it, without showing it
  counterfoil operators password op-7 --password-file new.txt")]
    Password {
        /// Who.
        id: OperatorId,
        /// The file that holds it; - for standard input. Without it the terminal asks.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Ask a person for one-time codes; the secret for their app is shown once.
    Totp {
        /// Who.
        id: OperatorId,
        /// Ask for codes no more.
        #[arg(long)]
        remove: bool,
    },
    /// End a person's rights and sessions, for good.
    Disable {
        /// Who.
        id: OperatorId,
    },
    /// List persons.
    List,
    /// List a person's live sessions.
    #[command(after_help = "Example: counterfoil operators sessions op-7 --end 2bucDz8e")]
    Sessions {
        /// Whose.
        id: OperatorId,
        /// End this one first.
        #[arg(long, value_name = "KEY_ID")]
        end: Option<String>,
    },
}

pub(super) async fn run(global: &Global, out: &Out, command: Operators) -> Result<(), Failure> {
    let settings = settings(global, out)?.settings;
    let mode = settings.ledger.mode;
    let columns: &[&str] = match &command {
        Operators::List => &["id", "merchant", "role", "password", "totp", "disabled"],
        Operators::Sessions { .. } => &["key_id", "expires_at"],
        Operators::Create { .. }
        | Operators::Grant { .. }
        | Operators::Password { .. }
        | Operators::Totp { .. }
        | Operators::Disable { .. } => &[],
    };
    let command = match command {
        Operators::Create { id, merchant, role } => OperatorCommand::Create {
            id,
            merchant,
            role,
            mode,
        },
        Operators::Grant { id, role } => OperatorCommand::Grant { id, role },
        Operators::Password { id, password_file } => OperatorCommand::Password {
            password: password(&id, password_file.as_deref())?,
            id,
        },
        Operators::Totp { id, remove } => OperatorCommand::Totp { id, remove },
        Operators::Disable { id } => OperatorCommand::Disable { id },
        Operators::List => OperatorCommand::List,
        Operators::Sessions { id, end } => OperatorCommand::Sessions { id, end },
    };
    let answer = send(global, &settings, AdminCommand::Operator(command)).await?;
    if columns.is_empty() {
        out.one(&answer);
        if answer.get("secret").is_some() {
            out.talk("The secret is shown this once; put it into an authenticator app now.");
        }
    } else {
        out.list(columns, &answer);
    }
    Ok(())
}

fn password(id: &OperatorId, file: Option<&Path>) -> Result<String, Failure> {
    if let Some(file) = file {
        let text = read_secret(file)?;
        // Editors end a file with a line break; nothing else is taken away.
        let line = text.strip_suffix('\n').unwrap_or(&text);
        return Ok(line.strip_suffix('\r').unwrap_or(line).to_owned());
    }
    let asked = |prompt: String| {
        rpassword::prompt_password(prompt).map_err(|_| {
            Failure::usage("there is no terminal to ask for the password; use --password-file")
        })
    };
    let password = asked(format!("New password of {id}: "))?;
    if asked("Again: ".to_owned())? == password {
        Ok(password)
    } else {
        Err(Failure::usage(
            "the two passwords differ; nothing was changed",
        ))
    }
}

fn role(text: &str) -> Result<Role, String> {
    let role = Role::parse(text).filter(|role| role.fits_a_person());
    role.ok_or_else(|| "one of operator, approver, supervisor, finance, auditor, admin".to_owned())
}
