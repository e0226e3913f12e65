//! What subscribers of a [`Shop`] hear, and what its operators do about those who hear nothing.

use serde_json::{Value, json};

use crate::node::Answer;
use crate::receiver::Receiver;
use crate::shop::Shop;

impl Shop {
    /// A ledger whose subscribers may listen on this machine.
    pub async fn open_to_receivers() -> Self {
        Self::open_with(|settings| {
            settings.delivery.allow_networks = vec!["127.0.0.0/8".to_owned()];
            settings.delivery.danger_allow_http = true;
        })
        .await
    }

    /// A subscriber; gives its signing secret.
    pub async fn subscribe(&self, name: &str, receiver: &Receiver) -> String {
        let body = json!({ "id": name, "url": receiver.url() });
        let key = format!("subscribe-{name}");
        let added = self
            .node
            .post("admin", "/v1/subscribers", &key, &body)
            .await;
        added.expect(201).text_of("signing_secret")
    }

    /// An order that is asked for and paid: the request's id and our reference.
    pub async fn pay(&self, order: &str) -> (String, String) {
        let (id, our_reference) = self.waiting_for_payer(order).await;
        self.tell(&self.statement("captured", &our_reference)).await;
        self.paid(&id).await;
        (id, our_reference)
    }

    /// The money of a paid order goes back.
    pub async fn give_back(&self, our_reference: &str) {
        let reversal = json!({ "reversal": format!("rv_{our_reference}") });
        self.tell(&self.statement_with("voided", our_reference, reversal))
            .await;
    }

    /// Deliveries of this filter (`state=delivered&subscriber=crm`), newest first.
    pub async fn deliveries(&self, filter: &str) -> Vec<Value> {
        let path = format!("/v1/deliveries?limit=500&{filter}");
        let shown = self.node.get("operator", &path).await.expect(200).json();
        shown["deliveries"].as_array().unwrap().clone()
    }

    /// Waits until this many deliveries are of this filter.
    pub async fn until_deliveries(&self, filter: &str, wanted: usize) -> Vec<Value> {
        self.eventually(&format!("{wanted} deliveries of {filter}"), async || {
            let rows = self.deliveries(filter).await;
            (rows.len() == wanted).then_some(rows)
        })
        .await
    }

    /// The one delivery that a receiver turned away for good, once its subscriber is paused for it,
    /// which is a moment later.
    pub async fn turned_away(&self, subscriber: &str) -> Value {
        let mut rows = self.until_deliveries("state=dead_lettered", 1).await;
        let path = format!("/v1/subscribers/{subscriber}");
        self.eventually("a pause", async || {
            let shown = self.node.get("admin", &path).await.expect(200);
            (shown.text_of("state") == "paused").then_some(())
        })
        .await;
        rows.remove(0)
    }

    /// A decision of an operator about a delivery.
    pub async fn decide(&self, delivery: &str, what: &str, key: &str, body: &Value) -> Answer {
        let path = format!("/v1/deliveries/{delivery}/{what}");
        self.node.post("operator", &path, key, body).await
    }
}
