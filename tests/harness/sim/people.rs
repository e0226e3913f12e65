//! What people decide in a plan, over HTTP: refunds and cases by clients of the shop, proposals by
//! persons who signed in.

use actix_web::test::TestRequest;
use domain::access::role::Role;
use domain::ids::PaymentRequestId;
use domain::ids::RefundId;
use domain::payment::event::Part;
use domain::payment::{CaptureKey, Request as Real};
use serde_json::{Value, json};

use super::acts::amd;
use super::books;
use super::ledger::PASSWORD;
use super::plan::Act;
use super::run::{Failure, History, Refund};
use super::words::{Account, How, Money};

/// So long is a session used without a pause, in seconds, and altogether.
const IDLE_S: i64 = 1_200;
const LIFE_S: i64 = 6 * 3_600;

/// The plan's name for money of the ledger.
fn money(key: &CaptureKey) -> Option<Money> {
    let account = Account::ALL
        .into_iter()
        .find(|a| a.name() == key.account.as_str())?;
    let txn = key.transaction.as_str().strip_prefix('t')?.parse().ok()?;
    Some(Money { account, txn })
}

/// Why people decide so, where it does not matter.
fn because(mut body: Value) -> Value {
    body["reason"] = json!("checked");
    body["text"] = json!("We called them.");
    body
}

/// What the model's no stands for: there is no such thing, or a rule forbids it.
fn refused(status: u16) -> bool {
    matches!(status, 403 | 404 | 409 | 422)
}

impl History {
    /// One act of a person; without what it is about, nothing happens.
    pub(super) async fn person(&mut self, act: &Act) -> Result<(), Failure> {
        match act {
            Act::Refund {
                request,
                capture,
                applied,
                minor,
                call,
            } => {
                self.ledger.outside.bank.lock().unwrap().refunds = *call;
                self.refund((*request, *capture), *applied, *minor).await
            }
            Act::Answer { refund, call } => {
                if let Some(known) = self.refunds.get(usize::from(*refund)) {
                    let id = RefundId::parse(&*known.id).unwrap();
                    let mut bank = self.ledger.outside.bank.lock().unwrap();
                    bank.hears_of(&id, *call);
                }
                Ok(())
            }
            Act::Resolve { request, case, how } => self.resolve(*request, *case, *how).await,
            Act::Find { money, how } => self.find(*money, *how).await,
            Act::Propose { request, pay, by } => self.propose(*request, *pay, *by).await,
            Act::Decide {
                request,
                approve,
                by,
            } => self.decide(*request, *approve, *by).await,
            _ => Ok(()),
        }
    }

    async fn refund(
        &mut self,
        (request, capture): (u8, u8),
        applied: bool,
        minor: Option<i64>,
    ) -> Result<(), Failure> {
        let Some((r, real)) = self.real(request).await else {
            return Ok(());
        };
        let keys: Vec<CaptureKey> = real.captures().keys().cloned().collect();
        let Some(place) = usize::from(capture).checked_rem(keys.len()) else {
            return Ok(());
        };
        let (key, part) = match applied {
            true => (&keys[place], Part::Applied),
            false => (&keys[place], Part::Unapplied),
        };
        let minor = minor.unwrap_or(real.available(key, part));
        let Some(of) = money(key).filter(|_| minor > 0) else {
            return Ok(());
        };
        let mut amount = amd(minor);
        amount["currency"] = json!(real.captures()[key].amount.currency());
        let body = json!({ "capture": key, "part": part, "amount": amount });
        let path = format!("/v1/payment-requests/{}/refunds", self.ids[r]);
        let (now, number) = (self.ledger.now(), self.refunds.len() as u8);
        let (status, _) = self.post("backend", path, because(body)).await;
        self.answered("refund", status, now, |world, now| {
            let asked = books::Refund::new(of, applied, minor, now);
            accepted(world.requests[r].refund(number, asked), 202, status)
        })?;
        self.new_refund(r).await;
        Ok(())
    }

