//! Runs a plan, tells the model what the ledger heard, and compares what is shown with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use adapters::memory::AppendFault;
use domain::stream::Version;
use serde_json::Value;

use super::bank::{Heard, Registers, stray_of};
use super::books::World;
use super::check::{self, Names, Shown};
use super::ledger::Ledger;
use super::plan::{Act, Fault, Plan, Step, Trouble};
use super::words::{Account, Answer, Fact, Proof, Stray, Told};
use crate::quiet_provider::Notification;

/// So many worlds are kept at most while a crash leaves open what was heard.
const WORLDS_MAX: usize = 256;
/// A provider that did not answer is left alone for so long at most, in seconds.
const RESTS_S: i64 = 330;
/// What time ends is noticed so many seconds later at most.
const NOTICED_S: i64 = 5;

/// What was seen that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which promise broke; a shrunk plan breaks the same one.
    pub promise: &'static str,
    /// At which step.
    pub step: usize,
    /// What was expected, and what was seen.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}, {}: {}", self.step, self.promise, self.detail)
    }
}

/// One command over HTTP, so that it can arrive again.
#[derive(Clone)]
pub(super) struct Command {
    /// A client, or the token of a session.
    pub(super) who: String,
    pub(super) path: String,
    pub(super) key: String,
    pub(super) body: Value,
    pub(super) done: Option<u16>,
}

/// What a provider sent.
pub(super) struct Message {
    pub(super) sent: Notification,
    pub(super) account: Account,
    pub(super) about: About,
    pub(super) body: Value,
}

/// What a message is about.
#[derive(Clone)]
pub(super) enum About {
    /// An attempt of a request.
    Attempt(usize, usize, Fact),
    /// No attempt of ours.
    Nothing(Stray),
}

/// A refund that was asked for.
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) request: usize,
}

/// A history under way.
pub struct History {
    pub(super) ledger: Ledger,
    /// Every world that agrees with what was shown so far.
    pub(super) worlds: Vec<World>,
    pub(super) ids: Vec<String>,
    pub(super) creators: Vec<&'static str>,
    pub(super) by_key: BTreeSet<(bool, u16)>,
    pub(super) commands: Vec<Command>,
    pub(super) messages: Vec<Message>,
    /// Orders that no attempt of ours made, by the first message about each.
    pub(super) strays: BTreeMap<u8, Stray>,
    pub(super) quotes: Vec<Value>,
    /// What was shown of each request, at which version.
    shown: Vec<(Option<Version>, Shown)>,
    pub(super) names: Names,
    reached: Reached,
    pub(super) refunds: Vec<Refund>,
    /// Ids of the proposals, by their numbers.
    pub(super) proposals: Vec<String>,
    /// Sessions of persons: the token, since when, and when it was used last.
    pub(super) sessions: BTreeMap<&'static str, (String, i64, i64)>,
    /// Every step is told, with what was written; so many events were told before.
    traced: bool,
    seen: usize,
    /// When providers last answered nothing.
    silent_at: i64,
    /// Something goes wrong in this step.
    troubled: bool,
    /// Something went wrong before.
    trouble_before: bool,
}

/// What a history came to: labels and kinds of cases that were shown, events, and processes that died.
#[derive(Debug, Default)]
pub struct Reached {
    /// Labels.
    pub labels: BTreeSet<String>,
    /// Kinds of cases.
    pub cases: BTreeSet<String>,
    /// Names of events.
    pub events: BTreeSet<String>,
    /// Processes that died.
    pub crashes: u64,
}

/// Runs a plan to its end.
///
/// # Errors
/// The first [`Failure`].
pub async fn run(plan: &Plan) -> Result<Reached, Failure> {
    let (history, result) = History::of(plan).await;
    let crashes = history.ledger.crashes();
    let events = history.ledger.events().await.into_iter();
    let events = events.map(|(_, _, name, _)| name).collect();
    result.map(|()| Reached {
        crashes,
        events,
        ..history.reached
    })
}

/// Every record that a plan leaves behind, to compare two runs of it.
pub async fn log_of(plan: &Plan) -> Vec<Vec<u8>> {
    let (history, _) = History::of(plan).await;
    history.ledger.log().await
}

