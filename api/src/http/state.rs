//! What handlers share.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use actix_web::HttpRequest;
use domain::ids::OperatorId;
use domain::ports::Position;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use metrics_exporter_prometheus::PrometheusHandle;

use super::call::text;
use super::checkout::Checkout;
use super::problem::{self, Problem};
use crate::app::App;
use crate::app::caller::Who;
use crate::app::directory::CallerDirectory;
use crate::config::Settings;
use crate::config::settings::Limits;
use crate::work::Health;

/// Shared by every worker thread.
pub struct HttpState {
    /// The use-cases.
    pub app: Arc<App>,
    /// Who may call.
    pub directory: Arc<CallerDirectory>,
    /// State of the work loops and views.
    pub health: Arc<Health>,
    /// Figures.
    pub metrics: PrometheusHandle,
    /// How others reach this server.
    pub public_url: String,
    /// What the payer's page needs.
    pub checkout: Checkout,
    callers: DefaultKeyedRateLimiter<Who>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    signing_in: DefaultKeyedRateLimiter<OperatorId>,
    signing_in_from: DefaultKeyedRateLimiter<IpAddr>,
    waiting: Mutex<BTreeMap<(Who, String), usize>>,
    limits: Limits,
}

impl HttpState {
    /// For one server.
    pub fn new(
        app: Arc<App>,
        directory: Arc<CallerDirectory>,
        health: Arc<Health>,
        metrics: PrometheusHandle,
        settings: &Settings,
    ) -> Self {
        let limits = &settings.limits;
        let some = |rate: u32| NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN);
        let quota = |per_second| Quota::per_second(some(per_second));
        let slow = |per_minute| Quota::per_minute(some(per_minute));
        Self {
            app,
            directory,
            health,
            metrics,
            public_url: settings.server.public_url.clone(),
            checkout: Checkout::new(settings),
            callers: RateLimiter::keyed(quota(limits.client_requests_per_s)),
            addresses: RateLimiter::keyed(quota(limits.address_requests_per_s)),
            signing_in: RateLimiter::keyed(slow(limits.operator_sign_ins_per_min)),
            signing_in_from: RateLimiter::keyed(slow(limits.address_sign_ins_per_min)),
            waiting: Mutex::new(BTreeMap::new()),
            limits: limits.clone(),
        }
    }

    /// A new request id.
    pub fn request_id(&self) -> String {
        let mut random = [0; 10];
        self.app.recorder.entropy().fill(&mut random);
        format!("req_{}", domain::digest::base32(&random))
    }

    /// # Errors
    /// [`Problem`] `rate_limited`.
    pub fn limit_caller(&self, who: &Who) -> Result<(), Problem> {
        self.callers
            .check_key(who)
            .map_err(|_| Problem::new(&problem::RATE_LIMITED).retry_after(1))
    }

    /// # Errors
    /// [`Problem`] `rate_limited`.
    pub fn limit_address(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        let Some(address) = address else {
            return Ok(());
        };
        self.addresses
            .check_key(&address)
            .map_err(|_| Problem::new(&problem::RATE_LIMITED).retry_after(1))
    }

    /// Slows down whoever guesses passwords: first by address, so that one address cannot use up
    /// everybody's tries, then by the person whose password it is.
    ///
    /// # Errors
    /// [`Problem`] `rate_limited`.
    pub fn limit_sign_in(
        &self,
        address: Option<IpAddr>,
        operator: &OperatorId,
    ) -> Result<(), Problem> {
        let wait = |per_minute: u32| {
            let seconds = 60_u32.div_ceil(per_minute.max(1));
            Problem::new(&problem::RATE_LIMITED)
                .detail("too many tries to sign in")
                .retry_after(seconds)
        };
        if let Some(address) = address {
            let from = self.signing_in_from.check_key(&address);
            from.map_err(|_| wait(self.limits.address_sign_ins_per_min))?;
        }
        let theirs = self.signing_in.check_key(operator);
        theirs.map_err(|_| wait(self.limits.operator_sign_ins_per_min))
    }

    /// Forgets callers that have been quiet; called now and then.
    pub fn tidy(&self) {
        self.callers.retain_recent();
        self.addresses.retain_recent();
        self.signing_in.retain_recent();
        self.signing_in_from.retain_recent();
        self.checkout.caps.tidy();
    }

    /// A `wait_for` of another store or epoch cannot be waited for.
    ///
    /// # Errors
    /// [`Problem`] `malformed` or `other_log`.
    pub fn wait_for(&self, request: &HttpRequest) -> Result<Option<Position>, Problem> {
        let query = query(request);
        let header = text(request.headers(), "wait-for").map(str::to_owned);
        let Some(wanted) = query.get("wait_for").cloned().or(header) else {
            return Ok(None);
        };
        let position = Position::parse(&wanted).ok_or_else(|| {
            Problem::new(&problem::MALFORMED)
                .detail("wait_for is the Position of an earlier answer")
        })?;
        let identity = self.app.recorder.store().identity();
        let ours = Position::new(identity.tag(), identity.epoch, 0, 0);
        if position.same_log(ours) {
            Ok(Some(position))
        } else {
            Err(Problem::new(&problem::OTHER_LOG))
        }
    }

    /// Takes a place among the calls of a caller that wait for news of something: a payment request, or
    /// a queue.
    ///
    /// # Errors
    /// [`Problem`] `rate_limited` when there is none.
    pub fn waiting_place(self: &Arc<Self>, who: &Who, of: &str) -> Result<WaitingPlace, Problem> {
        let full = || {
            Problem::new(&problem::RATE_LIMITED)
                .detail("too many calls that wait")
                .retry_after(5)
        };
        let key = (who.clone(), of.to_owned());
        let mut waiting = self
            .waiting
            .lock()
            .map_err(|_| Problem::new(&problem::INTERNAL))?;
        let of_caller: usize = waiting
            .iter()
            .filter(|((c, _), _)| c == who)
            .map(|(_, count)| count)
            .sum();
        let of_thing: usize = waiting
            .iter()
            .filter(|((_, thing), _)| thing == of)
            .map(|(_, count)| count)
            .sum();
        if of_caller >= self.limits.streams_per_client
            || of_thing >= self.limits.streams_per_request
        {
            return Err(full());
        }
        *waiting.entry(key.clone()).or_default() += 1;
        Ok(WaitingPlace {
            state: Arc::clone(self),
            key,
        })
    }
}

/// A place among the calls that wait; given back when dropped.
pub struct WaitingPlace {
    state: Arc<HttpState>,
    key: (Who, String),
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        if let Ok(mut waiting) = self.state.waiting.lock()
            && let Some(count) = waiting.get_mut(&self.key)
        {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.key);
            }
        }
    }
}

/// Query parameters by name; the last of a name stands.
pub fn query(request: &HttpRequest) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(request.query_string().as_bytes())
        .into_owned()
        .collect()
}
