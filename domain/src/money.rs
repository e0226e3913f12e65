//! Money: whole minor units of an ISO 4217 currency, checked at every step.
//!
//! [`Money`] is what somebody owes or paid and is always above zero. [`Sum`] is a total or a
//! difference and may be zero or negative. Both have one wire shape, in records, in the API and in
//! deliveries: `{"minor": "150000", "currency": "AMD", "exponent": 2}`. The text keeps every digit
//! in readers whose numbers are floats.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An ISO 4217 currency that has minor units. `AMD` has exponent 2 although luma are out of use.
///
/// The table is that of the crate `iso_currency` (ISO 4217:2015 with amendments).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The currency of a three-letter code in upper case, or `None` for an unknown code and for
    /// codes without minor units (gold, test codes).
    pub fn from_code(code: &str) -> Option<Self> {
        let currency = iso_currency::Currency::from_code(code)?;
        currency.exponent().map(|_| Self(currency))
    }

    /// The currency of a three-digit ISO 4217 number, as banks send it (`051`, `978`).
    pub fn from_numeric(text: &str) -> Option<Self> {
        let numeric: u16 = text.parse().ok()?;
        let currency = iso_currency::Currency::from_numeric(numeric)?;
        currency.exponent().map(|_| Self(currency))
    }

    /// Three upper-case letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Digits after the decimal point of one major unit: 0 to 4.
    pub fn exponent(self) -> u8 {
        self.0
            .exponent()
            .and_then(|exponent| u8::try_from(exponent).ok())
            .unwrap_or(0)
    }

    /// Every currency that can be used, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        use iso_currency::IntoEnumIterator;
        iso_currency::Currency::iter()
            .filter(|c| c.exponent().is_some())
            .map(Self)
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code)
            .ok_or_else(|| D::Error::custom("not an ISO 4217 currency with minor units"))
    }
}

/// Why a number is not money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Zero or negative where money is due.
    #[error("the amount must be above zero")]
    NotPositive,
    /// Not decimal digits, or a float, or a sign or exponent where none may stand.
    #[error("the amount is not written as whole digits")]
    NotDigits,
    /// More digits after the point than the currency has.
    #[error("the amount has more decimals than {currency} allows ({exponent})")]
    TooManyDecimals {
        /// The currency asked for.
        currency: Currency,
        /// Its exponent.
        exponent: u8,
    },
    /// Outside of 64 bits.
    #[error("the amount is too large")]
    TooLarge,
    /// The exponent on the wire is not that of the currency.
    #[error("{currency} has exponent {expected}, not {found}")]
    WrongExponent {
        /// The currency named.
        currency: Currency,
        /// ISO 4217's exponent.
        expected: u8,
        /// What was sent.
        found: u8,
    },
    /// Two currencies in one calculation.
    #[error("{left} and {right} cannot be added")]
    MixedCurrencies {
        /// The left operand's currency.
        left: Currency,
        /// The right operand's currency.
        right: Currency,
    },
}

/// Amount above zero in minor units of its currency (`150000` with exponent 2 is 1500.00). Never a
/// float; decimal text on every wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money {
    currency: Currency,
    minor: i64,
}

impl Money {
    /// Money from minor units.
    ///
    /// # Errors
    /// [`MoneyError::NotPositive`] for zero and below.
    pub fn new(minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        if minor > 0 {
            Ok(Self { currency, minor })
        } else {
            Err(MoneyError::NotPositive)
        }
    }

    /// Money from a provider's decimal text in major units: `"1500"`, `"1500.00"`, `"0.5"`. No
    /// sign, no exponent, no grouping, at most the currency's decimals (further zeros are allowed).
    ///
    /// # Errors
    /// [`MoneyError`] for anything else; the text is never rounded.
    pub fn from_major(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || text.ends_with('.') {
            return Err(MoneyError::NotDigits);
        }
        let exponent = currency.exponent();
        let (kept, rest) = fraction.split_at(fraction.len().min(usize::from(exponent)));
        if rest.bytes().any(|b| b != b'0') {
            return Err(MoneyError::TooManyDecimals { currency, exponent });
        }
        let digits = format!("{whole}{kept:0<width$}", width = usize::from(exponent));
        Self::new(digits.parse().map_err(|_| MoneyError::TooLarge)?, currency)
    }

