//! Repeats of one command. The stream itself remembers: every event carries the key and the
//! fingerprint of its command, so there is no table of keys and nothing ever expires.

use std::collections::BTreeMap;

use crate::digest::{Digest32, InstanceKey};
use crate::ids::{IdempotencyKey, MerchantId};
use crate::record::Envelope;
use crate::stream::Version;

/// Whose key it is. The same key of another client, or on another route, is another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyScope<'a> {
    /// The merchant.
    pub merchant: &'a MerchantId,
    /// The caller: a client's id, or `operator:<id>`.
    pub caller: &'a str,
    /// Method and path template (`POST /v1/payment-requests`).
    pub route: &'a str,
}

impl KeyScope<'_> {
    /// What the ids of newly created things are derived from, so that a repeated create meets the
    /// same stream.
    pub fn digest(&self, key: &InstanceKey, idempotency_key: &IdempotencyKey) -> Digest32 {
        let parts = [
            self.merchant.as_str(),
            self.caller,
            self.route,
            idempotency_key.as_str(),
        ];
        key.digest("idempotency", &parts.map(str::as_bytes))
    }
}

/// A command's key and content, as events keep them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotency {
    /// HMAC over scope and key.
    pub key_hmac: Digest32,
    /// HMAC over the parsed command.
    pub fingerprint: Digest32,
}

impl Idempotency {
    /// From the caller's key and the canonical bytes of the parsed command.
    pub fn of(
        key: &InstanceKey,
        scope: &KeyScope<'_>,
        idempotency_key: &IdempotencyKey,
        command: &[u8],
    ) -> Self {
        Self {
            key_hmac: scope.digest(key, idempotency_key),
            fingerprint: key.digest("fingerprint", &[command]),
        }
    }
}

/// What a stream remembers of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Never seen here: decide.
    Fresh,
    /// The same command: answer from the events up to this version.
    Same(Version),
    /// The key was used for other content: refuse.
    Different,
}

/// The keys of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replays(BTreeMap<Digest32, (Digest32, Version)>);

impl Replays {
    /// Takes in one event.
    pub fn fold(&mut self, envelope: &Envelope) {
        if let (Some(key), Some(fingerprint)) =
            (envelope.cause.key_hmac, envelope.cause.fingerprint)
        {
            self.0.insert(key, (fingerprint, envelope.stream_version));
        }
    }

    /// Compares a command with what was done.
    pub fn check(&self, command: &Idempotency) -> Replay {
        match self.0.get(&command.key_hmac) {
            None => Replay::Fresh,
            Some((known, version)) if *known == command.fingerprint => Replay::Same(*version),
            Some(_) => Replay::Different,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::envelope;

    fn command(route: &str, key: &str, body: &[u8]) -> Idempotency {
        let merchant = MerchantId::parse("shop").unwrap();
        let scope = KeyScope {
            merchant: &merchant,
            caller: "bot",
            route,
        };
        Idempotency::of(
            &InstanceKey::new([7; 32]),
            &scope,
            &IdempotencyKey::parse(key).unwrap(),
            body,
        )
    }

    #[test]
    fn same_content_is_a_replay_and_other_content_is_refused_a2_a3() {
        let first = command("POST /a", "k1", b"{}");
        let mut stored = envelope(serde_json::json!({}));
        stored.stream_version = Version(4);
        stored.cause.key_hmac = Some(first.key_hmac);
        stored.cause.fingerprint = Some(first.fingerprint);
        let mut replays = Replays::default();
        replays.fold(&stored);
        assert_eq!(replays.check(&first), Replay::Same(Version(4)));
        assert_eq!(
            replays.check(&command("POST /a", "k1", b"{\"x\":1}")),
            Replay::Different
        );
        assert_eq!(
            replays.check(&command("POST /a", "k2", b"{}")),
            Replay::Fresh
        );
        assert_eq!(
            replays.check(&command("POST /b", "k1", b"{}")),
            Replay::Fresh
        );
    }
}
