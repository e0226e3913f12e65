//! How requests are made in a plan: by a backend with an amount, or by a bot from a quote.

use domain::time::Timestamp;
use serde_json::{Value, json};

use super::acts::amd;
use super::books::{Quote, Request};
use super::plan::Act;
use super::run::{Command, Failure, History, fails};
use super::words::held_back;

/// A request that is asked for.
struct New {
    by_bot: bool,
    key: u16,
    quote: Option<usize>,
    terms: Request,
    life_s: u32,
    supersede: bool,
}

/// Keys of bots that use a quote again; each is used once.
const REQUOTES: u16 = 10_000;
/// How long a quote may be used, in seconds.
const QUOTED_S: i64 = 700;

impl History {
    pub(super) async fn create(&mut self, act: &Act) -> Result<(), Failure> {
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
        let mut body = json!({
            "order_id": format!("order-{order}"), "scenario": scenario.name(), "amount": amd(*minor),
        });
        let mut quote = None;
        if *by_bot {
            body["valid_for_s"] = json!(QUOTED_S);
            let until = self.ledger.now() + QUOTED_S;
            let issued = Command {
                who: "backend".to_owned(),
                path: "/v1/quotes".to_owned(),
                key: format!("quote-{}", self.commands.len()),
                body,
                done: None,
            };
            let (status, issued) = self.command(&issued).await;
            let told = issued["valid_until"].as_str();
            let told = told.and_then(|text| Timestamp::parse(text).ok());
            let told = told.map(|at| at.seconds());
            let Some(until) = told.filter(|told| status == 201 && *told >= until) else {
                let detail = format!("quote: {status} {issued}");
                return fails("commands are answered by the table", detail);
            };
            quote = Some(self.quotes.len());
            body = json!({ "quote_id": issued["id"] });
            self.quotes.push(issued["id"].clone());
            let (order, scenario, minor, used) = (*order, *scenario, *minor, false);
            let known = Quote {
                order,
                scenario,
                minor,
                until,
                used,
            };
            let worlds = self.worlds.iter_mut();
            worlds.for_each(|world| world.quotes.push(known));
        }
        let new = New {
            by_bot: *by_bot,
            key: *key,
            quote,
            terms: Request::new(*order, *scenario, *minor, 0),
            life_s: *life_s,
            supersede: *supersede,
        };
        self.make(&new, body).await
    }

    /// Row A1b: a quote is used again, by another key.
    pub(super) async fn requote(&mut self, quote: u8, supersede: bool) -> Result<(), Failure> {
        let place = usize::from(quote);
        let Some(id) = self.quotes.get(place) else {
            return Ok(());
        };
        let body = json!({ "quote_id": id });
        let known = self.worlds[0].quotes[place];
        let new = New {
            by_bot: true,
            key: REQUOTES + self.commands.len() as u16,
            quote: Some(place),
            terms: Request::new(known.order, known.scenario, known.minor, 0),
            life_s: 600,
            supersede,
        };
        self.make(&new, body).await
    }

    async fn make(&mut self, new: &New, mut body: Value) -> Result<(), Failure> {
        let who = if new.by_bot { "bot" } else { "backend" };
        body["expires_in_s"] = json!(new.life_s);
        body["supersede"] = json!(new.supersede);
        let command = Command {
            who: who.to_owned(),
            path: "/v1/payment-requests".to_owned(),
            key: format!("create-{}", new.key),
            body,
            done: None,
        };
        let now = self.ledger.now();
        let (status, answer) = self.command(&command).await;
        self.hear(None);
        if held_back(&(status, answer.clone())) {
            return Ok(());
        }
        let done = Some(status);
        self.commands.push(Command { done, ..command });
        let expires_at = answer["expires_at"].as_str();
        let expires_at = expires_at.and_then(|text| Timestamp::parse(text).ok());
        let expires_at = expires_at.map(|at| at.seconds());
        if let Some(at) = expires_at.filter(|_| status == 201) {
            let lives = at - i64::from(new.life_s);
            if !(now..=self.ledger.now()).contains(&lives) {
                let promise = "a request lives as long as was asked for";
                return fails(promise, answer.to_string());
            }
        }
        let known = self.by_key.contains(&(new.by_bot, new.key));
        let sees = |r: usize| !new.by_bot || self.creators[r] == "bot";
        let seen: Vec<bool> = (0..self.creators.len()).map(sees).collect();
        let told = self.funds(&answer);
        self.answered("create", status, now, |world, now| {
            if known {
                return 422; // row A3: each create of a plan has other content
            }
            let expires_at = expires_at.unwrap_or(now + i64::from(new.life_s));
            let terms = Request {
                expires_at,
                ..new.terms.clone()
            };
            let made = world.create(terms, new.supersede, &seen, new.quote, now);
            let mut held = world.unapplied_funds(new.terms.order);
            held.sort_unstable();
            // Row E16: a world that holds other funds is not this one.
            let agrees = made != 201 || new.by_bot || held == told;
            if agrees { made } else { 0 }
        })?;
        if status == 201 {
            self.by_key.insert((new.by_bot, new.key));
            let id = answer["id"].as_str().unwrap_or_default();
            self.ids.push(id.to_owned());
            self.creators.push(who);
        }
        Ok(())
    }

    /// What an answer says that closed requests of the order hold.
    fn funds(&self, answer: &Value) -> Vec<(usize, i64)> {
        let funds = answer["unapplied_funds"].as_array().into_iter().flatten();
        let held = funds.filter_map(|funds| {
            let mut ids = self.ids.iter();
            let r = ids.position(|id| funds["payment_request_id"] == **id)?;
            let minor = funds["amount"]["minor"].as_str()?.parse().ok()?;
            funds["exception_id"].is_string().then_some((r, minor))
        });
        let mut held: Vec<_> = held.collect();
        held.sort_unstable();
        held
    }
}
