//! A person who operates the ledger. Stream `operator-<id>`; names live elsewhere.
//!
//! A person has one role. Who proposed what needs two people never approves it, whatever their role:
//! that is decided by the person.

mod decide;
mod event;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use self::decide::{Command, Refusal, decide};
pub use self::event::{Event, SessionEnd, SessionExpiry};
use super::role::Role;
use super::scope::Scope;
use crate::digest::Digest32;
use crate::ids::{KeyId, MerchantId, OperatorId};
use crate::payment::evidence::Mode;
use crate::time::Timestamp;

/// A session is over after this time, however busy it is.
pub const SESSION_LIFE: Duration = Duration::from_secs(8 * 3600);
/// A session that nobody used for this time is over.
pub const SESSION_IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// Live sessions of one person; the next one displaces the oldest.
pub const SESSIONS_MAX: usize = 8;
/// How long credentials count as freshly shown for the proposal that they were shown for.
pub const TICKET_LIFE: Duration = Duration::from_secs(5 * 60);

/// A live session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the token's secret.
    pub digest: Digest32,
    /// Over at this time.
    pub expires_at: Timestamp,
}

/// Credentials that were checked against what the keyring holds: which password, and which step of
/// which second factor. Only the fold knows whether they are still the ones that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Name of the password's hash.
    pub password: KeyId,
    /// Name of the secret and the step of the code, where one was asked for.
    pub totp: Option<(KeyId, u64)>,
}

/// A person, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Opaque.
    pub id: OperatorId,
    /// Their merchant.
    pub merchant: MerchantId,
    /// Live or test money.
    pub mode: Mode,
    /// The role that their scopes come from.
    pub role: Option<Role>,
    /// What they may do.
    pub scopes: BTreeSet<Scope>,
    /// Name of the password's hash in the keyring.
    pub password: Option<KeyId>,
    /// Name of the second factor's secret in the keyring.
    pub totp: Option<KeyId>,
    /// The last step of that secret that was used; older ones are refused.
    pub totp_step: Option<u64>,
    /// Sessions that nobody ended, by key id. One of them may be past its time.
    pub sessions: BTreeMap<String, Session>,
    /// May not act any more.
    pub disabled: bool,
}

impl Operator {
    /// Whether these credentials open anything right now.
    fn accepts(&self, shown: &Shown) -> bool {
        let second = match (&self.totp, &shown.totp) {
            (None, None) => true,
            (Some(own), Some((key_id, step))) => {
                own == key_id && self.totp_step.is_none_or(|last| last < *step)
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        !self.disabled && self.password.as_ref() == Some(&shown.password) && second
    }
}

/// Folds one event.
pub fn evolve(operator: Option<Operator>, event: &Event) -> Option<Operator> {
    let Some(mut known) = operator else {
        return match event {
            Event::Created { id, merchant, mode } => Some(Operator {
                id: id.clone(),
                merchant: merchant.clone(),
                mode: *mode,
                role: None,
                scopes: BTreeSet::new(),
                password: None,
                totp: None,
                totp_step: None,
                sessions: BTreeMap::new(),
                disabled: false,
            }),
            Event::Granted { .. }
            | Event::PasswordSet { .. }
            | Event::TotpEnrolled { .. }
            | Event::TotpRemoved {}
            | Event::Disabled {}
            | Event::SessionStarted { .. }
            | Event::SessionEnded { .. }
            | Event::SessionExpired { .. }
            | Event::Confirmed { .. }
            | Event::AccessDenied { .. } => None,
        };
    };
    match event {
        Event::Created { .. } | Event::AccessDenied { .. } => {}
        Event::Granted { role, scopes } => {
            known.role = Some(*role);
            known.scopes = scopes.clone();
        }
        Event::PasswordSet { key_id } => {
            known.password = Some(key_id.clone());
            known.sessions.clear();
        }
        Event::TotpEnrolled { key_id } => {
            known.totp = Some(key_id.clone());
            known.totp_step = None;
        }
        Event::TotpRemoved {} => known.totp = None,
        Event::Disabled {} => {
            known.disabled = true;
            known.sessions.clear();
        }
        Event::SessionStarted {
            key_id,
            digest,
            expires_at,
            totp_step,
        } => {
            let session = Session {
                digest: *digest,
                expires_at: *expires_at,
            };
            known.sessions.insert(key_id.clone(), session);
            known.totp_step = known.totp_step.max(*totp_step);
        }
        Event::SessionEnded { key_id, .. } | Event::SessionExpired { key_id, .. } => {
            known.sessions.remove(key_id);
        }
        Event::Confirmed { totp_step, .. } => known.totp_step = known.totp_step.max(*totp_step),
    }
    Some(known)
}

#[cfg(test)]
#[path = "operator_tests.rs"]
mod tests;
