//! The use-cases over stores in memory, a clock that tests move, and a provider that says what the
//! test wrote down for it. No loop runs: a test does each step itself.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adapters::keys::{Argon2Passwords, MemoryEvidence, MemoryKeyring};
use adapters::memory::{ManualClock, MemoryEventStore, MemoryOps, MemoryViewStore, SeededEntropy};
use adapters::providers::sim::SimInbound;
use api::app::App;
use api::app::caller::{Caller, Who};
use api::app::context::Context;
use api::app::create::{NewOrder, NewPaymentRequest, Pricing};
use api::app::links::Links;
use api::app::recorder::Recorder;
use api::app::registry::{Provider, Registry};
use async_trait::async_trait;
use domain::access::scope::Scope;
use domain::checkout::LinkKey;
use domain::digest::InstanceKey;
use domain::idempotency::{Idempotency, KeyScope};
use domain::ids::{
    AccountSlug, ClientId, IdempotencyKey, MerchantId, OrderId, PaymentRequestId, ProviderRef,
    ScenarioId,
};
use domain::money::{Currency, Money};
use domain::payment::Request;
use domain::payment::evidence::Mode;
use domain::payment::exception::ExceptionKind;
use domain::payment::fact::{Fact, FactKind};
use domain::ports::{LookUp, LookUpOutcome, ProviderApi, RegisterOutcome, Registration};
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;

/// An account that can be asked, and one that cannot.
const SHOP: &str = r#"
[[merchants]]
merchant = "shop"
[[merchants.accounts]]
account = "asked"
provider = "sim"
minimum = "signed"
look_up = true
mode = "test"
[[merchants.accounts]]
account = "silent"
provider = "sim"
minimum = "signed"
look_up = false
mode = "test"
[[merchants.scenarios]]
id = "web"
currencies = ["AMD"]
amount_minor_min = "100"
amount_minor_max = "500000000"
life_s_max = 86400
accounts = ["asked", "silent"]
[connections.asked]
url = "https://provider.example"
[connections.silent]
url = "https://provider.example"
"#;

/// What every request of this world is about.
pub const PRICE: i64 = 150_000;
/// How long every request lives.
pub const LIFE: Duration = Duration::from_secs(3600);

/// Says what it was told to say. Without a word it registers everything under an order of its own and
/// cannot say what became of it.
#[derive(Debug, Default)]
pub struct ScriptedProvider {
    registrations: Mutex<VecDeque<RegisterOutcome>>,
    answers: Mutex<BTreeMap<String, LookUpOutcome>>,
    asked: Mutex<Vec<String>>,
    cancelled: Mutex<Vec<String>>,
}

impl ScriptedProvider {
    /// The answer to the next registration.
    pub fn next_registration(&self, outcome: RegisterOutcome) {
        self.registrations.lock().unwrap().push_back(outcome);
    }

    /// The answer to every look-up of this reference from now on.
    pub fn looked_up(&self, our_reference: &str, outcome: LookUpOutcome) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(our_reference.to_owned(), outcome);
    }

    /// References that were looked up.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// References whose sessions were closed.
    pub fn cancelled(&self) -> Vec<String> {
        self.cancelled.lock().unwrap().clone()
    }
}

#[async_trait]
impl ProviderApi for ScriptedProvider {
    async fn register(&self, registration: &Registration) -> RegisterOutcome {
        let told = self.registrations.lock().unwrap().pop_front();
        told.unwrap_or_else(|| registered(&format!("order-{}", registration.our_reference)))
    }

    async fn look_up(&self, look_up: &LookUp) -> LookUpOutcome {
        let mut asked = self.asked.lock().unwrap();
        asked.push(look_up.our_reference.to_string());
        let answers = self.answers.lock().unwrap();
        let told = answers.get(look_up.our_reference.as_str()).cloned();
        told.unwrap_or_else(|| LookUpOutcome::Unknown {
            why: "timeout".to_owned(),
            retry_after_s: None,
        })
    }

    async fn cancel(&self, look_up: &LookUp) {
        let mut cancelled = self.cancelled.lock().unwrap();
        cancelled.push(look_up.our_reference.to_string());
    }
}

