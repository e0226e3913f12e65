//! Configuration: one TOML file plus environment, checked as a whole before anything starts.

pub mod settings;
pub mod load;
pub mod check;

pub use check::Mistake;
pub use load::{LoadError, Loaded, load};
pub use settings::Settings;
