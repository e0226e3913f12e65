//! A running ledger for tests: a folder of its own, a free port, two merchants and a client per
//! role. It is the ledger of `counterfoil serve`, with the loops and the stores of it, in the process of
//! the test; only the limits on callers and the paces of providers are wide, so that no test meets them
//! by accident.
//!
//! It never mocks a part. What a test wants otherwise it says in [`TestNode::start_with`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use adapters::sqlite::open::WriterLock;
use api::admin::operators::OperatorCommand;
use api::admin::{AdminCommand, execute, socket};
use api::app::App;
use api::app::context::Context;
use api::compose::{self, Node, Opened};
use api::config::Settings;
use domain::access::client;
use domain::access::role::Role;
use domain::access::token::Token;
use domain::ids::{ClientId, MerchantId, OperatorId, ScenarioId};
use domain::payment::evidence::Mode;
use domain::ports::Clock;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::plain_http;
use crate::puller::receiver;
use crate::world::LeapingClock;

/// Clients of the merchant `shop`: a name of its own per role, and a second bot and backend, whose
/// requests are no business of the first ones.
pub const SHOP: [(&str, Role); 8] = [
    ("bot", Role::Bot),
    ("backend", Role::Backend),
    ("operator", Role::Operator),
    ("finance", Role::Finance),
    ("auditor", Role::Auditor),
    ("admin", Role::Admin),
    ("bot-2", Role::Bot),
    ("backend-2", Role::Backend),
];
/// Clients of the merchant `other`.
pub const OTHER: [(&str, Role); 5] = [
    ("other-bot", Role::Bot),
    ("other-backend", Role::Backend),
    ("other-operator", Role::Operator),
    ("other-auditor", Role::Auditor),
    ("other-admin", Role::Admin),
];

/// The password of everybody that [`TestNode::person`] makes.
pub const PASSWORD: &str = "correct horse battery";

/// Whole drams from 100 to 5,000,000, through one account; a packet of tea costs 1,500.
fn merchant(name: &str, account: &str) -> String {
    format!(
        r#"
[[merchants]]
merchant = "{name}"
[[merchants.accounts]]
account = "{account}"
provider = "sim"
minimum = "signed"
look_up = true
mode = "test"
payee = "acc-{name}"
[[merchants.scenarios]]
id = "telegram"
currencies = ["AMD"]
amount_minor_min = "10000"
amount_minor_max = "500000000"
life_s_max = 86400
accounts = ["{account}"]
whole_units = true
[[merchants.scenarios]]
id = "web"
currencies = ["AMD"]
amount_minor_min = "10000"
amount_minor_max = "500000000"
life_s_max = 86400
accounts = ["{account}"]
[[merchants.catalogue]]
code = "tea"
title = "Tea, 100 g"
price = {{ minor = "150000", currency = "AMD" }}
"#
    )
}

/// Nobody listens on port 9 of this machine: a provider that is away, and says so at once.
fn connection(account: &str) -> String {
    format!(
        "\n[connections.{account}]\nurl = \"http://127.0.0.1:9\"\nallow_networks = [\"127.0.0.0/8\"]\n\
         danger_allow_http = true\n"
    )
}

/// A ledger that runs until [`TestNode::stop`].
pub struct TestNode {
    folder: TempDir,
    settings: Settings,
    clock: Arc<LeapingClock>,
    node: Option<Node>,
    http: reqwest::Client,
    tokens: BTreeMap<&'static str, String>,
}

/// One answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Its head.
    pub headers: HeaderMap,
    /// Its body.
    pub text: String,
}

