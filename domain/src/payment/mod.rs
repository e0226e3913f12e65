//! The payment request: terms that never change, and money that is always somewhere.
//!
//! [`decide`] says which events follow from a command, [`evolve`] folds them. The label is a
//! function of amounts and closure. Rows (`C2`, `E6`) name the lines of the table of cases in
//! `docs/reference/cases.md`, and each has its test.

mod attempt;
mod basis;
mod capture;
mod capture_key;
mod case;
pub mod claims;
mod close;
pub mod command;
mod decide;
pub mod event;
pub mod evidence;
mod evolve;
pub mod exception;
#[expect(
    clippy::disallowed_types,
    reason = "serde's `flatten` writes readers of floats; no field takes one"
)]
pub mod fact;
pub mod label;
pub mod look_up;
pub mod notice;
mod observe;
pub mod outcome;
mod parts;
#[cfg(feature = "planted")]
pub mod planted;
pub mod proposal;
mod recording;
pub mod refund;
pub mod request;
mod reversal;
pub mod terms;
#[cfg(test)]
mod tests;
pub mod transfer;
mod words;

pub use attempt::verdict;
pub use basis::BasisPart;
pub use capture_key::CaptureKey;
pub use case::Resolve;
pub use close::{DEFERRED_FOR, GRACE_WITH_LOOK_UP, GRACE_WITHOUT_LOOK_UP};
pub use command::{Command, ExpiryCheck, Precheck, RecordFacts, Refusal, StartAttempt, Target};
pub use decide::decide;
pub use event::Event;
pub use evolve::evolve;
pub use label::{BotLabel, Label};
pub use observe::{Recorded, record};
pub use outcome::Outcome;
pub use proposal::Propose;
pub use refund::{RefundAnswer, RequestRefund};
pub use request::Request;
pub use terms::{OverrideRules, PartialPolicy, PricedBy, Rules, Terms};
pub use transfer::{Transfer, moved_to};
