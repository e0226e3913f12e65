//! Sealed evidence from the command line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::{MerchantId, PaymentRequestId, ReasonCode};
use domain::sealed::Commitment;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminError;
use crate::app::App;
use crate::app::context::Context;

/// One command about evidence. `Debug` is not derived: a person's words may be inside.
#[derive(Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum EvidenceCommand {
    /// What there is about a request.
    List {
        /// Whose.
        merchant: MerchantId,
        /// Of which request.
        request: PaymentRequestId,
    },
    /// Its raw bytes, in base64.
    Open {
        /// Whose.
        merchant: MerchantId,
        /// Of which request.
        request: PaymentRequestId,
        /// Which.
        commitment: Commitment,
        /// Why, in a code.
        reason: ReasonCode,
        /// Why, in words.
        text: Option<String>,
    },
}

pub(super) async fn execute(
    app: &App,
    context: &Context,
    command: EvidenceCommand,
) -> Result<Value, AdminError> {
    match command {
        EvidenceCommand::List { merchant, request } => {
            Ok(json!(app.kept_evidence(&merchant, &request).await?))
        }
        EvidenceCommand::Open {
            merchant,
            request,
            commitment,
            reason,
            text,
        } => {
            let opened = app
                .open_evidence(&merchant, context, &request, commitment, (reason, text))
                .await?;
            Ok(json!({ "media": opened.media, "base64": STANDARD.encode(&opened.bytes) }))
        }
    }
}
