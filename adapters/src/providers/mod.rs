//! Provider adapters: authenticated bytes to facts, and our own calls. An adapter never decides
//! about money, and what it does not recognise is *unknown*, never a guess.

pub mod signature;
pub mod pointer;
pub mod sim;
pub mod stripe;
pub mod generic;

#[cfg(test)]
mod altered_tests;
