//! Asks a generic provider for the real status, where its profile says how.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::ids::{AccountSlug, MerchantId};
use domain::ports::{
    Clock, HttpOut, LookUp, LookUpOutcome, OutRequest, ProviderApi, RegisterOutcome, Registration,
    SecretPurpose, Secrets,
};

use super::{Profile, fact};

/// Every call ends within this time.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest answer that is read. A longer one is not understood.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Calls one account's provider.
pub struct GenericApi {
    profile: Profile,
    url: String,
    merchant: MerchantId,
    account: AccountSlug,
    http: Arc<dyn HttpOut>,
    secrets: Arc<dyn Secrets>,
    clock: Arc<dyn Clock>,
}

impl GenericApi {
    /// For one account. `None` when the profile has no look-up.
    pub fn new(
        profile: Profile,
        merchant: MerchantId,
        account: AccountSlug,
        http: Arc<dyn HttpOut>,
        secrets: Arc<dyn Secrets>,
        clock: Arc<dyn Clock>,
    ) -> Option<Self> {
        let url = profile.look_up.as_ref()?.url.clone();
        Some(Self {
            profile,
            url,
            merchant,
            account,
            http,
            secrets,
            clock,
        })
    }

    /// The URL of one question; `None` when it needs an order that is not known yet.
    fn url_for(&self, look_up: &LookUp) -> Option<String> {
        let mut url = self
            .url
            .replace("{our_reference}", &escaped(look_up.our_reference.as_str()));
        if url.contains("{provider_order_ref}") {
            let order = look_up.provider_order_ref.as_ref()?;
            url = url.replace("{provider_order_ref}", &escaped(order.as_str()));
        }
        Some(url)
    }
}

/// Everything but letters, digits, `-`, `_` and `~` percent-encoded, so that a reference stays one
/// part of a path and cannot become `..`.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
    let escape = |byte: u8| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(escape).collect()
}

fn unknown(why: &str) -> LookUpOutcome {
    LookUpOutcome::Unknown {
        why: why.to_owned(),
        retry_after: None,
    }
}

#[async_trait]
impl ProviderApi for GenericApi {
    /// Nothing is registered by us: the shop takes our reference to the provider itself.
    async fn register(&self, _registration: &Registration) -> RegisterOutcome {
        RegisterOutcome::Registered {
            provider_order_ref: None,
            pay_url: None,
            session_expires_at: None,
        }
    }

    fn registers_by_call(&self) -> bool {
        false
    }

    async fn look_up(&self, look_up: &LookUp) -> LookUpOutcome {
        let Some(url) = self.url_for(look_up) else {
            return unknown("order_not_known");
        };
        let purpose = SecretPurpose::ProviderApi(self.account.to_string());
        let keys = self
            .secrets
            .active(&self.merchant, &purpose, self.clock.now())
            .await;
        let Some(key) = keys.ok().and_then(|keys| keys.into_iter().next()) else {
            return unknown("no_api_key");
        };
        let bearer = format!("Bearer {}", String::from_utf8_lossy(&key.value).trim());
        let request = OutRequest {
            method: "GET",
            url,
            headers: vec![
                ("authorization".to_owned(), bearer),
                ("accept".to_owned(), "application/json".to_owned()),
            ],
            body: vec![],
            deadline: DEADLINE,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let answer = match self.http.send(request).await {
            Ok(answer) => answer,
            Err(error) => return unknown(error.as_str()),
        };
        match answer.status {
            200 => {}
            404 => return LookUpOutcome::NotFound,
            status => {
                let retry_after = answer.retry_after(self.clock.now());
                return LookUpOutcome::Unknown {
                    why: format!("http_{status}"),
                    retry_after,
                };
            }
        }
        let stated = serde_json::from_slice(&answer.body)
            .ok()
            .and_then(|body| fact(&self.profile, &body));
        match stated {
            Some(fact) => LookUpOutcome::Answered {
                facts: vec![fact],
                raw: answer.body,
                media: "application/json".to_owned(),
            },
            None => unknown("not_understood"),
        }
    }
}

#[cfg(test)]
#[path = "look_up_tests.rs"]
mod tests;
