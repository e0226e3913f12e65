//! Tokens: `cf_<env>_<key id>_<secret>_<crc32>` of API clients, `cfs_...` of persons' sessions.
//!
//! The prefix is for secret scanners, the checksum refuses typing errors before anything is looked
//! up, the key id finds the caller, and of the secret (256 random bits) only a digest is kept. A
//! slow hash would protect nothing here and would be a lever to overload the server.

use std::fmt;

use crate::digest::Digest32;
use crate::payment::evidence::Mode;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const KEY_ID_CHARS: usize = 8;
const SECRET_CHARS: usize = 43;
const CRC_CHARS: usize = 6;

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// An API client's.
    Client,
    /// A person's, for one session.
    Session,
}

impl Bearer {
    fn prefix(self) -> &'static str {
        match self {
            Self::Client => "cf",
            Self::Session => "cfs",
        }
    }
}

/// A token. `Debug` shows its key id only.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    bearer: Bearer,
    mode: Mode,
    key_id: String,
    secret: String,
}

impl Token {
    /// A new token of a client, from random bytes.
    pub fn issue(mode: Mode, key_id: [u8; 6], secret: [u8; 32]) -> Self {
        Self::of(Bearer::Client, mode, key_id, secret)
    }

    /// A new token of a session, from random bytes.
    pub fn issue_session(mode: Mode, key_id: [u8; 6], secret: [u8; 32]) -> Self {
        Self::of(Bearer::Session, mode, key_id, secret)
    }

    fn of(bearer: Bearer, mode: Mode, key_id: [u8; 6], secret: [u8; 32]) -> Self {
        Self {
            bearer,
            mode,
            key_id: base62(&key_id, KEY_ID_CHARS),
            secret: base62(&secret, SECRET_CHARS),
        }
    }

    /// Reads a token; `None` for anything that was not issued in this form.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, crc) = text.rsplit_once('_')?;
        let mut parts = head.split('_');
        let bearer = match parts.next()? {
            "cf" => Bearer::Client,
            "cfs" => Bearer::Session,
            _ => return None,
        };
        let mode = match parts.next()? {
            "live" => Mode::Live,
            "test" => Mode::Test,
            _ => return None,
        };
        let (key_id, secret) = (parts.next()?, parts.next()?);
        let in_form = |part: &str, chars| {
            part.len() == chars && part.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        let well_formed = parts.next().is_none()
            && in_form(key_id, KEY_ID_CHARS)
            && in_form(secret, SECRET_CHARS);
        if !well_formed || crc != checksum(head) {
            return None;
        }
        Some(Self {
            bearer,
            mode,
            key_id: key_id.to_owned(),
            secret: secret.to_owned(),
        })
    }

    /// The whole token, to be shown once.
    pub fn reveal(&self) -> String {
        let mode = match self.mode {
            Mode::Live => "live",
            Mode::Test => "test",
        };
        let prefix = self.bearer.prefix();
        let head = format!("{prefix}_{mode}_{}_{}", self.key_id, self.secret);
        format!("{head}_{}", checksum(&head))
    }

    /// Whose it is.
    pub fn bearer(&self) -> Bearer {
        self.bearer
    }

    /// What finds the caller. May stand in events and logs.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Live or test.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// SHA-256 of the secret: all that is kept.
    pub fn digest(&self) -> Digest32 {
        Digest32::sha256(&[b"counterfoil/token/1", self.secret.as_bytes()])
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, ***)", self.key_id)
    }
}

/// The bytes as one number in base 62, of fixed width.
fn base62(bytes: &[u8], chars: usize) -> String {
    let mut number = bytes.to_vec();
    let mut text = vec![b'0'; chars];
    for place in text.iter_mut().rev() {
        let mut rest = 0u32;
        for byte in &mut number {
            let value = rest << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            rest = value % 62;
        }
        *place = BASE62[rest as usize];
    }
    text.into_iter().map(char::from).collect()
}

