//! The loops of a ledger, each kept running.

use std::sync::Arc;

use domain::ports::Clock;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::work::Health;
use crate::work::supervise::{Stop, supervise};

/// What every loop gets.
pub(super) struct Supervised<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) health: &'a Arc<Health>,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) stop: &'a Stop,
}

impl Supervised<'_> {
    /// Starts a loop, and starts it again after a panic.
    pub(super) fn run<F>(
        &self,
        name: &'static str,
        work: impl Fn(Arc<App>, Arc<Health>, Stop) -> F + Send + 'static,
    ) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (app, health, stop) = (
            Arc::clone(self.app),
            Arc::clone(self.health),
            self.stop.clone(),
        );
        supervise(
            name,
            Arc::clone(self.clock),
            Arc::clone(self.health),
            self.stop.clone(),
            move || work(Arc::clone(&app), Arc::clone(&health), stop.clone()),
        )
    }
}
