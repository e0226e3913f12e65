//! The payment request: terms that never change, and money that is always somewhere.
//!
//! [`decide`](decide::decide) says which events follow from a command, [`evolve`](request::evolve)
//! folds them. The label is a function of amounts and closure. Rows (`C2`, `E6`) name the lines of
//! the table of cases in `docs/reference/cases.md`, and each has its test.

pub mod evidence;
pub mod fact;
pub mod terms;
pub mod event;
pub mod exception;
pub mod label;
pub mod request;
