//! Who may do what: scopes, roles, API clients and their tokens, persons.

pub mod client;
pub mod directory;
pub mod operator;
pub mod password;
pub mod role;
pub mod scope;
pub mod token;
pub mod totp;
