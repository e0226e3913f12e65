//! Refunds at Stripe: `POST /v1/refunds` with our refund id as `Idempotency-Key` and in the metadata,
//! and the list of a charge's refunds. Read from stripe.com/docs (refunds, idempotent requests),
//! 2026-10.
//!
//! Stripe forgets a key after a day or more; by then the list says whether there is a refund, and
//! the ledger asks it before it calls again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::ids::{AccountSlug, MerchantId, ProviderRef};
use domain::money::Money;
use domain::payment::fact::{Fact, FactKind, RefundAmount};
use domain::ports::{
    Clock, HttpOut, OutAnswer, OutRequest, RefundApi, RefundOrder, RefundOutcome, SecretPurpose,
    Secrets,
};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::amount_of;
use crate::providers::pointer::{reference, text, time};

/// Where Stripe's API is.
pub const URL: &str = "https://api.stripe.com";
/// Every call ends within this time; a refund may take Stripe a while.
const DEADLINE: Duration = Duration::from_secs(30);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Gives money of one account back.
pub struct StripeRefunds {
    url: String,
    merchant: MerchantId,
    account: AccountSlug,
    http: Arc<dyn HttpOut>,
    secrets: Arc<dyn Secrets>,
    clock: Arc<dyn Clock>,
}

impl StripeRefunds {
    /// For one account; `url` is [`URL`], or where something stands in for Stripe.
    pub fn new(
        url: &str,
        merchant: MerchantId,
        account: AccountSlug,
        http: Arc<dyn HttpOut>,
        secrets: Arc<dyn Secrets>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            merchant,
            account,
            http,
            secrets,
            clock,
        }
    }

    /// `None`: there is no API key, so nothing was sent.
    async fn call(
        &self,
        method: &'static str,
        path: &str,
        more: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Option<Result<OutAnswer, RefundOutcome>> {
        let purpose = SecretPurpose::ProviderApi(self.account.to_string());
        let keys = self
            .secrets
            .active(&self.merchant, &purpose, self.clock.now())
            .await;
        let key = keys.ok().and_then(|keys| keys.into_iter().next())?;
        let token = String::from_utf8_lossy(&key.value).trim().to_owned();
        let mut headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
        headers.extend(more);
        let request = OutRequest {
            method,
            url: format!("{}{path}", self.url),
            headers,
            body,
            deadline: DEADLINE,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let answer = self.http.send(request).await;
        Some(answer.map_err(|error| unknown(error.as_str())))
    }
}

#[async_trait]
impl RefundApi for StripeRefunds {
    fn keyed(&self) -> bool {
        true
    }

    fn can_look_up(&self) -> bool {
        true
    }

    async fn refund(&self, order: &RefundOrder) -> RefundOutcome {
        let Some(amount) = in_stripes_units(order.amount) else {
            return declined("amount_not_expressible");
        };
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("idempotency-key", order.refund.as_str()),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let body = form_of(order, amount).into_bytes();
        let answer = match self.call("POST", "/v1/refunds", headers.into(), body).await {
            None => return declined("no_api_key"),
            Some(Err(unknown)) => return unknown,
            Some(Ok(answer)) => answer,
        };
        let object: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let error = |pointer| object.as_ref().and_then(|object| text(object, pointer));
        match (answer.status, &object) {
            (200, Some(refund)) => known(refund, &answer),
            // In progress under the same key, or the key stood for something else: no word about this
            // refund.
            (408 | 409 | 425 | 429, _) => unknown_status(&answer),
            (400..=499, _) if error("/error/type").as_deref() == Some("idempotency_error") => {
                unknown("idempotency_error")
            }
            (400..=499, _) => {
                let word = error("/error/code").or_else(|| error("/error/type"));
                declined(&word.unwrap_or_else(|| format!("http_{}", answer.status)))
            }
            (_, _) => unknown_status(&answer),
        }
    }

    async fn look_up_refund(&self, order: &RefundOrder) -> RefundOutcome {
        let path = question(order);
        let answer = match self.call("GET", &path, vec![], vec![]).await {
            None => return unknown("no_api_key"),
            Some(Err(unknown)) => return unknown,
            Some(Ok(answer)) => answer,
        };
        let object: Option<Value> = serde_json::from_slice(&answer.body).ok();
        match (answer.status, object) {
            (200, Some(object)) if order.reversal.is_some() => known(&object, &answer),
            (200, Some(list)) => in_list(&list, order, &answer),
            (_, _) => unknown_status(&answer),
        }
    }
}

fn form_of(order: &RefundOrder, amount: i64) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("charge", order.transaction.as_str())
        .append_pair("amount", &amount.to_string())
        .append_pair("metadata[refund_id]", order.refund.as_str())
        .append_pair("expand[]", "charge");
    if let Some(ours) = &order.our_reference {
        form.append_pair("metadata[our_reference]", ours.as_str());
    }
    form.finish()
}

