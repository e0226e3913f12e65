//! A ledger of one process in memory: the real HTTP service, use-cases, loops and views, over a log
//! that outlives the process. Time is a clock that only the simulation moves.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::Data;
use adapters::http_out::CallableUrls;
use adapters::keys::{MemoryEvidence, MemoryKeyring};
use adapters::memory::{
    FaultyEventStore, ManualClock, MemoryEventStore, MemoryOps, MemoryViewStore, SeededEntropy,
};
use api::admin::operators::OperatorCommand;
use api::admin::{AdminCommand, execute};
use api::app::App;
use api::app::configuration::apply_configuration;
use api::app::context::Context;
use api::app::directory::CallerDirectory;
use api::app::links::Links;
use api::app::recorder::Recorder;
use api::app::registry::{Provider, Registry};
use api::app::subscribers::NewSubscriber;
use api::config::Settings;
use api::http::state::HttpState;
use api::http::{configure, guard};
use api::telemetry::figures;
use api::work::supervise::{Stopper, stopper};
use api::work::{Health, apply_notifications, deliver, expire, follow_clients, look_up};
use api::work::{overrides, refund, transfers};
use async_trait::async_trait;
use domain::access::password::Password;
use domain::access::role::Role;
use domain::checkout::LinkKey;
use domain::config::MerchantConfig;
use domain::digest::InstanceKey;
use domain::ids::{AccountSlug, ClientId, KeyId, MerchantId, OperatorId};
use domain::ids::{ScenarioId, SubscriberId};
use domain::payment::evidence::Mode;
use domain::ports::{
    Clock, EventStore, Filter, HttpOut, OutAnswer, OutError, OutRequest, PasswordError, Passwords,
    ProviderApi, RefundApi, Secret, SecretPurpose, Secrets,
};
use domain::record::Recorded;
use domain::stream::Category;
use domain::time::Timestamp;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use projections::ports::{GenerationState, ViewStore};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::bank::{Bank, Desk, FactsInbound, Heard};
use super::fuse::{Fuse, FusedStore};
use super::words::{Account, Scenario};
use crate::quiet_provider::SECRET;

/// When every history begins.
pub const START: i64 = 1_800_000_000;
/// Who calls: of which merchant, and what they may do.
const CLIENTS: [(&str, &str, Role); 5] = [
    ("backend", "shop", Role::Backend),
    ("bot", "shop", Role::Bot),
    ("bot-2", "shop", Role::Bot),
    ("operator", "shop", Role::Operator),
    ("stall", "stall", Role::Operator),
];
/// The persons of the shop.
const PERSONS: [&str; 2] = ["anna", "boris"];
/// The password of each of them.
pub const PASSWORD: &str = "correct horse battery";

/// So many times a task is polled without an effect before it counts as waiting.
const YIELDS: usize = 12;
/// So many seconds without an effect, and a step is over.
const QUIET_TURNS: usize = 2;
/// So many seconds pass at most after each step.
const TURNS_MAX: usize = 20;

type Call = Rc<dyn Fn(TestRequest) -> LocalBoxFuture<'static, (u16, Value)>>;

/// A message that reached the subscriber: its id, what it is about, what it says and the amount of a
/// reversal.
pub type Message = (String, String, String, i64);

/// What outlives a process, and what stands beside it.
pub struct Outside {
    /// Everybody's clock.
    pub clock: Arc<ManualClock>,
    /// The log, which can be told to fail.
    pub store: Arc<FaultyEventStore>,
    /// The providers.
    pub bank: Arc<Mutex<Bank>>,
    log: Arc<MemoryEventStore>,
    /// What the subscriber received, once per id.
    pub received: Arc<Mutex<BTreeSet<Message>>>,
    keyring: Arc<MemoryKeyring>,
    evidence: Arc<MemoryEvidence>,
    views: Arc<MemoryViewStore>,
    ops: Arc<MemoryOps>,
    seed: u64,
}

/// What a crash takes away.
struct Process {
    fuse: Arc<Fuse>,
    call: Call,
    loops: Vec<JoinHandle<()>>,
    _stoppers: (Stopper, tokio::sync::watch::Sender<bool>),
}

