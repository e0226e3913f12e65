//! Keys and what they seal: the key-encryption key, the cipher, passwords, and the evidence store. The keyring
//! itself is a SQLite file (`crate::sqlite::keyring`), or lives in memory for simulations.

mod blob;
pub mod cipher;
pub mod evidence;
pub mod kek;
pub mod memory;
pub mod passwords;

pub use evidence::FileEvidenceStore;
pub use kek::{Kek, KekError};
pub use memory::{MemoryEvidence, MemoryKeyring};
pub use passwords::Argon2Passwords;
