//! Events that are sent or fetched, checked by a library that others wrote: PyPI `standardwebhooks`.
//!
//! `COUNTERFOIL_TEST_PYTHON` names a Python that has it; `.ci/run` makes one. The slow tier fails
//! without it; in the fast one there is nobody to ask, and the test says so.

use std::process::Command;

use harness::delivery_world::DeliveryWorld;
use harness::puller::Puller;
use harness::receiver::Receiver;
use harness::shop::Shop;
use projections::views::delivery_queue::QueueState;
use serde_json::{Value, json};

/// Prints `ok` or `refused` per request.
const ASK: &str = r#"
import json, sys
from standardwebhooks.webhooks import Webhook
for request in json.load(open(sys.argv[1])):
    try:
        Webhook(request["secret"]).verify(request["body"], request["headers"])
        print("ok")
    except Exception:
        print("refused")
"#;

const NOBODY: &str = "COUNTERFOIL_TEST_PYTHON is not set: nobody to ask";

/// A Python that has the library; `None` where there is nobody to ask.
fn python() -> Option<String> {
    let python = std::env::var("COUNTERFOIL_TEST_PYTHON").ok();
    if python.is_none() {
        let slow = std::env::var_os("SLOW").is_some();
        assert!(
            !slow,
            "the slow tier needs COUNTERFOIL_TEST_PYTHON; CONTRIBUTING.md says how"
        );
    }
    python
}

/// The library's word on each request, in order.
fn asked(python: &str, requests: &[Value]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("requests.json");
    std::fs::write(&file, serde_json::to_vec(requests).unwrap()).unwrap();
    let asked = Command::new(python)
        .args(["-c", ASK])
        .arg(&file)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert_eq!(errors, "");
    let answers = String::from_utf8(asked.stdout).unwrap();
    answers.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_python_library_of_standard_webhooks_accepts_ours_and_refuses_altered_ones() {
    let Some(python) = python() else {
        println!("{NOBODY}");
        return;
    };
    let mut world = DeliveryWorld::start().await;
    let crm = Receiver::start().await;
    let secret = world.subscribe("crm", &crm.url()).await;
    world.pay('a').await;
    world.pay('b').await;
    let arrived = |rows: &[projections::views::delivery_queue::DeliveryRow]| {
        rows.len() == 2 && rows.iter().all(|row| row.state == QueueState::Delivered)
    };
    world.until("both delivered", arrived).await;

    let mut requests = vec![];
    for received in crm.seen() {
        let body = String::from_utf8(received.body.clone()).unwrap();
        let altered = body.replace("\"paid\"", "\"free\"");
        assert_ne!(body, altered);
        for (body, secret) in [
            (&body, secret.as_str()),
            (&altered, secret.as_str()),
            (&body, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ] {
            requests.push(json!({ "secret": secret, "headers": received.headers, "body": body }));
        }
    }
    let expected = ["ok", "refused", "refused", "ok", "refused", "refused"];
    assert_eq!(asked(&python, &requests), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_accepts_every_event_that_was_fetched_and_refuses_altered_ones() {
    let Some(python) = python() else {
        println!("{NOBODY}");
        return;
    };
    let shop = Shop::open().await;
    let (erp, secret) = Puller::of_new(&shop.node, "erp").await;
    for order in ["tea-1", "tea-2"] {
        let (_, reference) = shop.pay(order).await;
        shop.give_back(&reference).await;
    }
    shop.until_deliveries("subscriber=erp", 4).await;
    let page = erp.signed(&shop.node, "").await.expect(200).json();
    let (mut requests, mut expected) = (vec![], vec![]);
    for event in page["events"].as_array().unwrap() {
        let body = event["body"].as_str().unwrap();
        for (body, word) in [(body.to_owned(), "ok"), (format!("{body} "), "refused")] {
            let headers = &event["headers"];
            requests.push(json!({ "secret": secret, "headers": headers, "body": body }));
            expected.push(word);
        }
    }
    assert_eq!(expected.len(), 8);
    assert_eq!(asked(&python, &requests), expected);
    shop.node.stop().await;
}
