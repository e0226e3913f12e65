//! What happens to a person. No hash and no secret stands here: a record is kept for ever, and both
//! live in the keyring under the key ids that these events name.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::access::role::Role;
use crate::access::scope::Scope;
use crate::codec::DomainEvent;
use crate::digest::Digest32;
use crate::ids::{KeyId, MerchantId, OperatorId, ProposalId};
use crate::payment::evidence::Mode;
use crate::time::Timestamp;

/// The events of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// They exist.
    #[serde(rename = "OperatorCreated")]
    Created {
        /// Opaque.
        id: OperatorId,
        /// Their merchant.
        merchant: MerchantId,
        /// Live or test money.
        mode: Mode,
    },
    /// What they may do from here on.
    #[serde(rename = "OperatorGranted")]
    Granted {
        /// The role that the scopes come from.
        role: Role,
        /// What they may do.
        scopes: BTreeSet<Scope>,
    },
    /// They have this password and no other; every session ended.
    #[serde(rename = "OperatorPasswordSet")]
    PasswordSet {
        /// Name of its hash in the keyring.
        key_id: KeyId,
    },
    /// From here on they sign in with a code as well.
    #[serde(rename = "OperatorTotpEnrolled")]
    TotpEnrolled {
        /// Name of the secret in the keyring.
        key_id: KeyId,
    },
    /// A code is not asked for any more.
    #[serde(rename = "OperatorTotpRemoved")]
    TotpRemoved {},
    /// They may not act any more, and every session ended.
    #[serde(rename = "OperatorDisabled")]
    Disabled {},
    /// They signed in; this is what is kept of the session's token.
    #[serde(rename = "OperatorSessionStarted")]
    SessionStarted {
        /// What finds the session.
        key_id: String,
        /// SHA-256 of the secret.
        digest: Digest32,
        /// Over at this time, used or not.
        expires_at: Timestamp,
        /// Step of the code, which no other sign-in may use; absent without a second factor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        totp_step: Option<u64>,
    },
    /// Somebody ended it.
    #[serde(rename = "OperatorSessionEnded")]
    SessionEnded {
        /// Which.
        key_id: String,
        /// Why.
        why: SessionEnd,
    },
    /// Its time was over.
    #[serde(rename = "OperatorSessionExpired")]
    SessionExpired {
        /// Which.
        key_id: String,
        /// Which time.
        why: SessionExpiry,
    },
    /// They showed their credentials once more, for one proposal.
    #[serde(rename = "OperatorConfirmed")]
    Confirmed {
        /// In which session.
        session: String,
        /// For which proposal.
        proposal: ProposalId,
        /// The ticket is of no use at or after this time.
        expires_at: Timestamp,
        /// Step of the code, which no other sign-in may use; absent without a second factor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        totp_step: Option<u64>,
    },
    /// They tried what they may not do: the first time per route and hour, then a count.
    #[serde(rename = "AccessDenied")]
    AccessDenied {
        /// Which route.
        route: String,
        /// The scope that they lack.
        scope: String,
        /// How often in the hour before.
        count: u32,
    },
}

/// Who ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionEnd {
    /// The person signed out, or an administrator ended it.
    #[serde(rename = "ended")]
    Ended,
    /// They signed in too often elsewhere; the oldest went.
    #[serde(rename = "displaced")]
    Displaced,
}

/// Which time of a session was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionExpiry {
    /// It was not used.
    #[serde(rename = "idle")]
    Idle,
    /// It was old.
    #[serde(rename = "age")]
    Age,
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("OperatorCreated", 1),
        ("OperatorGranted", 1),
        ("OperatorPasswordSet", 1),
        ("OperatorTotpEnrolled", 1),
        ("OperatorTotpRemoved", 1),
        ("OperatorDisabled", 1),
        ("OperatorSessionStarted", 1),
        ("OperatorSessionEnded", 1),
        ("OperatorSessionExpired", 1),
        ("OperatorConfirmed", 1),
        ("AccessDenied", 1),
    ];
}
