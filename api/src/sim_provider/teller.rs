//! Does what scripts and payers say. What is told about it is in `mail.rs`. Everything that waits,
//! waits on the clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::digest::base32;
use domain::ids::ProviderRef;
use domain::ports::{Clock, Entropy, HttpOut};
use tokio::runtime::Handle as Runtime;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use super::bank::{Bank, BankRefusal, NewOrder, Order, Standing};
use super::happening::{Happening, What};
use super::message::{Identity, Statement};
use super::script::{Act, Choice, Plan, Script, When};

/// Signs `(id, seconds, body)` by Standard Webhooks and gives the value of `webhook-signature`.
pub type Signer = Arc<dyn Fn(&str, i64, &[u8]) -> String + Send + Sync>;

/// How often a waiting step looks whether the session has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// *Late* is so long after the end.
const LATE_BY: Duration = Duration::from_secs(1);
/// A listener that falls behind misses the oldest of these.
const HAPPENINGS_KEPT: usize = 1024;

/// The bank with its hands: shared by the routes, the page and the running scripts.
pub(super) struct Teller {
    pub(super) bank: Mutex<Bank>,
    pub(super) identity: Identity,
    /// Where messages go.
    pub(super) notify_url: String,
    /// The script of orders to come.
    pub(super) script: Mutex<Script>,
    pub(super) clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    pub(super) http: Arc<dyn HttpOut>,
    pub(super) sign: Signer,
    happenings: broadcast::Sender<Happening>,
    runtime: Runtime,
    running: Mutex<JoinSet<()>>,
}

/// What a teller needs of the outside.
pub struct Hands {
    /// Sends messages.
    pub http: Arc<dyn HttpOut>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub entropy: Arc<dyn Entropy>,
    /// Signs messages.
    pub sign: Signer,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Teller {
    /// A bank without orders. Scripts run on the runtime that this is called in.
    pub(super) fn new(
        identity: Identity,
        notify_url: String,
        script: Script,
        hands: Hands,
        runtime: Runtime,
    ) -> Self {
        Self {
            bank: Mutex::default(),
            identity,
            notify_url,
            script: Mutex::new(script),
            clock: hands.clock,
            entropy: hands.entropy,
            http: hands.http,
            sign: hands.sign,
            happenings: broadcast::channel(HAPPENINGS_KEPT).0,
            runtime,
            running: Mutex::default(),
        }
    }

    /// What happens from now on.
    pub(super) fn watch(&self) -> broadcast::Receiver<Happening> {
        self.happenings.subscribe()
    }

    /// Stops every script and every retry.
    pub(super) fn stop(&self) {
        locked(&self.running).abort_all();
    }

    /// The script of orders to come.
    pub(super) fn default_script(&self) -> Script {
        locked(&self.script).clone()
    }

    /// Replaces it.
    pub(super) fn set_default_script(&self, script: Script) {
        *locked(&self.script) = script;
    }

    /// Every order.
    pub(super) fn orders(&self) -> Vec<Order> {
        locked(&self.bank).orders().cloned().collect()
    }

    /// An order, by either name.
    pub(super) fn order(&self, name: &str) -> Option<Order> {
        locked(&self.bank).find(name).cloned()
    }

    /// Registers an order and starts its script. `false`: it was there already.
    pub(super) fn register(self: &Arc<Self>, new: NewOrder) -> Result<(Order, bool), BankRefusal> {
        let made = locked(&self.bank).register(new, self.new_id("so_"), self.clock.now())?;
        if made.1 {
            self.happened(&made.0, What::Registered);
            self.start(made.0.clone());
        }
        Ok(made)
    }

    /// Gives an order another script, which begins now.
    pub(super) fn set_script(
        self: &Arc<Self>,
        name: &str,
        script: Script,
    ) -> Result<Order, BankRefusal> {
        let order = locked(&self.bank).set_script(name, script)?;
        self.start(order.clone());
        Ok(order)
    }

    /// The payer's choice on the page.
    pub(super) fn choose(
        self: &Arc<Self>,
        name: &str,
        choice: Choice,
    ) -> Result<Order, BankRefusal> {
        let now = self.clock.now();
        let order = match choice {
            Choice::Pay => {
                let transaction = self.new_id("st_");
                locked(&self.bank).pay(name, transaction, &self.identity.payee, now)?
            }
            Choice::Decline => locked(&self.bank).decline(name, now)?,
            Choice::Leave => return self.order(name).ok_or(BankRefusal::Unknown),
        };
        self.acted(&order, choice);
        let (teller, told) = (Arc::clone(self), order.clone());
        self.spawn(async move {
            teller
                .tell(&told, &told.script.page, teller.outcome(&told, choice))
                .await
        });
        Ok(order)
    }

    /// Closes the session.
    pub(super) fn cancel(&self, name: &str) -> Result<Order, BankRefusal> {
        let order = locked(&self.bank).cancel(name, self.clock.now())?;
        self.happened(&order, What::Cancelled);
        Ok(order)
    }

    /// Tells those who watch. Nobody watching is fine.
    pub(super) fn happened(&self, order: &Order, what: What) {
        let (order_id, our_reference) = (order.id.clone(), order.our_reference.clone());
        let happening = Happening {
            at: self.clock.now(),
            order: order_id,
            our_reference,
            what,
        };
        let _ = self.happenings.send(happening);
    }

    /// A look-up's statements: the truth, unless the script says otherwise.
    pub(super) fn statements(&self, order: &Order) -> Vec<Statement> {
        let changes = &order.script.look_up_changes;
        let invented = order.id.clone();
        let truth = self.identity.truth(order, self.clock.now());
        truth
            .into_iter()
            .map(|statement| statement.changed(changes, order.amount, &invented))
            .collect()
    }

    pub(super) fn new_id(&self, prefix: &str) -> ProviderRef {
        let mut random = [0; 15];
        self.entropy.fill(&mut random);
        ProviderRef::parse(format!("{prefix}{}", base32(&random)))
            .expect("a prefix and 24 letters are a reference")
    }

    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut running = locked(&self.running);
        // What has ended is forgotten, so that the set does not grow.
        while running.try_join_next().is_some() {}
        running.spawn_on(work, &self.runtime);
    }

