//! Keeps a loop running: a panic is counted, and the loop starts again after a pause that grows.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use domain::ports::Clock;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::health::Health;

/// Longest pause before a loop starts again.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Tells every loop to stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// The other end of [`Stop`].
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// A stopper and what loops listen to.
pub fn stopper() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks every loop to end after what it is doing.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// True when the loops shall end.
    pub fn asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the loops shall end.
    pub async fn wait(&mut self) {
        // An error means that the stopper is gone: the process ends.
        let _ = self.0.wait_for(|asked| *asked).await;
    }

    /// Sleeps; true when the loops shall end instead.
    pub async fn sleeps(&mut self, clock: &dyn Clock, duration: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.wait() => true,
            () = clock.sleep(duration) => false,
        }
    }
}

/// Runs `make()` until it ends by itself; starts it again after a panic.
pub fn supervise<F>(
    name: &'static str,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    mut stop: Stop,
    make: impl Fn() -> F + Send + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    health.starts(name, clock.now());
    tokio::spawn(async move {
        let mut pause = Duration::from_millis(200);
        while !stop.asked() {
            match tokio::spawn(make()).await {
                Ok(()) => return,
                Err(error) if error.is_panic() => {
                    metrics::counter!("counterfoil_loop_panics_total", "loop" => name).increment(1);
                    tracing::error!(loop_name = name, "loop.panicked");
                    health.fails(name, clock.now(), "it panicked and starts again");
                }
                Err(_) => return,
            }
            if stop.sleeps(&*clock, pause).await {
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    })
}
