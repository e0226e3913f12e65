//! Reads the file and the environment. Flags win over environment, environment over file, file
//! over defaults.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::check::{Mistake, ProfileMistakes, check};
use super::read;
use super::settings::Settings;

/// Where the file is looked for when nobody names it.
pub const PLACES: [&str; 2] = ["counterfoil.toml", "/etc/counterfoil/counterfoil.toml"];
/// Environment variables that override one field: `COUNTERFOIL_SERVER__LISTEN`.
pub const PREFIX: &str = "COUNTERFOIL_";

/// Checked settings and where they came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The file, if there was one.
    pub file: Option<PathBuf>,
    /// Fields that the environment set.
    pub from_environment: Vec<String>,
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The named file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Every mistake that was found.
    #[error("{} mistakes in the configuration", .0.len())]
    Mistakes(Vec<Mistake>),
}

/// Loads and checks.
///
/// # Errors
/// [`LoadError`] with all mistakes at once.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    profile_mistakes: ProfileMistakes,
) -> Result<Loaded, LoadError> {
    let found = match file {
        Some(path) => Some(path.to_owned()),
        None => PLACES.iter().map(PathBuf::from).find(|path| path.exists()),
    };
    let text = match &found {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path).map_err(|cause| LoadError::Unreadable {
            path: path.clone(),
            cause,
        })?,
    };
    let parsed = parse_with(&text, environment, profile_mistakes);
    let (settings, from_environment) = parsed.map_err(LoadError::Mistakes)?;
    Ok(Loaded {
        settings,
        file: found,
        from_environment,
    })
}

/// Parses a file's text with overrides. What stands in profiles is not looked at.
///
/// # Errors
/// Every mistake that was found.
pub fn parse(
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<(Settings, Vec<String>), Vec<Mistake>> {
    parse_with(text, environment, |_| vec![])
}

fn parse_with(
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    profile_mistakes: ProfileMistakes,
) -> Result<(Settings, Vec<String>), Vec<Mistake>> {
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        vec![Mistake {
            place: format!("line {}", before.matches('\n').count() + 1),
            what: error.message().to_owned(),
        }]
    })?;
    let overridden = overlay(&mut table, environment);
    let mut mistakes = vec![];
    let mut settings = Settings::default();
    let mut merchants = Some(vec![]);
    for (name, value) in table {
        let value = (name.as_str(), value);
        match value.0 {
            "server" => section(value, &mut settings.server, &mut mistakes),
            "store" => section(value, &mut settings.store, &mut mistakes),
            "ledger" => section(value, &mut settings.ledger, &mut mistakes),
            "limits" => section(value, &mut settings.limits, &mut mistakes),
            "checkout" => section(value, &mut settings.checkout, &mut mistakes),
            "delivery" => section(value, &mut settings.delivery, &mut mistakes),
            "alerts" => section(value, &mut settings.alerts, &mut mistakes),
            "log" => section(value, &mut settings.log, &mut mistakes),
            "connections" => settings.connections = read::connections(value.1, &mut mistakes),
            "merchants" => merchants = read::merchants(value.1, &mut mistakes),
            other => mistakes.push(Mistake {
                place: other.to_owned(),
                what: "is no section; known are server, store, ledger, limits, checkout, delivery, alerts, log, \
                       connections, merchants"
                    .to_owned(),
            }),
        }
    }
    // Merchants that cannot be read whole are not judged by what is left of them.
    let whole = merchants.is_some();
    settings.merchants = merchants.unwrap_or_default();
    check(&settings, whole, profile_mistakes, &mut mistakes);
    for mistake in &mut mistakes {
        if overridden.contains(&mistake.place) {
            mistake.what.push_str(" (from the environment)");
        }
    }
    if mistakes.is_empty() {
        Ok((settings, overridden))
    } else {
        Err(mistakes)
    }
}

fn section<T: DeserializeOwned>(
    (name, value): (&str, Value),
    into: &mut T,
    mistakes: &mut Vec<Mistake>,
) {
    if let Some(read) = read::fields(name, value, mistakes) {
        *into = read;
    }
}

/// `COUNTERFOIL_SERVER__LISTEN=...` sets `listen` of `[server]`.
fn overlay(
    table: &mut Table,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Vec<String> {
    let mut overridden = vec![];
    for (name, text) in environment {
        let Some((section, field)) = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once("__"))
        else {
            continue;
        };
        let (section, field) = (section.to_ascii_lowercase(), field.to_ascii_lowercase());
        let entry = table
            .entry(section.clone())
            .or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(fields) = entry {
            fields.insert(field.clone(), scalar(&text));
            overridden.push(format!("{section}.{field}"));
        }
    }
    overridden.sort();
    overridden
}

fn scalar(text: &str) -> Value {
    match (text.parse::<i64>(), text) {
        (Ok(number), _) => Value::Integer(number),
        (Err(_), "true") => Value::Boolean(true),
        (Err(_), "false") => Value::Boolean(false),
        (Err(_), text) => Value::String(text.to_owned()),
    }
}