pub(super) fn fails<T>(promise: &'static str, detail: impl Into<String>) -> Result<T, Failure> {
    Err(Failure {
        promise,
        step: 0,
        detail: detail.into(),
    })
}

impl History {
    async fn of(plan: &Plan) -> (Self, Result<(), Failure>) {
        let mut history = Self {
            ledger: Ledger::start(plan.seed).await,
            worlds: vec![World::default()],
            ids: vec![],
            creators: vec![],
            by_key: BTreeSet::new(),
            commands: vec![],
            messages: vec![],
            strays: BTreeMap::new(),
            quotes: vec![],
            shown: vec![],
            names: Names::new(),
            reached: Reached::default(),
            refunds: vec![],
            proposals: vec![],
            sessions: BTreeMap::new(),
            traced: std::env::var_os("COUNTERFOIL_TRACE").is_some(),
            seen: 0,
            silent_at: i64::MIN / 2,
            troubled: false,
            trouble_before: false,
        };
        // Once nothing goes wrong any more, everything that waits is done.
        let waits = [40, 70, 70, 40, 910, 40].map(|seconds| Act::Wait { seconds });
        let rest = [Act::Silence { silent: false }].into_iter().chain(waits);
        let rest = rest.map(|act| Step { act, trouble: None });
        let steps: Vec<Step> = plan.steps.iter().cloned().chain(rest).collect();
        for (place, step) in steps.iter().enumerate() {
            if let Err(failure) = history.step(step, place + 1 == steps.len()).await {
                let failure = Failure {
                    step: place,
                    ..failure
                };
                return (history, Err(failure));
            }
        }
        (history, Ok(()))
    }

    async fn step(&mut self, step: &Step, last: bool) -> Result<(), Failure> {
        self.ledger.outside.bank.lock().unwrap().heard.clear();
        self.troubled = step.trouble.is_some() || self.ledger.outside.store.faults_left() > 0;
        self.trouble_before |= self.troubled;
        match &step.trouble {
            Some(Trouble::Crash(point)) => self.ledger.fuse().arm(*point),
            Some(Trouble::Store(faults)) => {
                self.ledger.outside.store.script(faults.iter().map(fault))
            }
            None => {}
        }
        self.act(&step.act).await?;
        let before = self.ledger.now();
        self.settle().await?;
        self.ledger.fuse().arm(0);
        self.hear(None);
        self.ledger.drain().await;
        if let Some((promise, detail)) = self.ledger.outside.bank.lock().unwrap().broken.take() {
            return fails(promise, detail);
        }
        let (now, silent) = (
            self.ledger.now(),
            self.ledger.outside.bank.lock().unwrap().silent,
        );
        // An account that did not answer is left alone for a while, as if it were silent still.
        self.silent_at = if silent { now } else { self.silent_at };
        let rests = now - self.silent_at <= RESTS_S;
        self.arrivals(before, false);
        for r in 0..self.ids.len() {
            self.fork(|world| world.ends(r, (before, now), (silent, rests)));
        }
        let all_arrive = last || !self.trouble_before;
        self.arrivals(now, all_arrive);
        // That a registration or a refund is in doubt may be written at any time, and is news (row H8).
        let troubled = self.troubled;
        self.fork(|world| vec![world.clone(), world.doubts(troubled)]);
        self.retry(!last);
        self.fork(|world| world.waited(now, last));
        let noticed = if self.trouble_before && !last {
            i64::MIN
        } else {
            now - NOTICED_S
        };
        self.fork(|world| vec![world.lapsed(noticed), world.lapsed(now)]);
        if self.traced {
            self.trace(step).await;
        }
        self.compare(last).await
    }

    /// One line for the step, and one for each event that was written in it.
    async fn trace(&mut self, step: &Step) {
        println!("{:>6} {step:?}", self.ledger.now() - super::ledger::START);
        let log = self.ledger.events().await;
        for (at, stream, name, data) in log.iter().skip(self.seen) {
            println!("{:>12} {stream} {name} {data}", at - super::ledger::START);
        }
        self.seen = log.len();
    }

    async fn settle(&mut self) -> Result<(), Failure> {
        for _ in 0..3 {
            self.ledger.settle().await;
            if !self.ledger.fuse().blown() {
                break;
            }
            self.ledger.restart().await;
        }
        if self.ledger.a_loop_ended() {
            return fails("every loop goes on", "one ended");
        }
        Ok(())
    }

