//! Payment requests: one command, decided on the folded stream and appended with its claims.

use domain::idempotency::Replay;
use domain::ids::{PaymentRequestId, ReasonCode};
use domain::payment::claims::needs_of;
use domain::payment::request::Closure;
use domain::payment::{Command, Event, Request, decide, evolve};
use domain::ports::{AppendError, Claim, ClaimExpect, ClaimSpace, Position};
use domain::sealed::EvidenceRef;
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;

use super::App;
use super::caller::Caller;
use super::context::Context;
use super::error::AppError;
use super::recorder::{Decision, Draft, Folded, RecordFailure, Recorder};

/// How often a decision is made again because others were faster.
const DECIDE_AGAIN_MAX: u32 = 16;

/// What a command did.
#[derive(Debug, Clone)]
pub struct Executed {
    /// The request afterwards.
    pub request: Request,
    /// Version of its last event.
    pub version: Version,
    /// Position of its last event, for reading one's own writes.
    pub position: Option<Position>,
    /// What was appended; empty when it was already so.
    pub events: Vec<Event>,
    /// True when the same command was done before and this is its first answer.
    pub replayed: bool,
}

/// A claim that the command needs belongs to somebody else.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Which claim.
    pub ns: ClaimSpace,
    /// Whose it is.
    pub owner: StreamId,
    /// Its generation.
    pub generation: u64,
}

/// A claim on an order that was found and that an append relies on. The append makes it anew, also
/// where it is this request's already, so that whoever else relies on what was found looks again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundClaim {
    /// Whose it is. The record names it where another takes over.
    pub owner: StreamId,
    /// Its generation; another one by then means that somebody was faster.
    pub generation: u64,
}

/// A command to one request with what stands beside its events.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// The command.
    pub command: &'a Command,
    /// Evidence for every event that follows.
    pub evidence: Vec<EvidenceRef>,
    /// When it happened, where a provider says so.
    pub occurred_at: Option<Timestamp>,
    /// The order's claim as it was found: a closed request's, or this request's own. Where a decision
    /// needs it and nobody found it, it is looked for.
    pub order_claim: Option<FoundClaim>,
    /// Why a person decided so: the code, and words that will be sealed.
    pub reason: Option<(ReasonCode, Option<String>)>,
}

impl<'a> Order<'a> {
    /// A bare command.
    pub fn of(command: &'a Command) -> Self {
        Self {
            command,
            evidence: vec![],
            occurred_at: None,
            order_claim: None,
            reason: None,
        }
    }
}

impl App {
    /// Folds a request, or its events up to `until`.
    ///
    /// # Errors
    /// [`AppError`]: the store is away, or its bytes cannot be read.
    pub async fn fold_request(
        &self,
        id: &PaymentRequestId,
        until: Option<Version>,
    ) -> Result<Folded<Request>, AppError> {
        self.recorder
            .fold(&StreamId::payment_request(id), until, evolve)
            .await
    }

    /// A request that the caller may see.
    ///
    /// # Errors
    /// [`AppError::NotFound`] also for another merchant's.
    pub async fn visible_request(
        &self,
        caller: &Caller,
        id: &PaymentRequestId,
    ) -> Result<Executed, AppError> {
        let found = self.payers_request(id).await?;
        if !caller.sees(&found.request) {
            return Err(AppError::NotFound {
                what: "payment request",
            });
        }
        Ok(found)
    }

    /// The request of a payer's link, which was checked before.
    ///
    /// # Errors
    /// [`AppError::NotFound`] where the log does not have it.
    pub async fn payers_request(&self, id: &PaymentRequestId) -> Result<Executed, AppError> {
        let folded = self.fold_request(id, None).await?;
        let (Some(request), Some(version)) = (folded.state, folded.version) else {
            return Err(AppError::NotFound {
                what: "payment request",
            });
        };
        Ok(Executed {
            request,
            version,
            position: folded.position,
            events: vec![],
            replayed: false,
        })
    }

