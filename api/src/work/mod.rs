//! The work loops: what happens without anybody calling.

pub mod health;
pub mod supervise;
pub mod apply_notifications;
pub mod look_up;
pub mod expire;
pub mod deliver;
pub mod follow_clients;
pub mod views;

pub use health::Health;