    /// In major units, as [`Money::from_major`] reads them: `1500.00`.
    pub fn major(self) -> String {
        Sum::from(self).major()
    }

    /// Minor units, above zero.
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// True when both are of one currency and may be compared.
    pub fn same_currency(self, other: Self) -> bool {
        self.currency == other.currency
    }

    /// `count` times this price.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] on overflow, [`MoneyError::NotPositive`] for a count of zero.
    pub fn times(self, count: u32) -> Result<Self, MoneyError> {
        let minor = self
            .minor
            .checked_mul(i64::from(count))
            .ok_or(MoneyError::TooLarge)?;
        Self::new(minor, self.currency)
    }

    /// Both together.
    ///
    /// # Errors
    /// [`MoneyError::MixedCurrencies`] or [`MoneyError::TooLarge`].
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::MixedCurrencies {
                left: self.currency,
                right: other.currency,
            });
        }
        let minor = self
            .minor
            .checked_add(other.minor)
            .ok_or(MoneyError::TooLarge)?;
        Self::new(minor, self.currency)
    }
}

/// `1500.00 AMD`, for people.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Sum::from(*self).fmt(f)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A total or a difference in minor units: may be zero, may be negative. Same wire shape as
/// [`Money`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sum {
    currency: Currency,
    minor: i64,
}

impl Sum {
    /// In major units, with every decimal of the currency: `1500.00`.
    pub fn major(self) -> String {
        let exponent = usize::from(self.currency.exponent());
        let sign = if self.minor < 0 { "-" } else { "" };
        let digits = format!(
            "{:0>width$}",
            self.minor.unsigned_abs(),
            width = exponent + 1
        );
        let (whole, fraction) = digits.split_at(digits.len() - exponent);
        let point = if exponent == 0 { "" } else { "." };
        format!("{sign}{whole}{point}{fraction}")
    }

    /// Any whole number of minor units.
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { currency, minor }
    }

    /// Nothing.
    pub fn zero(currency: Currency) -> Self {
        Self { currency, minor: 0 }
    }

    /// Minor units; may be negative.
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// As money, where it is above zero.
    pub fn money(self) -> Option<Money> {
        Money::new(self.minor, self.currency).ok()
    }
}

impl From<Money> for Sum {
    fn from(money: Money) -> Self {
        Self {
            currency: money.currency,
            minor: money.minor,
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.major(), self.currency)
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The wire shape of both. Integers are accepted for `minor` on input; floats are refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    minor: MinorText,
    currency: Currency,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exponent: Option<u8>,
}

impl Wire {
    fn of(minor: i64, currency: Currency) -> Self {
        Self {
            minor: MinorText(minor),
            currency,
            exponent: Some(currency.exponent()),
        }
    }

    fn checked(self) -> Result<(i64, Currency), MoneyError> {
        let expected = self.currency.exponent();
        match self.exponent {
            Some(found) if found != expected => Err(MoneyError::WrongExponent {
                currency: self.currency,
                expected,
                found,
            }),
            _ => Ok((self.minor.0, self.currency)),
        }
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::of(self.minor, self.currency).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (minor, currency) = Wire::deserialize(deserializer)?
            .checked()
            .map_err(D::Error::custom)?;
        Self::new(minor, currency).map_err(D::Error::custom)
    }
}

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::of(self.minor, self.currency).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (minor, currency) = Wire::deserialize(deserializer)?
            .checked()
            .map_err(D::Error::custom)?;
        Ok(Self { currency, minor })
    }
}

/// A bare number of minor units as decimal text, for fields that stand beside an amount of the
/// same currency (`applied`, `unapplied`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct MinorText(pub i64);

impl Serialize for MinorText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MinorText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl serde::de::Visitor<'_> for Digits {
            type Value = i64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("minor units as decimal text or a whole number")
            }
            fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<i64, E> {
                Ok(v)
            }
            fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<i64, E> {
                i64::try_from(v).map_err(|_| E::custom(MoneyError::TooLarge))
            }
            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<i64, E> {
                let digits = v.strip_prefix('-').unwrap_or(v);
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(E::custom(MoneyError::NotDigits));
                }
                v.parse().map_err(|_| E::custom(MoneyError::TooLarge))
            }
        }
        deserializer.deserialize_any(Digits).map(Self)
    }
}

#[cfg(test)]
#[path = "money_tests.rs"]
mod tests;