    /// A refund that the ledger knows and the plan does not gets the next number.
    async fn new_refund(&mut self, r: usize) {
        let Some((_, real)) = self.real(r as u8).await else {
            return;
        };
        let ids = real.refunds().keys().map(ToString::to_string);
        let new = ids.filter(|id| !self.names.contains_key(id));
        for id in new.collect::<Vec<_>>() {
            let name = format!("f{}", self.refunds.len());
            self.names.insert(id.clone(), name);
            self.refunds.push(Refund { id, request: r });
        }
    }

    async fn resolve(&mut self, request: u8, case: u8, how: How) -> Result<(), Failure> {
        let Some((r, real)) = self.real(request).await else {
            return Ok(());
        };
        let open = real.cases().iter().filter(|(_, case)| case.open());
        let open: Vec<_> = open.collect();
        let Some(place) = usize::from(case).checked_rem(open.len()) else {
            return Ok(());
        };
        let (id, known) = open[place];
        let (about, kind) = (self.plain(r, &known.about), known.kind.as_str());
        let of = known.capture.as_ref().and_then(money);
        let Some(body) = self.words(how) else {
            return Ok(());
        };
        let how = match how {
            How::Refund(_) => How::Refund(self.refunds.len() as u8),
            other => other,
        };
        let path = format!("/v1/exceptions/{id}/resolve");
        let now = self.ledger.now();
        let (status, _) = self.post("operator", path, because(body)).await;
        self.answered("resolve", status, now, |world, now| {
            let case = (kind, about.clone(), of);
            accepted(world.resolve(r, &case, how, now), 200, status)
        })?;
        self.new_refund(r).await;
        Ok(())
    }

    /// A decision as it is written; nothing where there is no such request.
    fn words(&self, how: How) -> Option<Value> {
        Some(match how {
            How::Accept => json!({ "resolution": "accept" }),
            How::Refund(_) => json!({ "resolution": "refund" }),
            How::Keep => json!({ "resolution": "keep_as_income" }),
            How::Dismiss => json!({ "resolution": "dismiss" }),
            How::GivenBack => json!({ "resolution": "given_back" }),
            How::Answered(settled) => json!({ "resolution": "refund_answer", "settled": settled }),
            How::Reassign(to) => {
                let to = self.ids.get(usize::from(to))?;
                json!({ "resolution": "reassign", "to": to })
            }
        })
    }

    /// Money of no request, also what was decided about before.
    async fn find(&mut self, place: u8, how: How) -> Result<(), Failure> {
        let known: Vec<Money> = self.worlds[0].suspense.keys().copied().collect();
        let everywhere = |money: &Money| self.worlds.iter().all(|w| w.suspense.contains_key(money));
        let place = usize::from(place).checked_rem(known.len());
        let (Some(body), Some(place)) = (self.words(how), place) else {
            return Ok(());
        };
        let of = known[place];
        if !everywhere(&of) {
            return Ok(());
        }
        let who = match of.account.merchant() {
            "shop" => "operator",
            other => other,
        };
        let Some(case) = self.case_of(who, &format!("sim/{of}")).await else {
            return Ok(());
        };
        let now = self.ledger.now();
        let path = format!("/v1/exceptions/{case}/resolve");
        let (status, _) = self.post(who, path, because(body)).await;
        self.answered("find", status, now, |world, _| {
            accepted(world.find(of, how), 200, status)
        })
    }

    /// The case of money of no request.
    async fn case_of(&mut self, who: &str, about: &str) -> Option<String> {
        for state in ["open", "resolved"] {
            let path = format!("/v1/exceptions?limit=200&state={state}");
            let (_, list) = self.send(Some(who), || TestRequest::get().uri(&path)).await;
            let mut rows = list["exceptions"].as_array()?.iter();
            let row = rows.find(|row| row["about"] == about && is_of_suspense(row));
            if let Some(row) = row {
                return row["id"].as_str().map(str::to_owned);
            }
        }
        None
    }

