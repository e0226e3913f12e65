//! One authenticated call: who, by which route, with which key. Handlers take it as an argument,
//! so that none can forget to ask.

use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use domain::access::scope::Scope;
use domain::idempotency::{Idempotency, KeyScope};
use domain::ids::{CorrelationId, IdempotencyKey};
use serde_json::{Value, json};

use super::guard::RequestId;
use super::ops::Spec;
use super::problem::{self, Problem};
use super::state::HttpState;
use crate::app::caller::Caller;
use crate::app::context::Context;
use crate::app::error::AppError;

/// A call whose caller may make it.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who.
    pub caller: Caller,
    /// The route.
    pub spec: Spec,
    /// The caller's network, cut.
    pub ip_prefix: Option<String>,
    key: Option<IdempotencyKey>,
    correlation_id: Option<CorrelationId>,
}

impl Call {
    pub(super) fn new(caller: Caller, spec: Spec, request: &HttpRequest) -> Result<Self, Problem> {
        let key = match (spec.keyed, text(request.headers(), "idempotency-key")) {
            (false, _) => None,
            (true, None) => return Err(Problem::new(&problem::IDEMPOTENCY_KEY_MISSING)),
            (true, Some(key)) => {
                let bad = |_| {
                    Problem::new(&problem::IDEMPOTENCY_KEY_MISSING)
                        .detail("1 to 255 printable characters")
                };
                Some(IdempotencyKey::parse(key).map_err(bad)?)
            }
        };
        let ip_prefix = request.peer_addr().map(|address| prefix(address.ip()));
        Ok(Self {
            caller,
            spec,
            ip_prefix,
            key,
            correlation_id: None,
        })
    }

    /// Refuses a caller who lacks a scope that only a part of the route needs, and leaves a trace of it.
    ///
    /// # Errors
    /// [`Problem`] `forbidden`.
    pub async fn needs(&self, state: &HttpState, scope: Scope) -> Result<(), Problem> {
        if self.caller.may(scope) {
            return Ok(());
        }
        let lacking = scope.as_str();
        let route = format!("{} {}", self.spec.method, self.spec.path);
        state.app.note_denied(&self.caller, &route, lacking).await;
        let detail = format!("this caller lacks the scope {lacking}");
        Err(Problem::new(&problem::FORBIDDEN).detail(detail))
    }

    /// The circumstances of a command. `command` is the parsed body, `target` the ids in the path.
    ///
    /// # Errors
    /// Never for values that came through the strict reader.
    pub fn context(
        &self,
        state: &HttpState,
        target: &str,
        command: &Value,
    ) -> Result<Context, AppError> {
        let route = format!("{} {}", self.spec.method, self.spec.path);
        let idempotency = match &self.key {
            None => None,
            Some(key) => {
                let content = json!({ "target": target, "command": command });
                let content = domain::canonical_json(&content).map_err(AppError::bug)?;
                let scope = KeyScope {
                    merchant: &self.caller.merchant,
                    caller: &self.caller.who.key(),
                    route: &route,
                };
                Some(Idempotency::of(
                    state.app.recorder.key(),
                    &scope,
                    key,
                    &content,
                ))
            }
        };
        let mut context = Context::of(self.caller.actor(), &route);
        context.ip_prefix = self.ip_prefix.clone();
        context.idempotency = idempotency;
        context.correlation_id = self.correlation_id.clone();
        Ok(context)
    }
}

impl FromRequest for Call {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    /// The policy put it there; a route without a policy has none and answers 500.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let call = request.extensions().get::<Self>().cloned();
        std::future::ready(call.ok_or_else(|| Problem::new(&problem::INTERNAL)))
    }
}

/// The id of this request, for the log.
pub fn request_id(request: &HttpRequest) -> String {
    request
        .extensions()
        .get::<RequestId>()
        .map_or_else(String::new, |id| id.0.clone())
}

pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The network of an address: /24 or /48. A whole address is personal data.
pub(super) fn prefix(address: std::net::IpAddr) -> String {
    match address {
        std::net::IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        std::net::IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => prefix(v4.into()),
            None => {
                let [a, b, c, ..] = v6.segments();
                format!("{a:x}:{b:x}:{c:x}::/48")
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_cut_to_their_network() {
        for (address, network) in [
            ("203.0.113.9", "203.0.113.0/24"),
            ("::ffff:203.0.113.9", "203.0.113.0/24"),
            ("2001:db8:1:2::9", "2001:db8:1::/48"),
        ] {
            assert_eq!(prefix(address.parse().unwrap()), network);
        }
    }
}
