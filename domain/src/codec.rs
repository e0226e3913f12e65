//! Events to records and back. A released event type is readable for ever: older data is upcast
//! step by step when it is read, and stored bytes never change.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::record::Envelope;

/// The events of one aggregate: an enum whose serde form is `{"type": <wire name>, "data": {...}}`.
///
/// Wire names are written out with `#[serde(rename)]` and never derived from a Rust identifier,
/// because a rename must not rewrite history.
pub trait DomainEvent: Serialize + DeserializeOwned {
    /// Every wire name with its current data version.
    const TYPES: &'static [(&'static str, u16)];
}

/// An event ready to be put into an envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// Wire name.
    pub event_type: String,
    /// Current version of its data.
    pub type_v: u16,
    /// Its data.
    pub data: Value,
}

/// Why stored data is no event of the aggregate that reads it.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A type that this aggregate does not have: wrong stream, or written by newer code.
    #[error("unknown event type {event_type}")]
    UnknownType {
        /// The wire name.
        event_type: String,
    },
    /// Data newer than this code.
    #[error("{event_type} has version {found}; this code reads up to {known}")]
    TooNew {
        /// The wire name.
        event_type: String,
        /// Stored version.
        found: u16,
        /// Highest version that is known here.
        known: u16,
    },
    /// Data that does not fit its type.
    #[error("{event_type} cannot be read")]
    Unreadable {
        /// The wire name.
        event_type: String,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
}

/// One step from a version of one type's data to the next.
#[derive(Debug, Clone, Copy)]
pub struct Upcaster {
    /// Wire name.
    pub event_type: &'static str,
    /// The version it reads; it gives the next one.
    pub from: u16,
    /// The step. Total: released data always passes.
    pub step: fn(Value) -> Value,
}

/// Every step since the first release, in order.
pub const UPCASTERS: &[Upcaster] = &[];

/// Prepares an event for its envelope.
///
/// # Panics
/// Never for events whose serde form is the one that [`DomainEvent`] asks for.
pub fn encode<E: DomainEvent>(event: &E) -> Encoded {
    let mut value = serde_json::to_value(event).expect("events are plain data");
    let event_type = value["type"]
        .as_str()
        .expect("events are tagged by type")
        .to_owned();
    let type_v = current_version::<E>(&event_type).expect("every event type is listed in TYPES");
    let data = value
        .get_mut("data")
        .map_or_else(|| Value::Object(serde_json::Map::new()), Value::take);
    Encoded {
        event_type,
        type_v,
        data,
    }
}

/// Reads an event of aggregate `E` from its envelope.
///
/// # Errors
/// [`CodecError`]; the caller stops or parks, and never skips.
pub fn decode<E: DomainEvent>(envelope: &Envelope) -> Result<E, CodecError> {
    decode_with(envelope, UPCASTERS)
}

/// [`decode`] with other upcasters, for tests and for tools that read old logs.
///
/// # Errors
/// [`CodecError`].
pub fn decode_with<E: DomainEvent>(
    envelope: &Envelope,
    upcasters: &[Upcaster],
) -> Result<E, CodecError> {
    let event_type = envelope.event_type.clone();
    let known = current_version::<E>(&event_type).ok_or_else(|| CodecError::UnknownType {
        event_type: event_type.clone(),
    })?;
    let (mut version, mut data) = (envelope.type_v, envelope.data.clone());
    if version > known {
        return Err(CodecError::TooNew {
            event_type,
            found: version,
            known,
        });
    }
    while version < known {
        let step = upcasters
            .iter()
            .find(|u| u.event_type == event_type && u.from == version);
        data = step.map_or(data.clone(), |u| (u.step)(data));
        version += 1;
    }
    let tagged = serde_json::json!({ "type": event_type, "data": data });
    serde_json::from_value(tagged).map_err(|cause| CodecError::Unreadable { event_type, cause })
}

fn current_version<E: DomainEvent>(event_type: &str) -> Option<u16> {
    E::TYPES
        .iter()
        .find(|(name, _)| *name == event_type)
        .map(|(_, version)| *version)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::record::tests::envelope;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum Lamp {
        #[serde(rename = "LampLit")]
        Lit { watts: u32, room: String },
        #[serde(rename = "LampOut")]
        Out {},
    }

    impl DomainEvent for Lamp {
        const TYPES: &'static [(&'static str, u16)] = &[("LampLit", 3), ("LampOut", 1)];
    }

    fn stored(event_type: &str, type_v: u16, data: Value) -> Envelope {
        Envelope {
            event_type: event_type.into(),
            type_v,
            ..envelope(data)
        }
    }

    #[test]
    fn events_are_read_back() {
        for event in [
            Lamp::Lit {
                watts: 5,
                room: "hall".into(),
            },
            Lamp::Out {},
        ] {
            let Encoded {
                event_type,
                type_v,
                data,
            } = encode(&event);
            assert_eq!(
                decode::<Lamp>(&stored(&event_type, type_v, data)).unwrap(),
                event
            );
        }
    }

    #[test]
    fn old_data_passes_every_step() {
        let steps = [
            Upcaster {
                event_type: "LampLit",
                from: 1,
                step: |data| json!({ "watts": data["w"] }),
            },
            Upcaster {
                event_type: "LampLit",
                from: 2,
                step: |data| json!({ "watts": data["watts"], "room": "hall" }),
            },
        ];
        let read = decode_with::<Lamp>(&stored("LampLit", 1, json!({ "w": 5 })), &steps).unwrap();
        assert_eq!(
            read,
            Lamp::Lit {
                watts: 5,
                room: "hall".into()
            }
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_and_never_skipped() {
        let read = |name, version, data| decode::<Lamp>(&stored(name, version, data));
        assert!(matches!(
            read("Sofa", 1, json!({})),
            Err(CodecError::UnknownType { .. })
        ));
        assert!(matches!(
            read("LampOut", 2, json!({})),
            Err(CodecError::TooNew {
                found: 2,
                known: 1,
                ..
            })
        ));
        assert!(matches!(
            read("LampLit", 3, json!({ "watts": "x" })),
            Err(CodecError::Unreadable { .. })
        ));
    }
}
