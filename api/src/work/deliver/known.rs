//! Subscribers as the log has them, kept between tries so that each try reads only what is new.
//!
//! A try must not go by the view, which may be behind: a key that was taken away must not sign, and a
//! paused subscriber gets nothing. But a subscriber's stream grows with every change and every time
//! that it was away, and reading it from its beginning for every delivery would cost more each year.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::ids::SubscriberId;
use domain::subscriber::Subscriber;

use crate::app::App;
use crate::app::error::AppError;
use crate::app::recorder::Folded;

/// What was read so far. Losing it costs a longer read.
#[derive(Default)]
pub(super) struct Known {
    subscribers: Mutex<BTreeMap<SubscriberId, Folded<Subscriber>>>,
}

impl Known {
    /// The subscriber as of the end of the log.
    ///
    /// # Errors
    /// Outages.
    pub(super) async fn subscriber(
        &self,
        app: &App,
        id: &SubscriberId,
    ) -> Result<Option<Subscriber>, AppError> {
        let before = self.read().get(id).cloned();
        let version = before.as_ref().and_then(|before| before.version);
        let now = app.subscriber_since(id, before).await?;
        let state = now.state.clone();
        if now.version > version {
            let mut known = self.read();
            // Another try may have read further meanwhile.
            if known
                .get(id)
                .is_none_or(|other| other.version < now.version)
            {
                known.insert(id.clone(), now);
            }
        }
        Ok(state)
    }

    fn read(&self) -> MutexGuard<'_, BTreeMap<SubscriberId, Folded<Subscriber>>> {
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
