//! The work loops: what happens without anybody calling.

pub mod alerts;
pub mod apply_notifications;
pub mod batches;
mod checkpoint;
pub mod deliver;
pub mod expire;
pub mod follow_clients;
pub mod health;
pub mod look_up;
pub mod overrides;
pub mod refund;
pub mod supervise;
pub mod transfers;
pub mod views;

pub use health::Health;
