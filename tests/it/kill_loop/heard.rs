//! Two subscribers of the ledger that is killed: one that answers, and one that refuses twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use adapters::sqlite::events::SqliteEventStore;
use harness::process_ledger::ProcessLedger;
use harness::receiver::{Receiver, Reply};
use harness::whole_log::WholeLog;
use serde_json::Value;

/// A refused delivery is tried again after five seconds, and one that a kill interrupted at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of it.
pub(super) struct Heard {
    /// Pairs of event and subscriber.
    pub(super) deliveries: usize,
    /// Requests beyond one for each.
    pub(super) again: usize,
}

/// Deliveries that have not arrived.
fn open(ledger: &ProcessLedger) -> Vec<Value> {
    let list = ["deliveries", "list", "--merchant", "shop", "--json"];
    let shown = ledger
        .program
        .run(&[&list[..], &["--limit", "500"]].concat());
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let rows = shown["deliveries"].as_array().unwrap().iter();
    let open = rows.filter(|row| row["state"] != "delivered");
    open.cloned().collect()
}

/// Receivers with their signing secrets.
pub(super) struct Subscribers(Vec<(Receiver, String)>);

impl Subscribers {
    pub(super) async fn set_up(ledger: &ProcessLedger) -> Self {
        // Two refusals at most meet the same delivery, and the third try comes within the patience.
        let refused = |number| match number {
            4 => Reply::Status(500),
            8 => Reply::Close,
            _ => Reply::Status(200),
        };
        let mut all = vec![];
        for (name, receiver) in [
            ("crm", Receiver::start().await),
            (
                "erp",
                Receiver::answering((0..10).map(refused), Reply::Status(200)).await,
            ),
        ] {
            let url = receiver.url();
            let add = [
                "subscribers",
                "add",
                name,
                "--merchant",
                "shop",
                "--url",
                &url,
            ];
            let quickly = ["--per-second", "1000", "--burst", "1000", "--json"];
            let shown = ledger.program.run(&[add.as_slice(), &quickly].concat());
            let shown: Value = serde_json::from_str(&shown).unwrap();
            all.push((
                receiver,
                shown["signing_secret"].as_str().unwrap().to_owned(),
            ));
        }
        Self(all)
    }

    /// Waits until each has seen so many different deliveries, and none is open any more.
    pub(super) async fn until_all_arrived(&self, ledger: &ProcessLedger, events: usize) {
        let began = Instant::now();
        loop {
            let seen = self.0.iter().map(|(receiver, _)| {
                let seen = receiver.seen().into_iter();
                let ids = seen.map(|request| request.header("webhook-id").to_owned());
                ids.collect::<BTreeSet<_>>().len()
            });
            let seen: Vec<usize> = seen.collect();
            let open = open(ledger);
            if seen.iter().all(|seen| *seen == events) && open.is_empty() {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{seen:?} of {events} came to each, and these have not arrived: {open:#?}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Every request is authentic, repeats are the same bytes under the same id, and nobody hears of a
    /// payment's later event before its earlier one. In the log each delivery has arrived once.
    pub(super) async fn check(&self, ledger: &ProcessLedger) -> Heard {
        let (mut deliveries, mut again) = (BTreeSet::new(), 0);
        for (receiver, secret) in &self.0 {
            let mut bodies: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            let mut last: BTreeMap<String, String> = BTreeMap::new();
            for request in receiver.seen() {
                assert!(request.is_authentic(secret), "{request:?}");
                let (id, event) = (request.header("webhook-id").to_owned(), request.json());
                let known = bodies
                    .entry(id.clone())
                    .or_insert_with(|| request.body.clone());
                assert_eq!(*known, request.body, "{id} has two bodies");
                again += usize::from(!deliveries.insert(id));
                let word = |name: &str| event[name].as_str().unwrap().to_owned();
                let before = last.entry(word("subject")).or_default();
                assert!(*before <= word("sequence"), "{event} came after {before}");
                *before = word("sequence");
            }
        }
        let store = SqliteEventStore::open_read_only(&ledger.data().join("events.db")).unwrap();
        let log = WholeLog::read(&store).await;
        let arrived = log.per_stream("DeliverySucceeded");
        assert!(arrived.values().all(|times| *times == 1), "{arrived:?}");
        let named: BTreeSet<String> = arrived
            .into_keys()
            .map(|stream| stream.trim_start_matches("delivery-").to_owned())
            .collect();
        assert_eq!(named, deliveries, "what arrived is what the log says");
        Heard {
            deliveries: deliveries.len(),
            again,
        }
    }
}
