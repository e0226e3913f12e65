//! Random histories of the real ledger in memory, against the model of the table of cases.
//!
//! `COUNTERFOIL_PLAN=file cargo test -p counterfoil-tests --test it -- model::replay --nocapture` runs one
//! plan again, and with `COUNTERFOIL_TRACE=1` tells every step; `COUNTERFOIL_HISTORIES=n` runs n more
//! histories than the fast tier, `COUNTERFOIL_SEED=s` from seed s.

#![allow(clippy::print_stdout, reason = "figures are for whoever runs it")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use actix_web::rt::{System, SystemRunner};
use harness::sim::plan::Plan;
use harness::sim::run::{Failure, Reached, log_of, run};
use harness::sim::shrink::shrink;

/// Histories of the fast tier.
const FAST: u64 = 100;
/// How long the slow tier runs them.
const SLOW: Duration = Duration::from_secs(150);
/// Of the slow tier, one plan in so many is run twice.
const TWICE: u64 = 100;

/// Ends of the ways through the table: where a plan comes to these, it came a long way.
const REACHED: [&str; 12] = [
    "AttemptCancelRequested",
    "CaptureAliasRecorded",
    "CaptureReceived",
    "CaptureUnapplied",
    "DisputeClosed",
    "OverrideSubstantiated",
    "RefundAccepted",
    "RefundReversed",
    "RefundUncertain",
    "UnappliedMoneyAccepted",
    "UnmatchedPaymentResolved",
    "VerificationRevoked",
];

/// A panic is a failure like any other, so that its plan is shrunk and kept as well.
pub(super) fn failure_of(system: &SystemRunner, plan: &Plan) -> Option<Failure> {
    outcome_of(system, plan).err()
}

fn outcome_of(system: &SystemRunner, plan: &Plan) -> Result<Reached, Failure> {
    let failed = |step| Failure {
        promise: "nobody panics",
        step,
        detail: "see above".to_owned(),
    };
    match catch_unwind(AssertUnwindSafe(|| system.block_on(run(plan)))) {
        Ok(done) => done,
        Err(_) => Err(failed(plan.steps.len().saturating_sub(1))),
    }
}

/// Shrinks a failing plan, writes it down, and tells how to run it again.
fn report(system: &SystemRunner, plan: &Plan, failure: Failure) -> ! {
    let (small, failure) = shrink(plan, failure, |plan| failure_of(system, plan));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plans");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("seed-{}.json", plan.seed));
    std::fs::write(&file, serde_json::to_string_pretty(&small).unwrap()).unwrap();
    panic!(
        "{failure}\n{} steps are left; run them again with\n\
         COUNTERFOIL_PLAN={} cargo test -p counterfoil-tests --test it -- model::replay --nocapture",
        small.steps.len(),
        file.display()
    );
}

fn read(file: &Path) -> Plan {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Runs seeds until the count and the time are both over. Gives what they came to.
fn histories(first: u64, least: u64, at_least: Duration) -> Reached {
    let system = System::new();
    let mut reached = Reached::default();
    let (started, mut steps, mut count) = (Instant::now(), 0, 0);
    while count < least || started.elapsed() < at_least {
        let plan = Plan::of(first + count);
        match outcome_of(&system, &plan) {
            Ok(of_plan) => {
                reached.labels.extend(of_plan.labels);
                reached.cases.extend(of_plan.cases);
                reached.events.extend(of_plan.events);
                reached.crashes += of_plan.crashes;
            }
            Err(failure) => report(&system, &plan, failure),
        }
        if !at_least.is_zero() && count % TWICE == 0 {
            assert_one_history(&system, &plan);
        }
        steps += plan.steps.len();
        count += 1;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{count} histories, {steps} steps, {} crashes, {:.1} histories/s, {:.0} steps/s, no difference",
        reached.crashes,
        count as f64 / seconds,
        steps as f64 / seconds
    );
    println!("labels: {:?}", reached.labels);
    println!("cases: {:?}", reached.cases);
    println!("events: {:?}", reached.events);
    reached
}

/// Two runs of a plan leave the same records, byte for byte.
fn assert_one_history(system: &SystemRunner, plan: &Plan) {
    let logs: Vec<_> = (0..2).map(|_| system.block_on(log_of(plan))).collect();
    assert!(!logs[0].is_empty());
    assert_eq!(logs[0], logs[1], "seed {}", plan.seed);
}

#[test]
fn the_ledger_and_the_table_agree_whatever_happens() {
    let more = number("COUNTERFOIL_HISTORIES").unwrap_or(0);
    let first = number("COUNTERFOIL_SEED").unwrap_or(0);
    let reached = histories(first, FAST + more, Duration::ZERO);
    // A model that is never asked agrees with everything.
    assert!(reached.labels.len() >= 8, "{:?}", reached.labels);
    assert!(reached.cases.len() >= 25, "{:?}", reached.cases);
    for event in REACHED {
        assert!(reached.events.contains(event), "no history has {event}");
    }
    assert!(reached.crashes > 0);
}

#[test]
fn the_ledger_and_the_table_agree_for_minutes() {
    if std::env::var_os("SLOW").is_some() {
        histories(1_000_000, 1, SLOW);
    }
}

/// Plans that found something once.
#[test]
fn plans_that_found_something_find_nothing_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let system = System::new();
    for file in files {
        if let Some(failure) = failure_of(&system, &read(&file)) {
            panic!("{}: {failure}", file.display());
        }
    }
}

#[test]
fn replay() {
    let Some(file) = std::env::var_os("COUNTERFOIL_PLAN") else {
        return;
    };
    let plan = read(Path::new(&file));
    match failure_of(&System::new(), &plan) {
        Some(failure) => panic!("{failure}"),
        None => println!("{} steps, no difference", plan.steps.len()),
    }
}

#[test]
fn a_plan_survives_being_written_down() {
    for seed in 0..200 {
        let plan = Plan::of(seed);
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}

#[test]
fn a_plan_is_one_history() {
    let system = System::new();
    for seed in [3, 11] {
        assert_one_history(&system, &Plan::of(seed));
    }
}