    /// Decides and appends; decides again when somebody was faster.
    ///
    /// # Errors
    /// Refusals of the domain, [`AppError::IdempotencyMismatch`], outages;
    /// [`AppError::Contended`] also where a claim is taken.
    pub async fn execute(
        &self,
        id: &PaymentRequestId,
        context: &Context,
        command: &Command,
    ) -> Result<Executed, AppError> {
        self.execute_order(id, context, Order::of(command))
            .await?
            .map_err(|_| AppError::Contended)
    }

    /// [`App::execute`] with what stands beside the events; a taken claim is the caller's to think
    /// about. Not so the order's, which is looked for again.
    ///
    /// # Errors
    /// As [`App::execute`].
    pub async fn execute_order(
        &self,
        id: &PaymentRequestId,
        context: &Context,
        order: Order<'_>,
    ) -> Result<Result<Executed, Taken>, AppError> {
        for _ in 0..DECIDE_AGAIN_MAX {
            let folded = self.fold_request(id, None).await?;
            if let Some(command) = &context.idempotency {
                match folded.replays.check(command) {
                    Replay::Fresh => {}
                    Replay::Same(version) => return self.first_answer(id, version).await.map(Ok),
                    Replay::Different => return Err(AppError::IdempotencyMismatch),
                }
            }
            match self.decide_once(id, context, &order, folded).await? {
                Once::Done(executed) => return Ok(Ok(*executed)),
                // Somebody paid the order, or made a request for it.
                Once::Taken(taken) if taken.ns == ClaimSpace::Order => {}
                Once::Taken(taken) => return Ok(Err(taken)),
                Once::Conflict => {}
            }
        }
        Err(AppError::Contended)
    }

    /// The answer that the same command got first.
    pub(super) async fn first_answer(
        &self,
        id: &PaymentRequestId,
        version: Version,
    ) -> Result<Executed, AppError> {
        let folded = self.fold_request(id, Some(version)).await?;
        let request = folded
            .state
            .ok_or_else(|| AppError::bug("a stream without its first event"))?;
        Ok(Executed {
            request,
            version,
            position: folded.position,
            events: vec![],
            replayed: true,
        })
    }

    /// One decision on one state.
    pub(super) async fn decide_once(
        &self,
        id: &PaymentRequestId,
        context: &Context,
        order: &Order<'_>,
        folded: Folded<Request>,
    ) -> Result<Once, AppError> {
        self.decide_at(id, context, order, folded, self.recorder.now())
            .await
    }

    /// One decision on one state at one time.
    pub(super) async fn decide_at(
        &self,
        id: &PaymentRequestId,
        context: &Context,
        order: &Order<'_>,
        folded: Folded<Request>,
        now: Timestamp,
    ) -> Result<Once, AppError> {
        let events = decide(folded.state.as_ref(), order.command, now)?;
        if events.is_empty() {
            let (Some(request), Some(version)) = (folded.state, folded.version) else {
                return Err(AppError::NotFound {
                    what: "payment request",
                });
            };
            let position = folded.position;
            return Ok(Once::Done(Box::new(Executed {
                request,
                version,
                position,
                events,
                replayed: false,
            })));
        }
        let order_claim = match (order.order_claim.clone(), &folded.state) {
            (None, Some(request)) if pays_late(request, &events) => {
                Some(self.order_to_pay(request).await?)
            }
            (found, _) => found,
        };
        let expect = folded.expect();
        let stream = StreamId::payment_request(id);
        let of = (&stream, expect.first_version());
        let (drafts, claims) = self.drafts_of(
            of,
            order,
            order_claim.as_ref(),
            folded.state.as_ref(),
            &events,
        );
        let request = events.iter().fold(folded.state, evolve);
        let request = request.ok_or_else(|| AppError::bug("a decision without a request"))?;
        let decision = Decision {
            stream: &stream,
            expect,
            merchant: Some(&request.terms().merchant),
            command: name_of(order.command),
            context,
            drafts,
            claims,
        };
        match self.recorder.append(decision).await {
            Ok(receipt) => Ok(Once::Done(Box::new(Executed {
                request,
                version: receipt.appended.version,
                position: Some(receipt.appended.position),
                events,
                replayed: false,
            }))),
            Err(RecordFailure::Append(AppendError::Conflict { .. })) => Ok(Once::Conflict),
            Err(RecordFailure::Append(AppendError::ClaimTaken {
                ns,
                owner,
                generation,
            })) => Ok(Once::Taken(Taken {
                ns,
                owner,
                generation,
            })),
            Err(other) => Err(other.into()),
        }
    }

