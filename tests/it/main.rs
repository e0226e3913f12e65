//! The tests that need more than one crate. Each file is one promise or one suite; names of tests
//! are sentences.

mod contract;
