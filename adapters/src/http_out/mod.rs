//! Outgoing HTTP over hyper and rustls.
//!
//! A name is resolved once, its addresses are checked, and the connection goes to a checked address;
//! there is no second look-up between the check and the connection. No redirect is followed, no
//! proxy is taken from the environment, no cookie is kept, no compressed answer is unpacked. Used by
//! provider adapters and by the delivery loop.

mod addresses;
mod client;
mod connect;
#[cfg(test)]
mod corpus_tests;
mod destinations;
mod scripted;

pub use addresses::{AddressGuard, Cidr, NotANetwork};
pub use client::{CannotStart, CheckedHttp, HttpOutOptions, Proxy};
pub use destinations::CallableUrls;
pub use scripted::ScriptedHttp;