    fn drafts_of(
        &self,
        (stream, version): (&StreamId, Version),
        order: &Order<'_>,
        order_claim: Option<&FoundClaim>,
        request: Option<&Request>,
        events: &[Event],
    ) -> (Vec<Draft>, Vec<Claim>) {
        let mut claims = vec![];
        let mut drafts = Vec::with_capacity(events.len());
        for event in events {
            let mut draft = Draft::of(event).with_evidence(order.evidence.clone());
            draft.occurred_at = order.occurred_at;
            draft.reason = order.reason.clone();
            for need in needs_of(self.recorder.key(), request, event) {
                let (expect, detail, from) = match (need.ns, order_claim) {
                    (ClaimSpace::Order, Some(found)) => {
                        let anew = u32::try_from(version.0).unwrap_or(u32::MAX);
                        let from = Some(found.owner.clone()).filter(|owner| owner != stream);
                        (ClaimExpect::Generation(found.generation), anew, from)
                    }
                    (
                        ClaimSpace::Order | ClaimSpace::Ptx | ClaimSpace::Ref | ClaimSpace::Quote,
                        _,
                    ) => (ClaimExpect::Free, need.detail, None),
                };
                let used = Recorder::claim_use(need.ns, need.key, expect, from);
                draft.claims.push(used);
                claims.push(Claim {
                    ns: need.ns,
                    key: need.key,
                    owner: stream.clone(),
                    detail,
                    expect,
                });
            }
            drafts.push(draft);
        }
        (drafts, claims)
    }
}

/// What one decision came to.
pub(super) enum Once {
    Done(Box<Executed>),
    Taken(Taken),
    Conflict,
}

/// True when a request that gave its order free is paid: only who stands for the order may be.
pub(super) fn pays_late(request: &Request, events: &[Event]) -> bool {
    *request.closure() != Closure::Open
        && events
            .iter()
            .any(|event| matches!(event, Event::PaymentVerified { .. }))
}

fn name_of(command: &Command) -> &'static str {
    match command {
        Command::Create(_) => "create",
        Command::StartAttempt(_) => "start_attempt",
        Command::ConfirmAttempt { .. } => "confirm_attempt",
        Command::RejectAttempt { .. } => "reject_attempt",
        Command::DoubtAttempt { .. } => "doubt_attempt",
        Command::Precheck(_) => "precheck",
        Command::RecordFacts(_) => "record_facts",
        Command::OpenCase { .. } => "open_case",
        Command::ReportSilence { .. } => "report_silence",
        Command::RequestAttemptCancel { .. } => "request_attempt_cancel",
        Command::Expire(_) => "expire",
        Command::Cancel { .. } => "cancel",
        Command::RecordNotice { .. } => "record_notice",
        Command::OpenEvidence { .. } => "open_evidence",
        Command::RequestRefund(_) => "request_refund",
        Command::SubmitRefund { .. } => "submit_refund",
        Command::AnswerRefund { .. } => "answer_refund",
        Command::AssignCase { .. } => "assign_case",
        Command::ResolveCase { .. } => "resolve_case",
        Command::ReceiveTransfer(_) => "receive_transfer",
        Command::Propose(_) => "propose_override",
        Command::Approve { .. } => "approve_override",
        Command::Reject { .. } => "reject_override",
        Command::CheckOverrides => "check_overrides",
    }
}