/// A ledger with its surroundings.
pub struct Ledger {
    bare: Arc<App>,
    /// What outlives it.
    pub outside: Outside,
    process: Process,
    starts: u64,
    tokens: BTreeMap<&'static str, String>,
    roles: [Role; 2],
}

fn merchant(name: &str) -> MerchantId {
    MerchantId::parse(name).unwrap()
}

/// The other merchant of every history has an account, and sells nothing.
fn of_stall() -> MerchantConfig {
    let account = account(Account::Stall);
    serde_json::from_value(json!({ "merchant": "stall", "accounts": [account] })).unwrap()
}

fn account(account: Account) -> Value {
    let (minimum, look_up) = match account {
        Account::Main | Account::Stall => ("signed", true),
        Account::Strict => ("looked_up", true),
        Account::Blind => ("signed", false),
    };
    json!({
        "account": account.name(), "provider": "sim", "minimum": minimum, "look_up": look_up,
        "mode": "test", "payee": "shop",
    })
}

fn of_shop() -> MerchantConfig {
    let scenario = |scenario: Scenario| {
        json!({
            "id": scenario.name(), "currencies": ["AMD"], "amount_minor_min": "10",
            "amount_minor_max": "1000000", "life_s_max": 86_400,
            "accounts": Account::OF_SHOP.map(Account::name),
            "partial": if scenario.accumulates() { "accumulate" } else { "reject_to_review" },
            "tolerance_minor": scenario.tolerance().to_string(),
            "auto_accept_on_time": scenario.accepts_late(),
            "overrides": {
                "four_eyes_from_minor": if scenario.four_eyes() { "0" } else { "1000000" },
                "prove_within_days": scenario.proof_days(),
            },
        })
    };
    let (accounts, scenarios) = (Account::OF_SHOP.map(account), Scenario::ALL.map(scenario));
    serde_json::from_value(
        json!({ "merchant": "shop", "accounts": accounts, "scenarios": scenarios }),
    )
    .unwrap()
}

