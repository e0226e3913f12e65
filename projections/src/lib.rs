//! Views of the log, and the engine that keeps and rebuilds them.
//!
//! A view is a pure fold from recorded events to row changes. Nothing here opens a socket, reads a
//! clock of its own or speaks SQL; rows go through the port [`ports::ViewStore`]. There is nothing
//! here that could send anything, so a rebuild cannot.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | view | a name, a version of its code, its tables, and the fold that fills them |
//! | generation | one filled copy of a view's tables; one of them is *live* |
//! | checkpoint | the last event that a generation has taken in; kept with its rows |
//! | parked stream | a stream whose next event a view could not take in; it waits, others go on |
//! | live | the generation that readers see |

pub mod engine;
pub mod ports;
pub mod read;
pub mod rebuild;
pub mod view;
pub mod views;
pub mod wait;

#[cfg(test)]
pub(crate) mod testing;
