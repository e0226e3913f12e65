//! Which addresses an outgoing request may connect to.
//!
//! Providers and subscribers are configured by people, and a subscriber's URL may come from a less
//! trusted one than the deployment's. So everything that is not a public unicast address is
//! blocked, unless the deployment allows its network by name. What hands out a machine's own
//! credentials stays blocked even then. Source: the IANA special-purpose address registries for
//! IPv4 and IPv6, read in November 2026, and the manuals of the clouds for their metadata services.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network in CIDR notation (`10.0.0.0/8`, `fd00::/8`); a bare address is a network of one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    base: IpAddr,
    length: u8,
}

/// The text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a network like 10.0.0.0/8 or fd00::/8: {why}")]
pub struct NotANetwork {
    text: String,
    why: &'static str,
}

impl Cidr {
    /// From its text. Bits after the prefix must be zero, so that a mistyped network is refused
    /// and not silently widened.
    ///
    /// # Errors
    /// [`NotANetwork`].
    pub fn parse(text: &str) -> Result<Self, NotANetwork> {
        let wrong = |why| NotANetwork {
            text: text.to_owned(),
            why,
        };
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let base: IpAddr = address
            .parse()
            .map_err(|_| wrong("the address is not one"))?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(digits) => digits
                .parse()
                .map_err(|_| wrong("the prefix is not a number"))?,
        };
        if length > most {
            return Err(wrong("the prefix is too long"));
        }
        let network = Self { base, length };
        if bits(base) & !network.mask() != 0 {
            return Err(wrong("bits are set after the prefix"));
        }
        Ok(network)
    }

    /// True when `address` lies in the network. Families never match each other.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.base.is_ipv4() == address.is_ipv4() && bits(address) & self.mask() == bits(self.base)
    }

    /// The mask, in the upper bits of 128 for both families.
    fn mask(&self) -> u128 {
        u128::MAX
            .checked_shl(128 - u32::from(self.length))
            .unwrap_or(0)
    }
}

/// The address in the upper bits of 128.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Cidr {
    type Err = NotANetwork;
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        Self::parse(text)
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Cidr {
    Cidr {
        base: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        length,
    }
}

const fn v6(first: u16, second: u16, third: u16, length: u8) -> Cidr {
    Cidr {
        base: IpAddr::V6(Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0)),
        length,
    }
}

const fn one_v6(first: u16, second: u16, last: u16) -> Cidr {
    Cidr {
        base: IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, last)),
        length: 128,
    }
}

/// Blocked whatever a deployment allows: a cloud gives credentials of the machine to whoever asks
/// there, no receiver lives there, and a wide network in the configuration is a mistake more often
/// than a wish.
const NEVER: &[(Cidr, &str)] = &[
    (v4(169, 254, 169, 254, 32), "cloud metadata"), // Most of them.
    (v4(169, 254, 170, 2, 32), "cloud metadata"),   // AWS, of a task.
    (v4(169, 254, 170, 23, 32), "cloud metadata"),  // AWS, of a pod.
    (v4(169, 254, 0, 23, 32), "cloud metadata"),    // Tencent.
    (v4(100, 100, 100, 200, 32), "cloud metadata"), // Alibaba.
    (v4(168, 63, 129, 16, 32), "cloud metadata"),   // Azure.
    (v4(192, 0, 0, 192, 32), "cloud metadata"),     // Oracle.
    (v4(169, 254, 0, 0, 16), "link-local"),
    (one_v6(0xfd00, 0xec2, 0x254), "cloud metadata"), // AWS.
    (one_v6(0xfd00, 0xec2, 0x23), "cloud metadata"),  // AWS, of a pod.
    (one_v6(0xfd20, 0xce, 0x254), "cloud metadata"),  // Google.
    (one_v6(0xfd00, 0x42, 0x42), "cloud metadata"),   // Scaleway.
    (v6(0xfe80, 0, 0, 10), "link-local"),
];

/// Blocked IPv4 networks, and what they are. None of them holds another one.
const BLOCKED_V4: &[(Cidr, &str)] = &[
    (v4(0, 0, 0, 0, 8), "this network"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "protocol assignments"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmarking"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved or broadcast"),
];

