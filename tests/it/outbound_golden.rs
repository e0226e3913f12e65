//! The pinned body of every outbound event, judged by validators that others wrote: against the
//! schema that we publish (PyPI `jsonschema`), against the schema of CloudEvents 1.0, which the
//! project's own SDK carries (npm `cloudevents`), and the AsyncAPI document by its parser (npm
//! `@asyncapi/parser`).

use std::collections::BTreeSet;

use domain::outbound::{EventName, schema};
use harness::others::{ask_node, ask_python};
use serde_json::{Value, json};

/// The bytes that receivers know; `domain` renders them again in its own tests.
const GOLDEN: &str = include_str!("../../domain/src/outbound_golden.jsonl");
const ASYNCAPI: &str = include_str!("../../docs/reference/asyncapi.json");

/// `ok` or `refused` of each pair; first each schema is judged itself.
const PYTHON: &str = r#"
import json, sys
from jsonschema import Draft202012Validator
for schema, body in json.load(open(sys.argv[1])):
    Draft202012Validator.check_schema(schema)
    judge = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    print("ok" if judge.is_valid(body) else "refused")
"#;

/// The schema of the specification, and the SDK's own rules, such as those for names of attributes.
const CLOUD_EVENTS: &str = r#"
const { CloudEvent } = require("cloudevents");
const fits = require("cloudevents/dist/schema/v1.js");
for (const body of JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"))) {
  try {
    new CloudEvent(body, true).validate();
    console.log(fits(body) ? "ok" : "refused");
  } catch {
    console.log("refused");
  }
}
"#;

/// For each document the number of its errors and warnings, and what they are.
const ASYNC_API: &str = r#"
const { Parser } = require("@asyncapi/parser");
(async () => {
  for (const document of JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"))) {
    const found = await new Parser().validate(JSON.stringify(document));
    const grave = found.filter((one) => one.severity < 2);
    console.log(grave.length, JSON.stringify(grave.map((one) => `${one.path}: ${one.message}`)));
  }
})();
"#;

fn bodies() -> Vec<(EventName, Value)> {
    let body = |line: &str| {
        let body: Value = serde_json::from_str(line).unwrap();
        let of = |name: &EventName| body["type"] == name.ce_type();
        let name = EventName::ALL.iter().copied().find(of).unwrap();
        (name, body)
    };
    let bodies: Vec<_> = GOLDEN.lines().map(body).collect();
    let names: BTreeSet<EventName> = bodies.iter().map(|(name, _)| *name).collect();
    assert!(
        names.iter().eq(EventName::ALL),
        "every event has a pinned body"
    );
    bodies
}

/// The body without one member, or with another value there.
fn spoiled(body: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut body = body.clone();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(member.to_owned(), value),
        None => parent.remove(member),
    };
    body
}

/// Pointers to the members that a schema demands, as far as the body has them.
fn demanded(schema: &Value, body: &Value, at: &str, into: &mut Vec<String>) {
    let required = schema["required"].as_array().into_iter().flatten();
    into.extend(required.map(|member| format!("{at}/{}", member.as_str().unwrap())));
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        if body[name].is_object() {
            demanded(inner, &body[name], &format!("{at}/{name}"), into);
        }
    }
}

#[test]
fn every_pinned_body_fits_its_published_schema_and_a_spoiled_one_does_not() {
    let (mut pairs, mut expected) = (vec![], vec![]);
    for (name, body) in bodies() {
        let schema = schema::schema(name);
        let mut ask = |body: Value, fits: bool| {
            pairs.push(json!([schema, body]));
            expected.push(if fits { "ok" } else { "refused" });
        };
        ask(body.clone(), true);
        ask(spoiled(&body, "/data/later_member", Some(json!(1))), true);
        let mut members = vec![];
        demanded(&schema, &body, "", &mut members);
        assert!(members.len() > 12, "{name}");
        for member in members {
            ask(spoiled(&body, &member, None), false);
            // No member may be a list of numbers.
            ask(spoiled(&body, &member, Some(json!([0.5]))), false);
        }
        for (member, wrong) in [
            ("/specversion", json!("0.3")),
            ("/type", json!("counterfoil.payment.verified.v9")),
            ("/sequence", json!("3")),
            ("/id", json!("7")),
            ("/data/log/leaf_hash", json!("abc")),
        ] {
            ask(spoiled(&body, member, Some(wrong)), false);
        }
        if name == EventName::PaymentVerified {
            for (member, wrong) in [
                ("/data/status", json!("pending")),
                ("/data/amount/minor", json!(150_000)),
                ("/data/amount/minor", json!("1500.00")),
                ("/data/amount/currency", json!("amd")),
                ("/data/amount/exponent", json!(9)),
                ("/data/verification/method", json!("screenshot")),
            ] {
                ask(spoiled(&body, member, Some(wrong)), false);
            }
        }
    }
    if let Some(answers) = ask_python(PYTHON, &json!(pairs)) {
        for ((pair, expected), answer) in pairs.iter().zip(&expected).zip(&answers) {
            assert_eq!(answer, expected, "{:#}", pair[1]);
        }
        println!("{} bodies judged by their schema", answers.len());
        assert_eq!(answers.len(), expected.len());
    }
}

#[test]
fn every_pinned_body_is_a_cloud_event_and_a_spoiled_one_is_none() {
    let (mut asked, mut expected) = (vec![], vec![]);
    for (_, body) in bodies() {
        let mut ask = |body: Value, is_one: bool| {
            asked.push(body);
            expected.push(if is_one { "ok" } else { "refused" });
        };
        ask(body.clone(), true);
        for (member, wrong) in [
            ("/source", json!("")),
            ("/source", json!("not a reference")),
            ("/type", json!("")),
            ("/id", json!("")),
            ("/time", json!("yesterday")),
            ("/subject", json!("")),
            ("/specversion", json!("")),
            ("/datacontenttype", json!(7)),
            ("/Big_Name", json!("x")),
            ("/an-extension", json!("x")),
        ] {
            ask(spoiled(&body, member, Some(wrong)), false);
        }
        for member in ["/id", "/source", "/specversion", "/type"] {
            ask(spoiled(&body, member, None), false);
        }
    }
    if let Some(answers) = ask_node(CLOUD_EVENTS, &json!(asked)) {
        for ((body, expected), answer) in asked.iter().zip(&expected).zip(&answers) {
            assert_eq!(answer, expected, "{body:#}");
        }
        println!("{} bodies judged as CloudEvents", answers.len());
        assert_eq!(answers.len(), expected.len());
    }
}

#[test]
fn the_asyncapi_document_is_one_and_a_spoiled_one_is_not() {
    let good: Value = serde_json::from_str(ASYNCAPI).unwrap();
    let spoil = |pointer, value| spoiled(&good, pointer, Some(value));
    let documents = [
        good.clone(),
        spoil("/info/title", json!(7)),
        spoil("/operations/deliver/action", json!("shout")),
        spoil(
            "/operations/deliver/channel",
            json!({ "$ref": "#/channels/nowhere" }),
        ),
        spoil(
            "/components/schemas/payment_verified",
            json!({ "type": "thing" }),
        ),
    ];
    if let Some(answers) = ask_node(ASYNC_API, &json!(documents)) {
        assert_eq!(answers.len(), documents.len());
        assert_eq!(answers[0], "0 []");
        for answer in &answers[1..] {
            assert!(!answer.starts_with("0 "), "{answer}");
        }
    }
}
