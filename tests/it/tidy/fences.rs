//! Which words of the code may stand where: adapters, SQL, HTTP statuses, time, chance.
//!
//! Each fence is a function from files to the places that break it, so that a small bad file can
//! show that it bites.

use std::collections::BTreeSet;
use std::fs;

use super::source::{Source, files, places, root, rust};

/// The four crates that make the product; test code is not looked at.
fn product() -> Vec<Source> {
    let folders = [
        "domain/src/",
        "projections/src/",
        "adapters/src/",
        "api/src/",
    ];
    rust(&folders)
        .into_iter()
        .map(Source::without_tests)
        .collect()
}

/// Every Rust file, tests too.
fn everything() -> Vec<Source> {
    rust(&[])
}

/// Every place of these words in files outside of `allowed`, which holds beginnings of paths.
fn outside(files: &[Source], allowed: &[&str], words: &[&str]) -> Vec<String> {
    let fenced = files
        .iter()
        .filter(|file| !allowed.iter().any(|start| file.path.starts_with(start)));
    fenced
        .flat_map(|file| words.iter().flat_map(|word| file.mentions(word)))
        .collect()
}

/// Only the one file that puts the product together names a concrete adapter.
fn adapters_named(files: &[Source]) -> Vec<String> {
    let allowed = ["adapters/", "api/src/compose.rs", "api/src/compose/"];
    outside(files, &allowed, &["adapters::"])
}

/// `api/src/sim_provider` is a program of its own, a bank to try the ledger with, and the demo plays
/// a subscriber; their statuses are a bank's and a subscriber's.
fn statuses(files: &[Source]) -> Vec<String> {
    let allowed = [
        "api/src/http/",
        "api/src/sim_provider/",
        "api/src/sim_provider.rs",
        "api/src/demo/receiver.rs",
    ];
    outside(
        files,
        &allowed,
        &["StatusCode", "HttpResponse", "HttpResponseBuilder"],
    )
}

/// Time and chance come in through ports; the one file behind those ports reads them.
fn time_and_chance(files: &[Source]) -> Vec<String> {
    let words = [
        "SystemTime::now",
        "Instant::now",
        "Utc::now",
        "Local::now",
        "Zoned::now",
        "Timestamp::now",
        "rand",
        "getrandom",
        "OsRng",
        "Uuid::new_v4",
        "Uuid::now_v7",
    ];
    outside(
        files,
        &["adapters/src/system.rs", "adapters/src/system/"],
        &words,
    )
}

/// A `select!` without `biased;` draws a random number, so that one seed gives many histories.
fn unbiased_selects(files: &[Source]) -> Vec<String> {
    let mut found = vec![];
    for file in files {
        for place in places(&file.code, "select!") {
            let inside = file.code[place + "select!".len()..]
                .trim_start()
                .trim_start_matches(['{', '(']);
            if !inside.trim_start().starts_with("biased;") {
                found.push(file.at(place));
            }
        }
    }
    found
}

/// Literals that read like a statement, wherever no `.sql` file can hold it: the tables of a view
/// exist only at run time, and one file puts their statements together.
fn sql_in_code(files: &[Source]) -> Vec<String> {
    let fenced = files
        .iter()
        .filter(|file| file.path != "adapters/src/sqlite/views/statements.rs");
    let literals = fenced.flat_map(|file| file.strings.iter().map(move |literal| (file, literal)));
    literals
        .filter(|(_, (_, text))| is_sql(text))
        .map(|(file, (place, _))| file.at(*place))
        .collect()
}

fn is_sql(text: &str) -> bool {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let has = |word: &str| words.contains(&word);
    let made = [
        "table", "index", "trigger", "view", "unique", "temp", "virtual",
    ];
    match words.as_slice() {
        ["select", ..] => has("from") || words.len() == 2 && words[1].ends_with(')'),
        ["insert", "into" | "or", ..] | ["replace", "into", ..] | ["delete", "from", ..] => true,
        ["update", ..] => has("set"),
        ["create" | "drop" | "alter", what, _, ..] => made.contains(what),
        ["pragma" | "savepoint" | "vacuum" | "attach", _, ..] => true,
        [
            "begin",
            "immediate" | "transaction" | "deferred" | "exclusive",
            ..,
        ] => true,
        _ => false,
    }
}

#[test]
fn only_the_composition_names_adapters() {
    assert_eq!(adapters_named(&product()), [""; 0]);
}

#[test]
fn http_statuses_stand_only_in_the_http_layer() {
    assert_eq!(statuses(&product()), [""; 0]);
}

#[test]
fn time_and_chance_come_only_from_the_system_adapter() {
    assert_eq!(time_and_chance(&product()), [""; 0]);
}

#[test]
fn every_select_is_biased() {
    assert_eq!(unbiased_selects(&everything()), [""; 0]);
}

