use proptest::prelude::*;

use super::*;

/// Test numbers that card schemes and payment providers publish, and two of local schemes' shape.
const CARDS: &[&str] = &[
    "4111111111111111",
    "4222222222222",
    "5555555555554444",
    "378282246310005",
    "30569309025904",
    "6011111111111117",
    "3530111333300000",
    "6200000000000000000",
    "2200000000000004",
    "9051000000000009",
];

#[test]
fn published_test_cards_are_found_in_every_writing() {
    for card in CARDS {
        let grouped = |separator: &str| {
            let chunks: Vec<&str> = card
                .as_bytes()
                .chunks(4)
                .map(|chunk| std::str::from_utf8(chunk).unwrap())
                .collect();
            chunks.join(separator)
        };
        for text in [
            (*card).to_owned(),
            grouped(" "),
            grouped("-"),
            format!("order 1001 {card} 12/29 123"),
            format!("1001 {} 1229 123", grouped(" ")),
            format!("քարտ{card}։"),
            format!("{{\"note\":\"my card\\n{card}\"}}"),
            format!("{{\"n\":{card}}}"),
        ] {
            assert!(find_card_number(text.as_bytes()).is_some(), "{text}");
        }
    }
}

#[test]
fn the_place_is_told() {
    let text = b"pay 4111 1111 1111 1111 please";
    assert_eq!(find_card_number(text), Some(4..23));
}

#[test]
fn other_digits_are_no_card_numbers() {
    for other in [
        "4111111111111112",
        "0000000000000000",
        "411111111111",
        "41111111111111111111111",
        "pr_4111111111111111x",
        "TXN4111111111111111",
        "2026-11-25 12:00:00",
        "+374 91 123456",
        "4111  1111  1111  1111",
        "",
        // Times of this century that pass the Luhn check.
        "1764060000007",
        "1764060000000008",
        "20261125120000",
        // A UUID of digits only, whose first sixteen pass the check.
        "41111111-1111-4115-8111-111111111111",
    ] {
        assert_eq!(find_card_number(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn the_times_of_that_table_pass_the_check_and_are_spared_as_times_only() {
    for time in ["1764060000007", "1764060000000008", "20261125120000"] {
        assert!(luhn(time.as_bytes()), "{time}");
        assert!(is_time(time.as_bytes()), "{time}");
    }
    // No such hour, no such month, not of this time: numbers like any other.
    for number in ["20261125250005", "20261325120008", "4764060000004"] {
        assert!(find_card_number(number.as_bytes()).is_some(), "{number}");
    }
}

#[test]
fn what_an_encoding_hides_is_found() {
    for hidden in [
        r#"{"n":"\u0034111111111111111"}"#,
        r#"{"a":[{"4111 1111 1111 1111":null}]}"#,
        r#"{"n":"\u00a04111111111111111"}"#,
        // The second of two equal names wins for a reader, but the bytes hold both.
        r#"{"n":"4111111111111111","n":"x"}"#,
        "note=card+4111%201111%2d1111+1111&x=1",
        "n=%34111111111111111",
    ] {
        assert!(holds_card_number(hidden.as_bytes(), &[]), "{hidden}");
    }
    for plain in [
        r#"{"n":"+37491123456","a":"1500.00"}"#,
        "a=1&b=%zz+%2",
        "{\"unfinished\":",
        "",
    ] {
        assert!(!holds_card_number(plain.as_bytes(), &[]), "{plain}");
    }
}

#[test]
fn known_values_are_no_card_numbers_but_hide_none() {
    let order = "4222222222222";
    let known = [order, "4111", "1111"];
    assert!(!holds_card_number(
        br#"{"order":"4222222222222","n":4222222222222}"#,
        &known
    ));
    assert!(!holds_card_number(b"order=4222222222222&x=%20", &known));
    // Another number beside it, a longer one around it, and one that short values could cut.
    for text in [
        r#"{"order":"4222222222222","note":"4111111111111111"}"#,
        r#"{"note":"9000004222222222223"}"#,
        "4111111111111111",
        "4111 1111 1111 1111",
    ] {
        assert!(holds_card_number(text.as_bytes(), &known), "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic_and_planted_numbers_are_found(
        before in "[ -~]{0,20}", after in "[ -~]{0,20}", noise in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        find_card_number(&noise);
        holds_card_number(&noise, &["4222222222222"]);
        let text = format!("{before} :4111111111111111: {after}");
        prop_assert!(find_card_number(text.as_bytes()).is_some());
    }

    #[test]
    fn every_number_that_passes_the_check_is_found_and_its_neighbours_are_not(
        body in "[2-9][0-9]{14}", changed in 0usize..16,
    ) {
        let check = (0..10u8).find(|digit| luhn(format!("{body}{digit}").as_bytes())).unwrap();
        let card = format!("{body}{check}");
        prop_assert!(find_card_number(card.as_bytes()).is_some());
        // One digit off never passes: that is what the check digit is for.
        let mut off = card.into_bytes();
        off[changed] = b'0' + (off[changed] - b'0' + 1) % 10;
        prop_assert!(off[0] == b'0' || find_card_number(&off).is_none());
    }
}

#[test]
fn an_order_number_is_refused_only_when_it_is_a_card() {
    for card in [
        "4111111111111111",
        "4111-1111-1111-1111",
        "5555555555554444",
        "378282246310005",
        "2223003122003222",
    ] {
        assert!(is_card_number(card), "{card}");
    }
    // All but the last pass the Luhn check.
    for order in [
        "20261125000103",
        "order-01-01-0000000008",
        "0000000000000000",
        "1000000000009",
        "4111111111111112",
    ] {
        assert!(!is_card_number(order), "{order}");
    }
}
