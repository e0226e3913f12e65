//! Configuration: one TOML file plus environment, checked as a whole before anything starts.

pub mod check;
pub mod load;
mod read;
pub mod settings;

pub use check::Mistake;
pub use load::{LoadError, Loaded, load};
pub use settings::Settings;
