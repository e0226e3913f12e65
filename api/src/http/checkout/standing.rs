//! How a payment stands for its payer: the bot's word, told apart where a payer has to do something
//! else. It says *paid* when the ledger does and never before, whoever came back from where.

use domain::payment::event::AttemptEnd;
use domain::payment::request::{Attempt, AttemptState};
use domain::payment::{BotLabel, Label, Request};
use domain::time::Timestamp;

use super::texts::Texts;

/// What the page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It can be paid.
    Payable,
    /// An attempt is being registered at the provider.
    Opening,
    /// Something may have been paid, and the provider is being asked.
    Confirming,
    /// The provider is at it.
    Processing,
    /// A person looks at it.
    InReview,
    /// Paid.
    Paid,
    /// Paid, and a part went back.
    PartlyRefunded,
    /// All went back.
    Refunded,
    /// Too late.
    Expired,
    /// Called off.
    Cancelled,
}

impl Standing {
    /// Of a request at `now`; `returned` when the payer comes back from the provider.
    pub(super) fn of(request: &Request, now: Timestamp, returned: bool) -> Self {
        match request.bot_label() {
            BotLabel::Pending => Self::of_pending(request, now, returned),
            BotLabel::InReview => Self::InReview,
            BotLabel::Paid if request.label() == Label::PartiallyRefunded => Self::PartlyRefunded,
            BotLabel::Paid => Self::Paid,
            BotLabel::Refunded => Self::Refunded,
            BotLabel::Expired => Self::Expired,
            BotLabel::Cancelled => Self::Cancelled,
        }
    }

    fn of_pending(request: &Request, now: Timestamp, returned: bool) -> Self {
        let any = |is: fn(&Attempt) -> bool| request.attempts().values().any(is);
        let over = now >= request.terms().expires_at;
        if any(Attempt::in_flight) {
            Self::Processing
        } else if any(|attempt| attempt.state == AttemptState::Uncertain) {
            Self::Confirming
        } else if any(|attempt| attempt.state == AttemptState::Started) {
            Self::Opening
        } else if (over || returned) && any(Attempt::may_still_pay) {
            Self::Confirming
        } else if over {
            Self::Expired
        } else {
            Self::Payable
        }
    }

    /// Its name in the page's markup and in the `ETag`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Payable => "payable",
            Self::Opening => "opening",
            Self::Confirming => "confirming",
            Self::Processing => "processing",
            Self::InReview => "in_review",
            Self::Paid => "paid",
            Self::PartlyRefunded => "partly_refunded",
            Self::Refunded => "refunded",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// A title and a sentence.
    pub(super) fn told(self, texts: &Texts) -> (&'static str, &'static str) {
        match self {
            Self::Payable => (texts.payable_title, texts.payable_text),
            Self::Opening => (texts.opening_title, texts.opening_text),
            Self::Confirming => (texts.confirming_title, texts.confirming_text),
            Self::Processing => (texts.processing_title, texts.processing_text),
            Self::InReview => (texts.review_title, texts.review_text),
            Self::Paid => (texts.paid_title, texts.paid_text),
            Self::PartlyRefunded => (texts.partly_refunded_title, texts.partly_refunded_text),
            Self::Refunded => (texts.refunded_title, texts.refunded_text),
            Self::Expired => (texts.expired_title, texts.expired_text),
            Self::Cancelled => (texts.cancelled_title, texts.cancelled_text),
        }
    }

    /// How often the page looks for news, in seconds; `None` when there is none to come.
    pub(super) fn look_again_s(self) -> Option<u32> {
        match self {
            Self::Opening => Some(2),
            Self::Confirming => Some(3),
            Self::Processing => Some(5),
            Self::Payable => Some(10),
            Self::InReview => Some(20),
            Self::Paid
            | Self::PartlyRefunded
            | Self::Refunded
            | Self::Expired
            | Self::Cancelled => None,
        }
    }

    /// True while the payer has nothing to do but wait, so that the page may load itself again
    /// without a script and take nothing away from under a finger.
    pub(super) fn waits(self) -> bool {
        match self {
            Self::Opening | Self::Confirming | Self::Processing | Self::InReview => true,
            Self::Payable
            | Self::Paid
            | Self::PartlyRefunded
            | Self::Refunded
            | Self::Expired
            | Self::Cancelled => false,
        }
    }
}

/// What became of the attempt before, where it can be paid once more.
pub(super) fn note(request: &Request, standing: Standing, texts: &Texts) -> Option<&'static str> {
    let newest = request.attempts().values().next_back();
    match (standing, newest?.state) {
        (Standing::Payable, AttemptState::Failed(end)) => Some(match end {
            AttemptEnd::Declined => texts.note_declined,
            AttemptEnd::SessionExpired => texts.note_timed_out,
            AttemptEnd::NotRegistered => texts.note_unreachable,
        }),
        _ => None,
    }
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
