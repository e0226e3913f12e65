//! Which problem an application error is. The only mapping between the two.

use domain::ids::PaymentRequestId;
use domain::ports::Outcome;
use domain::{payment, quote};
use serde_json::json;

use super::problem::{self, Problem};
use crate::app::error::AppError;

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        let sentence = error.to_string();
        match error {
            AppError::Payment(payment::Refusal::OverRefund { refundable }) => {
                Self::new(&problem::OVER_REFUND)
                    .detail(sentence)
                    .member("refundable_minor", refundable.0.to_string())
            }
            AppError::Payment(refusal) => of_refusal(&refusal).detail(sentence),
            AppError::Quote(quote::Refusal::Expired { .. }) => {
                Self::new(&problem::QUOTE_EXPIRED).detail(sentence)
            }
            AppError::Quote(quote::Refusal::ValidityInThePast)
            | AppError::Catalogue(_)
            | AppError::UnknownAccount
            | AppError::UnknownEvidence => Self::new(&problem::REFUSED).detail(sentence),
            AppError::Scenario(_) => Self::new(&problem::SCENARIO_REFUSED).detail(sentence),
            AppError::Subscriber(_)
            | AppError::Delivery(_)
            | AppError::Client(_)
            | AppError::Operator(_) => Self::new(&problem::STATE_CONFLICT).detail(sentence),
            AppError::Password(_) | AppError::Case(_) => {
                Self::new(&problem::REFUSED).detail(sentence)
            }
            AppError::SignInRefused => Self::new(&problem::SIGN_IN_REFUSED),
            AppError::Ticket(_) => Self::new(&problem::TICKET_REFUSED).detail(sentence),
            AppError::ProposalLapsed { changed } => Self::new(&problem::PROPOSAL_LAPSED)
                .detail(sentence)
                .member("changed", json!(changed)),
            AppError::EvidenceGone => Self::new(&problem::EVIDENCE_GONE),
            AppError::ProposalDecided { approved, by, at } => {
                let decision = if approved { "approved" } else { "rejected" };
                Self::new(&problem::PROPOSAL_DECIDED)
                    .detail(sentence)
                    .member("decision", decision)
                    .member("decided_by", by.display())
                    .member("decided_at", json!(at))
            }
            AppError::Forbidden { .. } => Self::new(&problem::FORBIDDEN).detail(sentence),
            AppError::NotFound { .. } => Self::new(&problem::NOT_FOUND).detail(sentence),
            AppError::IdempotencyMismatch => Self::new(&problem::IDEMPOTENCY_MISMATCH),
            AppError::OpenRequestExists { id } => {
                named(Self::new(&problem::OPEN_REQUEST_EXISTS), id.as_ref())
            }
            AppError::OrderAlreadyPaid { id } => named(
                Self::new(&problem::ALREADY_PAID).detail(sentence),
                id.as_ref(),
            ),
            AppError::OtherQueue => Self::new(&problem::OTHER_LOG).detail(sentence),
            AppError::QuoteUsed => Self::new(&problem::QUOTE_USED),
            AppError::Contended => Self::new(&problem::OVERLOADED).detail(sentence),
            AppError::StoreUnavailable { outcome, cause } => {
                let cause = cause.map(|cause| cause.to_string()).unwrap_or_default();
                tracing::warn!(%outcome, error = %cause, "store.unavailable");
                let detail = match outcome {
                    Outcome::NotApplied => "nothing was changed",
                    Outcome::Unknown => {
                        "it is not known whether the command was applied; repeating it is safe"
                    }
                };
                Self::new(&problem::STORE_UNAVAILABLE).detail(detail)
            }
            AppError::ViewsUnavailable(cause) => {
                tracing::warn!(error = %cause, "views.unavailable");
                Self::new(&problem::STORE_UNAVAILABLE)
            }
            AppError::StoreFull => Self::new(&problem::STORAGE_FULL).retry_after(5),
            AppError::ProviderUnavailable { held } => Self::new(&problem::PROVIDER_UNAVAILABLE)
                .detail(sentence)
                .retry_after(held.seconds()),
            AppError::RefundCurrency { .. } => {
                Self::new(&problem::REFUND_CURRENCY).detail(sentence)
            }
            AppError::RefundsUnsupported => Self::new(&problem::REFUNDS_UNSUPPORTED),
            AppError::CardNumber => Self::new(&problem::CARD_NUMBER),
            AppError::Bug(cause) => {
                tracing::error!(error = %cause, "internal");
                Self::new(&problem::INTERNAL)
            }
        }
    }
}

fn named(problem: Problem, id: Option<&PaymentRequestId>) -> Problem {
    match id {
        Some(id) => problem.member("payment_request_id", id.as_str()),
        None => problem,
    }
}

fn of_refusal(refusal: &payment::Refusal) -> Problem {
    use payment::Refusal as R;
    Problem::new(match refusal {
        R::UnknownRequest => &problem::NOT_FOUND,
        R::AlreadyPaid => &problem::ALREADY_PAID,
        R::NotPayable { .. } => &problem::NOT_PAYABLE,
        R::PaymentInFlight => &problem::PAYMENT_IN_FLIGHT,
        R::AlreadyCreated
        | R::NotYetDue { .. }
        | R::RefundExists
        | R::RefundPending
        | R::NotPaid
        | R::CaseClosed
        | R::CaseHoldsMoney
        | R::NothingUnapplied
        | R::Superseded
        | R::DisputeOpen
        | R::ProposalOpen
        | R::ProposalClosed => &problem::STATE_CONFLICT,
        R::UnknownRefund | R::UnknownCase | R::UnknownProposal | R::UnknownCapture => {
            &problem::NOT_FOUND
        }
        R::FourEyes => &problem::FOUR_EYES,
        R::ExpiryInThePast
        | R::AccountNotAllowed { .. }
        | R::UnknownAttempt { .. }
        | R::TooManyAttempts { .. }
        | R::TooManyNotices { .. }
        | R::TooManyRefunds { .. }
        | R::NotThisWay { .. }
        | R::NotEnough { .. }
        | R::SameRequest
        | R::OverridesNotAllowed
        | R::TooManyProposals { .. } => &problem::REFUSED,
        R::OverRefund { .. } => &problem::OVER_REFUND,
    })
}
