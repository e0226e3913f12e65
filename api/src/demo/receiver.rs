//! A subscriber of the demo: checks each request's signature, keeps what it heard, answers 200.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use domain::delivery::signature;
use serde_json::Value;

/// One request that it heard.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    /// `webhook-id`.
    pub id: String,
    /// Event type.
    pub event_type: String,
    /// The payment request.
    pub subject: String,
    /// True when the signature holds.
    pub authentic: bool,
}

#[derive(Default)]
struct State {
    secret: Mutex<Option<String>>,
    heard: Mutex<Vec<Heard>>,
}

/// A running subscriber.
pub(super) struct Receiver {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    state: Arc<State>,
    server: ServerHandle,
}

impl Receiver {
    pub(super) fn start(name: &'static str) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let data = Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .route("/hook", web::post().to(hear))
        })
        .workers(1)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self {
            name,
            address,
            state,
            server: handle,
        })
    }

    pub(super) fn know_secret(&self, secret: &str) {
        *self
            .state
            .secret
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(secret.to_owned());
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.state
            .heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) async fn stop(&self) {
        self.server.stop(false).await;
    }
}

async fn hear(request: HttpRequest, body: Bytes, state: Data<State>) -> HttpResponse {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let secret = state
        .secret
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let id = header("webhook-id").to_owned();
    let authentic = secret
        .and_then(|secret| signature::key(secret.as_bytes()))
        .is_some_and(|key| {
            let seconds = header("webhook-timestamp").parse().unwrap_or_default();
            let expected = signature::sign(&key, &id, seconds, &body);
            header("webhook-signature")
                .split(' ')
                .any(|one| one == expected)
        });
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let heard = Heard {
        id,
        event_type: text("type"),
        subject: text("subject"),
        authentic,
    };
    state
        .heard
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(heard);
    HttpResponse::Ok().finish()
}
