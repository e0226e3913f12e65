//! The engine: follows the log and keeps the live generation of one view.
//!
//! Page by page it reads the log, folds the page, and writes rows, parked streams and checkpoint in
//! one transaction that is fenced by the checkpoint before. A crash anywhere leaves the view at one
//! page or the next, never between. The engine never skips an event: it parks the stream, or stops.
//!
//! Work loops run one [`Runner`] per view; operators call [`release`].

mod batch;
mod cache;
mod feed;
mod release;
mod runner;
mod status;

pub use feed::FeedError;
pub use release::{Released, release};
pub use runner::{Handle, Runner, RunnerSettings, Step, Stop};
pub use status::{RunnerState, ViewStatus, events_between};

pub(crate) use feed::Feed;

#[cfg(test)]
mod tests;
