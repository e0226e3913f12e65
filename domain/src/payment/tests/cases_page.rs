//! `docs/reference/cases.md` and the tests of the domain name each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../../../docs/reference/cases.md");

/// Rows of the page's tables of cases, with the tests that each names.
fn rows() -> BTreeMap<String, BTreeSet<String>> {
    let cells = |line: &'static str| -> Vec<&'static str> {
        line.trim()
            .trim_matches('|')
            .split('|')
            .map(str::trim)
            .collect()
    };
    let lines = PAGE.lines().filter(|line| line.starts_with('|')).map(cells);
    // Eight columns: row, state, incoming, what happens, new state, exception, outbound, tests.
    let rows = lines.filter(|cells| cells.len() == 8 && row_of(&cells[0].to_lowercase()).is_some());
    rows.map(|cells| {
        (
            cells[0].to_owned(),
            cells[7]
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect(),
        )
    })
    .collect()
}

/// `a6b` to `A6b`, and nothing else.
fn row_of(word: &str) -> Option<String> {
    let (letter, rest) = (word.chars().next()?, word.get(1..)?);
    let digits = rest.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let number = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && rest.len() <= digits.len() + 1;
    (('a'..='h').contains(&letter) && number)
        .then(|| format!("{}{rest}", letter.to_ascii_uppercase()))
}

/// The rows at the end of a test's name.
fn rows_of(name: &str) -> Vec<String> {
    name.rsplit('_').map_while(row_of).collect()
}

/// Names of all tests of this crate.
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the sources of its own crate"
)]
fn tests() -> BTreeSet<String> {
    fn walk(folder: &Path, into: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(path).unwrap();
                let after = text
                    .split("#[test]")
                    .skip(1)
                    .filter_map(|rest| rest.trim_start().strip_prefix("fn "));
                into.extend(
                    after
                        .filter_map(|rest| rest.split('(').next())
                        .map(str::to_owned),
                );
            }
        }
    }
    let mut names = BTreeSet::new();
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut names,
    );
    names
}

#[test]
fn every_row_of_the_page_names_tests_that_exist() {
    let (rows, tests) = (rows(), tests());
    assert!(rows.len() > 60, "the page was read: {}", rows.len());
    for (row, named) in rows {
        assert!(!named.is_empty(), "row {row} has no test");
        for name in named {
            assert!(
                tests.contains(&name),
                "row {row} names {name}, which is no test"
            );
            assert!(
                rows_of(&name).contains(&row),
                "{name} is no test of row {row}"
            );
        }
    }
}

#[test]
fn every_test_of_a_row_stands_on_the_page() {
    let rows = rows();
    let mut found = 0;
    for name in tests() {
        for row in rows_of(&name) {
            found += 1;
            let named = rows.get(&row).is_some_and(|named| named.contains(&name));
            assert!(
                named,
                "{name} is missing in row {row} of docs/reference/cases.md"
            );
        }
    }
    assert!(found > 100, "the tests were read: {found}");
}

#[test]
fn rows_are_read_from_names() {
    assert_eq!(rows_of("an_expired_quote_makes_no_request_a1b"), ["A1b"]);
    assert_eq!(rows_of("same_content_is_a_replay_a2_a3"), ["A3", "A2"]);
    assert_eq!(rows_of("the_leaf_hash_is_that_of_rfc_6962"), [""; 0]);
    assert_eq!(rows_of("a_fold_never_fails"), [""; 0]);
}
