//! Outgoing HTTP, and where it may go, from the configuration.

use std::sync::Arc;

use adapters::http_out::{AddressGuard, CallableUrls, CheckedHttp, Cidr, HttpOutOptions, Proxy};
use domain::ports::HttpOut;

use super::{StartError, part};
use crate::config::settings::Delivery;

/// The URLs that may be called where these networks are allowed.
pub(super) fn urls(networks: &[String], allow_http: bool) -> Result<CallableUrls, StartError> {
    let parsed: Result<Vec<Cidr>, _> = networks
        .iter()
        .map(|network| Cidr::parse(network))
        .collect();
    Ok(CallableUrls {
        guard: AddressGuard::allowing(parsed.map_err(|e| part("networks")(e.into()))?),
        allow_http,
    })
}

/// A client that goes straight there.
pub(super) fn http_out(
    networks: &[String],
    allow_http: bool,
) -> Result<Arc<dyn HttpOut>, StartError> {
    client(HttpOutOptions {
        urls: urls(networks, allow_http)?,
        ..HttpOutOptions::default()
    })
}

/// The client of deliveries.
pub(super) fn to_subscribers(delivery: &Delivery) -> Result<Arc<dyn HttpOut>, StartError> {
    let proxy = (!delivery.proxy.is_empty()).then(|| Proxy {
        url: delivery.proxy.clone(),
        resolves: delivery.danger_proxy_resolves,
    });
    client(HttpOutOptions {
        urls: urls(&delivery.allow_networks, delivery.danger_allow_http)?,
        extra_roots_pem: vec![],
        proxy,
    })
}

fn client(options: HttpOutOptions) -> Result<Arc<dyn HttpOut>, StartError> {
    let client = CheckedHttp::new(options).map_err(|e| part("HTTP client")(e.into()))?;
    Ok(Arc::new(client))
}
