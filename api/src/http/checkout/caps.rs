//! How often the holder of a link may look, start a payment, and have the provider asked.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use domain::ids::{AccountSlug, PaymentRequestId};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::super::problem::{self, Problem};
use crate::config::settings::Limits;

/// A payer who comes back makes the provider be asked at most this often.
const LOOK_UP_EVERY: Duration = Duration::from_secs(10);
/// One account's provider is asked for payers at most so often.
const LOOK_UPS_PER_ACCOUNT_AND_S: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);

/// The caps of one server.
pub struct Caps {
    pages: DefaultKeyedRateLimiter<PaymentRequestId>,
    starts: DefaultKeyedRateLimiter<PaymentRequestId>,
    starts_of_address: DefaultKeyedRateLimiter<IpAddr>,
    look_ups: DefaultKeyedRateLimiter<PaymentRequestId>,
    look_ups_of_account: DefaultKeyedRateLimiter<AccountSlug>,
}

impl Caps {
    pub(super) fn new(limits: &Limits) -> Self {
        let least_one = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let pages = least_one(limits.checkout_requests_per_s);
        let once = Quota::with_period(LOOK_UP_EVERY)
            .unwrap_or(Quota::per_minute(NonZeroU32::MIN))
            .allow_burst(NonZeroU32::MIN);
        let per_minute = |count: u32| RateLimiter::keyed(Quota::per_minute(least_one(count)));
        Self {
            pages: RateLimiter::keyed(
                Quota::per_second(pages)
                    .allow_burst(pages.saturating_mul(NonZeroU32::MIN.saturating_add(1))),
            ),
            starts: per_minute(limits.checkout_starts_per_min),
            starts_of_address: RateLimiter::keyed(Quota::per_minute(least_one(
                limits.checkout_address_starts_per_min,
            ))),
            look_ups: RateLimiter::keyed(once),
            look_ups_of_account: RateLimiter::keyed(Quota::per_second(LOOK_UPS_PER_ACCOUNT_AND_S)),
        }
    }

    /// One request to the page of a link.
    pub(super) fn page(&self, id: &PaymentRequestId) -> Result<(), Problem> {
        self.pages.check_key(id).map_err(|_| limited(1))
    }

    /// One start of a payment.
    pub(super) fn start(
        &self,
        id: &PaymentRequestId,
        address: Option<IpAddr>,
    ) -> Result<(), Problem> {
        self.starts.check_key(id).map_err(|_| limited(60))?;
        match address {
            None => Ok(()),
            Some(address) => self
                .starts_of_address
                .check_key(&address)
                .map_err(|_| limited(60)),
        }
    }

    /// May the provider be asked because the payer came back?
    pub(super) fn may_look_up<'a>(
        &self,
        id: &PaymentRequestId,
        mut accounts: impl Iterator<Item = &'a AccountSlug>,
    ) -> bool {
        self.look_ups.check_key(id).is_ok()
            && accounts.all(|account| self.look_ups_of_account.check_key(account).is_ok())
    }

    /// Forgets who has been quiet.
    pub fn tidy(&self) {
        self.pages.retain_recent();
        self.starts.retain_recent();
        self.starts_of_address.retain_recent();
        self.look_ups.retain_recent();
        self.look_ups_of_account.retain_recent();
    }
}

fn limited(retry_after_s: u32) -> Problem {
    Problem::new(&problem::RATE_LIMITED).retry_after(retry_after_s)
}
