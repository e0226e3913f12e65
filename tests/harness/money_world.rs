//! The use-cases over stores in memory, a clock that tests move, and a provider that says what the
//! test wrote down for it. No loop runs: a test does each step itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adapters::http_out::CallableUrls;
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
use api::work::supervise::stopper;
use api::work::{Health, look_up};
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
use domain::ports::{
    Clock, LookUp, LookUpOutcome, ProviderApi, RefundApi, RegisterOutcome, Registration, SessionEnd,
};
use domain::stream::{StreamId, Version};
use domain::time::Timestamp;
use projections::ports::At;
use projections::views::timers::{self, TimersView};
use tokio::sync::watch;

use crate::refund_bank::RefundBank;

const ACCOUNTS: [&str; 3] = ["asked", "silent", "second"];

/// An account that can be asked, one that cannot, and a second one that can.
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
[[merchants.accounts]]
account = "second"
provider = "sim"
minimum = "signed"
look_up = true
mode = "test"
[[merchants.scenarios]]
id = "web"
currencies = ["AMD"]
amount_minor_min = "100"
amount_minor_max = "500000000"
life_s_max = 86400
accounts = ["asked", "silent", "second"]
[connections.asked]
url = "https://provider.example"
[connections.silent]
url = "https://provider.example"
[connections.second]
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
    registered: Mutex<Vec<String>>,
    answers: Mutex<BTreeMap<String, LookUpOutcome>>,
    asked: Mutex<Vec<String>>,
    cancelled: Mutex<Vec<String>>,
    afterwards: Mutex<BTreeMap<String, LookUpOutcome>>,
    ends_once: AtomicBool,
    hangs: AtomicBool,
    mute: Mutex<BTreeSet<String>>,
    registers_slowly: watch::Sender<bool>,
}

impl ScriptedProvider {
    /// The answer to the next registration.
    pub fn next_registration(&self, outcome: RegisterOutcome) {
        self.registrations.lock().unwrap().push_back(outcome);
    }

    /// References that it was asked to register.
    pub fn registered(&self) -> Vec<String> {
        self.registered.lock().unwrap().clone()
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

    /// References whose sessions it was asked to end, as often as it was.
    pub fn cancelled(&self) -> Vec<String> {
        self.cancelled.lock().unwrap().clone()
    }

    /// The answer to look-ups of this reference as soon as it was asked to end the session.
    pub fn once_cancelled(&self, our_reference: &str, outcome: LookUpOutcome) {
        let mut afterwards = self.afterwards.lock().unwrap();
        afterwards.insert(our_reference.to_owned(), outcome);
    }

    /// From now on it does not say what a second call to end a session would do.
    pub fn ends_sessions_once(&self) {
        self.ends_once.store(true, Ordering::SeqCst);
    }

    /// Look-ups of this reference do not come back.
    pub fn is_mute_about(&self, our_reference: &str) {
        self.mute.lock().unwrap().insert(our_reference.to_owned());
    }

    /// Registrations do not come back until they do again.
    pub fn registers_slowly(&self, slowly: bool) {
        self.registers_slowly.send_replace(slowly);
    }

    /// Calls to end a session do not come back, or do again.
    pub fn hangs(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }
}

#[async_trait]
impl ProviderApi for ScriptedProvider {
    async fn register(&self, registration: &Registration) -> RegisterOutcome {
        let reference = registration.our_reference.to_string();
        self.registered.lock().unwrap().push(reference);
        let mut slowly = self.registers_slowly.subscribe();
        slowly.wait_for(|slowly| !slowly).await.unwrap();
        let told = self.registrations.lock().unwrap().pop_front();
        told.unwrap_or_else(|| registered(&format!("order-{}", registration.our_reference)))
    }

    async fn look_up(&self, look_up: &LookUp) -> LookUpOutcome {
        let reference = look_up.our_reference.to_string();
        self.asked.lock().unwrap().push(reference.clone());
        let mute = self.mute.lock().unwrap().contains(&reference);
        if mute {
            std::future::pending::<()>().await;
        }
        let told = self.answers.lock().unwrap().get(&reference).cloned();
        told.unwrap_or_else(unknown)
    }

