//! XChaCha20-Poly1305 with associated data and padded plaintext. Keys are wiped when dropped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use domain::ports::{Entropy, KeyringError};
use domain::sealed::{Place, Sealed};
use zeroize::Zeroizing;

/// Plaintext is padded to a multiple of this, so that its length tells little.
const PAD: usize = 32;

/// A data key in clear. Wiped when dropped.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// From its bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new random key.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        Self(bytes)
    }

    /// Its bytes, for wrapping.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Encrypts: nonce, then ciphertext with its tag.
    pub fn encrypt(&self, entropy: &dyn Entropy, plain: &[u8], associated: &[u8]) -> Vec<u8> {
        let mut nonce = [0; 24];
        entropy.fill(&mut nonce);
        let cipher = XChaCha20Poly1305::new(&Key::from(*self.0));
        let payload = Payload {
            msg: plain,
            aad: associated,
        };
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("the cipher refuses only messages over 256 GiB");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Decrypts what [`DataKey::encrypt`] gave.
    ///
    /// # Errors
    /// [`KeyringError::NotAuthentic`].
    pub fn decrypt(
        &self,
        sealed: &[u8],
        associated: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        let (nonce, sealed) = sealed
            .split_first_chunk::<24>()
            .ok_or(KeyringError::NotAuthentic)?;
        let cipher = XChaCha20Poly1305::new(&Key::from(*self.0));
        let plain = cipher.decrypt(
            &XNonce::from(*nonce),
            Payload {
                msg: sealed,
                aad: associated,
            },
        );
        plain
            .map(Zeroizing::new)
            .map_err(|_| KeyringError::NotAuthentic)
    }

    /// Seals a part of a record at its place.
    pub fn seal(
        &self,
        entropy: &dyn Entropy,
        key_id: &str,
        place: &Place<'_>,
        plain: &[u8],
    ) -> Sealed {
        let sealed = self.encrypt(entropy, &padded(plain), &place.associated_data(key_id));
        let (nonce, ciphertext) = sealed.split_at(24);
        Sealed {
            k: key_id.to_owned(),
            n: STANDARD.encode(nonce),
            c: STANDARD.encode(ciphertext),
        }
    }

    /// Opens a sealed part at its place.
    ///
    /// # Errors
    /// [`KeyringError::NotAuthentic`].
    pub fn open(&self, sealed: &Sealed, place: &Place<'_>) -> Result<Vec<u8>, KeyringError> {
        let decode = |text: &str| {
            STANDARD
                .decode(text)
                .map_err(|_| KeyringError::NotAuthentic)
        };
        let bytes = [decode(&sealed.n)?, decode(&sealed.c)?].concat();
        let plain = self.decrypt(&bytes, &place.associated_data(&sealed.k))?;
        unpadded(&plain)
            .map(<[u8]>::to_vec)
            .ok_or(KeyringError::NotAuthentic)
    }
}

/// Length in four bytes, the plaintext, zeros up to a multiple of [`PAD`].
fn padded(plain: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = u32::try_from(plain.len()).expect("sealed parts are far below 4 GiB");
    let mut bytes = Zeroizing::new(Vec::with_capacity((plain.len() + 4).next_multiple_of(PAD)));
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(plain);
    let full = bytes.len().next_multiple_of(PAD);
    bytes.resize(full, 0);
    bytes
}

fn unpadded(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use domain::ids::EventId;
    use domain::stream::StreamId;

    use super::*;
    use crate::system::OsEntropy;

    #[test]
    fn a_sealed_part_opens_at_its_own_place_only() {
        let key = DataKey::draw(&OsEntropy);
        let (stream, other) = (
            StreamId::parse("quote-a").unwrap(),
            StreamId::parse("quote-b").unwrap(),
        );
        let event_id = EventId::from_parts(1, [1; 10]);
        let place = Place {
            origin: "o",
            stream: &stream,
            event_id,
            field: "reason.text",
        };
        let sealed = key.seal(&OsEntropy, "k1", &place, b"the customer called");
        assert_eq!(key.open(&sealed, &place).unwrap(), b"the customer called");
        let moved = [
            Place {
                origin: "p",
                ..place.clone()
            },
            Place {
                stream: &other,
                ..place.clone()
            },
            Place {
                event_id: EventId::from_parts(2, [1; 10]),
                ..place.clone()
            },
            Place {
                field: "pii.note",
                ..place.clone()
            },
        ];
        for place in moved {
            assert!(matches!(
                key.open(&sealed, &place),
                Err(KeyringError::NotAuthentic)
            ));
        }
        let renamed = Sealed {
            k: "k2".into(),
            ..sealed.clone()
        };
        assert!(key.open(&renamed, &place).is_err());
        assert!(DataKey::draw(&OsEntropy).open(&sealed, &place).is_err());
    }

    #[test]
    fn the_length_tells_little() {
        let length = |plain: &[u8]| padded(plain).len();
        assert_eq!(
            (length(b""), length(&[1; 28]), length(&[1; 29])),
            (32, 32, 64)
        );
        for plain in [&b""[..], b"x", &[0; 40]] {
            assert_eq!(unpadded(&padded(plain)).unwrap(), plain);
        }
    }
}
