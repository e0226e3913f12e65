//! Stripe's scheme (stripe/_webhook.py): `Stripe-Signature: t=<unix>,v1=<hex>[,v1=...]`, signed
//! `t.body`, and the whole `whsec_...` text is the key.

use domain::ids::KeyId;
use domain::ports::{InboundRequest, Rejected, Secret};
use domain::time::Timestamp;

use super::{Algorithm, SIGNATURES_MAX, TOLERANCE, from_hex, within_tolerance};

/// Checks a request; gives the key that holds.
///
/// # Errors
/// [`Rejected`].
pub fn check(
    request: &InboundRequest,
    secrets: &[Secret],
    now: Timestamp,
) -> Result<KeyId, Rejected> {
    let header = request
        .header("stripe-signature")
        .ok_or(Rejected::MissingSignature)?;
    let items = || {
        header
            .split(',')
            .filter_map(|item| item.trim().split_once('='))
    };
    let time = items()
        .find(|(name, _)| *name == "t")
        .map(|(_, value)| value)
        .ok_or(Rejected::Malformed)?;
    let seconds: i64 = time.parse().map_err(|_| Rejected::Malformed)?;
    let keys: Vec<&Secret> = secrets
        .iter()
        .filter(|secret| secret.value.len() >= 16)
        .collect();
    if keys.is_empty() {
        return Err(Rejected::NoSecret);
    }
    let parts: [&[u8]; 3] = [time.as_bytes(), b".", &request.body];
    let tags = items()
        .filter(|(name, _)| *name == "v1")
        .take(SIGNATURES_MAX)
        .filter_map(|(_, value)| from_hex(value));
    let holds = tags.filter(|tag| !tag.is_empty()).find_map(|tag| {
        keys.iter()
            .find(|secret| Algorithm::Sha256.verify(&secret.value, &parts, &tag))
    });
    let key_id = holds.ok_or(Rejected::BadSignature)?.key_id.clone();
    if !within_tolerance(Timestamp::from_seconds(seconds), now, TOLERANCE) {
        return Err(Rejected::OutsideTolerance);
    }
    Ok(key_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(header: &str, body: &str, now: i64) -> Result<KeyId, Rejected> {
        let request = InboundRequest {
            headers: vec![("stripe-signature".into(), header.as_bytes().to_vec())],
            body: body.as_bytes().to_vec(),
            ..InboundRequest::default()
        };
        let secret = Secret {
            key_id: KeyId::parse("k1").unwrap(),
            value: b"whsec_test_secret".to_vec(),
            valid_from: Timestamp::from_seconds(0),
            valid_until: None,
        };
        check(&request, &[secret], Timestamp::from_seconds(now))
    }

    #[test]
    fn the_computed_vector_holds_and_changes_are_refused() {
        let body = r#"{"id":"evt_test_webhook","object":"event"}"#;
        let tag = "d95c6b7477fbd7e9f90b1b0ef5f9c7ac25abca5382460e0d988c2b2a5b71b990";
        let header = format!("t=1700000000,v1={tag}");
        assert!(checked(&header, body, 1_700_000_000).is_ok());
        assert!(
            checked(
                &format!("t=1700000000,v1=00,v0=x,v1={tag}"),
                body,
                1_700_000_300
            )
            .is_ok()
        );
        assert_eq!(
            checked(&header, body, 1_700_000_301),
            Err(Rejected::OutsideTolerance)
        );
        assert_eq!(
            checked(&header, "{}", 1_700_000_000),
            Err(Rejected::BadSignature)
        );
        assert_eq!(checked("v1=00", body, 0), Err(Rejected::Malformed));
        let many = format!("t=1700000000{},v1={tag}", ",v1=00".repeat(SIGNATURES_MAX));
        assert_eq!(
            checked(&many, body, 1_700_000_000),
            Err(Rejected::BadSignature)
        );
        assert_eq!(
            checked(&format!("t=1700000001,v1={tag}"), body, 1_700_000_001),
            Err(Rejected::BadSignature)
        );
        assert_eq!(
            checked("t=1700000000,v1=", body, 1_700_000_000),
            Err(Rejected::BadSignature)
        );
    }
}