/// The only IPv6 space that is public unicast.
const PUBLIC_V6: Cidr = v6(0x2000, 0, 0, 3);

/// What is blocked inside of it.
const BLOCKED_V6: &[(Cidr, &str)] = &[
    (v6(0x2001, 0, 0, 32), "Teredo"),
    (v6(0x2001, 0, 0, 23), "protocol assignments"),
    (v6(0x2001, 0xdb8, 0, 32), "documentation"),
    (v6(0x2002, 0, 0, 16), "6to4"),
    (v6(0x3fff, 0, 0, 20), "documentation"),
];

/// Names for what lies outside of it.
const NAMED_V6: &[(Cidr, &str)] = &[
    (one_v6(0, 0, 0), "unspecified"),
    (one_v6(0, 0, 1), "loopback"),
    (v6(0, 0, 0, 96), "IPv4-compatible"),
    (TRANSLATED, "IPv4-translated"),
    (v6(0x100, 0, 0, 64), "discard-only"),
    (v6(0x5f00, 0, 0, 16), "segment routing"),
    (v6(0x64, 0xff9b, 0, 96), "NAT64"),
    (v6(0x64, 0xff9b, 1, 48), "NAT64"),
    (v6(0xfc00, 0, 0, 7), "unique local"),
    (v6(0xfec0, 0, 0, 10), "site-local"),
    (v6(0xff00, 0, 0, 8), "multicast"),
];

/// What a stateless translator writes for an IPv4 address (RFC 2765).
const TRANSLATED: Cidr = Cidr {
    base: IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0)),
    length: 96,
};

/// IPv6 networks whose addresses lead to the IPv4 address in them, and how far it ends before the
/// last bit. Translators and relays connect to that one, so it is judged as well.
const CARRIERS: &[(Cidr, u32)] = &[
    (v6(0, 0, 0, 96), 0),
    (TRANSLATED, 0),
    (v6(0x64, 0xff9b, 0, 96), 0),
    (v6(0x64, 0xff9b, 1, 48), 0),
    (v6(0x2002, 0, 0, 16), 80),
];

/// The IPv4 address that an IPv6 one leads to.
fn carried(address: IpAddr) -> Option<Ipv4Addr> {
    let (_, before_end) = CARRIERS.iter().find(|(net, _)| net.contains(address))?;
    // The cast keeps the low 32 bits on purpose.
    Some(Ipv4Addr::from_bits((bits(address) >> before_end) as u32))
}

/// The addresses that may be connected to: public ones, and those of the allowed networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressGuard {
    allowed: Vec<Cidr>,
}

impl AddressGuard {
    /// Public addresses only.
    pub fn public_only() -> Self {
        Self::default()
    }

    /// Public addresses and these networks, because an ERP often lives in the private one.
    pub fn allowing(allowed: Vec<Cidr>) -> Self {
        Self { allowed }
    }

    /// Allows an address, or says what it is.
    ///
    /// # Errors
    /// The kind of address, for the operator.
    pub fn check(&self, address: IpAddr) -> Result<(), &'static str> {
        // An IPv4-mapped address connects to the IPv4 one, so it is judged as that.
        let address = address.to_canonical();
        let named = |table: &[(Cidr, &'static str)]| {
            let found = table.iter().find(|(network, _)| network.contains(address));
            found.map(|(_, what)| *what)
        };
        if let Some(what) = named(NEVER) {
            return Err(what);
        }
        if self.allowed.iter().any(|network| network.contains(address)) {
            return match carried(address) {
                Some(inside) if !address.is_loopback() => self.check(inside.into()),
                Some(_) | None => Ok(()),
            };
        }
        let blocked = match address {
            IpAddr::V4(_) => named(BLOCKED_V4),
            IpAddr::V6(_) if PUBLIC_V6.contains(address) => named(BLOCKED_V6),
            IpAddr::V6(_) => Some(named(NAMED_V6).unwrap_or("not public unicast")),
        };
        blocked.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
#[path = "addresses_tests.rs"]
mod tests;
