//! Generated reference pages stand in the repository as the code makes them.
//! `UPDATE_EXPECT=1` writes them again.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// A page of `docs/reference` as text.
pub(crate) fn reference(name: &str) -> String {
    let path = root().join("docs/reference").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn holds(name: &str, text: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(root().join("docs/reference").join(name), text).unwrap();
    }
    let found = reference(name);
    if found == text {
        return;
    }
    let place = found
        .lines()
        .zip(text.lines())
        .position(|(found, made)| found != made);
    let line = place.unwrap_or_else(|| found.lines().count().min(text.lines().count()));
    let at = |text: &str| text.lines().nth(line).unwrap_or("(end)").to_owned();
    panic!(
        "docs/reference/{name} is not what the code makes; run the test with UPDATE_EXPECT=1.\n\
         line {}\n  page: {}\n  code: {}",
        line + 1,
        at(&found),
        at(text)
    );
}

/// Members in order of their names, whichever features `serde_json` was built with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields
                .into_iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect();
            fields.sort_by(|(left, _), (right, _)| left.cmp(right));
            Value::Object(fields.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

#[test]
fn api_page_is_the_table_of_routes() {
    holds("api.md", &api::http::openapi::reference_page());
}

#[test]
fn errors_page_is_the_table_of_problems() {
    holds("errors.md", &api::http::openapi::errors_page());
}

#[test]
fn openapi_file_is_the_document_that_is_served() {
    let text = serde_json::to_string_pretty(&sorted(api::http::openapi::document())).unwrap();
    holds("openapi.json", &format!("{text}\n"));
}

#[test]
fn asyncapi_file_is_the_document_that_is_served() {
    let text = serde_json::to_string_pretty(&sorted(api::http::asyncapi::document())).unwrap();
    holds("asyncapi.json", &format!("{text}\n"));
}

#[test]
fn command_line_page_is_the_help_of_every_command() {
    holds("cli.md", &api::cli::reference::reference_page());
}
