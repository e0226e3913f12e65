//! Connections of outgoing requests: which address a name leads to, and the way there, straight or
//! through the deployment's proxy. TLS goes from here to the receiver in both cases.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use hyper::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::addresses::AddressGuard;

/// A connection that takes longer, proxy and handshake included, is given up.
const CONNECT_MAX: Duration = Duration::from_secs(3);

type BoxError = Box<dyn Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Why there is no address to connect to.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAddress {
    /// No address of the name may be connected to.
    #[error("every address of the name is blocked")]
    AllBlocked,
    /// Nobody knows the name.
    #[error("the name does not resolve")]
    Unknown(#[source] Option<io::Error>),
}

/// Nothing came of it in [`CONNECT_MAX`].
#[derive(Debug, thiserror::Error)]
#[error("it took too long to connect")]
struct TooSlow;

/// Knows the addresses of names.
pub(super) trait Names: Send + Sync {
    /// Every address of a name, as of this moment.
    fn look_up(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The names of the operating system.
pub(super) struct SystemNames;

impl Names for SystemNames {
    fn look_up(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Resolves a name and lets through the addresses that may be connected to.
#[derive(Clone)]
pub(super) struct CheckedNames {
    guard: AddressGuard,
    names: Arc<dyn Names>,
}

impl CheckedNames {
    pub(super) fn new(guard: AddressGuard, names: Arc<dyn Names>) -> Self {
        Self { guard, names }
    }

    async fn resolve(self, name: String) -> Result<Vec<IpAddr>, NoAddress> {
        let found = self.names.look_up(name).await;
        let found = found.map_err(|error| NoAddress::Unknown(Some(error)))?;
        allowed(&self.guard, &found)
    }
}

/// The addresses that may be connected to. A name that also has blocked ones is not given up: it
/// is enough that none of them is ever connected to.
pub(super) fn allowed(guard: &AddressGuard, found: &[IpAddr]) -> Result<Vec<IpAddr>, NoAddress> {
    let may = |address: &IpAddr| guard.check(*address).is_ok();
    let kept: Vec<IpAddr> = found.iter().copied().filter(may).collect();
    match (kept.is_empty(), found.is_empty()) {
        (false, _) => Ok(kept),
        (true, false) => Err(NoAddress::AllBlocked),
        (true, true) => Err(NoAddress::Unknown(None)),
    }
}

impl Service<Name> for CheckedNames {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = NoAddress;
    type Future = BoxFuture<'static, Result<Self::Response, NoAddress>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoAddress>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolving = self.clone().resolve(name.as_str().to_owned());
        Box::pin(async move {
            let addresses = resolving.await?.into_iter();
            // The connector puts the port of the URL in its place.
            let with_port = addresses.map(|address| SocketAddr::new(address, 0));
            Ok(with_port.collect::<Vec<_>>().into_iter())
        })
    }
}

/// The way to a receiver. The URL was checked; a name in it is resolved and checked here.
#[derive(Clone)]
pub(super) enum Route {
    /// Straight to the address.
    Direct(HttpConnector<CheckedNames>),
    /// Through the proxy, which is told the checked address; with `None` in the first place it is
    /// told the name, and chooses the address itself.
    Proxy(Option<CheckedNames>, Tunnel<HttpConnector>),
}

impl Route {
    pub(super) fn direct(names: CheckedNames) -> Self {
        let mut connector = HttpConnector::new_with_resolver(names);
        connector.enforce_http(false);
        connector.set_nodelay(true);
        Self::Direct(connector)
    }

    pub(super) fn proxy(proxy: Uri, names: Option<CheckedNames>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self::Proxy(names, Tunnel::new(proxy, connector))
    }
}

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Neither connector ever makes its caller wait.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        match self.clone() {
            Self::Direct(mut connector) => Box::pin(async move { Ok(connector.call(to).await?) }),
            Self::Proxy(names, tunnel) => Box::pin(through(tunnel, names, to)),
        }
    }
}

/// A tunnel to the first address that the proxy reaches.
async fn through(
    mut tunnel: Tunnel<HttpConnector>,
    names: Option<CheckedNames>,
    to: Uri,
) -> Result<TokioIo<TcpStream>, BoxError> {
    let host = to.host().unwrap_or_default();
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let hosts = match (literal, names) {
        (None, Some(names)) => {
            let addresses = names.resolve(host.to_owned()).await?;
            addresses.into_iter().map(in_url).collect()
        }
        (Some(_), _) | (None, None) => vec![host.to_owned()],
    };
    let port = to.port_u16();
    let port = port.unwrap_or(if to.scheme_str() == Some("http") {
        80
    } else {
        443
    });
    let mut refused: BoxError = Box::new(NoAddress::Unknown(None));
    for host in hosts {
        match tunnel.call(format!("http://{host}:{port}").parse()?).await {
            Ok(connection) => return Ok(connection),
            Err(error) => {
                tracing::info!(error = %error, "http_out.proxy_refused");
                refused = Box::new(error);
            }
        }
    }
    Err(refused)
}

fn in_url(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// Connects within [`CONNECT_MAX`], with TLS where the URL says so. The name in the URL is what the
/// certificate must be for, whatever the way.
#[derive(Clone)]
pub(super) struct Connector(pub(super) HttpsConnector<Route>);

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(CONNECT_MAX, self.0.call(to));
        Box::pin(async move { connecting.await.map_err(|_| TooSlow)? })
    }
}
