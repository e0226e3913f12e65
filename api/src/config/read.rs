//! Reads tables field by field, so that no mistake hides the next.

use std::collections::BTreeMap;

use domain::config::MerchantConfig;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::check::Mistake;
use super::settings::Connection;

/// What can be read of a table; fields that cannot are told and left out. `None` when what is left
/// is not enough.
pub(super) fn fields<T: DeserializeOwned>(
    place: &str,
    value: Value,
    mistakes: &mut Vec<Mistake>,
) -> Option<T> {
    let table = table(place, value, mistakes)?;
    let (mut good, mut left_out) = (Table::new(), vec![]);
    for (name, value) in table {
        let alone = Table::from_iter([(name.clone(), value.clone())]);
        match alone.try_into::<T>() {
            Ok(_) => {
                good.insert(name, value);
            }
            // That another field is needed says nothing about this one.
            Err(error) if error.message().starts_with("missing field") => {
                good.insert(name, value);
            }
            Err(error) => {
                tell(&format!("{place}.{name}"), error.message(), mistakes);
                left_out.push(format!("missing field `{name}`"));
            }
        }
    }
    match good.try_into() {
        Ok(read) => Some(read),
        Err(error) => {
            // What was left out is told already.
            if !left_out.iter().any(|told| told == error.message()) {
                tell(place, error.message(), mistakes);
            }
            None
        }
    }
}

/// Every connection by its name.
pub(super) fn connections(
    value: Value,
    mistakes: &mut Vec<Mistake>,
) -> BTreeMap<String, Connection> {
    let table = table("connections", value, mistakes).unwrap_or_default();
    let read = table.into_iter().filter_map(|(name, value)| {
        let connection = fields(&format!("connections.{name}"), value, mistakes)?;
        Some((name, connection))
    });
    read.collect()
}

/// Every merchant, or none when one of them cannot be read whole.
pub(super) fn merchants(value: Value, mistakes: &mut Vec<Mistake>) -> Option<Vec<MerchantConfig>> {
    let before = mistakes.len();
    let mut read = vec![];
    for (place, value) in items("merchant", "merchant", value, mistakes) {
        let Some(mut merchant) = table(&place, value, mistakes) else {
            continue;
        };
        let mut list = |list: &str| merchant.remove(list).unwrap_or(Value::Array(vec![]));
        let (accounts, scenarios, catalogue) =
            (list("accounts"), list("scenarios"), list("catalogue"));
        let whole: Option<MerchantConfig> = fields(&place, Value::Table(merchant), mistakes);
        let at = |kind: &str| format!("{place}, {kind}");
        let accounts = each(&at("account"), "account", accounts, mistakes);
        let scenarios = each(&at("scenario"), "id", scenarios, mistakes);
        let catalogue = each(&at("catalogue item"), "code", catalogue, mistakes);
        read.extend(whole.map(|merchant| MerchantConfig {
            accounts,
            scenarios,
            catalogue,
            ..merchant
        }));
    }
    (mistakes.len() == before).then_some(read)
}

fn each<T: DeserializeOwned>(
    kind: &str,
    name: &str,
    value: Value,
    mistakes: &mut Vec<Mistake>,
) -> Vec<T> {
    let items = items(kind, name, value, mistakes).into_iter();
    items
        .filter_map(|(place, value)| fields(&place, value, mistakes))
        .collect()
}

/// The tables of a list, each with its place: the name that it gives itself, or its number.
fn items(
    kind: &str,
    name: &str,
    value: Value,
    mistakes: &mut Vec<Mistake>,
) -> Vec<(String, Value)> {
    let Value::Array(items) = value else {
        tell(kind, "is no list of tables", mistakes);
        return vec![];
    };
    let numbered = items.into_iter().enumerate().map(|(index, item)| {
        let named = item.get(name).and_then(Value::as_str);
        let place = named.map_or_else(
            || format!("{kind} number {}", index + 1),
            |named| format!("{kind} {named}"),
        );
        (place, item)
    });
    numbered.collect()
}

fn table(place: &str, value: Value, mistakes: &mut Vec<Mistake>) -> Option<Table> {
    match value {
        Value::Table(table) => Some(table),
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_) => {
            tell(place, "is no table", mistakes);
            None
        }
    }
}

fn tell(place: &str, what: &str, mistakes: &mut Vec<Mistake>) {
    mistakes.push(Mistake {
        place: place.to_owned(),
        what: what.to_owned(),
    });
}
