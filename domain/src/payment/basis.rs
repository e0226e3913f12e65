//! What a proposal is made on, so that it lapses when that changes (row H8).

use serde::Serialize;

use super::request::{AttemptState, Request};
use crate::digest::Digest32;

/// A part of [`Request::basis`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum BasisPart {
    /// Money came, moved or went back.
    #[serde(rename = "captures")]
    Captures,
    /// A refund was asked for, or is further than it was.
    #[serde(rename = "refunds")]
    Refunds,
    /// A dispute was opened or closed.
    #[serde(rename = "disputes")]
    Disputes,
    /// It was closed.
    #[serde(rename = "closure")]
    Closure,
    /// It was verified, or that was taken back.
    #[serde(rename = "verification")]
    Verification,
    /// An attempt was started, or is further than it was.
    #[serde(rename = "attempts")]
    Attempts,
}

impl Request {
    /// What a proposal is made on: captures, reversals, disputes, closure, verification and how far
    /// attempts are. Notices, notes and assignments are no part of it.
    pub fn basis(&self) -> Digest32 {
        let parts = (
            &self.captures,
            &self.refunds,
            &self.disputes,
            &self.closure,
            &self.verified,
            self.attempt_states(),
        );
        let bytes = serde_json::to_vec(&parts).expect("maps of texts and numbers");
        Digest32::sha256(&[b"counterfoil/basis/1", &bytes])
    }

    /// Which parts of the basis are not what they were; none when the digests are equal.
    pub fn changed_since(&self, before: &Self) -> Vec<BasisPart> {
        let parts = [
            (BasisPart::Captures, self.captures != before.captures),
            (BasisPart::Refunds, self.refunds != before.refunds),
            (BasisPart::Disputes, self.disputes != before.disputes),
            (BasisPart::Closure, self.closure != before.closure),
            (BasisPart::Verification, self.verified != before.verified),
            (
                BasisPart::Attempts,
                self.attempt_states() != before.attempt_states(),
            ),
        ];
        parts
            .into_iter()
            .filter_map(|(part, changed)| changed.then_some(part))
            .collect()
    }

    fn attempt_states(&self) -> Vec<(u32, AttemptState)> {
        self.attempts
            .iter()
            .map(|(number, attempt)| (*number, attempt.state))
            .collect()
    }
}
