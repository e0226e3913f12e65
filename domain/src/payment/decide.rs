//! Which events follow from a command. The one place where every (state, command) is thought about.

use super::command::{Command, Refusal};
use super::event::{AttemptEnd, Event};
use super::observe::record;
use super::proposal::Proposal;
use super::recording::Recording;
use super::request::Request;
use super::terms::Terms;
use super::{attempt, case, close, notice, proposal, refund, transfer};
use crate::time::Timestamp;

/// Events that follow from `command` at `now`. An empty list means "already so": the caller may
/// repeat safely. (What became of an observation is told by [`record`].)
///
/// # Errors
/// [`Refusal`] when a business rule says no. Nothing else can fail here.
pub fn decide(
    request: Option<&Request>,
    command: &Command,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    #[cfg(feature = "planted")]
    if let Some(wrong) = super::planted::decide(request, command, now) {
        return wrong;
    }
    let events = follow(request, command, now)?;
    let Some(request) = request.filter(|request| request.proposals().values().any(Proposal::open))
    else {
        return Ok(events);
    };
    let mut recording = Recording::of(request, now);
    for event in events {
        recording.push(event);
    }
    Ok(recording.finish())
}

fn follow(
    request: Option<&Request>,
    command: &Command,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    match (request, command) {
        (None, Command::Create(terms)) => create(terms, now), // row A1
        (None, _) => Err(Refusal::UnknownRequest),
        // Rows A2 and A3 compare fingerprints before this (`crate::idempotency`).
        (Some(_), Command::Create(_)) => Err(Refusal::AlreadyCreated),
        (Some(request), Command::StartAttempt(start)) => attempt::start(request, start, now),
        (
            Some(request),
            Command::ConfirmAttempt {
                attempt_no,
                provider_order_ref,
                pay_url,
                session_expires_at,
            },
        ) => {
            let event = Event::AttemptRegistered {
                attempt_no: *attempt_no,
                provider_order_ref: provider_order_ref.clone(),
                pay_url: pay_url.clone(),
                session_expires_at: *session_expires_at,
            };
            attempt::settle(request, *attempt_no, event)
        }
        (
            Some(request),
            Command::RejectAttempt {
                attempt_no,
                provider_status,
            },
        ) => {
            let (why, provider_status) = (AttemptEnd::NotRegistered, provider_status.clone());
            let event = Event::AttemptFailed {
                attempt_no: *attempt_no,
                why,
                provider_status,
            };
            attempt::settle(request, *attempt_no, event)
        }
        (Some(request), Command::DoubtAttempt { attempt_no, why }) => {
            let event = Event::AttemptUncertain {
                attempt_no: *attempt_no,
                why: why.clone(),
            }; // row A7
            attempt::settle(request, *attempt_no, event)
        }
        (Some(request), Command::Precheck(precheck)) => attempt::precheck(request, precheck, now),
        (Some(request), Command::RecordFacts(facts)) => Ok(record(request, facts, now).events),
        (Some(request), Command::OpenCase { kind, about }) => {
            let mut recording = Recording::of(request, now); // rows G4, C6
            recording.open_case(*kind, about.clone(), None);
            Ok(recording.events)
        }
        (Some(request), Command::ReportSilence { attempt_no }) => {
            attempt::report_silence(request, *attempt_no, now)
        }
        (Some(request), Command::RequestAttemptCancel { attempt_no }) => {
            close::request_attempt_cancel(request, *attempt_no)
        }
        (Some(_), Command::OpenEvidence { commitment }) => Ok(vec![Event::EvidenceOpened {
            commitment: *commitment,
        }]),
        (Some(request), Command::RequestRefund(command)) => refund::request(request, command),
        (Some(request), Command::SubmitRefund { refund }) => refund::submit(request, refund),
        (Some(request), Command::AnswerRefund { refund, answer }) => {
            refund::answer(request, refund, answer, now)
        }
        (Some(request), Command::AssignCase { case, to }) => {
            case::assign(request, case, to.as_ref())
        }
        (Some(request), Command::ResolveCase { case, how }) => {
            case::resolve(request, case, how, now)
        }
        (Some(request), Command::ReceiveTransfer(transfer)) => {
            Ok(transfer::receive(request, transfer, now))
        }
        (Some(request), Command::Propose(command)) => proposal::propose(request, command, now),
        (Some(request), Command::Approve { proposal, by }) => {
            proposal::approve(request, proposal, by, now)
        }
        (Some(request), Command::Reject { proposal }) => proposal::reject(request, proposal, now),
        (Some(request), Command::CheckOverrides) => Ok(proposal::overdue(request, now)),
        (Some(request), Command::Expire(check)) => close::expire(request, *check, now),
        (Some(request), Command::Cancel { by, superseded_by }) => {
            close::cancel(request, *by, superseded_by.as_ref(), now)
        }
        (
            Some(request),
            Command::RecordNotice {
                kind,
                media,
                bytes,
                askable,
            },
        ) => {
            let notice = Event::PayerNoticeRecorded {
                kind: *kind,
                media: media.clone(),
                bytes: *bytes,
            };
            notice::record(request, notice, *askable, now)
        }
    }
}

fn create(terms: &Terms, now: Timestamp) -> Result<Vec<Event>, Refusal> {
    if terms.expires_at <= now {
        return Err(Refusal::ExpiryInThePast);
    }
    Ok(vec![Event::Created(Box::new(terms.clone()))])
}