/// CRC-32 (ISO-HDLC) in base 62.
fn checksum(head: &str) -> String {
    let mut crc = u32::MAX;
    for byte in head.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let carry = if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
            crc = crc >> 1 ^ carry;
        }
    }
    base62(&(!crc).to_be_bytes(), CRC_CHARS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_crc_32() {
        assert_eq!(
            checksum("123456789"),
            base62(&0xCBF4_3926u32.to_be_bytes(), 6)
        );
        assert_eq!(base62(&[255; 32], 43).len(), 43);
    }

    /// Twenty thousand tokens from as many digests of a counter.
    #[test]
    fn tokens_have_one_form_and_none_comes_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..20_000_u32 {
            let secret = Digest32::sha256(&[&number.to_be_bytes()]).0;
            let key_id = *secret.first_chunk().unwrap();
            let text = Token::issue(Mode::Live, key_id, secret).reveal();
            let parts: Vec<&str> = text.split('_').collect();
            let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
            assert_eq!(
                (parts[0], parts[1], &lengths[2..]),
                ("cf", "live", &[8, 43, 6][..]),
                "{text}"
            );
            assert!(
                text.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()),
                "{text}"
            );
            if number % 100 == 0 {
                assert_eq!(Token::parse(&text).unwrap().reveal(), text);
            }
            assert!(seen.insert(text));
        }
    }

    #[test]
    fn what_was_not_issued_in_this_form_is_no_token() {
        let good = Token::issue(Mode::Test, [7; 6], [9; 32]).reveal();
        assert_eq!(Token::parse(&good).unwrap().mode(), Mode::Test);
        let resigned = |head: &str| format!("{head}_{}", checksum(head));
        let (key_id, secret) = ("a".repeat(8), "b".repeat(43));
        for bad in [
            String::new(),
            "cf_test".into(),
            good.to_uppercase(),
            format!(" {good}"),
            format!("{good}\n"),
            good[..good.len() - 1].to_owned(),
            format!("{good}0"),
            good.replacen("test", "live", 1),
            // The checksum is right, the form is not.
            resigned(&format!("cf_prod_{key_id}_{secret}")),
            resigned(&format!("xx_test_{key_id}_{secret}")),
            resigned(&format!("cf_test_{key_id}a_{secret}")),
            resigned(&format!("cf_test_{key_id}_{secret}b")),
            resigned(&format!("cf_test_{key_id}_{secret}_x")),
            resigned(&format!("cf_test_{}_{secret}", "é".repeat(4))),
        ] {
            assert_eq!(Token::parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_sessions_token_is_none_of_a_client() {
        let session = Token::issue_session(Mode::Live, [7; 6], [9; 32]);
        let text = session.reveal();
        assert!(text.starts_with("cfs_live_"), "{text}");
        assert_eq!(Token::parse(&text).unwrap().bearer(), Bearer::Session);
        let client = text.replacen("cfs", "cf", 1);
        assert_eq!(
            Token::parse(&client),
            None,
            "the checksum covers the prefix"
        );
        let client = Token::issue(Mode::Live, [7; 6], [9; 32]);
        assert_eq!(client.bearer(), Bearer::Client);
    }

    #[test]
    fn only_the_secret_makes_the_digest() {
        let digest = |key_id, secret| Token::issue(Mode::Test, key_id, secret).digest();
        assert_eq!(digest([1; 6], [1; 32]), digest([2; 6], [1; 32]));
        assert_ne!(digest([1; 6], [1; 32]), digest([1; 6], [2; 32]));
    }

    proptest! {
        #[test]
        fn tokens_are_read_back_and_any_typing_error_is_refused(
            key in any::<[u8; 6]>(), secret in any::<[u8; 32]>(), place in 0usize..72, with in 0u8..62,
        ) {
            let token = Token::issue(Mode::Test, key, secret);
            let text = token.reveal();
            prop_assert_eq!(Token::parse(&text), Some(token.clone()));
            let shown = format!("{token:?}");
            prop_assert!(!shown.contains(&text[17..40]));
            let mut mistyped = text.clone().into_bytes();
            let place = place % mistyped.len();
            mistyped[place] = BASE62[usize::from(with)];
            let mistyped = String::from_utf8(mistyped).unwrap();
            prop_assert_eq!(Token::parse(&mistyped).is_some(), mistyped == text);
        }
    }
}
