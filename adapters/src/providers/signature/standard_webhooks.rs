//! Standard Webhooks (spec/standard-webhooks.md): `webhook-id`, `webhook-timestamp`,
//! `webhook-signature: v1,<base64>`, signed `id.timestamp.body`, key `whsec_` + base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::KeyId;
use domain::ports::{InboundRequest, Rejected, Secret};
use domain::time::Timestamp;

use super::{Algorithm, SIGNATURES_MAX, TOLERANCE, within_tolerance};

pub use domain::delivery::signature::{key, sign};

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
        .take(SIGNATURES_MAX)
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
