//! Reads the fields of a command and collects every problem at once. Unknown fields are refused
//! with the nearest known name, and a command that holds a card number is not read at all.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::card_numbers;
use super::problem::{self, FieldProblem, Problem};

/// The fields of one JSON object.
pub struct Fields<'p> {
    members: Map<String, Value>,
    prefix: String,
    known: Vec<&'static str>,
    problems: &'p mut Vec<FieldProblem>,
}

/// Parses a body with `read`; answers 422 with every field problem.
///
/// # Errors
/// [`Problem`] `malformed` when the body is no object, `card_number` when something in it looks
/// like one, `invalid` with the list otherwise.
pub fn read<T>(body: Value, read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Result<T, Problem> {
    let Value::Object(members) = body else {
        return Err(Problem::new(&problem::MALFORMED).detail("the body is not one JSON object"));
    };
    card_numbers::refuse(&members)?;
    let mut problems = vec![];
    let value = {
        let mut fields = Fields {
            members,
            prefix: String::new(),
            known: vec![],
            problems: &mut problems,
        };
        let value = read(&mut fields);
        fields.refuse_unknown();
        value
    };
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        _ => Err(Problem::new(&problem::INVALID).errors(problems)),
    }
}

impl Fields<'_> {
    /// A field that may be absent or null.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        self.known.push(name);
        match self.members.remove(name) {
            None | Some(Value::Null) => None,
            Some(value) => match serde_json::from_value(value) {
                Ok(value) => Some(value),
                Err(error) => {
                    self.complain(name, &sentence(&error));
                    None
                }
            },
        }
    }

    /// A field that must be there.
    pub fn required<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        let absent = matches!(self.members.get(name), None | Some(Value::Null));
        if absent {
            self.known.push(name);
            self.members.remove(name);
            self.complain(name, "is needed");
            return None;
        }
        self.optional(name)
    }

    /// True when the field is there. It still has to be read.
    pub fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// A problem with a field.
    pub fn complain(&mut self, name: &str, detail: &str) {
        let pointer = format!(
            "{}/{}",
            self.prefix,
            name.replace('~', "~0").replace('/', "~1")
        );
        self.problems.push(FieldProblem {
            pointer,
            detail: detail.to_owned(),
        });
    }

    /// A whole number within a range.
    pub fn within(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Option<u32> {
        let value: u32 = self.optional(name)?;
        if range.contains(&value) {
            return Some(value);
        }
        self.complain(
            name,
            &format!("must be from {} to {}", range.start(), range.end()),
        );
        None
    }

    fn refuse_unknown(&mut self) {
        let unknown: Vec<String> = self.members.keys().cloned().collect();
        for name in unknown {
            let near = self.known.iter().min_by_key(|known| distance(known, &name));
            let near = near.filter(|known| distance(known, &name) <= 3);
            let hint = near.map_or(String::new(), |known| format!("; did you mean {known}?"));
            let shown: String = name
                .chars()
                .filter(char::is_ascii_graphic)
                .take(40)
                .collect();
            self.complain(&shown, &format!("is not a field of this command{hint}"));
        }
    }
}

/// The parser's sentence without its position. Its texts speak of rules, and those of the
/// domain's own types never repeat the input.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text
        .split_once("invalid type: ")
        .or_else(|| text.split_once("invalid value: "))
    {
        Some((_, rest)) => match rest.split_once("expected ") {
            Some((_, expected)) => format!("must be {expected}"),
            None => "has the wrong type".to_owned(),
        },
        None if text.starts_with("unknown variant") => match text.split_once("expected ") {
            Some((_, expected)) => format!("must be {expected}"),
            None => "has an unknown value".to_owned(),
        },
        None if text.starts_with("unknown field") => {
            "has a member that it must not have".to_owned()
        }
        None => text,
    }
}

/// Edits between two names.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(60).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            let change = before + usize::from(x != *y);
            row[j + 1] = change.min(above + 1).min(row[j] + 1);
            before = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use domain::ids::OrderId;
    use domain::money::Money;
    use serde_json::json;

    use super::*;

    fn parse(body: Value) -> Result<(OrderId, Money), Problem> {
        read(body, |fields| {
            let order = fields.required("order_id");
            let amount = fields.required("amount");
            fields.within("expires_in_s", 1..=10);
            Some((order?, amount?))
        })
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let body =
            json!({"order": "1", "amount": {"minor": 1.5, "currency": "AMD"}, "expires_in_s": 11});
        let problem = parse(body).unwrap_err();
        let found: Vec<_> = problem
            .errors
            .iter()
            .map(|e| (e.pointer.as_str(), e.detail.as_str()))
            .collect();
        assert_eq!(found[0], ("/order_id", "is needed"));
        assert_eq!(found[1].0, "/amount");
        assert_eq!(found[2], ("/expires_in_s", "must be from 1 to 10"));
        assert_eq!(
            found[3],
            (
                "/order",
                "is not a field of this command; did you mean order_id?"
            )
        );
    }

    #[test]
    fn good_bodies_pass_and_the_input_is_never_repeated() {
        assert!(
            parse(json!({"order_id": "1", "amount": {"minor": "5", "currency": "AMD"}})).is_ok()
        );
        let secret = "4111111111111112@x";
        let problem =
            parse(json!({"order_id": secret, "amount": {"minor": secret, "currency": secret}}));
        assert!(!format!("{:?}", problem.unwrap_err()).contains(secret));
        assert!(parse(json!([])).is_err());
    }

    #[test]
    fn the_distance_counts_edits() {
        for (a, b, edits) in [
            ("order", "order_id", 3),
            ("amout", "amount", 1),
            ("", "abc", 3),
            ("a", "a", 0),
        ] {
            assert_eq!(distance(a, b), edits);
        }
    }
}
