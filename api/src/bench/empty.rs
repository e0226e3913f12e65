//! The least that an answer costs here: a handler that reads the body and does nothing.

use std::net::{SocketAddr, TcpListener};

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpServer, web};
use tokio::task::JoinHandle;

use super::BenchError;

/// A server that runs until it is stopped.
pub(super) struct Empty {
    /// Where it listens.
    pub(super) address: SocketAddr,
    stopping: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Empty {
    /// Answers a `POST` to `path`.
    pub(super) fn at(path: &'static str) -> Result<Self, BenchError> {
        let failed = BenchError::at("empty handler");
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(&failed)?;
        let address = listener.local_addr().map_err(&failed)?;
        let server = HttpServer::new(move || App::new().route(path, web::post().to(nothing)));
        let server = server.disable_signals().shutdown_timeout(1);
        let server: Server = server.listen(listener).map_err(&failed)?.run();
        Ok(Self {
            address,
            stopping: server.handle(),
            serving: tokio::spawn(server),
        })
    }

    /// Stops it.
    pub(super) async fn stop(self) -> Result<(), BenchError> {
        self.stopping.stop(true).await;
        self.serving
            .await
            .map_err(BenchError::at("empty handler"))?
            .map_err(BenchError::at("empty handler"))
    }
}

/// Reads the body and answers with a word.
async fn nothing(body: web::Bytes) -> &'static str {
    if body.is_empty() { "empty" } else { "read" }
}
