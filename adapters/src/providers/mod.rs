//! Provider adapters: authenticated bytes to facts, and our own calls. An adapter never decides
//! about money, and what it does not recognise is *unknown*, never a guess.

pub mod generic;
pub mod idram;
pub mod pointer;
pub mod signature;
pub mod sim;
pub mod stripe;

#[cfg(test)]
mod altered_tests;
