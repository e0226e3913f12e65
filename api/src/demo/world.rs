//! The parties of the demo and how they talk: everything goes over real HTTP on loopback.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::digest::base32;
use domain::ids::OperatorId;
use domain::ports::{HttpOut, OutRequest};
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::{PATIENCE, Promise, Teller};
use crate::admin::{AdminCommand, execute, socket};
use crate::compose::{self, Node};
use crate::config::load::parse;
use crate::sim_provider::{self, Script, SimOptions};

/// The demo cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct DemoError {
    /// A sentence.
    pub what: String,
}

pub(super) fn broken(what: impl std::fmt::Display) -> DemoError {
    DemoError {
        what: what.to_string(),
    }
}

/// All parties.
pub(super) struct World {
    pub(super) bank: sim_provider::Handle,
    pub(super) crm: Receiver,
    pub(super) bot: Receiver,
    pub(super) promises: Vec<Promise>,
    node: Node,
    http: Arc<dyn HttpOut>,
    folder: PathBuf,
    backend_token: String,
    bot_token: String,
    operator_token: String,
    commands: u32,
}

impl World {
    pub(super) async fn build(teller: &dyn Teller) -> Result<Self, DemoError> {
        let folder = std::env::temp_dir().join(format!(
            "counterfoil-demo-{}",
            base32(&compose::random()[..8])
        ));
        let listener = TcpListener::bind("127.0.0.1:0").map_err(broken)?;
        let address = listener.local_addr().map_err(broken)?;
        let secret = domain::delivery::signature::secret(&compose::random());
        let api_key = base32(&compose::random());
        let hands = compose::sim_hands(&secret)
            .map_err(broken)?
            .ok_or_else(|| broken("no signing key"))?;
        let options = SimOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            public_url: None,
            notify_url: format!("http://{address}/v1/callbacks/sim/sim-main"),
            payee: "acc-shop".to_owned(),
            mode: domain::payment::evidence::Mode::Test,
            api_key: api_key.clone(),
            script: Script::default(),
        };
        let bank = sim_provider::run(options, hands).map_err(broken)?;
        let text = settings(&folder, &address.to_string(), &bank.url());
        let (settings, _) = parse(&text, []).map_err(|mistakes| broken(format!("{mistakes:?}")))?;
        let operator = OperatorId::parse("demo").map_err(broken)?;
        let context = socket::context(&operator, "demo");
        drop(compose::init(&settings, &context).await.map_err(broken)?);
        let node = compose::start(&settings, listener).await.map_err(broken)?;
        let mut world = Self {
            bank,
            crm: Receiver::start("CRM").map_err(broken)?,
            bot: Receiver::start("bot").map_err(broken)?,
            promises: vec![],
            http: compose::loopback_http().map_err(broken)?,
            folder,
            backend_token: String::new(),
            bot_token: String::new(),
            operator_token: String::new(),
            commands: 0,
            node,
        };
        for (purpose, value) in [
            ("provider-inbound:sim-main", &secret),
            ("provider-api:sim-main", &api_key),
        ] {
            let command = json!({
                "command": "secret_set", "merchant": "shop", "purpose": purpose, "key_id": "sim-1", "value": value,
            });
            world.administer(command).await?;
        }
        world.backend_token = world.token("backend", "backend").await?;
        world.bot_token = world.token("shop-bot", "bot").await?;
        world.operator_token = world.token("desk", "operator").await?;
        let admin = world.token("admin", "admin").await?;
        // A new token is good once the directory of clients has followed the log.
        let known = async || {
            let (status, _) = world
                .send("GET", "/v1/subscribers", &admin, "", None)
                .await?;
            Ok(status != 401)
        };
        world.until("the tokens to be known", known).await?;
        for receiver in [&world.crm, &world.bot] {
            let id = receiver.name.to_ascii_lowercase();
            let body = json!({ "id": id, "url": format!("http://{}/hook", receiver.address) });
            let (status, answer) = world
                .send(
                    "POST",
                    "/v1/subscribers",
                    &admin,
                    &format!("add-{id}"),
                    Some(&body),
                )
                .await?;
            let secret = answer["signing_secret"]
                .as_str()
                .ok_or_else(|| broken(format!("subscriber: {status} {answer}")))?;
            receiver.know_secret(secret);
        }
        teller.line(
            "ledger",
            &format!(
                "listens on http://{}, data in a temporary folder",
                world.node.address
            ),
        );
        teller.line(
            "provider",
            &format!("a simulated bank with its own page on {}", world.bank.url()),
        );
        teller.line(
            "subscribers",
            "CRM and bot, each with its own queue and signing secret",
        );
        world.wait_ready().await?;
        Ok(world)
    }

    async fn administer(&self, command: Value) -> Result<Value, DemoError> {
        let operator = OperatorId::parse("demo").map_err(broken)?;
        let command: AdminCommand = serde_json::from_value(command).map_err(broken)?;
        execute(&self.node.app, &socket::context(&operator, "demo"), command)
            .await
            .map_err(broken)
    }

    async fn token(&self, id: &str, role: &str) -> Result<String, DemoError> {
        let command = json!({
            "command": "client_create", "id": id, "merchant": "shop", "role": role, "scenarios": ["telegram"],
            "mode": "test", "token_days": 1,
        });
        let client = self.administer(command).await?;
        client["token"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| broken("no token"))
    }

    async fn wait_ready(&self) -> Result<(), DemoError> {
        let health = Arc::clone(&self.node.health);
        // The directory follows the log within a moment; until then nobody is let in.
        self.until("the ledger to be ready", async || Ok(health.ready()))
            .await
    }

    pub(super) fn monotonic(&self) -> Duration {
        self.node.app.recorder.clock().monotonic()
    }

    /// Waits for something that must happen.
    pub(super) async fn until(
        &self,
        what: &str,
        done: impl AsyncFn() -> Result<bool, DemoError>,
    ) -> Result<(), DemoError> {
        let clock = Arc::clone(self.node.app.recorder.clock());
        let started = clock.monotonic();
        while clock.monotonic().saturating_sub(started) < PATIENCE {
            if done().await? {
                return Ok(());
            }
            clock.sleep(Duration::from_millis(30)).await;
        }
        Err(broken(format!(
            "waited {} s for {what}",
            PATIENCE.as_secs()
        )))
    }

    /// Lets time pass in which nothing should happen.
    pub(super) async fn pass(&self, time: Duration) {
        self.node.app.recorder.clock().sleep(time).await;
    }

    async fn send(
        &self,
        method: &'static str,
        path: &str,
        token: &str,
        key: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), DemoError> {
        let mut headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
        if method == "POST" {
            headers.push(("idempotency-key".to_owned(), key.to_owned()));
        }
        if body.is_some() {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let request = OutRequest {
            method,
            url: format!("http://{}{path}", self.node.address),
            headers,
            body: body
                .map(|body| body.to_string().into_bytes())
                .unwrap_or_default(),
            deadline: Duration::from_secs(20),
            answer_bytes_max: 1_000_000,
        };
        let answer = self
            .http
            .send(request)
            .await
            .map_err(|error| broken(format!("{path}: {error}")))?;
        Ok((
            answer.status,
            serde_json::from_slice(&answer.body).unwrap_or_default(),
        ))
    }

    fn next_key(&mut self) -> String {
        self.commands += 1;
        format!("demo-{}", self.commands)
    }

    /// A command of the backend that must succeed.
    pub(super) async fn backend(&mut self, path: &str, body: Value) -> Result<Value, DemoError> {
        let (key, token) = (self.next_key(), self.backend_token.clone());
        expect_success(
            path,
            self.send("POST", path, &token, &key, Some(&body)).await?,
        )
    }

    /// A command of the bot that must succeed.
    pub(super) async fn bot_says(&mut self, path: &str, body: Value) -> Result<Value, DemoError> {
        let (key, token) = (self.next_key(), self.bot_token.clone());
        expect_success(
            path,
            self.send("POST", path, &token, &key, Some(&body)).await?,
        )
    }

    /// A command of the bot; status and answer.
    pub(super) async fn bot_tries(
        &mut self,
        path: &str,
        body: Value,
    ) -> Result<(u16, Value), DemoError> {
        let (key, token) = (self.next_key(), self.bot_token.clone());
        self.send("POST", path, &token, &key, Some(&body)).await
    }

    /// What the backend sees.
    pub(super) async fn backend_sees(&self, path: &str) -> Result<Value, DemoError> {
        expect_success(
            path,
            self.send("GET", path, &self.backend_token, "", None)
                .await?,
        )
    }

    /// What the bot sees.
    pub(super) async fn bot_sees(&self, path: &str) -> Result<Value, DemoError> {
        expect_success(
            path,
            self.send("GET", path, &self.bot_token, "", None).await?,
        )
    }

    /// What the operators' desk sees.
    pub(super) async fn desk_sees(&self, path: &str) -> Result<Value, DemoError> {
        expect_success(
            path,
            self.send("GET", path, &self.operator_token, "", None)
                .await?,
        )
    }

    /// Checks a promise and tells it.
    pub(super) fn check(&mut self, teller: &dyn Teller, promise: &str, held: bool) {
        let promise = Promise {
            promise: promise.to_owned(),
            held,
        };
        teller.promise(&promise);
        self.promises.push(promise);
    }

    /// Stops everybody and removes the folder.
    pub(super) async fn end(self) {
        self.bank.stop().await;
        self.node.stop().await;
        self.crm.stop().await;
        self.bot.stop().await;
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn expect_success(path: &str, (status, answer): (u16, Value)) -> Result<Value, DemoError> {
    if (200..300).contains(&status) {
        Ok(answer)
    } else {
        Err(broken(format!("{path}: {status} {answer}")))
    }
}

fn settings(folder: &std::path::Path, address: &str, bank: &str) -> String {
    let folder = folder.display();
    format!(
        r#"
[server]
listen = "{address}"
public_url = "http://{address}"
shutdown_timeout_s = 2
[store]
data = "{folder}/data"
kek_file = "{folder}/data.kek"
[ledger]
origin = "localhost/demo/1"
[delivery]
allow_networks = ["127.0.0.0/8"]
danger_allow_http = true
[connections.sim-main]
url = "{bank}"
allow_networks = ["127.0.0.0/8"]
danger_allow_http = true
[[merchants]]
merchant = "shop"
[[merchants.accounts]]
account = "sim-main"
provider = "sim"
minimum = "signed"
look_up = true
mode = "test"
payee = "acc-shop"
[[merchants.scenarios]]
id = "telegram"
currencies = ["AMD"]
amount_minor_min = "10000"
amount_minor_max = "500000000"
life_s_max = 86400
accounts = ["sim-main"]
whole_units = true
"#
    )
}
