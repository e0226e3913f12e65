//! Slow hashes of passwords.

use async_trait::async_trait;

use super::event_store::BoxError;
use crate::access::password::Password;

/// Why a password could not be hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many are being hashed; each one takes memory and a core on purpose.
    #[error("too many passwords are being checked; try again")]
    Busy,
    /// The hash is none, or the hashing failed: a bug of ours.
    #[error("the password cannot be hashed or compared")]
    Broken(#[source] BoxError),
}

/// Hashes passwords so slowly that a stolen hash is of little use.
#[async_trait]
pub trait Passwords: Send + Sync {
    /// The hash to keep, with a salt of its own and all its parameters.
    ///
    /// # Errors
    /// [`PasswordError`].
    async fn hash(&self, password: &Password) -> Result<String, PasswordError>;

    /// Whether the hash is this password's. Without a hash the answer is no and takes as long, so
    /// that nobody learns from the time who exists.
    ///
    /// # Errors
    /// [`PasswordError`].
    async fn matches(&self, password: &Password, hash: Option<&str>)
    -> Result<bool, PasswordError>;
}
