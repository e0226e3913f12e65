//! One outgoing HTTP request. Adapters follow no redirect, send no cookie, take no compressed
//! answer, and connect only to addresses that were checked.

use std::time::Duration;

use async_trait::async_trait;

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutRequest {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Absolute URL.
    pub url: String,
    /// Headers in order. Values may be secret: never logged.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// All of it, connecting to the last byte of the answer, within this time.
    pub deadline: Duration,
    /// Longest answer that is read; the rest is dropped.
    pub answer_bytes_max: usize,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutAnswer {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// At most `answer_bytes_max` bytes.
    pub body: Vec<u8>,
    /// True when the answer was longer.
    pub cut: bool,
}

impl OutAnswer {
    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Why nothing came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutError {
    /// The name does not resolve.
    #[error("the name does not resolve")]
    Dns,
    /// No connection.
    #[error("no connection")]
    Connect,
    /// The certificate or handshake failed.
    #[error("TLS failed")]
    Tls,
    /// The deadline passed. The other side may have done it.
    #[error("no whole answer in time")]
    Timeout,
    /// The address may not be called; nothing was sent.
    #[error("the address may not be called")]
    Blocked,
    /// The connection broke, or the answer was no HTTP. The other side may have done it.
    #[error("the answer broke off")]
    Broken,
}

impl OutError {
    /// Label of metrics and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Blocked => "blocked",
            Self::Broken => "broken",
        }
    }

    /// True when the other side certainly did not see the request.
    pub fn not_sent(self) -> bool {
        match self {
            Self::Dns | Self::Connect | Self::Tls | Self::Blocked => true,
            Self::Timeout | Self::Broken => false,
        }
    }
}

/// Sends requests.
#[async_trait]
pub trait HttpOut: Send + Sync {
    /// One request, one answer, one deadline.
    ///
    /// # Errors
    /// [`OutError`].
    async fn send(&self, request: OutRequest) -> Result<OutAnswer, OutError>;
}
