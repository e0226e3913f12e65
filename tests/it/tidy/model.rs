//! The model stays small enough to be read beside the table, and a second opinion: it shares nothing
//! with the code that it doubts.

use super::source::{File, files};

/// Lines of code of the model, without blank lines and comments.
const CODE_LINES_MAX: usize = 400;

const MODEL: &str = "tests/harness/model/";
/// What the model keeps and the words that it speaks.
const BESIDE: [&str; 3] = [
    "tests/harness/sim/books.rs",
    "tests/harness/sim/words.rs",
    "tests/harness/sim/worlds.rs",
];

fn code_lines(text: &str) -> usize {
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with("//");
    text.lines().map(str::trim).filter(is_code).count()
}

fn of(wanted: impl Fn(&str) -> bool) -> Vec<File> {
    let files = files(&[".rs"]).into_iter();
    files.filter(|file| wanted(&file.path)).collect()
}

#[test]
fn the_model_is_short() {
    let files = of(|path| path.starts_with(MODEL));
    let lines: usize = files.iter().map(|file| code_lines(&file.text)).sum();
    assert!(
        (100..=CODE_LINES_MAX).contains(&lines),
        "{lines} lines of code"
    );
}

#[test]
fn lines_of_code_are_counted() {
    assert_eq!(
        code_lines("//! Words.\n\nfn f() { // row A1\n    // Why.\n}\n"),
        2
    );
}

#[test]
fn the_model_shares_nothing_with_what_it_doubts() {
    let files = of(|path| path.starts_with(MODEL) || BESIDE.contains(&path));
    assert!(files.len() > BESIDE.len());
    for file in files {
        for krate in ["domain::", "projections::", "adapters::", "api::"] {
            assert!(!file.text.contains(krate), "{} names {krate}", file.path);
        }
    }
}
