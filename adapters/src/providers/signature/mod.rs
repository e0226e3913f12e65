//! Signature schemes over raw bytes, each compared in constant time against every live key before
//! anything is parsed.

pub mod hub;
pub mod standard_webhooks;
pub mod stripe;

use std::time::Duration;

use domain::time::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};

/// A signed time may be this far from now, both ways (Standard Webhooks; stripe-go's default).
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// So many signatures of one message are tried. Senders give one per live key; each try costs a hash
/// over the whole body, and whoever sends them is not known yet.
pub const SIGNATURES_MAX: usize = 8;

/// Hash of an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Algorithm {
    /// HMAC-SHA-256.
    #[serde(rename = "sha256")]
    Sha256,
    /// HMAC-SHA-512.
    #[serde(rename = "sha512")]
    Sha512,
}

impl Algorithm {
    /// True when `tag` is the HMAC of the parts under `key`; constant time in the tag.
    pub fn verify(self, key: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
        match self {
            Self::Sha256 => verify::<Hmac<Sha256>>(key, parts, tag),
            Self::Sha512 => verify::<Hmac<Sha512>>(key, parts, tag),
        }
    }
}

fn verify<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
        return false;
    };
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(tag).is_ok()
}

/// HMAC-SHA-256 of the parts.
pub fn sign_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// True within [`TOLERANCE`] of now.
pub fn within_tolerance(signed: Timestamp, now: Timestamp, tolerance: Duration) -> bool {
    signed.since(now).max(now.since(signed)) <= tolerance
}

/// Bytes of lower- or upper-case hexadecimal text.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    digits
        .chunks_exact(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
        .collect()
}

/// Lower-case hexadecimal text.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
