//! The simulated provider (`counterfoil sim-provider`): Standard Webhooks notifications that carry
//! all terms, server-side registration, look-up and cancel. The ledger treats it as any other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::ids::{AccountSlug, MerchantId};
use domain::payment::evidence::{EvidenceClass, Mode};
use domain::payment::fact::{Fact, FactKind, RefundAmount};
use domain::ports::{
    Acknowledge, Authentic, Clock, HttpOut, InboundProvider, InboundRequest, LookUp, LookUpOutcome,
    NotUnderstood, OutAnswer, OutError, OutRequest, ProviderAnswer, ProviderApi, RegisterOutcome,
    Registration, Rejected, Secret, SecretPurpose, Secrets, SessionEnd,
};
use domain::time::Timestamp;
use serde_json::{Value, json};

mod refunds;

use super::pointer::{AmountUnit, money, reference, text, time};
use super::signature::standard_webhooks;

/// Every call ends within this time.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Reads notifications of the simulated provider.
#[derive(Debug, Clone, Copy)]
pub struct SimInbound;

impl InboundProvider for SimInbound {
    fn authenticate(
        &self,
        request: &InboundRequest,
        secrets: &[Secret],
        now: Timestamp,
    ) -> Result<Authentic, Rejected> {
        let key_id = standard_webhooks::check(request, secrets, now)?;
        Ok(Authentic {
            scheme: "standard-webhooks".to_owned(),
            key_id: Some(key_id),
            signed_bytes: standard_webhooks::signed_bytes(request),
            class: EvidenceClass::Signed,
        })
    }

    fn facts(&self, request: &InboundRequest) -> Result<Vec<Fact>, NotUnderstood> {
        let body: Value = serde_json::from_slice(&request.body).map_err(|_| NotUnderstood {
            why: "the body is no JSON",
        })?;
        Ok(fact(&body).into_iter().collect())
    }

    fn answer(&self, acknowledge: Acknowledge) -> ProviderAnswer {
        plain_answer(acknowledge)
    }
}

/// The answers of providers that only look at the status.
pub(super) fn plain_answer(acknowledge: Acknowledge) -> ProviderAnswer {
    let (status, body) = match acknowledge {
        Acknowledge::Accepted => (200, "ok"),
        Acknowledge::Rejected => (401, "unauthorized"),
        Acknowledge::Busy => (503, "try again"),
        Acknowledge::Allowed => (200, "allowed"),
        Acknowledge::Refused => (200, "refused"),
    };
    ProviderAnswer {
        status,
        content_type: "text/plain",
        body: body.to_owned(),
    }
}

/// One statement: `{status, order, our_reference, transaction, amount, currency, payee, mode,
/// occurred_at}`. `None` for messages that are about no payment.
fn fact(body: &Value) -> Option<Fact> {
    let status = text(body, "/status")?;
    let kind = match status.as_str() {
        "registered" => FactKind::Registered,
        "processing" => FactKind::Processing,
        "authorised" => FactKind::Authorised,
        "captured" => FactKind::Captured,
        "declined" => FactKind::Declined,
        "session_expired" => FactKind::SessionExpired,
        "voided" => FactKind::Voided {
            reversal: reference(body, "/reversal"),
        },
        "refunded" => FactKind::Refunded {
            amount: RefundAmount::Delta(money(body, "/refunded", "/currency", AmountUnit::Minor)?),
            reversal: reference(body, "/reversal"),
        },
        "refund_failed" => FactKind::RefundFailed {
            reversal: reference(body, "/reversal"),
        },
        _ => FactKind::Unknown,
    };
    Some(Fact {
        alias_of: reference(body, "/alias_of"),
        kind,
        our_reference: reference(body, "/our_reference"),
        provider_order_ref: reference(body, "/order"),
        transaction: reference(body, "/transaction"),
        amount: money(body, "/amount", "/currency", AmountUnit::Minor),
        payee: text(body, "/payee"),
        mode: match text(body, "/mode").as_deref() {
            Some("live") => Some(Mode::Live),
            Some("test") => Some(Mode::Test),
            Some(_) | None => None,
        },
        provider_time: time(body, "/occurred_at"),
        provider_status: Some(status),
    })
}

/// Calls the simulated provider.
pub struct SimApi {
    url: String,
    merchant: MerchantId,
    account: AccountSlug,
    http: Arc<dyn HttpOut>,
    secrets: Arc<dyn Secrets>,
    clock: Arc<dyn Clock>,
}

