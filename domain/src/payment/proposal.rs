//! Decisions of people against the evidence: proposed by one, approved by another, and unproven until
//! money comes (rows H2 to H8).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::command::Refusal;
use super::event::{
    CaptureKey, Event, Grounds, Proposed, RejectedWhy, Resolution, VerificationMethod,
};
use super::exception::{Ending, ExceptionKind};
use super::recording::Recording;
use super::request::{Closure, Request};
use crate::digest::Digest32;
use crate::ids::{OperatorId, ProposalId};
use crate::money::MinorText;
use crate::time::Timestamp;

/// How long a proposal may wait for its decision (row H8).
pub const LAPSES_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Something that a person wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// What.
    pub decision: Proposed,
    /// Who.
    pub by: OperatorId,
    /// [`Request::basis`] when it was made.
    pub based_on: Digest32,
    /// Too late afterwards.
    pub lapses_at: Timestamp,
    /// How far it is.
    pub state: ProposalState,
}

/// How far a proposal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProposalState {
    /// Waits for its decision.
    Open,
    /// Done.
    Approved,
    /// Not done.
    Rejected(RejectedWhy),
}

impl Proposal {
    /// Waits for its decision.
    pub fn open(&self) -> bool {
        self.state == ProposalState::Open
    }
}

/// The decision that a request counts as paid by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The approved proposal.
    pub proposal: ProposalId,
    /// Who approved it.
    pub approved_by: OperatorId,
    /// Money must prove it before.
    pub prove_by: Timestamp,
    /// That time is over, and it was told (row H6).
    pub unsubstantiated: bool,
}

/// An override as people see it while it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideStanding {
    /// The approved proposal.
    pub proposal: ProposalId,
    /// Whether money proved it.
    pub state: Proof,
    /// Money must prove it before.
    pub prove_by: Timestamp,
}

/// Whether money proved an override.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// Not yet.
    #[serde(rename = "unproven")]
    Unproven,
    /// Not in its time (row H6).
    #[serde(rename = "unsubstantiated")]
    Unsubstantiated,
    /// Not, and a person expects none any more.
    #[serde(rename = "written_off")]
    WrittenOff,
    /// Yes (rows H5, H5b).
    #[serde(rename = "proven")]
    Proven,
}

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Propose {
    /// The proposal.
    pub proposal: ProposalId,
    /// What is wanted.
    pub decision: Proposed,
    /// Who wants it.
    pub by: OperatorId,
    /// What it rests on.
    pub grounds: Grounds,
}

impl Request {
    /// When time alone changes something about proposals or the override (rows H6 and H8): the next
    /// moment at which [`overdue`] has something to say.
    pub fn overrides_due(&self) -> Option<Timestamp> {
        let lapse = self
            .proposals
            .values()
            .filter(|proposal| proposal.open())
            .map(|proposal| proposal.lapses_at);
        lapse
            .chain(self.awaits_proof().map(|known| known.prove_by))
            .min()
    }

    /// The override that it counts as paid by, and whether money proved it.
    pub fn override_standing(&self) -> Option<OverrideStanding> {
        let known = self.override_()?;
        let state = match (self.unproven(), self.written_off(known)) {
            (false, _) => Proof::Proven,
            (true, true) => Proof::WrittenOff,
            (true, false) if known.unsubstantiated => Proof::Unsubstantiated,
            (true, false) => Proof::Unproven,
        };
        Some(OverrideStanding {
            proposal: known.proposal.clone(),
            state,
            prove_by: known.prove_by,
        })
    }

    /// The override that money has not proved, that nobody wrote off, and whose time was not told to be
    /// over.
    fn awaits_proof(&self) -> Option<&Override> {
        self.override_()
            .filter(|known| !known.unsubstantiated && self.unproven() && !self.written_off(known))
    }

    /// True when a person accepted that no money comes.
    fn written_off(&self, known: &Override) -> bool {
        self.cases().values().any(|case| {
            case.kind.ends_by() == Ending::WriteOff
                && case.about == known.proposal.as_str()
                && case.resolution == Some(Resolution::Accepted)
        })
    }
}

/// Rows H2 and H7. One proposal at a time.
pub(super) fn propose(
    request: &Request,
    command: &Propose,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    if request.proposals().contains_key(&command.proposal) {
        return Ok(vec![]);
    }
    applies(request, command.decision)?;
    if request.proposals().values().any(Proposal::open) {
        return Err(Refusal::ProposalOpen);
    }
    if request.proposals().len() >= Refusal::PROPOSALS_MAX {
        return Err(Refusal::TooManyProposals {
            max: Refusal::PROPOSALS_MAX,
        });
    }
    Ok(vec![Event::OverrideProposed {
        proposal: command.proposal.clone(),
        decision: command.decision,
        by: command.by.clone(),
        grounds: command.grounds,
        based_on: request.basis(),
        lapses_at: now.plus(LAPSES_AFTER),
    }])
}

/// Rows H3, H4, H7 and H8. What was made on other facts, or too long ago, lapses instead: the events
/// tell which.
pub(super) fn approve(
    request: &Request,
    proposal: &ProposalId,
    by: &OperatorId,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    let known = known(request, proposal)?;
    match known.state {
        ProposalState::Open => {}
        ProposalState::Approved => return Ok(vec![]),
        ProposalState::Rejected(_) => return Err(Refusal::ProposalClosed),
    }
    let terms = request.terms();
    // Row H3. The person counts: another session, role or token of theirs is no second one.
    if known.by == *by && terms.rules.overrides.four_eyes(terms.amount) {
        return Err(Refusal::FourEyes);
    }
    let mut recording = Recording::of(request, now);
    if now >= known.lapses_at || known.based_on != request.basis() {
        recording.reject(proposal, RejectedWhy::Lapsed); // row H8
        return Ok(recording.events);
    }
    applies(request, known.decision)?;
    match known.decision {
        Proposed::Pay => recording.pay_by_decision(proposal, by, known.by == *by),
        Proposed::Revoke => recording.revoke(proposal, by, known.by == *by),
    }
    Ok(recording.events)
}

