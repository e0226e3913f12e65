//! A second opinion on payment requests: what the table of cases says, in plain integers.
//!
//! It is written from the words of `docs/reference/cases.md` and shares nothing with the code that
//! decides. It is told what the ledger was told, and says what must be true afterwards. A row of the
//! table is a line or two here, so these files are not wrapped by a machine.
#![allow(missing_docs, reason = "what is public is a row, or a word of the table")]

mod money;
mod people;
mod requests;
