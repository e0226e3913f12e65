//! The instance itself. Stream `instance`: which log this is, and which keys belong to it.

use serde::{Deserialize, Serialize};

use crate::codec::DomainEvent;
use crate::digest::Digest32;

/// The events of the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// It was made.
    #[serde(rename = "InstanceCreated")]
    Created {
        /// Name of the log.
        origin: String,
        /// Proves the instance key without telling it.
        instance_key: Digest32,
        /// Proves the link key without telling it.
        link_key: Digest32,
        /// Version of the program.
        version: String,
    },
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[("InstanceCreated", 1)];
}

/// The instance, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Name of the log.
    pub origin: String,
    /// Fingerprint of the instance key.
    pub instance_key: Digest32,
    /// Fingerprint of the link key.
    pub link_key: Digest32,
}

/// Why a node may not serve this log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The settings name another log.
    #[error("the data belongs to log {found}; the configuration says {configured}")]
    Origin {
        /// What the log says.
        found: String,
        /// What the settings say.
        configured: String,
    },
    /// The keyring is another's: ids and claims would not be found again.
    #[error("the keyring does not belong to this log; restore its own keyring")]
    Keys,
}

/// Folds one event.
pub fn evolve(instance: Option<Instance>, event: &Event) -> Option<Instance> {
    match event {
        Event::Created {
            origin,
            instance_key,
            link_key,
            ..
        } => instance.or_else(|| {
            Some(Instance {
                origin: origin.clone(),
                instance_key: *instance_key,
                link_key: *link_key,
            })
        }),
    }
}

impl Instance {
    /// May a node with these settings and keys serve this log?
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn admits(
        &self,
        origin: &str,
        instance_key: Digest32,
        link_key: Digest32,
    ) -> Result<(), Mismatch> {
        if self.origin != origin {
            return Err(Mismatch::Origin {
                found: self.origin.clone(),
                configured: origin.to_owned(),
            });
        }
        let same = self.instance_key == instance_key && self.link_key == link_key;
        if same { Ok(()) } else { Err(Mismatch::Keys) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_keyring_or_origin_may_not_serve_the_log() {
        let event = Event::Created {
            origin: "a/1".into(),
            instance_key: Digest32([1; 32]),
            link_key: Digest32([2; 32]),
            version: "0.1.0".into(),
        };
        let instance = evolve(None, &event).unwrap();
        assert_eq!(
            instance.admits("a/1", Digest32([1; 32]), Digest32([2; 32])),
            Ok(())
        );
        assert_eq!(
            instance.admits("a/1", Digest32([9; 32]), Digest32([2; 32])),
            Err(Mismatch::Keys)
        );
        assert!(matches!(
            instance.admits("b/1", Digest32([1; 32]), Digest32([2; 32])),
            Err(Mismatch::Origin { .. })
        ));
        assert_eq!(
            instance.admits("a/1", Digest32([1; 32]), Digest32([9; 32])),
            Err(Mismatch::Keys)
        );
        // A second one changes nothing: the keys that belong to a log never change.
        let other = Event::Created {
            origin: "b/1".into(),
            instance_key: Digest32([9; 32]),
            link_key: Digest32([9; 32]),
            version: "0.2.0".into(),
        };
        assert_eq!(evolve(Some(instance.clone()), &other), Some(instance));
        let (ones, twos) = ("01".repeat(32), "02".repeat(32));
        let wire = serde_json::json!({"type": "InstanceCreated", "data": {
            "origin": "a/1", "instance_key": ones, "link_key": twos, "version": "0.1.0"
        }});
        assert_eq!(serde_json::to_value(&event).unwrap(), wire);
    }
}