#[test]
fn nothing_is_unsafe() {
    assert_eq!(outside(&everything(), &[], &["unsafe"]), [""; 0]);
}

#[test]
fn the_domain_never_awaits_i1() {
    // The port traits are declared there for others to fulfil; a default method of one may wait for
    // another method of it, and nothing in the domain calls them.
    let domain = rust(&["domain/src/"]);
    let ports = ["domain/src/ports/"];
    assert_eq!(outside(&domain, &ports, &[".await", "async"]), [""; 0]);
}

#[test]
fn no_float_touches_money_i13() {
    let money: Vec<Source> = rust(&["domain/src/", "projections/src/"]);
    assert_eq!(outside(&money, &[], &["f32", "f64"]), [""; 0]);
}

#[test]
fn sql_stands_only_in_sql_files() {
    assert_eq!(sql_in_code(&product()), [""; 0]);
}

#[test]
fn every_sql_file_belongs_to_an_adapter_and_is_one_statement_that_is_used() {
    let included: BTreeSet<String> = rust(&["adapters/src/"])
        .iter()
        .flat_map(included_by)
        .collect();
    for file in files(&[".sql"]) {
        let path = &file.path;
        assert!(
            path.starts_with("adapters/src/sqlite/"),
            "{path} belongs to no SQL adapter"
        );
        assert!(included.contains(path), "{path} is used by nobody");
        let migration = path.contains("/migrations/");
        let folder = if migration { "migrations" } else { "sql" };
        assert_eq!(path.rsplit('/').nth(1), Some(folder), "{path}");
        let bare: Vec<&str> = file
            .text
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"))
            .collect();
        let statements = bare
            .join("\n")
            .trim()
            .trim_end_matches(';')
            .matches(';')
            .count()
            + 1;
        assert!(
            migration || statements == 1,
            "{path} holds {statements} statements"
        );
        assert!(
            !migration || file.text.starts_with("-- "),
            "{path} does not say why it exists"
        );
    }
}

/// What a file includes with `include_str!`, from the root of the repository.
fn included_by(file: &Source) -> Vec<String> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let of_macro = |place: &usize| file.code[..*place].ends_with("include_str!(");
    let names = file.strings.iter().filter(|(place, _)| of_macro(place));
    names.map(|(_, name)| format!("{folder}/{name}")).collect()
}

#[test]
fn every_included_file_exists() {
    for path in rust(&["adapters/src/", "api/src/"])
        .iter()
        .flat_map(included_by)
    {
        assert!(fs::exists(root().join(&path)).unwrap(), "{path}");
    }
}

#[test]
fn the_fences_bite() {
    let bad = |path: &str, text: &str| [Source::of(path, text).without_tests()];
    let api = |text: &str| bad("api/src/app/x.rs", text);
    assert_eq!(
        adapters_named(&api("use adapters::sqlite;")),
        ["api/src/app/x.rs:1"]
    );
    assert_eq!(
        adapters_named(&bad("api/src/compose.rs", "use adapters::sqlite;")),
        [""; 0]
    );
    assert_eq!(statuses(&api("\nStatusCode::OK")), ["api/src/app/x.rs:2"]);
    assert_eq!(
        statuses(&bad("api/src/http/x.rs", "StatusCode::OK")),
        [""; 0]
    );
    assert_eq!(
        time_and_chance(&api("let t = std::time::Instant::now();")).len(),
        1
    );
    assert_eq!(time_and_chance(&api("rand::random::<u8>()")).len(), 1);
    assert_eq!(time_and_chance(&api("operand(strand)")), [""; 0]);
    assert_eq!(
        unbiased_selects(&api("tokio::select! {\n a = b => {} }")).len(),
        1
    );
    assert_eq!(
        unbiased_selects(&api("select! {\n // why\n biased; a = b => {} }")),
        [""; 0]
    );
    for sql in [
        "select 1 from event",
        "SELECT count(*)",
        "insert into a values (1)",
        "\n update a set b = 1",
        "delete from a",
        "create table a (b)",
        "drop table \\\"{name}\\\"",
        "pragma foreign_keys = on",
        "begin immediate",
    ] {
        assert_eq!(
            sql_in_code(&api(&format!("run(\"{sql}\")"))).len(),
            1,
            "{sql}"
        );
    }
    for words in [
        "select one of these",
        "update the record",
        "create a request",
        "begin again",
        "delete it",
    ] {
        assert_eq!(
            sql_in_code(&api(&format!("say(\"{words}\")"))),
            [""; 0],
            "{words}"
        );
    }
    let in_tests = "#[cfg(test)]\nmod tests { use adapters::memory; }";
    assert_eq!(adapters_named(&api(in_tests)), [""; 0]);
}
