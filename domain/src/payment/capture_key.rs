//! The identity of one movement of money.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{AccountSlug, ProviderCode, ProviderRef};

/// Identity of one movement of money: (provider, account, transaction), canonicalised by the
/// provider's adapter. It pays one request, ever.
///
/// On every wire it is one text, `<provider>/<account>/<transaction>`; only the last part may hold
/// a slash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaptureKey {
    /// The provider.
    pub provider: ProviderCode,
    /// The account.
    pub account: AccountSlug,
    /// The provider's transaction.
    pub transaction: ProviderRef,
}

impl fmt::Display for CaptureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.provider, self.account, self.transaction)
    }
}

impl CaptureKey {
    /// From its text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        Some(Self {
            provider: ProviderCode::parse(parts.next()?).ok()?,
            account: AccountSlug::parse(parts.next()?).ok()?,
            transaction: ProviderRef::parse(parts.next()?).ok()?,
        })
    }
}

impl Serialize for CaptureKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CaptureKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not <provider>/<account>/<transaction>"))
    }
}

impl fmt::Debug for CaptureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
