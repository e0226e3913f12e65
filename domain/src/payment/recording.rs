//! A decision in the making: events so far, folded as they are added.

use super::event::{CaptureKey, Event};
use super::exception::{Ending, ExceptionKind, Severity};
use super::request::{Case, Request};
use crate::ids::CaseId;
use crate::stream::StreamId;
use crate::time::Timestamp;

/// Collects the events of one decision. Later steps see what the earlier ones did.
pub(super) struct Recording {
    pub(super) request: Request,
    pub(super) events: Vec<Event>,
    pub(super) now: Timestamp,
}

impl Recording {
    pub(super) fn of(request: &Request, now: Timestamp) -> Self {
        Self {
            request: request.clone(),
            events: vec![],
            now,
        }
    }

    pub(super) fn push(&mut self, event: Event) {
        self.request.apply(&event);
        self.events.push(event);
    }

    /// Opens a case, once for what it is about and the money that it names. Money that waits again gets a new case.
    pub(super) fn open_case(
        &mut self,
        kind: ExceptionKind,
        about: impl Into<String>,
        capture: Option<&CaptureKey>,
    ) {
        self.open_case_as(kind, kind.severity(), about.into(), capture);
    }

    pub(super) fn open_case_as(
        &mut self,
        kind: ExceptionKind,
        severity: Severity,
        about: String,
        capture: Option<&CaptureKey>,
    ) {
        let again = |case: &Case| case.open() || kind.ends_by() != Ending::Money;
        // Two accounts may use one id for two things.
        let known = |case: &Case| {
            case.kind == kind
                && case.about == about
                && case.capture.as_ref() == capture
                && again(case)
        };
        if self.request.cases().values().any(known) {
            return;
        }
        self.push(Event::ExceptionOpened {
            case: self.next_case(),
            kind,
            severity,
            due: self.now.plus(severity.due_within()),
            about,
            capture: capture.cloned(),
        });
    }

    /// The events of the decision, with the end of proposals whose ground it changed (row H8).
    pub(super) fn finish(mut self) -> Vec<Event> {
        if !self.events.is_empty() {
            self.lapse_proposals();
        }
        self.events
    }

    fn next_case(&self) -> CaseId {
        let stream = StreamId::payment_request(&self.request.terms().id);
        CaseId::parse(format!("{stream}~{}", self.request.cases().len() + 1))
            .expect("a stream, '~' and a number")
    }
}
