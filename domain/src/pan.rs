//! Finds what looks like a card number, so that none is ever kept: 13 to 19 digits that pass the
//! Luhn check (ISO/IEC 7812-1), alone or in groups parted by single spaces or dashes.
//!
//! It is stricter than that sentence in two ways, because a false alarm costs the raw bytes of a
//! notification: times written as digits are no card numbers, and neither is what touches a letter
//! (`TXN4000000000000002`) or stands in a UUID. The evidence store asks before it seals, and the API
//! asks of every text that a caller writes.

use std::ops::Range;

use serde_json::Value;

/// Fewest digits of a card number.
const DIGITS_MIN: usize = 13;
/// Most digits of a card number.
const DIGITS_MAX: usize = 19;

/// Where the first one stands in `bytes`, read as they are.
pub fn find_card_number(bytes: &[u8]) -> Option<Range<usize>> {
    // Groups of digits that are linked by single separators up to the current one.
    let mut chain: Vec<Range<usize>> = vec![];
    let mut at = 0;
    while at < bytes.len() {
        if let Some(end) = uuid_at(bytes, at) {
            chain.clear();
            at = end;
        } else if bytes[at].is_ascii_digit() {
            let group = at..digits_end(bytes, at);
            at = group.end;
            let linked = chain
                .last()
                .is_some_and(|last| separates(bytes, last.end, group.start));
            if !linked || touches_a_letter(bytes, &group) {
                chain.clear();
            }
            if !touches_a_letter(bytes, &group) {
                chain.push(group);
                if let Some(found) = card_at_the_end_of(bytes, &chain) {
                    return Some(found);
                }
            }
        } else {
            at += 1;
        }
    }
    None
}

/// True when a business reference (an order number) is a card number and nothing else: all of it is
/// digits, in groups parted by dashes at most, and it starts like a card of a payment network (ISO/IEC
/// 7812-1 issuer numbers 3 to 6, and 2221 to 2720). One order number in ten of so many digits passes
/// the Luhn check alone, and a shop cannot choose other numbers.
pub fn is_card_number(reference: &str) -> bool {
    let only_digits = reference.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let digits: Vec<u8> = reference.bytes().filter(u8::is_ascii_digit).collect();
    let issuer = digits
        .iter()
        .take(4)
        .fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    only_digits
        && (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len())
        && (matches!(issuer, 2221..=2720) || (3000..7000).contains(&issuer))
        && luhn(&digits)
}

/// True when `bytes` hold a card number in any of the ways that a message hides one: as they are,
/// inside the strings and numbers of JSON, or encoded as a form.
///
/// `known` are values that are long digits for a good reason (a provider's transaction id, an
/// order number): where one of them stands as a whole, it is no card number.
pub fn holds_card_number(bytes: &[u8], known: &[&str]) -> bool {
    if find_card_number(&without(bytes, known)).is_some() {
        return true;
    }
    if let Ok(value) = serde_json::from_slice::<Value>(bytes)
        && in_json(&value, known)
    {
        return true;
    }
    let encoded = bytes.iter().any(|byte| matches!(byte, b'%' | b'+'));
    encoded && find_card_number(&without(&form_decoded(bytes), known)).is_some()
}

fn in_json(value: &Value, known: &[&str]) -> bool {
    let in_text = |text: &str| find_card_number(&without(text.as_bytes(), known)).is_some();
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(number) => in_text(&number.to_string()),
        Value::String(text) => in_text(text),
        Value::Array(values) => values.iter().any(|value| in_json(value, known)),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| in_text(name) || in_json(value, known)),
    }
}

