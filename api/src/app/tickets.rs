//! Approval tickets: proof that one person showed their credentials for one proposal within the
//! last five minutes. A ticket is an HMAC with the instance key and is kept nowhere.

use std::fmt;

use domain::digest::{Digest32, InstanceKey};
use domain::ids::{OperatorId, ProposalId};
use domain::time::Timestamp;
use subtle::ConstantTimeEq;

use super::caller::Caller;
use super::error::AppError;

const PREFIX: &str = "cft";

/// A ticket. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    text: String,
    /// Of no use at or after this time.
    pub expires_at: Timestamp,
}

impl Ticket {
    /// The ticket itself, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket(***, until {})", self.expires_at)
    }
}

/// Why a ticket does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketRefusal {
    /// It was issued for another person or proposal, or by nobody.
    #[error("the ticket is not this person's for this proposal")]
    NotTheirs,
    /// It is too old.
    #[error("the ticket is older than five minutes; show your password again")]
    Expired,
}

/// A ticket for `operator`, who showed their credentials just now.
pub fn issue(
    key: &InstanceKey,
    operator: &OperatorId,
    proposal: &ProposalId,
    expires_at: Timestamp,
) -> Ticket {
    let millis = expires_at.millis();
    let seal = seal(key, operator, proposal, millis);
    Ticket {
        text: format!("{PREFIX}_{millis}_{seal}"),
        expires_at,
    }
}

/// The person whose ticket for `proposal` this is. The one place where a ticket is believed.
///
/// # Errors
/// [`AppError::Forbidden`] for a client, whatever it shows; [`AppError::Ticket`].
pub fn check<'c>(
    key: &InstanceKey,
    caller: &'c Caller,
    proposal: &ProposalId,
    ticket: &str,
    now: Timestamp,
) -> Result<&'c OperatorId, AppError> {
    let operator = caller.operator()?;
    let (millis, shown) = parse(ticket).ok_or(TicketRefusal::NotTheirs)?;
    let own = seal(key, operator, proposal, millis);
    let same: bool = own.0.ct_eq(&shown.0).into();
    if !same {
        return Err(TicketRefusal::NotTheirs.into());
    }
    if Timestamp::from_millis(millis) <= now {
        return Err(TicketRefusal::Expired.into());
    }
    Ok(operator)
}

fn seal(key: &InstanceKey, operator: &OperatorId, proposal: &ProposalId, millis: i64) -> Digest32 {
    let parts = [
        operator.as_str().as_bytes(),
        proposal.as_str().as_bytes(),
        &millis.to_be_bytes(),
    ];
    key.digest("approval ticket", &parts)
}

fn parse(ticket: &str) -> Option<(i64, Digest32)> {
    let mut parts = ticket.split('_');
    let (prefix, millis, seal) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = prefix == PREFIX && parts.next().is_none();
    whole.then_some((millis.parse().ok()?, Digest32::from_hex(seal)?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::access::scope::Scope;
    use domain::ids::{ClientId, MerchantId};
    use domain::payment::evidence::Mode;

    use super::*;
    use crate::app::caller::Who;

    fn caller(who: Who) -> Caller {
        Caller {
            who,
            merchant: MerchantId::parse("shop").unwrap(),
            mode: Mode::Test,
            key_id: "2bucDz8e".into(),
            scopes: Scope::ALL.iter().copied().collect(),
            scenarios: BTreeSet::new(),
            subscriber: None,
            own_only: false,
        }
    }

    fn person(id: &str) -> Caller {
        caller(Who::Operator(OperatorId::parse(id).unwrap()))
    }

    fn proposal(letter: char) -> ProposalId {
        ProposalId::parse(format!("ov_{}", letter.to_string().repeat(26))).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn refusal(checked: Result<&OperatorId, AppError>) -> Option<TicketRefusal> {
        match checked {
            Ok(_) => None,
            Err(AppError::Ticket(refusal)) => Some(refusal),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_ticket_is_for_one_person_one_proposal_and_five_minutes() {
        let key = InstanceKey::new([7; 32]);
        let ann = OperatorId::parse("ann").unwrap();
        let ticket = issue(&key, &ann, &proposal('a'), at(300));
        let text = ticket.reveal().to_owned();
        for (who, id, seconds, refused) in [
            ("ann", 'a', 0, None),
            ("ann", 'a', 299, None),
            ("ann", 'a', 300, Some(TicketRefusal::Expired)),
            ("bob", 'a', 0, Some(TicketRefusal::NotTheirs)),
            ("ann", 'b', 0, Some(TicketRefusal::NotTheirs)),
        ] {
            let caller = person(who);
            let checked = check(&key, &caller, &proposal(id), &text, at(seconds));
            assert_eq!(refusal(checked), refused, "{who} {id} {seconds}");
        }
        assert!(!format!("{ticket:?}").contains(&text[10..]));
    }

    #[test]
    fn nobody_makes_or_prolongs_a_ticket() {
        let key = InstanceKey::new([7; 32]);
        let (ann, caller) = (OperatorId::parse("ann").unwrap(), person("ann"));
        let text = issue(&key, &ann, &proposal('a'), at(300))
            .reveal()
            .to_owned();
        let other = InstanceKey::new([8; 32]);
        for forged in [
            String::new(),
            text.replacen("300000", "900000", 1),
            text.replacen("cft", "cf", 1),
            format!("{text}_"),
            text[..text.len() - 1].to_owned(),
            issue(&other, &ann, &proposal('a'), at(300))
                .reveal()
                .to_owned(),
        ] {
            let checked = check(&key, &caller, &proposal('a'), &forged, at(0));
            assert_eq!(refusal(checked), Some(TicketRefusal::NotTheirs), "{forged}");
        }
    }

    #[test]
    fn a_client_never_approves_whatever_it_shows() {
        let key = InstanceKey::new([7; 32]);
        let ann = OperatorId::parse("ann").unwrap();
        let ticket = issue(&key, &ann, &proposal('a'), at(300));
        let client = caller(Who::Client(ClientId::parse("ann").unwrap()));
        let checked = check(&key, &client, &proposal('a'), ticket.reveal(), at(0));
        assert!(matches!(checked, Err(AppError::Forbidden { .. })));
    }
}
