//! The merchant `shop` of a [`TestNode`] with the provider that its account is at: orders that wait
//! for their payer, what the provider says of them in messages and in look-ups, and what backend,
//! bot and operator are shown then.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::admin::AdminCommand;
use api::app::context::Context;
use api::app::look_ups::LookedUp;
use api::config::Settings;
use domain::ids::{KeyId, MerchantId, PaymentRequestId};
use domain::ports::Clock;
use serde_json::{Value, json};

use crate::node::{Answer, TestNode};
use crate::quiet_provider::{API_KEY, Notification, QuietProvider, SECRET, message, signed};
use crate::whole_log::WholeLog;

/// Where the account's notifications go.
pub const CALLBACK: &str = "/v1/callbacks/sim/sim-main";
/// How the provider names the shop's account.
pub const PAYEE: &str = "acc-shop";
/// What every order costs, in minor units of AMD.
pub const PRICE: i64 = 150_000;
const REQUESTS: &str = "/v1/payment-requests";
/// How often a test looks before it gives up.
const LOOKS_MAX: u32 = 1500;
/// How long it waits between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A ledger with a provider that registers attempts and says what the test lets it say.
pub struct Shop {
    /// The ledger.
    pub node: TestNode,
    /// The provider of both merchants' accounts.
    pub provider: QuietProvider,
    told: AtomicUsize,
}

/// One case of the review list: kind, severity and how much money it holds in minor units.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    /// What is out of order.
    pub kind: String,
    /// How urgent.
    pub severity: String,
    /// Minor units and currency, where it is about money.
    pub money: Option<String>,
}

/// A case as a test writes it down.
pub fn case(kind: &str, severity: &str, money: Option<&str>) -> Case {
    let money = money.map(str::to_owned);
    Case {
        kind: kind.to_owned(),
        severity: severity.to_owned(),
        money,
    }
}

impl Shop {
    /// A new ledger and a new provider.
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// A new ledger with other settings.
    pub async fn open_with(change: impl FnOnce(&mut Settings)) -> Self {
        let provider = QuietProvider::start();
        let url = provider.url();
        let node = TestNode::start_with(|settings| {
            for connection in settings.connections.values_mut() {
                connection.url = Some(url.clone());
            }
            change(settings);
        })
        .await;
        for (merchant, account) in [("shop", "sim-main"), ("other", "sim-other")] {
            for (purpose, key_id, value) in [
                ("provider-inbound", "in-1", SECRET),
                ("provider-api", "api-1", API_KEY),
            ] {
                node.admin(AdminCommand::SecretSet {
                    merchant: MerchantId::parse(merchant).unwrap(),
                    purpose: format!("{purpose}:{account}"),
                    key_id: KeyId::parse(key_id).unwrap(),
                    value: value.to_owned(),
                    retire_others_in_s: None,
                })
                .await;
            }
        }
        Self {
            node,
            provider,
            told: AtomicUsize::new(0),
        }
    }

    /// A request with an attempt that waits for its payer: the request's id and our reference.
    pub async fn waiting_for_payer(&self, order: &str) -> (String, String) {
        self.waiting_with(order, json!({})).await
    }

    /// As [`Shop::waiting_for_payer`], with further members of the command to create.
    pub async fn waiting_with(&self, order: &str, more: Value) -> (String, String) {
        let mut body = json!({
            "order_id": order, "scenario": "web",
            "amount": { "minor": PRICE.to_string(), "currency": "AMD" },
        });
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        let key = format!("create-{order}-{}", self.number());
        let created = self.node.post("backend", REQUESTS, &key, &body).await;
        self.attempt(&created.expect(201).text_of("id")).await
    }

