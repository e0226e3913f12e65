//! `init` and `serve`.

use std::net::TcpListener;

use tokio::signal::unix::{SignalKind, signal};

use serde_json::json;

use super::args::Global;
use super::out::{Failure, Out};
use crate::admin::socket;
use crate::compose::{self, StartError};
use crate::config::{LoadError, Loaded};
use crate::telemetry::start_logging;

/// The settings of this call.
pub(super) fn settings(global: &Global, out: &Out) -> Result<Loaded, Failure> {
    let loaded = crate::config::load(
        global.config.as_deref(),
        std::env::vars(),
        compose::profile_mistakes,
    );
    loaded.map_err(|error| match error {
        LoadError::Unreadable { path, cause } => {
            Failure::usage(format!("{}: {cause}", path.display()))
        }
        LoadError::Mistakes(mistakes) => {
            if out.json {
                let told = mistakes
                    .iter()
                    .map(|mistake| json!({ "place": mistake.place, "what": mistake.what }));
                out.line(&json!({ "mistakes": told.collect::<Vec<_>>() }).to_string());
            } else {
                for mistake in &mistakes {
                    out.line(&format!("{}: {}", mistake.place, mistake.what));
                }
            }
            let noun = if mistakes.len() == 1 {
                "mistake"
            } else {
                "mistakes"
            };
            Failure::usage(format!("{} {noun} in the configuration", mistakes.len()))
        }
    })
}

pub(super) fn of_start(error: &StartError) -> Failure {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error).and_then(std::error::Error::source);
    while let Some(inner) = cause {
        message = format!("{message}: {inner}");
        cause = inner.source();
    }
    match error {
        StartError::NotInitialised { .. } => Failure::usage(message),
        StartError::Part { .. } => Failure::unavailable(message),
    }
}

pub(super) async fn init(global: &Global, out: &Out) -> Result<(), Failure> {
    let settings = settings(global, out)?.settings;
    let context = socket::context(&global.operator, "cli init");
    compose::init(&settings, &context)
        .await
        .map_err(|error| of_start(&error))?;
    if out.json {
        out.one(&json!({
            "data": settings.store.data,
            "kek_file": settings.store.kek_file,
            "log": settings.ledger.origin,
        }));
        return Ok(());
    }
    out.talk(&format!(
        "data folder         {}",
        settings.store.data.display()
    ));
    out.talk(&format!(
        "key-encryption key  {} (keep it and its backup apart from the data folder)",
        settings.store.kek_file.display()
    ));
    out.talk(&format!("log                 {}", settings.ledger.origin));
    Ok(())
}

pub(super) async fn serve(global: &Global, out: &Out) -> Result<(), Failure> {
    let settings = settings(global, out)?.settings;
    start_logging(&settings.log);
    let listen = settings.server.listen;
    let listener = TcpListener::bind(listen)
        .map_err(|error| Failure::unavailable(format!("cannot listen on {listen}: {error}; stop what listens there, or choose another server.listen")))?;
    let node = compose::start(&settings, listener)
        .await
        .map_err(|error| of_start(&error))?;
    out.talk(&format!(
        "counterfoil listens on http://{} (docs: /docs, health: /health/ready)",
        node.address
    ));
    tokio::select! {
        biased;
        why = node.store_failed() => {
            // Nothing more is acknowledged; a restart reads the disk again.
            return Err(Failure::failed(format!("the event store failed: {why}")));
        }
        told = until_told_to_stop() => told?,
    }
    out.talk("stopping");
    node.stop().await;
    Ok(())
}

/// Returns on SIGTERM and on Ctrl-C.
pub(super) async fn until_told_to_stop() -> Result<(), Failure> {
    let failed = |error| Failure::unavailable(format!("signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
