//! The example configuration and the page about settings name every setting with its default.

use std::collections::BTreeSet;

use api::config::Settings;
use api::config::load::parse;
use serde_json::Value;

use super::pages::{reference, root};

/// Settings in which the example differs from the defaults, so that the tutorial runs with it.
const DIFFERENT: [&str; 4] = [
    "delivery.allow_networks",
    "delivery.danger_allow_http",
    "connections",
    "merchants",
];

fn example() -> String {
    std::fs::read_to_string(root().join("counterfoil.example.toml")).unwrap()
}

/// `section.field` and the value, for every plain setting.
fn plain(settings: &Value) -> Vec<(String, Value)> {
    let mut found = vec![];
    for (section, value) in settings.as_object().unwrap() {
        match value {
            Value::Object(fields) if !fields.is_empty() && section != "connections" => {
                found.extend(
                    fields
                        .iter()
                        .map(|(field, value)| (format!("{section}.{field}"), value.clone())),
                );
            }
            value => found.push((section.clone(), value.clone())),
        }
    }
    found
}

/// Rows of the page: the setting, the unit or kind, and the default.
fn rows(page: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = vec![];
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.trim_matches(['`', '[', ']']).to_owned();
        }
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if let ["", name, _, default, _, ""] = cells[..]
            && let Some(name) = name
                .strip_prefix('`')
                .and_then(|name| name.strip_suffix('`'))
        {
            found.push((
                format!("{section}.{name}"),
                default.trim_matches('`').to_owned(),
            ));
        }
    }
    found
}

#[test]
fn the_example_has_no_mistakes() {
    parse(&example(), []).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
}

#[test]
fn the_example_names_every_setting_with_its_default() {
    let written: toml::Table = example().parse().unwrap();
    let (read, _) = parse(&example(), []).unwrap();
    let read: Vec<_> = plain(&serde_json::to_value(read).unwrap());
    let defaults = plain(&serde_json::to_value(Settings::default()).unwrap());
    assert!(defaults.len() > 20);
    for (name, default) in defaults {
        let (section, field) = name.split_once('.').unwrap_or((&name, ""));
        let stands = written
            .get(section)
            .is_some_and(|table| field.is_empty() || table.get(field).is_some());
        assert!(stands, "{name} is missing in counterfoil.example.toml");
        if !DIFFERENT.contains(&name.as_str()) {
            let value = &read.iter().find(|(known, _)| *known == name).unwrap().1;
            assert_eq!(value, &default, "{name} in counterfoil.example.toml");
        }
    }
}

#[test]
fn the_page_names_every_setting_with_its_default() {
    let page = reference("configuration.md");
    let rows = rows(&page);
    let defaults = plain(&serde_json::to_value(Settings::default()).unwrap());
    let plain_ones: Vec<_> = defaults
        .iter()
        .filter(|(name, _)| name.contains('.'))
        .collect();
    for (name, default) in &plain_ones {
        let row = rows.iter().find(|(known, _)| known == name);
        let (_, written) = row.unwrap_or_else(|| panic!("{name} is missing in configuration.md"));
        assert_eq!(*written, default.to_string(), "{name} in configuration.md");
    }
    let sections: BTreeSet<_> = plain_ones
        .iter()
        .filter_map(|(name, _)| name.split('.').next())
        .collect();
    for (name, _) in &rows {
        let ours = name
            .split('.')
            .next()
            .is_some_and(|section| sections.contains(section));
        assert!(
            !ours || defaults.iter().any(|(known, _)| known == name),
            "{name} is no setting any more"
        );
    }
}

#[test]
fn the_profile_of_the_page_has_no_mistakes_and_every_field_has_a_row() {
    let page = reference("configuration.md");
    let example = page.split("```toml\n").nth(1).unwrap();
    let example: toml::Table = example.split("```").next().unwrap().parse().unwrap();
    let profile = example["connections"]["bank-main"]["profile"].clone();
    let profile: adapters::providers::generic::Profile = profile.try_into().unwrap();
    assert_eq!(profile.mistakes(), Vec::<String>::new());
    let rows = rows(&page);
    let fields = serde_json::to_value(&profile).unwrap();
    let named = |field: &str| {
        let name = format!("connections.<account>.profile.{field}");
        rows.iter().any(|(known, _)| *known == name)
    };
    for field in fields.as_object().unwrap().keys() {
        assert!(named(field), "{field} is missing in configuration.md");
    }
    let of_profile = rows
        .iter()
        .filter_map(|(name, _)| name.strip_prefix("connections.<account>.profile."));
    for field in of_profile {
        assert!(fields.get(field).is_some(), "{field} is no field any more");
    }
}

#[test]
fn the_page_names_every_field_of_connections_and_merchants() {
    let rows = rows(&reference("configuration.md"));
    let (settings, _) = parse(&example(), []).unwrap();
    let settings = serde_json::to_value(settings).unwrap();
    let merchant = &settings["merchants"][0];
    let tables = [
        (
            "connections.<account>",
            &settings["connections"]["sim-main"],
        ),
        ("merchants", merchant),
        ("merchants.accounts", &merchant["accounts"][0]),
        ("merchants.scenarios", &merchant["scenarios"][0]),
        ("merchants.catalogue", &merchant["catalogue"][0]),
    ];
    for (section, fields) in tables {
        for (field, value) in fields.as_object().unwrap() {
            let name = format!("{section}.{field}");
            let nested = value
                .as_array()
                .is_some_and(|items| items.iter().any(Value::is_object));
            assert!(
                nested || rows.iter().any(|(known, _)| *known == name),
                "{name} is missing in configuration.md"
            );
        }
    }
}
