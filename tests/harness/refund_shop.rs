//! A [`Shop`] whose account is at the simulated provider, over sockets: it takes money, gives it back
//! as its script says, and tells the ledger of both.

use std::net::TcpListener;

use api::compose;
use api::sim_provider::{self, Choice, Handle, Script, SimOptions};
use domain::payment::evidence::Mode;
use serde_json::{Value, json};

use crate::node::Answer;
use crate::quiet_provider::{API_KEY, SECRET};
use crate::shop::{CALLBACK, PAYEE, Shop};

/// The shop and the bank.
pub struct RefundShop {
    /// The ledger and what its callers see.
    pub shop: Shop,
    /// The bank, with its own truth.
    pub bank: Handle,
}

/// A request that is paid.
#[derive(Debug, Clone)]
pub struct Paid {
    /// The request.
    pub id: String,
    /// The bank's order is known by this.
    pub our_reference: String,
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A simulated provider of the account with this payee that tells a ledger at this port.
pub fn bank(port: u16, payee: &str, script: &str) -> Handle {
    let options = SimOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        public_url: None,
        notify_url: format!("http://127.0.0.1:{port}{CALLBACK}"),
        payee: payee.to_owned(),
        mode: Mode::Test,
        api_key: API_KEY.to_owned(),
        script: script.parse().unwrap(),
    };
    sim_provider::run(options, compose::sim_hands(SECRET).unwrap().unwrap()).unwrap()
}

/// Minor units that really went back of an order.
pub fn given_back(bank: &Handle, our_reference: &str) -> Vec<i64> {
    let order = bank.order(our_reference).unwrap();
    order
        .given_back()
        .iter()
        .map(|money| money.minor())
        .collect()
}

impl RefundShop {
    /// Opens it; every order behaves by this script.
    pub async fn open(script: &str) -> Self {
        let port = free_port();
        let bank = bank(port, PAYEE, script);
        let url = bank.url();
        let shop = Shop::open_with(|settings| {
            settings.server.listen = ([127, 0, 0, 1], port).into();
            settings.connections.get_mut("sim-main").unwrap().url = Some(url);
        })
        .await;
        Self { shop, bank }
    }

    /// An order that is paid.
    pub async fn paid(&self, order: &str) -> Paid {
        let (id, our_reference) = self.shop.waiting_for_payer(order).await;
        self.bank.choose(&our_reference, Choice::Pay).unwrap();
        self.shop.paid(&id).await;
        Paid { id, our_reference }
    }

    /// From now on the order behaves so.
    pub fn behaves(&self, paid: &Paid, script: &str) {
        let script: Script = script.parse().unwrap();
        self.bank
            .set_order_script(&paid.our_reference, script)
            .unwrap();
    }

    /// Asks for a refund of the applied part.
    pub async fn refund(&self, paid: &Paid, key: &str, minor: i64) -> Answer {
        self.refund_with(paid, key, minor, json!({})).await
    }

    /// The same with further members.
    pub async fn refund_with(&self, paid: &Paid, key: &str, minor: i64, more: Value) -> Answer {
        let mut body = json!({
            "amount": { "minor": minor.to_string(), "currency": "AMD" }, "reason": "returned_goods",
        });
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        let path = format!("/v1/payment-requests/{}/refunds", paid.id);
        self.shop.node.post("backend", &path, key, &body).await
    }

    /// The request, once its newest refund is in this state.
    pub async fn until(&self, paid: &Paid, state: &str) -> Value {
        let what = format!("a refund that is {state}");
        self.shop
            .eventually(&what, async || {
                let shown = self.shop.shown(&paid.id).await;
                let refunds = shown["refunds"].as_array().unwrap();
                let found = refunds
                    .last()
                    .is_some_and(|refund| refund["state"] == state);
                found.then_some(shown)
            })
            .await
    }

    /// What really went back.
    pub fn given_back(&self, paid: &Paid) -> Vec<i64> {
        given_back(&self.bank, &paid.our_reference)
    }

    /// Kinds of the request's open cases.
    pub async fn cases(&self, paid: &Paid) -> Vec<String> {
        let cases = self.shop.cases(Some(&paid.id)).await;
        cases.into_iter().map(|case| case.kind).collect()
    }
}
