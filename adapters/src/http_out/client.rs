//! The real client. It sends each request once and never repeats it.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use domain::ports::{HttpOut, OutAnswer, OutError, OutRequest};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, redirect};
use url::{Host, Url};

use super::addresses::AddressGuard;

/// A connection that takes longer is given up.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// An unused connection is closed before most servers would close it under us.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// The headers of an answer that anybody here reads.
const KEPT: [&str; 4] = ["content-type", "date", "location", "retry-after"];

/// What a deployment decides about outgoing requests.
#[derive(Debug, Clone, Default)]
pub struct HttpOutOptions {
    /// Addresses that may be connected to.
    pub guard: AddressGuard,
    /// Allows `http://`; off by default, since signed bodies hold orders and amounts.
    pub allow_http: bool,
    /// Certificates (PEM) of private authorities to trust besides those of the system.
    pub extra_roots_pem: Vec<Vec<u8>>,
}

/// The client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be made")]
pub struct CannotStart(#[source] reqwest::Error);

/// Outgoing HTTP for one deployment.
#[derive(Debug, Clone)]
pub struct ReqwestOut {
    client: Client,
    guard: AddressGuard,
    allow_http: bool,
}

impl ReqwestOut {
    /// A client with its own connections.
    ///
    /// # Errors
    /// [`CannotStart`] when a certificate cannot be read.
    pub fn new(options: HttpOutOptions) -> Result<Self, CannotStart> {
        // The first provider of a process stays; an error only says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = options
            .extra_roots_pem
            .iter()
            .map(|pem| reqwest::Certificate::from_pem(pem));
        let roots: Vec<_> = roots.collect::<Result<_, _>>().map_err(CannotStart)?;
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .http1_only()
            .connect_timeout(CONNECT_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .retry(reqwest::retry::never())
            .dns_resolver(CheckedResolver {
                guard: options.guard.clone(),
            })
            .tls_certs_merge(roots)
            .build()
            .map_err(CannotStart)?;
        Ok(Self {
            client,
            guard: options.guard,
            allow_http: options.allow_http,
        })
    }

    /// The URL, if it may be called at all. Literal addresses never reach the resolver, so they are
    /// checked here, after the URL parser has brought every notation of one into its one form.
    fn checked(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok()?;
        let scheme = match url.scheme() {
            "https" => true,
            "http" => self.allow_http,
            _ => false,
        };
        let plain = url.username().is_empty() && url.password().is_none();
        let host = match url.host()? {
            Host::Ipv4(v4) => self.guard.check(v4.into()).is_ok(),
            Host::Ipv6(v6) => self.guard.check(v6.into()).is_ok(),
            Host::Domain(_) => true,
        };
        (scheme && plain && host).then_some(url)
    }
}

#[async_trait]
impl HttpOut for ReqwestOut {
    async fn send(&self, request: OutRequest) -> Result<OutAnswer, OutError> {
        let url = self.checked(&request.url).ok_or(OutError::Blocked)?;
        // What is not a method or a header is a mistake of ours; it is not sent.
        let method =
            Method::from_bytes(request.method.as_bytes()).map_err(|_| OutError::Blocked)?;
        let headers = headers(&request.headers).ok_or(OutError::Blocked)?;
        let prepared = self.client.request(method, url).headers(headers);
        // One deadline for resolving, connecting, sending, waiting and reading.
        let sent = prepared.timeout(request.deadline).body(request.body).send();
        let response = sent.await.map_err(|error| classify(&error))?;
        read(response, request.answer_bytes_max).await
    }
}

fn headers(list: &[(String, String)]) -> Option<HeaderMap> {
    let mut map = HeaderMap::with_capacity(list.len());
    for (name, value) in list {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).ok()?,
            HeaderValue::from_str(value).ok()?,
        );
    }
    Some(map)
}

/// Reads at most `most` bytes; the connection is dropped with the rest.
async fn read(mut response: Response, most: usize) -> Result<OutAnswer, OutError> {
    let kept = KEPT.iter().filter_map(|name| {
        let value = response.headers().get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    let mut answer = OutAnswer {
        status: response.status().as_u16(),
        headers: kept.collect(),
        body: vec![],
        cut: false,
    };
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
        let room = most - answer.body.len();
        answer
            .body
            .extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            answer.cut = true;
            break;
        }
    }
    Ok(answer)
}

/// No address of a name may be called.
#[derive(Debug, thiserror::Error)]
#[error("every address of the name is blocked")]
struct AllBlocked;

/// Resolves a name and lets through the addresses that may be connected to.
struct CheckedResolver {
    guard: AddressGuard,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.guard.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            allowed(&guard, &found).map(|addresses| Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The addresses that may be connected to. A name that also has blocked ones is not given up: it
/// is enough that none of them is ever connected to.
fn allowed(
    guard: &AddressGuard,
    found: &[SocketAddr],
) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
    let kept: Vec<SocketAddr> = found
        .iter()
        .copied()
        .filter(|address| guard.check(address.ip()).is_ok())
        .collect();
    if kept.is_empty() && !found.is_empty() {
        Err(Box::new(AllBlocked))
    } else {
        Ok(kept)
    }
}

/// What a failure means, from the chain of its causes. The error's own text is not kept: it holds
/// the URL.
fn classify(error: &reqwest::Error) -> OutError {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if cause.is::<AllBlocked>() {
            return OutError::Blocked;
        }
        if error.is_connect() && is_tls(cause) {
            return OutError::Tls;
        }
        next = cause.source();
    }
    match error {
        error if error.is_dns() => OutError::Dns,
        // Also when the time for connecting ran out: nothing was sent.
        error if error.is_connect() => OutError::Connect,
        error if error.is_timeout() => OutError::Timeout,
        _ => OutError::Broken,
    }
}

/// rustls's errors come wrapped in input-output errors, which do not name them as their source.
fn is_tls(cause: &(dyn Error + 'static)) -> bool {
    let inside = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    cause.is::<rustls::Error>() || inside.is_some_and(|inner| is_tls(inner))
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
