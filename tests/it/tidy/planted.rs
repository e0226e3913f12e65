//! Mistakes on purpose (`domain::payment::planted`) are for the test of the tests, and in no build of
//! the product.

use std::fs;

use super::source::{files, root};

const FEATURE: &str = "planted";
const HOOK: &str = "#[cfg(feature = \"planted\")]";

#[test]
fn no_build_asks_for_planted_mistakes_by_itself() {
    for folder in [
        ".",
        "domain",
        "projections",
        "adapters",
        "api",
        "tests",
        "docs",
    ] {
        let path = root().join(folder).join("Cargo.toml");
        let manifest: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        let features = manifest.get("features").and_then(toml::Value::as_table);
        let named: Vec<_> = features.into_iter().flatten().collect();
        let wanted: Vec<(&str, Vec<&str>)> = match folder {
            "domain" => vec![(FEATURE, vec![])],
            "tests" => vec![(FEATURE, vec!["domain/planted"])],
            _ => vec![],
        };
        let told = named.iter().map(|(name, turns_on)| {
            let turns_on = turns_on.as_array().unwrap().iter();
            (
                name.as_str(),
                turns_on.map(|other| other.as_str().unwrap()).collect(),
            )
        });
        let planted = told.filter(|(name, turns_on): &(&str, Vec<&str>)| {
            *name == FEATURE || *name == "default" || turns_on.iter().any(|on| on.contains(FEATURE))
        });
        assert_eq!(planted.collect::<Vec<_>>(), wanted, "features of {folder}");
        let text = fs::read_to_string(&path).unwrap();
        let dependencies = text.split("[dependencies]").nth(1).unwrap_or_default();
        assert!(!dependencies.contains(FEATURE), "dependencies of {folder}");
    }
}

#[test]
fn the_product_asks_for_planted_mistakes_behind_the_feature_only() {
    let mut hooks = 0;
    for file in files(&[".rs"]) {
        let of_domain = file.path.starts_with("domain/src") && !file.path.ends_with("planted.rs");
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        let product = ["projections/src", "adapters/src", "api/src"];
        let elsewhere = product.iter().any(|folder| file.path.starts_with(folder));
        assert!(
            !elsewhere || !file.text.contains("planted::"),
            "{}",
            file.path
        );
        for (place, line) in lines.iter().enumerate().filter(|_| of_domain) {
            if line.contains("planted::") || *line == "pub mod planted;" {
                assert_eq!(lines[place - 1], HOOK, "{} line {}", file.path, place + 1);
                hooks += 1;
            }
        }
    }
    assert_eq!(hooks, 5, "the module, three decisions and the claims");
}

#[test]
fn a_release_with_planted_mistakes_would_not_compile() {
    let module = root().join("domain/src/payment/planted.rs");
    let module = fs::read_to_string(module).unwrap();
    assert!(module.contains("#[cfg(not(debug_assertions))]\ncompile_error!("));
}
