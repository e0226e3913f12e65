//! Amounts and times as the payer's language writes them.

use domain::money::Sum;
use domain::time::Timestamp;
use jiff::tz::TimeZone;

use super::texts::Texts;

/// An amount with every decimal that its currency has: `1,500.00 AMD`, `1 500,00 AMD`, `1,500 JPY`.
pub(super) fn money(texts: &Texts, amount: Sum) -> String {
    let exponent = usize::from(amount.currency().exponent());
    let digits = format!(
        "{:0>width$}",
        amount.minor().unsigned_abs(),
        width = exponent + 1
    );
    let (whole, minor) = digits.split_at(digits.len() - exponent);
    let mut number = String::new();
    if amount.minor() < 0 {
        number.push('\u{2212}');
    }
    for (place, digit) in whole.char_indices() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            number.push_str(texts.thousands);
        }
        number.push(digit);
    }
    if exponent > 0 {
        number.push_str(texts.decimal);
        number.push_str(minor);
    }
    texts
        .money
        .replace("{number}", &number)
        .replace("{currency}", amount.currency().code())
}

/// A moment in a zone, to the minute, with the zone's distance from UTC.
pub(super) fn moment(texts: &Texts, at: Timestamp, zone: &TimeZone) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(at.millis()) else {
        return at.to_string();
    };
    let at = at.to_zoned_datetime(zone.clone());
    let month = usize::from(at.month().unsigned_abs()).saturating_sub(1);
    texts
        .moment
        .replace("{day}", &at.day().to_string())
        .replace("{month}", texts.months.get(month).copied().unwrap_or("?"))
        .replace("{year}", &at.year().to_string())
        .replace("{time}", &format!("{:02}:{:02}", at.hour(), at.minute()))
        .replace("{zone}", &distance(at.offset().seconds()))
}

/// `UTC`, `UTC+4`, `UTC+5:30`.
fn distance(seconds: i32) -> String {
    let minutes = seconds.unsigned_abs() / 60;
    let sign = if seconds < 0 { '\u{2212}' } else { '+' };
    match (minutes / 60, minutes % 60) {
        (0, 0) => "UTC".to_owned(),
        (hours, 0) => format!("UTC{sign}{hours}"),
        (hours, rest) => format!("UTC{sign}{hours}:{rest:02}"),
    }
}

#[cfg(test)]
mod tests {
    use domain::money::Currency;

    use super::*;
    use crate::config::settings::Language;

    fn written(language: Language, minor: i64, code: &str) -> String {
        let sum = Sum::new(minor, Currency::from_code(code).unwrap());
        money(language.texts(), sum).replace('\u{a0}', "_")
    }

    #[test]
    fn amounts_are_grouped_as_the_language_does_with_the_decimals_of_the_currency() {
        for (language, minor, code, wanted) in [
            (Language::En, 150_000, "AMD", "1,500.00_AMD"),
            (Language::Ru, 150_000, "AMD", "1_500,00_AMD"),
            (Language::Hy, 123_456_789, "AMD", "1_234_567,89_AMD"),
            (Language::En, 100_000, "AMD", "1,000.00_AMD"),
            (Language::En, 99_999, "USD", "999.99_USD"),
            (Language::En, 5, "EUR", "0.05_EUR"),
            (Language::Ru, 1500, "JPY", "1_500_JPY"),
            (Language::En, 1_234_567, "KWD", "1,234.567_KWD"),
            (Language::En, 0, "AMD", "0.00_AMD"),
            (Language::En, -150_000, "AMD", "\u{2212}1,500.00_AMD"),
        ] {
            assert_eq!(written(language, minor, code), wanted);
        }
        assert!(written(Language::En, i64::MIN, "AMD").ends_with("758.08_AMD"));
    }

    #[test]
    fn times_are_told_with_their_zone() {
        let at = Timestamp::parse("2026-11-25T20:05:59Z").unwrap();
        let yerevan = TimeZone::get("Asia/Yerevan").unwrap();
        let told = |language: Language, zone: &TimeZone| moment(language.texts(), at, zone);
        assert_eq!(
            told(Language::En, &yerevan),
            "26 November 2026, 00:05 (UTC+4)"
        );
        assert_eq!(
            told(Language::Ru, &yerevan),
            "26 ноября 2026 г., 00:05 (UTC+4)"
        );
        assert_eq!(
            told(Language::Hy, &yerevan),
            "26 նոյեմբերի, 2026 թ., 00:05 (UTC+4)"
        );
        assert_eq!(
            told(Language::En, &TimeZone::UTC),
            "25 November 2026, 20:05 (UTC)"
        );
        let kolkata = TimeZone::get("Asia/Kolkata").unwrap();
        assert!(told(Language::En, &kolkata).ends_with("26 November 2026, 01:35 (UTC+5:30)"));
        let new_york = TimeZone::get("America/New_York").unwrap();
        assert!(told(Language::En, &new_york).ends_with("15:05 (UTC\u{2212}5)"));
    }
}
