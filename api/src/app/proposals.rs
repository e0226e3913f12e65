//! One proposal as its request's stream tells it: who made it, why, on what, and what became of it.

use domain::access::scope::Scope;
use domain::actor::Actor;
use domain::codec::decode;
use domain::ids::{PaymentRequestId, ProposalId, ReasonCode};
use domain::payment::event::RejectedWhy;
use domain::payment::proposal::{Proposal, ProposalState};
use domain::payment::{BasisPart, Event, Request, evolve};
use domain::record::Envelope;
use domain::stream::{StreamId, Version};

use super::App;
use super::caller::{Caller, Who};
use super::error::AppError;
use super::overrides::Verdict;

/// Events read in one go.
const PAGE: usize = 1000;

/// A proposal with what stands beside it. `Debug` is not derived: it would show people's words.
pub struct ProposalDetail {
    /// As it is now.
    pub proposal: Proposal,
    /// The record that made it.
    pub made: Envelope,
    /// Its reason in the proposer's own words, for who may see them.
    pub words: Option<String>,
    /// What ended it.
    pub ended: Option<Ended>,
}

/// How a proposal ended.
pub struct Ended {
    /// The record that did.
    pub record: Envelope,
    /// The reason in that person's own words, for who may see them.
    pub words: Option<String>,
    /// What had changed by then of what it was made on.
    pub changed: Vec<BasisPart>,
}

/// A proposal's first and last record, and how its request stood before the one and after the other.
struct Told {
    made: Envelope,
    before: Request,
    ended: Option<(Envelope, Request)>,
}

impl App {
    /// A proposal of a request that the caller may see. A bot sees none.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; outages.
    pub async fn proposal(
        &self,
        caller: &Caller,
        id: &PaymentRequestId,
        proposal: &ProposalId,
    ) -> Result<ProposalDetail, AppError> {
        let none = || AppError::NotFound { what: "proposal" };
        let request = self.visible_request(caller, id).await?.request;
        let known = request.proposals().get(proposal).ok_or_else(none)?;
        if caller.own_only {
            return Err(none());
        }
        let told = self.told(id, proposal).await?.ok_or_else(none)?;
        let words = self.words_for(caller, &told.made).await?;
        let ended = match told.ended {
            None => None,
            Some((record, after)) => Some(Ended {
                words: self.words_for(caller, &record).await?,
                changed: after.changed_since(&told.before),
                record,
            }),
        };
        Ok(ProposalDetail {
            proposal: known.clone(),
            made: told.made,
            words,
            ended,
        })
    }

    /// A proposal as it was when it was made, which `request` tells.
    pub(super) async fn as_made(
        &self,
        caller: &Caller,
        request: &Request,
        proposal: &ProposalId,
    ) -> Result<ProposalDetail, AppError> {
        let told = self.told(&request.terms().id, proposal).await?;
        let known = request.proposals().get(proposal);
        let (Some(told), Some(known)) = (told, known) else {
            return Err(AppError::bug("a proposal that was not made"));
        };
        Ok(ProposalDetail {
            proposal: known.clone(),
            words: self.words_for(caller, &told.made).await?,
            made: told.made,
            ended: None,
        })
    }

    /// What a person wrote is for the persons who propose and decide.
    async fn words_for(
        &self,
        caller: &Caller,
        record: &Envelope,
    ) -> Result<Option<String>, AppError> {
        let decides = caller.may(Scope::OverridesPropose) || caller.may(Scope::OverridesApprove);
        match &caller.who {
            Who::Operator(_) if decides => self.recorder.words_of(record).await,
            Who::Operator(_) | Who::Client(_) => Ok(None),
        }
    }

    /// What somebody hears who decides a proposal that is closed: who decided it and when, or what had
    /// changed when it lapsed (row H8). Nothing, where they said the same before, for the same reason.
    pub(super) async fn closed_before(
        &self,
        caller: &Caller,
        id: &PaymentRequestId,
        proposal: &ProposalId,
        said: (Verdict, &ReasonCode),
    ) -> Result<(), AppError> {
        let told = self.told(id, proposal).await?;
        let ended = told.and_then(|told| Some((told.before, told.ended?)));
        let Some((before, (record, after))) = ended else {
            return Err(AppError::bug("a closed proposal that nothing closed"));
        };
        let state = after.proposals().get(proposal).map(|known| known.state);
        let verdict = match state {
            Some(ProposalState::Approved) => Verdict::Approve,
            Some(ProposalState::Rejected(RejectedWhy::Rejected)) => Verdict::Reject,
            Some(ProposalState::Rejected(RejectedWhy::Lapsed) | ProposalState::Open) | None => {
                return Err(AppError::ProposalLapsed {
                    changed: after.changed_since(&before),
                });
            }
        };
        let theirs = match (&record.actor, &caller.who) {
            (Actor::Operator { id, .. }, Who::Operator(caller)) => id == caller,
            _ => false,
        };
        let reason = record.reason.as_ref().map(|reason| &reason.code);
        if theirs && reason.map(|reason| (verdict, reason)) == Some(said) {
            return Ok(());
        }
        Err(AppError::ProposalDecided {
            approved: verdict == Verdict::Approve,
            by: record.actor,
            at: record.recorded_at,
        })
    }

    async fn told(
        &self,
        id: &PaymentRequestId,
        proposal: &ProposalId,
    ) -> Result<Option<Told>, AppError> {
        let stream = StreamId::payment_request(id);
        let (mut from, mut state, mut told) = (Version::FIRST, None::<Request>, None::<Told>);
        loop {
            let page = self
                .recorder
                .store()
                .read_stream(&stream, from, PAGE)
                .await?;
            let full = page.len() == PAGE;
            for recorded in page {
                from = recorded.record.version.next();
                let record = recorded.envelope().map_err(AppError::bug)?;
                let event: Event = decode(&record).map_err(AppError::bug)?;
                if let (Event::OverrideProposed { proposal: made, .. }, Some(before)) =
                    (&event, &state)
                    && made == proposal
                {
                    told = Some(Told {
                        made: record.clone(),
                        before: before.clone(),
                        ended: None,
                    });
                }
                state = evolve(state, &event);
                if let (
                    Event::OverrideApproved {
                        proposal: ended, ..
                    }
                    | Event::OverrideRejected {
                        proposal: ended, ..
                    },
                    Some(after),
                    Some(told),
                ) = (&event, &state, &mut told)
                    && ended == proposal
                {
                    told.ended = Some((record, after.clone()));
                }
            }
            if !full {
                return Ok(told);
            }
        }
    }
}
