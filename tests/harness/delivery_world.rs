//! Everything that tells subscribers: an event log, the queue of deliveries and the dispatcher, over
//! stores in memory and a clock that tests move, with real requests to receivers on this machine.
//!
//! What a test changes, it changes as the ledger would: by events and use-cases.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use adapters::http_out::{AddressGuard, CallableUrls, CheckedHttp, Cidr, HttpOutOptions};
use adapters::keys::{Argon2Passwords, MemoryEvidence, MemoryKeyring};
use adapters::memory::{
    FaultyEventStore, ManualClock, MemoryEventStore, MemoryOps, MemoryViewStore, SeededEntropy,
};
use api::app::App;
use api::app::context::Context;
use api::app::deliveries::{DeliveryFilter, NewBatch};
use api::app::links::Links;
use api::app::pull::Start;
use api::app::recorder::{Decision, Draft, Recorder};
use api::app::registry::Registry;
use api::app::subscribers::{Destination, NewSubscriber};
use api::work::supervise::{Stopper, stopper};
use api::work::{Health, batches, deliver};
use async_trait::async_trait;
use domain::checkout::LinkKey;
use domain::delivery::{Command, Consumer};
use domain::digest::InstanceKey;
use domain::ids::{
    AccountSlug, BatchId, ClientId, DeliveryId, MerchantId, OrderId, PaymentRequestId,
    ProviderCode, ProviderRef, ReasonCode, ScenarioId, SubscriberId,
};
use domain::money::{Currency, MinorText, Money, Sum};
use domain::payment::event::{RefundKind, VerificationMethod};
use domain::payment::evidence::{EvidenceClass, Mode};
use domain::payment::{CaptureKey, Event, PartialPolicy, PricedBy, Rules, Terms};
use domain::ports::{Clock, EventStore as _, Expect, HttpOut, OutAnswer, OutError, OutRequest};
use domain::stream::{StreamId, Version};
use domain::subscriber::{BatchOrder, FailedFilter};
use domain::time::Timestamp;
use projections::engine::{Runner, RunnerSettings, Step};
use projections::ports::{GenerationState, ViewStore};
use projections::rebuild::{Rebuild, Rebuilt};
use projections::view::View;
use projections::views::delivery_queue::{
    self, BatchRow, DeliveryQueueView, DeliveryRow, QueueState,
};
use tokio::task::JoinHandle;

/// A try that hangs is cut after this much real time; the dispatcher itself asks for 15 s.
const HANGS_MAX: Duration = Duration::from_millis(400);
/// How often a test looks before it gives up.
const LOOKS_MAX: u32 = 4_000;

/// Real requests, counted, with a deadline that a test can wait for.
struct Hurried {
    inner: CheckedHttp,
    sent: Arc<AtomicUsize>,
    hangs_max: Mutex<Duration>,
}

#[async_trait]
impl HttpOut for Hurried {
    async fn send(&self, mut request: OutRequest) -> Result<OutAnswer, OutError> {
        assert_eq!(request.deadline, Duration::from_secs(15));
        assert_eq!(request.answer_bytes_max, 16 * 1024);
        self.sent.fetch_add(1, Ordering::SeqCst);
        request.deadline = *self.hangs_max.lock().unwrap();
        self.inner.send(request).await
    }
}

/// A dispatcher with everything around it.
pub struct DeliveryWorld {
    /// The clock of everybody.
    pub clock: Arc<ManualClock>,
    /// The log, which can be told to fail.
    pub store: Arc<FaultyEventStore>,
    /// The use-cases.
    pub app: Arc<App>,
    /// What the dispatcher says of itself.
    pub health: Arc<Health>,
    /// How far the clock moves between two looks.
    pub stride: Duration,
    views: Arc<MemoryViewStore>,
    runner: Runner,
    http: Arc<Hurried>,
    stores: Stores,
    working: Option<(Stopper, JoinHandle<()>)>,
    others: Vec<(Stopper, JoinHandle<()>)>,
    carrying: Option<(Stopper, JoinHandle<()>)>,
}

/// What all nodes share.
struct Stores {
    store: Arc<FaultyEventStore>,
    keyring: Arc<MemoryKeyring>,
    views: Arc<MemoryViewStore>,
    ops: Arc<MemoryOps>,
    clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
}

