//! An API client: its merchant, scopes, ways of selling and live tokens. Stream `client-<id>`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::role::Role;
use super::scope::Scope;
use crate::codec::DomainEvent;
use crate::digest::Digest32;
use crate::ids::{ClientId, MerchantId, ScenarioId, SubscriberId};
use crate::payment::evidence::Mode;
use crate::time::Timestamp;

/// Live tokens of one client: one in use, one while it is being rotated.
pub const TOKENS_MAX: usize = 2;

/// The events of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// It exists.
    #[serde(rename = "ClientCreated")]
    Created {
        /// The client.
        id: ClientId,
        /// Its merchant.
        merchant: MerchantId,
        /// Live or test money.
        mode: Mode,
    },
    /// What it may do from here on.
    #[serde(rename = "ClientGranted")]
    Granted {
        /// The role that the scopes come from.
        role: Role,
        /// What it may do.
        scopes: BTreeSet<Scope>,
        /// Which ways of selling it may use.
        scenarios: BTreeSet<ScenarioId>,
        /// Whose events it fetches, where it is a receiver's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subscriber: Option<SubscriberId>,
    },
    /// A token was shown once; this is what is kept of it.
    #[serde(rename = "ClientTokenIssued")]
    TokenIssued {
        /// What finds the client.
        key_id: String,
        /// SHA-256 of the secret.
        digest: Digest32,
        /// Not valid at or after this time.
        expires_at: Timestamp,
    },
    /// A token is not valid any more.
    #[serde(rename = "ClientTokenRevoked")]
    TokenRevoked {
        /// Which.
        key_id: String,
    },
    /// The client is gone, with all its tokens.
    #[serde(rename = "ClientRevoked")]
    Revoked {},
    /// It tried what it may not do: the first time per route and hour, then a count.
    #[serde(rename = "AccessDenied")]
    AccessDenied {
        /// Which route.
        route: String,
        /// The scope that it lacks.
        scope: String,
        /// How often in the hour before.
        count: u32,
    },
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("ClientCreated", 1),
        ("ClientGranted", 1),
        ("ClientTokenIssued", 1),
        ("ClientTokenRevoked", 1),
        ("ClientRevoked", 1),
        ("AccessDenied", 1),
    ];
}

/// An order to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make it.
    Create {
        /// The client.
        id: ClientId,
        /// Its merchant.
        merchant: MerchantId,
        /// Live or test money.
        mode: Mode,
    },
    /// Say what it may do.
    Grant {
        /// The role.
        role: Role,
        /// Which ways of selling it may use.
        scenarios: BTreeSet<ScenarioId>,
        /// Whose events it fetches; a receiver's and nobody else's.
        subscriber: Option<SubscriberId>,
    },
    /// Keep a new token.
    IssueToken {
        /// What finds the client.
        key_id: String,
        /// SHA-256 of the secret.
        digest: Digest32,
        /// Not valid at or after this time.
        expires_at: Timestamp,
    },
    /// End a token.
    RevokeToken {
        /// Which.
        key_id: String,
    },
    /// End the client.
    Revoke,
    /// Note that it tried what it may not do.
    Deny {
        /// Which route.
        route: String,
        /// The scope that it lacks.
        scope: String,
        /// How often in the hour before.
        count: u32,
    },
}

/// A rule says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such client.
    #[error("there is no such client")]
    Unknown,
    /// There is one of this name, of another merchant or mode.
    #[error("a client of this name exists already")]
    Exists,
    /// It was revoked for good.
    #[error("the client was revoked; make one of another name")]
    Revoked,
    /// Two tokens are live.
    #[error("a client has at most {TOKENS_MAX} live tokens; revoke one first")]
    TooManyTokens,
    /// The expiry lies in the past.
    #[error("the token would be expired from the start")]
    ExpiryInThePast,
    /// It has no such token.
    #[error("the client has no such token")]
    UnknownToken,
    /// A token never approves.
    #[error("the role {} is for persons, who sign in; a token never approves", .0.as_str())]
    NeverApproves(Role),
    /// A receiver fetches the events of somebody.
    #[error("a receiver fetches the events of one subscriber; name it")]
    NeedsSubscriber,
    /// Only a receiver fetches events.
    #[error("the role {} fetches no events; only a receiver is bound to a subscriber", .0.as_str())]
    PullsNothing(Role),
    /// Another token of this key id is there.
    #[error("the client has another token of this key id; draw a new one")]
    KeyIdTaken,
}

/// A client, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The client.
    pub id: ClientId,
    /// Its merchant.
    pub merchant: MerchantId,
    /// Live or test money.
    pub mode: Mode,
    /// The role that its scopes come from.
    pub role: Option<Role>,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// Which ways of selling it may use.
    pub scenarios: BTreeSet<ScenarioId>,
    /// The one subscriber whose events it fetches.
    pub subscriber: Option<SubscriberId>,
    /// Tokens that were not revoked: digest and expiry by key id.
    pub tokens: BTreeMap<String, (Digest32, Timestamp)>,
    /// Gone for good.
    pub revoked: bool,
}

