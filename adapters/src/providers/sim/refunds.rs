//! Refunds at the simulated provider: it keys on our refund id and knows a refund by it.

use async_trait::async_trait;
use domain::ports::{OutAnswer, RefundApi, RefundOrder, RefundOutcome};
use serde_json::{Value, json};

use super::{Failed, SimApi, fact};
use crate::providers::pointer::{reference, text};

#[async_trait]
impl RefundApi for SimApi {
    fn keyed(&self) -> bool {
        true
    }

    fn can_look_up(&self) -> bool {
        true
    }

    async fn refund(&self, order: &RefundOrder) -> RefundOutcome {
        let body = json!({
            "refund": order.refund,
            "transaction": order.transaction,
            "amount": order.amount.minor().to_string(),
            "currency": order.amount.currency(),
        });
        let answer = match self.call("POST", "/refunds", Some(body)).await {
            Ok(answer) => answer,
            Err(failed) => return of_failure(&failed),
        };
        match answer.status {
            200 | 201 => known(answer),
            // Not answered in time, in conflict with what is there, too early, too often: each of them
            // may stand before or after the money went.
            408 | 409 | 425 | 429 => unknown(&answer),
            400..=499 => RefundOutcome::Declined {
                provider_status: word_of(&answer),
            },
            _ => unknown(&answer),
        }
    }

    async fn look_up_refund(&self, order: &RefundOrder) -> RefundOutcome {
        let path = format!("/refunds/{}", order.refund);
        match self.call("GET", &path, None).await {
            Ok(answer) if answer.status == 200 => known(answer),
            Ok(answer) if answer.status == 404 => RefundOutcome::NotFound,
            Ok(answer) => unknown(&answer),
            Err(failed) => RefundOutcome::Unknown {
                why: failed.why(),
                retry_after_s: None,
            },
        }
    }
}

/// Without a key nothing is sent. A call that was not sent for another reason is made again under the
/// same id, since the provider may be back by then.
fn of_failure(failed: &Failed) -> RefundOutcome {
    match failed {
        Failed::NoKey => RefundOutcome::Declined {
            provider_status: failed.why(),
        },
        Failed::Http(_) => RefundOutcome::Unknown {
            why: failed.why(),
            retry_after_s: None,
        },
    }
}

/// `{refund, statements}`: no statement while it is under way.
fn known(answer: OutAnswer) -> RefundOutcome {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let told = body.as_ref().and_then(|body| {
        let statements = body["statements"].as_array()?;
        Some((
            reference(body, "/refund")?,
            statements.iter().filter_map(fact).collect(),
        ))
    });
    match told {
        Some((reversal, facts)) => RefundOutcome::Known {
            reversal,
            facts,
            raw: answer.body,
            media: "application/json".to_owned(),
        },
        None => RefundOutcome::Unknown {
            why: "not_understood".to_owned(),
            retry_after_s: None,
        },
    }
}

fn unknown(answer: &OutAnswer) -> RefundOutcome {
    RefundOutcome::Unknown {
        why: format!("http_{}", answer.status),
        retry_after_s: answer
            .header("retry-after")
            .and_then(|value| value.parse().ok()),
    }
}

/// The provider's own word for its no.
fn word_of(answer: &OutAnswer) -> String {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let word = body.as_ref().and_then(|body| text(body, "/error"));
    word.unwrap_or_else(|| format!("http_{}", answer.status))
}
