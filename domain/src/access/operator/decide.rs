//! What may happen to a person, and what they may do to their own sessions.

use crate::access::operator::{
    Event, Operator, SESSION_LIFE, SESSIONS_MAX, SessionEnd, SessionExpiry, Shown, TICKET_LIFE,
};
use crate::access::role::Role;
use crate::digest::Digest32;
use crate::ids::{KeyId, MerchantId, OperatorId, ProposalId};
use crate::payment::evidence::Mode;
use crate::time::Timestamp;

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make them.
    Create {
        /// Opaque.
        id: OperatorId,
        /// Their merchant.
        merchant: MerchantId,
        /// Live or test money.
        mode: Mode,
    },
    /// Say what they may do.
    Grant(Role),
    /// This password's hash counts from here on.
    SetPassword(KeyId),
    /// Ask for codes of this secret from here on.
    EnrolTotp(KeyId),
    /// Ask for no code any more.
    RemoveTotp,
    /// End it all, for good.
    Disable,
    /// Sign in.
    StartSession {
        /// What finds the session.
        key_id: String,
        /// SHA-256 of the token's secret.
        digest: Digest32,
        /// With what.
        shown: Shown,
    },
    /// Sign out.
    EndSession {
        /// Which.
        key_id: String,
    },
    /// Note that nobody used it for too long.
    LeaveIdle {
        /// Which.
        key_id: String,
    },
    /// Show the credentials once more, for one proposal.
    Confirm {
        /// In which session.
        session: String,
        /// For which proposal.
        proposal: ProposalId,
        /// Until when the ticket is of use; never longer than [`TICKET_LIFE`].
        expires_at: Timestamp,
        /// With what.
        shown: Shown,
    },
    /// Note that they tried what they may not do.
    Deny {
        /// Which route.
        route: String,
        /// The scope that they lack.
        scope: String,
        /// How often in the hour before.
        count: u32,
    },
}

/// A rule says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such person.
    #[error("there is no such operator")]
    Unknown,
    /// There is one of this name, of another merchant or mode.
    #[error("an operator of this name exists already")]
    Exists,
    /// They were disabled for good.
    #[error("the operator was disabled; make one of another name")]
    Disabled,
    /// The role belongs to machines.
    #[error("the role {} is for clients, not for persons", .0.as_str())]
    NotForPersons(Role),
    /// Without a password there is nothing that a second factor could be second to.
    #[error("the operator has no password yet")]
    NoPassword,
    /// There is no such session.
    #[error("the operator has no such session")]
    UnknownSession,
    /// The credentials are not the ones that count, or the code was used already.
    #[error("operator, password or code is not right, or the code was used already")]
    Credentials,
}

/// Events that follow from `command` at `now`; none when it is already so.
///
/// # Errors
/// [`Refusal`].
pub fn decide(
    operator: Option<&Operator>,
    command: &Command,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    let Some(known) = operator else {
        return match command {
            Command::Create { id, merchant, mode } => Ok(vec![Event::Created {
                id: id.clone(),
                merchant: merchant.clone(),
                mode: *mode,
            }]),
            Command::StartSession { .. } | Command::Confirm { .. } => Err(Refusal::Credentials),
            Command::Grant(_)
            | Command::SetPassword(_)
            | Command::EnrolTotp(_)
            | Command::RemoveTotp
            | Command::Disable
            | Command::EndSession { .. }
            | Command::LeaveIdle { .. }
            | Command::Deny { .. } => Err(Refusal::Unknown),
        };
    };
    let already = |so: bool, event: Event| Ok(if so { vec![] } else { vec![event] });
    match command {
        Command::Create { merchant, mode, .. } => {
            let same = known.merchant == *merchant && known.mode == *mode;
            match (known.disabled, same) {
                (true, _) => Err(Refusal::Disabled),
                (false, false) => Err(Refusal::Exists),
                (false, true) => Ok(vec![]),
            }
        }
        Command::Disable => already(known.disabled, Event::Disabled {}),
        Command::Grant(_)
        | Command::SetPassword(_)
        | Command::EnrolTotp(_)
        | Command::RemoveTotp
            if known.disabled =>
        {
            Err(Refusal::Disabled)
        }
        Command::Grant(role) if !role.fits_a_person() => Err(Refusal::NotForPersons(*role)),
        Command::Grant(role) => {
            let (role, scopes) = (*role, role.scopes());
            let same = known.role == Some(role) && known.scopes == scopes;
            already(same, Event::Granted { role, scopes })
        }
        Command::SetPassword(key_id) => already(
            known.password.as_ref() == Some(key_id),
            Event::PasswordSet {
                key_id: key_id.clone(),
            },
        ),
        Command::EnrolTotp(_) if known.password.is_none() => Err(Refusal::NoPassword),
        Command::EnrolTotp(key_id) => already(
            known.totp.as_ref() == Some(key_id),
            Event::TotpEnrolled {
                key_id: key_id.clone(),
            },
        ),
        Command::RemoveTotp => already(known.totp.is_none(), Event::TotpRemoved {}),
        Command::StartSession {
            key_id,
            digest,
            shown,
        } => start_session(known, key_id, *digest, shown, now),
        Command::EndSession { key_id } if known.sessions.contains_key(key_id) => {
            Ok(vec![Event::SessionEnded {
                key_id: key_id.clone(),
                why: SessionEnd::Ended,
            }])
        }
        Command::EndSession { .. } => Err(Refusal::UnknownSession),
        Command::LeaveIdle { key_id } => already(
            !known.sessions.contains_key(key_id),
            Event::SessionExpired {
                key_id: key_id.clone(),
                why: SessionExpiry::Idle,
            },
        ),
        Command::Confirm {
            session,
            proposal,
            expires_at,
            shown,
        } => {
            let live = known.sessions.get(session);
            if live.is_none_or(|live| live.expires_at <= now) {
                return Err(Refusal::UnknownSession);
            }
            if !known.accepts(shown) {
                return Err(Refusal::Credentials);
            }
            Ok(vec![Event::Confirmed {
                session: session.clone(),
                proposal: proposal.clone(),
                expires_at: now.plus(TICKET_LIFE).min(*expires_at),
                totp_step: shown.totp.as_ref().map(|(_, step)| *step),
            }])
        }
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

/// A new session tidies up: those past their time are told as over, and the oldest makes room.
fn start_session(
    known: &Operator,
    key_id: &str,
    digest: Digest32,
    shown: &Shown,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    if !known.accepts(shown) || known.sessions.contains_key(key_id) {
        return Err(Refusal::Credentials);
    }
    let mut by_age: Vec<_> = known.sessions.iter().collect();
    by_age.sort_by_key(|(_, session)| session.expires_at);
    let (over, live): (Vec<_>, Vec<_>) = by_age
        .into_iter()
        .partition(|(_, session)| session.expires_at <= now);
    let over = over.into_iter().map(|(key_id, _)| Event::SessionExpired {
        key_id: key_id.clone(),
        why: SessionExpiry::Age,
    });
    let room_for = SESSIONS_MAX - 1;
    let displaced = live.len().saturating_sub(room_for);
    let displaced = live[..displaced]
        .iter()
        .map(|(key_id, _)| Event::SessionEnded {
            key_id: (*key_id).clone(),
            why: SessionEnd::Displaced,
        });
    let started = Event::SessionStarted {
        key_id: key_id.to_owned(),
        digest,
        expires_at: now.plus(SESSION_LIFE),
        totp_step: shown.totp.as_ref().map(|(_, step)| *step),
    };
    Ok(over.chain(displaced).chain([started]).collect())
}
