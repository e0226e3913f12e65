//! Would the model find a mistake? Each mistake of `domain::payment::planted` is planted in turn, and
//! histories run until one differs.
//!
//! `cargo test -p counterfoil-tests --features planted --test it planted_mistakes -- --nocapture` tells how many
//! histories and how much time each took.

#![allow(clippy::print_stdout, reason = "figures are for whoever runs it")]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use actix_web::rt::System;
use domain::payment::planted::{Bug, plant};
use harness::sim::plan::Plan;

use super::model::failure_of;

/// So many histories at most for each mistake.
const HISTORIES_MAX: u64 = 4_000;

#[test]
fn every_planted_mistake_is_found() {
    let system = System::new();
    let named = std::env::var("COUNTERFOIL_BUG").ok();
    let wanted = |bug: &Bug| {
        named
            .as_ref()
            .is_none_or(|name| format!("{bug:?}") == *name)
    };
    let mut missed = vec![];
    println!(
        "{:<28} {:>9} {:>8}  found as",
        "mistake", "histories", "seconds"
    );
    for bug in Bug::ALL.into_iter().filter(wanted) {
        let started = Instant::now();
        let mut found = None;
        for seed in 0..HISTORIES_MAX {
            plant(Some(bug));
            let failure = failure_of(&system, &Plan::of(seed));
            plant(None);
            if let Some(failure) = failure {
                found = Some((seed + 1, failure));
                break;
            }
        }
        let took = started.elapsed().as_secs_f64();
        match found {
            Some((histories, failure)) => {
                let name = format!("{bug:?}");
                println!("{name:<28} {histories:>9} {took:>8.1}  {}", failure.promise);
            }
            None => missed.push(bug),
        }
    }
    assert!(
        missed.is_empty(),
        "not found in {HISTORIES_MAX} histories: {missed:?}"
    );
}

#[test]
fn a_release_with_planted_mistakes_does_not_compile() {
    let tried = Command::new(env!("CARGO"))
        .args([
            "check",
            "--release",
            "--offline",
            "-p",
            "counterfoil-domain",
        ])
        .args(["--features", "planted"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
        .env(
            "CARGO_TARGET_DIR",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/planted"),
        )
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&tried.stderr);
    assert!(
        !tried.status.success() && told.contains("never for a release"),
        "{told}"
    );
}
