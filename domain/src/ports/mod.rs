//! What the write side needs of the outside, declared here and fulfilled by adapters.

mod event_store;
mod keys;
mod world;

pub use event_store::{
    AppendError, AppendRequest, Appended, BoxError, Claim, ClaimExpect, ClaimOwner, ClaimSpace, EventStore, Expect,
    Filter, Outcome, Page, Position, ReadError, StoreIdentity,
};
pub use keys::{EvidenceBlob, EvidenceError, EvidenceStore, Keyring, KeyringError, Secret, SecretPurpose, Secrets};
pub use world::{Clock, Entropy};
