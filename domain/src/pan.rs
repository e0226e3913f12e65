//! Finds what looks like a card number, so that none is ever kept: 13 to 19 digits that pass the
//! Luhn check (ISO/IEC 7812-1), alone or in groups parted by single spaces or dashes.

use std::ops::Range;

/// Where the first one stands.
pub fn find_card_number(bytes: &[u8]) -> Option<Range<usize>> {
    let mut start = 0;
    while start < bytes.len() {
        if !bytes[start].is_ascii_digit() {
            start += 1;
            continue;
        }
        let run = digit_run(bytes, start);
        let inside_word = start > 0 && bytes[start - 1].is_ascii_alphabetic();
        let before_word = bytes.get(run.end).is_some_and(u8::is_ascii_alphabetic);
        if !inside_word && !before_word {
            let digits: Vec<u8> = bytes[run.clone()].iter().copied().filter(u8::is_ascii_digit).collect();
            if (13..=19).contains(&digits.len()) && luhn(&digits) && digits.iter().any(|digit| *digit != b'0') {
                return Some(run);
            }
        }
        start = run.end;
    }
    None
}

/// The digits from `start` on, with single spaces or dashes between them.
fn digit_run(bytes: &[u8], start: usize) -> Range<usize> {
    let mut end = start;
    loop {
        while bytes.get(end).is_some_and(u8::is_ascii_digit) {
            end += 1;
        }
        let parted = matches!(bytes.get(end), Some(b' ' | b'-'));
        if !(parted && bytes.get(end + 1).is_some_and(u8::is_ascii_digit)) {
            return start..end;
        }
        end += 1;
    }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0');
            match place % 2 {
                1 if value > 4 => value * 2 - 9,
                1 => value * 2,
                _ => value,
            }
        })
        .sum();
    sum % 10 == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn card_numbers_are_found_and_other_digits_are_not() {
        for found in ["4111111111111111", "x 4111-1111 1111-1111.", "5500005555555559", "{\"n\":\"378282246310005\"}"] {
            assert!(find_card_number(found.as_bytes()).is_some(), "{found}");
        }
        for other in [
            "4111111111111112",
            "0000000000000000",
            "411111111111",
            "pr_4111111111111111x",
            "2026-11-25 12:00:00",
            "+374 91 123456",
            "",
        ] {
            assert!(find_card_number(other.as_bytes()).is_none(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic_and_planted_numbers_are_found(
            before in "[ -~]{0,20}", after in "[ -~]{0,20}",
        ) {
            find_card_number(before.as_bytes());
            let text = format!("{before} :4111111111111111: {after}");
            prop_assert!(find_card_number(text.as_bytes()).is_some());
        }
    }
}
