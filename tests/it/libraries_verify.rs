//! Events that are sent or fetched, checked by four libraries that others wrote: `standardwebhooks`
//! and `svix` of PyPI and of npm.

use api::app::context::Context;
use api::app::subscribers::NewKey;
use domain::ids::SubscriberId;
use harness::delivery_world::{DeliveryWorld, all, seconds, shop};
use harness::others::{ask_node, ask_python};
use harness::puller::Puller;
use harness::receiver::{Received, Receiver};
use harness::shop::Shop;
use projections::views::delivery_queue::QueueState;
use serde_json::{Value, json};

/// Prints what both libraries say of each request, and the signature that they would make.
const PYTHON: &str = r#"
import json, sys
from datetime import datetime, timezone
import standardwebhooks.webhooks, svix.webhooks
for library in (standardwebhooks.webhooks.Webhook, svix.webhooks.Webhook):
    for request in json.load(open(sys.argv[1])):
        if "sign" in request:
            at = datetime.fromtimestamp(request["at"], tz=timezone.utc)
            print(library(request["secret"]).sign(request["sign"], at, request["body"]))
            continue
        try:
            library(request["secret"]).verify(request["body"], request["headers"])
            print("ok")
        except Exception:
            print("refused")
"#;

const NODE: &str = r#"
const requests = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
for (const { Webhook } of [require("standardwebhooks"), require("svix")]) {
  for (const { secret, headers, body, sign, at } of requests) {
    if (sign) {
      console.log(new Webhook(secret).sign(sign, new Date(at * 1000), body));
      continue;
    }
    try {
      new Webhook(secret).verify(body, headers);
      console.log("ok");
    } catch {
      console.log("refused");
    }
  }
}
"#;

/// Another secret, of the published example.
const OTHER: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What was sent while the subscriber had a secret, then a key pair as well, then two secrets and a
/// key pair; and both secrets.
async fn sent() -> (Vec<Received>, String, String) {
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::start().await;
    let old = world.subscribe("crm", &crm.url()).await;
    let id = SubscriberId::parse("crm").unwrap();
    let (context, shop, day) = (Context::job("test"), shop(), seconds(86_400));
    world.pay('a').await;
    world.until("delivered", all(QueueState::Delivered)).await;
    let pair = world
        .app
        .add_signing_key(&shop, &id, &context, NewKey::V1a, day);
    pair.await.unwrap();
    world.pay('b').await;
    world.until("delivered", all(QueueState::Delivered)).await;
    let exchanged = world
        .app
        .add_signing_key(&shop, &id, &context, NewKey::V1, day);
    let (_, new) = exchanged.await.unwrap();
    world.pay('c').await;
    world.until("delivered", all(QueueState::Delivered)).await;
    (crm.seen(), old, new.unwrap())
}

