//! Where a subscriber may want its events, as whoever adds it learns at once, and the way there
//! through a proxy.

use harness::node::TestNode;
use harness::proxy::Proxy;
use harness::receiver::Receiver;
use harness::shop::Shop;
use serde_json::{Value, json};

/// The same table that the client is judged by.
const CORPUS: &str = include_str!("../../adapters/src/http_out/corpus.tsv");

fn unescaped(text: &str) -> String {
    let plain = text
        .replace(r"\t", "\t")
        .replace(r"\n", "\n")
        .replace(r"\r", "\r")
        .replace(r"\s", " ")
        .replace(r"\\", "\\");
    let mut parts = plain.split("\\u{");
    let mut whole = parts.next().unwrap().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('}').unwrap();
        let code = u32::from_str_radix(code, 16).unwrap();
        whole.push(char::from_u32(code).unwrap());
        whole.push_str(rest);
    }
    whole
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_whose_events_may_not_be_sent_there_is_refused_when_it_is_made() {
    let node = TestNode::start().await;
    let strict = CORPUS.split("\nallow\t").next().unwrap();
    let (mut refused, mut taken) = (0, 0);
    for line in strict.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let [verdict, url, ..] = cells[..] else {
            continue;
        };
        let body = json!({ "id": format!("crm-{}", refused + taken), "url": unescaped(url) });
        let key = format!("key-{}", refused + taken);
        let answer = node.post("admin", "/v1/subscribers", &key, &body).await;
        if verdict.starts_with("refuse") {
            let problem: Value = answer.expect(422).json();
            assert_eq!(problem["errors"][0]["pointer"], "/url", "{line}: {problem}");
            refused += 1;
        } else {
            answer.expect(201);
            taken += 1;
        }
    }
    println!("subscribers: {refused} URLs refused, {taken} taken");
    assert!(refused >= 200 && taken >= 40, "{refused}, {taken}");

    let moved = json!({ "url": "https://127.1/hook" });
    let token = format!("Bearer {}", node.token("admin"));
    let (path, key) = (format!("/v1/subscribers/crm-{refused}"), Some("moved"));
    let answer = node.call("PATCH", &path, Some(&token), key, Some(&moved));
    let problem = answer.await.expect(422).json();
    assert_eq!(problem["errors"][0]["pointer"], "/url");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_delivery_goes_through_the_proxy_when_there_is_one() {
    let (proxy, crm) = (Proxy::start().await, Receiver::start().await);
    let shop = Shop::open_with(|settings| {
        settings.delivery.allow_networks = vec!["127.0.0.0/8".to_owned()];
        settings.delivery.danger_allow_http = true;
        settings.delivery.proxy = proxy.url();
    })
    .await;
    let secret = shop.subscribe("crm", &crm).await;
    shop.pay("tea-1").await;
    shop.until_deliveries("state=delivered&subscriber=crm", 1)
        .await;
    assert!(crm.seen()[0].is_authentic(&secret));
    let receiver = crm.url();
    let receiver = receiver
        .trim_start_matches("http://")
        .trim_end_matches("/hook");
    assert_eq!(proxy.asked(), [receiver]);
}
