//! Which URLs may be called at all. The client asks before every request and the use-cases when
//! somebody names a receiver, so both read a URL in the same way.
//!
//! A name says little here: what it resolves to is judged when it is connected to.

use std::net::{Ipv4Addr, Ipv6Addr};

use domain::ports::{Destinations, NotCallable};
use url::{Host, Url};

use super::addresses::AddressGuard;

/// Names under which clouds give credentials of the machine to whoever asks, without the dot at the
/// end that any of them may have.
const METADATA: [&str; 10] = [
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.azure.internal",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
    "rancher-metadata",
];

/// Ports of other protocols, which browsers refuse too. A request to one of them could be read as a
/// command there. Source: the Fetch standard, bad ports, read in November 2026.
const OTHER_PROTOCOLS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6679, 6697, 10080,
];

/// What a deployment decides about the URLs of outgoing requests.
#[derive(Debug, Clone, Default)]
pub struct CallableUrls {
    /// Addresses that may be connected to.
    pub guard: AddressGuard,
    /// Allows `http://`; off by default, since signed bodies hold orders and amounts.
    pub allow_http: bool,
}

impl CallableUrls {
    /// The URL, read in the one way in which it will be called. Every notation of an address has
    /// become its one form then.
    ///
    /// # Errors
    /// [`NotCallable`].
    pub fn read(&self, text: &str) -> Result<Url, NotCallable> {
        // The parser drops or turns these; other programs that see the same text do not.
        let turned = |c: char| c == '\\' || c.is_whitespace() || c.is_control();
        if text.contains(turned) {
            return Err(NotCallable::NotPlain);
        }
        let url = Url::parse(text).map_err(|_| NotCallable::NotPlain)?;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => return Err(NotCallable::NotHttps),
            _ => return Err(NotCallable::NotPlain),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotCallable::Credentials);
        }
        match url.host().ok_or(NotCallable::NotPlain)? {
            Host::Ipv4(v4) => self.guard.check(v4.into()).map_err(NotCallable::Address)?,
            Host::Ipv6(v6) => self.guard.check(v6.into()).map_err(NotCallable::Address)?,
            Host::Domain(name) => self.name(name).map_err(NotCallable::Name)?,
        }
        Ok(url)
    }

    fn name(&self, name: &str) -> Result<(), &'static str> {
        let name = name.trim_end_matches('.');
        if METADATA.contains(&name) {
            return Err("cloud metadata");
        }
        if name == "localhost" || name.ends_with(".localhost") {
            // By RFC 6761 it is the loopback address and nothing else.
            let v4 = self.guard.check(Ipv4Addr::LOCALHOST.into());
            return v4.or_else(|_| self.guard.check(Ipv6Addr::LOCALHOST.into()));
        }
        if name.is_empty() {
            return Err("no name");
        }
        Ok(())
    }
}

impl Destinations for CallableUrls {
    fn receiver(&self, url: &str) -> Result<(), NotCallable> {
        let url = self.read(url)?;
        match url.port_or_known_default() {
            Some(port) if !OTHER_PROTOCOLS.contains(&port) => Ok(()),
            Some(_) | None => Err(NotCallable::Port),
        }
    }
}
