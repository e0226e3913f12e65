//! What views and work loops need to keep, declared here and fulfilled by adapters.
//!
//! Views and their checkpoints live behind [`ViewStore`]; what may be lost at any moment without
//! harm (leases, notes, excerpts of answers) lives behind [`Leases`] and [`OpsStore`]. No truth is
//! behind either of them: that is in the log.

mod ops;
mod query;
mod table;
mod view_store;

pub use ops::{Excerpt, Lease, Leases, OpsError, OpsStore};
pub use query::{Condition, Cursor, RowPage, Test, ViewQuery};
pub use table::{Cell, ColumnKind, ColumnSpec, Row, SpecError, TableSpec, ViewSpec};
pub use view_store::{
    At, Checkpoint, Generation, GenerationState, Parked, Rows, RowsError, Standing, ViewDigest,
    ViewDigester, ViewStore, ViewStoreError, ViewTransaction, Work, WorkError,
};
