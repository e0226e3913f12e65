//! The real client. It sends each request once and never repeats one that may have arrived.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::ports::{HttpOut, OutAnswer, OutError, OutRequest};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::connect::{CheckedNames, Connector, Names, NoAddress, Route, SystemNames};
use super::destinations::CallableUrls;

/// An unused connection is closed before most servers would close it under us.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// The headers of an answer that anybody here reads.
const KEPT: [&str; 4] = ["content-type", "date", "location", "retry-after"];

/// What a deployment decides about outgoing requests.
#[derive(Debug, Clone, Default)]
pub struct HttpOutOptions {
    /// URLs that may be called.
    pub urls: CallableUrls,
    /// Certificates (PEM) of private authorities to trust besides those of the system.
    pub extra_roots_pem: Vec<Vec<u8>>,
    /// Everything goes through this proxy.
    pub proxy: Option<Proxy>,
}

/// An HTTP proxy that opens tunnels (`CONNECT`). It sees where requests go and never what is in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// `http://host:port`.
    pub url: String,
    /// False: names are resolved and judged here, and the proxy is told an address. True: the proxy
    /// is told the name, so that nobody but the proxy judges the addresses of names.
    pub resolves: bool,
}

/// The client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// A certificate of a private authority cannot be read.
    #[error("a certificate cannot be read")]
    Certificate(#[source] rustls::pki_types::pem::Error),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The proxy's URL is none.
    #[error("the proxy is no URL like http://proxy.example:3128")]
    Proxy,
}

/// Outgoing HTTP for one deployment.
#[derive(Clone)]
pub struct CheckedHttp {
    client: Client<Connector, Full<Bytes>>,
    urls: CallableUrls,
}

impl CheckedHttp {
    /// A client with its own connections.
    ///
    /// # Errors
    /// [`CannotStart`].
    pub fn new(options: HttpOutOptions) -> Result<Self, CannotStart> {
        Self::knowing(options, Arc::new(SystemNames))
    }

    /// The same with other names.
    pub(super) fn knowing(
        options: HttpOutOptions,
        names: Arc<dyn Names>,
    ) -> Result<Self, CannotStart> {
        let names = CheckedNames::new(options.urls.guard.clone(), names);
        let route = match options.proxy {
            None => Route::direct(names),
            Some(proxy) => {
                let uri: Uri = proxy.url.parse().map_err(|_| CannotStart::Proxy)?;
                if uri.scheme_str() != Some("http") || uri.host().is_none() {
                    return Err(CannotStart::Proxy);
                }
                Route::proxy(uri, (!proxy.resolves).then_some(names))
            }
        };
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls(&options.extra_roots_pem)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(route);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            .build(Connector(https));
        Ok(Self {
            client,
            urls: options.urls,
        })
    }

    /// `None` for what may not be called. What is not a method or a header is a mistake of ours; it
    /// is not sent either.
    fn prepared(&self, request: OutRequest) -> Option<Request<Full<Bytes>>> {
        let url = self.urls.read(&request.url).ok()?;
        let uri: Uri = url.as_str().parse().ok()?;
        let method = Method::from_bytes(request.method.as_bytes()).ok()?;
        let headers = headers(&request.headers)?;
        let mut prepared = Request::new(Full::new(request.body.into()));
        *prepared.method_mut() = method;
        *prepared.uri_mut() = uri;
        *prepared.headers_mut() = headers;
        Some(prepared)
    }
}

/// TLS 1.2 and 1.3 with the authorities of the system and these.
fn tls(extra_roots_pem: &[Vec<u8>]) -> Result<rustls::ClientConfig, CannotStart> {
    let mut roots: Vec<CertificateDer<'static>> = vec![];
    for pem in extra_roots_pem {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.push(certificate.map_err(CannotStart::Certificate)?);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        rustls_platform_verifier::Verifier::new_with_extra_roots(roots, Arc::clone(&provider));
    let verifier = verifier.map_err(CannotStart::Tls)?;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(CannotStart::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

#[async_trait]
impl HttpOut for CheckedHttp {
    async fn send(&self, request: OutRequest) -> Result<OutAnswer, OutError> {
        let (deadline, most) = (request.deadline, request.answer_bytes_max);
        let prepared = self.prepared(request).ok_or(OutError::Blocked)?;
        // One deadline for resolving, connecting, sending, waiting and reading.
        let sent = tokio::time::timeout(deadline, async {
            let response = self.client.request(prepared).await;
            read(response.map_err(|error| classify(&error))?, most).await
        });
        sent.await.unwrap_or(Err(OutError::Timeout))
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
async fn read(response: Response<Incoming>, most: usize) -> Result<OutAnswer, OutError> {
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
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| OutError::Broken)?;
        let Ok(chunk) = frame.into_data() else {
            // Trailers say nothing that anybody here reads.
            continue;
        };
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

/// What a failure means, from the chain of its causes. The error's own text is not kept: it holds
/// the URL.
fn classify(error: &ClientError) -> OutError {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        match cause.downcast_ref::<NoAddress>() {
            Some(NoAddress::AllBlocked) => return OutError::Blocked,
            Some(NoAddress::Unknown(_)) => return OutError::Dns,
            None => {}
        }
        if error.is_connect() && is_tls(cause) {
            return OutError::Tls;
        }
        next = cause.source();
    }
    // Also when the time for connecting ran out: nothing was sent.
    if error.is_connect() {
        OutError::Connect
    } else {
        OutError::Broken
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

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod proxy_tests;