impl Outside {
    async fn new(seed: u64) -> Self {
        let entropy = Arc::new(SeededEntropy::new(seed, "keys"));
        let log = Arc::new(MemoryEventStore::new(uuid::Uuid::from_u128(7), 0));
        let keyring = Arc::new(MemoryKeyring::new(entropy.clone()));
        for account in Account::ALL {
            let purpose = SecretPurpose::ProviderInbound(account.name().to_owned());
            let secret = Secret {
                key_id: KeyId::parse("k1").unwrap(),
                value: SECRET.as_bytes().to_vec(),
                valid_from: Timestamp::from_seconds(0),
                valid_until: None,
            };
            let of = merchant(account.merchant());
            keyring.set(&of, &purpose, secret).await.unwrap();
        }
        let views = Arc::new(MemoryViewStore::new());
        for view in projections::views::all() {
            views
                .create(&view.spec(), GenerationState::Live)
                .await
                .unwrap();
        }
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(START)));
        let bank: Arc<Mutex<Bank>> = Arc::default();
        let (now, noted) = (clock.clone(), bank.clone());
        // Below the faults, so that it sees what is written whatever the callers learn.
        let witness = FusedStore {
            inner: log.clone(),
            fuse: Arc::default(),
            written: Box::new(move |stream, first| {
                if first && stream.category() == Category::Notification {
                    let heard = Heard::Received(now.now().seconds());
                    noted.lock().unwrap().heard.push(heard);
                }
            }),
        };
        Self {
            clock,
            store: Arc::new(FaultyEventStore::new(Arc::new(witness))),
            bank,
            log,
            received: Arc::default(),
            evidence: Arc::new(MemoryEvidence::new(keyring.clone(), entropy)),
            keyring,
            views,
            ops: Arc::new(MemoryOps::new()),
            seed,
        }
    }

    /// The use-cases as the `nth` process has them.
    fn app(&self, nth: u64, fuse: &Arc<Fuse>) -> Arc<App> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let store = Arc::new(FusedStore {
            inner: self.store.clone(),
            fuse: fuse.clone(),
            written: Box::new(|_, _| {}),
        });
        let provider = |account: Account| {
            let desk = Arc::new(Desk {
                account,
                bank: self.bank.clone(),
                fuse: fuse.clone(),
                clock: self.clock.clone(),
                log: self.log.clone(),
            });
            let api = (account != Account::Blind).then(|| desk.clone() as Arc<dyn ProviderApi>);
            let name = AccountSlug::parse(account.name()).unwrap();
            (
                name,
                Provider {
                    inbound: Arc::new(FactsInbound),
                    api,
                    pay_origins: vec!["https://pay.example".to_owned()],
                    refunds: Some(desk as Arc<dyn RefundApi>),
                    pace: Arc::default(),
                },
            )
        };
        let entropy = Arc::new(SeededEntropy::new(self.seed, &format!("process {nth}")));
        let (key, origin) = (InstanceKey::new([7; 32]), "ledger.example/test/1");
        let recorder = Recorder::new(
            store,
            self.keyring.clone(),
            clock,
            entropy.clone(),
            key,
            origin,
            "a",
        );
        Arc::new(App {
            destinations: Arc::new(CallableUrls::default()),
            recorder,
            evidence: self.evidence.clone(),
            secrets: self.keyring.clone(),
            passwords: Arc::new(Openly),
            views: self.views.clone(),
            ops: self.ops.clone(),
            registry: Registry::new(
                vec![of_shop(), of_stall()],
                Account::ALL.map(provider).into(),
            ),
            links: Links::new(
                LinkKey::new(InstanceKey::new([8; 32])),
                "https://ledger.example",
            ),
        })
    }

    async fn process(&self, nth: u64) -> Process {
        let fuse: Arc<Fuse> = Arc::default();
        let app = self.app(nth, &fuse);
        let (clock, store) = (app.recorder.clock().clone(), app.recorder.store().clone());
        let directory = Arc::new(CallerDirectory::new(store.clone(), clock.clone()));
        directory.catch_up().await.unwrap();
        let health: Arc<Health> = Arc::default();
        let (stopper, stop) = stopper();
        let (views_stop, views_stopped) = tokio::sync::watch::channel(false);
        let mut loops = vec![];
        for view in projections::views::all() {
            let (store, views, clock) = (store.clone(), self.views.clone(), clock.clone());
            let (health, stop) = (health.clone(), views_stopped.clone());
            let run = api::work::views::run(view, store, views, clock, health, stop);
            loops.push(tokio::spawn(run));
        }
        let each = || (app.clone(), health.clone(), stop.clone());
        let (a, h, s) = each();
        loops.push(tokio::spawn(apply_notifications::run(a, h, s)));
        let (a, h, s) = each();
        loops.push(tokio::spawn(look_up::run(a, h, s)));
        let (a, h, s) = each();
        loops.push(tokio::spawn(expire::run(a, h, s)));
        let (a, h, s) = each();
        loops.push(tokio::spawn(refund::run(a, h, s)));
        let (a, h, s) = each();
        loops.push(tokio::spawn(transfers::run(a, h, s)));
        let (a, h, s) = each();
        loops.push(tokio::spawn(overrides::run(a, h, s)));
        let (a, h, s) = each();
        let http = Arc::new(Listener {
            fuse: fuse.clone(),
            received: self.received.clone(),
        });
        loops.push(tokio::spawn(deliver::run(a, http, h, s)));
        let (d, c, h, s) = (directory.clone(), clock, health.clone(), stop.clone());
        loops.push(tokio::spawn(follow_clients::run(d, store, c, h, s)));
        let mut settings = Settings::default();
        settings.limits.client_requests_per_s = 1_000_000;
        settings.limits.address_requests_per_s = 1_000_000;
        settings.limits.operator_sign_ins_per_min = 1_000_000;
        settings.limits.address_sign_ins_per_min = 1_000_000;
        let state = HttpState::new(app.clone(), directory, health, figures(), &settings);
        let http = actix_web::App::new()
            .app_data(Data::from(Arc::new(state)))
            .wrap(from_fn(guard::round))
            .configure(configure);
        let service = Rc::new(init_service(http).await);
        let call: Call = Rc::new(move |request| {
            let service = service.clone();
            Box::pin(async move {
                let response = call_service(&*service, request.to_request()).await;
                let status = response.status().as_u16();
                let body = read_body(response).await;
                (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
            })
        });
        Process {
            fuse,
            call,
            loops,
            _stoppers: (stopper, views_stop),
        }
    }
}

