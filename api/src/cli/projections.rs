//! `projections status|rebuild|verify`, with a bar on long work.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use projections::engine::Stop;
use projections::rebuild::{Rebuild, RebuildProgress, Rebuilt, Verified};
use projections::view::View;
use serde_json::json;
use tokio::sync::watch;

use super::args::{Global, Projections};
use super::out::{Failure, Out};
use super::serve::{of_start, settings};
use crate::admin::socket;
use crate::app::App;
use crate::compose;

pub(super) async fn run(global: &Global, out: &Out, command: Projections) -> Result<(), Failure> {
    let settings = settings(global, out)?.settings;
    let context = socket::context(&global.operator, "cli projections");
    let opened = compose::open(&settings, &context)
        .await
        .map_err(|error| of_start(&error))?;
    let app = &opened.app;
    match command {
        Projections::Status => {
            let standings = app
                .view_standings()
                .await
                .map_err(|error| Failure::unavailable(error.to_string()))?;
            let rows = serde_json::to_value(standings)
                .map_err(|error| Failure::failed(error.to_string()))?;
            out.list(
                &[
                    "view",
                    "generation",
                    "state",
                    "version",
                    "position",
                    "head",
                    "parked",
                ],
                &rows,
            );
            Ok(())
        }
        Projections::Rebuild { name } => {
            for view in views(name)? {
                rebuild(app, out, view).await?;
            }
            Ok(())
        }
        Projections::Verify { name } => {
            let mut different = false;
            for view in views(name)? {
                different |= !verify(app, out, view).await?;
            }
            if different {
                Err(Failure::failed(
                    "a view is not what the log says; rebuild it",
                ))
            } else {
                Ok(())
            }
        }
    }
}

fn views(name: Option<String>) -> Result<Vec<Arc<dyn View>>, Failure> {
    let mut all = projections::views::all();
    let Some(name) = name else { return Ok(all) };
    let known: Vec<_> = all.iter().map(|view| view.spec().name).collect();
    all.retain(|view| view.spec().name == name);
    if all.is_empty() {
        return Err(Failure::usage(format!(
            "there is no view {name}; known: {}",
            known.join(", ")
        )));
    }
    Ok(all)
}

fn work(app: &App, view: &Arc<dyn View>) -> Rebuild {
    let (store, views) = (Arc::clone(app.recorder.store()), Arc::clone(&app.views));
    Rebuild::new(
        Arc::clone(view),
        store,
        views,
        Arc::clone(app.recorder.clock()),
    )
}

/// A bar on a terminal; nothing elsewhere.
fn bar(out: &Out, name: &str) -> ProgressBar {
    let bar = if out.quiet {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(0)
    };
    let style = ProgressStyle::with_template("{prefix:16} {bar:40} {pos}/{len} {msg}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    bar
}

fn advance(bar: &ProgressBar) -> impl Fn(&RebuildProgress) + Send + Sync + '_ {
    |progress| {
        bar.set_length(progress.events + progress.left.unwrap_or(0));
        bar.set_position(progress.events);
        let pace = progress
            .events_per_second
            .map_or_else(String::new, |pace| format!("{pace} events/s"));
        let eta = progress
            .eta
            .map_or_else(String::new, |eta| format!(", {} s left", eta.as_secs()));
        bar.set_message(format!("{pace}{eta}"));
    }
}

/// Ctrl-C stops after the page; the next call goes on from there.
fn stop_on_interrupt() -> Stop {
    let (sender, stop) = watch::channel(false);
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        sender.send_replace(true);
        std::future::pending::<()>().await;
    });
    stop
}

async fn rebuild(app: &App, out: &Out, view: Arc<dyn View>) -> Result<(), Failure> {
    let name = view.spec().name;
    let bar = bar(out, name);
    let rebuilt = work(app, &view)
        .rebuild(&advance(&bar), &stop_on_interrupt())
        .await;
    bar.finish_and_clear();
    match rebuilt.map_err(|error| Failure::failed(error.to_string()))? {
        Rebuilt::Switched {
            generation,
            previous,
            events,
        } => {
            out.one(&json!({ "view": name, "generation": generation, "previous": previous, "events": events }));
            Ok(())
        }
        Rebuilt::Stopped { generation } => Err(Failure::failed(format!(
            "{name}: stopped; generation {generation} goes on with the next rebuild"
        ))),
    }
}

async fn verify(app: &App, out: &Out, view: Arc<dyn View>) -> Result<bool, Failure> {
    let name = view.spec().name;
    let bar = bar(out, name);
    let verified = work(app, &view)
        .verify(&advance(&bar), &stop_on_interrupt())
        .await;
    bar.finish_and_clear();
    match verified.map_err(|error| Failure::failed(error.to_string()))? {
        Verified::Equal(digest) => {
            let position = digest.checkpoint.map(|checkpoint| checkpoint.position);
            out.one(&json!({ "view": name, "equal": true, "digest": digest.digest, "position": position }));
            Ok(true)
        }
        Verified::Different { live, rebuilt } => {
            out.one(&json!({ "view": name, "equal": false, "live": live.digest, "rebuilt": rebuilt.digest }));
            Ok(false)
        }
        Verified::Stopped => Err(Failure::failed(format!("{name}: stopped"))),
    }
}
