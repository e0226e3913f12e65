use proptest::prelude::*;

use super::*;

fn amd() -> Currency {
    Currency::from_code("AMD").unwrap()
}

#[test]
fn the_currency_table_follows_iso_4217() {
    for (code, exponent) in [
        ("AMD", 2),
        ("USD", 2),
        ("JPY", 0),
        ("KWD", 3),
        ("CLF", 4),
        ("EUR", 2),
    ] {
        assert_eq!(
            Currency::from_code(code).unwrap().exponent(),
            exponent,
            "{code}"
        );
    }
    for code in ["XAU", "amd", "", "ZZZ", "AM"] {
        assert!(Currency::from_code(code).is_none(), "{code}");
    }
    assert_eq!(Currency::from_numeric("051"), Some(amd()));
    assert!(Currency::all().count() > 150);
}

#[test]
fn major_text_is_read_without_rounding() {
    let cases = [
        ("1500", Ok(150_000)),
        ("1500.00", Ok(150_000)),
        ("0.5", Ok(50)),
        ("1.15", Ok(115)),
        ("1.150", Ok(115)),
        (
            "1.155",
            Err(MoneyError::TooManyDecimals {
                currency: amd(),
                exponent: 2,
            }),
        ),
        ("0", Err(MoneyError::NotPositive)),
        ("-1", Err(MoneyError::NotDigits)),
        ("1e3", Err(MoneyError::NotDigits)),
        ("1,000", Err(MoneyError::NotDigits)),
        ("", Err(MoneyError::NotDigits)),
        (".5", Err(MoneyError::NotDigits)),
        ("5.", Err(MoneyError::NotDigits)),
        ("92233720368547758.08", Err(MoneyError::TooLarge)),
    ];
    for (text, expected) in cases {
        assert_eq!(
            Money::from_major(text, amd()).map(Money::minor),
            expected,
            "{text}"
        );
    }
}

#[test]
fn the_wire_takes_text_and_integers_and_refuses_floats() {
    let read = |json: &str| serde_json::from_str::<Money>(json);
    let money = read(r#"{"minor":"150000","currency":"AMD","exponent":2}"#).unwrap();
    assert_eq!(money.minor(), 150_000);
    assert_eq!(read(r#"{"minor":150000,"currency":"AMD"}"#).unwrap(), money);
    assert_eq!(
        serde_json::to_string(&money).unwrap(),
        r#"{"minor":"150000","currency":"AMD","exponent":2}"#
    );
    for bad in [
        r#"{"minor":1500.0,"currency":"AMD"}"#,
        r#"{"minor":"1500.0","currency":"AMD"}"#,
        r#"{"minor":"+15","currency":"AMD"}"#,
        r#"{"minor":"0","currency":"AMD"}"#,
        r#"{"minor":"-1","currency":"AMD"}"#,
        r#"{"minor":"1","currency":"AMD","exponent":0}"#,
        r#"{"minor":"9223372036854775808","currency":"AMD"}"#,
        r#"{"minor":"1","currency":"XAU"}"#,
        r#"{"minor":"1","currency":"AMD","x":1}"#,
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn people_read_the_point_where_the_currency_has_it() {
    let yen = Currency::from_code("JPY").unwrap();
    assert_eq!(Money::new(5, amd()).unwrap().to_string(), "0.05 AMD");
    assert_eq!(Sum::new(-150_000, amd()).to_string(), "-1500.00 AMD");
    assert_eq!(Money::new(7, yen).unwrap().to_string(), "7 JPY");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(minor in 1i64.., index in 0usize..150) {
        let currency = Currency::all().nth(index).unwrap();
        let money = Money::new(minor, currency).unwrap();
        let json = serde_json::to_string(&money).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
        let major = money.to_string();
        let (digits, _) = major.split_once(' ').unwrap();
        prop_assert_eq!(Money::from_major(digits, currency).unwrap(), money);
    }

    #[test]
    fn arithmetic_never_wraps(a in 1i64.., b in 1i64.., count in 0u32..) {
        let (a, b) = (Money::new(a, amd()).unwrap(), Money::new(b, amd()).unwrap());
        prop_assert_eq!(a.plus(b).ok().map(Money::minor), a.minor().checked_add(b.minor()));
        let product = i128::from(a.minor()) * i128::from(count);
        prop_assert_eq!(a.times(count).is_ok(), product > 0 && product <= i128::from(i64::MAX));
    }
}
