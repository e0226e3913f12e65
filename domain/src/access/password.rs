//! Passwords of persons, as they are typed. None is ever printed, and each is wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

use crate::ids::OperatorId;

/// Fewest characters of a chosen password.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Most bytes of a password; longer ones are texts that somebody pasted by mistake.
pub const PASSWORD_BYTES_MAX: usize = 512;

/// Why a password cannot be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefusal {
    /// Too short.
    #[error("a password has at least {PASSWORD_CHARS_MIN} characters")]
    Short,
    /// Too long.
    #[error("a password has at most {PASSWORD_BYTES_MAX} bytes")]
    Long,
    /// It is the id of its operator, once or several times.
    #[error("a password is not the operator's own id")]
    OwnId,
}

/// A password in clear.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// One that somebody shows, good or not.
    pub fn shown(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// One that is to be kept for this operator.
    ///
    /// # Errors
    /// [`PasswordRefusal`].
    pub fn chosen(text: String, operator: &OperatorId) -> Result<Self, PasswordRefusal> {
        let password = Self::shown(text);
        let text = &*password.0;
        if text.chars().count() < PASSWORD_CHARS_MIN {
            return Err(PasswordRefusal::Short);
        }
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordRefusal::Long);
        }
        let lower = Zeroizing::new(text.to_lowercase());
        if lower.split(operator.as_str()).all(str::is_empty) {
            return Err(PasswordRefusal::OwnId);
        }
        Ok(password)
    }

    /// Its bytes, for the hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str) -> Result<(), PasswordRefusal> {
        let operator = OperatorId::parse("ann-7").unwrap();
        Password::chosen(text.to_owned(), &operator).map(|_| ())
    }

    #[test]
    fn a_password_is_long_and_not_the_operators_id() {
        for (text, refused) in [
            ("elevenchars", Some(PasswordRefusal::Short)),
            ("twelve chars", None),
            // Twelve letters, more bytes: letters count.
            ("գաղտնաբառիկը", None),
            ("ANN-7ann-7Ann-7", Some(PasswordRefusal::OwnId)),
            ("ann-7ann-7ann-7!", None),
        ] {
            assert_eq!(chosen(text).err(), refused, "{text}");
        }
        assert_eq!(chosen(&"é".repeat(256)), Ok(()));
        assert_eq!(chosen(&"é".repeat(257)), Err(PasswordRefusal::Long));
    }

    #[test]
    fn a_password_is_never_printed() {
        let password = Password::shown("correct horse".to_owned());
        assert_eq!(format!("{password:?}"), "Password(***)");
    }
}
