//! A person who operates the ledger. Stream `operator-<id>`; names live elsewhere.

use serde::{Deserialize, Serialize};

use crate::codec::DomainEvent;
use crate::ids::OperatorId;

/// The events of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// They may act.
    #[serde(rename = "OperatorCreated")]
    Created {
        /// Opaque.
        id: OperatorId,
    },
    /// They may not act any more.
    #[serde(rename = "OperatorDisabled")]
    Disabled {},
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] =
        &[("OperatorCreated", 1), ("OperatorDisabled", 1)];
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Let them act.
    Create(OperatorId),
    /// End that.
    Disable,
}

/// A rule says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such person.
    #[error("there is no such operator")]
    Unknown,
    /// They were disabled for good.
    #[error("the operator was disabled; make one of another name")]
    Disabled,
}

/// A person, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Opaque.
    pub id: OperatorId,
    /// May act.
    pub active: bool,
}

/// Folds one event.
pub fn evolve(operator: Option<Operator>, event: &Event) -> Option<Operator> {
    match (operator, event) {
        (None, Event::Created { id }) => Some(Operator {
            id: id.clone(),
            active: true,
        }),
        (None, Event::Disabled {}) => None,
        (Some(known), Event::Created { .. }) => Some(known),
        (Some(known), Event::Disabled {}) => Some(Operator {
            active: false,
            ..known
        }),
    }
}

/// Events that follow from `command`; none when it is already so.
///
/// # Errors
/// [`Refusal`].
pub fn decide(operator: Option<&Operator>, command: &Command) -> Result<Vec<Event>, Refusal> {
    match (operator, command) {
        (None, Command::Create(id)) => Ok(vec![Event::Created { id: id.clone() }]),
        (None, Command::Disable) => Err(Refusal::Unknown),
        (Some(known), Command::Create(_)) if known.active => Ok(vec![]),
        (Some(_), Command::Create(_)) => Err(Refusal::Disabled),
        (Some(known), Command::Disable) if known.active => Ok(vec![Event::Disabled {}]),
        (Some(_), Command::Disable) => Ok(vec![]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disabled_person_stays_disabled() {
        let create = Command::Create(OperatorId::parse("op-1").unwrap());
        let events = decide(None, &create).unwrap();
        let active = events.iter().fold(None, evolve);
        assert_eq!(decide(active.as_ref(), &create), Ok(vec![]));
        let disabled = decide(active.as_ref(), &Command::Disable)
            .unwrap()
            .iter()
            .fold(active, evolve);
        assert_eq!(decide(disabled.as_ref(), &create), Err(Refusal::Disabled));
        assert_eq!(decide(disabled.as_ref(), &Command::Disable), Ok(vec![]));
        assert_eq!(decide(None, &Command::Disable), Err(Refusal::Unknown));
    }

    /// History is read for ever, so these texts never change.
    #[test]
    fn the_wire_form_of_every_event_is_fixed() {
        let created = Event::Created {
            id: OperatorId::parse("op-1").unwrap(),
        };
        for (event, wire) in [
            (
                created,
                serde_json::json!({"type": "OperatorCreated", "data": {"id": "op-1"}}),
            ),
            (
                Event::Disabled {},
                serde_json::json!({"type": "OperatorDisabled", "data": {}}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&event).unwrap(), wire);
            assert_eq!(serde_json::from_value::<Event>(wire).unwrap(), event);
        }
    }
}