/// The refund by Stripe's name, or all of its charge.
fn question(order: &RefundOrder) -> String {
    let mut query = Serializer::new(String::new());
    match &order.reversal {
        Some(reversal) => {
            query.append_pair("expand[]", "charge");
            format!("/v1/refunds/{reversal}?{}", query.finish())
        }
        None => {
            query
                .append_pair("charge", order.transaction.as_str())
                .append_pair("limit", "100")
                .append_pair("expand[]", "data.charge");
            format!("/v1/refunds?{}", query.finish())
        }
    }
}

/// The refund with our id in its metadata. A list that goes on says nothing about what it does not
/// show.
fn in_list(list: &Value, order: &RefundOrder, answer: &OutAnswer) -> RefundOutcome {
    let ours = Some(order.refund.as_str());
    let all = list["data"].as_array();
    let found = all.and_then(|all| {
        all.iter()
            .find(|refund| text(refund, "/metadata/refund_id").as_deref() == ours)
    });
    match (found, all.is_some(), list["has_more"].as_bool()) {
        (Some(refund), _, _) => known(refund, answer),
        (None, true, Some(false)) => RefundOutcome::NotFound,
        (None, _, _) => unknown("not_understood"),
    }
}

/// A refund object, with its charge expanded. Refunds are counted by the charge's total, as in the
/// event `charge.refunded`, so that no money is counted in two ways.
fn known(refund: &Value, answer: &OutAnswer) -> RefundOutcome {
    let Some(reversal) = reference(refund, "/id") else {
        return unknown("not_understood");
    };
    let of = |kind| Fact {
        transaction: reference(refund, "/charge/id"),
        provider_time: time(refund, "/created"),
        provider_status: text(refund, "/status"),
        ..Fact::bare(kind)
    };
    let facts = match text(refund, "/status").as_deref() {
        Some("succeeded") => total_of(refund)
            .map(|amount| {
                of(FactKind::Refunded {
                    amount,
                    reversal: Some(reversal.clone()),
                })
            })
            .into_iter()
            .collect(),
        Some("failed" | "canceled") => vec![of(FactKind::RefundFailed {
            reversal: Some(reversal.clone()),
        })],
        // Pending, or waiting for the payer: it has no end yet.
        Some(_) | None => vec![],
    };
    RefundOutcome::Known {
        reversal,
        facts,
        raw: answer.body.clone(),
        media: "application/json".to_owned(),
    }
}

fn total_of(refund: &Value) -> Option<RefundAmount> {
    let sum = amount_of(refund.pointer("/charge")?, "/amount_refunded")?;
    Some(RefundAmount::Cumulative(sum))
}

/// The inverse of [`amount_of`]; `None` where Stripe cannot write the amount.
fn in_stripes_units(amount: Money) -> Option<i64> {
    match amount.currency().code() {
        "ISK" => amount.minor().checked_mul(100),
        "MGA" => (amount.minor() % 100 == 0).then_some(amount.minor() / 100),
        "UGX" => None,
        _ => Some(amount.minor()),
    }
}

fn declined(word: &str) -> RefundOutcome {
    RefundOutcome::Declined {
        provider_status: word.to_owned(),
    }
}

fn unknown(why: &str) -> RefundOutcome {
    RefundOutcome::Unknown {
        why: why.to_owned(),
        retry_after_s: None,
    }
}

fn unknown_status(answer: &OutAnswer) -> RefundOutcome {
    RefundOutcome::Unknown {
        why: format!("http_{}", answer.status),
        retry_after_s: answer
            .header("retry-after")
            .and_then(|value| value.parse().ok()),
    }
}

/// The events that say that a refund did not happen or came back; that one did is told by the
/// charge's total.
pub(super) fn failed(name: &str, refund: &Value) -> Option<FactKind> {
    let told = matches!(
        name,
        "refund.failed" | "refund.updated" | "charge.refund.updated"
    );
    let ended = matches!(
        text(refund, "/status").as_deref(),
        Some("failed" | "canceled")
    );
    let reversal: Option<ProviderRef> = reference(refund, "/id");
    (told && ended && reversal.is_some()).then_some(FactKind::RefundFailed { reversal })
}

#[cfg(test)]
#[path = "refunds_tests.rs"]
mod tests;
