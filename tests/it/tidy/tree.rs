//! The tree itself: its folders, how long its files are, and words that do not belong into it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::source::{File, files, is_tests, places, root};

/// Lines of the longest file of the product. Comfortable are 60 to 300.
const LINES_MAX: usize = 450;

/// Lines of the longest file of tests: cases stand side by side there and hide nothing.
const TEST_LINES_MAX: usize = 800;

/// Files that may be longer, each with the reason. One that is short again leaves the list.
const LONGER: [(&str, &str); 1] = [(
    "domain/src/payment/event.rs",
    "every event of a request with each of its fields explained",
)];

/// Words that say that something is not finished, or where somebody's machine keeps it. Written in
/// two parts, so that this file does not hold them.
const UNFINISHED: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("for ", "now"),
    concat!("place", "holder"),
];
const MACHINE: [&str; 5] = [
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("C:", "\\"),
];

fn unfinished(file: &File) -> Vec<String> {
    let line_of = |place: usize| file.text[..place].matches('\n').count() + 1;
    // A loop over a variable of that name is no excuse.
    let sentence = file
        .text
        .to_lowercase()
        .replace(concat!("for ", "now in "), "for ___ in ");
    let as_words = UNFINISHED.iter().flat_map(|word| {
        // Capitals shout; the other words are the same in any case.
        let shouted = word.chars().all(char::is_uppercase);
        places(if shouted { &file.text } else { &sentence }, word)
    });
    let as_paths = MACHINE
        .iter()
        .flat_map(|path| file.text.match_indices(path).map(|(place, _)| place));
    as_words
        .chain(as_paths)
        .map(|place| format!("{}:{}", file.path, line_of(place)))
        .collect()
}

#[test]
fn nothing_is_unfinished_and_nothing_names_a_machine() {
    let texts = files(&[]).into_iter().filter(|file| file.path != "LICENSE");
    let found: Vec<String> = texts.flat_map(|file| unfinished(&file)).collect();
    assert_eq!(found, [""; 0]);
}

#[test]
fn unfinished_words_are_found() {
    let found = |text: &str| {
        let (path, text) = ("a".to_owned(), text.to_owned());
        unfinished(&File { path, text })
    };
    for word in UNFINISHED {
        assert_eq!(found(&format!("x\n// {word}: later")), ["a:2"], "{word}");
    }
    for path in MACHINE {
        assert_eq!(found(&format!("{path}me/file")).len(), 1, "{path}");
    }
    assert_eq!(
        found("method mastodon for nowhere; for \u{6e}ow in times"),
        [""; 0]
    );
}

#[test]
fn a_file_answers_one_question_and_is_not_long() {
    let longer: BTreeMap<&str, &str> = LONGER.into();
    let lines = |file: &File| file.text.lines().count();
    let long: BTreeMap<String, usize> = files(&[".rs"])
        .iter()
        .map(|file| (file.path.clone(), lines(file)))
        .filter(|(path, lines)| {
            *lines
                > if is_tests(path) {
                    TEST_LINES_MAX
                } else {
                    LINES_MAX
                }
        })
        .collect();
    let unnamed: Vec<_> = long
        .iter()
        .filter(|(path, _)| !longer.contains_key(path.as_str()))
        .collect();
    assert!(unnamed.is_empty(), "too long: {unnamed:?}");
    let short: Vec<_> = longer
        .keys()
        .filter(|path| !long.contains_key(**path))
        .collect();
    assert!(short.is_empty(), "short again, off the list: {short:?}");
}

#[test]
fn every_rust_file_says_what_it_is() {
    // Unit tests in files beside their module are introduced by that module.
    let beside = |path: &str| is_tests(path) && !path.starts_with("tests/");
    let says = |file: &File| {
        file.text
            .lines()
            .next()
            .is_some_and(|line| line.starts_with("//! ") && line.len() > 12)
    };
    let silent: Vec<String> = files(&[".rs"])
        .into_iter()
        .filter(|file| !beside(&file.path) && !says(file))
        .map(|file| file.path)
        .collect();
    assert_eq!(silent, [""; 0]);
}

#[test]
fn the_top_level_folders_are_the_fixed_ones() {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: Vec<&str> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix('/'))
        .collect();
    let mut folders = BTreeSet::new();
    for entry in fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let ours = !name.starts_with('.') && !ignored.contains(&name.trim_end_matches('/'));
        if ours && !ignored.contains(&format!("{name}/").as_str()) && entry.path().is_dir() {
            folders.insert(name);
        }
    }
    let fixed = ["adapters", "api", "docs", "domain", "projections", "tests"];
    assert_eq!(folders, fixed.map(str::to_owned).into());
}

#[test]
fn the_files_that_a_reader_looks_for_exist() {
    for name in [
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "README.md",
        "SECURITY.md",
        "docs/ARCHITECTURE.md",
        "docs/README.md",
    ] {
        assert!(root().join(name).is_file(), "{name} is missing");
    }
}
