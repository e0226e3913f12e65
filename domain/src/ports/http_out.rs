//! One outgoing HTTP request. Adapters follow no redirect, send no cookie, take no compressed
//! answer, and connect only to addresses that were checked.

use std::time::Duration;

use async_trait::async_trait;

use crate::time::Timestamp;

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

    /// How long it wishes to be left alone: the header `Retry-After`, as seconds or as a date the way
    /// RFC 9110 writes it.
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Some(Timestamp::from_millis(date.as_millisecond()).since(now))
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

/// Why a URL may not be called, for whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCallable {
    /// It is no URL of HTTP, or programs would read it differently.
    #[error("must be an https URL in plain writing")]
    NotPlain,
    /// It is `http`, which the deployment does not allow.
    #[error("must be an https URL")]
    NotHttps,
    /// It has a user or a password.
    #[error("must not hold credentials")]
    Credentials,
    /// Its host is an address that is not allowed.
    #[error("must not lead to this address: {0}")]
    Address(&'static str),
    /// Its host is a name of the machine itself or of its cloud.
    #[error("must not lead to this name: {0}")]
    Name(&'static str),
    /// Its port belongs to something else than HTTP.
    #[error("must not use a port of another protocol")]
    Port,
}

/// Says which URLs may be called, before anybody calls them. A name is judged again each time that
/// it is resolved.
pub trait Destinations: Send + Sync {
    /// Judges where a subscriber wants its events.
    ///
    /// # Errors
    /// [`NotCallable`].
    fn receiver(&self, url: &str) -> Result<(), NotCallable>;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read_in_both_its_forms() {
        let now = Timestamp::parse("1994-11-06T08:49:07Z").unwrap();
        let wish = |text: &str| {
            let answer = OutAnswer {
                status: 503,
                headers: vec![("retry-after".to_owned(), text.to_owned())],
                body: vec![],
                cut: false,
            };
            answer.retry_after(now).map(|wish| wish.as_secs())
        };
        assert_eq!(wish(" 120 "), Some(120));
        assert_eq!(wish("Sun, 06 Nov 1994 08:49:37 GMT"), Some(30));
        assert_eq!(wish("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        for nothing in ["", "soon", "-1", "1.5", "99999999999999999999999"] {
            assert_eq!(wish(nothing), None, "{nothing}");
        }
    }
}
