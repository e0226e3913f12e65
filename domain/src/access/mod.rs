//! Who may do what: scopes, roles, API clients and their tokens, persons.

pub mod scope;
pub mod role;
pub mod token;
pub mod client;
pub mod operator;
pub mod directory;
