//! The process is killed again and again while callbacks, creates and refunds pour in: what it
//! acknowledged is there afterwards, once, and nothing else was made of it; and subscribers hear of
//! all of it, in order.
//!
//! Five kills in the fast tier, forty with `SLOW=1`. The seed of the moments is printed, and
//! `KILL_SEED` sets it.

mod heard;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use adapters::sqlite::events::SqliteEventStore;
use harness::process_ledger::{ProcessLedger, plain_http};
use harness::quiet_provider::{Notification, QuietProvider, message, seconds_now, signed};
use harness::whole_log::WholeLog;
use harness::world::Dice;
use serde_json::{Value, json};

use self::heard::Subscribers;

const SELLERS: usize = 8;
const PRICE: i64 = 150_000;
/// Nothing takes longer than this unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the ledger said yes to; every word of it must be in the log.
#[derive(Debug, Default)]
struct Acknowledged {
    /// Request and version by order.
    creates: BTreeMap<String, (String, u64)>,
    /// Request and version by our reference.
    attempts: BTreeMap<String, (String, u64)>,
    /// Our reference by request.
    refunds: BTreeMap<String, String>,
    /// How often, by our reference and status.
    notifications: BTreeMap<(String, String), usize>,
}

/// What the sellers share.
struct Shop {
    http: reqwest::Client,
    base: String,
    token: String,
    acknowledged: Mutex<Acknowledged>,
    unanswered: AtomicUsize,
    closing: AtomicBool,
}