    fn session_end(&self) -> SessionEnd {
        if self.ends_once.load(Ordering::SeqCst) {
            SessionEnd::Once
        } else {
            SessionEnd::Repeatable
        }
    }

    async fn cancel(&self, look_up: &LookUp) {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let reference = look_up.our_reference.to_string();
        let told = self.afterwards.lock().unwrap().remove(&reference);
        if let Some(told) = told {
            self.looked_up(&reference, told);
        }
        self.cancelled.lock().unwrap().push(reference);
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

/// The provider cannot say.
pub fn unknown() -> LookUpOutcome {
    LookUpOutcome::Unknown {
        why: "timeout".to_owned(),
        retry_after: None,
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
    /// Gives money of the account `asked` back.
    pub bank: Arc<RefundBank>,
    evidence: Arc<MemoryEvidence>,
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
        let evidence = Arc::new(MemoryEvidence::new(keyring.clone(), entropy.clone()));
        let provider = Arc::new(ScriptedProvider::default());
        let bank = Arc::new(RefundBank::default());
        let parts = |name: &str| Provider {
            inbound: Arc::new(SimInbound),
            api: Some(provider.clone()),
            refunds: (name == "asked").then(|| bank.clone() as Arc<dyn RefundApi>),
            pace: Arc::default(),
            pay_origins: vec!["https://provider.example".to_owned()],
        };
        let providers = ACCOUNTS.map(|name| (account(name), parts(name)));
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
            destinations: Arc::new(CallableUrls::default()),
            evidence: evidence.clone(),
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
            subscriber: None,
            own_only: false,
        };
        Self {
            clock,
            app,
            provider,
            bank,
            evidence,
            caller,
        }
    }

    /// How many raw answers are kept.
    pub fn kept_bytes(&self) -> usize {
        self.evidence.kept()
    }

    /// An account is taken out of the configuration, and the ledger starts again.
    pub fn forget_account(&mut self, name: &str) {
        let (settings, _) = api::config::load::parse(SHOP, []).unwrap();
        let halves = |name: &str| self.app.account(&account(name)).unwrap().2.clone();
        let others = ACCOUNTS.into_iter().filter(|known| *known != name);
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
            destinations: self.app.destinations.clone(),
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

    /// Lets the ledger run for so much time, as after a start: the view of timers and the loop of
    /// look-ups. The clock goes on by `step` at a time. Gives what the loop said of itself last.
    pub async fn runs_for(&self, time: Duration, step: Duration) -> Option<String> {
        let (app, health) = (Arc::clone(&self.app), Arc::<Health>::default());
        let (view_stopper, view_stop) = watch::channel(false);
        let view = tokio::spawn(api::work::views::run(
            Arc::new(TimersView),
            Arc::clone(app.recorder.store()),
            Arc::clone(&app.views),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            Arc::clone(&health),
            view_stop,
        ));
        let (stopper, stop) = stopper();
        let asking = tokio::spawn(look_up::run(Arc::clone(&app), Arc::clone(&health), stop));
        let until = self.clock.now().plus(time);
        self.has_settled(&health).await;
        while self.clock.now() < until {
            self.clock.advance(step.min(until.since(self.clock.now())));
            self.has_settled(&health).await;
        }
        stopper.stop();
        view_stopper.send_replace(true);
        view.await.unwrap();
        // Questions that never come back are given up with the process.
        let patience = tokio::time::timeout(Duration::from_millis(200), asking);
        let _ = patience.await;
        health.parts().remove(look_up::NAME)?.note
    }

    /// Until the view has caught up, and the loop has looked twice and asked what it could.
    async fn has_settled(&self, health: &Health) {
        let looked = |since| {
            health
                .parts()
                .get(look_up::NAME)
                .is_some_and(|p| p.at >= since)
        };
        for _ in 0..2 {
            while !self.timers_have_caught_up().await || !looked(self.clock.now()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
            self.clock.advance(Duration::from_millis(500));
        }
    }

    async fn timers_have_caught_up(&self) -> bool {
        let head = self.app.recorder.store().head().await.unwrap();
        let standing = self.app.views.standing(&timers::SPEC, At::Live).await;
        let checkpoint = standing.ok().and_then(|standing| standing.checkpoint);
        checkpoint.map(|checkpoint| checkpoint.position) >= head
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
