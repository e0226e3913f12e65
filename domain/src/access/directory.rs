//! All API clients in memory, folded from `client-*`, so that authentication reads no store.

use std::collections::BTreeMap;

use super::client::{Client, Event, evolve};
use crate::digest::Digest32;
use crate::stream::StreamId;
use crate::time::Timestamp;

/// Clients by stream, and by the key ids of their tokens.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    clients: BTreeMap<StreamId, Client>,
    keys: BTreeMap<String, StreamId>,
}

impl Directory {
    /// Takes in one event.
    pub fn fold(&mut self, stream: &StreamId, event: &Event) {
        if let Event::TokenIssued { key_id, .. } = event {
            self.keys.insert(key_id.clone(), stream.clone());
        }
        let known = self.clients.remove(stream);
        if let Some(client) = evolve(known, event) {
            self.clients.insert(stream.clone(), client);
        }
    }

    /// The client of a live token with the digest to compare; `None` for unknown, revoked and
    /// expired ones.
    pub fn find(&self, key_id: &str, now: Timestamp) -> Option<(&Client, Digest32)> {
        let client = self.clients.get(self.keys.get(key_id)?)?;
        let (digest, expires_at) = client.tokens.get(key_id)?;
        (now < *expires_at).then_some((client, *digest))
    }

    /// Every client.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        self.clients.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClientId, MerchantId};
    use crate::payment::evidence::Mode;

    #[test]
    fn only_live_tokens_are_found() {
        let id = ClientId::parse("bot").unwrap();
        let stream = StreamId::client(&id);
        let merchant = MerchantId::parse("shop").unwrap();
        let mut directory = Directory::default();
        directory.fold(
            &stream,
            &Event::Created {
                id,
                merchant,
                mode: Mode::Test,
            },
        );
        let issued = Event::TokenIssued {
            key_id: "a".into(),
            digest: Digest32([1; 32]),
            expires_at: Timestamp::from_seconds(100),
        };
        directory.fold(&stream, &issued);
        assert!(directory.find("a", Timestamp::from_seconds(99)).is_some());
        assert!(directory.find("a", Timestamp::from_seconds(100)).is_none());
        assert!(directory.find("b", Timestamp::from_seconds(0)).is_none());
        directory.fold(&stream, &Event::TokenRevoked { key_id: "a".into() });
        assert!(directory.find("a", Timestamp::from_seconds(0)).is_none());
        assert_eq!(directory.clients().count(), 1);
    }

    #[test]
    fn a_revoked_client_is_found_by_none_of_its_tokens_and_others_are() {
        let mut directory = Directory::default();
        for (name, keys) in [("bot", ["a", "b"]), ("web", ["c", "d"])] {
            let id = ClientId::parse(name).unwrap();
            let stream = StreamId::client(&id);
            let merchant = MerchantId::parse("shop").unwrap();
            directory.fold(
                &stream,
                &Event::Created {
                    id,
                    merchant,
                    mode: Mode::Test,
                },
            );
            for key_id in keys {
                let (key_id, digest) = (key_id.to_owned(), Digest32([1; 32]));
                let expires_at = Timestamp::from_seconds(100);
                directory.fold(
                    &stream,
                    &Event::TokenIssued {
                        key_id,
                        digest,
                        expires_at,
                    },
                );
            }
        }
        directory.fold(
            &StreamId::client(&ClientId::parse("bot").unwrap()),
            &Event::Revoked {},
        );
        let found = |key_id| {
            directory
                .find(key_id, Timestamp::from_seconds(0))
                .map(|(client, _)| client.id.as_str())
        };
        assert_eq!(
            ["a", "b", "c", "d"].map(found),
            [None, None, Some("web"), Some("web")]
        );
    }
}