    /// Each world becomes those that it may become.
    fn fork(&mut self, step: impl Fn(&World) -> Vec<World>) {
        let next = self.worlds.iter().flat_map(step);
        let mut next: Vec<World> = next.map(|world| world.lapsed(i64::MIN)).collect();
        next.sort();
        next.dedup();
        next.truncate(WORLDS_MAX);
        self.worlds = next;
    }

    fn retry(&mut self, may_wait: bool) {
        let now = self.ledger.now();
        self.fork(|world| vec![world.clone(), world.explained(now)]);
        self.fork(|world| {
            let mut worlds = vec![world.clone()];
            for r in 0..world.requests.len() {
                let retried: Vec<World> =
                    worlds.iter().flat_map(|world| world.retried(r)).collect();
                if !may_wait {
                    worlds.clear();
                }
                worlds.extend(retried);
            }
            worlds
        });
    }

    /// Money that left arrives, where not at once then somewhat later.
    fn arrivals(&mut self, now: i64, all: bool) {
        self.fork(|world| {
            let mut worlds = world.arrived(now);
            worlds.retain(|world| !all || world.transit.is_empty());
            worlds
        });
    }

    /// Tells the model what the ledger heard since the last call; `message` is what was sent.
    pub(super) fn hear(&mut self, message: Option<usize>) {
        let heard = std::mem::take(&mut self.ledger.outside.bank.lock().unwrap().heard);
        for heard in heard {
            let silent = match &heard {
                Heard::LookedUp(_, answer, _) => *answer == Answer::Silent,
                Heard::Refund(_, told, _) => matches!(told, Told::Silent | Told::NotFound),
                Heard::Registered(_, how) => {
                    matches!(how, Registers::AnswerLost | Registers::RequestLost)
                }
                Heard::Ended(_) | Heard::Received(_) => false,
            };
            if silent {
                self.silent_at = self.ledger.now();
            }
            let mut next = vec![];
            for world in self
                .worlds
                .iter()
                .flat_map(|world| world.arrived(self.ledger.now()))
            {
                if self.troubled && !matches!(heard, Heard::Received(_)) {
                    next.push(world.clone());
                }
                next.extend(self.told(world, &heard, message));
            }
            self.worlds = next;
            self.fork(|world| vec![world.clone()]);
        }
    }

    /// What a world becomes by what the ledger heard.
    fn told(&self, mut world: World, heard: &Heard, message: Option<usize>) -> Vec<World> {
        let mut next = vec![];
        let about = match heard {
            Heard::LookedUp(name, answer, at) => {
                let stray = stray_of(name).and_then(|order| self.strays.get(&order));
                if let Some(stray) = stray {
                    world.asked_about(stray, answer);
                    return vec![world];
                }
                let about = self.place(name).filter(|(r, n)| world.knows(*r, *n));
                if let Some((r, n)) = about {
                    // The end of a registration is written before what it means to others.
                    if self.troubled && *answer == Answer::NotFound {
                        let mut half = world.clone();
                        half.requests[r].registered(n, Registers::Refuses);
                        next.push(half);
                    }
                    world.looked_up((r, n), answer, *at);
                }
                about.map(|about| about.0)
            }
            Heard::Registered(name, how) => {
                if let Some((r, n)) = self.place(name).filter(|(r, n)| world.knows(*r, *n)) {
                    world.requests[r].registered(n, *how);
                }
                None
            }
            Heard::Ended(name) => {
                if let Some((r, n)) = self.place(name).filter(|(r, n)| world.knows(*r, *n)) {
                    world.requests[r].attempts[n].ending = true;
                }
                None
            }
            Heard::Refund(id, told, at) => {
                let mut refunds = self.refunds.iter();
                let place = refunds.position(|known| known.id == id.as_str());
                let known = place.map(|place| (place as u8, self.refunds[place].request));
                let known = known.filter(|(id, r)| world.requests[*r].refunds.contains_key(id));
                if let Some((id, r)) = known {
                    // A provider that never heard of it for so long never will.
                    let since = world.requests[r].refunds[&id].since;
                    if *told == Told::NotFound && at - since >= 900 {
                        let mut over = world.clone();
                        over.refund_told(r, id, &Told::Declined);
                        next.extend(over.retried(r));
                    }
                    world.refund_told(r, id, told);
                }
                known.map(|known| known.1)
            }
            Heard::Received(at) => {
                let message = &self.messages[message.expect("only messages are received")];
                match &message.about {
                    About::Attempt(r, n, fact) => {
                        world.hear((*r, *n), fact, Proof::Notified, *at);
                        Some(*r)
                    }
                    About::Nothing(stray) => {
                        world.stray(stray, *at);
                        None
                    }
                }
            }
        };
        // What waits is tried again with new money, or a little later.
        next.extend(about.into_iter().flat_map(|r| world.retried(r)));
        next.push(world);
        next
    }