/// The provider made this order.
pub fn registered(order: &str) -> RegisterOutcome {
    RegisterOutcome::Registered {
        provider_order_ref: Some(reference(order)),
        pay_url: Some("https://pay.example/".to_owned()),
        session_expires_at: None,
    }
}

/// The provider says these facts.
pub fn says(facts: &[Fact]) -> LookUpOutcome {
    LookUpOutcome::Answered {
        facts: facts.to_vec(),
        raw: b"{}".to_vec(),
        media: "application/json".to_owned(),
    }
}

/// A provider's identifier.
pub fn reference(text: &str) -> ProviderRef {
    ProviderRef::parse(text).unwrap()
}

/// All of the price, in one movement of money.
pub fn captured(transaction: &str) -> Fact {
    Fact {
        transaction: Some(reference(transaction)),
        amount: Some(price()),
        ..Fact::bare(FactKind::Captured)
    }
}

/// The price.
pub fn price() -> Money {
    Money::new(PRICE, Currency::from_code("AMD").unwrap()).unwrap()
}

/// The world.
pub struct MoneyWorld {
    /// The clock of everybody.
    pub clock: Arc<ManualClock>,
    /// The use-cases.
    pub app: Arc<App>,
    /// The provider of every account.
    pub provider: Arc<ScriptedProvider>,
    caller: Caller,
}

impl Default for MoneyWorld {
    fn default() -> Self {
        Self::new()
    }
}

impl MoneyWorld {
    /// An empty log.
    pub fn new() -> Self {
        let (settings, _) = api::config::load::parse(SHOP, []).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        let entropy = Arc::new(SeededEntropy::new(1, "money"));
        let keyring = Arc::new(MemoryKeyring::new(entropy.clone()));
        let provider = Arc::new(ScriptedProvider::default());
        let halves = |_: &str| Provider {
            inbound: Arc::new(SimInbound),
            api: Some(provider.clone()),
            pay_origins: vec!["https://provider.example".to_owned()],
        };
        let providers = ["asked", "silent"].map(|name| (account(name), halves(name)));
        let recorder = Recorder::new(
            Arc::new(MemoryEventStore::new(uuid::Uuid::from_u128(7), 0)),
            keyring.clone(),
            clock.clone(),
            entropy.clone(),
            InstanceKey::new([7; 32]),
            "ledger.example/test/1",
            "a",
        );
        let app = Arc::new(App {
            recorder,
            evidence: Arc::new(MemoryEvidence::new(keyring.clone(), entropy.clone())),
            secrets: keyring,
            passwords: Arc::new(Argon2Passwords::cheap(entropy)),
            views: Arc::new(MemoryViewStore::new()),
            ops: Arc::new(MemoryOps::new()),
            registry: Registry::new(settings.merchants, BTreeMap::from(providers)),
            links: Links::new(
                LinkKey::new(InstanceKey::new([8; 32])),
                "https://ledger.example",
            ),
        });
        let caller = Caller {
            who: Who::Client(ClientId::parse("backend").unwrap()),
            merchant: MerchantId::parse("shop").unwrap(),
            mode: Mode::Test,
            key_id: "k".to_owned(),
            scopes: [Scope::AmountSet].into(),
            scenarios: [ScenarioId::parse("web").unwrap()].into(),
            own_only: false,
        };
        Self {
            clock,
            app,
            provider,
            caller,
        }
    }

    /// An account is taken out of the configuration, and the ledger starts again.
    pub fn forget_account(&mut self, name: &str) {
        let (settings, _) = api::config::load::parse(SHOP, []).unwrap();
        let halves = |name: &str| self.app.account(&account(name)).unwrap().2.clone();
        let others = ["asked", "silent"]
            .into_iter()
            .filter(|known| *known != name);
        let providers = others.map(|name| (account(name), halves(name)));
        let registry = Registry::new(settings.merchants, providers.collect());
        self.app = Arc::new(App {
            recorder: self.app.recorder.clone(),
            evidence: self.app.evidence.clone(),
            secrets: self.app.secrets.clone(),
            passwords: self.app.passwords.clone(),
            views: self.app.views.clone(),
            ops: self.app.ops.clone(),
            registry,
            links: self.app.links.clone(),
        });
    }