/// The bytes with every whole occurrence of a known value made unreadable. Values that are too
/// short to be taken for a card number stay, so that none can break a real one apart.
fn without(bytes: &[u8], known: &[&str]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for value in known.iter().map(|value| value.as_bytes()) {
        if value.iter().filter(|byte| byte.is_ascii_digit()).count() < DIGITS_MIN {
            continue;
        }
        let mut at = 0;
        while at + value.len() <= bytes.len() {
            let end = at + value.len();
            let before = at.checked_sub(1).and_then(|at| bytes.get(at));
            let cut = before.is_some_and(u8::is_ascii_digit)
                || bytes.get(end).is_some_and(u8::is_ascii_digit);
            if bytes[at..end] == *value && !cut {
                bytes[at..end].fill(b'.');
            }
            at += 1;
        }
    }
    bytes
}

fn digits_end(bytes: &[u8], start: usize) -> usize {
    let rest = bytes[start..]
        .iter()
        .position(|byte| !byte.is_ascii_digit());
    rest.map_or(bytes.len(), |length| start + length)
}

fn separates(bytes: &[u8], from: usize, to: usize) -> bool {
    to == from + 1 && matches!(bytes[from], b' ' | b'-')
}

/// A letter of an escape sequence (`\n4000...`) belongs to the text's form and is none.
fn touches_a_letter(bytes: &[u8], group: &Range<usize>) -> bool {
    let before = |back: usize| group.start.checked_sub(back).map(|at| bytes[at]);
    let escape = before(2) == Some(b'\\') && before(1).is_some_and(|b| b"bfnrt".contains(&b));
    let letter = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphabetic());
    (letter(before(1)) && !escape) || letter(bytes.get(group.end).copied())
}

/// A card number out of the last groups of the chain. Groups before it may be anything: people
/// write the order's number in front of the card's, and its expiry behind.
fn card_at_the_end_of(bytes: &[u8], chain: &[Range<usize>]) -> Option<Range<usize>> {
    let mut digits = 0;
    for (first, group) in chain.iter().enumerate().rev() {
        digits += group.len();
        if digits > DIGITS_MAX {
            return None;
        }
        if digits >= DIGITS_MIN {
            let number: Vec<u8> = chain[first..]
                .iter()
                .flat_map(|group| bytes[group.clone()].to_vec())
                .collect();
            let solid = first + 1 == chain.len();
            if number[0] != b'0' && luhn(&number) && !(solid && is_time(&number)) {
                return Some(group.start..chain[chain.len() - 1].end);
            }
        }
    }
    None
}

/// Milliseconds, microseconds or nanoseconds since 1970 between the years 2001 and 2033, or a date
/// and time of this century without signs. No card number has these lengths and beginnings.
fn is_time(digits: &[u8]) -> bool {
    let number = |range: Range<usize>| {
        digits[range]
            .iter()
            .fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'))
    };
    match digits.len() {
        13 | 16 | 19 => digits[0] == b'1',
        14 | 17 => {
            digits.starts_with(b"20")
                && (1..=12).contains(&number(4..6))
                && (1..=31).contains(&number(6..8))
                && number(8..10) < 24
                && number(10..12) < 60
                && number(12..14) <= 60
        }
        _ => false,
    }
}

/// The end of a UUID that starts here and does not go on.
fn uuid_at(bytes: &[u8], start: usize) -> Option<usize> {
    let end = start + 36;
    let text = bytes.get(start..end)?;
    let in_form = text.iter().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    let before = start.checked_sub(1).and_then(|at| bytes.get(at));
    let joined = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    (in_form && !joined(before) && !joined(bytes.get(end))).then_some(end)
}

fn form_decoded(bytes: &[u8]) -> Vec<u8> {
    let nibble = |at: usize| {
        bytes
            .get(at)
            .and_then(|byte| char::from(*byte).to_digit(16))
    };
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = match (bytes[at], nibble(at + 1), nibble(at + 2)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        decoded.push(match (escaped, bytes[at]) {
            (Some(byte), _) => byte,
            (None, b'+') => b' ',
            (None, byte) => byte,
        });
        at += if escaped.is_some() { 3 } else { 1 };
    }
    decoded
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
    sum.is_multiple_of(10)
}

#[cfg(test)]
#[path = "pan_tests.rs"]
mod tests;
