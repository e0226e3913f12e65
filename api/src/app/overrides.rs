//! Decisions of people against the evidence: one proposes, another approves or rejects (rows H2 to H8).
//!
//! Only persons do either. Who decides shows a ticket, and what is refused them is noted.

use domain::ids::{OperatorId, PaymentRequestId, ProposalId, ReasonCode};
use domain::payment::event::{Grounds, Proposed, RejectedWhy};
use domain::payment::proposal::ProposalState;
use domain::payment::{Command, Propose, Refusal, Request, decide};
use domain::sealed::{Commitment, EvidenceRef, KeyScope};

use super::App;
use super::caller::Caller;
use super::context::Context;
use super::error::AppError;
use super::proposals::ProposalDetail;
use super::requests::{Executed, Order};
use super::tickets;

/// Name of the loop that looks after time.
const ENTRY: &str = "work::overrides";
/// Why a person decides so: in one word, and in their own, which are sealed.
pub type Why = (ReasonCode, Option<String>);

/// What a person asks for. `Debug` is not derived: it would show their words.
pub struct NewProposal {
    /// What is wanted.
    pub decision: Proposed,
    /// Why.
    pub why: Why,
    /// On which evidence; none is said, never left out.
    pub evidence: Vec<Piece>,
}

/// A piece of evidence for a proposal. `Debug` is not derived: it would show what a person wrote.
pub enum Piece {
    /// One that the request's records name, a payer notice for instance.
    Known(Commitment),
    /// A new one, to be sealed.
    New {
        /// Media type.
        media: &'static str,
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

/// A proposal that was made, now or by the same command before.
pub struct Made {
    /// Its id: the same for the same command.
    pub proposal: ProposalId,
    /// As it was made.
    pub detail: ProposalDetail,
    /// What the command did.
    pub executed: Executed,
}

/// A person's decision on a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

impl App {
    /// Proposes an override or a revocation (rows H2, H7).
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn propose(
        &self,
        caller: &Caller,
        context: &Context,
        id: &PaymentRequestId,
        new: NewProposal,
    ) -> Result<Made, AppError> {
        let proposal = self.proposal_id(context, id)?;
        let executed = self
            .propose_as(caller, context, (id, &proposal), new)
            .await?;
        let detail = self.as_made(caller, &executed.request, &proposal).await?;
        Ok(Made {
            proposal,
            detail,
            executed,
        })
    }

    async fn propose_as(
        &self,
        caller: &Caller,
        context: &Context,
        (id, proposal): (&PaymentRequestId, &ProposalId),
        new: NewProposal,
    ) -> Result<Executed, AppError> {
        let request = self.visible_request(caller, id).await?.request;
        let by = caller.operator()?.clone();
        if let Some(earlier) = self.replay_of(context, id).await? {
            return Ok(earlier);
        }
        let command = Command::Propose(Propose {
            proposal: proposal.clone(),
            decision: new.decision,
            by,
            grounds: if new.evidence.is_empty() {
                Grounds::None
            } else {
                Grounds::Attached
            },
        });
        // Nothing is sealed for what is refused.
        decide(Some(&request), &command, self.recorder.now())?;
        let order = Order {
            evidence: self.evidence_of(&request, new.evidence).await?,
            reason: Some(new.why),
            ..Order::of(&command)
        };
        let executed = self.execute_order(id, context, order).await?;
        executed.map_err(|_| AppError::Contended)
    }

    /// Approves or rejects a proposal (rows H3, H4, H7). Who may not is noted.
    ///
    /// # Errors
    /// [`AppError::Ticket`], four eyes, [`AppError::ProposalLapsed`], [`AppError::ProposalDecided`];
    /// for a request that closed already also [`AppError::OpenRequestExists`] and
    /// [`AppError::OrderAlreadyPaid`].
    pub async fn decide_proposal(
        &self,
        caller: &Caller,
        context: &Context,
        (id, proposal): (&PaymentRequestId, &ProposalId),
        verdict: Verdict,
        ticket: &str,
        why: Why,
    ) -> Result<Executed, AppError> {
        self.visible_request(caller, id).await?;
        let decided = self
            .decide_with(caller, context, (id, proposal), verdict, ticket, why)
            .await;
        if let Err(error) = &decided
            && let Some(lacks) = lacking(error)
        {
            self.note_denied(caller, &context.entry, lacks).await;
        }
        decided
    }

    async fn decide_with(
        &self,
        caller: &Caller,
        context: &Context,
        (id, proposal): (&PaymentRequestId, &ProposalId),
        verdict: Verdict,
        ticket: &str,
        why: Why,
    ) -> Result<Executed, AppError> {
        let code = why.0.clone();
        let said = (verdict, &code);
        let executed = match self.replay_of(context, id).await? {
            Some(earlier) => Ok(earlier),
            None => {
                let (key, now) = (self.recorder.key(), self.recorder.now());
                let by = tickets::check(key, caller, proposal, ticket, now)?;
                let command = command_of(verdict, proposal, by);
                let order = Order {
                    reason: Some(why),
                    ..Order::of(&command)
                };
                let executed = self.execute_order(id, context, order).await;
                executed.and_then(|done| done.map_err(|_| AppError::Contended))
            }
        };
        match executed {
            Ok(executed) if executed.replayed || !executed.events.is_empty() => {
                // It lapsed just now, or this is the first answer to that again.
                if verdict == Verdict::Approve && has_lapsed(&executed.request, proposal) {
                    self.closed_before(caller, id, proposal, said).await?;
                }
                Ok(executed)
            }
            // It was closed before.
            Ok(executed) => {
                self.closed_before(caller, id, proposal, said).await?;
                Ok(executed)
            }
            Err(AppError::Payment(Refusal::ProposalClosed)) => {
                self.closed_before(caller, id, proposal, said).await?;
                Err(Refusal::ProposalClosed.into())
            }
            Err(other) => Err(other),
        }
    }

    /// What time alone changes about a request's proposals and override (rows H6, H8). False when
    /// there was nothing to do.
    ///
    /// # Errors
    /// [`AppError`]: outages; the loop tries again.
    pub async fn check_overrides(&self, id: &PaymentRequestId) -> Result<bool, AppError> {
        let context = Context::job(ENTRY);
        let executed = self.execute(id, &context, &Command::CheckOverrides).await?;
        Ok(!executed.events.is_empty())
    }

    /// Of one command on one request: neither another command nor another request has it, so a
    /// ticket for it opens nothing else.
    fn proposal_id(
        &self,
        context: &Context,
        id: &PaymentRequestId,
    ) -> Result<ProposalId, AppError> {
        let command = context
            .idempotency
            .ok_or_else(|| AppError::bug("a proposal without a key"))?;
        let parts = [&command.key_hmac.0[..], id.as_str().as_bytes()];
        let digest = self.recorder.key().digest("proposal", &parts);
        ProposalId::parse(format!("ov_{}", digest.short())).map_err(AppError::bug)
    }

    async fn evidence_of(
        &self,
        request: &Request,
        pieces: Vec<Piece>,
    ) -> Result<Vec<EvidenceRef>, AppError> {
        let terms = request.terms();
        let scope = KeyScope::PaymentRequest {
            merchant: terms.merchant.clone(),
            id: terms.id.clone(),
        };
        let mut evidence = vec![];
        for piece in pieces {
            evidence.push(match piece {
                Piece::Known(commitment) => self
                    .named_evidence(&terms.merchant, &terms.id, commitment)
                    .await?
                    .ok_or(AppError::UnknownEvidence)?,
                Piece::New { media, bytes } => EvidenceRef {
                    kind: "proposal".to_owned(),
                    commitment: self.evidence.keep(&scope, media, &bytes).await?,
                    media: media.to_owned(),
                    reference: None,
                },
            });
        }
        Ok(evidence)
    }
}

fn command_of(verdict: Verdict, proposal: &ProposalId, by: &OperatorId) -> Command {
    let proposal = proposal.clone();
    match verdict {
        Verdict::Approve => Command::Approve {
            proposal,
            by: by.clone(),
        },
        Verdict::Reject => Command::Reject { proposal },
    }
}

fn has_lapsed(request: &Request, proposal: &ProposalId) -> bool {
    let known = request.proposals().get(proposal);
    known.is_some_and(|known| known.state == ProposalState::Rejected(RejectedWhy::Lapsed))
}

/// What a person who was refused lacks, where that is worth noting.
fn lacking(error: &AppError) -> Option<&'static str> {
    match error {
        AppError::Payment(Refusal::FourEyes) => Some("four_eyes"),
        AppError::Ticket(_) => Some("approval_ticket"),
        AppError::Forbidden { .. } => Some("session"),
        _ => None,
    }
}
