//! Runs a plan, tells the model what the ledger heard, and compares what is shown with it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::bank::{Heard, translated};
use super::books::{Proposal, Request, World};
use super::check::{self, Names, Shown};
use super::ledger::Ledger;
use super::plan::{Act, Fault, Plan, Step, Trouble, When};
use super::words::{Account, Answer, Closure, Fact, Money, Proof, Stage, Twist, held_back};
use crate::quiet_provider::{Notification, signed};
use adapters::memory::AppendFault;
use domain::stream::Version;
use domain::time::Timestamp;

/// So many worlds are kept at most while a crash leaves open what was heard.
const WORLDS_MAX: usize = 256;
/// A provider that did not answer is left alone for so long at most, in seconds.
const RESTS_S: i64 = 330;

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
struct Command {
    who: &'static str,
    path: String,
    key: String,
    body: Value,
    done: Option<u16>,
}

struct Message {
    sent: Notification,
    account: Account,
    about: (usize, usize),
    fact: Fact,
    body: Value,
}

/// A history under way.
pub struct History {
    pub(super) ledger: Ledger,
    /// Every world that agrees with what was shown so far.
    pub(super) worlds: Vec<World>,
    pub(super) ids: Vec<String>,
    creators: Vec<&'static str>,
    by_key: BTreeSet<(bool, u16)>,
    commands: Vec<Command>,
    messages: Vec<Message>,
    /// What was shown of each request, at which version.
    shown: Vec<(Option<Version>, Shown)>,
    pub(super) names: Names,
    reached: Reached,
    /// Refunds that were asked for: of which request and of which money.
    pub(super) refunds: Vec<(usize, Money)>,
    pub(super) proposals: u8,
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

/// What a history came to: labels and kinds of cases that were shown, and processes that died.
#[derive(Debug, Default)]
pub struct Reached {
    /// Labels.
    pub labels: BTreeSet<String>,
    /// Kinds of cases.
    pub cases: BTreeSet<String>,
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
    result.map(|()| Reached {
        crashes,
        ..history.reached
    })
}

/// Every record that a plan leaves behind, to compare two runs of it.
pub async fn log_of(plan: &Plan) -> Vec<Vec<u8>> {
    let (history, _) = History::of(plan).await;
    history.ledger.log().await
}

fn fails<T>(promise: &'static str, detail: impl Into<String>) -> Result<T, Failure> {
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
            shown: vec![],
            names: Names::new(),
            reached: Reached::default(),
            refunds: vec![],
            proposals: 0,
            traced: std::env::var_os("COUNTERFOIL_TRACE").is_some(),
            seen: 0,
            silent_at: i64::MIN / 2,
            troubled: false,
            trouble_before: false,
        };
        // Once nothing goes wrong any more, everything that waits is done.
        let waits = [40, 70, 70, 40].map(|seconds| Act::Wait { seconds });
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
        self.look_at_overrides().await?;
        self.ledger.drain().await;
        let (now, silent) = (
            self.ledger.now(),
            self.ledger.outside.bank.lock().unwrap().silent,
        );
        // An account that did not answer is left alone for a while, as if it were silent still.
        self.silent_at = if silent { now } else { self.silent_at };
        let rests = now - self.silent_at <= RESTS_S;
        for r in 0..self.ids.len() {
            self.fork(|world| world.ends(r, (before, now), (silent, rests)));
        }
        // That a registration is in doubt may be written at any time, and is news (row H8).
        self.fork(|world| {
            let mut news = world.clone();
            for request in &mut news.requests {
                let doubt = request.attempts.iter().any(|a| a.stage == Stage::Doubtful);
                if doubt && request.proposal.as_ref().is_some_and(Proposal::open) {
                    request.reject();
                }
            }
            vec![world.clone(), news]
        });
        self.retry(!last);
        self.fork(|world| {
            let mut over = world.clone();
            over.requests.iter_mut().for_each(|r| r.give_up(now));
            let mut told = over.clone();
            told.requests
                .iter_mut()
                .for_each(|r| r.silence(now, usize::MAX));
            vec![world.clone(), over, told]
        });
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
        let mut next: Vec<World> = self.worlds.iter().flat_map(step).collect();
        let now = self.ledger.now();
        let requests = next.iter_mut().flat_map(|world| &mut world.requests);
        requests.for_each(|request| request.lapse(now));
        next.sort();
        next.dedup();
        next.truncate(WORLDS_MAX);
        self.worlds = next;
    }

    fn retry(&mut self, may_wait: bool) {
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

    /// Tells the model what the ledger heard since the last call; `message` is what was sent.
    fn hear(&mut self, message: Option<usize>) {
        let heard = std::mem::take(&mut self.ledger.outside.bank.lock().unwrap().heard);
        for heard in heard {
            let troubled = self.troubled;
            let ids = &self.ids;
            let place = |name: &str| {
                let (request, number) = name.rsplit_once('-')?;
                let r = ids.iter().position(|id| id == request)?;
                Some((r, number.parse::<usize>().ok()? - 1))
            };
            let mut next = vec![];
            for world in &self.worlds {
                let mut told = world.clone();
                let mut about = None;
                match &heard {
                    Heard::LookedUp(name, answer, at) => {
                        about = place(name).filter(|(r, n)| told.knows(*r, *n));
                        if let Some((r, n)) = about {
                            told.looked_up(r, n, answer, *at);
                        }
                    }
                    Heard::Registered(name, how) => {
                        if let Some((r, n)) = place(name).filter(|(r, n)| told.knows(*r, *n)) {
                            told.requests[r].registered(n, *how);
                        }
                    }
                    Heard::Received(at) => {
                        let message = &self.messages[message.expect("only messages are received")];
                        let (r, n) = message.about;
                        about = Some((r, n));
                        told.hear(r, n, &message.fact, Proof::Notified, *at);
                    }
                }
                if troubled && !matches!(heard, Heard::Received(_)) {
                    next.push(world.clone());
                    // The end of a registration is written before what it means to others.
                    if let (Heard::LookedUp(_, Answer::NotFound, _), Some((r, n))) = (&heard, about)
                    {
                        let mut half = world.clone();
                        half.requests[r].registered(n, super::bank::Registers::Refuses);
                        next.push(half);
                    }
                }
                match about {
                    // What waits is tried again with new money, or a little later.
                    Some((r, _)) => {
                        next.extend(told.retried(r));
                        next.push(told);
                    }
                    None => next.push(told),
                }
            }
            self.worlds = next;
            self.fork(|world| vec![world.clone()]);
        }
    }

    /// Sends until it is answered, whatever happens meanwhile. Gives the status and the body.
    async fn send(&mut self, who: Option<&str>, request: impl Fn() -> TestRequest) -> (u16, Value) {
        for _ in 0..8 {
            match self.ledger.call(who, request()).await {
                Some(answer) if held_back(&answer) => return answer,
                Some((503, _)) => self.ledger.settle().await,
                Some(answer) => return answer,
                None => {}
            }
            if self.ledger.fuse().blown() {
                self.ledger.restart().await;
            }
        }
        (503, Value::Null)
    }

    async fn command(&mut self, command: &Command) -> (u16, Value) {
        let Command {
            who,
            path,
            key,
            body,
            ..
        } = command.clone();
        let request = || {
            TestRequest::post()
                .uri(&path)
                .insert_header(("idempotency-key", key.clone()))
                .insert_header(("content-type", "application/json"))
                .set_payload(body.to_string())
        };
        self.send(Some(who), request).await
    }

    /// A command to a request; the worlds that predicted another answer are gone.
    async fn decided(
        &mut self,
        request: u8,
        part: &str,
        body: Value,
        predict: impl Fn(&mut Request, i64) -> bool,
        accepted: u16,
    ) -> Result<Option<Value>, Failure> {
        let r = usize::from(request);
        if r >= self.ids.len() {
            return Ok(None);
        }
        let command = Command {
            who: if part == "cancel" {
                "backend"
            } else {
                self.creators[r]
            },
            path: format!("/v1/payment-requests/{}/{part}", self.ids[r]),
            key: format!("command-{}", self.commands.len()),
            body,
            done: None,
        };
        let now = self.ledger.now();
        let (status, answer) = self.command(&command).await;
        if part == "cancel" {
            self.hear(None);
        }
        if held_back(&(status, answer.clone())) {
            return Ok(None);
        }
        let attempts = self.worlds[0].requests[r].attempts.len();
        self.answered(part, status, now, |world, now| {
            if predict(&mut world.requests[r], now) {
                accepted
            } else {
                409
            }
        })?;
        // Starting a live attempt again leaves no event, hence no key to know the repeat by.
        let left = part != "attempts" || self.worlds[0].requests[r].attempts.len() > attempts;
        self.commands.push(Command {
            done: Some(status).filter(|_| left),
            ..command
        });
        Ok(Some(answer))
    }

    /// The plan's words for what a case is about.
    pub(super) fn plain(&self, r: usize, about: &str) -> String {
        check::plain(&self.names, &self.ids[r], about)
    }

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
        for (world, at) in self
            .worlds
            .iter()
            .flat_map(|w| times.iter().map(move |at| (w, *at)))
        {
            let mut world = world.clone();
            let expected = predict(&mut world, at);
            predicted.push(expected);
            if expected == status {
                next.push(world);
            }
        }
        if next.is_empty() {
            return fails(
                "commands are answered by the table",
                format!("{what}: {status}, not {predicted:?}"),
            );
        }
        self.worlds = next;
        Ok(())
    }

    async fn act(&mut self, act: &Act) -> Result<(), Failure> {
        match act {
            Act::Create { .. } => self.create(act).await,
            Act::Attempt {
                request,
                account,
                registers,
            } => {
                self.ledger.outside.bank.lock().unwrap().registers = *registers;
                let body = json!({ "account": account.name() });
                let start = |request: &mut Request, now| {
                    let session_end = request.expires_at.min(now + 1_200);
                    request.start(*account, session_end, now)
                };
                self.decided(*request, "attempts", body, start, 201).await?;
                Ok(())
            }
            Act::Precheck {
                request,
                attempt,
                minor,
            } => self.precheck(*request, *attempt, *minor).await,
            Act::Cancel { request } => {
                let cancel = |request: &mut Request, _| request.cancel(Closure::Cancelled);
                self.decided(*request, "cancel", json!({}), cancel, 200)
                    .await?;
                Ok(())
            }
            Act::Notice { request } => {
                let body = json!({ "kind": "message", "text": "I paid" });
                let notice = |request: &mut Request, _| {
                    request.notice();
                    true
                };
                self.decided(*request, "notices", body, notice, 202).await?;
                Ok(())
            }
            Act::Again { command } => {
                let found = self.commands.get(usize::from(*command)).cloned();
                let Some(command) = found.filter(|command| command.done.is_some_and(|s| s < 300))
                else {
                    return Ok(());
                };
                let (status, _) = self.command(&command).await;
                if Some(status) != command.done {
                    return fails(
                        "a repeat gets the first answer",
                        format!("{} {status}", command.path),
                    );
                }
                Ok(())
            }
            Act::Happen {
                request,
                attempt,
                said,
                twist,
                when,
                told,
                kept,
            } => {
                let Some((r, n, name)) = self.attempt(*request, *attempt) else {
                    return Ok(());
                };
                let when = match when {
                    When::Ago(seconds) => Some(self.ledger.now() - i64::from(*seconds)),
                    When::Unsaid => None,
                };
                // Without an order of the provider's no message can name another one.
                let named = self
                    .worlds
                    .iter()
                    .all(|world| world.requests[r].attempts[n].named);
                let odd = *twist != Twist::OtherOrder || named;
                let twist = if odd { twist } else { &Twist::Plain };
                let fact = Fact {
                    said: said.clone(),
                    twist: *twist,
                    when,
                };
                if *kept {
                    self.ledger
                        .outside
                        .bank
                        .lock()
                        .unwrap()
                        .happen(&name, fact.clone());
                }
                if *told {
                    let account = self.worlds[0].requests[r].attempts[n].account;
                    let body = json!([translated(&fact, &name)]);
                    let sent = signed(
                        &format!("m{}", self.messages.len()),
                        self.ledger.now(),
                        &body,
                    );
                    self.messages.push(Message {
                        sent,
                        account,
                        about: (r, n),
                        fact,
                        body,
                    });
                    self.deliver(self.messages.len() - 1).await?;
                }
                Ok(())
            }
            Act::Deliver { message, anew } => {
                let place = usize::from(*message);
                let now = self.ledger.now();
                let Some(message) = self.messages.get_mut(place) else {
                    return Ok(());
                };
                if *anew {
                    let id = message.sent.id.clone();
                    message.sent = signed(&id, now, &message.body);
                }
                self.deliver(place).await
            }
            Act::Refund { .. }
            | Act::Answer { .. }
            | Act::Resolve { .. }
            | Act::Propose { .. }
            | Act::Decide { .. } => self.person(act).await,
            Act::Wait { seconds } => {
                self.ledger
                    .outside
                    .clock
                    .advance(Duration::from_secs(u64::from(*seconds)));
                Ok(())
            }
            Act::Silence { silent } => {
                self.ledger.outside.bank.lock().unwrap().silent = *silent;
                Ok(())
            }
        }
    }

    /// The attempt of every world; they agree on which there are.
    fn attempt(&self, request: u8, attempt: u8) -> Option<(usize, usize, String)> {
        let r = usize::from(request);
        let attempts = self.worlds[0].requests.get(r)?.attempts.len();
        let n = usize::from(attempt).checked_rem(attempts)?;
        Some((r, n, format!("{}-{}", self.ids[r], n + 1)))
    }

    async fn deliver(&mut self, place: usize) -> Result<(), Failure> {
        let message = &self.messages[place];
        let path = format!("/v1/callbacks/sim/{}", message.account.name());
        let sent = message.sent.clone();
        let request = || {
            TestRequest::post()
                .uri(&path)
                .insert_header(("content-type", "application/json"))
                .insert_header(("webhook-id", sent.id.clone()))
                .insert_header(("webhook-timestamp", sent.seconds.to_string()))
                .insert_header(("webhook-signature", sent.signature.clone()))
                .set_payload(sent.body.clone())
        };
        let (status, _) = self.send(None, request).await;
        let old = self.ledger.now() - sent.seconds > 280;
        if !(status == 200 || (status == 401 && old)) {
            return fails("an authentic message is taken", format!("{status}"));
        }
        self.hear(Some(place));
        Ok(())
    }

    async fn precheck(
        &mut self,
        request: u8,
        attempt: u8,
        minor: Option<i64>,
    ) -> Result<(), Failure> {
        let Some((r, n, _)) = self.attempt(request, attempt) else {
            return Ok(());
        };
        let right = self.worlds[0].requests[r].attempts[n].amount;
        let minor = minor.unwrap_or(right);
        let body = json!({ "amount": amd(minor), "attempt_no": n + 1 });
        let now = self.ledger.now();
        let Some(answer) = self
            .decided(request, "precheck", body, |_, _| true, 200)
            .await?
        else {
            return Ok(());
        };
        let allowed = u16::from(answer["allowed"] == json!(true));
        self.answered("precheck", allowed, now, |world, now| {
            u16::from(world.requests[r].precheck(n, minor, now))
        })
    }

    async fn create(&mut self, act: &Act) -> Result<(), Failure> {
        let Act::Create {
            key,
            order,
            scenario,
            minor,
            life_s,
            supersede,
            by_bot,
        } = act
        else {
            return Ok(());
        };
        let who = if *by_bot { "bot" } else { "backend" };
        let mut body = json!({
            "order_id": format!("order-{order}"), "scenario": scenario.name(), "amount": amd(*minor),
        });
        if *by_bot {
            let quote = Command {
                who: "backend",
                path: "/v1/quotes".to_owned(),
                key: format!("quote-{}", self.commands.len()),
                body,
                done: None,
            };
            let (status, quote) = self.command(&quote).await;
            if status != 201 {
                return fails(
                    "commands are answered by the table",
                    format!("quote: {status} {quote}"),
                );
            }
            body = json!({ "quote_id": quote["id"] });
        }
        body["expires_in_s"] = json!(life_s);
        body["supersede"] = json!(supersede);
        let path = "/v1/payment-requests".to_owned();
        let command = Command {
            who,
            path,
            key: format!("create-{key}"),
            body,
            done: None,
        };
        let now = self.ledger.now();
        let (status, answer) = self.command(&command).await;
        self.hear(None);
        if held_back(&(status, answer.clone())) {
            return Ok(());
        }
        self.commands.push(Command {
            done: Some(status),
            ..command
        });
        let expires_at = answer["expires_at"].as_str();
        let expires_at = expires_at.and_then(|text| Timestamp::parse(text).ok());
        let expires_at = expires_at.map(|at| at.seconds());
        if let Some(at) = expires_at.filter(|_| status == 201) {
            let lives = at - i64::from(*life_s);
            if !(now..=self.ledger.now()).contains(&lives) {
                return fails(
                    "a request lives as long as was asked for",
                    answer.to_string(),
                );
            }
        }
        let known = self.by_key.contains(&(*by_bot, *key));
        let sees = |r: usize| !*by_bot || self.creators[r] == "bot";
        let seen: Vec<bool> = (0..self.creators.len()).map(sees).collect();
        self.answered("create", status, now, |world, now| {
            if known {
                return 422; // row A3: each create of a plan has other content
            }
            for (r, visible) in seen.iter().enumerate() {
                let old = &mut world.requests[r];
                if old.order != *order {
                    continue;
                }
                // Rows A4 and A5.
                let stands = old.verified.is_some()
                    || (old.payable()
                        && !(*supersede && *visible && old.cancel(Closure::Superseded)));
                if stands {
                    return 409;
                }
            }
            let expires_at = expires_at.unwrap_or(now + i64::from(*life_s));
            world
                .requests
                .push(Request::new(*order, *scenario, *minor, expires_at));
            201
        })?;
        if status == 201 {
            self.by_key.insert((*by_bot, *key));
            self.ids
                .push(answer["id"].as_str().unwrap_or_default().to_owned());
            self.creators.push(who);
        }
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
        let late = self.trouble_before && !last;
        let difference = |world: &World| check::first_difference(world, &shown, &heard, late);
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

fn amd(minor: i64) -> Value {
    json!({ "minor": minor.to_string(), "currency": "AMD" })
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