/// Folds one event.
pub fn evolve(client: Option<Client>, event: &Event) -> Option<Client> {
    let Some(mut client) = client else {
        return match event {
            Event::Created { id, merchant, mode } => Some(Client {
                id: id.clone(),
                merchant: merchant.clone(),
                mode: *mode,
                role: None,
                scopes: BTreeSet::new(),
                scenarios: BTreeSet::new(),
                subscriber: None,
                tokens: BTreeMap::new(),
                revoked: false,
            }),
            Event::Granted { .. }
            | Event::TokenIssued { .. }
            | Event::TokenRevoked { .. }
            | Event::Revoked {}
            | Event::AccessDenied { .. } => None,
        };
    };
    match event {
        Event::Created { .. } | Event::AccessDenied { .. } => {}
        Event::Granted {
            role,
            scopes,
            scenarios,
            subscriber,
        } => {
            client.role = Some(*role);
            client.scopes = scopes.clone();
            client.scenarios = scenarios.clone();
            client.subscriber = subscriber.clone();
        }
        Event::TokenIssued {
            key_id,
            digest,
            expires_at,
        } => {
            client.tokens.insert(key_id.clone(), (*digest, *expires_at));
        }
        Event::TokenRevoked { key_id } => {
            client.tokens.remove(key_id);
        }
        Event::Revoked {} => {
            client.tokens.clear();
            client.revoked = true;
        }
    }
    Some(client)
}

/// Events that follow from `command` at `now`; none when it is already so.
///
/// # Errors
/// [`Refusal`].
pub fn decide(
    client: Option<&Client>,
    command: &Command,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    let Some(client) = client else {
        return match command {
            Command::Create { id, merchant, mode } => Ok(vec![Event::Created {
                id: id.clone(),
                merchant: merchant.clone(),
                mode: *mode,
            }]),
            Command::Grant { .. }
            | Command::IssueToken { .. }
            | Command::RevokeToken { .. }
            | Command::Revoke
            | Command::Deny { .. } => Err(Refusal::Unknown),
        };
    };
    match command {
        Command::Create { merchant, mode, .. } => {
            let same = client.merchant == *merchant && client.mode == *mode && !client.revoked;
            if same {
                Ok(vec![])
            } else {
                Err(Refusal::Exists)
            }
        }
        Command::Revoke if client.revoked => Ok(vec![]),
        Command::Revoke => Ok(vec![Event::Revoked {}]),
        Command::Grant { .. } | Command::IssueToken { .. } | Command::RevokeToken { .. }
            if client.revoked =>
        {
            Err(Refusal::Revoked)
        }
        Command::Grant { role, .. } if !role.fits_a_client() => Err(Refusal::NeverApproves(*role)),
        Command::Grant {
            role,
            scenarios,
            subscriber,
        } => {
            match subscriber {
                None if role.is_bound() => return Err(Refusal::NeedsSubscriber),
                Some(_) if !role.is_bound() => return Err(Refusal::PullsNothing(*role)),
                None | Some(_) => {}
            }
            let scopes = role.scopes();
            let same = client.role == Some(*role)
                && client.scopes == scopes
                && client.scenarios == *scenarios
                && client.subscriber == *subscriber;
            let granted = Event::Granted {
                role: *role,
                scopes,
                scenarios: scenarios.clone(),
                subscriber: subscriber.clone(),
            };
            Ok(if same { vec![] } else { vec![granted] })
        }
        Command::IssueToken {
            key_id,
            digest,
            expires_at,
        } => {
            if let Some(known) = client.tokens.get(key_id) {
                let same = *known == (*digest, *expires_at);
                return if same {
                    Ok(vec![])
                } else {
                    Err(Refusal::KeyIdTaken)
                };
            }
            if *expires_at <= now {
                return Err(Refusal::ExpiryInThePast);
            }
            if client
                .tokens
                .values()
                .filter(|(_, expires_at)| *expires_at > now)
                .count()
                >= TOKENS_MAX
            {
                return Err(Refusal::TooManyTokens);
            }
            let (key_id, digest, expires_at) = (key_id.clone(), *digest, *expires_at);
            Ok(vec![Event::TokenIssued {
                key_id,
                digest,
                expires_at,
            }])
        }
        Command::RevokeToken { key_id } if client.tokens.contains_key(key_id) => {
            Ok(vec![Event::TokenRevoked {
                key_id: key_id.clone(),
            }])
        }
        Command::RevokeToken { .. } => Err(Refusal::UnknownToken),
        Command::Deny {
            route,
            scope,
            count,
        } => Ok(vec![Event::AccessDenied {
            route: route.clone(),
            scope: scope.clone(),
            count: *count,
        }]),
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
