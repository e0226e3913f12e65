//! What happens in a plan: commands of clients, messages of providers, and time.

use std::time::Duration;

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::bank::{of_stray, translated};
use super::books::Request;
use super::plan::{Act, When};
use super::run::{About, Command, Failure, History, Message, fails};
use super::words::{Account, Closure, Fact, Said, Stray, Twist, held_back};
use crate::quiet_provider::signed;

/// Money as callers write it.
pub(super) fn amd(minor: i64) -> Value {
    json!({ "minor": minor.to_string(), "currency": "AMD" })
}

impl History {
    /// One act; without what it is about, nothing happens.
    pub(super) async fn act(&mut self, act: &Act) -> Result<(), Failure> {
        match act {
            Act::Create { .. } => self.create(act).await,
            Act::Requote { quote, supersede } => self.requote(*quote, *supersede).await,
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
            Act::Cancel { request, ends } => {
                self.ledger.outside.bank.lock().unwrap().ends = *ends;
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
            Act::Again { command } => self.again(*command).await,
            Act::Happen {
                request,
                attempt,
                said,
                twist,
                when,
                told,
                kept,
            } => {
                let fact = Fact {
                    said: said.clone(),
                    twist: *twist,
                    when: self.time(*when),
                };
                self.happen((*request, *attempt), fact, *told, *kept).await
            }
            Act::Stray {
                order,
                account,
                said,
                when,
                names,
                kept,
            } => {
                let stray = Stray {
                    order: *order,
                    account: *account,
                    said: said.clone(),
                    when: self.time(*when),
                    names: *names,
                };
                self.stray(stray, *kept).await
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
            | Act::Find { .. }
            | Act::Propose { .. }
            | Act::Decide { .. } => self.person(act).await,
            Act::Wait { seconds } => {
                let passes = Duration::from_secs(u64::from(*seconds));
                self.ledger.outside.clock.advance(passes);
                Ok(())
            }
            Act::Silence { silent } => {
                self.ledger.outside.bank.lock().unwrap().silent = *silent;
                Ok(())
            }
        }
    }

    fn time(&self, when: When) -> Option<i64> {
        match when {
            When::Ago(seconds) => Some(self.ledger.now() - i64::from(seconds)),
            When::Unsaid => None,
        }
    }

    /// Sends until it is answered, whatever happens meanwhile. Gives the status and the body.
    pub(super) async fn send(
        &mut self,
        who: Option<&str>,
        request: impl Fn() -> TestRequest,
    ) -> (u16, Value) {
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

    /// Sends a command.
    pub(super) async fn command(&mut self, command: &Command) -> (u16, Value) {
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
        self.send(Some(&who), request).await
    }

    /// A command that may arrive again later, unless it was refused.
    pub(super) async fn post(&mut self, who: &str, path: String, body: Value) -> (u16, Value) {
        let command = Command {
            who: who.to_owned(),
            path,
            key: format!("command-{}", self.commands.len()),
            body,
            done: None,
        };
        let (status, answer) = self.command(&command).await;
        let done = Some(status);
        self.commands.push(Command { done, ..command });
        (status, answer)
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
        let who = match part {
            "cancel" => "backend",
            _ => self.creators[r],
        };
        let path = format!("/v1/payment-requests/{}/{part}", self.ids[r]);
        let now = self.ledger.now();
        let (status, answer) = self.post(who, path, body).await;
        if part == "cancel" {
            self.hear(None);
        }
        if held_back(&(status, answer.clone())) {
            return Ok(None);
        }
        let known = &self.worlds[0].requests[r];
        let (attempts, open) = (known.attempts.len(), known.closure == Closure::Open);
        self.answered(part, status, now, |world, now| {
            if predict(&mut world.requests[r], now) {
                accepted
            } else {
                409
            }
        })?;
        // Starting a live attempt again leaves no event, hence no key to know the repeat by; nor does
        // calling off what was called off.
        let started = self.worlds[0].requests[r].attempts.len() > attempts;
        let left = match part {
            "attempts" => started,
            "cancel" => open,
            _ => true,
        };
        if let Some(command) = self.commands.last_mut().filter(|_| !left) {
            command.done = None;
        }
        Ok(Some(answer))
    }

    async fn again(&mut self, command: u16) -> Result<(), Failure> {
        let found = self.commands.get(usize::from(command)).cloned();
        let done = |command: &Command| command.done.is_some_and(|status| status < 300);
        let Some(command) = found.filter(done) else {
            return Ok(());
        };
        let (status, _) = self.command(&command).await;
        if Some(status) != command.done {
            let detail = format!("{} {status}", command.path);
            return fails("a repeat gets the first answer", detail);
        }
        Ok(())
    }

    /// The attempt of every world; they agree on which there are.
    fn attempt(&self, request: u8, attempt: u8) -> Option<(usize, usize, String)> {
        let r = usize::from(request);
        let attempts = self.worlds[0].requests.get(r)?.attempts.len();
        let n = usize::from(attempt).checked_rem(attempts)?;
        Some((r, n, format!("{}-{}", self.ids[r], n + 1)))
    }

    async fn happen(
        &mut self,
        (request, attempt): (u8, u8),
        fact: Fact,
        told: bool,
        kept: bool,
    ) -> Result<(), Failure> {
        let Some((r, n, name)) = self.attempt(request, attempt) else {
            return Ok(());
        };
        // Without an order of the provider's no message can name another one.
        let mut worlds = self.worlds.iter();
        let named = worlds.all(|world| world.requests[r].attempts[n].named);
        let odd = fact.twist != Twist::OtherOrder || named;
        let twist = if odd { fact.twist } else { Twist::Plain };
        let fact = Fact { twist, ..fact };
        if kept {
            let bank = &self.ledger.outside.bank;
            bank.lock().unwrap().happen(&name, fact.clone());
        }
        if told {
            let account = self.worlds[0].requests[r].attempts[n].account;
            let body = json!([translated(&fact, &name)]);
            let about = About::Attempt(r, n, fact);
            self.tell(account, about, body).await?;
        }
        Ok(())
    }

    /// News of an order that no attempt of ours made. What goes back is told where a message suffices.
    async fn stray(&mut self, stray: Stray, kept: bool) -> Result<(), Failure> {
        let money = matches!(stray.said, Said::Captured(..));
        let names = match stray.names {
            Some(r) => self.ids.get(usize::from(r)).cloned(),
            None => None,
        };
        if (stray.account == Account::Strict && !money)
            || (stray.names.is_some() && names.is_none())
        {
            return Ok(());
        }
        let first = self.strays.entry(stray.order).or_insert(stray.clone());
        if first.account != stray.account || first.names != stray.names {
            return Ok(());
        }
        let body = json!([of_stray(&stray, names.as_deref())]);
        if kept {
            let (said, twist, when) = (stray.said.clone(), Twist::Plain, stray.when);
            let order = super::bank::stray_order(stray.order);
            let mut bank = self.ledger.outside.bank.lock().unwrap();
            bank.happen(&order, Fact { said, twist, when });
        }
        self.tell(stray.account, About::Nothing(stray), body).await
    }

    async fn tell(&mut self, account: Account, about: About, body: Value) -> Result<(), Failure> {
        let id = format!("m{}", self.messages.len());
        let sent = signed(&id, self.ledger.now(), &body);
        self.messages.push(Message {
            sent,
            account,
            about,
            body,
        });
        self.deliver(self.messages.len() - 1).await
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
        let answer = self.decided(request, "precheck", body, |_, _| true, 200);
        let Some(answer) = answer.await? else {
            return Ok(());
        };
        let allowed = u16::from(answer["allowed"] == json!(true));
        self.answered("precheck", allowed, now, |world, now| {
            u16::from(world.requests[r].precheck(n, minor, now))
        })
    }
}
