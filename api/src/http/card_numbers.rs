//! Looks for card numbers in a command before anything else is done with it, so that none is kept,
//! logged or said again: not in a text, not in a number, not in the name of a field.

use domain::pan::{holds_card_number, is_card_number};
use serde_json::{Map, Value};

use super::problem::{self, FieldProblem, Problem};

/// Fields that may look like one and are never kept as a text: the digits of an amount are counted,
/// and a password or a ticket is only compared, so whoever has such a one can still use it.
const NEVER_KEPT: [&str; 4] = ["minor", "password", "ticket", "total_amount"];

/// Numbers of the shop's or a provider's own, which are long digits for a good reason: only what is a
/// card number and nothing else is refused there.
const REFERENCES: [&str; 4] = [
    "order_id",
    "correlation_id",
    "telegram_payment_charge_id",
    "provider_payment_charge_id",
];

/// Refuses a command with something in it that looks like a card number.
///
/// # Errors
/// [`Problem`] `card_number`, with the place of each and never the number itself.
pub(super) fn refuse(members: &Map<String, Value>) -> Result<(), Problem> {
    let mut found = vec![];
    look_into(members, "", &mut found);
    if found.is_empty() {
        return Ok(());
    }
    let problem = |pointer| FieldProblem {
        pointer,
        detail: "holds something that looks like a card number".to_owned(),
    };
    let errors = found.into_iter().map(problem).collect();
    Err(Problem::new(&problem::CARD_NUMBER).errors(errors))
}

fn look_into(members: &Map<String, Value>, at: &str, found: &mut Vec<String>) {
    for (name, value) in members {
        // A name that holds one is no part of a pointer.
        if is_card(name) {
            found.push(at.to_owned());
        } else if !NEVER_KEPT.contains(&name.as_str()) || value.is_object() || value.is_array() {
            let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            match value {
                Value::String(reference) if REFERENCES.contains(&name.as_str()) => {
                    if is_card_number(reference) {
                        found.push(place);
                    }
                }
                other => look_at(other, &place, found),
            }
        }
    }
}

fn look_at(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => {
            if is_card(&number.to_string()) {
                found.push(at.to_owned());
            }
        }
        Value::String(text) => {
            if is_card(text) {
                found.push(at.to_owned());
            }
        }
        Value::Array(values) => {
            for (place, value) in values.iter().enumerate() {
                look_at(value, &format!("{at}/{place}"), found);
            }
        }
        Value::Object(members) => look_into(members, at, found),
    }
}

fn is_card(text: &str) -> bool {
    holds_card_number(text.as_bytes(), &[])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CARD: &str = "4111 1111 1111 1111";

    fn pointers(body: &Value) -> Vec<String> {
        match refuse(body.as_object().unwrap()) {
            Ok(()) => vec![],
            Err(problem) => {
                assert_eq!(problem.code, &problem::CARD_NUMBER);
                assert!(!format!("{problem:?}").contains("1111"));
                problem.errors.into_iter().map(|e| e.pointer).collect()
            }
        }
    }

    #[test]
    fn a_card_number_is_found_wherever_it_stands() {
        for (body, pointer) in [
            (json!({ "order_id": "4111111111111111" }), "/order_id"),
            (
                json!({ "text": format!("my card is {CARD}, thanks") }),
                "/text",
            ),
            (
                json!({ "url": "https://a.example/?c=4111%201111%201111%201111" }),
                "/url",
            ),
            (
                json!({ "text": format!("{{\"card\":\"{CARD}\"}}") }),
                "/text",
            ),
            (
                json!({ "items": [{ "code": "tea" }, { "code": "4111-1111-1111-1111" }] }),
                "/items/1/code",
            ),
            (
                json!({ "attempt_no": 4_111_111_111_111_111_u64 }),
                "/attempt_no",
            ),
            (
                json!({ "amount": { "minor": { "minor": [CARD] } } }),
                "/amount/minor/minor/0",
            ),
            (
                json!({ "amount": { "currency": CARD } }),
                "/amount/currency",
            ),
            (json!({ "4111111111111111": 1 }), ""),
            (json!({ "a/b": { "4111111111111111": 1 } }), "/a~1b"),
        ] {
            assert_eq!(pointers(&body), [pointer], "{body}");
        }
        let both = json!({ "order_id": "4111111111111111", "customer_ref": CARD });
        assert_eq!(pointers(&both).len(), 2, "all at once");
    }

    #[test]
    fn amounts_passwords_and_numbers_of_other_things_pass() {
        let body = json!({
            "order_id": "4111111111111112", "customer_ref": "01a21246-f739-77b5-895c-c9443f76592e",
            "amount": { "minor": "4111111111111111", "currency": "IDR" }, "expires_in_s": 3600,
            "correlation_id": "order-01-01-0000000008",
            "text": "order 20261125103000 of 1795603014297, paid at 10:36",
        });
        assert_eq!(pointers(&body), Vec::<String>::new());
        let password = json!({ "operator": "op-1", "password": format!("never do this: {CARD}") });
        assert_eq!(pointers(&password), Vec::<String>::new());
        let number = json!({ "amount": { "minor": 4_111_111_111_111_111_u64, "currency": "IDR" } });
        assert_eq!(pointers(&number), Vec::<String>::new());
    }
}
