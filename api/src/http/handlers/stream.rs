//! Status as server-sent events, for bots and shops that wait. States, not a replay: the first
//! message is how things stand, the next ones how they change.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::ids::PaymentRequestId;
use domain::ports::Position;
use domain::stream::Version;
use futures::stream;

use super::super::call::{Call, text};
use super::super::present::shown;
use super::super::problem::{self, Problem};
use super::super::state::{HttpState, WaitingPlace};

/// Silence is broken by a comment this often, so that proxies keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Wake-ups are hints; the stream is looked at this often in any case.
const POLL: Duration = Duration::from_secs(1);

struct Follower {
    state: Arc<HttpState>,
    call: Call,
    id: PaymentRequestId,
    seen: Option<Version>,
    at: Option<Position>,
    quiet: Duration,
    ended: bool,
    _place: WaitingPlace,
}

/// `GET /v1/payment-requests/{id}/stream`
pub async fn follow(
    request: HttpRequest,
    path: Path<String>,
    call: Call,
    state: Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let id = PaymentRequestId::parse(path.into_inner())
        .map_err(|_| Problem::new(&problem::NOT_FOUND))?;
    state.app.visible_request(&call.caller, &id).await?;
    let state = state.into_inner();
    let place = state.waiting_place(&call.caller.who, id.as_str())?;
    let seen = text(request.headers(), "last-event-id")
        .and_then(|id| id.parse().ok())
        .map(Version);
    let follower = Follower {
        state,
        call,
        id,
        seen,
        at: None,
        quiet: Duration::ZERO,
        ended: false,
        _place: place,
    };
    let body = stream::unfold(follower, |mut follower| async {
        let message = follower.next().await?;
        Some((Ok::<_, actix_web::Error>(Bytes::from(message)), follower))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body))
}

impl Follower {
    /// The next piece; `None` ends the stream: a terminal state was told, or the caller may not
    /// see it any more.
    async fn next(&mut self) -> Option<String> {
        while !self.ended {
            let caller = self.state.directory.still(&self.call.caller)?;
            let executed = self
                .state
                .app
                .visible_request(&caller, &self.id)
                .await
                .ok()?;
            let news = self.seen != Some(executed.version);
            self.at = executed.position;
            if executed.request.label().is_terminal() {
                self.ended = true;
            }
            if news {
                self.seen = Some(executed.version);
                self.quiet = Duration::ZERO;
                let now = self.state.app.recorder.now();
                let view = shown(
                    &caller,
                    &self.state.app.links,
                    &executed.request,
                    executed.version,
                    now,
                );
                let data = serde_json::to_string(&view).ok()?;
                return Some(format!(
                    "id: {}\nevent: status\ndata: {data}\n\n",
                    executed.version
                ));
            }
            if self.ended {
                return None;
            }
            if let Some(beat) = self.wait().await {
                return Some(beat);
            }
        }
        None
    }

    async fn wait(&mut self) -> Option<String> {
        let store = self.state.app.recorder.store();
        let clock = self.state.app.recorder.clock();
        let before = clock.monotonic();
        tokio::select! {
            biased;
            () = store.wake_up(self.at) => {
                // Any append wakes everybody; a short pause keeps a busy log from spinning this.
                clock.sleep(Duration::from_millis(20)).await;
            }
            () = clock.sleep(POLL) => {}
        }
        self.quiet += clock.monotonic().saturating_sub(before);
        if self.quiet < HEARTBEAT {
            return None;
        }
        self.quiet = Duration::ZERO;
        Some(": still here\n\n".to_owned())
    }
}
