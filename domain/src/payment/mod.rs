//! The payment request: terms that never change, and money that is always somewhere.

pub mod evidence;
pub mod fact;
