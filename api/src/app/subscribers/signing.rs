//! What makes an event authentic to its receiver: the keys that sign for a subscriber right now, and the
//! headers of Standard Webhooks. The same for what is sent and for what is fetched.

use std::cmp::Reverse;

use domain::delivery::signature::Signer;
use domain::ids::{DeliveryId, KeyId};
use domain::ports::SecretPurpose;
use domain::subscriber::{KEYS_MAX, Subscriber};
use domain::time::Timestamp;

use super::App;
use crate::app::error::AppError;

/// A key that signs, by its name.
pub type LiveKey = (KeyId, Signer);

impl App {
    /// What signs for a subscriber: shared secrets first, since every library looks for those; of each
    /// kind the newest first.
    ///
    /// # Errors
    /// [`AppError`]: the keyring is away.
    pub async fn live_keys(&self, subscriber: &Subscriber) -> Result<Vec<LiveKey>, AppError> {
        let purpose = SecretPurpose::Subscriber(subscriber.id.to_string());
        let now = self.recorder.now();
        let mut live = self
            .secrets
            .active(&subscriber.merchant, &purpose, now)
            .await?;
        // A key's end counts from the log, whether the keyring knows of it or not.
        let over = |key: &KeyId| subscriber.keys.get(key)?.valid_until;
        live.retain(|secret| over(&secret.key_id).is_none_or(|until| until > now));
        live.sort_by_key(|secret| Reverse(secret.valid_from));
        let signers = live
            .into_iter()
            .filter_map(|secret| Some((secret.key_id, Signer::parse(&secret.value)?)));
        let (mut shared, mut pairs): (Vec<_>, Vec<_>) =
            signers.partition(|(_, signer)| matches!(signer, Signer::V1(_)));
        shared.truncate(KEYS_MAX);
        pairs.truncate(KEYS_MAX);
        shared.extend(pairs);
        Ok(shared)
    }
}

/// The headers that say which event it is and that it is ours: the id of the delivery, the time of
/// signing, and a signature of each key.
pub fn signed_headers(
    keys: &[LiveKey],
    id: &DeliveryId,
    body: &str,
    at: Timestamp,
) -> [(&'static str, String); 4] {
    let seconds = at.seconds();
    let signatures: Vec<String> = keys
        .iter()
        .map(|(_, signer)| signer.sign(id.as_str(), seconds, body.as_bytes()))
        .collect();
    [
        (
            "content-type",
            "application/cloudevents+json; charset=utf-8".to_owned(),
        ),
        ("webhook-id", id.to_string()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ]
}