    /// As [`Shop::waiting_for_payer`], sold by the bot from a quote of the backend.
    pub async fn waiting_for_payer_of_bot(&self, order: &str) -> (String, String) {
        let amount = json!({ "minor": PRICE.to_string(), "currency": "AMD" });
        let quote = json!({ "order_id": order, "scenario": "telegram", "amount": amount });
        let quote = self.node.post("backend", "/v1/quotes", order, &quote).await;
        let quote = json!({ "quote_id": quote.expect(201).text_of("id") });
        let created = self.node.post("bot", REQUESTS, order, &quote).await;
        self.attempt(&created.expect(201).text_of("id")).await
    }

    async fn attempt(&self, id: &str) -> (String, String) {
        let path = format!("{REQUESTS}/{id}/attempts");
        let started = self.node.post("backend", &path, id, &json!({})).await;
        let shown = started.expect(201).json();
        let attempt = &shown["attempts"][0];
        assert_eq!(attempt["state"], "registered", "{shown}");
        (
            id.to_owned(),
            attempt["our_reference"].as_str().unwrap().to_owned(),
        )
    }

    /// A request of the order that was called off, and whose payer paid all the same: its id, and the
    /// case that holds the money. The transaction is named after the request.
    pub async fn paid_after_cancel(&self, order: &str) -> (String, String) {
        let (id, reference) = self.waiting_for_payer(order).await;
        self.command(&id, "cancel", &json!({})).await.expect(200);
        let says = json!({ "transaction": format!("tx-{reference}") });
        let late = self.statement_with("captured", &reference, says);
        self.provider.says(&reference, &late);
        self.tell(&late).await;
        self.eventually("money that waits", async || {
            (self.shown(&id).await["unapplied"] != json!([])).then_some(())
        })
        .await;
        let case = format!("payment_request-{id}~1");
        (id, case)
    }

    /// A command to a request by the backend.
    pub async fn command(&self, id: &str, command: &str, body: &Value) -> Answer {
        let path = format!("{REQUESTS}/{id}/{command}");
        let key = format!("{command}-{}", self.number());
        self.node.post("backend", &path, &key, body).await
    }

    fn number(&self) -> usize {
        self.told.fetch_add(1, Ordering::SeqCst)
    }

    /// What the provider would say at this moment of an order for the full price.
    pub fn statement(&self, status: &str, our_reference: &str) -> Value {
        let mut statement = message(status, our_reference, PAYEE, PRICE);
        statement["occurred_at"] = json!(self.node.clock().now().to_string());
        statement
    }

    /// The same with other members.
    pub fn statement_with(&self, status: &str, our_reference: &str, other: Value) -> Value {
        let mut statement = self.statement(status, our_reference);
        let other = other.as_object().unwrap().clone();
        statement.as_object_mut().unwrap().extend(other);
        statement
    }

    /// A message of its own that says so, with a good signature.
    pub fn signed(&self, statement: &Value) -> Notification {
        let seconds = self.node.clock().now().millis() / 1000;
        signed(&format!("msg_{}", self.number()), seconds, statement)
    }

    /// Sends, and gives the status of the answer.
    pub async fn send(&self, notification: &Notification) -> u16 {
        self.send_to(CALLBACK, notification).await
    }

    /// The same to another callback.
    pub async fn send_to(&self, callback: &str, notification: &Notification) -> u16 {
        let url = self.node.url(callback);
        let request = notification.request(self.node.http(), &url);
        request.send().await.unwrap().status().as_u16()
    }

    /// Sends, and waits until the ledger has looked at it: what became of it.
    pub async fn send_and_settle(&self, notification: &Notification) -> String {
        let before = self.log().await.of_type("NotificationApplied").count();
        assert_eq!(self.send(notification).await, 200);
        self.eventually("a look at a message", async || {
            let log = self.log().await;
            let news = log.of_type("NotificationApplied").nth(before)?;
            Some(news.data["outcome"].as_str()?.to_owned())
        })
        .await
    }

    /// Lets the provider send a message that says so.
    pub async fn tell(&self, statement: &Value) -> String {
        self.send_and_settle(&self.signed(statement)).await
    }

