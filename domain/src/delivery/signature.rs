//! Signs outgoing requests by Standard Webhooks. `v1` is HMAC-SHA-256 with a secret that both sides
//! know, `v1a` Ed25519, for receivers that shall hold no secret. What is signed is
//! `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::subscriber::KeyScheme;

/// Marks of the texts of keys, by the standard.
const SECRET: &str = "whsec_";
const PRIVATE: &str = "whsk_";
const PUBLIC: &str = "whpk_";

/// What signs. `Debug` would show it, so there is none.
pub enum Signer {
    /// Scheme `v1`.
    V1(Zeroizing<Vec<u8>>),
    /// Scheme `v1a`.
    V1a(Box<SigningKey>),
}

impl Signer {
    /// From the text that the keyring holds: `whsec_` (or nothing) and base64 of 24 to 64 bytes, or
    /// `whsk_` and base64 of the 32 bytes of an Ed25519 key.
    pub fn parse(secret: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(secret).ok()?.trim();
        if let Some(seed) = text.strip_prefix(PRIVATE) {
            let seed = Zeroizing::new(STANDARD.decode(seed).ok()?);
            let seed: &[u8; 32] = seed.as_slice().try_into().ok()?;
            return Some(Self::V1a(Box::new(SigningKey::from_bytes(seed))));
        }
        key(secret).map(|key| Self::V1(Zeroizing::new(key)))
    }

    /// True when `other` signs in the same way.
    pub fn same_scheme(&self, other: &KeyScheme) -> bool {
        matches!(
            (self, other),
            (Self::V1(_), KeyScheme::V1 {}) | (Self::V1a(_), KeyScheme::V1a { .. })
        )
    }

    /// How it signs, as the subscriber's stream says it.
    pub fn scheme(&self) -> KeyScheme {
        match self {
            Self::V1(_) => KeyScheme::V1 {},
            Self::V1a(key) => KeyScheme::V1a {
                public_key: public_text(key),
            },
        }
    }

    /// One signature with its scheme. Several live keys give several, separated by spaces.
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        match self {
            Self::V1(key) => sign(key, id, seconds, body),
            Self::V1a(key) => {
                let signature = key.sign(&signed(id, seconds, body));
                format!("v1a,{}", STANDARD.encode(signature.to_bytes()))
            }
        }
    }
}

fn signed(id: &str, seconds: i64, body: &[u8]) -> Vec<u8> {
    [format!("{id}.{seconds}.").as_bytes(), body].concat()
}

/// The `v1` key out of `whsec_<base64>`; `None` when it is no base64 or not 24 to 64 bytes.
pub fn key(secret: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(secret).ok()?.trim();
    let key = STANDARD
        .decode(text.strip_prefix(SECRET).unwrap_or(text))
        .ok()?;
    (24..=64).contains(&key.len()).then_some(key)
}

/// One signature of scheme `v1`.
pub fn sign(key: &[u8], id: &str, seconds: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(&signed(id, seconds, body));
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// A `v1` secret's text from its 32 random bytes.
pub fn secret(random: &[u8; 32]) -> String {
    format!("{SECRET}{}", STANDARD.encode(random))
}

/// A `v1a` private key's text from its 32 random bytes.
pub fn private_key(random: &[u8; 32]) -> String {
    format!("{PRIVATE}{}", STANDARD.encode(random))
}

/// The public key's text of that.
pub fn public_key(random: &[u8; 32]) -> String {
    public_text(&SigningKey::from_bytes(random))
}

fn public_text(key: &SigningKey) -> String {
    format!(
        "{PUBLIC}{}",
        STANDARD.encode(key.verifying_key().as_bytes())
    )
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};

    use super::*;

    #[test]
    fn the_published_vector_holds() {
        let signer = Signer::parse(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signer.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(signer.scheme(), KeyScheme::V1 {});
    }

    #[test]
    fn a_public_key_checks_what_its_private_key_signed() {
        let signer = Signer::parse(private_key(&[7; 32]).as_bytes()).unwrap();
        let text = public_key(&[7; 32]);
        assert_eq!(
            signer.scheme(),
            KeyScheme::V1a {
                public_key: text.clone()
            }
        );
        let public = STANDARD
            .decode(text.strip_prefix("whpk_").unwrap())
            .unwrap();
        let public = VerifyingKey::from_bytes(&public.try_into().unwrap()).unwrap();
        let signed = signer.sign("dlv_a", 5, b"{}");
        let bytes = STANDARD
            .decode(signed.strip_prefix("v1a,").unwrap())
            .unwrap();
        let signature = Signature::from_slice(&bytes).unwrap();
        assert!(public.verify(b"dlv_a.5.{}", &signature).is_ok());
        assert!(public.verify(b"dlv_a.6.{}", &signature).is_err());
    }

    #[test]
    fn what_is_no_key_signs_nothing() {
        assert!(Signer::parse(secret(&[7; 32]).as_bytes()).is_some());
        for bad in [
            "",
            "whsec_",
            "whsec_AAAA",
            "a sentence",
            "whsk_AAAA",
            "whpk_AAAA",
        ] {
            assert!(Signer::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
