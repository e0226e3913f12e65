//! The views. Each file is one question, answered by a fold.

mod fold;

pub mod audit_trail;
pub mod delivery_queue;
pub mod exceptions;
pub mod order_status;
pub mod timers;

use std::sync::Arc;

use crate::view::View;

/// Every view of the ledger, for those who run, rebuild and list them.
pub fn all() -> Vec<Arc<dyn View>> {
    vec![
        Arc::new(order_status::OrderStatusView),
        Arc::new(audit_trail::AuditTrailView),
        Arc::new(exceptions::ExceptionsView),
        Arc::new(timers::TimersView),
        Arc::new(delivery_queue::DeliveryQueueView),
    ]
}

#[cfg(test)]
mod tests;
