//! JSON as commands are read: no duplicate names, no floats, not deeper than twelve levels.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Number, Value};

/// Deepest nesting of a command's body.
pub const DEPTH_MAX: u8 = 12;

/// Reads one strict JSON value.
///
/// # Errors
/// Where it cannot be read and which rule it breaks, in words that repeat nothing of the input: a
/// text of the parser would.
pub fn parse(bytes: &[u8]) -> Result<Value, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        let rule = match error.classify() {
            Category::Data => "a fraction, a number too large, a name twice or too deep a nesting",
            Category::Syntax | Category::Eof | Category::Io => "no JSON",
        };
        format!("line {}, column {}: {rule}", error.line(), error.column())
    })
}

struct Strict {
    depth: u8,
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > DEPTH_MAX {
            Err(E::custom("too deep"))
        } else {
            Ok(Self { depth })
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without floats")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Number(Number::from(v)))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Number(Number::from(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = vec![];
        while let Some(item) = seq.next_element_seed(self.deeper()?)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(self.deeper()?)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate name"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_strictly() {
        assert_eq!(
            parse(br#"{"a":[1,"x",null,true,{"b":-5}]}"#).unwrap()["a"][4]["b"],
            -5
        );
        let deep = format!("{}1{}", "[".repeat(13), "]".repeat(13));
        let endless = "[".repeat(100_000);
        for bad in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e3}"#,
            r#"{"a":18446744073709551616}"#,
            "{} {}",
            "",
            "{",
            &deep,
            &endless,
        ] {
            assert!(
                parse(bad.as_bytes()).is_err(),
                "{}",
                &bad[..bad.len().min(40)]
            );
        }
        assert!(parse(b"\xff").is_err());
    }

    #[test]
    fn a_mistake_is_told_by_place_and_rule_and_never_repeated() {
        for (bad, told) in [
            ("{\n \"secret\": tru}", "line 2, column 15: no JSON"),
            (
                "{\"a\": 4.25}",
                "line 1, column 10: a fraction, a number too large, a name twice or too deep a nesting",
            ),
            ("{\"a\":1}x", "line 1, column 8: no JSON"),
        ] {
            assert_eq!(parse(bad.as_bytes()).unwrap_err(), told, "{bad}");
        }
    }
}
