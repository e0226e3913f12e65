//! Time: UTC with milliseconds, and a provider's time with the precision it really has.

use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC, cut to whole milliseconds. RFC 3339 text on every wire
/// (`2026-10-05T12:00:00.000Z`), so text order is time order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is not RFC 3339, or lies outside of the years 1 to 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time")]
pub struct NotATime;

impl Timestamp {
    /// From milliseconds since 1970. Values outside of the years 1 to 9999 are drawn to that range.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(-62_135_596_800_000, 253_402_300_799_999))
    }

    /// From whole seconds since 1970, as webhook headers carry them.
    pub fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// From RFC 3339 text with any offset.
    ///
    /// # Errors
    /// [`NotATime`].
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_| NotATime)?;
        Ok(Self::from_millis(parsed.as_millisecond()))
    }

    /// Later by `duration`, at most the end of the year 9999.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Later by so many business days: Monday to Friday in UTC, at the same time of day.
    #[must_use]
    pub fn plus_business_days(self, days: u8) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let mut later = self;
        for _ in 0..days {
            later = later.plus(DAY);
            while later.is_weekend() {
                later = later.plus(DAY);
            }
        }
        later
    }

    /// Saturday or Sunday in UTC. 1 January 1970 was a Thursday.
    fn is_weekend(self) -> bool {
        let days = self.0.div_euclid(24 * 3600 * 1000);
        matches!((days + 3).rem_euclid(7), 5 | 6)
    }

    /// Earlier by `duration`, at least the year 1.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_sub(millis))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment:.3}"),
            Err(_) => f.write_str("out of range"),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// How exactly a provider states a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Precision {
    /// To the second or better.
    #[serde(rename = "second")]
    Second,
    /// To the minute.
    #[serde(rename = "minute")]
    Minute,
    /// Only the date.
    #[serde(rename = "day")]
    Day,
}

impl Precision {
    fn width(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::Minute => Duration::from_secs(60),
            Self::Day => Duration::from_secs(86_400),
        }
    }
}

/// When a provider says that something happened. Some state a date only, so that lateness cannot
/// always be proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderTime {
    /// The start of the stated second, minute or day, in UTC.
    pub at: Timestamp,
    /// What was stated.
    pub precision: Precision,
}

impl ProviderTime {
    /// True only when the whole stated second, minute or day ends at or before `limit`'s own
    /// second. A time to the second at the limit itself is on time.
    pub fn provably_by(self, limit: Timestamp) -> bool {
        let start = Timestamp::from_seconds(self.at.seconds());
        start.plus(self.precision.width()) <= Timestamp::from_seconds(limit.seconds() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn business_days_leave_weekends_out() {
        for (from, days, to) in [
            ("2026-11-25T10:00:00Z", 5, "2026-12-02T10:00:00Z"), // Wednesday to Wednesday
            ("2026-11-27T10:00:00Z", 1, "2026-11-30T10:00:00Z"), // Friday to Monday
            ("2026-11-28T10:00:00Z", 1, "2026-11-30T10:00:00Z"), // Saturday to Monday
            ("2026-11-25T10:00:00Z", 0, "2026-11-25T10:00:00Z"),
        ] {
            assert_eq!(at(from).plus_business_days(days), at(to), "{from}");
        }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn text_is_utc_with_milliseconds() {
        assert_eq!(
            at("2026-10-05T16:00:00.1239+04:00").to_string(),
            "2026-10-05T12:00:00.123Z"
        );
        assert_eq!(
            at("2026-10-05T12:00:00Z").to_string(),
            "2026-10-05T12:00:00.000Z"
        );
        assert!(Timestamp::parse("05/10/2026").is_err());
        assert_eq!(
            serde_json::to_string(&Timestamp::from_seconds(0)).unwrap(),
            "\"1970-01-01T00:00:00.000Z\""
        );
    }

    #[test]
    fn lateness_is_proved_only_as_far_as_the_precision_goes() {
        let limit = at("2026-10-05T12:00:00Z");
        let second = |text| ProviderTime {
            at: at(text),
            precision: Precision::Second,
        };
        assert!(second("2026-10-05T12:00:00Z").provably_by(limit));
        assert!(!second("2026-10-05T12:00:01Z").provably_by(limit));
        let day = |text| ProviderTime {
            at: at(text),
            precision: Precision::Day,
        };
        assert!(!day("2026-10-05T00:00:00Z").provably_by(limit));
        assert!(day("2026-10-04T00:00:00Z").provably_by(limit));
    }

    #[test]
    fn arithmetic_stays_in_range() {
        let last = Timestamp::from_millis(i64::MAX);
        assert_eq!(last.plus(Duration::from_secs(u64::MAX)), last);
        assert_eq!(at("2026-10-05T12:00:00Z").since(last), Duration::ZERO);
    }
}