    /// The request and the attempt that a provider calls so.
    fn place(&self, name: &str) -> Option<(usize, usize)> {
        let (request, number) = name.rsplit_once('-')?;
        let r = self.ids.iter().position(|id| id == request)?;
        Some((r, number.parse::<usize>().ok()? - 1))
    }

    /// The plan's words for what a case is about.
    pub(super) fn plain(&self, r: usize, about: &str) -> String {
        check::plain(&self.names, &self.ids[r], about)
    }

    /// Worlds that predicted another answer are gone.
    pub(super) fn answered(
        &mut self,
        what: &str,
        status: u16,
        since: i64,
        predict: impl Fn(&mut World, i64) -> u16,
    ) -> Result<(), Failure> {
        let mut predicted = vec![];
        let mut next = vec![];
        // Where a store is away, a command takes its time.
        let times = BTreeSet::from([since, self.ledger.now()]);
        for world in &self.worlds {
            for at in &times {
                let mut world = world.clone();
                let expected = predict(&mut world, *at);
                predicted.push(expected);
                if expected == status {
                    next.push(world);
                }
            }
        }
        if next.is_empty() {
            let detail = format!("{what}: {status}, not {predicted:?}");
            return fails("commands are answered by the table", detail);
        }
        self.worlds = next;
        self.fork(|world| vec![world.clone()]);
        Ok(())
    }

    /// Worlds that contradict what is shown are gone; one must be left.
    async fn compare(&mut self, last: bool) -> Result<(), Failure> {
        for r in 0..self.ids.len() {
            let id = &self.ids[r];
            let version = check::version(&self.ledger, id).await;
            if self.shown.get(r).is_none_or(|known| known.0 != version) {
                let (names, creator) = (&self.names, self.creators[r]);
                let shown = check::show(&self.ledger, names, id, creator).await?;
                self.reached.labels.insert(shown.label.clone());
                let kinds = shown.cases.iter().map(|(kind, _)| kind.clone());
                self.reached.cases.extend(kinds);
                match self.shown.get_mut(r) {
                    Some(known) => *known = (version, shown),
                    None => self.shown.push((version, shown)),
                }
            }
        }
        let heard: Vec<_> = self
            .ids
            .iter()
            .map(|id| check::heard(&self.ledger, id))
            .collect();
        let shown: Vec<_> = self.shown.iter().map(|(_, shown)| shown.clone()).collect();
        let suspense = match self.strays.is_empty() {
            true => BTreeSet::new(),
            false => check::suspense(&self.ledger, &self.names).await?,
        };
        let kinds = suspense.iter().map(|(kind, ..)| kind.clone());
        self.reached.cases.extend(kinds);
        let troubles = (self.trouble_before && !last, self.trouble_before);
        let difference = |world: &World| {
            check::first_difference(world, &shown, &heard, troubles)
                .or_else(|| check::suspense_differs(world, &suspense))
        };
        let worlds = self.worlds.iter();
        let left: Vec<World> = worlds
            .filter(|w| difference(w).is_none())
            .cloned()
            .collect();
        if left.is_empty() {
            let differences: Vec<String> =
                self.worlds.iter().take(3).filter_map(difference).collect();
            return fails("the ledger and the table agree", differences.join(" OR "));
        }
        self.worlds = left;
        Ok(())
    }
}

fn fault(fault: &Fault) -> AppendFault {
    match fault {
        Fault::ReplyLost => AppendFault::ReplyLost,
        Fault::RequestLost => AppendFault::RequestLost,
        Fault::NotApplied => AppendFault::NotApplied,
        Fault::Full => AppendFault::Full,
        Fault::Passes => AppendFault::Passes,
    }
}