impl Stores {
    /// The use-cases as a node of this name has them.
    fn app(&self, node: &str) -> Arc<App> {
        let recorder = Recorder::new(
            self.store.clone(),
            self.keyring.clone(),
            self.clock.clone(),
            self.entropy.clone(),
            InstanceKey::new([7; 32]),
            "ledger.example/test/1",
            node,
        );
        Arc::new(App {
            recorder,
            evidence: Arc::new(MemoryEvidence::new(
                self.keyring.clone(),
                self.entropy.clone(),
            )),
            secrets: self.keyring.clone(),
            passwords: Arc::new(Argon2Passwords::cheap(self.entropy.clone())),
            destinations: Arc::new(urls()),
            views: self.views.clone(),
            ops: self.ops.clone(),
            registry: Registry::new(vec![], BTreeMap::new()),
            links: Links::new(
                LinkKey::new(InstanceKey::new([8; 32])),
                "https://ledger.example",
            ),
        })
    }
}

/// Subscribers listen on this machine.
fn urls() -> CallableUrls {
    CallableUrls {
        guard: AddressGuard::allowing(vec![Cidr::parse("127.0.0.0/8").unwrap()]),
        allow_http: true,
    }
}

/// The merchant of all subscribers and payments here.
pub fn shop() -> MerchantId {
    MerchantId::parse("shop").unwrap()
}

/// All deliveries are in this state, and there are some.
pub fn all(state: QueueState) -> impl Fn(&[DeliveryRow]) -> bool {
    move |rows| !rows.is_empty() && rows.iter().all(|row| row.state == state)
}

/// One delivery at least is in this state.
pub fn any(state: QueueState) -> impl Fn(&[DeliveryRow]) -> bool {
    move |rows| rows.iter().any(|row| row.state == state)
}

/// The state of each.
pub fn states(rows: &[DeliveryRow]) -> Vec<QueueState> {
    rows.iter().map(|row| row.state).collect()
}

/// A time to let pass.
pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn by_operator() -> Context {
    Context::job("test")
}

fn view() -> Arc<dyn View> {
    Arc::new(DeliveryQueueView)
}

/// The payment of this letter.
pub fn request_id(letter: char) -> PaymentRequestId {
    PaymentRequestId::parse(format!("pr_{}", letter.to_string().repeat(26))).unwrap()
}

