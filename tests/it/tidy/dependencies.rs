//! What may be built into the product: `deny.toml` is kept true here, without its tool.
//!
//! `cargo deny check` asks the advisory database as well, which needs the network; this needs only
//! what cargo has fetched already.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use super::source::root;

fn table(name: &str) -> toml::Table {
    fs::read_to_string(root().join(name))
        .unwrap()
        .parse()
        .unwrap()
}

/// Strings of an array, or the `field` of its tables.
fn texts(array: &toml::Value, field: &str) -> BTreeSet<String> {
    let text = |value: &toml::Value| {
        value
            .as_str()
            .or_else(|| value.get(field)?.as_str())
            .map(str::to_owned)
    };
    array.as_array().unwrap().iter().filter_map(text).collect()
}

/// Whether an SPDX expression can be fulfilled with these licences. `/` is how old manifests wrote
/// `OR`.
fn fulfilled(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let mut tokens: Vec<String> = vec![];
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    for word in spaced.split_whitespace() {
        match tokens.last_mut() {
            Some(last) if word == "WITH" || last.ends_with(" WITH") => {
                *last = format!("{last} {word}")
            }
            _ => tokens.push(word.to_owned()),
        }
    }
    let mut rest = tokens.as_slice();
    let holds = any(&mut rest, allowed);
    assert!(rest.is_empty(), "{expression:?} is not understood");
    holds
}

fn any(rest: &mut &[String], allowed: &BTreeSet<String>) -> bool {
    let mut holds = all(rest, allowed);
    while let [operator, tail @ ..] = rest
        && operator == "OR"
    {
        *rest = tail;
        holds |= all(rest, allowed);
    }
    holds
}

fn all(rest: &mut &[String], allowed: &BTreeSet<String>) -> bool {
    let mut holds = one(rest, allowed);
    while let [operator, tail @ ..] = rest
        && operator == "AND"
    {
        *rest = tail;
        holds &= one(rest, allowed);
    }
    holds
}

fn one(rest: &mut &[String], allowed: &BTreeSet<String>) -> bool {
    let [first, tail @ ..] = rest else {
        return false;
    };
    *rest = tail;
    if first != "(" {
        return allowed.contains(first);
    }
    let holds = any(rest, allowed);
    *rest = rest.strip_prefix(&[")".to_owned()]).unwrap_or(rest);
    holds
}

#[test]
fn every_licence_is_on_the_list() {
    let allowed = texts(&table("deny.toml")["licenses"]["allow"], "id");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let asked = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        asked.status.success(),
        "{}",
        String::from_utf8_lossy(&asked.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100);
    let refused: Vec<String> = packages
        .iter()
        .map(|package| {
            (
                package["name"].as_str().unwrap(),
                package["license"].as_str().unwrap_or_default(),
            )
        })
        .filter(|(_, licence)| !fulfilled(licence, &allowed))
        .map(|(name, licence)| format!("{name}: {licence:?}"))
        .collect();
    assert_eq!(refused, [""; 0]);
}

#[test]
fn no_banned_crate_is_in_the_tree() {
    let banned = texts(&table("deny.toml")["bans"]["deny"], "crate");
    let locked = texts(&table("Cargo.lock")["package"], "name");
    let found: Vec<&String> = banned.intersection(&locked).collect();
    assert!(banned.contains("actix-governor") && banned.len() > 5);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn every_crate_comes_from_the_registry() {
    let lock = table("Cargo.lock");
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        match package.get("source").and_then(toml::Value::as_str) {
            Some(source) => {
                assert!(
                    source.starts_with("registry+https://github.com/rust-lang/crates.io-index"),
                    "{name}: {source}"
                );
            }
            None => assert!(name.starts_with("counterfoil-"), "{name} has no source"),
        }
    }
}

#[test]
fn licence_expressions_are_read_like_spdx() {
    let allowed: BTreeSet<String> = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]
        .map(str::to_owned)
        .into();
    for (expression, holds) in [
        ("MIT", true),
        ("GPL-3.0-or-later", false),
        ("GPL-3.0-or-later OR MIT", true),
        ("GPL-3.0-or-later AND MIT", false),
        ("MIT/Apache-2.0", true),
        ("Apache-2.0 WITH LLVM-exception OR Apache-2.0", true),
        ("Apache-2.0", false),
        ("(MIT OR Apache-2.0) AND ISC", true),
        ("(MIT OR Apache-2.0) AND Zlib", false),
        ("", false),
    ] {
        assert_eq!(fulfilled(expression, &allowed), holds, "{expression}");
    }
}
