//! Exceptions: what a person must decide. A request may have several at once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is out of order. The docs have a page on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")] // The names are pinned one by one in `tests/wire.rs`.
pub enum ExceptionKind {
    /// Less than what is due (row D1).
    Underpaid,
    /// A part was there when the time was over or the request was called off (rows D9, E14).
    UnderpaidAtExpiry,
    /// More than what is due (row D4).
    Overpaid,
    /// Another currency (row D6).
    CurrencyMismatch,
    /// Another merchant account (row D7).
    AccountMismatch,
    /// The provider cannot prove the amount (row D8).
    UnprovableAmount,
    /// Paid a second time (rows B3, B6).
    DuplicatePayment,
    /// Two statements of the provider that cannot both be true (rows B2, C3, C8).
    ProviderContradiction,
    /// Money after expiry (rows E3, E6).
    LatePayment,
    /// Money in time, told after expiry (row E7).
    LateNotification,
    /// Money after a cancel (row E11).
    PaidAfterCancel,
    /// Money for a request that another one replaced (row E15).
    PaidSuperseded,
    /// Nobody knows the status (rows A17, E5).
    StatusUnknown,
    /// Nobody knows whether the provider registered the attempt (row A7).
    RegistrationUncertain,
    /// A hold where only captures are configured (row A14).
    UnexpectedHold,
    /// A precheck with other terms than ours (row A10).
    TamperedTerms,
    /// Money that no request explains (row G1).
    OrphanPayment,
    /// An attempt that we never started (row G3).
    ForeignAttempt,
    /// A transaction that already paid another request (row G4).
    TxnReused,
    /// The provider's order is not the attempt's (row G5).
    IdentityMismatch,
    /// A request of another merchant was named (row G6).
    TenantMismatch,
    /// Test money on a live account, or the reverse (row G7).
    ModeMismatch,
    /// A customer says that they paid; the provider says not (row H1).
    PayerNotice,
    /// A refund that we did not ask for (row F7).
    UnrequestedRefund,
    /// A void that we did not ask for (row F10).
    UnrequestedVoid,
    /// A refund of ours did not happen (row F5).
    RefundFailed,
    /// Nobody knows whether a refund of ours happened (row F6).
    RefundUncertain,
    /// A refund came back (row F9).
    RefundReversed,
    /// A reversal of money that we never saw (row C6).
    ReversalWithoutCapture,
    /// A dispute is open (row F11).
    Dispute,
    /// Refunded and disputed (row F14).
    RefundAndDispute,
    /// Paid by decision; money is yet to prove it (row H4).
    OverrideUnproven,
    /// Paid by decision, and no money came in time (row H6).
    OverrideUnsubstantiated,
    /// Money of a payment that people took back (row H7).
    VerificationRevoked,
}

/// How urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// Within five days.
    #[serde(rename = "low")]
    Low,
    /// Within two days.
    #[serde(rename = "medium")]
    Medium,
    /// Within a day.
    #[serde(rename = "high")]
    High,
    /// Within four hours.
    #[serde(rename = "critical")]
    Critical,
}

/// What ends a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The event that moves the money which it holds: acceptance, refund, reassignment, keeping it.
    Money,
    /// The provider's word, and nothing that a person says.
    Provider,
    /// The provider's word, or a person with evidence where the provider cannot be asked.
    RefundAnswer,
    /// Money that proves it, a revocation, or a person who writes it off.
    WriteOff,
    /// A person who looked at it.
    Person,
}

