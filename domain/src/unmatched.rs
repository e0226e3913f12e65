//! Provider money that no request explains (rows G1, G6). It is kept in suspense and never matched
//! by amount: a person decides. Stream `unmatched-<HMAC of the capture's identity>`.

use serde::{Deserialize, Serialize};

use crate::codec::DomainEvent;
use crate::digest::InstanceKey;
use crate::ids::{CaseId, ProviderRef};
use crate::money::Money;
use crate::payment::CaptureKey;
use crate::payment::evidence::EvidenceClass;
use crate::payment::exception::{ExceptionKind, Severity};
use crate::stream::StreamId;
use crate::time::{ProviderTime, Timestamp};

/// The money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    /// Which movement of money.
    pub capture: CaptureKey,
    /// How much.
    pub amount: Money,
    /// How well it is proved.
    pub class: EvidenceClass,
    /// What the provider repeated as our reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub our_reference: Option<ProviderRef>,
    /// The provider's order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_order_ref: Option<ProviderRef>,
    /// When, by the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_time: Option<ProviderTime>,
}

/// The events of `unmatched-<hash>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// Money came that nothing explains.
    #[serde(rename = "UnmatchedPaymentObserved")]
    Observed(Unmatched),
    /// A person must decide.
    #[serde(rename = "ExceptionOpened")]
    ExceptionOpened {
        /// The case.
        case: CaseId,
        /// What is out of order.
        kind: ExceptionKind,
        /// How urgent.
        severity: Severity,
        /// Decide before.
        due: Timestamp,
        /// What it is about.
        about: String,
        /// The money that it holds.
        capture: CaptureKey,
    },
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] =
        &[("UnmatchedPaymentObserved", 1), ("ExceptionOpened", 1)];
}

/// The stream of a movement of money.
pub fn stream_of(key: &InstanceKey, capture: &CaptureKey) -> StreamId {
    StreamId::unmatched(&key.digest("unmatched", &[capture.to_string().as_bytes()]))
}

/// Observes money once; a repeat gives no event.
pub fn observe(
    known: bool,
    stream: &StreamId,
    money: Unmatched,
    kind: ExceptionKind,
    now: Timestamp,
) -> Vec<Event> {
    if known {
        return vec![];
    }
    let case = CaseId::parse(format!("{stream}~1")).expect("a stream, '~' and a number");
    let severity = kind.severity();
    let (capture, about) = (money.capture.clone(), money.capture.to_string());
    let due = now.plus(severity.due_within());
    vec![
        Event::Observed(money),
        Event::ExceptionOpened {
            case,
            kind,
            severity,
            due,
            about,
            capture,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    #[test]
    fn orphan_money_is_kept_once_with_one_case_g1() {
        let capture = CaptureKey::parse("sim/main/tx/1").unwrap();
        assert_eq!(capture.transaction.as_str(), "tx/1");
        let stream = stream_of(&InstanceKey::new([1; 32]), &capture);
        let money = Unmatched {
            capture,
            amount: Money::new(5, Currency::from_code("AMD").unwrap()).unwrap(),
            class: EvidenceClass::LookedUp,
            our_reference: None,
            provider_order_ref: None,
            provider_time: None,
        };
        let now = Timestamp::from_seconds(0);
        let events = observe(
            false,
            &stream,
            money.clone(),
            ExceptionKind::OrphanPayment,
            now,
        );
        assert!(matches!(
            &events[..],
            [
                Event::Observed(_),
                Event::ExceptionOpened {
                    severity: Severity::High,
                    ..
                }
            ]
        ));
        assert_eq!(
            observe(true, &stream, money, ExceptionKind::OrphanPayment, now),
            vec![]
        );
    }
}
