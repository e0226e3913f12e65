//! Exceptions from the command line.

use domain::ids::{CaseId, MerchantId, OperatorId, ReasonCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminError;
use crate::app::App;
use crate::app::case_decisions::How;
use crate::app::cases::{CaseFilter, listed};
use crate::app::context::Context;

/// One command about exceptions. `Debug` is not derived: a person's words may be inside.
#[derive(Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum ExceptionCommand {
    /// The most urgent first.
    List {
        /// Whose.
        merchant: MerchantId,
        /// Which.
        filter: CaseFilter,
        /// How many.
        limit: u32,
    },
    /// One in full.
    Show {
        /// Whose.
        merchant: MerchantId,
        /// Which.
        id: CaseId,
    },
    /// Give it to a person, or to nobody.
    Assign {
        /// Whose.
        merchant: MerchantId,
        /// Which.
        id: CaseId,
        /// Who.
        to: Option<OperatorId>,
    },
    /// Decide it.
    Resolve {
        /// Whose.
        merchant: MerchantId,
        /// Which.
        id: CaseId,
        /// How.
        how: How,
        /// Why, in a code.
        reason: ReasonCode,
        /// Why, in words.
        text: String,
    },
}

pub(super) async fn execute(
    app: &App,
    context: &Context,
    command: ExceptionCommand,
) -> Result<Value, AdminError> {
    match command {
        ExceptionCommand::List {
            merchant,
            filter,
            limit,
        } => {
            app.merchant(&merchant)?;
            let page = app
                .list_cases(&merchant, &filter, None, limit as usize)
                .await?;
            let now = app.recorder.now();
            Ok(page.rows.iter().map(|case| listed(case, now)).collect())
        }
        ExceptionCommand::Show { merchant, id } => Ok(json!(app.case(&merchant, &id).await?)),
        ExceptionCommand::Assign { merchant, id, to } => {
            let decided = app.assign_case(&merchant, context, &id, to, None).await?;
            Ok(decided.shown(&id))
        }
        ExceptionCommand::Resolve {
            merchant,
            id,
            how,
            reason,
            text,
        } => {
            let why = (reason, Some(text));
            let decided = app.resolve_case(&merchant, context, &id, how, why).await?;
            Ok(decided.shown(&id))
        }
    }
}
