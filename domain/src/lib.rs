//! The domain of Counterfoil: arithmetic on facts.
//!
//! Nothing here awaits, reads a clock, draws a random number, logs, or touches a file, a socket or
//! a database. What a decision needs arrives as an argument. (The port traits in [`ports`] are
//! declared here and implemented by adapters.)
//!
//! # Words
//! One word, one meaning, the same in code, routes, columns and docs.
//!
//! | word | meaning |
//! |---|---|
//! | payment request | the commercial terms of one order's payment; they never change |
//! | attempt | one order or session registered at one provider |
//! | capture | one movement of money to us |
//! | fact | one normalised observation of a provider, with its evidence class |
//! | observation | the facts of one notification or look-up |
//! | verify | for money: decide that a request is paid |
//! | authenticate | for callers |
//! | check | for signatures |
//! | payer | whoever holds the link of a request's page |
//! | claim | uniqueness in the event store |
//! | lease | a worker's hold on a delivery |
//! | push, pull | an event is sent to its receiver, or the receiver fetches it |
//! | payer notice | what a customer tells or shows us; never proof |
//! | exception | something a person must decide |
//! | refusal | a business rule says no |

pub mod access;
pub mod actor;
pub mod catalogue;
pub mod checkout;
pub mod codec;
pub mod config;
pub mod delivery;
pub mod digest;
pub mod idempotency;
pub mod ids;
pub mod instance;
pub mod money;
pub mod notification;
pub mod outbound;
pub mod pan;
pub mod payment;
pub mod ports;
pub mod quote;
pub mod record;
pub mod sealed;
pub mod stream;
pub mod subscriber;
pub mod time;
pub mod unmatched;

/// The canonical JSON (RFC 8785) of a value: sorted names, no spaces, one form for every string.
///
/// # Errors
/// For values that are no JSON (maps with keys that are no text).
pub fn canonical_json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    serde_json_canonicalizer::to_vec(value)
}