impl DeliveryWorld {
    /// An empty log and a dispatcher at work.
    pub async fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap());
        let clock = Arc::new(ManualClock::at(now));
        let entropy = Arc::new(SeededEntropy::new(1, "deliveries"));
        let log = MemoryEventStore::new(uuid::Uuid::from_u128(7), 0);
        let store = Arc::new(FaultyEventStore::new(Arc::new(log)));
        let views = Arc::new(MemoryViewStore::new());
        let spec = view().spec();
        views.create(&spec, GenerationState::Live).await.unwrap();
        let stores = Stores {
            keyring: Arc::new(MemoryKeyring::new(entropy.clone())),
            ops: Arc::new(MemoryOps::new()),
            clock: clock.clone(),
            store: store.clone(),
            views: views.clone(),
            entropy,
        };
        let app = stores.app("a");
        let options = HttpOutOptions {
            urls: urls(),
            ..HttpOutOptions::default()
        };
        let http = Hurried {
            inner: CheckedHttp::new(options).unwrap(),
            sent: Arc::default(),
            hangs_max: Mutex::new(HANGS_MAX),
        };
        let settings = RunnerSettings::default();
        let (runner, _) = Runner::new(
            view(),
            store.clone(),
            views.clone(),
            clock.clone(),
            settings,
        );
        let mut world = Self {
            clock,
            store,
            app,
            health: Arc::default(),
            stride: Duration::from_millis(20),
            views,
            runner,
            http: Arc::new(http),
            stores,
            working: None,
            others: vec![],
            carrying: None,
        };
        world.start_dispatcher();
        world
    }

    /// From now on a try that hangs is cut after this much real time.
    pub fn hangs_for(&self, time: Duration) {
        *self.http.hangs_max.lock().unwrap() = time;
    }

    /// Starts one more dispatcher, on a node of this name over the same stores.
    pub fn start_node(&mut self, name: &str) {
        let (stopper, stop) = stopper();
        let (app, http) = (self.stores.app(name), self.http.clone());
        let work = tokio::spawn(deliver::run(app, http, Arc::default(), stop));
        self.others.push((stopper, work));
    }

    /// Starts a dispatcher, as a new process would.
    pub fn start_dispatcher(&mut self) {
        let (stopper, stop) = stopper();
        let (app, http, health) = (self.app.clone(), self.http.clone(), self.health.clone());
        let work = tokio::spawn(deliver::run(app, http, health, stop));
        self.working = Some((stopper, work));
    }

    /// Ends the dispatcher in the middle of what it is doing.
    pub async fn kill_dispatcher(&mut self) {
        let (_, work) = self.working.take().unwrap();
        work.abort();
        let _ = work.await;
    }

    /// Starts carrying batches out, as a new process would.
    pub fn start_batches(&mut self) {
        let (stopper, stop) = stopper();
        let (app, health) = (self.app.clone(), self.health.clone());
        let work = tokio::spawn(batches::run(app, health, stop));
        self.carrying = Some((stopper, work));
    }

    /// Ends that in the middle of what it is doing.
    pub async fn kill_batches(&mut self) {
        let (_, work) = self.carrying.take().unwrap();
        work.abort();
        let _ = work.await;
    }

    /// Somebody asks for a batch about everything that failed for a subscriber.
    pub async fn start_batch(&self, name: &str, order: BatchOrder, per_second: u32) -> BatchId {
        let new = NewBatch {
            subscriber: SubscriberId::parse(name).unwrap(),
            order,
            which: FailedFilter::default(),
            per_second,
        };
        let reason = (ReasonCode::parse("receiver_fixed").unwrap(), None);
        let (merchant, context) = (shop(), by_operator());
        let started = self.app.start_batch(&merchant, &context, new, reason);
        // It waits for the queue, which hears of the log only when the test lets it.
        let moving = async {
            loop {
                self.clock.advance(seconds(1));
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            started = started => started.unwrap().0,
            () = moving => unreachable!(),
        }
    }

    /// A batch as the queue knows it.
    pub async fn batch(&self, id: &BatchId) -> BatchRow {
        self.app.batch(&shop(), id).await.unwrap()
    }

    /// How many requests were sent, whoever received them.
    pub fn sent(&self) -> usize {
        self.http.sent.load(Ordering::SeqCst)
    }

    /// Lets the queue take in the log.
    pub async fn catch_up(&mut self) {
        while self.runner.step().await.unwrap() == Step::Moved {}
    }

    /// Lets time pass until something is so.
    pub async fn until(
        &mut self,
        what: &str,
        so: impl Fn(&[DeliveryRow]) -> bool,
    ) -> Vec<DeliveryRow> {
        for _ in 0..LOOKS_MAX {
            self.catch_up().await;
            let rows = self.rows().await;
            if so(&rows) {
                return rows;
            }
            self.pass().await;
        }
        panic!("it never came to this: {what}; {:#?}", self.rows().await);
    }

    /// Lets so much time pass, in strides.
    pub async fn quiet(&mut self, duration: Duration) {
        let strides = duration.as_millis().div_ceil(self.stride.as_millis());
        for _ in 0..strides {
            self.catch_up().await;
            self.pass().await;
        }
        self.catch_up().await;
    }

    async fn pass(&self) {
        self.clock.advance(self.stride);
        // Real requests need a moment of real time.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }

    /// Every delivery, in the order of their events.
    pub async fn rows(&self) -> Vec<DeliveryRow> {
        let filter = DeliveryFilter::default();
        let page = self
            .app
            .list_deliveries(&shop(), &filter, None, 500)
            .await
            .unwrap();
        let mut rows = page.rows;
        rows.sort_by_key(|row| (row.created_at, row.subject.clone(), row.sequence));
        rows
    }

    /// The outcomes of a delivery, by type.
    pub async fn outcomes(&self, delivery: &DeliveryId) -> Vec<String> {
        let stream = StreamId::delivery(delivery);
        let read = self.store.read_stream(&stream, Version::FIRST, 100).await;
        let types = read.unwrap().into_iter();
        types
            .map(|event| event.envelope().unwrap().event_type)
            .collect()
    }

    /// Fills the queue anew beside the live one, and makes it live.
    pub async fn rebuild(&self) -> Rebuilt {
        let (store, views, clock) = (self.store.clone(), self.views.clone(), self.clock.clone());
        let (_go_on, stop) = tokio::sync::watch::channel(false);
        let rebuild = Rebuild::new(view(), store, views, clock).with_page(3);
        rebuild.rebuild(&|_| {}, &stop).await.unwrap()
    }

    /// Generations of the queue, as the store knows them.
    pub async fn generations(&self) -> Vec<u32> {
        let generations = self.views.generations().await.unwrap();
        let of_queue = generations
            .into_iter()
            .filter(|known| known.view == delivery_queue::SPEC.name);
        of_queue.map(|known| known.number).collect()
    }

    /// A subscriber of the shop; gives its signing secret.
    pub async fn subscribe(&self, name: &str, url: &str) -> String {
        let new = NewSubscriber::usual(SubscriberId::parse(name).unwrap(), url);
        let added = self
            .app
            .add_subscriber(&shop(), &by_operator(), new)
            .await
            .unwrap();
        added.1.unwrap()
    }

    /// A subscriber of the shop that fetches its events.
    pub async fn subscribe_to_pull(&self, name: &str) {
        let id = SubscriberId::parse(name).unwrap();
        let new = NewSubscriber::to(id, Destination::Pull);
        let (shop, context) = (shop(), by_operator());
        let added = self.app.add_subscriber(&shop, &context, new);
        added.await.unwrap();
    }

    /// Its receiver fetches what is open, and says that it has it.
    pub async fn fetch_all(&self, name: &str) {
        let (shop, id) = (shop(), SubscriberId::parse(name).unwrap());
        let page = self.app.pull_events(&shop, &id, &Start::Open, 500).await;
        let cursor = page.unwrap().cursor.unwrap();
        let consumer = Consumer::Client(ClientId::parse("box").unwrap());
        let context = by_operator();
        let app = &self.app;
        let ended = app.acknowledge_events(&shop, &id, &context, &cursor, consumer);
        ended.await.unwrap();
    }

    /// A command to a subscriber, from a person.
    pub async fn command(&self, name: &str, command: &domain::subscriber::Command) {
        let id = SubscriberId::parse(name).unwrap();
        let done = self
            .app
            .command_subscriber(&shop(), &id, &by_operator(), std::slice::from_ref(command))
            .await;
        done.unwrap();
    }

    /// A command to a delivery, from a person.
    pub async fn decide(&self, delivery: &DeliveryId, command: &Command) {
        let reason = (ReasonCode::parse("checked").unwrap(), None);
        let done = self
            .app
            .command_delivery(&shop(), delivery, &by_operator(), command, reason)
            .await;
        done.unwrap();
    }

    /// A payment that is asked for, made and verified in one go.
    pub async fn pay(&self, letter: char) {
        let events = [created(letter), started(), captured(), verified()];
        self.append(letter, Expect::NoStream, &events).await;
    }

    /// Some of it goes back: the second event that subscribers hear of this payment.
    pub async fn refund(&self, letter: char) {
        let refund = Event::RefundSettled {
            capture: capture(),
            kind: RefundKind::Refund,
            reversal: Some(ProviderRef::parse("rf-1").unwrap()),
            applied: MinorText(400),
            unapplied: MinorText(0),
            cumulative: Sum::new(400, amount().currency()),
            requested: false,
            refund: None,
        };
        self.append(letter, Expect::Exact(Version(3)), &[refund])
            .await;
    }

    async fn append(&self, letter: char, expect: Expect, events: &[Event]) {
        let (stream, merchant) = (StreamId::payment_request(&request_id(letter)), shop());
        let decision = Decision {
            stream: &stream,
            expect,
            merchant: Some(&merchant),
            command: "test",
            context: &by_operator(),
            drafts: events.iter().map(Draft::of).collect(),
            claims: vec![],
        };
        self.app.recorder.append(decision).await.unwrap();
        // No two payments are of one moment, so that their order is told by time.
        self.clock.advance(Duration::from_millis(1));
    }

    /// Now, by the clock of everybody.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn amount() -> Money {
    Money::new(1_000, Currency::from_code("AMD").unwrap()).unwrap()
}

fn capture() -> CaptureKey {
    CaptureKey::parse("sim/sim-main/st-1").unwrap()
}

fn account() -> AccountSlug {
    AccountSlug::parse("sim-main").unwrap()
}

fn created(letter: char) -> Event {
    Event::Created(Box::new(Terms {
        id: request_id(letter),
        merchant: shop(),
        client: ClientId::parse("bot").unwrap(),
        order_id: OrderId::parse(format!("order-{letter}")).unwrap(),
        customer_ref: None,
        scenario: ScenarioId::parse("telegram").unwrap(),
        amount: amount(),
        priced_by: PricedBy::Amount {},
        mode: Mode::Test,
        expires_at: Timestamp::from_seconds(4_000_000_000),
        rules: Rules {
            partial: PartialPolicy::RejectToReview,
            tolerance_minor: MinorText(0),
            accounts: vec![account()],
            auto_accept_on_time: false,
            overrides: domain::payment::OverrideRules::default(),
        },
        supersedes: None,
        correlation_id: None,
    }))
}

fn started() -> Event {
    Event::AttemptStarted {
        attempt_no: 1,
        provider: ProviderCode::parse("sim").unwrap(),
        account: account(),
        our_reference: ProviderRef::parse("ours-1").unwrap(),
        amount: amount(),
        session_expires_at: Timestamp::from_seconds(4_000_000_000),
    }
}

fn captured() -> Event {
    Event::PaymentCaptured {
        capture: capture(),
        attempt_no: 1,
        amount: amount(),
        applied: MinorText(1_000),
        unapplied: MinorText(0),
        why: None,
        class: EvidenceClass::Signed,
        provider_time: None,
        provider_status: None,
    }
}

fn verified() -> Event {
    Event::PaymentVerified {
        method: VerificationMethod::SignedNotification,
        capture: Some(capture()),
        amount: amount().into(),
        paid_at: None,
        late: false,
        rounding_minor: MinorText(0),
    }
}