impl Shop {
    /// Sends until it is acknowledged, through as many kills as come: as a provider and a shop do.
    async fn until_acknowledged(
        &self,
        request: impl Fn() -> reqwest::RequestBuilder,
    ) -> reqwest::Response {
        let began = Instant::now();
        loop {
            match request().send().await {
                Ok(response) if response.status().is_success() => return response,
                Ok(response) if response.status().as_u16() == 503 => {}
                Ok(response) => {
                    let status = response.status();
                    panic!("{status}: {}", response.text().await.unwrap_or_default());
                }
                // It was killed before it answered, or is not up again.
                Err(_) => {
                    self.unanswered.fetch_add(1, Ordering::Relaxed);
                }
            }
            assert!(began.elapsed() < PATIENCE, "the ledger does not come back");
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    /// A command of the shop; the answer may break off like the request.
    async fn command(&self, path: &str, key: &str, body: &Value) -> Value {
        loop {
            let request = || {
                self.http
                    .post(format!("{}{path}", self.base))
                    .bearer_auth(&self.token)
                    .header("idempotency-key", key)
                    .header("content-type", "application/json")
                    .body(body.to_string())
            };
            let answer = self.until_acknowledged(request).await.bytes().await;
            if let Some(shown) = answer
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            {
                return shown;
            }
        }
    }

    async fn notify(&self, notification: &Notification, our_reference: &str, status: &str) {
        let url = format!("{}/v1/callbacks/sim/sim-main", self.base);
        self.until_acknowledged(|| notification.request(&self.http, &url))
            .await;
        let key = (our_reference.to_owned(), status.to_owned());
        *self
            .acknowledged
            .lock()
            .unwrap()
            .notifications
            .entry(key)
            .or_default() += 1;
    }

    /// One order from its creation to the provider's last message.
    async fn sell(&self, order: &str, dice: &Dice) {
        let body = json!({
            "order_id": order, "scenario": "web", "amount": { "minor": PRICE.to_string(), "currency": "AMD" },
        });
        let created = self
            .command("/v1/payment-requests", &format!("create-{order}"), &body)
            .await;
        let id = created["id"].as_str().unwrap().to_owned();
        let version = created["version"].as_u64().unwrap();
        self.acknowledged
            .lock()
            .unwrap()
            .creates
            .insert(order.to_owned(), (id.clone(), version));

        let path = format!("/v1/payment-requests/{id}/attempts");
        let started = self
            .command(&path, &format!("attempt-{order}"), &json!({}))
            .await;
        let our_reference = started["attempts"][0]["our_reference"]
            .as_str()
            .unwrap()
            .to_owned();
        let version = started["version"].as_u64().unwrap();
        self.acknowledged
            .lock()
            .unwrap()
            .attempts
            .insert(our_reference.clone(), (id.clone(), version));

        if dice.below(2) == 0 {
            self.notify(
                &said("processing", &our_reference),
                &our_reference,
                "processing",
            )
            .await;
        }
        let captured = said("captured", &our_reference);
        // Some providers send twice at once, and some once more when they have been heard.
        if dice.below(3) == 0 {
            let both = (
                self.notify(&captured, &our_reference, "captured"),
                self.notify(&captured, &our_reference, "captured"),
            );
            futures::join!(both.0, both.1);
        } else {
            self.notify(&captured, &our_reference, "captured").await;
        }
        if dice.below(3) == 0 {
            self.notify(&captured, &our_reference, "captured").await;
        }
        if dice.below(3) == 0 {
            self.give_back(&id, our_reference).await;
        }
    }

    /// All of it, as soon as it is paid.
    async fn give_back(&self, id: &str, our_reference: String) {
        let read = || {
            let url = format!("{}/v1/payment-requests/{id}", self.base);
            self.http.get(url).bearer_auth(&self.token)
        };
        let began = Instant::now();
        loop {
            let shown = self.until_acknowledged(read).await.bytes().await;
            let shown: Option<Value> = shown
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok());
            if shown.is_some_and(|shown| shown["status"] == "paid") {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{id} is never paid");
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        let body = json!({
            "amount": { "minor": PRICE.to_string(), "currency": "AMD" }, "reason": "returned_goods",
        });
        let path = format!("/v1/payment-requests/{id}/refunds");
        self.command(&path, &format!("refund-{id}"), &body).await;
        let mut acknowledged = self.acknowledged.lock().unwrap();
        acknowledged.refunds.insert(id.to_owned(), our_reference);
    }
}

/// Events that subscribers hear of: what was paid, and what went back.
fn expected(shop: &Shop) -> usize {
    let acknowledged = shop.acknowledged.lock().unwrap();
    acknowledged.creates.len() + acknowledged.refunds.len()
}

fn said(status: &str, our_reference: &str) -> Notification {
    let body = message(status, our_reference, "acc-1", PRICE);
    signed(
        &format!("msg_{status}_{our_reference}"),
        seconds_now(),
        &body,
    )
}

fn seed() -> u64 {
    match std::env::var("KILL_SEED") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_done_twice_when_the_process_is_killed() {
    let rounds = if std::env::var_os("SLOW").is_some_and(|slow| slow == "1") {
        40
    } else {
        5
    };
    let (seed, began) = (seed(), Instant::now());
    println!("kill loop: seed {seed}");
    let dice = Arc::new(Dice::new(seed));
    let provider = QuietProvider::start();
    let ledger = ProcessLedger::set_up(&provider);
    let subscribers = Subscribers::set_up(&ledger).await;
    let http = plain_http();
    let shop = Arc::new(Shop {
        http: http.clone(),
        base: ledger.base.clone(),
        token: ledger.token.clone(),
        acknowledged: Mutex::default(),
        unanswered: AtomicUsize::new(0),
        closing: AtomicBool::new(false),
    });

    let mut serving = ledger.start();
    ledger.is_up(&mut serving, &http).await;
    let mut sellers = tokio::task::JoinSet::new();
    for seller in 0..SELLERS {
        let (shop, dice) = (Arc::clone(&shop), Arc::clone(&dice));
        sellers.spawn(async move {
            let mut number = 0;
            while !shop.closing.load(Ordering::Relaxed) {
                shop.sell(&format!("order-{seller}-{number}"), &dice).await;
                number += 1;
            }
        });
    }
    for _ in 0..rounds {
        tokio::time::sleep(Duration::from_millis(150 + dice.below(500))).await;
        assert!(serving.runs(), "it ended by itself: {}", ledger.said());
        serving.kill();
        serving = ledger.start();
        ledger.is_up(&mut serving, &http).await;
    }
    shop.closing.store(true, Ordering::Relaxed);
    while let Some(ended) = sellers.join_next().await {
        ended.unwrap();
    }
    settled(&ledger, &shop).await;
    let told = subscribers.until_all_arrived(&ledger, expected(&shop));
    told.await;
    assert!(
        serving.terminate(),
        "it did not stop in order: {}",
        ledger.said()
    );

    check_log(&ledger, &shop).await;
    let heard = subscribers.check(&ledger).await;
    let given_back = provider.given_back();
    let wanted = shop.acknowledged.lock().unwrap().refunds.clone();
    let wanted = wanted.into_values();
    let wanted: BTreeMap<String, Vec<i64>> = wanted
        .map(|our_reference| (format!("qt_{our_reference}"), vec![PRICE]))
        .collect();
    assert_eq!(
        given_back, wanted,
        "each refund went back once, and no other"
    );
    let verified = ledger
        .program
        .run(&["projections", "verify", "--json", "--quiet"]);
    let views: Vec<Value> = verified
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(views.len(), projections::views::all().len(), "{verified}");
    assert!(
        views
            .iter()
            .all(|view| view["equal"] == true && view["position"].is_string()),
        "{verified}"
    );

    let acknowledged = shop.acknowledged.lock().unwrap();
    let notifications: usize = acknowledged.notifications.values().sum();
    println!(
        "kill loop: {rounds} kills in {} s; acknowledged {} creates, {} attempts, {} refunds, {notifications} \
         notifications of {} messages; {} calls unanswered and sent again; lost 0, done twice 0; {} views equal their rebuild; {} deliveries: lost 0, sent \
         again after a kill or a refusal {}, reordered 0",
        began.elapsed().as_secs(),
        acknowledged.creates.len(),
        acknowledged.attempts.len(),
        acknowledged.refunds.len(),
        acknowledged.notifications.len(),
        shop.unanswered.load(Ordering::Relaxed),
        views.len(),
        heard.deliveries,
        heard.again,
    );
    assert!(
        notifications >= rounds && acknowledged.creates.len() >= rounds,
        "too little was sold to say anything"
    );
}

/// Waits until every order that was sold reads as paid, or as given back where it was.
async fn settled(ledger: &ProcessLedger, shop: &Shop) {
    let ids: Vec<String> = shop
        .acknowledged
        .lock()
        .unwrap()
        .creates
        .values()
        .map(|(id, _)| id.clone())
        .collect();
    for id in ids {
        let (began, url) = (
            Instant::now(),
            format!("{}/v1/payment-requests/{id}", shop.base),
        );
        loop {
            let answer = shop
                .http
                .get(&url)
                .bearer_auth(&shop.token)
                .send()
                .await
                .unwrap();
            let shown: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            let refunded = shop.acknowledged.lock().unwrap().refunds.contains_key(&id);
            let (end, applied) = if refunded {
                ("refunded", 0)
            } else {
                ("paid", PRICE)
            };
            if shown["status"] == end {
                assert_eq!(shown["applied"]["minor"], applied.to_string(), "{shown}");
                break;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "never {end}: {shown}\n{}",
                ledger.said()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Everything that was acknowledged stands in the log, and once.
async fn check_log(ledger: &ProcessLedger, shop: &Shop) {
    let store = SqliteEventStore::open_read_only(&ledger.data().join("events.db")).unwrap();
    let log = WholeLog::read(&store).await;
    let places: Vec<u64> = log.events.iter().map(|(place, _)| *place).collect();
    assert_eq!(
        places,
        (1..=places.len() as u64).collect::<Vec<_>>(),
        "the log is not dense"
    );
    let mut next: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, envelope) in &log.events {
        let version = next.entry(envelope.stream.as_str()).or_default();
        assert_eq!(envelope.stream_version.0, *version, "{}", envelope.stream);
        *version += 1;
    }

    let acknowledged = shop.acknowledged.lock().unwrap();
    let at = |id: &str, version: u64| {
        let stream = format!("payment_request-{id}");
        let found = log.events.iter().map(|(_, envelope)| envelope);
        let mut found = found
            .filter(|known| known.stream.as_str() == stream && known.stream_version.0 == version);
        found
            .next()
            .unwrap_or_else(|| panic!("{stream} has lost version {version}"))
    };
    for (order, (id, version)) in &acknowledged.creates {
        let created = at(id, *version);
        assert_eq!(created.event_type, "PaymentRequestCreated", "{order}");
        assert_eq!(created.data["order_id"], *order, "{}", created.data);
    }
    for (our_reference, (id, version)) in &acknowledged.attempts {
        let known = at(id, *version).event_type.clone();
        // Killed between the two, the first answer tells of the attempt that was written ahead.
        assert!(
            known == "AttemptRegistered" || known == "AttemptStarted",
            "{our_reference}: {known}"
        );
    }
    for (our_reference, status) in acknowledged.notifications.keys() {
        let received = log.received(our_reference);
        let kept = received.iter().filter(|(_, word)| word == status).count();
        assert_eq!(kept, 1, "{status} of {our_reference} was acknowledged");
    }

    for (name, most) in [
        ("NotificationReceived", 1),
        ("PaymentRequestCreated", 1),
        ("PaymentCaptured", 1),
        ("RefundSubmitted", 1),
        ("RefundSettled", 1),
    ] {
        let more: Vec<_> = log
            .per_stream(name)
            .into_iter()
            .filter(|(_, count)| *count > most)
            .collect();
        assert!(more.is_empty(), "{name} more than once: {more:?}");
    }
    let mut applied: BTreeMap<&str, usize> = BTreeMap::new();
    for envelope in log
        .of_type("NotificationApplied")
        .filter(|known| known.data["outcome"] == "applied")
    {
        *applied.entry(envelope.stream.as_str()).or_default() += 1;
    }
    let twice: Vec<_> = applied.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "applied twice: {twice:?}");
    let verified = log.per_stream("PaymentVerified");
    let sold: BTreeMap<String, usize> = acknowledged
        .creates
        .values()
        .map(|(id, _)| (format!("payment_request-{id}"), 1))
        .collect();
    assert_eq!(
        verified, sold,
        "each paid request is verified once, and no other"
    );
}
