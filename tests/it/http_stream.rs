//! The status stream: the first message is how things stand, each change is one more, and an end is
//! an end.

use std::time::Duration;

use domain::ids::ClientId;
use futures::StreamExt;
use futures::stream::BoxStream;
use harness::node::{Answer, TestNode};
use serde_json::{Value, json};

const REQUESTS: &str = "/v1/payment-requests";

/// An open stream, read message by message.
struct Open {
    bytes: BoxStream<'static, Vec<u8>>,
    rest: String,
}

/// One message: `id:` and the data.
type Message = (String, Value);

impl Open {
    /// Follows; an answer of another status than 200 comes back as it is.
    async fn try_follow(
        node: &TestNode,
        who: &str,
        id: &str,
        last: Option<&str>,
    ) -> Result<Self, Answer> {
        let request = node
            .http()
            .get(node.url(&format!("{REQUESTS}/{id}/stream")));
        let mut request = request.bearer_auth(node.token(who));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        if response.status() != 200 {
            return Err(Answer::of(response).await);
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let bytes = response
            .bytes_stream()
            .map(|piece| piece.unwrap().to_vec())
            .boxed();
        Ok(Self {
            bytes,
            rest: String::new(),
        })
    }

    async fn follow(node: &TestNode, who: &str, id: &str) -> Self {
        Self::try_follow(node, who, id, None)
            .await
            .unwrap_or_else(|answer| panic!("{}", answer.text))
    }

    /// The next message; `None` when the ledger ended the stream.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some((message, rest)) = self.rest.split_once("\n\n") {
                let (message, rest) = (message.to_owned(), rest.to_owned());
                self.rest = rest;
                if message.starts_with(':') {
                    continue;
                }
                let field = |name: &str| {
                    message
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .unwrap_or_else(|| panic!("{message}"))
                };
                assert_eq!(field("event: "), "status");
                return Some((
                    field("id: ").to_owned(),
                    serde_json::from_str(field("data: ")).unwrap(),
                ));
            }
            let piece = tokio::time::timeout(Duration::from_secs(5), self.bytes.next());
            let piece = piece.await.expect("a message within five seconds")?;
            self.rest.push_str(&String::from_utf8(piece).unwrap());
        }
    }

    /// True when nothing comes for this time.
    async fn quiet(&mut self, time: Duration) -> bool {
        self.rest.is_empty() && tokio::time::timeout(time, self.bytes.next()).await.is_err()
    }
}

async fn new_request(node: &TestNode, who: &str, order_id: &str) -> String {
    let items = json!([{ "item": "tea", "quantity": 1 }]);
    let order = json!({ "items": items, "order_id": order_id, "scenario": "telegram" });
    node.post(who, REQUESTS, order_id, &order)
        .await
        .expect(201)
        .text_of("id")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_message_is_how_things_stand_and_a_cancel_ends_the_stream() {
    let node = TestNode::start().await;
    let id = new_request(&node, "bot", "1").await;
    let path = format!("{REQUESTS}/{id}");
    let (mut bots, mut backends) = (
        Open::follow(&node, "bot", &id).await,
        Open::follow(&node, "backend", &id).await,
    );
    let (version, first) = bots.next().await.unwrap();
    assert_eq!(first, node.get("bot", &path).await.json());
    assert_eq!(json!(version.parse::<u64>().unwrap()), first["version"]);
    assert_eq!(first["status"], "pending");
    let full = backends.next().await.unwrap().1;
    assert_eq!(full, node.get("backend", &path).await.json());
    assert!(full.get("attempts").is_some() && first.get("attempts").is_none());

    node.post("backend", &format!("{path}/cancel"), "c", &json!({}))
        .await
        .expect(200);
    let (later, last) = bots.next().await.unwrap();
    assert_eq!(last["status"], "cancelled");
    assert!(later.parse::<u64>().unwrap() > version.parse::<u64>().unwrap());
    assert_eq!(bots.next().await, None);
    assert_eq!(backends.next().await.unwrap().1["status"], "cancelled");
    assert_eq!(backends.next().await, None);
    // Who comes later is told how it stands, once.
    let mut late = Open::follow(&node, "bot", &id).await;
    assert_eq!(late.next().await.unwrap().1["status"], "cancelled");
    assert_eq!(late.next().await, None);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_reconnect_only_an_equal_version_is_left_out() {
    let node = TestNode::start().await;
    let id = new_request(&node, "bot", "1").await;
    let (version, _) = Open::follow(&node, "bot", &id).await.next().await.unwrap();
    assert_eq!(version, "0");
    let mut equal = Open::try_follow(&node, "bot", &id, Some(&version))
        .await
        .unwrap_or_else(|a| panic!("{}", a.text));
    assert!(equal.quiet(Duration::from_millis(500)).await);
    for other in ["999", "1", "x", "-1"] {
        let other = Open::try_follow(&node, "bot", &id, Some(other)).await;
        let mut other = other.unwrap_or_else(|answer| panic!("{}", answer.text));
        assert_eq!(other.next().await.unwrap().0, version);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_four_streams_and_a_place_is_given_back() {
    let node = TestNode::start().await;
    let (id, second) = (
        new_request(&node, "bot", "1").await,
        new_request(&node, "bot", "2").await,
    );
    let mut open = vec![];
    for who in ["bot", "bot", "backend", "operator"] {
        let mut stream = Open::follow(&node, who, &id).await;
        stream.next().await.unwrap();
        open.push(stream);
    }
    for who in ["bot", "backend", "auditor"] {
        let refused = Open::try_follow(&node, who, &id, None).await.err().unwrap();
        assert_eq!(refused.code(), "rate_limited");
        assert_eq!(refused.header("retry-after"), "5");
    }
    Open::follow(&node, "bot", &second)
        .await
        .next()
        .await
        .unwrap();
    drop(open.pop());
    // The ledger learns of a lost connection when it next writes: here, at the next change.
    node.post(
        "bot",
        &format!("{REQUESTS}/{id}/notices"),
        "n",
        &json!({ "kind": "message", "text": "paid" }),
    )
    .await
    .expect(202);
    for stream in &mut open {
        stream.next().await.unwrap();
    }
    let again = async {
        while Open::try_follow(&node, "auditor", &id, None).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), again)
        .await
        .expect("the place is free again");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_hears_no_more() {
    let node = TestNode::start().await;
    let id = new_request(&node, "bot", "1").await;
    let mut stream = Open::follow(&node, "bot", &id).await;
    stream.next().await.unwrap();
    let revoke = api::admin::AdminCommand::ClientRevoke {
        id: ClientId::parse("bot").unwrap(),
        key_id: None,
    };
    node.admin(revoke).await;
    let ended = tokio::time::timeout(Duration::from_secs(2), stream.next()).await;
    assert_eq!(ended.expect("the stream ends by itself"), None);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_have_no_stream_of_it() {
    let node = TestNode::start().await;
    let id = new_request(&node, "bot", "1").await;
    for who in ["bot-2", "other-bot", "other-backend", "other-auditor"] {
        let refused = Open::try_follow(&node, who, &id, None).await.err().unwrap();
        assert_eq!(refused.code(), "not_found", "{who}");
    }
    node.stop().await;
}