impl SimApi {
    /// For one account at `url`.
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

    async fn call(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
    ) -> Result<OutAnswer, Failed> {
        let purpose = SecretPurpose::ProviderApi(self.account.to_string());
        let keys = self
            .secrets
            .active(&self.merchant, &purpose, self.clock.now())
            .await;
        let key = keys
            .ok()
            .and_then(|keys| keys.into_iter().next())
            .ok_or(Failed::NoKey)?;
        let token = String::from_utf8_lossy(&key.value).trim().to_owned();
        let mut headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
        if body.is_some() {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let request = OutRequest {
            method,
            url: format!("{}{path}", self.url),
            headers,
            body: body
                .map(|body| body.to_string().into_bytes())
                .unwrap_or_default(),
            deadline: DEADLINE,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        self.http.send(request).await.map_err(Failed::Http)
    }
}

enum Failed {
    NoKey,
    Http(OutError),
}

impl Failed {
    fn why(&self) -> String {
        match self {
            Self::NoKey => "no_api_key".to_owned(),
            Self::Http(error) => error.as_str().to_owned(),
        }
    }
}

#[async_trait]
impl ProviderApi for SimApi {
    async fn register(&self, registration: &Registration) -> RegisterOutcome {
        let body = json!({
            "our_reference": registration.our_reference,
            "amount": registration.amount.minor().to_string(),
            "currency": registration.amount.currency(),
            "description": registration.description,
            "session_s": registration.session_s,
            "return_url": registration.return_url,
        });
        let answer = match self.call("POST", "/orders", Some(body)).await {
            Ok(answer) => answer,
            // Nothing was sent, so nothing was made.
            Err(Failed::NoKey) => {
                return RegisterOutcome::Refused {
                    provider_status: "no_api_key".to_owned(),
                };
            }
            Err(Failed::Http(error)) if error.not_sent() => {
                return RegisterOutcome::NotSent {
                    why: error.as_str().to_owned(),
                };
            }
            Err(failed) => {
                return RegisterOutcome::Unknown {
                    why: failed.why(),
                    retry_after: None,
                };
            }
        };
        let retry_after = answer.retry_after(self.clock.now());
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        match (answer.status, body) {
            (200 | 201, Some(body)) => RegisterOutcome::Registered {
                provider_order_ref: reference(&body, "/order"),
                pay_url: text(&body, "/pay_url"),
                session_expires_at: time(&body, "/session_expires_at").map(|time| time.at),
            },
            // Not answered in time, in conflict with what is there, too early, too often: each of them
            // may stand before or after the order was made.
            (408 | 409 | 425 | 429, _) => RegisterOutcome::Unknown {
                why: format!("http_{}", answer.status),
                retry_after,
            },
            (400..=499, _) => RegisterOutcome::Refused {
                provider_status: format!("http_{}", answer.status),
            },
            (status, _) => RegisterOutcome::Unknown {
                why: format!("http_{status}"),
                retry_after,
            },
        }
    }

    async fn look_up(&self, look_up: &LookUp) -> LookUpOutcome {
        // Its own name for the order is the surer one: in a message ours may be mangled.
        let order = look_up.provider_order_ref.as_ref();
        let path = format!("/orders/{}", order.unwrap_or(&look_up.our_reference));
        let answer = match self.call("GET", &path, None).await {
            Ok(answer) => answer,
            Err(failed) => {
                return LookUpOutcome::Unknown {
                    why: failed.why(),
                    retry_after: None,
                };
            }
        };
        let retry_after = answer.retry_after(self.clock.now());
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        match (
            answer.status,
            body.as_ref().and_then(|body| body["statements"].as_array()),
        ) {
            (200, Some(statements)) => {
                let facts = statements.iter().filter_map(fact).collect();
                LookUpOutcome::Answered {
                    facts,
                    raw: answer.body,
                    media: "application/json".to_owned(),
                }
            }
            (404, _) => LookUpOutcome::NotFound,
            (status, _) => LookUpOutcome::Unknown {
                why: format!("http_{status}"),
                retry_after,
            },
        }
    }

    fn session_end(&self) -> SessionEnd {
        SessionEnd::Repeatable
    }

    async fn cancel(&self, look_up: &LookUp) {
        let path = format!("/orders/{}/cancel", look_up.our_reference);
        if let Err(failed) = self.call("POST", &path, None).await {
            tracing::info!(why = failed.why(), "provider.cancel_failed");
        }
    }
}

#[cfg(test)]
#[path = "sim_tests.rs"]
mod tests;
