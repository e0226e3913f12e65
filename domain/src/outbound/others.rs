//! What others hear of streams that are no payment request: money in suspense, and test events.

use serde_json::json;

use super::{EventName, Outbound, cloud_event, exception};
use crate::codec::{CodecError, decode};
use crate::digest::Digest32;
use crate::record::Envelope;
use crate::{subscriber, unmatched};

/// What others hear of money that no request explains. Its subject is the unmatched id.
///
/// # Errors
/// [`CodecError`].
pub fn unmatched_event(
    envelope: &Envelope,
    leaf_hash: Digest32,
) -> Result<Option<Outbound>, CodecError> {
    let (name, mut data) = match decode(envelope)? {
        unmatched::Event::ExceptionOpened {
            case,
            kind,
            severity,
            due,
            ..
        } => (
            EventName::ExceptionOpened,
            exception(&case, kind, severity, due),
        ),
        unmatched::Event::ExceptionResolved { case, resolution } => (
            EventName::ExceptionResolved,
            json!({ "case": case, "resolution": resolution }),
        ),
        unmatched::Event::Observed(_)
        | unmatched::Event::Resolved(_)
        | unmatched::Event::ExceptionAssigned { .. } => return Ok(None),
    };
    let subject = envelope.stream.key().to_owned();
    data["merchant_id"] = json!(envelope.merchant);
    data["log"] = json!({ "origin": envelope.origin, "leaf_hash": leaf_hash });
    let body = cloud_event(envelope, name, &subject, data)?;
    Ok(Some(Outbound {
        name,
        subject,
        scenario: None,
        body,
    }))
}

/// A test event, for one subscriber.
///
/// # Errors
/// [`CodecError`].
pub fn test_event(
    envelope: &Envelope,
    leaf_hash: Digest32,
) -> Result<Option<Outbound>, CodecError> {
    match decode(envelope)? {
        subscriber::Event::TestRequested {} => {
            let name = EventName::DeliveryTest;
            let subject = envelope.stream.key().to_owned();
            let data = json!({ "is_test": true, "log": { "origin": envelope.origin, "leaf_hash": leaf_hash } });
            let body = cloud_event(envelope, name, &subject, data)?;
            Ok(Some(Outbound {
                name,
                subject,
                scenario: None,
                body,
            }))
        }
        subscriber::Event::Registered { .. }
        | subscriber::Event::EndpointChanged { .. }
        | subscriber::Event::SubscriptionChanged { .. }
        | subscriber::Event::DeliveryPolicyChanged { .. }
        | subscriber::Event::StaticHeadersChanged { .. }
        | subscriber::Event::SigningKeyAdded { .. }
        | subscriber::Event::SigningKeyRetired { .. }
        | subscriber::Event::BackfillRequested { .. }
        | subscriber::Event::Paused { .. }
        | subscriber::Event::Resumed {}
        | subscriber::Event::CircuitOpened { .. }
        | subscriber::Event::CircuitClosed {}
        | subscriber::Event::BatchRequested { .. }
        | subscriber::Event::BatchFinished { .. }
        | subscriber::Event::BatchCancelled { .. }
        | subscriber::Event::Removed {} => Ok(None),
    }
}
