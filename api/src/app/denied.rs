//! What a refused privileged call of a known caller leaves behind: the first per route, hour and thing
//! that was lacking an event on the caller's own stream, the others a count.

use std::time::Duration;

use domain::access::{client, operator};
use domain::time::Timestamp;

use super::App;
use super::caller::{Caller, Who};
use super::context::Context;
use super::error::AppError;

/// A denied call of one caller and route, for one lack, leaves one event per this time.
const DENIED_EVERY: Duration = Duration::from_secs(3600);

impl App {
    /// Notes a refused call: which route, and the scope or whatever else the caller lacks. What is
    /// refused in between is counted by the metrics.
    pub async fn note_denied(&self, caller: &Caller, route: &str, scope: &str) {
        let who = caller.who.key();
        metrics::counter!("counterfoil_access_denied_total", "client" => who.clone()).increment(1);
        let key = format!("denied:{who}:{route}:{scope}");
        let now = self.recorder.now();
        let note = self.ops.note(&key).await.ok().flatten();
        let noted = note.and_then(|bytes| {
            let text = String::from_utf8(bytes).ok()?;
            let (at, count) = text.split_once(' ')?;
            Some((
                Timestamp::from_millis(at.parse().ok()?),
                count.parse::<u32>().ok()?,
            ))
        });
        let recent = noted.filter(|(at, _)| now.since(*at) < DENIED_EVERY);
        if let Some((at, count)) = recent {
            let next = format!("{} {}", at.millis(), count.saturating_add(1));
            let _ = self.ops.put_note(&key, next.as_bytes()).await;
            return;
        }
        let count = noted.map_or(0, |(_, count)| count);
        match self.record_denied(caller, route, scope, count).await {
            Ok(()) => {
                let note = format!("{} 0", now.millis());
                let _ = self.ops.put_note(&key, note.as_bytes()).await;
            }
            Err(error) => tracing::warn!(error = %error, "access_denied.not_noted"),
        }
    }

    async fn record_denied(
        &self,
        caller: &Caller,
        route: &str,
        scope: &str,
        count: u32,
    ) -> Result<(), AppError> {
        let context = Context::of(caller.actor(), route);
        let (route, scope) = (route.to_owned(), scope.to_owned());
        match &caller.who {
            Who::Client(id) => {
                let command = client::Command::Deny {
                    route,
                    scope,
                    count,
                };
                self.command_client(id, &context, &command).await?;
            }
            Who::Operator(id) => {
                let command = operator::Command::Deny {
                    route,
                    scope,
                    count,
                };
                self.command_operator(id, &context, &command).await?;
            }
        }
        Ok(())
    }
}
