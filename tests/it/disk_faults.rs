//! A disk that fails, and a process that is killed, at every system call of a fixed script.
//!
//! The script runs in a process of its own under `strace`, which makes the k-th call fail or kills
//! the process there. Whatever happened, what was acknowledged is there afterwards, nothing is
//! acknowledged after a failed sync, and sending everything again leaves one copy. Needs `strace`,
//! so it runs with `SLOW=1` only.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use adapters::sqlite::events::{Health, SqliteEventStore, SqliteOptions};
use domain::ids::EventId;
use domain::ports::{AppendError, AppendRequest, EventStore, Expect, Outcome};
use domain::record::Record;
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;
use harness::world::{Dice, TestClock};

const SCRIPT: &str = "disk_faults::the_script";
const FOLDER: &str = "COUNTERFOIL_SCRIPT_FOLDER";
const APPENDS: u64 = 12;

fn open(folder: &Path) -> SqliteEventStore {
    let clock = Arc::new(TestClock::at(Timestamp::from_seconds(0)));
    let options = SqliteOptions {
        wal_bytes_max: 128 * 1024,
        ..SqliteOptions::new(clock, Arc::new(Dice::new(1)))
    };
    SqliteEventStore::open(&folder.join("events.db"), options).unwrap()
}

/// The same bytes in every process.
fn request(number: u64) -> AppendRequest {
    AppendRequest {
        stream: StreamId::parse(format!("case-{number}")).unwrap(),
        expect: Expect::NoStream,
        events: vec![Record {
            event_id: EventId::from_parts(number, [0; 10]),
            event_type: "Tested".into(),
            version: Version::FIRST,
            bytes: vec![b'x'; 20_000].into(),
        }],
        claims: vec![],
    }
}

/// Appends and says on its standard output what it was told.
#[tokio::test]
#[ignore = "run by the other tests of this file, in a process of its own"]
async fn the_script() {
    let store = open(Path::new(&std::env::var_os(FOLDER).unwrap()));
    for number in 0..APPENDS {
        let told = match store.append(request(number)).await {
            Ok(_) => "kept",
            Err(AppendError::Full) => "full",
            Err(AppendError::Unavailable {
                outcome: Outcome::NotApplied,
                ..
            }) => "refused",
            Err(AppendError::Unavailable {
                outcome: Outcome::Unknown,
                ..
            }) => "unknown",
            Err(other) => panic!("{other:?}"),
        };
        println!("told {number} {told}");
    }
    let health = match *store.health().borrow() {
        Health::Writing => "writing",
        Health::Full => "full",
        Health::Failed(_) => "failed",
    };
    println!("health {health}");
}

/// What one run of the script said.
struct Run {
    told: Vec<(u64, String)>,
    health: Option<String>,
}

/// Injects `fault` into the `when`-th `call` of each thread.
fn run(folder: &Path, call: &str, fault: &str, when: u32) -> Run {
    let inject = format!("inject={call}:{fault}:when={when}");
    let output = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-e",
            &format!("trace={call}"),
            "-e",
            &inject,
            "-o",
            "/dev/null",
        ])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            SCRIPT,
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FOLDER, folder)
        .output()
        .expect("strace is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut run = Run {
        told: vec![],
        health: None,
    };
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [.., "told", number, told] => run.told.push((number.parse().unwrap(), told.to_owned())),
            ["health", health] => run.health = Some(health.to_owned()),
            _ => {}
        }
    }
    run
}

/// Opens what is left, as a restart does: everything that was acknowledged is there, and sending
/// all of it again leaves one copy of each.
async fn check(folder: &Path, run: &Run, context: &str) {
    let store = open(folder);
    for (number, told) in &run.told {
        let stream = request(*number).stream;
        let there = store.read_last(&stream).await.unwrap().is_some();
        match told.as_str() {
            "kept" => assert!(there, "{context}: {number} was acknowledged and is lost"),
            "refused" | "full" => assert!(!there, "{context}: {number} was refused and is there"),
            _ => {}
        }
    }
    for number in 0..APPENDS {
        store.append(request(number)).await.unwrap();
    }
    let density = store.density().await.unwrap();
    assert_eq!(
        (density.events, density.head),
        (APPENDS, APPENDS),
        "{context}"
    );
}

fn long() -> bool {
    std::env::var_os("SLOW").is_some_and(|value| value == "1")
}

#[tokio::test]
async fn killed_at_any_write_or_sync_nothing_acknowledged_is_lost() {
    if !long() {
        return;
    }
    let mut killed = 0;
    for call in ["pwrite64", "fsync", "fdatasync", "ftruncate", "unlink"] {
        for when in 1.. {
            let folder = tempfile::tempdir().unwrap();
            let run = run(folder.path(), call, "signal=SIGKILL", when);
            check(folder.path(), &run, &format!("SIGKILL at {call} {when}")).await;
            if run.health.is_some() {
                break;
            }
            killed += 1;
        }
    }
    assert!(killed > 100, "the script was killed {killed} times");
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged() {
    if !long() {
        return;
    }
    let (mut failed, mut unknown) = (0, 0);
    for call in ["fsync", "fdatasync"] {
        for when in 1.. {
            let folder = tempfile::tempdir().unwrap();
            let context = format!("EIO at {call} {when}");
            let run = run(folder.path(), call, "error=EIO", when);
            let kept = run
                .told
                .iter()
                .take_while(|(_, told)| told == "kept")
                .count();
            let later = &run.told[kept..];
            assert!(
                later.iter().skip(1).all(|(_, told)| told == "refused"),
                "{context}: {later:?}"
            );
            unknown += later.iter().filter(|(_, told)| told == "unknown").count();
            check(folder.path(), &run, &context).await;
            match run.health.as_deref() {
                Some("writing") => break,
                Some(health) => assert_eq!(health, "failed", "{context}"),
                // The store did not open.
                None => assert!(run.told.is_empty(), "{context}"),
            }
            failed += 1;
        }
    }
    assert!(
        failed > 5 && unknown > 5,
        "{failed} failures, {unknown} unknown outcomes"
    );
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing() {
    if !long() {
        return;
    }
    let mut full = 0;
    for when in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let context = format!("ENOSPC at write {when}");
        let run = run(folder.path(), "pwrite64", "error=ENOSPC", when);
        check(folder.path(), &run, &context).await;
        match run.health.as_deref() {
            Some("writing") => break,
            Some(health) => assert_eq!(health, "full", "{context}"),
            // The store did not open.
            None => assert!(run.told.is_empty(), "{context}"),
        }
        full += 1;
    }
    assert!(full > 20, "the disk was full {full} times");
}