/// Each question, and what must be answered.
fn questions(seen: &[Received], old: &str, new: &str) -> Vec<(Value, String)> {
    let mut questions = vec![];
    let mut ask = |secret: &str, headers: Value, body: &str, holds: bool| {
        let question = json!({ "secret": secret, "headers": headers, "body": body });
        let expected = if holds { "ok" } else { "refused" };
        questions.push((question, expected.to_owned()));
    };
    let body = |of: &Received| String::from_utf8(of.body.clone()).unwrap();
    for (place, request) in seen.iter().enumerate() {
        let signatures = request.header("webhook-signature").split(' ');
        let schemes: Vec<&str> = signatures
            .map(|one| one.split(',').next().unwrap())
            .collect();
        assert_eq!(
            schemes,
            [&["v1"][..], &["v1", "v1a"], &["v1", "v1", "v1a"]][place]
        );
        let (headers, body) = (json!(request.headers), body(request));
        ask(old, headers.clone(), &body, true);
        ask(new, headers.clone(), &body, place == 2);
        ask(OTHER, headers.clone(), &body, false);
        ask(old, headers, &body.replace("\"paid\"", "\"free\""), false);
    }
    let last = &seen[2];
    let good = last.header("webhook-signature").to_owned();
    let (headers, body) = (json!(last.headers), body(last));
    let with = |name: &str, value: String| {
        let mut headers = headers.clone();
        headers[name] = json!(value);
        headers
    };
    let at: i64 = last.header("webhook-timestamp").parse().unwrap();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut without = headers.clone();
        without.as_object_mut().unwrap().remove(name);
        ask(old, without, &body, false);
    }
    for time in ["hello".to_owned(), String::new(), (at - 301).to_string()] {
        ask(old, with("webhook-timestamp", time), &body, false);
    }
    for away in [-400, 400] {
        // Signed well, at the wrong time.
        let signer = domain::delivery::signature::Signer::parse(old.as_bytes()).unwrap();
        let id = last.header("webhook-id");
        let mut headers = with("webhook-timestamp", (at + away).to_string());
        headers["webhook-signature"] = json!(signer.sign(id, at + away, body.as_bytes()));
        ask(old, headers, &body, false);
    }
    let key_pair = good.split(' ').next_back().unwrap().to_owned();
    for (signatures, holds) in [
        ("v1,".to_owned(), false),
        (key_pair, false),
        (good.replace("v1,", "v2,"), false),
        (format!("v0,AAAA {good} v9,AAAA"), true),
        (format!("v1,AAAA {good}"), true),
    ] {
        ask(old, with("webhook-signature", signatures), &body, holds);
    }
    ask(
        old,
        with("webhook-id", "dlv_other".to_owned()),
        &body,
        false,
    );
    let mut spoiled = body.clone().into_bytes();
    *spoiled.last_mut().unwrap() = b']';
    ask(
        old,
        headers.clone(),
        &String::from_utf8(spoiled).unwrap(),
        false,
    );
    ask("", headers.clone(), &body, false);
    ask("whsec_", headers, &body, false);
    questions.push((
        json!({
            "secret": OTHER, "sign": "msg_p5jXN8AQM9LWM0D4loKWxJek", "at": 1_614_265_330,
            "body": r#"{"test": 2432232314}"#
        }),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned(),
    ));
    questions
}

/// Both libraries of each language answer so; gives how many answers that were.
fn everybody_answers(questions: &[Value], expected: &[String]) -> usize {
    let asked = json!(questions);
    let mut count = 0;
    for answers in [ask_python(PYTHON, &asked), ask_node(NODE, &asked)] {
        let Some(answers) = answers else {
            continue;
        };
        assert_eq!(answers.len(), 2 * expected.len());
        for (library, answers) in answers.chunks(expected.len()).enumerate() {
            for ((question, expected), answer) in questions.iter().zip(expected).zip(answers) {
                assert_eq!(answer, expected, "library {library}: {question:#}");
            }
        }
        count += answers.len();
    }
    count
}

#[tokio::test]
async fn four_libraries_of_others_accept_what_was_sent_and_refuse_what_is_altered() {
    let (seen, old, new) = sent().await;
    let (questions, expected): (Vec<_>, Vec<_>) = questions(&seen, &old, &new).into_iter().unzip();
    let answers = everybody_answers(&questions, &expected);
    println!("{answers} answers about what was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn they_accept_every_event_that_was_fetched_and_refuse_altered_ones() {
    let shop = Shop::open().await;
    let (erp, secret) = Puller::of_new(&shop.node, "erp").await;
    for order in ["tea-1", "tea-2"] {
        let (_, reference) = shop.pay(order).await;
        shop.give_back(&reference).await;
    }
    shop.until_deliveries("subscriber=erp", 4).await;
    let page = erp.signed(&shop.node, "").await.expect(200).json();
    let (mut questions, mut expected) = (vec![], vec![]);
    for event in page["events"].as_array().unwrap() {
        let body = event["body"].as_str().unwrap();
        for (body, word) in [(body.to_owned(), "ok"), (format!("{body} "), "refused")] {
            let headers = &event["headers"];
            questions.push(json!({ "secret": secret, "headers": headers, "body": body }));
            expected.push(word.to_owned());
        }
    }
    assert_eq!(expected.len(), 8);
    let answers = everybody_answers(&questions, &expected);
    println!("{answers} answers about what was fetched");
    shop.node.stop().await;
}
