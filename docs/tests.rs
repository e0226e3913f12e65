use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Every page of the repository: its path from the root, and its text.
fn pages() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                walk(&path, into);
            } else if name.ends_with(".md") {
                into.push(path);
            }
        }
    }
    let mut paths = vec![];
    walk(&root(), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root()).unwrap().to_owned(), text)
    };
    paths.into_iter().map(read).collect()
}

fn docs() -> Vec<(PathBuf, String)> {
    pages()
        .into_iter()
        .filter(|(path, _)| path.starts_with("docs"))
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = vec![];
    for (path, text) in pages() {
        for (line, target) in links(&text) {
            if ["http://", "https://", "mailto:"]
                .iter()
                .any(|scheme| target.starts_with(scheme))
            {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let here = root().join(&path);
            let there = if file.is_empty() {
                here
            } else {
                here.parent().unwrap().join(file)
            };
            let known = anchor.is_empty()
                || fs::read_to_string(&there)
                    .is_ok_and(|page| anchors(&page).iter().any(|name| name == anchor));
            if !there.exists() || !known {
                broken.push(format!("{}:{line}: {target}", path.display()));
            }
        }
    }
    assert_eq!(broken, [""; 0]);
}

#[test]
fn every_page_says_its_kind() {
    let silent: Vec<PathBuf> = docs()
        .into_iter()
        .filter(|(_, text)| kind_of(text).is_none())
        .map(|(path, _)| path)
        .collect();
    assert_eq!(silent, [""; 0].map(PathBuf::from));
}

#[test]
fn every_page_has_one_title_at_its_top() {
    for (path, text) in pages() {
        let titles = prose(&text)
            .filter(|(_, line)| line.starts_with("# "))
            .count();
        assert!(
            text.starts_with("# ") && titles == 1,
            "{}: {titles} titles",
            path.display()
        );
    }
}

#[test]
fn one_sentence_stands_on_a_line() {
    let mut found = vec![];
    // Reference pages are generated from docstrings, which are not written line by line.
    let written = docs()
        .into_iter()
        .filter(|(path, _)| !path.starts_with("docs/reference"));
    for (path, text) in written {
        found.extend(
            crowded(&text)
                .into_iter()
                .map(|line| format!("{}:{line}", path.display())),
        );
    }
    assert_eq!(found, [""; 0]);
}

#[test]
fn no_page_is_an_orphan() {
    let mut known = vec![PathBuf::from("docs/README.md")];
    for (path, text) in docs() {
        let folder = path.parent().unwrap().to_owned();
        for (_, target) in links(&text) {
            let file = target.split('#').next().unwrap_or_default();
            known.push(resolved(&folder.join(file)));
        }
    }
    let orphans: Vec<PathBuf> = docs()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| !known.contains(path))
        .collect();
    assert_eq!(orphans, [""; 0].map(PathBuf::from));
}

/// Without `..`.
fn resolved(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path {
        if part == ".." {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

/// A test that a page names exists: names in backticks of the last column of a table whose heading
/// is `test`.
#[test]
fn every_test_that_a_page_names_exists() {
    let sources = sources();
    let mut missing = vec![];
    let mut named = 0;
    for (path, text) in docs() {
        for name in tests_named(&text) {
            named += 1;
            // Contract suites name their promises in a macro, one to a line.
            let shapes = [format!("fn {name}("), format!("\n                {name}\n")];
            let exists = |source: &String| shapes.iter().any(|shape| source.contains(shape));
            if !sources.iter().any(exists) {
                missing.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert_eq!(missing, [""; 0]);
    assert!(named > 0, "no page names a test");
}

fn tests_named(page: &str) -> Vec<String> {
    let mut names = vec![];
    let mut inside = false;
    for (_, line) in prose(page) {
        let cells: Vec<&str> = line
            .trim()
            .trim_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        let last = cells.last().copied().unwrap_or_default();
        match (line.trim_start().starts_with('|'), inside) {
            (false, _) => inside = false,
            (true, false) => inside = matches!(last, "test" | "tests"),
            (true, true) => names.extend(last.split('`').skip(1).step_by(2).map(str::to_owned)),
        }
    }
    names
}

fn sources() -> Vec<String> {
    fn walk(folder: &Path, into: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                into.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut sources = vec![];
    for folder in ["domain", "projections", "adapters", "api", "tests", "docs"] {
        walk(&root().join(folder), &mut sources);
    }
    sources
}

#[test]
fn links_are_found_outside_of_code_only() {
    let page =
        "a [b](c.md) ![d](e.png \"t\")\n```\n[f](g)\n```\n`[h](i)` [j](<k.md#l>)\n[m]: n.md\n";
    let found: Vec<(usize, String)> = links(page);
    let expected = [(1, "c.md"), (1, "e.png"), (5, "k.md#l"), (6, "n.md")];
    assert_eq!(
        found,
        expected.map(|(line, target)| (line, target.to_owned()))
    );
}

#[test]
fn headings_become_anchors() {
    let page = "# A Title\n## What `it` is, and why?\n#no\n```\n# code\n```\n";
    assert_eq!(anchors(page), ["a-title", "what-it-is-and-why"]);
}

#[test]
fn kinds_are_read_from_the_top() {
    assert_eq!(kind_of("# X\n\n*Kind: how-to.*\n"), Some("how-to"));
    assert_eq!(kind_of("# Reference of errors\n"), Some("reference"));
    assert_eq!(kind_of("# X\n\ndecisions and preferences\n"), None);
    assert_eq!(kind_of("# X\n\n\n\n\n\n\n*Kind: how-to.*\n"), None);
}

#[test]
fn crowded_lines_are_found() {
    let page = "One. Two.\n1. One.\nOne, e.g. Two.\n| a. B. | c |\nWhy? Because.\n`a. B` is one.\nv1.2 is one.\n";
    assert_eq!(crowded(page), [1, 5]);
}

#[test]
fn names_of_tests_are_read_from_tables() {
    let page =
        "| a | test |\n|---|---|\n| `no` | `one`, `two` |\n\n| a | b |\n|---|---|\n| c | `no` |\n";
    assert_eq!(tests_named(page), ["one", "two"]);
}
