//! What people do with money in suspense: say whose it is, that it went back, or that it is income; and
//! who looks after it. Never by amount, and never by anybody but a person.

use domain::idempotency::Replay;
use domain::ids::{CaseId, MerchantId, OperatorId, PaymentRequestId};
use domain::payment::{Refusal, Transfer};
use domain::ports::{AppendError, Position};
use domain::stream::{StreamId, Version};
use domain::unmatched::{self, Event, Settlement, Suspense};
use serde_json::{Value, json};

use super::App;
use super::case_decisions::{CaseRefusal, Decided, How, Way, Why};
use super::context::Context;
use super::error::AppError;
use super::recorder::{Decision, Draft, Folded, RecordFailure};
use super::transfers::Owner;

/// How often a decision is made again because others were faster.
const DECIDE_AGAIN_MAX: u32 = 8;

/// What a person says that the money is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The money of this request.
    To(PaymentRequestId),
    /// Nobody's: it went back.
    GivenBack,
    /// The shop's income.
    KeptAsIncome,
}

/// Money in suspense after a command.
#[derive(Debug, Clone)]
pub struct DecidedSuspense {
    /// The money, its case, and what became of it.
    pub suspense: Suspense,
    /// Version of its last event.
    pub version: Version,
    /// Position of its last event, for reading one's own writes.
    pub position: Option<Position>,
    /// True when the same command was done before.
    pub replayed: bool,
}

/// What a person does with money in suspense.
pub(super) enum SuspenseCommand {
    Resolve(Finding),
    Assign(Option<OperatorId>),
}

impl Finding {
    /// The finding of a decision.
    ///
    /// # Errors
    /// [`CaseRefusal::OfNoRequest`]: only a request's money can be decided so.
    pub(super) fn of(how: How) -> Result<Self, CaseRefusal> {
        match how {
            How::Reassign { to } => Ok(Self::To(to)),
            How::GivenBack => Ok(Self::GivenBack),
            How::KeepAsIncome => Ok(Self::KeptAsIncome),
            How::Accept { .. } | How::Refund | How::Dismiss | How::RefundAnswer { .. } => {
                Err(CaseRefusal::OfNoRequest)
            }
        }
    }

    /// Every way to decide, while nobody did.
    pub(super) fn ways(suspense: &Suspense) -> Vec<Way> {
        let open = suspense.settlement.is_none();
        let ways = ["reassign", "given_back", "keep_as_income"];
        let way = |resolution| Way {
            resolution,
            possible: true,
            why_not: None,
        };
        ways.into_iter().filter(|_| open).map(way).collect()
    }
}

impl DecidedSuspense {
    /// What is told about it, the same to every repeat.
    pub(super) fn shown(&self, id: &CaseId) -> Value {
        let settlement = self.suspense.settlement.as_ref();
        let (transfer, to) = match settlement {
            Some(Settlement::To { transfer, to }) => (Some(transfer), Some(to)),
            Some(Settlement::GivenBack {} | Settlement::KeptAsIncome {}) | None => (None, None),
        };
        json!({
            "id": id, "payment_request_id": to, "kind": self.suspense.kind,
            "state": if settlement.is_none() { "open" } else { "resolved" },
            "assignee": self.suspense.assignee,
            "resolution": settlement.map(Settlement::resolution),
            "transfer_id": transfer, "version": self.version,
        })
    }
}

impl App {
    /// Folds money in suspense.
    ///
    /// # Errors
    /// [`AppError`]: the store is away, or its bytes cannot be read.
    pub(super) async fn fold_suspense(
        &self,
        stream: &StreamId,
    ) -> Result<Folded<Suspense>, AppError> {
        self.recorder.fold(stream, None, unmatched::evolve).await
    }

    /// Decides about money in suspense of this merchant, or gives its case to somebody. Where it is a
    /// request's, a transfer brings it there.
    ///
    /// # Errors
    /// [`CaseRefusal`], refusals of the domain, outages.
    pub(super) async fn decide_suspense(
        &self,
        merchant: &MerchantId,
        context: &Context,
        stream: &StreamId,
        case: &CaseId,
        command: &SuspenseCommand,
        reason: Option<Why>,
    ) -> Result<Decided, AppError> {
        for _ in 0..DECIDE_AGAIN_MAX {
            let folded = self.fold_suspense(stream).await?;
            let (expect, position) = (folded.expect(), folded.position);
            let (Some(known), Some(version)) = (folded.state, folded.version) else {
                return Err(Refusal::UnknownCase.into());
            };
            let as_it_is = |suspense, replayed| {
                Decided::OfSuspense(Box::new(DecidedSuspense {
                    suspense,
                    version,
                    position,
                    replayed,
                }))
            };
            if let Some(key) = &context.idempotency {
                match folded.replays.check(key) {
                    Replay::Fresh => {}
                    Replay::Same(_) => return Ok(as_it_is(known, true)),
                    Replay::Different => return Err(AppError::IdempotencyMismatch),
                }
            }
            let events = self.decided(merchant, case, &known, command).await?;
            if events.is_empty() {
                if let SuspenseCommand::Resolve(_) = command {
                    let before = self.closing_of(merchant, case).await?;
                    before.repeated_because(reason.as_ref().map(|(code, _)| code))?;
                }
                return Ok(as_it_is(known, false));
            }
            let draft = |event: &Event| match &reason {
                Some((code, text)) => Draft::of(event).because(code.clone(), text.clone()),
                None => Draft::of(event),
            };
            let decision = Decision {
                stream,
                expect,
                merchant: Some(merchant),
                command: match command {
                    SuspenseCommand::Resolve(_) => "resolve_unmatched",
                    SuspenseCommand::Assign(_) => "assign_unmatched",
                },
                context,
                drafts: events.iter().map(draft).collect(),
                claims: vec![],
            };
            let after = events.iter().fold(Some(known), unmatched::evolve);
            match self.recorder.append(decision).await {
                Ok(receipt) => {
                    let suspense = after.ok_or_else(|| AppError::bug("suspense without money"))?;
                    return Ok(Decided::OfSuspense(Box::new(DecidedSuspense {
                        suspense,
                        version: receipt.appended.version,
                        position: Some(receipt.appended.position),
                        replayed: false,
                    })));
                }
                Err(RecordFailure::Append(AppendError::Conflict { .. })) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(AppError::Contended)
    }

    async fn decided(
        &self,
        merchant: &MerchantId,
        case: &CaseId,
        known: &Suspense,
        command: &SuspenseCommand,
    ) -> Result<Vec<Event>, AppError> {
        let settlement = match command {
            SuspenseCommand::Assign(to) => {
                return Ok(unmatched::assign(known, case, to.as_ref())?);
            }
            SuspenseCommand::Resolve(Finding::GivenBack) => Settlement::GivenBack {},
            SuspenseCommand::Resolve(Finding::KeptAsIncome) => Settlement::KeptAsIncome {},
            SuspenseCommand::Resolve(Finding::To(to)) => Settlement::To {
                transfer: Transfer::id_of(self.recorder.key(), case),
                to: to.clone(),
            },
        };
        let events = unmatched::resolve(known, case, &settlement)?;
        if let (Settlement::To { to, .. }, false) = (&settlement, events.is_empty()) {
            let (_, account, _) = self.account(&known.money.capture.account)?;
            let owner = Owner {
                merchant,
                mode: account.rules().mode,
                currency: known.money.amount.currency(),
            };
            self.may_receive(to, owner).await?;
        }
        Ok(events)
    }
}