    /// The backend of the shop.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// A command of the backend with this key.
    pub fn context(&self, key: &str) -> Context {
        let scope = KeyScope {
            merchant: &self.caller.merchant,
            caller: &self.caller.who.key(),
            route: "test",
        };
        let mut context = Context::of(self.caller.actor(), "test");
        context.idempotency = Some(Idempotency::of(
            self.app.recorder.key(),
            &scope,
            &IdempotencyKey::parse(key).unwrap(),
            b"{}",
        ));
        context
    }

    /// A request for an order; `supersede` replaces an open one.
    pub async fn create(&self, order: &str, key: &str, supersede: bool) -> PaymentRequestId {
        let new = NewPaymentRequest {
            pricing: Pricing::Amount {
                amount: price(),
                order: NewOrder {
                    order_id: OrderId::parse(order).unwrap(),
                    scenario: ScenarioId::parse("web").unwrap(),
                    customer_ref: None,
                },
            },
            expires_in_s: Some(u32::try_from(LIFE.as_secs()).unwrap()),
            supersede,
            correlation_id: None,
        };
        let created = self
            .app
            .create_payment_request(&self.caller, &self.context(key), new)
            .await;
        created.unwrap().request.terms().id.clone()
    }

    /// A request with a first attempt at an account: its id and our reference.
    pub async fn attempt(&self, order: &str, at: &str) -> (PaymentRequestId, String) {
        let id = self.create(order, order, false).await;
        self.start(&id, at).await;
        let reference = format!("{id}-1");
        (id, reference)
    }

    /// A further attempt.
    pub async fn start(&self, id: &PaymentRequestId, at: &str) {
        let key = format!("start-{}", self.events(id).await.len());
        let started = self
            .app
            .start_attempt(&self.caller, &self.context(&key), id, Some(&account(at)))
            .await;
        started.unwrap();
    }

    /// A request for an order that was called off, and whose payer paid all the same. Its transaction is
    /// `tx-<key>`.
    pub async fn paid_after_cancel(&self, order: &str, key: &str) -> PaymentRequestId {
        let id = self.create(order, key, false).await;
        self.start(&id, "asked").await;
        let ours = format!("{id}-1");
        let nobody_paid = says(&[Fact::bare(FactKind::Registered)]);
        self.provider.looked_up(&ours, nobody_paid);
        let cancel = self.context(&format!("cancel-{key}"));
        let cancelled = self.app.cancel(&self.caller, &cancel, &id).await;
        cancelled.unwrap();
        let late = says(&[captured(&format!("tx-{key}"))]);
        self.provider.looked_up(&ours, late);
        self.look_up(&id, 1).await;
        id
    }

    /// The provider is asked about an attempt.
    pub async fn look_up(&self, id: &PaymentRequestId, attempt_no: u32) {
        let context = Context::job("test");
        let asked = self.app.look_up_attempt(id, attempt_no, &context).await;
        asked.unwrap();
    }

    /// The request as it is.
    pub async fn request(&self, id: &PaymentRequestId) -> Request {
        self.app
            .fold_request(id, None)
            .await
            .unwrap()
            .state
            .unwrap()
    }

    /// Kinds of a request's cases, in order.
    pub async fn cases(&self, id: &PaymentRequestId) -> Vec<ExceptionKind> {
        let request = self.request(id).await;
        request.cases().values().map(|case| case.kind).collect()
    }

    /// Names of a request's events.
    pub async fn events(&self, id: &PaymentRequestId) -> Vec<String> {
        let stream = StreamId::payment_request(id);
        let store = self.app.recorder.store();
        let page = store.read_stream(&stream, Version::FIRST, 1_000).await;
        let names = page.unwrap().into_iter();
        names.map(|e| e.record.event_type.to_string()).collect()
    }
}

fn account(name: &str) -> AccountSlug {
    AccountSlug::parse(name).unwrap()
}
