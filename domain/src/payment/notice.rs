//! Row H1: what customers tell and show. It makes the provider be asked and pays nothing; where the
//! provider says no, or nobody can be asked, a person looks at it.

use super::command::{RecordFacts, Refusal, Target};
use super::event::Event;
use super::evidence::EvidenceClass;
use super::exception::ExceptionKind;
use super::fact::{Fact, FactKind};
use super::recording::Recording;
use super::request::Request;
use crate::time::Timestamp;

/// Records a notice. Open or closed, as long as it is not paid somebody has to answer it.
pub(super) fn record(
    request: &Request,
    notice: Event,
    askable: bool,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    if request.notices() >= Refusal::NOTICES_MAX {
        return Err(Refusal::TooManyNotices {
            max: Refusal::NOTICES_MAX,
        });
    }
    let mut recording = Recording::of(request, now);
    recording.push(notice);
    if request.verified().is_none() && !askable {
        recording.open_notice();
    }
    Ok(recording.events)
}

impl Recording {
    /// The provider was asked because a customer said that they paid, and it says not. That it could
    /// not say is no answer; what goes back of money that came, as after a refund of ours, denies
    /// nothing.
    pub(super) fn answer_notices(&mut self, command: &RecordFacts) {
        let attempt_no = match command.target {
            Target::Attempt(number) => Some(number),
            Target::Moved | Target::Foreign(_) | Target::OtherOrder(_) => None,
        };
        let goes_back = |fact: &Fact| {
            let known = || self.reversed_capture(command, attempt_no, fact).is_some();
            fact.kind.takes_back() && known()
        };
        let no_denial = |fact: &Fact| {
            matches!(fact.kind, FactKind::Captured | FactKind::Unknown) || goes_back(fact)
        };
        let asked = command.observation.class == EvidenceClass::LookedUp;
        let told = self.request.notices() > 0 && self.request.verified().is_none();
        if asked && told && !command.observation.facts.iter().any(no_denial) {
            self.open_notice();
        }
    }

    /// One case for all notices so far.
    fn open_notice(&mut self) {
        let about = self.request.last_notice();
        self.open_case(ExceptionKind::PayerNotice, about, None);
    }
}

impl Request {
    /// What the case of its last notice is about.
    fn last_notice(&self) -> String {
        format!("notice {}", self.notices())
    }

    /// True while a notice has no answer: neither money nor a case, which then says how it stands.
    pub fn notice_waits(&self) -> bool {
        let about = self.last_notice();
        let answered = self
            .cases()
            .values()
            .any(|case| case.kind == ExceptionKind::PayerNotice && case.about == about);
        self.notices() > 0 && self.verified().is_none() && !answered
    }
}
