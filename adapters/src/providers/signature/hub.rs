//! The scheme of GitHub and BTCPay: `<header>: sha256=<hex>` over the body, without a time.

use domain::ids::KeyId;
use domain::ports::{InboundRequest, Rejected, Secret};

use super::{Algorithm, from_hex};

/// Checks a request whose signature stands in `header`; gives the key that holds.
///
/// # Errors
/// [`Rejected`].
pub fn check(
    request: &InboundRequest,
    header: &str,
    secrets: &[Secret],
) -> Result<KeyId, Rejected> {
    let value = request.header(header).ok_or(Rejected::MissingSignature)?;
    let tag = value
        .strip_prefix("sha256=")
        .and_then(from_hex)
        .ok_or(Rejected::Malformed)?;
    if secrets.is_empty() {
        return Err(Rejected::NoSecret);
    }
    let usable = secrets.iter().filter(|secret| !secret.value.is_empty());
    let mut holds =
        usable.filter(|secret| Algorithm::Sha256.verify(&secret.value, &[&request.body], &tag));
    holds
        .next()
        .map(|secret| secret.key_id.clone())
        .ok_or(Rejected::BadSignature)
}

#[cfg(test)]
mod tests {
    use domain::time::Timestamp;

    use super::*;

    #[test]
    fn the_computed_vector_holds_and_changes_are_refused() {
        let secret = |value: &[u8]| Secret {
            key_id: KeyId::parse("k1").unwrap(),
            value: value.to_vec(),
            valid_from: Timestamp::from_seconds(0),
            valid_until: None,
        };
        let checked = |header: &str, body: &str, value: &[u8]| {
            let request = InboundRequest {
                headers: vec![("btcpay-sig".into(), header.as_bytes().to_vec())],
                body: body.as_bytes().to_vec(),
                ..InboundRequest::default()
            };
            check(&request, "btcpay-sig", &[secret(value)])
        };
        let body = r#"{"deliveryId":"d1","type":"InvoiceSettled"}"#;
        let tag = "sha256=ffde3f1e3f52e506e06ae72d517911758734ee7a72b35ff706072eff252bccdd";
        assert!(checked(tag, body, b"secret").is_ok());
        assert_eq!(checked(tag, "{}", b"secret"), Err(Rejected::BadSignature));
        assert_eq!(checked(tag, body, b""), Err(Rejected::BadSignature));
        assert_eq!(
            checked("sha256=", body, b"secret"),
            Err(Rejected::BadSignature)
        );
        assert_eq!(checked("md5=00", body, b"secret"), Err(Rejected::Malformed));
    }
}