/// A person says no.
pub(super) fn reject(
    request: &Request,
    proposal: &ProposalId,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    match known(request, proposal)?.state {
        ProposalState::Open => {
            let mut recording = Recording::of(request, now);
            recording.reject(proposal, RejectedWhy::Rejected);
            Ok(recording.events)
        }
        ProposalState::Rejected(_) => Ok(vec![]),
        ProposalState::Approved => Err(Refusal::ProposalClosed),
    }
}

/// Rows H6 and H8, when their time is over. Nothing when it is not, or was told before.
pub(super) fn overdue(request: &Request, now: Timestamp) -> Vec<Event> {
    let mut recording = Recording::of(request, now);
    let lapsed: Vec<_> = request
        .proposals()
        .iter()
        .filter(|(_, proposal)| proposal.open() && now >= proposal.lapses_at)
        .map(|(id, _)| id.clone())
        .collect();
    for proposal in lapsed {
        recording.reject(&proposal, RejectedWhy::Lapsed);
    }
    let waited = request.awaits_proof();
    if let Some(known) = waited.filter(|known| now >= known.prove_by) {
        recording.push(Event::OverrideUnsubstantiated {
            proposal: known.proposal.clone(),
        });
        recording.open_case(
            ExceptionKind::OverrideUnsubstantiated,
            known.proposal.as_str(),
            None,
        );
    }
    recording.events
}

/// Pay what is not paid; revoke what is.
fn applies(request: &Request, decision: Proposed) -> Result<(), Refusal> {
    match decision {
        Proposed::Pay if !request.terms().rules.overrides.allowed => {
            Err(Refusal::OverridesNotAllowed)
        }
        Proposed::Pay if request.verified().is_some() => Err(Refusal::AlreadyPaid),
        Proposed::Revoke if request.verified().is_none() => Err(Refusal::NotPaid),
        Proposed::Pay | Proposed::Revoke => Ok(()),
    }
}

impl Recording {
    /// Row H8: what was decided on other facts is not decided any more.
    pub(super) fn lapse_proposals(&mut self) {
        let open = self
            .request
            .proposals()
            .iter()
            .filter(|(_, proposal)| proposal.open());
        let waiting: Vec<_> = open
            .map(|(id, proposal)| (id.clone(), proposal.based_on))
            .collect();
        if waiting.is_empty() {
            return;
        }
        let basis = self.request.basis();
        for (proposal, _) in waiting
            .into_iter()
            .filter(|(_, based_on)| *based_on != basis)
        {
            self.reject(&proposal, RejectedWhy::Lapsed);
        }
    }

    fn reject(&mut self, proposal: &ProposalId, why: RejectedWhy) {
        self.push(Event::OverrideRejected {
            proposal: proposal.clone(),
            why,
        });
    }

    /// Row H4.
    fn pay_by_decision(&mut self, proposal: &ProposalId, by: &OperatorId, alone: bool) {
        let days = self.request.terms().rules.overrides.prove_within_days;
        self.push(Event::OverrideApproved {
            proposal: proposal.clone(),
            by: by.clone(),
            prove_by: Some(self.now.plus_business_days(days)),
            alone,
        });
        self.push(Event::PaymentVerified {
            method: VerificationMethod::Override,
            capture: None,
            amount: self.request.applied(),
            paid_at: None,
            late: *self.request.closure() != Closure::Open,
            rounding_minor: MinorText(0),
        });
        self.open_case(ExceptionKind::OverrideUnproven, proposal.as_str(), None);
    }

    /// Row H7. Money that came is unapplied, with a case each; what refunds hold of it goes with it.
    fn revoke(&mut self, proposal: &ProposalId, by: &OperatorId, alone: bool) {
        let amount = self.request.applied();
        self.push(Event::OverrideApproved {
            proposal: proposal.clone(),
            by: by.clone(),
            prove_by: None,
            alone,
        });
        self.settle_override_cases();
        self.push(Event::VerificationRevoked {
            proposal: proposal.clone(),
            amount,
        });
        self.set_applied_aside(ExceptionKind::VerificationRevoked);
    }

    /// Money, a revocation or a person ended what was unproven.
    pub(super) fn settle_override_cases(&mut self) {
        self.close_cases(Resolution::Settled, |case| {
            matches!(
                case.kind,
                ExceptionKind::OverrideUnproven | ExceptionKind::OverrideUnsubstantiated
            )
        });
    }

    /// Everything that is applied becomes unapplied, with a case for each capture.
    pub(super) fn set_applied_aside(&mut self, why: ExceptionKind) {
        let applied = self
            .request
            .captures()
            .iter()
            .filter(|(_, capture)| capture.applied > 0);
        let parts: Vec<(CaptureKey, i64)> = applied
            .map(|(key, capture)| (key.clone(), capture.applied))
            .collect();
        for (capture, minor) in parts {
            self.push(Event::CaptureUnapplied {
                capture: capture.clone(),
                minor: MinorText(minor),
                why,
            });
            self.open_case(why, capture.to_string(), Some(&capture));
        }
    }
}

fn known<'a>(request: &'a Request, proposal: &ProposalId) -> Result<&'a Proposal, Refusal> {
    request
        .proposals()
        .get(proposal)
        .ok_or(Refusal::UnknownProposal)
}