    /// Asks the provider about the first attempt, as the loops do.
    pub async fn ask(&self, id: &str) -> LookedUp {
        let id = PaymentRequestId::parse(id).unwrap();
        let context = Context::job("work::look_up");
        let asked = self.node.app().look_up_attempt(&id, 1, &context).await;
        asked.unwrap()
    }

    /// Looks until there is something to see.
    ///
    /// # Panics
    /// When there never is.
    pub async fn eventually<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        for _ in 0..LOOKS_MAX {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        panic!("never: {what}");
    }

    /// The request, once it has this status.
    pub async fn has_status(&self, id: &str, status: &str) -> Value {
        self.eventually(&format!("{status} of {id}"), async || {
            let shown = self.shown(id).await;
            (shown["status"] == status).then_some(shown)
        })
        .await
    }

    /// The request, once it is paid.
    pub async fn paid(&self, id: &str) -> Value {
        self.has_status(id, "paid").await
    }

    /// The request as the backend sees it.
    pub async fn shown(&self, id: &str) -> Value {
        let path = format!("{REQUESTS}/{id}");
        self.node.get("backend", &path).await.expect(200).json()
    }

    /// The one word that the bot shows, from the request and from the list alike.
    pub async fn bot_says(&self, id: &str) -> String {
        let path = format!("{REQUESTS}/{id}");
        let read = self.node.get("bot", &path).await.expect(200);
        self.views_have_caught_up().await;
        let list = self.node.get("bot", REQUESTS).await.expect(200).json();
        let rows = list["payment_requests"].as_array().unwrap();
        let row = rows.iter().find(|row| row["id"] == id).unwrap();
        assert_eq!(row["status"], read.json()["status"]);
        read.text_of("status")
    }

    /// Every payment request in the list of this client, one page.
    pub async fn listed(&self) -> Vec<Value> {
        self.views_have_caught_up().await;
        let path = format!("{REQUESTS}?limit=200");
        let list = self.node.get("backend", &path).await.expect(200).json();
        assert_eq!(list["next"], Value::Null);
        list["payment_requests"].as_array().unwrap().clone()
    }

    /// The review list as this client sees it, one page.
    pub async fn review_list(&self, who: &str) -> Vec<Value> {
        self.views_have_caught_up().await;
        let path = "/v1/exceptions?limit=200";
        let list = self.node.get(who, path).await.expect(200).json();
        assert_eq!(list["next"], Value::Null);
        list["exceptions"].as_array().unwrap().clone()
    }

    /// The open cases of one request; of none, where it is `None`.
    pub async fn cases(&self, id: Option<&str>) -> Vec<Case> {
        let list = self.review_list("operator").await;
        let of_it = list
            .iter()
            .filter(|row| row["payment_request_id"] == json!(id));
        let mut cases: Vec<Case> = of_it.map(as_case).collect();
        cases.sort();
        cases
    }

    /// Until every view has seen what is in the log.
    pub async fn views_have_caught_up(&self) {
        let app = self.node.app();
        let Some(head) = app.recorder.store().head().await.unwrap() else {
            return;
        };
        for view in projections::views::all() {
            let there = app.wait_for_view(&view.spec(), head).await.unwrap();
            assert!(there, "{} is behind", view.spec().name);
        }
    }

    /// Every event.
    pub async fn log(&self) -> WholeLog {
        WholeLog::read(&**self.node.app().recorder.store()).await
    }

    /// How many events of one type a request has.
    pub async fn events(&self, id: &str, event_type: &str) -> usize {
        let count = self.log().await.per_stream(event_type);
        let stream = format!("payment_request-{id}");
        count.get(&stream).copied().unwrap_or(0)
    }
}

fn as_case(row: &Value) -> Case {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    let money = &row["money"];
    let money = (!money.is_null()).then(|| {
        let (minor, currency) = (&money["minor"], &money["currency"]);
        format!("{} {}", minor.as_str().unwrap(), currency.as_str().unwrap())
    });
    Case {
        kind: text("kind"),
        severity: text("severity"),
        money,
    }
}
