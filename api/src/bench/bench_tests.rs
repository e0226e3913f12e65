use std::time::Duration;

use serde_json::json;

use super::client::answer;
use super::timing::{Measured, per_second};
use super::{Part, Plan, run};

fn plan(folder: &tempfile::TempDir, parts: &[Part]) -> Plan {
    Plan {
        parts: parts.to_vec(),
        figure: Duration::from_millis(50),
        events: 120,
        folder: Some(folder.path().to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_gives_figures_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let report = run(&plan(&folder, &Part::ALL), |_| {}).await.unwrap();
    assert!(report["machine"]["cores"].as_u64().unwrap() > 0);
    for (part, figure, levels) in [
        ("creates", "creates_per_s", 3),
        ("appends", "appends_per_s", 3),
        ("prechecks", "first_p50_us", 3),
        ("prechecks", "again_per_s", 3),
    ] {
        let rows = report[part].as_array().unwrap();
        assert_eq!(rows.len(), levels, "{part}");
        assert!(
            rows.iter().all(|row| row[figure].as_u64().unwrap() > 0),
            "{rows:?}"
        );
    }
    let told = report["deliveries"].as_array().unwrap();
    assert_eq!(told.len(), 6);
    assert_eq!(
        (&told[4]["deliveries"], &told[5]["deliveries"]),
        (&json!(20), &json!(0))
    );
    for row in &told[..4] {
        let us = |name: &str| {
            row[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name}: {row}"))
        };
        for [p50, p95, p99] in [
            ["p50_us", "p95_us", "p99_us"],
            ["empty_p50_us", "empty_p95_us", "empty_p95_us"],
        ] {
            assert!(
                0 < us(p50) && us(p50) <= us(p95) && us(p95) <= us(p99),
                "{row}"
            );
        }
    }
    let rebuilt = report["rebuild"].as_array().unwrap();
    assert_eq!(rebuilt.len(), projections::views::all().len() + 1);
    for row in rebuilt {
        assert!(row["events"].as_u64().unwrap() >= 120, "{row}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_answer_is_whole_when_its_length_is_there() {
    let bytes = b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\nx: y\r\n\r\nbody";
    assert_eq!(answer(&bytes[..30]).unwrap(), None);
    assert_eq!(answer(bytes).unwrap(), Some((201, bytes.len())));
    assert!(answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
}

#[test]
fn percentiles_are_times_that_were_measured() {
    let each = (1..=200).rev().map(Duration::from_micros).collect();
    let measured = Measured {
        done: 200,
        took: Duration::from_secs(2),
        each,
    };
    assert_eq!(measured.percentile_us(50), json!(100));
    assert_eq!(measured.percentile_us(99), json!(198));
    assert_eq!(measured.per_second(), 100);
    assert_eq!(Measured::default().percentile_us(50), json!(null));
    assert_eq!(per_second(5, Duration::ZERO), 0);
}