    /// Runs an order's acts, and watches for the end of its session.
    fn start(self: &Arc<Self>, order: Order) {
        let (teller, acts) = (Arc::clone(self), order.script.acts.clone());
        let (id, script_no) = (order.id.clone(), order.script_no);
        if !acts.is_empty() {
            self.spawn(async move {
                for act in acts {
                    teller.wait(&id, act.when).await;
                    if teller
                        .order(id.as_str())
                        .is_none_or(|order| order.script_no != script_no)
                    {
                        return;
                    }
                    teller.act(&id, &act).await;
                }
            });
        }
        if script_no == 0 {
            let teller = Arc::clone(self);
            self.spawn(async move { teller.expire(&order).await });
        }
    }

    async fn act(self: &Arc<Self>, id: &ProviderRef, act: &Act) {
        let now = self.clock.now();
        let done = match act.choice {
            Choice::Pay => {
                let transaction = self.new_id("st_");
                locked(&self.bank).pay_as_told(
                    id.as_str(),
                    transaction,
                    &act.changes,
                    &self.identity.payee,
                    now,
                )
            }
            Choice::Decline => locked(&self.bank).decline(id.as_str(), now),
            Choice::Leave => self.order(id.as_str()).ok_or(BankRefusal::Unknown),
        };
        // A payer who comes too late to be declined is told nothing.
        let Ok(order) = done else { return };
        self.acted(&order, act.choice);
        let nothing_happened = act.choice == Choice::Leave && act.plan == Plan::Honest;
        if !nothing_happened {
            self.tell(&order, &act.plan, self.outcome(&order, act.choice))
                .await;
        }
    }

    fn acted(&self, order: &Order, choice: Choice) {
        match (choice, order.captures.last()) {
            (Choice::Pay, Some(capture)) => {
                self.happened(
                    order,
                    What::Captured {
                        amount: capture.amount.to_string(),
                    },
                );
            }
            (Choice::Decline, _) => self.happened(order, What::Declined),
            (Choice::Pay, None) | (Choice::Leave, _) => {}
        }
    }

    /// What an honest message about this choice states.
    fn outcome(&self, order: &Order, choice: Choice) -> Statement {
        let now = self.clock.now();
        match (choice, order.captures.last()) {
            (Choice::Pay, Some(capture)) => self.identity.captured(order, capture),
            (Choice::Decline, _) => self.identity.plain(order, Standing::Declined.as_str(), now),
            (Choice::Pay, None) | (Choice::Leave, _) => {
                self.identity
                    .plain(order, order.standing(now).as_str(), order.since(now))
            }
        }
    }

    /// An unpaid session that ends by time is told once, unless the script loses messages.
    async fn expire(self: &Arc<Self>, order: &Order) {
        self.clock
            .sleep(order.expires_at.since(self.clock.now()))
            .await;
        let Some(order) = self.order(order.id.as_str()) else {
            return;
        };
        let now = self.clock.now();
        if order.standing(now) != Standing::Expired {
            return;
        }
        self.happened(&order, What::Expired);
        let lost = order.script.page == Plan::Lost
            || order.script.acts.iter().any(|act| act.plan == Plan::Lost);
        if !lost {
            let ended = self
                .identity
                .plain(&order, Standing::Expired.as_str(), order.expires_at);
            self.send(&order, self.letter(&ended, false, false)).await;
        }
    }

    /// Waits for a step's time. An order that is gone ends the wait.
    pub(super) async fn wait(&self, id: &ProviderRef, when: When) {
        match when {
            When::Now => {}
            When::After(length) => self.clock.sleep(length).await,
            When::Late => {
                while self
                    .order(id.as_str())
                    .is_some_and(|order| !order.session_ended(self.clock.now()))
                {
                    self.clock.sleep(LOOK_EVERY).await;
                }
                self.clock.sleep(LATE_BY).await;
            }
        }
    }
}