impl Severity {
    /// How long a person has.
    pub fn due_within(self) -> Duration {
        const HOUR: u64 = 3600;
        Duration::from_secs(match self {
            Self::Low => 120 * HOUR,
            Self::Medium => 48 * HOUR,
            Self::High => 24 * HOUR,
            Self::Critical => 4 * HOUR,
        })
    }

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl ExceptionKind {
    /// How urgent it is, by the table of cases.
    pub fn severity(self) -> Severity {
        match self {
            Self::AccountMismatch
            | Self::TxnReused
            | Self::IdentityMismatch
            | Self::TenantMismatch
            | Self::RefundAndDispute => Severity::Critical,
            Self::Underpaid
            | Self::CurrencyMismatch
            | Self::UnprovableAmount
            | Self::DuplicatePayment
            | Self::ProviderContradiction
            | Self::LatePayment
            | Self::PaidAfterCancel
            | Self::PaidSuperseded
            | Self::OrphanPayment
            | Self::ForeignAttempt
            | Self::RefundReversed
            | Self::RefundUncertain
            | Self::UnrequestedVoid
            | Self::Dispute
            | Self::OverrideUnsubstantiated
            | Self::VerificationRevoked => Severity::High,
            Self::Overpaid
            | Self::UnderpaidAtExpiry
            | Self::LateNotification
            | Self::StatusUnknown
            | Self::UnexpectedHold
            | Self::TamperedTerms
            | Self::ModeMismatch
            | Self::UnrequestedRefund
            | Self::RefundFailed
            | Self::ReversalWithoutCapture => Severity::Medium,
            Self::RegistrationUncertain | Self::PayerNotice | Self::OverrideUnproven => {
                Severity::Low
            }
        }
    }

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Underpaid => "underpaid",
            Self::UnderpaidAtExpiry => "underpaid_at_expiry",
            Self::Overpaid => "overpaid",
            Self::CurrencyMismatch => "currency_mismatch",
            Self::AccountMismatch => "account_mismatch",
            Self::UnprovableAmount => "unprovable_amount",
            Self::DuplicatePayment => "duplicate_payment",
            Self::ProviderContradiction => "provider_contradiction",
            Self::LatePayment => "late_payment",
            Self::LateNotification => "late_notification",
            Self::PaidAfterCancel => "paid_after_cancel",
            Self::PaidSuperseded => "paid_superseded",
            Self::StatusUnknown => "status_unknown",
            Self::RegistrationUncertain => "registration_uncertain",
            Self::UnexpectedHold => "unexpected_hold",
            Self::TamperedTerms => "tampered_terms",
            Self::OrphanPayment => "orphan_payment",
            Self::ForeignAttempt => "foreign_attempt",
            Self::TxnReused => "txn_reused",
            Self::IdentityMismatch => "identity_mismatch",
            Self::TenantMismatch => "tenant_mismatch",
            Self::ModeMismatch => "mode_mismatch",
            Self::PayerNotice => "payer_notice",
            Self::UnrequestedRefund => "unrequested_refund",
            Self::UnrequestedVoid => "unrequested_void",
            Self::RefundFailed => "refund_failed",
            Self::RefundUncertain => "refund_uncertain",
            Self::RefundReversed => "refund_reversed",
            Self::ReversalWithoutCapture => "reversal_without_capture",
            Self::Dispute => "dispute",
            Self::RefundAndDispute => "refund_and_dispute",
            Self::OverrideUnproven => "override_unproven",
            Self::OverrideUnsubstantiated => "override_unsubstantiated",
            Self::VerificationRevoked => "verification_revoked",
        }
    }

    /// What ends a case of this kind.
    pub fn ends_by(self) -> Ending {
        match self {
            Self::Underpaid
            | Self::UnderpaidAtExpiry
            | Self::Overpaid
            | Self::CurrencyMismatch
            | Self::AccountMismatch
            | Self::DuplicatePayment
            | Self::LatePayment
            | Self::LateNotification
            | Self::PaidAfterCancel
            | Self::PaidSuperseded
            | Self::OrphanPayment
            | Self::TenantMismatch
            | Self::RefundReversed
            | Self::VerificationRevoked => Ending::Money,
            Self::Dispute => Ending::Provider,
            Self::RefundUncertain => Ending::RefundAnswer,
            Self::OverrideUnproven | Self::OverrideUnsubstantiated => Ending::WriteOff,
            Self::UnprovableAmount
            | Self::ProviderContradiction
            | Self::StatusUnknown
            | Self::RegistrationUncertain
            | Self::UnexpectedHold
            | Self::TamperedTerms
            | Self::ForeignAttempt
            | Self::TxnReused
            | Self::IdentityMismatch
            | Self::ModeMismatch
            | Self::PayerNotice
            | Self::UnrequestedRefund
            | Self::UnrequestedVoid
            | Self::RefundFailed
            | Self::ReversalWithoutCapture
            | Self::RefundAndDispute => Ending::Person,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_urgent_is_due_sooner() {
        let all = [
            Severity::Low,
            Severity::Medium,
            Severity::High,
            Severity::Critical,
        ];
        assert!(all.is_sorted() && all.map(Severity::due_within).is_sorted_by(|a, b| a > b));
    }
}
