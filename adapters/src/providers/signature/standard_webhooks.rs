//! Standard Webhooks (spec/standard-webhooks.md): `webhook-id`, `webhook-timestamp`,
//! `webhook-signature: v1,<base64>`, signed `id.timestamp.body`, key `whsec_` + base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::KeyId;
use domain::ports::{InboundRequest, Rejected, Secret};
use domain::time::Timestamp;

use super::{Algorithm, TOLERANCE, sign_sha256, within_tolerance};

/// Shortest and longest key in bytes.
pub const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The key out of `whsec_<base64>` (the prefix may be missing). `None` when it is no base64 or not
/// 24 to 64 bytes; an empty key would authenticate anybody.
pub fn key(secret: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(secret).ok()?.trim();
    let key = STANDARD
        .decode(text.strip_prefix("whsec_").unwrap_or(text))
        .ok()?;
    KEY_BYTES.contains(&key.len()).then_some(key)
}

/// One `v1,<base64>` signature.
pub fn sign(key: &[u8], id: &str, seconds: i64, body: &[u8]) -> String {
    let seconds = seconds.to_string();
    let tag = sign_sha256(key, &[id.as_bytes(), b".", seconds.as_bytes(), b".", body]);
    format!("v1,{}", STANDARD.encode(tag))
}

/// Checks a request; gives the key that holds.
///
/// # Errors
/// [`Rejected`].
pub fn check(
    request: &InboundRequest,
    secrets: &[Secret],
    now: Timestamp,
) -> Result<KeyId, Rejected> {
    let header = |name| {
        request
            .header(name)
            .filter(|value| !value.is_empty())
            .ok_or(Rejected::MissingSignature)
    };
    let (id, time, signatures) = (
        header("webhook-id")?,
        header("webhook-timestamp")?,
        header("webhook-signature")?,
    );
    let seconds: i64 = time.parse().map_err(|_| Rejected::Malformed)?;
    let keys: Vec<(KeyId, Vec<u8>)> = secrets
        .iter()
        .filter_map(|secret| Some((secret.key_id.clone(), key(&secret.value)?)))
        .collect();
    if keys.is_empty() {
        return Err(Rejected::NoSecret);
    }
    let tags = signatures
        .split(' ')
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok());
    let parts: [&[u8]; 5] = [id.as_bytes(), b".", time.as_bytes(), b".", &request.body];
    let holds = tags.filter(|tag| !tag.is_empty()).find_map(|tag| {
        keys.iter()
            .find(|(_, key)| Algorithm::Sha256.verify(key, &parts, &tag))
            .map(|(key_id, _)| key_id.clone())
    });
    let key_id = holds.ok_or(Rejected::BadSignature)?;
    if !within_tolerance(Timestamp::from_seconds(seconds), now, TOLERANCE) {
        return Err(Rejected::OutsideTolerance);
    }
    Ok(key_id)
}

/// What a byte-identical repeat shares: id and body. The time differs per try.
pub fn signed_bytes(request: &InboundRequest) -> Vec<u8> {
    let id = request.header("webhook-id").unwrap_or_default();
    [id.as_bytes(), b".", &request.body].concat()
}

#[cfg(test)]
#[path = "standard_webhooks_tests.rs"]
mod tests;
