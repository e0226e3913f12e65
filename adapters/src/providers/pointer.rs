//! Reads typed fields out of a provider's JSON by RFC 6901 pointers. Nothing is guessed: a field of
//! another type is absent.

use domain::ids::ProviderRef;
use domain::money::{Currency, Money};
use domain::time::{Precision, ProviderTime, Timestamp};
use serde_json::Value;

/// How a provider writes amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum AmountUnit {
    /// Whole minor units.
    #[serde(rename = "minor")]
    Minor,
    /// Decimal text in major units.
    #[serde(rename = "major")]
    Major,
}

/// Text, or a whole number as text.
pub fn text(value: &Value, pointer: &str) -> Option<String> {
    match value.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

/// A provider's identifier.
pub fn reference(value: &Value, pointer: &str) -> Option<ProviderRef> {
    text(value, pointer).and_then(|text| ProviderRef::parse(text).ok())
}

/// An amount with its currency, by letters in any case or by ISO number.
pub fn money(value: &Value, amount: &str, currency: &str, unit: AmountUnit) -> Option<Money> {
    let code = text(value, currency)?;
    let currency = Currency::from_code(&code.to_ascii_uppercase())
        .or_else(|| Currency::from_numeric(&code))?;
    money_in(value, amount, currency, unit)
}

/// An amount in a known currency.
pub fn money_in(
    value: &Value,
    amount: &str,
    currency: Currency,
    unit: AmountUnit,
) -> Option<Money> {
    let digits = text(value, amount)?;
    match unit {
        AmountUnit::Minor => Money::new(digits.parse().ok()?, currency).ok(),
        AmountUnit::Major => Money::from_major(&digits, currency).ok(),
    }
}

/// RFC 3339 text, or seconds since 1970.
pub fn time(value: &Value, pointer: &str) -> Option<ProviderTime> {
    let text = text(value, pointer)?;
    let at = match text.parse::<i64>() {
        Ok(seconds) => Timestamp::from_seconds(seconds),
        Err(_) => Timestamp::parse(&text).ok()?,
    };
    Some(ProviderTime {
        at,
        precision: Precision::Second,
    })
}
