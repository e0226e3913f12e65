//! A machine that fetches the events of the one subscriber that it is bound to, over HTTP.

use std::time::Duration;

use api::admin::AdminCommand;
use domain::access::role::Role;
use domain::ids::{ClientId, MerchantId, SubscriberId};
use domain::payment::evidence::Mode;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::node::{Answer, TestNode};

/// Such a machine. It keeps nothing of what it fetched.
pub struct Puller {
    token: String,
    subscriber: String,
}

impl Puller {
    /// A new subscriber of the merchant `shop` to which nothing is sent, and its machine
    /// `<subscriber>-box`; gives the signing secret as well.
    pub async fn of_new(node: &TestNode, subscriber: &str) -> (Self, String) {
        let body = json!({ "id": subscriber, "delivery": "pull" });
        let key = format!("add-{subscriber}");
        let added = node.post("admin", "/v1/subscribers", &key, &body).await;
        let secret = added.expect(201).text_of("signing_secret");
        let client = format!("{subscriber}-box");
        (Self::bound_to(node, &client, subscriber).await, secret)
    }

    /// A new client of the merchant `shop`.
    pub async fn bound_to(node: &TestNode, client: &str, subscriber: &str) -> Self {
        Self {
            token: receiver(node, client, "shop", subscriber).await,
            subscriber: subscriber.to_owned(),
        }
    }

    /// The same machine, looking for the events of another.
    pub fn looking_at(&self, subscriber: &str) -> Self {
        Self {
            token: self.token.clone(),
            subscriber: subscriber.to_owned(),
        }
    }

    /// A page as it comes unasked: a batch.
    pub async fn pull(&self, node: &TestNode, query: &str) -> Answer {
        let path = format!("/v1/subscribers/{}/events?{query}", self.subscriber);
        self.follow(node, &path).await
    }

    /// The page behind a path, such as that of a link.
    pub async fn follow(&self, node: &TestNode, path: &str) -> Answer {
        send(self.get(node, path)).await
    }

    /// A page with the signature of each event.
    pub async fn signed(&self, node: &TestNode, query: &str) -> Answer {
        let path = format!("/v1/subscribers/{}/events?{query}", self.subscriber);
        send(self.get(node, &path).header("accept", "application/json")).await
    }

    /// Says that it has everything up to there.
    pub async fn acknowledge(&self, node: &TestNode, cursor: &str) -> Answer {
        let path = format!("/v1/subscribers/{}/ack", self.subscriber);
        let request = node.http().post(node.url(&path)).bearer_auth(&self.token);
        let body = json!({ "cursor": cursor }).to_string();
        send(
            request
                .header("content-type", "application/json")
                .body(body),
        )
        .await
    }

    fn get(&self, node: &TestNode, path: &str) -> RequestBuilder {
        node.http().get(node.url(path)).bearer_auth(&self.token)
    }
}

async fn send(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

/// Makes a client that fetches the events of this subscriber; gives its token.
pub async fn receiver(node: &TestNode, client: &str, merchant: &str, subscriber: &str) -> String {
    let command = AdminCommand::ClientCreate {
        id: ClientId::parse(client).unwrap(),
        merchant: MerchantId::parse(merchant).unwrap(),
        role: Role::Receiver,
        scenarios: [].into(),
        subscriber: Some(SubscriberId::parse(subscriber).unwrap()),
        mode: Mode::Test,
        token_days: 30,
    };
    let shown: Value = node.admin(command).await;
    let token = shown["token"].as_str().unwrap().to_owned();
    // A new client is known within a second.
    let bearer = format!("Bearer {token}");
    let path = format!("/v1/subscribers/{subscriber}/events?limit=1");
    for _ in 0..200 {
        let known = node.call("GET", &path, Some(&bearer), None, None).await;
        if known.status != 401 {
            return token;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{client} is never known");
}

/// The target of the link to the next page; empty where there is none.
pub fn next_page(answer: &Answer) -> String {
    let link = answer.header("link").strip_suffix(">; rel=\"next\"");
    let target = link.and_then(|link| link.strip_prefix('<'));
    target.unwrap_or_default().to_owned()
}