impl Answer {
    /// Reads an answer of reqwest.
    pub async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Self {
            status,
            headers,
            text,
        }
    }

    /// A header's value; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| {
            panic!("{} with a body that is no JSON: {}", self.status, self.text)
        })
    }

    /// A member of the JSON body that is a text.
    pub fn text_of(&self, name: &str) -> String {
        let json = self.json();
        let member = json[name].as_str();
        member
            .unwrap_or_else(|| panic!("no {name} in {}: {json}", self.status))
            .to_owned()
    }

    /// The code of a problem; empty for anything else.
    pub fn code(&self) -> String {
        if self.header("content-type") != "application/problem+json" {
            return String::new();
        }
        self.text_of("code")
    }

    /// The answer itself, when it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl TestNode {
    /// A new ledger.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A new ledger with other settings.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = [
            merchant("shop", "sim-main"),
            merchant("other", "sim-other"),
            connection("sim-main"),
            connection("sim-other"),
        ];
        let (mut settings, _) = api::config::load::parse(&text.concat(), []).unwrap();
        settings.store.data = folder.path().join("data");
        settings.store.kek_file = folder.path().join("kek");
        settings.server.listen = ([127, 0, 0, 1], 0).into();
        settings.server.workers = 2;
        settings.server.shutdown_timeout_s = 2;
        settings.limits.client_requests_per_s = 100_000;
        settings.limits.address_requests_per_s = 100_000;
        settings.limits.operator_sign_ins_per_min = 100_000;
        settings.limits.address_sign_ins_per_min = 100_000;
        settings.limits.checkout_requests_per_s = 100_000;
        settings.limits.checkout_starts_per_min = 100_000;
        settings.limits.checkout_address_starts_per_min = 100_000;
        for connection in settings.connections.values_mut() {
            connection.calls_per_min = 60_000;
        }
        change(&mut settings);
        let opened = compose::init(&settings, &by_admin()).await.unwrap();
        let mut tokens = BTreeMap::new();
        for (merchant, clients) in [("shop", &SHOP[..]), ("other", &OTHER[..])] {
            for (name, role) in clients {
                let token = create_client(&opened.app, name, merchant, *role).await;
                tokens.insert(*name, token);
            }
        }
        let Opened { app, events } = opened;
        drop((app, events));
        let http = plain_http::client()
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        let clock = Arc::new(LeapingClock::new());
        let node = Some(run(&settings, &clock).await);
        Self {
            folder,
            settings,
            clock,
            node,
            http,
            tokens,
        }
    }

    /// Stops the ledger and starts it again on the same folder, on another port.
    pub async fn restart(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop().await;
            let lock = WriterLock::take(&self.settings.store.data.join("events.db"));
            lock.expect("a ledger that has stopped lets go of its store");
        }
        self.node = Some(run(&self.settings, &self.clock).await);
    }

    /// As [`TestNode::restart`], with something done to the data folder in between.
    pub async fn restart_after(&mut self, work: impl FnOnce(&std::path::Path)) {
        if let Some(node) = self.node.take() {
            node.stop().await;
        }
        work(&self.settings.store.data);
        self.node = Some(run(&self.settings, &self.clock).await);
    }

    /// As [`TestNode::restart`], with use-cases called in between by a process that has no loops, as one
    /// that dies right afterwards.
    pub async fn restart_after_use(&mut self, work: impl AsyncFnOnce(&App)) {
        if let Some(node) = self.node.take() {
            node.stop().await;
        }
        let opened = compose::open(&self.settings, &by_admin()).await.unwrap();
        work(&opened.app).await;
        drop(opened);
        self.node = Some(run(&self.settings, &self.clock).await);
    }

    /// As [`TestNode::restart`], with other settings.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.restart().await;
    }

    /// Stops it; the folder goes with it.
    pub async fn stop(mut self) {
        if let Some(node) = self.node.take() {
            node.stop().await;
        }
    }

    /// Its parts.
    pub fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    /// The use-cases.
    pub fn app(&self) -> &App {
        &self.node().app
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.node().address
    }

    /// Its clock, which goes with the system's until a test lets it leap ahead.
    pub fn clock(&self) -> &Arc<LeapingClock> {
        &self.clock
    }

    /// Lets so much time pass at once, and waits until the ledger has found its feet again: what it
    /// knew of its clients is old then, as after a machine that slept.
    pub async fn leap(&self, by: Duration) {
        self.clock.leap(by);
        let path = "/v1/payment-requests?limit=1";
        for _ in 0..1000 {
            if self.get("backend", path).await.status == 200 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the ledger does not answer after {by:?}");
    }

    /// The folder of everything that it keeps.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A full address.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// The token of a client of [`SHOP`] or [`OTHER`].
    pub fn token(&self, who: &str) -> &str {
        &self.tokens[who]
    }

    /// Makes a client of the merchant `shop` that fetches the events of this subscriber.
    pub async fn hire_receiver(&mut self, client: &'static str, subscriber: &str) {
        let token = receiver(self, client, "shop", subscriber).await;
        self.tokens.insert(client, token);
    }

    /// Bare HTTP.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Any call; `authorization` is the whole header.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.http.request(method.parse().unwrap(), self.url(path));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// `GET` by a client.
    pub async fn get(&self, who: &str, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token(who));
        self.call("GET", path, Some(&bearer), None, None).await
    }

    /// `POST` of a command with its key by a client.
    pub async fn post(&self, who: &str, path: &str, key: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.token(who));
        self.call("POST", path, Some(&bearer), Some(key), Some(body))
            .await
    }

    /// Administration, as from the command line.
    pub async fn admin(&self, command: AdminCommand) -> Value {
        execute(self.app(), &by_admin(), command).await.unwrap()
    }

    /// Makes a person of the merchant `shop` with [`PASSWORD`].
    pub async fn person(&self, id: &str, role: Role) {
        let id = OperatorId::parse(id).unwrap();
        let create = OperatorCommand::Create {
            id: id.clone(),
            merchant: MerchantId::parse("shop").unwrap(),
            role,
            mode: Mode::Test,
        };
        self.admin(AdminCommand::Operator(create)).await;
        let password = PASSWORD.to_owned();
        let password = OperatorCommand::Password { id, password };
        self.admin(AdminCommand::Operator(password)).await;
    }

    /// Signs a person in over HTTP, and gives the token.
    pub async fn sign_in(&self, id: &str) -> String {
        let body = json!({ "operator": id, "password": PASSWORD });
        let answer = self.call("POST", "/v1/sessions", None, None, Some(&body));
        answer.await.expect(201).text_of("token")
    }

    /// A further token of a client that is valid for this time only.
    pub async fn token_for(&self, who: &str, life: Duration) -> String {
        let (mut key_id, mut secret) = ([0; 6], [0; 32]);
        self.app().recorder.entropy().fill(&mut key_id);
        self.app().recorder.entropy().fill(&mut secret);
        let token = Token::issue(Mode::Test, key_id, secret);
        let command = client::Command::IssueToken {
            key_id: token.key_id().to_owned(),
            digest: token.digest(),
            expires_at: self.app().recorder.now().plus(life),
        };
        let id = ClientId::parse(who).unwrap();
        let done = self.app().command_client(&id, &by_admin(), &command).await;
        done.unwrap();
        token.reveal()
    }
}

