//! What the write side needs of the outside, declared here and fulfilled by adapters.

mod alerts;
mod event_store;
mod http_out;
mod keys;
mod passwords;
mod position;
mod provider;
mod refunds;
mod world;

pub use alerts::{Alert, AlertChannel, AlertError, AlertKind, AlertState};
pub use event_store::{
    AppendError, AppendRequest, Appended, BoxError, Claim, ClaimExpect, ClaimOwner, ClaimSpace,
    EventStore, Expect, Filter, Outcome, Page, ReadError, StoreIdentity,
};
pub use http_out::{Destinations, HttpOut, NotCallable, OutAnswer, OutError, OutRequest};
pub use keys::{
    EvidenceBlob, EvidenceError, EvidenceStore, Keeping, Keyring, KeyringError, Secret,
    SecretPurpose, Secrets,
};
pub use passwords::{PasswordError, Passwords};
pub use position::Position;
pub use provider::{
    Acknowledge, Authentic, HandOver, InboundMethod, InboundProvider, InboundRequest, LookUp,
    LookUpOutcome, NotUnderstood, PayForm, ProviderAnswer, ProviderApi, Question, RegisterOutcome,
    Registration, Rejected, SessionEnd,
};
pub use refunds::{RefundApi, RefundOrder, RefundOutcome};
pub use world::{Clock, Entropy};
