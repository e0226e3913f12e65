//! All callers in memory, folded from `client-*` and `operator-*`, so that authentication reads no
//! store.

use std::collections::BTreeMap;

use super::client::{self, Client};
use super::operator::{self, Operator};
use crate::digest::Digest32;
use crate::stream::StreamId;
use crate::time::Timestamp;

/// Clients by stream and by the key ids of their tokens; persons by stream and by their sessions.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    clients: BTreeMap<StreamId, Client>,
    keys: BTreeMap<String, StreamId>,
    operators: BTreeMap<StreamId, Operator>,
    sessions: BTreeMap<String, StreamId>,
}

impl Directory {
    /// Takes in one event of a client.
    pub fn fold(&mut self, stream: &StreamId, event: &client::Event) {
        if let client::Event::TokenIssued { key_id, .. } = event {
            self.keys.insert(key_id.clone(), stream.clone());
        }
        let known = self.clients.remove(stream);
        if let Some(client) = client::evolve(known, event) {
            self.clients.insert(stream.clone(), client);
        }
    }

    /// Takes in one event of a person.
    pub fn fold_operator(&mut self, stream: &StreamId, event: &operator::Event) {
        let known = self.operators.remove(stream);
        for key_id in known.iter().flat_map(|known| known.sessions.keys()) {
            self.sessions.remove(key_id);
        }
        if let Some(operator) = operator::evolve(known, event) {
            let live = operator.sessions.keys();
            self.sessions
                .extend(live.map(|key_id| (key_id.clone(), stream.clone())));
            self.operators.insert(stream.clone(), operator);
        }
    }

    /// The client of a live token with the digest to compare; `None` for unknown, revoked and
    /// expired ones.
    pub fn find(&self, key_id: &str, now: Timestamp) -> Option<(&Client, Digest32)> {
        let client = self.clients.get(self.keys.get(key_id)?)?;
        let (digest, expires_at) = client.tokens.get(key_id)?;
        (now < *expires_at).then_some((client, *digest))
    }

    /// The person of a live session with the digest to compare; `None` for unknown, ended and
    /// expired ones.
    pub fn find_session(&self, key_id: &str, now: Timestamp) -> Option<(&Operator, Digest32)> {
        let operator = self.operators.get(self.sessions.get(key_id)?)?;
        let session = operator.sessions.get(key_id)?;
        (now < session.expires_at).then_some((operator, session.digest))
    }

    /// Every person.
    pub fn operators(&self) -> impl Iterator<Item = &Operator> {
        self.operators.values()
    }

    /// Every client.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        self.clients.values()
    }
}

#[cfg(test)]
mod tests {
    use super::client::Event;
    use super::*;
    use crate::ids::{ClientId, KeyId, MerchantId, OperatorId};
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

    #[test]
    fn only_live_sessions_are_found() {
        let id = OperatorId::parse("ann").unwrap();
        let stream = StreamId::operator(&id);
        let mut directory = Directory::default();
        let created = operator::Event::Created {
            id,
            merchant: MerchantId::parse("shop").unwrap(),
            mode: Mode::Test,
        };
        let session = |key_id: &str| operator::Event::SessionStarted {
            key_id: key_id.to_owned(),
            digest: Digest32([1; 32]),
            expires_at: Timestamp::from_seconds(100),
            totp_step: None,
        };
        for event in [created, session("a"), session("b")] {
            directory.fold_operator(&stream, &event);
        }
        let found = |directory: &Directory, key_id, seconds| {
            let now = Timestamp::from_seconds(seconds);
            directory.find_session(key_id, now).is_some()
        };
        assert!(found(&directory, "a", 99) && !found(&directory, "a", 100));
        assert!(directory.find("a", Timestamp::from_seconds(0)).is_none());
        let ended = operator::Event::SessionEnded {
            key_id: "a".into(),
            why: operator::SessionEnd::Ended,
        };
        directory.fold_operator(&stream, &ended);
        assert!(!found(&directory, "a", 0) && found(&directory, "b", 0));
        let changed = operator::Event::PasswordSet {
            key_id: KeyId::parse("pw-1").unwrap(),
        };
        directory.fold_operator(&stream, &changed);
        assert!(!found(&directory, "b", 0) && directory.sessions.is_empty());
        assert_eq!(directory.operators().count(), 1);
    }
}