    async fn propose(&mut self, request: u8, pay: bool, by: u8) -> Result<(), Failure> {
        let r = usize::from(request);
        let Some(id) = self.ids.get(r).cloned() else {
            return Ok(());
        };
        let part = if pay { "overrides" } else { "revocations" };
        let path = format!("/v1/payment-requests/{id}/{part}");
        let body = because(json!({ "evidence": "none" }));
        let now = self.ledger.now();
        let (status, answer) = self.as_person(by, Role::Operator, path, body).await;
        let number = self.proposals.len() as u8;
        self.answered("propose", status, now, |world, now| {
            accepted(world.requests[r].propose(number, pay, by, now), 201, status)
        })?;
        if let Some(made) = answer["id"].as_str().filter(|_| status == 201) {
            self.names.insert(made.to_owned(), format!("p{number}"));
            self.proposals.push(made.to_owned());
        }
        Ok(())
    }

    async fn decide(&mut self, request: u8, approve: bool, by: u8) -> Result<(), Failure> {
        let r = usize::from(request);
        let known = self.worlds[0].requests.get(r);
        let last = known.and_then(|request| request.proposal.as_ref());
        let Some(proposal) = last.map(|last| self.proposals[usize::from(last.id)].clone()) else {
            return Ok(());
        };
        let confirm = json!({ "password": PASSWORD, "proposal": proposal });
        let path = "/v1/sessions/confirm".to_owned();
        let (status, shown) = self.as_person(by, Role::Approver, path, confirm).await;
        if status != 200 {
            let detail = format!("ticket: {status} {shown}");
            return super::run::fails("commands are answered by the table", detail);
        }
        let what = if approve { "approve" } else { "reject" };
        let path = format!(
            "/v1/payment-requests/{}/overrides/{proposal}/{what}",
            self.ids[r]
        );
        let body = because(json!({ "ticket": shown["ticket"] }));
        let now = self.ledger.now();
        let (status, _) = self.as_person(by, Role::Approver, path, body).await;
        self.answered(what, status, now, |world, now| {
            let decided = match approve {
                true => world.approve(r, by, now),
                false => world.requests[r].reject(Some(by)),
            };
            accepted(decided, 200, status)
        })
    }

    /// A command of a person who may do what the role may, in a session of theirs.
    async fn as_person(&mut self, by: u8, role: Role, path: String, body: Value) -> (u16, Value) {
        let who = self.ledger.person(by, role).await;
        let now = self.ledger.now();
        let fresh =
            |(_, since, used): &&(String, i64, i64)| now - since < LIFE_S && now - used < IDLE_S;
        let token = match self.sessions.get(who).filter(fresh) {
            Some((token, since, _)) => (token.clone(), *since),
            None => (self.sign_in(who).await, now),
        };
        let used = (token.0.clone(), token.1, self.ledger.now());
        self.sessions.insert(who, used);
        let (status, answer) = self.post(&token.0, path, body).await;
        // What persons do arrives once: their sessions end, and their tickets.
        if let Some(command) = self.commands.last_mut() {
            command.done = None;
        }
        (status, answer)
    }

    async fn sign_in(&mut self, who: &str) -> String {
        let body = json!({ "operator": who, "password": PASSWORD }).to_string();
        let request = || {
            TestRequest::post()
                .uri("/v1/sessions")
                .insert_header(("content-type", "application/json"))
                .set_payload(body.clone())
        };
        let (_, session) = self.send(None, request).await;
        session["token"].as_str().unwrap_or_default().to_owned()
    }

    async fn real(&self, request: u8) -> Option<(usize, Real)> {
        let r = usize::from(request);
        let id = PaymentRequestId::parse(self.ids.get(r)?).ok()?;
        let folded = self.ledger.bare().fold_request(&id, None).await.ok()?;
        folded.state.map(|real| (r, real))
    }
}

/// A case of money of no request, or one that was.
fn is_of_suspense(row: &Value) -> bool {
    matches!(
        row["kind"].as_str(),
        Some("orphan_payment" | "tenant_mismatch")
    )
}

/// The status that the model predicts: of its no, any that says no.
fn accepted(yes: bool, status: u16, told: u16) -> u16 {
    match yes {
        true => status,
        false if refused(told) => told,
        false => 409,
    }
}
