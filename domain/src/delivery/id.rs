//! The id of a delivery follows from subscriber and event: no table, no counter, equal on every
//! node, retry, redrive and rebuild. Receivers drop repeats by it.

use crate::digest::{Digest32, base32};
use crate::ids::{DeliveryId, EventId, SubscriberId};

/// `dlv_` + base 32 of the first 20 bytes of
/// `SHA-256("counterfoil/delivery/v1|" + subscriber + "|" + event)`.
pub fn delivery_id(subscriber: &SubscriberId, event: EventId) -> DeliveryId {
    let text = format!("counterfoil/delivery/v1|{subscriber}|{event}");
    let digest = Digest32::sha256(&[text.as_bytes()]);
    DeliveryId::parse(format!("dlv_{}", base32(&digest.0[..20])))
        .expect("a prefix and 32 characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pairs_have_equal_ids() {
        let event = EventId::parse("01a211ee-8e3c-7f2d-b06e-4abf8e374880").unwrap();
        let id = |name: &str| delivery_id(&SubscriberId::parse(name).unwrap(), event);
        assert_eq!(id("crm"), id("crm"));
        assert_ne!(id("crm"), id("erp"));
        assert_eq!(id("crm").as_str().len(), 36);
        assert!(!id("crm").as_str().contains('.'));
    }
}