/// The person at the command line.
fn by_admin() -> Context {
    socket::context(&OperatorId::parse("op-test").unwrap(), "test")
}

/// Starts and waits until every part works: views are made by their loops.
async fn run(settings: &Settings, clock: &Arc<LeapingClock>) -> Node {
    let listener = TcpListener::bind(settings.server.listen).unwrap();
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let node = compose::start_at(settings, listener, clock).await.unwrap();
    let ready = async {
        while !node.health.ready() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ready)
        .await
        .expect("the ledger is ready soon");
    node
}

/// Both scenarios for all but bots, which sell by `telegram` only.
async fn create_client(app: &App, name: &str, merchant: &str, role: Role) -> String {
    let scenarios: &[&str] = match role {
        Role::Bot => &["telegram"],
        Role::Backend
        | Role::Operator
        | Role::Approver
        | Role::Supervisor
        | Role::Finance
        | Role::Auditor
        | Role::Admin
        | Role::Receiver => &["telegram", "web"],
    };
    let scenarios: BTreeSet<ScenarioId> = scenarios
        .iter()
        .map(|id| ScenarioId::parse(*id).unwrap())
        .collect();
    let command = AdminCommand::ClientCreate {
        id: ClientId::parse(name).unwrap(),
        merchant: MerchantId::parse(merchant).unwrap(),
        role,
        scenarios,
        subscriber: None,
        mode: Mode::Test,
        token_days: 30,
    };
    let shown = execute(app, &by_admin(), command).await.unwrap();
    shown["token"].as_str().unwrap().to_owned()
}