/// Passwords that nobody hides: a hash would be made on another thread, at a time of its own.
struct Openly;

#[async_trait]
impl Passwords for Openly {
    async fn hash(&self, password: &Password) -> Result<String, PasswordError> {
        Ok(String::from_utf8_lossy(password.as_bytes()).into_owned())
    }

    async fn matches(
        &self,
        password: &Password,
        hash: Option<&str>,
    ) -> Result<bool, PasswordError> {
        Ok(hash.is_some_and(|hash| hash.as_bytes() == password.as_bytes()))
    }
}

/// A subscriber that takes everything.
struct Listener {
    fuse: Arc<Fuse>,
    received: Arc<Mutex<BTreeSet<Message>>>,
}

#[async_trait]
impl HttpOut for Listener {
    async fn send(&self, request: OutRequest) -> Result<OutAnswer, OutError> {
        self.fuse.pass().await;
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let id = request
            .headers
            .iter()
            .find(|(name, _)| name == "webhook-id");
        let id = id.map(|(_, value)| value.clone()).unwrap_or_default();
        let delta = text(&body["data"]["reversal"]["delta"]["minor"]);
        let delta = delta.parse().unwrap_or_default();
        let message = (id, text(&body["subject"]), text(&body["type"]), delta);
        self.received.lock().unwrap().insert(message);
        self.fuse.pass().await;
        Ok(OutAnswer {
            status: 204,
            headers: vec![],
            body: vec![],
            cut: false,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.fuse.blow();
        for work in &self.loops {
            work.abort();
        }
    }
}

impl Ledger {
    /// A new one, with its clients and one subscriber.
    pub async fn start(seed: u64) -> Self {
        let outside = Outside::new(seed).await;
        let bare = outside.app(0, &Arc::default());
        let context = Context::job("start");
        for config in [of_shop(), of_stall()] {
            let applied = apply_configuration(&bare.recorder, &context, &config);
            applied.await.unwrap();
        }
        let mut tokens = BTreeMap::new();
        for (name, of, role) in CLIENTS {
            let scenarios = Scenario::ALL.iter().filter(|_| of == "shop");
            let command = AdminCommand::ClientCreate {
                id: ClientId::parse(name).unwrap(),
                merchant: merchant(of),
                role,
                scenarios: scenarios
                    .map(|s| ScenarioId::parse(s.name()).unwrap())
                    .collect(),
                subscriber: None,
                mode: Mode::Test,
                token_days: 300,
            };
            let shown = execute(&bare, &context, command).await.unwrap();
            tokens.insert(name, shown["token"].as_str().unwrap().to_owned());
        }
        let subscriber = NewSubscriber::usual(
            SubscriberId::parse("listener").unwrap(),
            "https://listener.example/".to_owned(),
        );
        bare.add_subscriber(&merchant("shop"), &context, subscriber)
            .await
            .unwrap();
        let (role, mode) = (Role::Operator, Mode::Test);
        for name in PERSONS {
            let (id, merchant) = (OperatorId::parse(name).unwrap(), merchant("shop"));
            let create = OperatorCommand::Create {
                id: id.clone(),
                merchant,
                role,
                mode,
            };
            let password = PASSWORD.to_owned();
            for command in [create, OperatorCommand::Password { id, password }] {
                let command = AdminCommand::Operator(command);
                execute(&bare, &context, command).await.unwrap();
            }
        }
        let process = outside.process(1).await;
        Self {
            bare,
            outside,
            process,
            starts: 1,
            tokens,
            roles: [role; 2],
        }
    }

    /// Now, in seconds.
    pub fn now(&self) -> i64 {
        self.outside.clock.now().seconds()
    }

    /// The use-cases of a process that never dies, to look at the log.
    pub fn bare(&self) -> &App {
        &self.bare
    }

    /// The name of a person of the shop, who may do from here on what the role may.
    pub async fn person(&mut self, number: u8, role: Role) -> &'static str {
        let place = usize::from(number) % PERSONS.len();
        if self.roles[place] != role {
            let id = OperatorId::parse(PERSONS[place]).unwrap();
            let command = || {
                AdminCommand::Operator(OperatorCommand::Grant {
                    id: id.clone(),
                    role,
                })
            };
            let (bare, context) = (self.bare.clone(), Context::job("people"));
            loop {
                let granted = execute(&bare, &context, command());
                let done = self.answer(Box::pin(granted)).await;
                match done {
                    Some(Ok(_)) => break,
                    Some(Err(_)) => self.settle().await,
                    None => self.restart().await,
                }
            }
            self.roles[place] = role;
            self.drain().await;
        }
        PERSONS[place]
    }

    /// Its power.
    pub fn fuse(&self) -> &Fuse {
        &self.process.fuse
    }

    /// A new process over what the dead one left behind.
    pub async fn restart(&mut self) {
        self.starts += 1;
        self.process = self.outside.process(self.starts).await;
    }

    /// How many processes died.
    pub fn crashes(&self) -> u64 {
        self.starts - 1
    }

    /// Every record of the log.
    pub async fn log(&self) -> Vec<Vec<u8>> {
        let page = self
            .outside
            .store
            .read_all(None, &Filter::all(), 5_000)
            .await
            .unwrap();
        let bytes = |recorded: Recorded| serde_json::to_vec(&recorded.verified_envelope().unwrap());
        page.events
            .into_iter()
            .map(|recorded| bytes(recorded).unwrap())
            .collect()
    }

    /// Every event so far: when, where, which and what.
    pub async fn events(&self) -> Vec<(i64, String, String, String)> {
        let filter = Filter::all();
        let all = self.outside.store.read_all(None, &filter, 5_000);
        let told = |recorded: Recorded| {
            let envelope = recorded.envelope().unwrap();
            let (stream, name) = (recorded.stream.to_string(), recorded.record.event_type);
            let at = envelope.recorded_at.seconds();
            (at, stream, name.to_string(), envelope.data.to_string())
        };
        all.await.unwrap().events.into_iter().map(told).collect()
    }

    /// A loop ended, which none ever does by itself.
    pub fn a_loop_ended(&self) -> bool {
        self.process.loops.iter().any(JoinHandle::is_finished)
    }

    /// One HTTP request by a client or with the token of a session, or by a provider without either. `None` when the process died
    /// before it answered.
    pub async fn call(&self, who: Option<&str>, request: TestRequest) -> Option<(u16, Value)> {
        let bearer = who.map(|who| format!("Bearer {}", self.tokens.get(who).map_or(who, |t| t)));
        let request = match bearer {
            Some(bearer) => request.insert_header(("authorization", bearer)),
            None => request,
        };
        self.answer((self.process.call)(request)).await
    }

    /// What comes of something while everybody else goes on; `None` when the process died before.
    async fn answer<T>(&self, mut answer: LocalBoxFuture<'_, T>) -> Option<T> {
        // A store that is away makes callers wait for the clock.
        for _ in 0..400 {
            if let Some(answer) = answer.as_mut().now_or_never() {
                return Some(answer);
            }
            if self.process.fuse.blown() {
                return None;
            }
            self.drain().await;
            if let Some(answer) = answer.as_mut().now_or_never() {
                return Some(answer);
            }
            self.outside.clock.advance(Duration::from_secs(1));
        }
        panic!("a call is never answered");
    }

    /// Lets everybody finish what can be finished without the clock.
    pub async fn drain(&self) {
        loop {
            let before = self.process.fuse.effects();
            for _ in 0..YIELDS {
                tokio::task::yield_now().await;
            }
            if before == self.process.fuse.effects() {
                return;
            }
        }
    }

    /// Lets every loop have its turns, until nothing more happens by itself.
    pub async fn settle(&self) {
        let mut quiet = 0;
        for _ in 0..TURNS_MAX {
            let before = self.process.fuse.effects();
            self.drain().await;
            self.outside.clock.advance(Duration::from_secs(1));
            self.drain().await;
            quiet = if before == self.process.fuse.effects() {
                quiet + 1
            } else {
                0
            };
            if quiet == QUIET_TURNS || self.process.fuse.blown() {
                return;
            }
        }
    }
}
