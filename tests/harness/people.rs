//! Persons of the merchant `shop` who signed in: what they propose and decide over HTTP.

use std::sync::atomic::{AtomicU32, Ordering};

use api::admin::AdminCommand;
use api::admin::operators::OperatorCommand;
use domain::access::role::Role;
use domain::ids::OperatorId;
use serde_json::{Value, json};

use crate::node::{Answer, PASSWORD, TestNode};

/// A person with a session.
pub struct Person {
    /// Who.
    pub id: String,
    /// Their session.
    pub token: String,
}

/// A key that no other call of this process has.
fn fresh() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("by-a-person-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Why and on what a test proposes, where it does not matter.
pub fn grounds() -> Value {
    json!({ "reason": "bank_confirmed_by_phone", "text": "Their bank said so.", "evidence": "none" })
}

impl Person {
    /// Makes the person and signs them in.
    pub async fn hired(node: &TestNode, id: &str, role: Role) -> Self {
        node.person(id, role).await;
        let (id, token) = (id.to_owned(), node.sign_in(id).await);
        Self { id, token }
    }

    /// Signs in once more, for another session or after a long time.
    pub async fn comes_back(&mut self, node: &TestNode) {
        self.token = node.sign_in(&self.id).await;
    }

    /// Is given another role.
    pub async fn becomes(&self, node: &TestNode, role: Role) {
        let id = OperatorId::parse(&*self.id).unwrap();
        let grant = OperatorCommand::Grant { id, role };
        node.admin(AdminCommand::Operator(grant)).await;
        // The server hears of it within a second.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }

    /// Reads.
    pub async fn get(&self, node: &TestNode, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        node.call("GET", path, Some(&bearer), None, None).await
    }

    /// A command with a key of its own.
    pub async fn post(&self, node: &TestNode, path: &str, body: &Value) -> Answer {
        self.post_as(node, path, &fresh(), body).await
    }

    /// A command with this key.
    pub async fn post_as(&self, node: &TestNode, path: &str, key: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        node.call("POST", path, Some(&bearer), Some(key), Some(body))
            .await
    }

    /// Proposes that a request counts as paid; gives the proposal's id.
    pub async fn proposes_override(&self, node: &TestNode, request: &str) -> String {
        let path = format!("/v1/payment-requests/{request}/overrides");
        let made = self.post(node, &path, &grounds()).await;
        made.expect(201).text_of("id")
    }

    /// Proposes that a request does not count as paid any more; gives the proposal's id.
    pub async fn proposes_revocation(&self, node: &TestNode, request: &str) -> String {
        let path = format!("/v1/payment-requests/{request}/revocations");
        let made = self.post(node, &path, &grounds()).await;
        made.expect(201).text_of("id")
    }

    /// Shows the password once more, for this proposal.
    pub async fn ticket(&self, node: &TestNode, proposal: &str) -> String {
        let body = json!({ "password": PASSWORD, "proposal": proposal });
        let bearer = format!("Bearer {}", self.token);
        let path = "/v1/sessions/confirm";
        let shown = node.call("POST", path, Some(&bearer), None, Some(&body));
        shown.await.expect(200).text_of("ticket")
    }

    /// Decides (`approve` or `reject`) with this ticket.
    pub async fn decides(
        &self,
        node: &TestNode,
        what: &str,
        (request, proposal): (&str, &str),
        ticket: &str,
    ) -> Answer {
        let path = format!("/v1/payment-requests/{request}/overrides/{proposal}/{what}");
        let body = json!({ "ticket": ticket, "reason": "checked_with_bank", "text": "I called." });
        self.post(node, &path, &body).await
    }

    /// Approves with a fresh ticket.
    pub async fn approves(&self, node: &TestNode, request: &str, proposal: &str) -> Answer {
        let ticket = self.ticket(node, proposal).await;
        self.decides(node, "approve", (request, proposal), &ticket)
            .await
    }
}
