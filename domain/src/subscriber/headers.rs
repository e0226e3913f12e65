//! Headers that a subscriber wants on every request, for gateways that route or admit by them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// Most headers of one subscriber.
const HEADERS_MAX: usize = 10;
/// Longest name or value.
const LENGTH_MAX: usize = 256;
/// Names that the request itself sets, or that say how the connection is used. A credential belongs
/// in the keyring and not in an event, so `authorization` and cookies are among them.
const NOT_THESE: [&str; 16] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
/// Families of names that the request itself sets.
const NOT_BEGINNING: [&str; 3] = ["webhook-", "counterfoil-", "proxy-"];

/// Plain headers by lower-case name. They stand in the log, so they hold no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StaticHeaders(BTreeMap<String, String>);

/// A header that may not be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {name:?} {why}")]
pub struct BadHeader {
    name: String,
    why: &'static str,
}

impl StaticHeaders {
    /// Checks names and values once.
    ///
    /// # Errors
    /// [`BadHeader`] for the first that may not be set.
    pub fn new(headers: BTreeMap<String, String>) -> Result<Self, BadHeader> {
        let mut checked = BTreeMap::new();
        for (name, value) in headers {
            let lower = name.to_ascii_lowercase();
            match refused(&lower, &value) {
                Some(why) => return Err(BadHeader { name, why }),
                None => match checked.insert(lower, value) {
                    None => {}
                    Some(_) => {
                        let why = "is there twice";
                        return Err(BadHeader { name, why });
                    }
                },
            }
        }
        if checked.len() > HEADERS_MAX {
            let name = checked.into_keys().next_back().unwrap_or_default();
            return Err(BadHeader {
                name,
                why: "is one too many: 10 are allowed",
            });
        }
        Ok(Self(checked))
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn refused(name: &str, value: &str) -> Option<&'static str> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > LENGTH_MAX || !name.bytes().all(token) {
        return Some("is not a header's name");
    }
    if NOT_THESE.contains(&name) || NOT_BEGINNING.iter().any(|family| name.starts_with(family)) {
        return Some("is set by the request itself or belongs in the keyring");
    }
    let printable = |b: u8| (0x20..0x7f).contains(&b);
    if value.is_empty() || value.len() > LENGTH_MAX || !value.bytes().all(printable) {
        return Some("needs a value of 1 to 256 printable ASCII characters");
    }
    (value.trim() != value).then_some("has a value with blanks at its ends")
}

impl<'de> Deserialize<'de> for StaticHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let headers = BTreeMap::deserialize(deserializer)?;
        Self::new(headers).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Result<StaticHeaders, BadHeader> {
        StaticHeaders::new([(name.to_owned(), value.to_owned())].into())
    }

    #[test]
    fn a_plain_header_is_taken_in_lower_case() {
        let headers = one("X-Tenant", "shop 1").unwrap();
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("x-tenant", "shop 1")]);
    }

    #[test]
    fn nothing_overrides_the_request_or_splits_it() {
        for (name, value) in [
            ("Host", "evil"),
            ("content-length", "0"),
            ("Transfer-Encoding", "chunked"),
            ("Webhook-Signature", "v1,x"),
            ("counterfoil-attempt", "9"),
            ("Authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("x y", "1"),
            ("", "1"),
            ("x-a", ""),
            ("x-a", "a\r\nhost: b"),
            ("x-a", " a"),
            ("x-a", "\u{e9}"),
        ] {
            assert!(one(name, value).is_err(), "{name}: {value:?}");
        }
    }

    #[test]
    fn names_are_equal_in_any_case_and_there_are_ten_at_most() {
        let twice = [("X-A", "1"), ("x-a", "2")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert!(StaticHeaders::new(twice.into()).is_err());
        let many = |count: usize| {
            let all = (0..count).map(|n| (format!("x-{n}"), "1".to_owned()));
            StaticHeaders::new(all.collect())
        };
        assert!(many(10).is_ok() && many(11).is_err());
        assert!(serde_json::from_str::<StaticHeaders>(r#"{"host": "evil"}"#).is_err());
    }
}
