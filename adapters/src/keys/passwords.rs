//! Passwords under Argon2id. Each hash takes 19 MiB and some tens of milliseconds on purpose, so at
//! most two are made at a time, away from the async threads; whoever waits too long is told to try
//! again.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use async_trait::async_trait;
use domain::access::password::Password;
use domain::ports::{Entropy, PasswordError, Passwords};
use tokio::sync::Semaphore;

/// Memory in KiB, passes and lanes: the least that OWASP's Password Storage Cheat Sheet advises for
/// Argon2id (19 MiB, 2, 1), as read in November 2026.
const OWASP: (u32, u32, u32) = (19 * 1024, 2, 1);
/// The salt that RFC 9106, section 3.1, recommends.
const SALT_BYTES: usize = 16;
/// Hashes under way at a time.
const AT_A_TIME: usize = 2;
/// Longest wait for a turn.
const WAIT_MAX: Duration = Duration::from_secs(3);

/// Argon2id, version 0x13.
pub struct Argon2Passwords {
    hasher: Argon2<'static>,
    entropy: Arc<dyn Entropy>,
    turns: Arc<Semaphore>,
    wait_max: Duration,
    /// The hash of nobody's password, compared with when there is none.
    nobodys: Arc<OnceLock<String>>,
}

impl Argon2Passwords {
    /// With the parameters of production.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self::with(OWASP, entropy)
    }

    /// With the least parameters that there are: for tests and simulations, where no hash is worth
    /// stealing.
    pub fn cheap(entropy: Arc<dyn Entropy>) -> Self {
        Self::with((Params::MIN_M_COST, 1, 1), entropy)
    }

    fn with((memory, passes, lanes): (u32, u32, u32), entropy: Arc<dyn Entropy>) -> Self {
        let params = Params::new(memory, passes, lanes, None)
            .expect("both sets of parameters lie within the limits of Argon2");
        Self {
            hasher: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            entropy,
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            wait_max: WAIT_MAX,
            nobodys: Arc::default(),
        }
    }

    fn salt(&self) -> [u8; SALT_BYTES] {
        let mut salt = [0; SALT_BYTES];
        self.entropy.fill(&mut salt);
        salt
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn =
            tokio::time::timeout(self.wait_max, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(PasswordError::Busy);
        };
        // The turn goes with the work: a caller who hangs up does not make room for another hash.
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| PasswordError::Broken(error.into()))?
            .map_err(|error| PasswordError::Broken(error.into()))
    }
}

fn hashed(hasher: &Argon2<'_>, password: &[u8], salt: &[u8]) -> Result<String, Error> {
    let hash: PasswordHash = hasher.hash_password_with_salt(password, salt)?;
    Ok(hash.to_string())
}

#[async_trait]
impl Passwords for Argon2Passwords {
    async fn hash(&self, password: &Password) -> Result<String, PasswordError> {
        let (hasher, password, salt) = (self.hasher.clone(), password.clone(), self.salt());
        self.in_turn(move || hashed(&hasher, password.as_bytes(), &salt))
            .await
    }

    async fn matches(
        &self,
        password: &Password,
        hash: Option<&str>,
    ) -> Result<bool, PasswordError> {
        let (hasher, password, salt) = (self.hasher.clone(), password.clone(), self.salt());
        let (hash, nobodys) = (hash.map(str::to_owned), Arc::clone(&self.nobodys));
        self.in_turn(move || {
            let somebody = hash.is_some();
            let hash = match hash {
                Some(hash) => hash,
                None => match nobodys.get() {
                    Some(hash) => hash.clone(),
                    None => {
                        let made = hashed(&hasher, &salt, &salt)?;
                        nobodys.get_or_init(|| made).clone()
                    }
                },
            };
            match hasher.verify_password(password.as_bytes(), &PasswordHash::new(&hash)?) {
                Ok(()) => Ok(somebody),
                Err(Error::PasswordInvalid) => Ok(false),
                Err(other) => Err(other),
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::OsEntropy;

    fn password(text: &str) -> Password {
        Password::shown(text.to_owned())
    }

    #[tokio::test]
    async fn a_hash_knows_its_password_and_no_other() {
        let passwords = Argon2Passwords::new(Arc::new(OsEntropy));
        let right = password("correct horse battery");
        let hash = passwords.hash(&right).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(passwords.matches(&right, Some(&hash)).await.unwrap());
        for wrong in ["correct horse batterz", "", "correct horse battery "] {
            let matches = passwords.matches(&password(wrong), Some(&hash)).await;
            assert!(!matches.unwrap(), "{wrong}");
        }
        assert_ne!(passwords.hash(&right).await.unwrap(), hash, "salted");
    }

    /// The parameters stand in the hash, so that stronger ones later lock nobody out.
    #[tokio::test]
    async fn a_hash_of_other_parameters_still_matches() {
        let right = password("correct horse battery");
        let old = Argon2Passwords::cheap(Arc::new(OsEntropy));
        let hash = old.hash(&right).await.unwrap();
        let new = Argon2Passwords::new(Arc::new(OsEntropy));
        assert!(new.matches(&right, Some(&hash)).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_has_no_password_and_costs_the_same_hash() {
        let passwords = Argon2Passwords::cheap(Arc::new(OsEntropy));
        assert!(!passwords.matches(&password(""), None).await.unwrap());
        let nobodys = passwords.nobodys.get().unwrap().clone();
        let real = passwords.hash(&password("x")).await.unwrap();
        let parameters = |hash: &str| hash.rsplitn(3, '$').last().unwrap().to_owned();
        assert_eq!(parameters(&nobodys), parameters(&real));
    }

    #[tokio::test]
    async fn what_is_no_hash_is_a_bug_and_opens_nothing() {
        let passwords = Argon2Passwords::cheap(Arc::new(OsEntropy));
        for bad in ["", "secret"] {
            let answer = passwords.matches(&password("secret"), Some(bad)).await;
            assert!(matches!(answer, Err(PasswordError::Broken(_))), "{bad}");
        }
    }

    #[tokio::test]
    async fn whoever_waits_too_long_for_a_turn_is_told_so() {
        let mut passwords = Argon2Passwords::cheap(Arc::new(OsEntropy));
        passwords.wait_max = Duration::from_millis(1);
        let turns = Arc::clone(&passwords.turns);
        let taken = turns.acquire_many(AT_A_TIME as u32).await.unwrap();
        let answer = passwords.hash(&password("x")).await;
        assert!(matches!(answer, Err(PasswordError::Busy)));
        drop(taken);
        passwords.wait_max = WAIT_MAX;
        assert!(passwords.hash(&password("x")).await.is_ok());
    }
}
