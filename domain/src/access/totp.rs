//! Time-based one-time codes: RFC 6238 with HMAC-SHA-1, six digits and steps of 30 seconds, which
//! is what every authenticator app speaks.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use zeroize::Zeroizing;

use crate::digest::base32;
use crate::ids::OperatorId;
use crate::time::Timestamp;

/// Seconds of one step (RFC 6238, section 4.1).
const STEP_S: u64 = 30;
const DIGITS: u32 = 6;
/// Steps before and after the current one that are accepted: a clock that is off, and a person who
/// types slowly (RFC 6238, section 5.2, advises one).
const STEPS_AROUND: u64 = 1;

/// A secret that an authenticator app shares: 160 random bits (RFC 4226, section 4, R6).
#[derive(Clone)]
pub struct TotpSecret(Zeroizing<[u8; 20]>);

impl TotpSecret {
    /// From random bytes.
    pub fn new(bytes: [u8; 20]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// From what the keyring holds.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::new)
    }

    /// Its bytes, for the keyring.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// As people type it into an app.
    pub fn reveal(&self) -> String {
        base32(self.as_bytes()).to_uppercase()
    }

    /// As an app reads it out of a square code.
    pub fn uri(&self, operator: &OperatorId) -> String {
        let secret = self.reveal();
        format!("otpauth://totp/Counterfoil:{operator}?secret={secret}&issuer=Counterfoil")
    }

    /// What an app shows at this time.
    pub fn code_at(&self, now: Timestamp) -> String {
        let step = u64::try_from(now.millis()).unwrap_or(0) / 1000 / STEP_S;
        format!("{:06}", self.code(step, DIGITS))
    }

    /// The step whose code this is, around `now`; the newest where several have it.
    pub fn step_of(&self, code: &str, now: Timestamp) -> Option<u64> {
        let in_form = code.len() == DIGITS as usize && code.bytes().all(|b| b.is_ascii_digit());
        let wanted: u32 = code.parse().ok().filter(|_| in_form)?;
        let current = u64::try_from(now.millis()).ok()? / 1000 / STEP_S;
        let steps = current.saturating_sub(STEPS_AROUND)..=current + STEPS_AROUND;
        // Every step is looked at, so that the time does not tell which one was close.
        steps.fold(None, |found, step| {
            let same = self.code(step, DIGITS) == wanted;
            if same { Some(step) } else { found }
        })
    }

    /// The code of a step (RFC 4226, section 5.3).
    fn code(&self, step: u64, digits: u32) -> u32 {
        let mut mac =
            Hmac::<Sha1>::new_from_slice(self.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(&step.to_be_bytes());
        let bytes: [u8; 20] = mac.finalize().into_bytes().into();
        let offset = usize::from(bytes[19] & 0xf);
        let word = [0, 1, 2, 3].map(|n| bytes[offset + n]);
        (u32::from_be_bytes(word) & 0x7fff_ffff) % 10_u32.pow(digits)
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> TotpSecret {
        TotpSecret::new(*b"12345678901234567890")
    }

    /// RFC 6238, appendix B, the rows of SHA-1.
    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        for (seconds, code) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            assert_eq!(secret().code(seconds / STEP_S, 8), code, "{seconds}");
        }
    }

    #[test]
    fn a_code_counts_one_step_around_its_own() {
        let code = secret().code_at(Timestamp::from_seconds(300));
        let step_at = |seconds| secret().step_of(&code, Timestamp::from_seconds(seconds));
        assert_eq!(
            [269, 270, 329, 330, 359, 360].map(step_at),
            [None, Some(10), Some(10), Some(10), Some(10), None].map(|step: Option<u64>| step)
        );
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let code = secret().code_at(Timestamp::from_seconds(300));
        let now = Timestamp::from_seconds(300);
        assert_eq!(secret().step_of(&code, now), Some(10));
        for bad in [
            String::new(),
            format!("+{}", &code[1..]),
            format!("0{code}"),
            format!(" {code}"),
            code[1..].to_owned(),
        ] {
            assert_eq!(secret().step_of(&bad, now), None, "{bad}");
        }
    }

    #[test]
    fn an_app_gets_the_secret_and_a_log_does_not() {
        let operator = OperatorId::parse("ann").unwrap();
        assert_eq!(secret().reveal(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            secret().uri(&operator),
            "otpauth://totp/Counterfoil:ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Counterfoil"
        );
        assert_eq!(format!("{:?}", secret()), "TotpSecret(***)");
    }
}
