//! Provider money that no request explains (rows G1, G6). It is kept in suspense and never matched
//! by amount: a person decides. Stream `unmatched-<HMAC of the capture's identity>`.

use serde::{Deserialize, Serialize};

use crate::codec::DomainEvent;
use crate::digest::InstanceKey;
use crate::ids::{CaseId, OperatorId, PaymentRequestId, ProviderRef, TransferId};
use crate::money::{MinorText, Money};
use crate::payment::event::Resolution;
use crate::payment::evidence::EvidenceClass;
use crate::payment::exception::{ExceptionKind, Severity};
use crate::payment::{CaptureKey, Refusal, Transfer};
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

/// What a person found that the money is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "as")]
pub enum Settlement {
    /// The money of a payment request of the same merchant and currency. It arrives there by the
    /// transfer.
    #[serde(rename = "to")]
    To {
        /// The transfer; the same at both ends.
        transfer: TransferId,
        /// That request.
        to: PaymentRequestId,
    },
    /// Nobody's: it went back to where it came from.
    #[serde(rename = "given_back")]
    GivenBack {},
    /// The shop's income.
    #[serde(rename = "kept_as_income")]
    KeptAsIncome {},
}

impl Settlement {
    /// How its case ends.
    pub fn resolution(&self) -> Resolution {
        match self {
            Self::To { .. } => Resolution::Reassigned,
            Self::GivenBack {} => Resolution::Refunded,
            Self::KeptAsIncome {} => Resolution::KeptAsIncome,
        }
    }
}

/// The events of `unmatched-<hash>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// Money came that nothing explains.
    #[serde(rename = "UnmatchedPaymentObserved")]
    Observed(Unmatched),
    /// A person decided what it is.
    #[serde(rename = "UnmatchedPaymentResolved")]
    Resolved(Settlement),
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
    /// Somebody looks after the case, or nobody any more.
    #[serde(rename = "ExceptionAssigned")]
    ExceptionAssigned {
        /// The case.
        case: CaseId,
        /// Who.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<OperatorId>,
    },
    /// The case is closed.
    #[serde(rename = "ExceptionResolved")]
    ExceptionResolved {
        /// The case.
        case: CaseId,
        /// How.
        resolution: Resolution,
    },
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("UnmatchedPaymentObserved", 1),
        ("UnmatchedPaymentResolved", 1),
        ("ExceptionOpened", 1),
        ("ExceptionAssigned", 1),
        ("ExceptionResolved", 1),
    ];
}

/// Money in suspense, folded from its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspense {
    /// The money.
    pub money: Unmatched,
    /// The case that asks a person.
    pub case: Option<CaseId>,
    /// What is out of order.
    pub kind: Option<ExceptionKind>,
    /// Who looks after it.
    pub assignee: Option<OperatorId>,
    /// What a person found that it is; `None` while it waits.
    pub settlement: Option<Settlement>,
}

impl Suspense {
    /// The request that owns the money now, and what it is to receive.
    pub fn sent(&self, from: &StreamId) -> Option<(PaymentRequestId, Transfer)> {
        let Some(Settlement::To { transfer, to }) = &self.settlement else {
            return None;
        };
        let sent = Transfer {
            transfer: transfer.clone(),
            from: from.clone(),
            capture: self.money.capture.clone(),
            amount: self.money.amount,
            class: self.money.class,
            provider_time: self.money.provider_time,
            refunded: MinorText(0),
            reversals: vec![],
        };
        Some((to.clone(), sent))
    }

    /// The case, if it is this one and still open.
    fn open(&self, case: &CaseId) -> Result<(), Refusal> {
        if self.case.as_ref() != Some(case) {
            Err(Refusal::UnknownCase)
        } else if self.settlement.is_some() {
            Err(Refusal::CaseClosed)
        } else {
            Ok(())
        }
    }
}

/// Folds one event. `None` only before the first one.
pub fn evolve(suspense: Option<Suspense>, event: &Event) -> Option<Suspense> {
    let Some(mut known) = suspense else {
        return match event {
            Event::Observed(money) => Some(Suspense {
                money: money.clone(),
                case: None,
                kind: None,
                assignee: None,
                settlement: None,
            }),
            Event::Resolved(_)
            | Event::ExceptionOpened { .. }
            | Event::ExceptionAssigned { .. }
            | Event::ExceptionResolved { .. } => None,
        };
    };
    match event {
        Event::Observed(_) | Event::ExceptionResolved { .. } => {}
        Event::Resolved(settlement) => known.settlement = Some(settlement.clone()),
        Event::ExceptionOpened { case, kind, .. } => {
            (known.case, known.kind) = (Some(case.clone()), Some(*kind));
        }
        Event::ExceptionAssigned { to, .. } => known.assignee = to.clone(),
    }
    Some(known)
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

/// A person decides what the money is. The same decision again gives no event.
///
/// # Errors
/// [`Refusal::UnknownCase`], [`Refusal::CaseClosed`].
pub fn resolve(
    known: &Suspense,
    case: &CaseId,
    settlement: &Settlement,
) -> Result<Vec<Event>, Refusal> {
    #[cfg(feature = "planted")]
    if let Some(wrong) = crate::payment::planted::resolve_unmatched(known, case, settlement) {
        return wrong;
    }
    if known.case.as_ref() == Some(case) && known.settlement.as_ref() == Some(settlement) {
        return Ok(vec![]);
    }
    known.open(case)?;
    Ok(vec![
        Event::Resolved(settlement.clone()),
        Event::ExceptionResolved {
            case: case.clone(),
            resolution: settlement.resolution(),
        },
    ])
}

/// Somebody looks after the case, or nobody any more. The same again gives no event.
///
/// # Errors
/// [`Refusal::UnknownCase`], [`Refusal::CaseClosed`].
pub fn assign(
    known: &Suspense,
    case: &CaseId,
    to: Option<&OperatorId>,
) -> Result<Vec<Event>, Refusal> {
    known.open(case)?;
    if known.assignee.as_ref() == to {
        return Ok(vec![]);
    }
    Ok(vec![Event::ExceptionAssigned {
        case: case.clone(),
        to: to.cloned(),
    }])
}

#[cfg(test)]
#[path = "unmatched_tests.rs"]
mod tests;
