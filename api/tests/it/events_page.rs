//! `docs/reference/events.md` names every event type of every aggregate, and each example on it is
//! one that the program reads and would write again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use domain::codec::{DomainEvent, encode};
use domain::stream::Category;
use serde_json::{Value, json};

use super::pages::{reference, root};

/// An aggregate: its streams, its types, and its reader and writer.
struct Aggregate {
    category: Category,
    types: &'static [(&'static str, u16)],
    again: fn(Value) -> Result<Value, serde_json::Error>,
}

fn of<E: DomainEvent>(category: Category) -> Aggregate {
    let again = |tagged| serde_json::from_value::<E>(tagged).map(|event| encode(&event).data);
    Aggregate {
        category,
        types: E::TYPES,
        again,
    }
}

fn aggregates() -> Vec<Aggregate> {
    vec![
        of::<domain::payment::Event>(Category::PaymentRequest),
        of::<domain::quote::Event>(Category::Quote),
        of::<domain::notification::Event>(Category::Notification),
        of::<domain::unmatched::Event>(Category::Unmatched),
        of::<domain::subscriber::Event>(Category::Subscriber),
        of::<domain::delivery::Event>(Category::Delivery),
        of::<domain::access::client::Event>(Category::Client),
        of::<domain::access::operator::Event>(Category::Operator),
        of::<domain::instance::Event>(Category::Instance),
        of::<domain::config::Event>(Category::Config),
    ]
}

/// One entry of the page.
#[derive(Debug)]
struct Entry {
    category: String,
    name: String,
    version: u16,
    meaning: String,
    example: Value,
}

/// Reads the entries: `## category`, then `### type, version n`, a sentence, and a block of JSON.
fn entries(page: &str) -> Vec<Entry> {
    let mut found = vec![];
    for section in page.split("\n## ").skip(1) {
        let category = section.lines().next().unwrap().trim_matches('`').to_owned();
        for entry in section.split("\n### ").skip(1) {
            let (heading, rest) = entry.split_once('\n').unwrap();
            let (name, version) = heading
                .split_once(", version ")
                .unwrap_or_else(|| panic!("{heading}"));
            let (meaning, rest) = rest
                .split_once("```json\n")
                .unwrap_or_else(|| panic!("{heading}: no example"));
            let (example, _) = rest.split_once("\n```").unwrap();
            found.push(Entry {
                category: category.clone(),
                name: name.trim_matches('`').to_owned(),
                version: version.parse().unwrap(),
                meaning: meaning.trim().to_owned(),
                example: serde_json::from_str(example)
                    .unwrap_or_else(|error| panic!("{heading}: {error}")),
            });
        }
    }
    found
}

/// Files that declare the events of an aggregate.
fn declarations(folder: &Path) -> usize {
    let mut found = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found += declarations(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found += fs::read_to_string(&path)
                .unwrap()
                .matches("\nimpl DomainEvent for ")
                .count();
        }
    }
    found
}

#[test]
fn the_list_of_aggregates_is_whole() {
    assert_eq!(
        declarations(&root().join("domain/src")),
        aggregates().len(),
        "add the new aggregate to this test"
    );
}

#[test]
fn the_page_names_every_event_with_its_version_and_no_other() {
    let page: BTreeSet<_> = entries(&reference("events.md"))
        .into_iter()
        .map(|e| (e.category, e.name, e.version))
        .collect();
    let mut code = BTreeSet::new();
    for aggregate in aggregates() {
        for (name, version) in aggregate.types {
            code.insert((
                aggregate.category.as_str().to_owned(),
                (*name).to_owned(),
                *version,
            ));
        }
    }
    let missing: Vec<_> = code.difference(&page).collect();
    let strange: Vec<_> = page.difference(&code).collect();
    assert!(
        missing.is_empty() && strange.is_empty(),
        "missing: {missing:?}\nnot in the code: {strange:?}"
    );
}

#[test]
fn every_example_is_one_that_the_program_would_write() {
    let aggregates = aggregates();
    for Entry {
        category,
        name,
        meaning,
        example,
        ..
    } in entries(&reference("events.md"))
    {
        let aggregate = aggregates
            .iter()
            .find(|aggregate| aggregate.category.as_str() == category)
            .unwrap();
        let read = (aggregate.again)(json!({ "type": name, "data": example }));
        let written = read.unwrap_or_else(|error| panic!("{category} {name}: {error}"));
        assert_eq!(written, example, "{category} {name}");
        assert!(
            meaning.ends_with('.') && meaning.lines().count() == 1,
            "{category} {name}: {meaning}"
        );
    }
}
