//! `bench`: prints the figures of this machine.

use std::time::Duration;

use super::args::{Bench, BenchPart};
use super::out::{Failure, Out};
use crate::bench::{Part, Plan, run};

pub(super) async fn bench(out: &Out, command: Bench) -> Result<(), Failure> {
    let parts = match command.part {
        BenchPart::Creates => vec![Part::Creates],
        BenchPart::Appends => vec![Part::Appends],
        BenchPart::Deliveries => vec![Part::Deliveries],
        BenchPart::Prechecks => vec![Part::Prechecks],
        BenchPart::Rebuild => vec![Part::Rebuild],
        BenchPart::All => Part::ALL.to_vec(),
    };
    let plan = Plan {
        parts,
        figure: Duration::from_secs(u64::from(command.seconds)),
        events: u64::from(command.events),
        folder: command.data,
    };
    let tell = |part: &str| out.talk(&format!("measuring {part}"));
    let report = run(&plan, tell)
        .await
        .map_err(|error| Failure::failed(error.to_string()))?;
    if out.json {
        out.one(&report);
        return Ok(());
    }
    out.one(&report["machine"]);
    for part in &plan.parts {
        let rows = &report[part.as_str()];
        out.line(&format!("\n{}", part.as_str()));
        out.list(columns(*part), rows);
    }
    Ok(())
}

/// In the order of a sentence; JSON has the same names.
fn columns(part: Part) -> &'static [&'static str] {
    match part {
        Part::Creates => &[
            "connections",
            "creates_per_s",
            "p50_us",
            "p99_us",
            "empty_per_s",
            "empty_p50_us",
            "empty_p99_us",
            "percent_of_empty",
        ],
        Part::Appends => &[
            "appenders",
            "record_bytes",
            "appends_per_s",
            "p50_us",
            "p99_us",
            "bare_inserts_per_s",
            "percent_of_bare",
        ],
        Part::Deliveries => &[
            "what",
            "deliveries",
            "per_s",
            "p50_us",
            "p95_us",
            "p99_us",
            "empty_p50_us",
            "empty_p95_us",
            "empty_per_s",
        ],
        Part::Prechecks => &[
            "connections",
            "first_p50_us",
            "first_p99_us",
            "again_p50_us",
            "again_p99_us",
            "again_per_s",
            "empty_p50_us",
            "empty_p99_us",
            "empty_per_s",
        ],
        Part::Rebuild => &["what", "events", "events_per_s", "percent_of_reading"],
    }
}
