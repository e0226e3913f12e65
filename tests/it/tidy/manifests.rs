//! The arrows between the crates, and what each crate may lean on, as the manifests draw them.

use std::collections::BTreeSet;
use std::fs;

use super::source::root;

/// The folders of the workspace, the name other crates call each by, and its inner crates.
const ARROWS: [(&str, &str, &[&str]); 5] = [
    ("domain", "domain", &[]),
    ("projections", "projections", &["domain"]),
    ("adapters", "adapters", &["domain", "projections"]),
    ("api", "api", &["domain", "projections", "adapters"]),
    (
        "tests",
        "harness",
        &["domain", "projections", "adapters", "api"],
    ),
];

/// What would let time, chance, sockets, files or logs into the pure crate.
const NOT_IN_DOMAIN: [&str; 13] = [
    "actix-web",
    "anyhow",
    "futures",
    "getrandom",
    "governor",
    "metrics",
    "rand",
    "reqwest",
    "rusqlite",
    "rustls",
    "tokio",
    "tracing",
    "url",
];

fn manifest(folder: &str) -> toml::Table {
    let path = root().join(folder).join("Cargo.toml");
    fs::read_to_string(&path).unwrap().parse().unwrap()
}

/// Names in all three tables of dependencies.
fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = tables
        .iter()
        .filter_map(|name| manifest.get(*name)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

#[test]
fn the_manifests_draw_exactly_the_arrows() {
    let crates: BTreeSet<&str> = ARROWS
        .iter()
        .map(|(_, name, _)| *name)
        .chain(["docs"])
        .collect();
    for (folder, _, inner) in ARROWS {
        let named = dependencies(&manifest(folder));
        let drawn: BTreeSet<&str> = named
            .iter()
            .map(String::as_str)
            .filter(|name| crates.contains(name))
            .collect();
        assert_eq!(drawn, inner.iter().copied().collect(), "arrows of {folder}");
    }
    let docs = dependencies(&manifest("docs"));
    assert!(
        !docs.contains("harness"),
        "docs stands beside tests and not on it"
    );
}

#[test]
fn the_workspace_has_six_members_with_their_own_names() {
    let workspace = manifest(".");
    let members: Vec<&str> = workspace["workspace"]["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member.as_str().unwrap())
        .collect();
    let mut folders: Vec<&str> = ARROWS.iter().map(|(folder, ..)| *folder).collect();
    folders.push("docs");
    assert_eq!(members, folders);
    for (folder, name) in ARROWS
        .iter()
        .map(|(folder, name, _)| (*folder, *name))
        .chain([("docs", "docs")])
    {
        let manifest = manifest(folder);
        let package = manifest["package"]["name"].as_str().unwrap();
        assert_eq!(package, format!("counterfoil-{folder}"));
        assert_eq!(manifest["lib"]["name"].as_str(), Some(name));
        let lints = manifest["lints"]["workspace"].as_bool();
        assert_eq!(
            lints,
            Some(true),
            "{folder} takes the lints of the workspace"
        );
    }
}

#[test]
fn the_domain_leans_on_nothing_that_acts_i1() {
    let named = dependencies(&manifest("domain"));
    let acting: Vec<&&str> = NOT_IN_DOMAIN
        .iter()
        .filter(|name| named.contains(**name))
        .collect();
    assert!(acting.is_empty(), "domain depends on {acting:?}");
}

#[test]
fn views_and_stores_are_separate_crates() {
    for folder in ["domain", "projections", "api"] {
        let named = dependencies(&manifest(folder));
        assert!(
            !named.contains("rusqlite"),
            "{folder} reaches past the adapters into a database"
        );
    }
}

#[test]
fn no_feature_pulls_http2_in_and_no_page_is_downloaded_by_a_build_script() {
    let dependencies = &manifest(".")["workspace"]["dependencies"];
    let features = |name: &str| -> Vec<String> {
        let features = dependencies[name].get("features").cloned();
        let features = features.and_then(|list| list.try_into::<Vec<String>>().ok());
        features.unwrap_or_default()
    };
    let defaults = |name: &str| {
        dependencies[name]
            .get("default-features")
            .and_then(toml::Value::as_bool)
    };
    for name in ["actix-web", "reqwest"] {
        assert_eq!(defaults(name), Some(false), "{name}");
        assert!(
            !features(name)
                .iter()
                .any(|feature| feature.contains("http2")),
            "{name}"
        );
    }
    // The page of the interface is our own; that crate's build script downloads one.
    assert!(dependencies.get("utoipa-swagger-ui").is_none());
}
